"""Retention, its mean and its tests, and the reasons of dropout: against R, by properties, and at their limits."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from mesostats.dropout.incidence import dropout_reasons
from mesostats.dropout.retention import retention
from mesostats.results import ESTIMATE_COLUMNS
from mesostats.simulation import simulate

if TYPE_CHECKING:
    from collections.abc import Callable

    from mesostats.dataset import Dataset

REFERENCE = Path(__file__).parents[1] / "reference"
REASONS = ["adverse_event", "cost", "withdrew"]
KINDS = ["session", "day"]
COMPLETIONS = ["censored", "competing"]
CURVE = {"events": "numerator", "at_risk": "denominator"}
NUMBERS = ["numerator", "denominator", "estimate", "std_error", "conf_low", "conf_high"]


def _course(row: Any) -> dict[str, Any]:
    """Make a course of so many sessions, the last so many days after the first; it has no schedule to be overdue by."""
    days = [*range(max(row.sessions - 1, 0)), *([row.days] if row.sessions else [])]
    given_up = row.end in REASONS
    status = {"ongoing": None, "completed": "completed"}.get(row.end, "discontinued")
    return {
        "days": days,
        "protocol": None,
        "start_date": 0,
        "status": status,
        "end_reason": row.end if given_up else None,
        "end_date": None if row.end == "ongoing" else 50,
        "arm": row.arm,
        "site": row.site,
    }


@pytest.fixture(scope="module")
def clinic(build: Callable[..., Dataset]) -> Dataset:
    courses = pd.read_csv(REFERENCE / "dropout_courses.csv")
    return build([_course(row) for row in courses.itertuples()])


def assert_curve(found: pd.DataFrame, expected: pd.DataFrame, keys: list[str]) -> None:
    """Compare counts, estimates, errors, and the limits where they are defined."""
    expected = expected.rename(columns=CURVE).set_index(keys)
    found = found.set_index(keys)
    assert len(expected) > 5
    extra = found.drop(expected.index)
    assert (extra["numerator"] == 0).all()  # over sessions there is a row for each, also where nobody left
    found = found.loc[expected.index]
    for column in NUMBERS:
        known = (
            found[column].notna() & expected[column].notna()  # R has no limits before the first event
            if column in {"std_error", "conf_low", "conf_high"}
            else found["time_"].notna()
        )
        np.testing.assert_allclose(
            found.loc[known, column], expected.loc[known, column], rtol=1e-8, atol=1e-12, err_msg=column
        )
    assert found["conf_low"].notna().sum() > len(found) // 2


@pytest.mark.parametrize("kind", KINDS)
def test_retention_and_its_mean_by_arm_are_those_of_survfit(clinic: Dataset, kind: Any) -> None:
    kept = retention(clinic, by="arm", time=kind, follow_up="all")
    expected = pd.read_csv(REFERENCE / "dropout_curves.csv").query("kind == @kind")
    curve = kept.estimates[kept.estimates["estimand"] == "retention"]
    assert_curve(curve.assign(time_=curve["time"]), expected, ["arm", "time"])
    means = kept.estimates[kept.estimates["estimand"] == "restricted_mean"].set_index("arm")
    theirs = expected.groupby("arm")[["tau", "mean", "mean_std_error", "at_risk"]].first().loc[means.index]
    n = theirs.pop("at_risk")
    # R's error has no small-sample factor.
    theirs["mean_std_error"] *= np.sqrt(n / (n - 1))
    ours = means[["time", "estimate", "std_error"]]
    np.testing.assert_allclose(ours, theirs, rtol=1e-8)
    # Student's t, within 0 and the horizon
    half = stats.t.isf(0.025, n - 1) * theirs["mean_std_error"]
    np.testing.assert_allclose(means["conf_low"], theirs["mean"] - half, rtol=1e-8)
    np.testing.assert_allclose(means["conf_high"], theirs["mean"] + half, rtol=1e-8)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("strata", "test"), [(None, "logrank_test"), ("site", "stratified")])
def test_test_of_retention_is_that_of_survdiff(clinic: Dataset, kind: Any, strata: Any, test: str) -> None:
    kept = retention(clinic, by="arm", time=kind, follow_up="all", strata=strata)
    found = kept.cell(arm="all groups", estimand="logrank_test")
    tests = pd.read_csv(REFERENCE / "dropout_tests.csv").query("completion == 'censored' and kind == @kind")
    expected = tests.set_index("test").loc[test]
    assert found[["statistic", "df", "p_value"]].tolist() == pytest.approx(
        expected[["statistic", "df", "p_value"]].tolist(), rel=1e-8
    )
    assert ("stratified" in found["method"], "within site" in found["note"]) == (strata is not None,) * 2


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("completion", COMPLETIONS)
def test_incidences_by_reason_are_those_of_survfit(clinic: Dataset, kind: Any, completion: Any) -> None:
    found = dropout_reasons(clinic, by="arm", time=kind, follow_up="all", completion=completion).estimates
    expected = pd.read_csv(REFERENCE / "dropout_incidence.csv").query(
        "kind == @kind and completion == @completion"
    )
    found = found[found["arm"] != "all groups"]
    done = found["estimand"] == "cumulative_incidence_completed"
    found = found.assign(reason=found["reason"].mask(done, "completed"), time_=found["time"])
    keys = ["arm", "reason", "time"]
    ours = found[found["estimand"].isin(["cumulative_incidence", "cumulative_incidence_completed"])]
    assert_curve(ours[ours["reason"] != "all reasons"], expected, keys)
    naive = found[found["estimand"] == "one_minus_kaplan_meier"].set_index(keys)
    theirs = expected[expected["reason"] != "completed"].set_index(keys)["naive"]
    np.testing.assert_allclose(naive.loc[theirs.index, "estimate"], theirs, rtol=1e-8, atol=1e-12)
    assert naive["note"].str.startswith("overestimates").all()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("completion", COMPLETIONS)
def test_grays_tests_are_those_of_cuminc(clinic: Dataset, kind: Any, completion: Any) -> None:
    found = dropout_reasons(clinic, by="arm", time=kind, follow_up="all", completion=completion).estimates
    found = found[found["estimand"] == "gray_test"].set_index("reason")
    expected = (
        pd.read_csv(REFERENCE / "dropout_tests.csv")
        .query("completion == @completion and kind == @kind and test == 'gray_test'")
        .set_index("reason")
    )
    assert sorted(found.index) == REASONS == [*expected.index]
    found = found.loc[expected.index]
    columns = ["statistic", "df", "p_value", "p_adjusted"]
    np.testing.assert_allclose(found[columns], expected[columns], rtol=1e-8)


# --- properties -----------------------------------------------------------------------------------------------------------


def sums_by_time(found: pd.DataFrame) -> pd.Series[float]:
    """Return the incidences of single reasons, and of completion where it competes, summed at each time."""
    single = (found["estimand"] == "cumulative_incidence") & (found["reason"] != "all reasons")
    done = found["estimand"] == "cumulative_incidence_completed"
    return found[single | done].groupby("time")["estimate"].sum()


@settings(max_examples=5, deadline=None)
@given(n=st.integers(5, 200), seed=st.integers(0, 10_000), kind=st.sampled_from(KINDS))
def test_reasons_and_retention_add_up_to_one(n: int, seed: int, kind: Any) -> None:
    clinic = simulate(n, seed=seed)
    for follow_up in ("settled", "all"):
        found = dropout_reasons(clinic, time=kind, follow_up=follow_up).estimates  # type: ignore[arg-type]
        kept = retention(clinic, time=kind, follow_up=follow_up).estimates  # type: ignore[arg-type]
        kept = kept[kept["estimand"] == "retention"].set_index("time")["estimate"]
        every = found[(found["estimand"] == "cumulative_incidence") & (found["reason"] == "all reasons")]
        every = every.dropna(subset="time").set_index("time")["estimate"]
        np.testing.assert_allclose(every + kept.loc[every.index], 1, rtol=1e-12)
        sums = sums_by_time(found)
        np.testing.assert_allclose(sums, every.loc[sums.index], atol=1e-12)


def test_naive_incidence_is_never_below_the_competing_one() -> None:
    found = dropout_reasons(simulate(400, seed=3), by="sex", time="day").estimates
    curves = found.dropna(subset="time").set_index(["sex", "reason", "time"])
    ours, naive = (
        curves.loc[curves["estimand"] == name, "estimate"]
        for name in ("cumulative_incidence", "one_minus_kaplan_meier")
    )
    difference = naive - ours.loc[naive.index]
    assert (difference > -1e-12).all()
    assert difference.max() > 0.005


def test_competing_completion_leaves_those_still_in_treatment(clinic: Dataset) -> None:
    found = dropout_reasons(clinic, completion="competing", follow_up="all", time="day").estimates
    sums = sums_by_time(found)
    assert (sums.diff().dropna() >= -1e-12).all()
    assert sums.max() <= 1 + 1e-12
    censored = dropout_reasons(clinic, follow_up="all", time="day").estimates
    last = [
        frame[(frame["reason"] == "all reasons") & (frame["estimand"] == "cumulative_incidence")][
            "estimate"
        ].iloc[-1]
        for frame in (found, censored)
    ]
    assert last[0] < last[1]  # whoever completed stays in the denominator


@pytest.mark.parametrize("completion", COMPLETIONS)
@pytest.mark.parametrize("kind", KINDS)
def test_explain_adds_up_to_every_cell(clinic: Dataset, kind: Any, completion: Any) -> None:
    result = dropout_reasons(clinic, by="arm", time=kind, completion=completion, follow_up="all")
    assert [*result.estimates.columns] == ["arm", "reason", *ESTIMATE_COLUMNS]
    for row in result.estimates.iloc[::7].to_dict("records"):
        cell = {name: row[name] for name in ("arm", "reason", "estimand", "time") if not pd.isna(row[name])}
        rows = result.explain(**cell)
        assert rows["in_denominator"].sum() == row["denominator"], cell
        assert rows["in_numerator"].sum() == row["numerator"], cell
        assert rows["excluded"].eq("").eq(rows["in_denominator"]).all()


# --- reasons ----------------------------------------------------------------------------------------------------------------

# Five sessions 1 to 7 days apart, a grace of 14 days, the data cut on day 100.
UNRECORDED = [
    {"days": [10, 14], "start_date": 10},  # overdue, nothing recorded
    {"days": [10, 14], "start_date": 10, "status": "discontinued", "end_date": 20},  # no reason
    {
        "days": [10, 14],
        "start_date": 10,
        "status": "discontinued",
        "end_date": 20,
        "end_reason": "cost",
    },
    {"days": [10, 11, 12, 13, 14], "start_date": 10},  # came to all
]


def test_dropouts_without_a_recorded_reason_are_told_apart(build: Callable[..., Dataset]) -> None:
    result = dropout_reasons(build(UNRECORDED))
    rows = result.estimates.query("estimand == 'cumulative_incidence' and time == 3")
    found = dict(zip(rows["reason"], rows["estimate"], strict=True))
    assert found == pytest.approx(
        {"cost": 1 / 4, "overdue": 1 / 4, "not recorded": 1 / 4, "all reasons": 3 / 4}
    )
    labels = result.spec["labels"]["reason"]
    assert [labels[reason] for reason in found] == [
        "Cost",
        "Overdue, no reason recorded",
        "Discontinued, no reason recorded",
        "All reasons",
    ]


@pytest.mark.parametrize("kind", KINDS)
def test_administrative_censoring_alone_makes_no_dropout(build: Callable[..., Dataset], kind: Any) -> None:
    # Courses on plan, a new one each third day: whatever the data cut, nobody has dropped out.
    plan = [{"days": [*range(first, first + 35, 7)], "start_date": first} for first in range(0, 90, 3)]
    clinic = build(plan, cut=130)
    for cut in range(100, 0, -9):
        earlier = clinic.with_cutoff(str(clinic.cutoff - pd.Timedelta(days=cut))[:10])
        for follow_up in ("settled", "all"):
            found = dropout_reasons(earlier, time=kind, follow_up=follow_up).estimates  # type: ignore[arg-type]
            assert set(found["reason"]) == {"all reasons"}
            assert found["estimate"].fillna(0).eq(0).all()
            assert found["numerator"].fillna(0).eq(0).all()


ONE = [
    {"days": [2], "start_date": 1, "status": "discontinued", "end_date": 5, "end_reason": "cost", "arm": "A"}
]
COMPLETED = [{"days": [1, 3, 5, 7, 9], "start_date": 1, "arm": arm} for arm in "AABB"]
GONE = [{"days": [], "start_date": 1, "arm": arm} for arm in "AAB"]
WAITING = [{"days": [], "start_date": 98, "arm": arm} for arm in "AB"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("completion", COMPLETIONS)
@pytest.mark.parametrize(
    "courses", [[], ONE, COMPLETED, GONE, WAITING], ids=["", "one", "all", "none", "due"]
)
def test_limits_have_rows_with_notes(
    build: Callable[..., Dataset], courses: list[Any], kind: Any, completion: Any
) -> None:
    clinic = build(courses)
    for by in (None, "arm"):
        found = dropout_reasons(clinic, by=by, time=kind, completion=completion).estimates
        kept = retention(clinic, by=by, time=kind).estimates
        for frame in (found, kept):
            known = frame["estimate"].notna() | frame["statistic"].notna()
            assert frame.loc[~known, "note"].ne("").all()
            assert frame.empty == (not courses and by is not None)
        if by and courses:
            assert (kept["arm"] == "all groups").sum() == 1
    whole = dropout_reasons(clinic, time=kind).estimates
    last = whole[(whole["reason"] == "all reasons")]["estimate"].iloc[-1]
    expected = {"session": [np.nan, 1, 0, 1, np.nan], "day": [np.nan, 1, 0, np.nan, np.nan]}[kind]
    place = [[], ONE, COMPLETED, GONE, WAITING].index(courses)
    assert last == pytest.approx(expected[place], nan_ok=True)


@pytest.mark.parametrize(
    ("courses", "sessions", "note"),
    [(COMPLETED, 5, "no event before tau"), (GONE, 0, "everybody dropped out at one time")],
)
def test_restricted_mean_at_its_limits(
    build: Callable[..., Dataset], courses: list[Any], sessions: int, note: str
) -> None:
    row = retention(build(courses)).cell(estimand="restricted_mean")
    assert row["estimate"] == sessions
    assert note in row["note"]
    assert np.isnan(row["conf_low"])


def test_restricted_mean_is_not_given_past_the_last_time_at_risk(clinic: Dataset) -> None:
    kept = retention(clinic, by="arm", time="session", follow_up="all", tau=40).estimates
    means = kept[kept["estimand"] == "restricted_mean"]
    assert means["estimate"].isna().all()
    assert means["note"].str.contains("past the last observed time").all()
    three = retention(clinic, time="session", follow_up="all", tau=3)
    curve = three.estimates.query("estimand == 'retention' and time <= 3")["estimate"]
    assert three.cell(estimand="restricted_mean")["estimate"] == pytest.approx(curve.sum(), rel=1e-12)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"strata": "site"}, "name the groups with by="),
        ({"by": "arm", "strata": "arm"}, "each grouping column once"),
        ({"by": "arm", "strata": "sites"}, "no column 'sites'"),
        ({"tau": 0}, "tau == 0, must be above 0"),
        ({"tau": float("nan")}, "tau == nan"),
        ({"tau": 2.5}, "a whole number, found 2.5"),
    ],
)
def test_retention_checks_strata_and_horizon(clinic: Dataset, arguments: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        retention(clinic, **arguments)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"by": "reason"}, "cannot group by 'reason'"),
        ({"completion": "cured"}, "completion 'cured' is unknown"),
        ({"time": "week"}, "time is one of session, day"),
        ({"conf_level": 95}, "conf_level == 95"),
    ],
)
def test_dropout_reasons_checks_its_arguments(clinic: Dataset, arguments: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        dropout_reasons(clinic, **arguments)
