"""The result contract."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from mesostats.results import ESTIMATE_COLUMNS, Result, contract, stack


@pytest.fixture
def result() -> Result:
    frame = pd.DataFrame(
        {"arm": ["A", "B"], "estimand": "response", "estimate": [0.25, np.nan], "note": ["", "no course"]}
    )
    spec = {"title": "Response <b>", "cutoff": "2024-01-01"}
    return Result(contract(frame, ["arm"]), spec, lambda cell: pd.DataFrame({"asked": [dict(cell)]}))


def test_contract_has_its_columns_in_order() -> None:
    assert (
        *(
            "estimand",
            "time",
            "estimate",
            "std_error",
            "conf_low",
            "conf_high",
            "conf_level",
            "statistic",
            "df",
        ),
        *("p_value", "p_adjusted", "numerator", "denominator", "unit", "n_missing", "method", "note"),
    ) == ESTIMATE_COLUMNS
    frame = contract(pd.DataFrame({"note": [None], "site": ["x"], "estimand": ["a"], "other": [1]}), ["site"])
    assert list(frame.columns) == ["site", *ESTIMATE_COLUMNS]
    assert frame.loc[0, "note"] == ""
    assert np.isnan(frame.loc[0, "estimate"])


def test_contract_of_nothing_keeps_its_columns() -> None:
    assert list(contract(stack([]), ["arm"]).columns) == ["arm", *ESTIMATE_COLUMNS]


def test_contract_refuses_two_rows_for_one_estimate() -> None:
    with pytest.raises(ValueError, match="one row is one estimate"):
        contract(pd.DataFrame({"estimand": ["a", "a"]}), [])


def test_contract_refuses_a_group_with_a_column_of_its_own() -> None:
    with pytest.raises(ValueError, match="cannot group by 'note'"):
        contract(pd.DataFrame({"note": ["x"]}), ["note"])


def test_contract_leaves_its_input_unchanged() -> None:
    frame = pd.DataFrame({"estimand": ["a"], "numerator": [1]})
    before = frame.copy(deep=True)
    contract(frame, [])
    pd.testing.assert_frame_equal(frame, before)


def test_result_names_its_groups_and_cells(result: Result) -> None:
    assert result.groups == ["arm"]
    assert result.cell(arm="A")["estimate"] == 0.25
    with pytest.raises(ValueError, match="2 estimates fit"):
        result.cell(estimand="response")
    with pytest.raises(ValueError, match="did you mean 'arm'"):
        result.cell(arms="A")


def test_explain_passes_the_cell_on_and_refuses_what_is_not_there(result: Result) -> None:
    assert result.explain(arm="B").loc[0, "asked"] == {"arm": "B"}
    with pytest.raises(ValueError, match="no estimate has arm = 'C'"):
        result.explain(arm="C")
    with pytest.raises(ValueError, match="has no 'armm'; did you mean 'arm'"):
        result.explain(armm="A")


def test_html_shows_numbers_unrounded_and_escapes(result: Result) -> None:
    shown = result._repr_html_()
    assert "Response &lt;b&gt;" in shown
    assert "0.25" in shown
    assert "data cut 2024-01-01" in shown
