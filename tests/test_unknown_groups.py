"""Those whose group nobody knows: every analysis gives them their rows, and compares them with nobody."""

from __future__ import annotations

from functools import cache, partial
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest

import mesostats as ms
from mesostats.populations import UNKNOWN, known_groups, uncompared

if TYPE_CHECKING:
    from collections.abc import Callable

ACROSS: dict[str, Callable[..., ms.Result]] = {
    "retention": ms.retention,
    "retention within strata": partial(ms.retention, strata="indication"),
    "dropout_reasons": ms.dropout_reasons,
    "cumulative_incidence": ms.cumulative_incidence,
    "time_to_first_event": ms.time_to_first_event,
    "mean_cumulative_events": ms.mean_cumulative_events,
}
"""Analyses by groups, with a test across all of them."""
AGAINST: dict[str, Callable[..., ms.Result]] = {
    "compare_adverse_events": partial(ms.compare_adverse_events, of="term"),
    "compare_response": partial(ms.compare_response, instrument="masi"),
    "compare_grades": partial(ms.compare_grades, instrument="fine_lines"),
    "subgroup_response": partial(ms.subgroup_response, instrument="masi", subgroups="skin_type"),
    "change_from_baseline": partial(ms.change_from_baseline, by=None),
    "change_by_visit": partial(ms.change_by_visit, by=None, visits=[3], time="session"),
    "tipping_point": partial(ms.tipping_point, instrument="masi", steps=3),
}
"""Analyses that compare groups with a reference."""
ANALYSES: dict[str, Callable[[ms.Dataset], ms.Result]] = {
    **{name: partial(analysis, by="sex") for name, analysis in ACROSS.items()},
    **{name: partial(analysis, group="sex", reference="female") for name, analysis in AGAINST.items()},
}
NUMBERS = ("estimate", "std_error", "statistic", "df", "p_value", "p_adjusted", "denominator")
TESTS = ("logrank_test", "gray_test", "mean_function_test")


@cache
def clinic_where(unknown: str | None, lost: int) -> ms.Dataset:
    """Return a clinic in which the sex of every patient whose number `lost` divides is empty, or what else is said."""
    whole = ms.simulate(500, seed=3)
    patients = whole.table("patients")
    hidden = pd.Series(np.arange(len(patients)) % lost == 0)
    patients = patients.assign(sex=patients["sex"].astype(object).mask(hidden, unknown))
    others = {name: whole.table(name) for name in ("courses", "sessions", "outcomes", "adverse_events")}
    return ms.Dataset(patients=patients, **others, cutoff=whole.cutoff)


def some_unknown() -> ms.Dataset:
    return clinic_where(None, 5)


def without_them() -> ms.Dataset:
    return some_unknown().where(sex=["female", "male"])


def compared(found: pd.DataFrame) -> pd.DataFrame:
    """Return the rows that compare groups, under what identifies them."""
    groups = found[~found["sex"].isin(UNKNOWN)]
    tests = groups["estimand"].isin(TESTS) | groups["estimand"].str.contains(
        "ratio|difference|test|ls_mean|win"
    )
    rows = groups[tests]
    names = [
        column for column in rows if column not in {*NUMBERS, "conf_low", "conf_high", "n_missing", "note"}
    ]
    names = [name for name in names if name not in {"method", "unit", "numerator", "conf_level"}]
    return rows.set_index(names)[[*NUMBERS]].sort_index()


@pytest.mark.parametrize("name", ANALYSES)
def test_a_comparison_is_that_of_the_known_groups_alone(name: str) -> None:
    found, alone = (ANALYSES[name](clinic) for clinic in (some_unknown(), without_them()))
    rows, expected = compared(found.estimates), compared(alone.estimates)
    assert rows["p_value"].notna().any()
    pd.testing.assert_frame_equal(rows, expected, rtol=1e-6)
    assert any("counted, not compared" in rule for rule in found.spec["rules"])
    own = found.estimates[found.estimates["sex"] == "not recorded"]
    assert own["denominator"].gt(0).any() == (name != "tipping_point")  # which has no rows but comparisons
    assert own[["p_adjusted"]].isna().all(axis=None)


