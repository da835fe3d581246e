"""The nonparametric maximum for interval-censored times, against R, by hand, and by the condition that defines it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mesostats.estimators import kaplan_meier, proportion
from mesostats.estimators.interval_censored import turnbull, turnbull_quantile
from mesostats.estimators.interval_mass import most_likely_mass, support

REFERENCE = Path(__file__).parents[1] / "reference"
SEEN = pd.read_csv(REFERENCE / "interval_censored.csv")
ESTIMATES = pd.read_csv(REFERENCE / "turnbull.csv")
ERRORS = pd.read_csv(REFERENCE / "turnbull_errors.csv")
SETS = sorted(SEEN["set"].unique())


def seen(name: str) -> tuple[pd.Series, pd.Series]:
    rows = SEEN[SEEN["set"] == name]
    return rows["left"], rows["right"].fillna(np.inf)


def step(name: str, times: pd.Series, column: str) -> np.ndarray:
    """Return R's curve at given times; its jumps stand in the middles of the intervals."""
    rows = ESTIMATES[ESTIMATES["set"] == name]
    return rows[column].to_numpy()[np.searchsorted(rows["time"], times, side="right") - 1]


@pytest.mark.parametrize("name", SETS)
def test_estimate_is_the_maximum_and_that_of_survfit(name: str) -> None:
    found = turnbull(*seen(name), samples=0)
    # R's masses that go to 0 do so slowly: they leave some 1e-7.
    assert found["estimate"].to_numpy() == pytest.approx(step(name, found["time"], "estimate"), abs=2e-6)
    # survfit() stops when the curve changes by less than 5e-5.
    assert found["estimate"].to_numpy() == pytest.approx(step(name, found["time"], "survfit"), abs=3e-3)
    assert found["mass"].sum() + found["estimate"].iloc[-1] == pytest.approx(1)


@pytest.mark.parametrize("name", sorted(ERRORS["set"].unique()))
def test_standard_error_is_that_of_the_information(name: str) -> None:
    rows = ERRORS[ERRORS["set"] == name]
    found = turnbull(*seen(name), samples=0)
    # R's Hessian is numerical: relative differences of up to 5e-4 are its own.
    assert found["std_error"].to_numpy() == pytest.approx(rows["std_error"].to_numpy(), rel=1e-3)


def test_three_visits_by_hand() -> None:
    # 2 of 4 in (0, 10], 1 in (10, 20], 1 later: multinomial shares and errors, S(10) = 1/2, S(20) = 1/4.
    found = turnbull([0, 0, 10, 20], [10, 10, 20, np.inf], samples=0)
    assert found["mass"].tolist() == pytest.approx([0.5, 0.25])
    assert found["std_error"].tolist() == pytest.approx([np.sqrt(0.25 / 4), np.sqrt(0.1875 / 4)])


def test_an_overlap_is_shared_by_likelihood() -> None:
    # (0, 10], (0, 20], (10, 20]: p²... the likelihood p·1·(1 - p) is largest at 1/2.
    found = turnbull([0, 0, 10], [10, 20, 20], samples=0)
    assert found["mass"].tolist() == pytest.approx([0.5, 0.5])
    assert found["estimate"].tolist() == pytest.approx([0.5, 0.0])


def test_exact_times_are_kaplan_meiers() -> None:
    time, event = np.array([2.0, 5, 5, 8, 9, 11]), np.array([1, 1, 0, 1, 0, 1])
    found = turnbull(time, np.where(event == 1, time, np.inf), samples=0)
    curve = kaplan_meier(time, event).query("events > 0")
    assert found["time"].tolist() == curve["time"].tolist()
    assert found["estimate"].to_numpy() == pytest.approx(curve["estimate"].to_numpy(), abs=1e-7)
    finite = curve["std_error"].notna().to_numpy()
    # Greenwood's variance is that of the information.
    assert found["std_error"].to_numpy()[finite] == pytest.approx(
        curve["std_error"].to_numpy()[finite], rel=1e-6
    )


