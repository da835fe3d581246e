"""Paired differences against R and by hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from mesostats.estimators.paired import paired_difference

ROWS = pd.read_csv(Path(__file__).parents[1] / "reference" / "paired.csv")


def units(e: int, f: int, g: int, h: int) -> tuple[np.ndarray, np.ndarray]:
    """Return before and after of e with both, f before only, g after only, h neither."""
    return np.repeat([1, 1, 0, 0], [e, f, g, h]), np.repeat([1, 0, 1, 0], [e, f, g, h])


@pytest.mark.parametrize("row", ROWS.to_dict("records"), ids=str)
def test_newcombe_and_mcnemar_are_those_of_r(row: dict[str, float]) -> None:
    before, after = units(*(int(row[name]) for name in "efgh"))
    found = paired_difference(before, after, conf_level=row["conf_level"]).iloc[0]
    for name in ("estimate", "conf_low", "conf_high", "p_value"):
        # prop.test() finds its limits at 0 and 1 to 1e-15 only, of which the root makes 1e-8.
        assert found[name] == pytest.approx(row[name], rel=1e-8, abs=1e-8)
    assert (found["lost"], found["gained"]) == (row["f"], row["g"])


def test_clustered_by_hand() -> None:
    # Patients a, b, c with differences (-1, -1), (0), (0, 1): mean -1/5; residual sums -2 + 2/5, 1/5, 1 + 2/5.
    found = paired_difference([1, 1, 1, 1, 0], [0, 0, 1, 1, 1], clusters=[*"aabcc"]).iloc[0]
    error = np.sqrt(3 / 2 * (1.6**2 + 0.2**2 + 1.4**2)) / 5
    assert found["estimate"] == pytest.approx(-0.2)
    assert found["std_error"] == pytest.approx(error)
    assert found["df"] == 2
    assert found["conf_low"] == pytest.approx(max(-0.2 - stats.t.isf(0.025, 2) * error, -1))
    assert found["p_value"] == pytest.approx(2 * stats.t.sf(0.2 / error, 2))


@given(*[st.integers(0, 12)] * 4)
def test_turning_time_flips_the_sign(e: int, f: int, g: int, h: int) -> None:
    before, after = units(e, f, g, h)
    forth, back = paired_difference(before, after).iloc[0], paired_difference(after, before).iloc[0]
    assert forth["estimate"] == pytest.approx(-back["estimate"], nan_ok=True)
    assert forth["conf_low"] == pytest.approx(-back["conf_high"], nan_ok=True)
    assert forth["p_value"] == pytest.approx(back["p_value"], nan_ok=True)
    assert not forth["conf_low"] > forth["estimate"]


def test_degenerate_input_is_told() -> None:
    assert paired_difference([], [])["note"].item() == "no observations"
    one = paired_difference([1, 0], [0, 0], clusters=["a", "a"]).iloc[0]
    assert one["estimate"] == -0.5
    assert "one cluster" in one["note"]
    assert np.isnan(one["conf_low"])
    same = paired_difference([1, 0], [1, 0], clusters=["a", "b"]).iloc[0]
    assert same["estimate"] == 0
    assert "variance unseen" in same["note"]
    with pytest.raises(ValueError, match="lengths differ"):
        paired_difference([1], [1, 0])
    with pytest.raises(ValueError, match="other than 0 and 1"):
        paired_difference([2], [1])