@pytest.mark.parametrize("unknown", ["unknown", "not_asked"])
def test_unknown_and_not_asked_are_as_not_recorded(unknown: str) -> None:
    rows, expected = (
        compared(ANALYSES["retention"](clinic_where(each, 5)).estimates) for each in (unknown, None)
    )
    pd.testing.assert_frame_equal(rows, expected)


@pytest.mark.parametrize(
    ("name", "test"),
    [
        ("retention", "logrank_test"),
        ("dropout_reasons", "gray_test"),
        ("cumulative_incidence", "gray_test"),
        ("time_to_first_event", "logrank_test"),
        ("mean_cumulative_events", "mean_function_test"),
    ],
)
def test_explain_says_who_is_in_no_test(name: str, test: str) -> None:
    found = ANALYSES[name](some_unknown())
    row = found.estimates[found.estimates["estimand"] == test].iloc[0]
    rows = found.explain(**{column: row[column] for column in found.groups}, estimand=test)
    unknown = rows["sex"] == "not recorded"
    assert rows["in_denominator"].sum() == row["denominator"]
    assert (~rows["in_denominator"]).sum() == row["n_missing"]
    assert not rows.loc[unknown, "in_denominator"].any()
    assert rows.loc[unknown, "excluded"].str.contains("its group is not recorded").any()
    assert not rows.loc[~unknown, "excluded"].str.contains("its group is not recorded").any()


def test_differences_at_baseline_are_between_known_groups() -> None:
    options: dict[str, Any] = {"by": "sex", "variables": ["age", "indication"]}
    found = ms.baseline_table(some_unknown(), **options)
    alone = ms.baseline_table(without_them(), **options)
    for variable in ("age", "indication"):
        cell = {"variable": variable, "estimand": "standardized_difference"}
        pair = [each.cell(sex="all groups", **cell) for each in (found, alone)]
        assert pair[0]["estimate"] == pytest.approx(pair[1]["estimate"])
        assert pair[0]["note"] == pair[1]["note"]
        rows = found.explain(sex="all groups", **cell)
        unknown = rows["sex"].isin(UNKNOWN)
        assert unknown.any()
        assert rows.loc[unknown, "excluded"].eq("its group is not recorded: in no comparison").all()
        assert rows["in_denominator"].equals(~unknown & rows["value"].notna())
    share = found.estimates.query("sex == 'not recorded' and estimand == 'mean'")
    assert share["denominator"].gt(0).all()
    nobody = ms.baseline_table(clinic_where(None, 1), **options)
    row = nobody.cell(sex="all groups", variable="age", estimand="standardized_difference")
    assert np.isnan(row["estimate"])
    assert row["note"] == "fewer than two groups with values"


@pytest.mark.parametrize("name", ACROSS)
def test_where_no_group_is_known_there_are_rows_and_no_test(name: str) -> None:
    found = ANALYSES[name](clinic_where(None, 1)).estimates
    assert found["denominator"].gt(0).any()
    tested = found[found["estimand"].isin(TESTS)]
    assert tested["p_value"].isna().all()
    assert tested["note"].ne("").all()


@pytest.mark.parametrize("name", AGAINST)
def test_nobody_is_compared_with_those_of_whom_nobody_knows_the_group(name: str) -> None:
    with pytest.raises(ValueError, match=r"nobody knows who is in it; name one of \['female', 'male'\]"):
        AGAINST[name](some_unknown(), group="sex", reference="not recorded")
    with pytest.raises(ValueError, match="no group of sex is 'femal'; did you mean 'female'"):
        AGAINST[name](some_unknown(), group="sex", reference="femal")


@pytest.mark.parametrize("name", AGAINST)
def test_where_no_group_is_known_nothing_is_compared(name: str) -> None:
    found = AGAINST[name](clinic_where(None, 1), group="sex").estimates
    assert found["sex"].unique().tolist() == ([] if name == "tipping_point" else ["not recorded"])
    assert found["denominator"].gt(0).any() == (name != "tipping_point")
    assert found["p_adjusted"].isna().all()


def test_a_group_of_several_columns_is_known_where_all_are() -> None:
    rows = pd.DataFrame({"a": ["x", "x", "unknown"], "b": ["y", "not recorded", "y"]})
    assert known_groups(rows, ["a", "b"]).tolist() == [True, False, False]
    assert known_groups(rows, []).tolist() == [True, True, True]
    assert uncompared("courses").startswith("Courses whose group is not recorded")