def test_weights_are_persons() -> None:
    left, right = [0, 0, 10, 20], [10, 20, 20, np.inf]
    once = turnbull(np.repeat(left, 3), np.repeat(right, 3), samples=0)
    pd.testing.assert_frame_equal(turnbull(left, right, [3, 3, 3, 3], samples=0), once)
    assert len(turnbull(left, right, [0, 0, 0, 0])) == 0


def test_clusters_of_one_have_nearly_the_same_error_and_doubles_a_larger_one() -> None:
    left, right = seen("often")
    plain = turnbull(left, right, samples=0)
    single = turnbull(left, right, clusters=np.arange(len(left)), samples=0)
    # Of a multinomial the sandwich is the inverse information; here times k/(k - 1).
    k = len(left)
    assert single["std_error"].to_numpy() == pytest.approx(
        plain["std_error"] * np.sqrt(k / (k - 1)), rel=1e-5
    )
    doubled = turnbull(
        np.repeat(left, 2), np.repeat(right, 2), clusters=np.repeat(np.arange(k), 2), samples=0
    )
    assert doubled["std_error"].to_numpy() == pytest.approx(single["std_error"].to_numpy(), rel=1e-5)
    assert single["df"].eq(k - 1).all()


def test_interval_reaches_as_far_as_the_bootstrap() -> None:
    # One early visit draws all mass before day 30 to day 3. The data hold one response by day 3: as a share of 20 it may be
    # nearly nothing, which the information of the masses above 0 does not see.
    left, right = np.zeros(20), np.r_[3.0, np.full(9, 30.0), np.full(10, np.inf)]
    left[10:] = 30
    sure, wide = turnbull(left, right, samples=0).iloc[0], turnbull(left, right).iloc[0]
    assert 1 - sure["estimate"] == pytest.approx(0.5)
    assert 1 - sure["conf_high"] > 0.25
    assert 1 - wide["conf_high"] < 0.05
    assert wide["conf_low"] <= sure["conf_low"]
    assert turnbull(left, right).equals(turnbull(left, right))  # the seed is fixed


def test_coverage_where_visits_are_few() -> None:
    # Half respond on an exponential day; one visit about day 110, one in four an earlier one: 95 % intervals at day 40 and 110.
    rng, hits, known = np.random.default_rng(1), np.zeros(2), np.zeros(2)
    for _ in range(120):
        response = np.where(rng.random(60) < 0.5, np.inf, rng.exponential(45, 60))
        early, late = rng.integers(7, 100, 60), rng.integers(100, 121, 60)
        early = np.where(rng.random(60) < 0.25, early, late)
        by_early, by_late = response <= early, response <= late
        right = np.where(by_early, early, np.where(by_late, late, np.inf))
        left = np.where(by_early, 0, np.where(by_late & (early < late), early, np.where(by_late, 0, late)))
        curve = turnbull(left, right, samples=60)
        for place, day in enumerate((40, 110)):
            rows = curve[(curve["time"] <= day) & curve["conf_low"].notna()].tail(1)
            truth = 1 - 0.5 * (1 - np.exp(-day / 45))
            known[place] += len(rows)
            hits[place] += (rows["conf_low"].le(truth) & rows["conf_high"].ge(truth)).sum()
    assert (known > 60).all()
    assert (hits / known > 0.91).all()  # four standard errors of 120 below .95 are .87


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 12), st.integers(1, 9), st.booleans()), min_size=1, max_size=40))
def test_kuhn_tucker_condition_holds(observed: list[tuple[int, int, bool]]) -> None:
    left = np.array([start for start, _, _ in observed], dtype=float)
    right = np.array([np.inf if never else start + long for start, long, never in observed])
    found = support(left, right)
    mass, gap = most_likely_mass(found, np.ones(len(left)))
    pull = found.covering(1 / found.probability(np.append(0, np.cumsum(mass)))) / len(left)
    assert gap <= 1e-9
    assert pull.max() <= 1 + 1e-8
    assert pull[mass > 1e-3] == pytest.approx(1, abs=1e-4)
    assert mass.sum() == pytest.approx(1)


