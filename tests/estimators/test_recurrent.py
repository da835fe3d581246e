"""Repeated events against R (survfit, coxph), hand calculation, simulated truth and properties."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mesostats.estimators.recurrent import (
    RecurrentTotals,
    compare_mean_functions,
    mean_cumulative_curve,
    mean_cumulative_function,
)

REFERENCE = Path(__file__).parents[1] / "reference"
SUBJECTS = pd.read_csv(REFERENCE / "recurrent_subjects.csv")
EVENTS = pd.read_csv(REFERENCE / "recurrent_events.csv")
CURVES = pd.read_csv(REFERENCE / "mean_cumulative_function.csv")
TESTS = pd.read_csv(REFERENCE / "compare_mean_functions.csv")
COLUMNS = [
    *["time", "at_risk", "events", "censored", "estimate", "std_error", "conf_low", "conf_high"],
    *["conf_level", "method", "note"],
]

subject = st.tuples(st.integers(1, 9), st.lists(st.floats(0, 1), max_size=4), st.sampled_from("abc"))
subjects = st.lists(subject, min_size=1, max_size=12)


def unzipped(subjects: list) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return times of events, their subjects, ends and groups; each event at a whole day up to the end."""
    ends = np.array([end for end, _, _ in subjects])
    times = np.array([round(part * end) for end, parts, _ in subjects for part in parts], dtype=float)
    owner = np.array([place for place, (_, parts, _) in enumerate(subjects) for _ in parts], dtype=int)
    return times, owner, ends, np.array([group for _, _, group in subjects])


def of_set(name: str) -> tuple[pd.Series, pd.Series, pd.Series, pd.Series]:
    events, people = EVENTS[EVENTS["set"] == name], SUBJECTS[SUBJECTS["set"] == name]
    return events["time"], events["id"] - 1, people["end"], people["group"]


@pytest.mark.parametrize("name", list(SUBJECTS["set"].unique()))
def test_mean_cumulative_function_agrees_with_r(name: str) -> None:
    time, owner, end, _ = of_set(name)
    expected = CURVES[CURVES["set"] == name]
    found = mean_cumulative_function(time, owner, end)
    assert found["time"].tolist() == expected["time"].tolist()
    np.testing.assert_allclose(found["estimate"], expected["estimate"], rtol=1e-8)
    # R's variance has no small-sample factor; of one subject it is 0 in R, and unknown here.
    n = expected["subjects"].where(expected["subjects"] > 1)
    errors = expected["std_error"] * np.sqrt(n / (n - 1))
    errors = np.where(expected["estimate"] > 0, errors, 0)
    np.testing.assert_allclose(found["std_error"], errors, rtol=1e-8, atol=1e-12)
    assert (found["note"] == "").tolist() == expected["conf_low"].notna().tolist()
    for limit in ("conf_low", "conf_high"):
        np.testing.assert_allclose(found[limit], expected[limit], rtol=1e-8)


def test_mean_cumulative_function_by_hand() -> None:
    # Two subjects, seen for 4 and 6 days; the first has two events on day 2, the second one on day 6.
    found = mean_cumulative_function([2, 2, 6], [0, 0, 1], [4, 6])
    assert list(found.columns) == COLUMNS
    assert found["at_risk"].tolist() == [2, 2, 1]
    assert found["events"].tolist() == [2, 0, 1]
    assert found["censored"].tolist() == [0, 1, 1]
    assert found["estimate"].tolist() == [1, 1, 2]
    # On day 2: residuals (2 - 1)/2 and (0 - 1)/2, squared and summed 1/2, times 2/1. On day 6 the one at risk is the mean:
    # no more.
    assert found["std_error"].tolist() == pytest.approx([1] * 3)


def test_mean_cumulative_function_notes_where_there_is_no_interval() -> None:
    found = mean_cumulative_function([3, 3], [0, 1], [2 + 2, 5])
    assert found["note"].tolist() == ["all subjects had the same events: no variance to see"] * 3
    assert found["conf_low"].isna().all()
    none = mean_cumulative_function([], [], [3, 4])
    assert none["note"].tolist() == ["no event so far: the interval cannot be estimated"] * 2
    assert none["estimate"].tolist() == [0, 0]
    alone = mean_cumulative_function([1], [0], [3])
    assert alone["note"].tolist() == ["one subject: no variance to see"] * 2
    assert alone[["std_error", "conf_low", "conf_high"]].isna().all(axis=None)
    assert mean_cumulative_function([], [], []).empty


@given(subjects=subjects)
def test_mean_cumulative_function_is_the_sum_of_squared_residuals(subjects: list) -> None:
    """The sums are those that the definition gives, subject by subject."""
    time, owner, end, _ = unzipped(subjects)
    found = mean_cumulative_function(time, owner, end)
    days = np.unique(np.concatenate([time, end]))
    at_risk = (end[:, np.newaxis] >= days).astype(float)
    events = np.array([[np.sum((owner == i) & (time == day)) for day in days] for i in range(len(end))])
    n = at_risk.sum(axis=0)
    residual = np.cumsum((events - at_risk * events.sum(axis=0) / n) / n, axis=1)
    np.testing.assert_allclose(found["estimate"], np.cumsum(events.sum(axis=0) / n), rtol=1e-10)
    factor = len(end) / (len(end) - 1) if len(end) > 1 else np.nan
    variance = np.where(found["estimate"] > 0, (residual**2).sum(axis=0) * factor, 0)
    np.testing.assert_allclose(found["std_error"], np.sqrt(variance), rtol=1e-6, atol=1e-6)


