"""Exact tests of lots against R (fisher.test, mantelhaen.test, coin, every permutation), hand calculation and properties."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from mesostats.estimators import cluster_tests
from mesostats.estimators.cluster_tests import permutation_test

REFERENCE = Path(__file__).parents[1] / "reference"
COLUMNS = [
    "units",
    "others",
    "observed",
    "expected",
    "std_error",
    "statistic",
    "p_value",
    "method",
    "note",
]

units = st.lists(
    st.tuples(st.integers(0, 3), st.booleans(), st.integers(1, 2)),  # score, exposed, stratum
    min_size=1,
    max_size=12,
)


def reference(file: str, name: str) -> pd.DataFrame:
    cases = pd.read_csv(REFERENCE / f"{file}.csv")
    return cases[cases["set"].eq(name)]


def from_tables(cases: pd.DataFrame) -> dict[str, Any]:
    """Turn a row a stratum (a of n1 exposed, c of n0 others have an event) into four weighted elements a stratum."""
    parts = [
        (1, 1, cases["a"]),
        (0, 1, cases["n1"] - cases["a"]),
        (1, 0, cases["c"]),
        (0, 0, cases["n0"] - cases["c"]),
    ]
    return {
        "score": np.repeat([score for score, _, _ in parts], len(cases)),
        "exposed": np.repeat([exposed for _, exposed, _ in parts], len(cases)),
        "weights": np.concatenate([number for _, _, number in parts]),
        "strata": np.tile(cases["stratum"], 4),
    }


@pytest.mark.parametrize(
    "name", ["balearics", "france", "tea", "none_exposed_hit", "rabbits", "lots", "admissions"]
)
def test_scores_of_0_and_1_agree_with_fisher_and_the_exact_cochran_mantel_haenszel_test(name: str) -> None:
    cases = reference("lot_tables", name)
    found = permutation_test(**from_tables(cases)).iloc[0]
    np.testing.assert_allclose(found["p_value"], cases["p_value"].iloc[0], rtol=1e-8)
    np.testing.assert_allclose(found["expected"], cases["expected"].iloc[0], rtol=1e-8)
    np.testing.assert_allclose(found["std_error"] ** 2, cases["variance"].iloc[0], rtol=1e-8)
    assert found["observed"] == cases["a"].sum()
    assert found["units"] == cases["n1"].sum()
    assert found["others"] == cases["n0"].sum()


@pytest.mark.parametrize("name", ["one", "many", "strata"])
def test_scores_of_any_size_agree_with_r(name: str) -> None:
    cases = reference("lot_scores", name)
    found = permutation_test(cases["score"], cases["exposed"], strata=cases["stratum"]).iloc[0]
    np.testing.assert_allclose(found["p_value"], cases["p_value"].iloc[0], rtol=1e-8)
    np.testing.assert_allclose(found["expected"], cases["expected"].iloc[0], rtol=1e-8)
    np.testing.assert_allclose(found["std_error"] ** 2, cases["variance"].iloc[0], rtol=1e-8)


def every_sum(score: np.ndarray, exposed: np.ndarray, strata: np.ndarray) -> np.ndarray:
    """Return the sum over the exposed of every assignment within strata."""
    sums = np.zeros(1)
    for stratum in np.unique(strata):
        of = strata == stratum
        ways = itertools.combinations(score[of], int(exposed[of].sum()))
        sums = np.add.outer(sums, [sum(way) for way in ways]).ravel()
    return sums


@settings(max_examples=40, deadline=None)
@given(units)
def test_p_value_is_the_share_of_assignments_with_as_many_events(rows: list[tuple[int, bool, int]]) -> None:
    score, exposed, strata = (np.array(each) for each in zip(*rows, strict=True))
    found = permutation_test(score, exposed, strata=strata).iloc[0]
    if found["units"] == 0:
        assert np.isnan(found["p_value"])
    else:
        share = np.mean(every_sum(score, exposed, strata) >= score[exposed].sum())
        assert found["p_value"] == pytest.approx(share, rel=1e-9)


@settings(max_examples=40, deadline=None)
@given(units, st.randoms())
def test_order_of_elements_does_not_matter(rows: list[tuple[int, bool, int]], random: Any) -> None:
    shuffled = random.sample(rows, len(rows))
    one, other = (
        permutation_test(*zip(*[(y, e) for y, e, _ in each], strict=True), strata=[s for _, _, s in each])
        for each in (rows, shuffled)
    )
    pd.testing.assert_frame_equal(one, other)


@settings(max_examples=40, deadline=None)
@given(units)
def test_weights_are_repeated_units(rows: list[tuple[int, bool, int]]) -> None:
    table = pd.DataFrame(rows, columns=["score", "exposed", "stratum"])
    counted = table.value_counts().reset_index(name="n")
    whole = permutation_test(table["score"], table["exposed"], strata=table["stratum"])
    weighted = permutation_test(
        counted["score"], counted["exposed"], strata=counted["stratum"], weights=counted["n"]
    )
    pd.testing.assert_frame_equal(whole, weighted)


def test_tests_made_at_once_are_those_made_alone() -> None:
    rng = np.random.default_rng(2)
    rows = pd.DataFrame(
        {
            "score": rng.poisson(0.4, 300),
            "exposed": rng.random(300) < 0.3,
            "stratum": rng.integers(0, 4, 300),
            "lot": rng.choice(["A", "B", "C"], 300),
        }
    )
    together = permutation_test(rows["score"], rows["exposed"], strata=rows["stratum"], group=rows["lot"])
    assert list(together.index) == ["A", "B", "C"]
    for lot, part in rows.groupby("lot"):
        alone = permutation_test(part["score"], part["exposed"], strata=part["stratum"])
        pd.testing.assert_series_equal(together.loc[lot], alone.iloc[0], check_names=False)


def test_one_more_event_of_an_exposed_unit_lowers_the_p_value() -> None:
    exposed = [1] * 5 + [0] * 20
    p_values = [
        permutation_test([*[1] * k, *[0] * (5 - k), 1, *[0] * 19], exposed)["p_value"].item()
        for k in range(6)
    ]
    assert p_values == sorted(p_values, reverse=True)
    assert p_values[0] == 1
    # By hand: 6 of 25 have the event; all 5 exposed are among them in C(6, 5) of C(25, 5) = 53130 draws.
    assert p_values[5] == pytest.approx(6 / 53130)


def test_strata_without_others_tell_nothing() -> None:
    # Stratum 2 has exposed units only: its events neither raise the observed number nor the expected one.
    found = permutation_test([1, 0, 0, 5, 5], [1, 0, 0, 1, 1], strata=[1, 1, 1, 2, 2]).iloc[0]
    assert (found["units"], found["others"], found["observed"]) == (1, 2, 1)
    assert found["expected"] == pytest.approx(1 / 3)
    assert found["p_value"] == pytest.approx(1 / 3)


def test_a_stratum_whose_units_do_not_differ_changes_nothing_but_the_counts() -> None:
    found = permutation_test([1, 0, 0, 1, 1], [1, 0, 0, 1, 0], strata=[1, 1, 1, 2, 2]).iloc[0]
    assert (found["observed"], found["expected"]) == (2, pytest.approx(4 / 3))
    assert found["p_value"] == pytest.approx(1 / 3)


def test_degenerate_input_is_told_apart() -> None:
    alone = permutation_test([1, 0], [1, 1]).iloc[0]
    assert alone["note"] == "no exposed unit has others to be compared with"
    assert np.isnan([alone["statistic"], alone["p_value"]]).all()
    alike = permutation_test([0, 0, 0], [1, 0, 0]).iloc[0]
    assert alike["note"] == "units that are compared do not differ in events"
    assert alike["p_value"] == 1
    assert np.isnan(alike["statistic"])
    assert permutation_test([], []).empty
    assert list(permutation_test([], []).columns) == COLUMNS


def test_large_counts_are_taken_as_normal_and_say_so(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(3)
    score, exposed = rng.poisson(0.5, 2000), rng.random(2000) < 0.3
    strata = rng.integers(0, 4, 2000)
    exact = permutation_test(score, exposed, strata=strata).iloc[0]
    monkeypatch.setattr(cluster_tests, "_WORK", 1.0)
    normal = permutation_test(score, exposed, strata=strata).iloc[0]
    assert exact["method"] == "exact stratified permutation test, one-sided for more events"
    assert normal["method"].endswith("normal approximation for large counts")
    assert normal["p_value"] == pytest.approx(exact["p_value"], rel=0.01)


def test_the_distribution_adds_up_to_one_for_many_units() -> None:
    # Chances are products of thousands of factors: those of the smallest sum and above are all of them.
    sizes, scores = np.array([900, 70, 30]), np.array([0, 1, 2])
    stratum = cluster_tests._Stratum(scores, sizes, 100)
    chances = cluster_tests._sum_chances(stratum)
    assert chances.sum() == pytest.approx(1, abs=1e-10)
    assert chances @ np.arange(len(chances)) == pytest.approx(100 * 130 / 1000)  # the mean score is 0.13


def frail_patients(rng: np.random.Generator, n: int) -> pd.DataFrame:
    """Return patients with 1 to 8 sessions in one of two clinics, each a stretch of time with lots in turn.

    Lots are alike; events come more often in frail patients and in the second clinic, and may end the course.
    """
    clinic, start = rng.integers(0, 2, n), rng.integers(0, 50, n)
    frailty = rng.gamma(0.2, 5.0, n)
    rate = np.minimum(0.15 * frailty * (1 + clinic), 0.9)[:, None]
    hit = rng.random((n, 8)) < rate
    stays = rng.random((n, 8)) < np.where(hit, 0.8, 0.9)
    held = np.column_stack([np.ones(n, bool), np.cumprod(stays[:, :-1], axis=1).astype(bool)])
    patient, session = np.nonzero(held)
    lot = (start[patient] + 2 * session) // 13
    return pd.DataFrame(
        {"patient": patient, "clinic": clinic[patient], "lot": lot, "hit": hit[patient, session]}
    )


def test_false_alarms_stay_at_their_rate_under_frailty_where_a_test_of_sessions_fails() -> None:
    rng = np.random.default_rng(11)
    n, size = 400, 160  # chains of clinics, each of so many patients
    sessions = frail_patients(rng, n * size)
    # Some patients got lot 2 and the others did not; each patient counts once, with the sessions of one lot.
    pairs = sessions.groupby(["patient", "lot"], as_index=False).agg(
        clinic=("clinic", "first"), k=("hit", "size"), score=("hit", "sum")
    )
    exposed = pairs[pairs["lot"].eq(2)].assign(exposed=1)
    others = pairs[~pairs["patient"].isin(exposed["patient"])].sort_values("k", kind="stable")
    both = pd.concat([exposed, others.drop_duplicates("patient", keep="last").assign(exposed=0)])
    found = permutation_test(
        both["score"], both["exposed"], strata=both["clinic"] * 100 + both["k"], group=both["patient"] // size
    )
    # Fisher's test of sessions, one chain each.
    chain = sessions["patient"] // size
    with_lot = sessions[sessions["lot"].eq(2)].groupby(chain)["hit"].agg(["sum", "size"])
    whole = sessions.groupby(chain)["hit"].agg(["sum", "size"])
    naive = stats.hypergeom.sf(with_lot["sum"] - 1, whole["size"], whole["sum"], with_lot["size"])

    assert len(found) == len(naive) == n
    error = np.sqrt(0.05 * 0.95 / n)
    assert (found["p_value"] <= 0.05).mean() <= 0.05 + 2 * error
    assert (naive <= 0.05).mean() >= 0.05 + 4 * error


def test_inputs_are_not_changed() -> None:
    score, exposed = np.array([2, 0, 1]), np.array([True, False, False])
    permutation_test(score, exposed)
    assert score.tolist() == [2, 0, 1]
    assert exposed.tolist() == [True, False, False]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"score": [1.5, 0]}, "score has 1 values that are not whole"),
        ({"exposed": [2, 0]}, "exposed has 1 values other than 0 and 1"),
        ({"weights": [1]}, "lengths differ"),
        ({"strata": ["A", None]}, "strata has 1 missing values"),
    ],
)
def test_permutation_test_refuses_wrong_arguments(arguments: dict[str, Any], message: str) -> None:
    given: dict[str, Any] = {"score": [1, 0], "exposed": [1, 0]} | arguments
    with pytest.raises(ValueError, match=message):
        permutation_test(**given)