@pytest.mark.parametrize("right", [[np.inf, np.inf], []])
def test_without_events_there_is_no_row(right: list[float]) -> None:
    found = turnbull([5.0, 9.0][: len(right)], right)
    assert found.empty
    assert "estimate" in found
    median = turnbull_quantile(found)
    assert median["estimate"].isna().all()
    assert median["note"].item() == "not reached"


def test_all_at_the_first_visit() -> None:
    found = turnbull([0, 0, 0], [7, 7, 7])
    assert found[["begins", "time", "mass", "estimate"]].to_numpy().tolist() == [[0, 7, 1, 0]]
    assert found["conf_low"].isna().all()
    assert "nobody left" in found["note"].item()
    assert turnbull_quantile(found)["estimate"].item() == 3.5


def test_one_cluster_has_no_interval() -> None:
    found = turnbull([0, 0, 10, 20], [10, 10, 20, np.inf], clusters=["a"] * 4)
    assert found["conf_low"].isna().all()
    assert found["note"].str.contains("one cluster").all()


def test_median_by_hand() -> None:
    left, right = np.repeat([0, 10, 20], [30, 40, 30]), np.repeat([10, 20, np.inf], [30, 40, 30])
    found = turnbull_quantile(turnbull(left, right, samples=0)).iloc[0]
    # S is 0.7 after 10 and 0.3 after 20; of 100 both intervals leave 1/2 out (about 0.60 to 0.78 and 0.22 to 0.40).
    assert (found["estimate"], found["conf_low"], found["conf_high"]) == (15, 10, 20)
    assert found["note"] == "between 10 and 20"
    assert proportion(70, 100)["conf_low"].item() > 0.5


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([5], [3]), "right is before left in 1 elements"),
        (([-1], [3]), "left has 1 negative"),
        (([1], [np.nan]), "right has 1 missing"),
        (([1, 2], [3]), "lengths differ"),
    ],
)
def test_arguments_are_checked(arguments: tuple[list[float], list[float]], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        turnbull(*arguments)
    with pytest.raises(ValueError, match="conf_level"):
        turnbull([1], [2], conf_level=1)
    with pytest.raises(ValueError, match="q == 1"):
        turnbull_quantile(turnbull([1], [2]), 1)


def test_inputs_are_unchanged() -> None:
    left, right = np.array([0.0, 5.0]), np.array([5.0, np.inf])
    turnbull(left, right)
    assert left.tolist() == [0, 5]
    assert right.tolist() == [5, np.inf]


def test_a_fall_that_rests_on_the_last_of_twenty_is_noted() -> None:
    # Nineteen free of it at 10, the twentieth at 50 and not at 60: all mass is in (50, 60], whoever the others are.
    for censored, noted in ((19, True), (9, False)):  # 1 of 20; 1 of 10 is a tenth
        curve = turnbull([10.0] * censored + [50], [np.inf] * censored + [60])
        row = curve.iloc[0]
        assert [row["time"], row["mass"], row["estimate"], row["at_risk"]] == [60, 1, 0, 1]
        words = f"rests on 1 of {censored + 1} still followed, fewer than 10 %"
        assert (words in row["note"]) == noted
        assert (words in turnbull_quantile(curve)["note"].item()) == noted


def test_what_lies_beyond_the_last_visit_is_in_no_row() -> None:
    # One of twenty in (0, 10], nineteen still free of it at 70: 19/20 of the mass lies beyond.
    curve = turnbull([0.0] + [70.0] * 19, [10.0] + [np.inf] * 19)
    assert curve[["time", "estimate", "at_risk"]].to_numpy().tolist() == [[10, pytest.approx(0.95), 20]]
    assert curve["note"].tolist() == [""]


def test_persons_at_risk_are_those_last_seen_then_or_later() -> None:
    # As in Kaplan-Meier of the time at which each was last seen: 3, 5 (event), 5, 8 (event); at risk at 5: 3, at 8: 1.
    curve = turnbull([3, 2, 5, 7], [np.inf, 5, np.inf, 8])
    assert dict(zip(curve["time"], curve["at_risk"], strict=True)) == {5.0: 3.0, 8.0: 1.0}