@given(subjects=subjects.filter(lambda drawn: len(drawn) > 1), copies=st.integers(2, 6))
def test_mean_cumulative_function_narrows_with_more_subjects(subjects: list, copies: int) -> None:
    few, many = (mean_cumulative_function(*unzipped(subjects * times)[:3]) for times in (1, copies))
    np.testing.assert_allclose(few["estimate"], many["estimate"], rtol=1e-10)
    n = len(subjects)
    ratio = np.sqrt((copies * n - 1) / (n - 1))
    np.testing.assert_allclose(few["std_error"], many["std_error"] * ratio, rtol=1e-5, atol=1e-5)


def test_mean_cumulative_function_covers_the_truth_though_events_of_a_subject_are_alike() -> None:
    # Gamma frailty of variance 1 and rate 0.1 a day over 20 days: the mean is 2. 150 subjects, 400 times.
    rng = np.random.default_rng(20240501)
    covered = 0
    for _ in range(400):
        number = rng.poisson(rng.gamma(1.0, 1.0, 150) * 2)
        owner = np.repeat(np.arange(150), number)
        last = mean_cumulative_function(rng.integers(1, 21, len(owner)), owner, np.full(150, 20)).iloc[-1]
        covered += last["conf_low"] <= 2 <= last["conf_high"]
    assert 0.92 <= covered / 400 <= 0.975


@pytest.mark.parametrize("name", list(TESTS["set"]))
def test_compare_mean_functions_agrees_with_r(name: str) -> None:
    expected = TESTS[TESTS["set"] == name].iloc[0]
    found = compare_mean_functions(*of_set(name)).iloc[0]
    assert found["statistic"] == pytest.approx(expected["statistic"], rel=1e-8)
    assert found["df"] == expected["df"]
    assert found["p_value"] == pytest.approx(expected["p_value"], rel=1e-7)


@given(subjects=subjects)
def test_compare_mean_functions_takes_subjects_without_events_together(subjects: list) -> None:
    time, owner, end, group = unzipped(subjects)
    more_end, more_group = np.concatenate([end, end]), np.concatenate([group, group])
    doubled = compare_mean_functions(time, owner, more_end, more_group)
    weights = np.ones(len(more_end), dtype=int)
    weights[: len(end)][np.bincount(owner, minlength=len(end)) == 0] = 2
    weights[len(end) :][np.bincount(owner, minlength=len(end)) == 0] = 0
    weighted = compare_mean_functions(time, owner, more_end, more_group, weights=weights)
    np.testing.assert_allclose(weighted["statistic"], doubled["statistic"], rtol=1e-6, atol=1e-9)
    assert weighted[["df", "note"]].iloc[0].tolist() == doubled[["df", "note"]].iloc[0].tolist()


@pytest.mark.parametrize(
    ("time", "owner", "end", "group", "note"),
    [
        ([1], [0], [2, 3], ["a", "a"], "one group: nothing to compare"),
        ([], [], [2, 3], ["a", "b"], "no events"),
        ([], [], [], [], "no observations"),
        (
            [2, 2],
            [0, 1],
            [2, 2],
            ["a", "b"],
            "the events could not have fallen otherwise: nothing to compare",
        ),
    ],
)
def test_compare_mean_functions_without_information_is_missing_with_a_note(
    time: list, owner: list, end: list, group: list, note: str
) -> None:
    found = compare_mean_functions(time, owner, end, group).iloc[0]
    assert np.isnan(found["statistic"])
    assert np.isnan(found["p_value"])
    assert found["note"] == note


def test_recurrent_estimators_refuse_wrong_arguments() -> None:
    with pytest.raises(ValueError, match="1 events come after the end of their subject"):
        mean_cumulative_function([5], [0], [4])
    with pytest.raises(ValueError, match="1 values that are no place in end, which has 1"):
        mean_cumulative_function([1], [1], [4])
    with pytest.raises(ValueError, match="conf_level == 2"):
        mean_cumulative_function([1], [0], [4], conf_level=2)
    with pytest.raises(ValueError, match="weights must be 1 for every subject with an event"):
        compare_mean_functions([1], [0], [4, 4], ["a", "b"], weights=[2, 1])
    with pytest.raises(ValueError, match="time must ascend"):
        RecurrentTotals(*(np.array([1.0, 1.0]) for _ in range(5)))


def test_totals_give_the_curve_and_leave_their_input_unchanged() -> None:
    time, owner, end = np.array([2.0, 1.0, 2.0]), np.array([1, 0, 1]), np.array([4.0, 6.0])
    curve = mean_cumulative_curve(RecurrentTotals.from_arrays(time, owner, end))
    pd.testing.assert_frame_equal(curve, mean_cumulative_function(time, owner, end))
    assert time.tolist() == [2.0, 1.0, 2.0]
    assert owner.tolist() == [1, 0, 1]
    assert end.tolist() == [4.0, 6.0]
