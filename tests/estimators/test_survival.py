"""Survival against R (survfit, quantile.survfit, prop.test), published tables, hand calculation and properties."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mesostats.estimators import discrete_hazard, kaplan_meier, quantile, restricted_mean

REFERENCE = Path(__file__).parents[1] / "reference"
PEOPLE = pd.read_csv(REFERENCE / "people.csv")
SETS = list(PEOPLE["set"].unique())
SETTINGS = [("log-log", 0.95), ("log", 0.95), ("log-log", 0.8)]
CURVE_COLUMNS = [
    *["time", "at_risk", "events", "censored", "estimate", "std_error", "conf_low", "conf_high"],
    *["conf_level", "method", "note"],
]
NO_EVENT = "no event so far: exact limit from those still at risk"
NOBODY_LEFT = "nobody left: standard error and interval are not defined"

person = st.tuples(st.integers(0, 12), st.booleans(), st.integers(0, 4))
people = st.lists(person, min_size=1, max_size=25)


def assert_close(
    found: pd.DataFrame, expected: pd.DataFrame, columns: list[str], *, atol: float = 1e-12
) -> None:
    for column in columns:
        np.testing.assert_allclose(found[column], expected[column], rtol=1e-8, atol=atol, err_msg=column)


def reference_curve(name: str, conf_type: str = "log-log", conf_level: float = 0.95) -> pd.DataFrame:
    rows = PEOPLE[PEOPLE["set"] == name]
    return kaplan_meier(
        rows["time"], rows["event"], rows["weight"], conf_type=conf_type, conf_level=conf_level
    )


def expected_of(file: str, name: str, conf_type: str, conf_level: float) -> pd.DataFrame:
    rows = pd.read_csv(REFERENCE / file)
    chosen = (rows["set"] == name) & (rows["conf_type"] == conf_type) & (rows["conf_level"] == conf_level)
    return rows[chosen].reset_index(drop=True)


@pytest.mark.parametrize("name", SETS)
@pytest.mark.parametrize(("conf_type", "conf_level"), SETTINGS)
def test_kaplan_meier_agrees_with_r(name: str, conf_type: str, conf_level: float) -> None:
    expected = expected_of("kaplan_meier.csv", name, conf_type, conf_level)
    assert len(expected) > 0
    found = reference_curve(name, conf_type, conf_level)
    assert len(found) == len(expected)
    assert_close(found, expected, CURVE_COLUMNS[:6])
    # Before the first event survfit() has no log-log limits, and log limits of no width: there, those of binom.test().
    exact = expected["exact_low"].notna().to_numpy()
    assert (found["note"] == NO_EVENT).tolist() == exact.tolist()
    assert expected.loc[exact, "conf_low"].isna().all() or expected.loc[exact, "conf_low"].eq(1).all()
    assert_close(found[~exact], expected[~exact], ["conf_low", "conf_high"])
    np.testing.assert_allclose(found.loc[exact, "conf_low"], expected.loc[exact, "exact_low"], rtol=1e-8)
    assert (found.loc[exact, "conf_high"] == 1).all()


def test_kaplan_meier_agrees_with_the_published_remission_curve() -> None:
    # Freireich 1963, 6-mercaptopurine; the curve as printed in Collett, Modelling Survival Data, and in
    # Kleinbaum and Klein, Survival Analysis, table 2.1.
    drug = PEOPLE[(PEOPLE["set"] == "freireich") & (PEOPLE["group"] == 1)]
    curve = kaplan_meier(drug["time"], drug["event"]).query("events > 0")
    assert list(curve["time"]) == [6, 7, 10, 13, 16, 22, 23]
    assert list(curve["estimate"].round(4)) == [0.8571, 0.8067, 0.7529, 0.6902, 0.6275, 0.5378, 0.4482]


def test_kaplan_meier_has_the_columns_and_names_the_method() -> None:
    found = kaplan_meier([1.0], [True], conf_type="log")
    assert list(found.columns) == CURVE_COLUMNS
    assert found["method"].iloc[0] == "Kaplan-Meier, Greenwood log interval"
    assert found["conf_level"].iloc[0] == 0.95


def test_kaplan_meier_notes_where_the_interval_is_not_defined() -> None:
    # Censored at 1, event at 2, last event at 3.
    found = kaplan_meier([1, 2, 3], [0, 1, 1])
    assert list(found["note"]) == [NO_EVENT, "", NOBODY_LEFT]
    assert list(found["conf_low"].isna()) == [False, False, True]
    # Of three none had the event: by hand 0.025^(1/3).
    assert found.loc[0, ["conf_low", "conf_high"]].tolist() == pytest.approx([0.025 ** (1 / 3), 1])
    assert list(found["std_error"].isna()) == [False, False, True]


def test_kaplan_meier_of_nobody_is_an_empty_curve() -> None:
    for curve in (kaplan_meier([], []), kaplan_meier([1, 2], [1, 0], [0, 0])):
        assert list(curve.columns) == CURVE_COLUMNS
        assert curve.empty


@given(people=people)
def test_kaplan_meier_with_weights_is_that_of_repeated_rows(people: list[tuple[int, bool, int]]) -> None:
    time, event, weight = (np.array(part) for part in zip(*people, strict=True))
    weighted = kaplan_meier(time, event, weight)
    repeated = kaplan_meier(np.repeat(time, weight), np.repeat(event, weight))
    pd.testing.assert_frame_equal(weighted, repeated)


@given(times=st.lists(st.integers(0, 20), min_size=1, max_size=40))
def test_kaplan_meier_without_censoring_is_the_share_with_a_longer_time(times: list[int]) -> None:
    curve = kaplan_meier(times, np.ones(len(times)))
    expected = [np.mean(np.array(times) > time) for time in curve["time"]]
    np.testing.assert_allclose(curve["estimate"], expected, atol=1e-12)


@given(people=people)
def test_kaplan_meier_falls_within_its_limits(people: list[tuple[int, bool, int]]) -> None:
    time, event, _ = (np.array(part) for part in zip(*people, strict=True))
    curve = kaplan_meier(time, event)
    assert curve["estimate"].is_monotonic_decreasing
    inside = curve[curve["note"].isin(["", NO_EVENT])]
    assert (inside["conf_low"] <= inside["estimate"]).all()
    assert (inside["estimate"] <= inside["conf_high"]).all()
    assert curve["events"].sum() + curve["censored"].sum() == len(time)


@given(people=people, factor=st.integers(2, 30))
def test_kaplan_meier_narrows_when_everybody_is_counted_more(
    people: list[tuple[int, bool, int]], factor: int
) -> None:
    time, event, _ = (np.array(part) for part in zip(*people, strict=True))
    one, many = (kaplan_meier(time, event, np.full(len(time), weight)) for weight in (1, factor))
    np.testing.assert_allclose(many["estimate"], one["estimate"], atol=1e-12)
    np.testing.assert_allclose(many["std_error"], one["std_error"] / np.sqrt(factor), atol=1e-12)


@pytest.mark.parametrize(
    ("arguments", "options", "message"),
    [
        (([-1], [1]), {}, "time has 1 negative"),
        (([np.nan], [1]), {}, "time has 1 missing"),
        (([1], [2]), {}, "event has 1 values other than 0 and 1"),
        (([1, 2], [1]), {}, "time has 2, event has 1"),
        (([1], [1], [0.5]), {}, "weights has 1 values that are not whole"),
        (([1], [1], [1, 1]), {}, "weights has 2"),
        (([1], [1]), {"conf_level": 2}, "conf_level == 2"),
        (([1], [1]), {"conf_type": "loglog"}, "conf_type 'loglog' is unknown; did you mean 'log-log'"),
    ],
)
def test_kaplan_meier_refuses_wrong_arguments(
    arguments: tuple[object, ...], options: dict[str, object], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        kaplan_meier(*arguments, **options)


def test_survival_functions_leave_their_inputs_unchanged() -> None:
    time, event = np.array([3.0, 1.0, 2.0]), np.array([True, False, True])
    curve = kaplan_meier(time, event)
    before = curve.copy(deep=True)
    quantile(curve)
    restricted_mean(curve, 2)
    pd.testing.assert_frame_equal(curve, before)
    assert list(time) == [3.0, 1.0, 2.0]
    assert list(event) == [True, False, True]


@pytest.mark.parametrize("name", SETS)
@pytest.mark.parametrize(("conf_type", "conf_level"), SETTINGS)
def test_quantile_agrees_with_r(name: str, conf_type: str, conf_level: float) -> None:
    expected = expected_of("quantile.csv", name, conf_type, conf_level)
    assert len(expected) == 6
    found = quantile(reference_curve(name, conf_type, conf_level), expected["q"])
    assert_close(found, expected, ["q", "estimate", "conf_high"])
    # Where so few are at risk before the first event that none of them need have it, the limit is earlier than R's.
    earlier = np.fmin(expected["conf_low"], expected["open_from"])
    np.testing.assert_allclose(found["conf_low"], earlier, rtol=1e-8)
    assert set(found["conf_level"]) == {conf_level}
    assert set(found["method"]) == {f"Brookmeyer-Crowley, Kaplan-Meier, Greenwood {conf_type} interval"}


@pytest.mark.parametrize(("n", "low"), [(35, 0), (36, 1)])
def test_quantile_of_few_persons_may_come_before_the_first_event(n: int, low: float) -> None:
    # 0.9^35 = 0.02503 and 0.9^36 = 0.02253: all of 35 may be free of the event when a tenth has it, of 36 not.
    times = np.arange(1, n + 1)
    assert quantile(kaplan_meier(times, np.ones(n)), 0.1)["conf_low"].iloc[0] == low
    # From day 2 on, after five were censored, there are few enough.
    late = kaplan_meier(np.append(times + 3, [2] * 5), np.append(np.ones(n), np.zeros(5)))
    assert quantile(late, 0.1)["conf_low"].iloc[0] == (2 if low == 0 else 4)


def test_quantile_notes_what_is_not_reached() -> None:
    curve = kaplan_meier([1, 2, 3, 4, 5, 6], [1, 1, 0, 0, 0, 0])
    found = quantile(curve, [0.2, 0.9])
    assert list(found["note"]) == ["upper limit not reached", "not reached"]
    assert list(found["estimate"].isna()) == [False, True]


def test_quantile_of_nobody_is_missing_with_a_note() -> None:
    found = quantile(kaplan_meier([], [])).iloc[0]
    assert found["note"] == "no observations"
    assert np.isnan(found["estimate"])


@given(times=st.lists(st.integers(1, 50), min_size=1, max_size=41).filter(lambda times: len(times) % 2 == 1))
def test_quantile_without_censoring_is_the_sample_median(times: list[int]) -> None:
    assert quantile(kaplan_meier(times, np.ones(len(times))))["estimate"].iloc[0] == np.median(times)


@pytest.mark.parametrize("n", [7, 10, 49, 100])
def test_quantile_at_a_step_is_its_middle_in_spite_of_rounding(n: int) -> None:
    # Without censoring S is exactly 1 - k/n from the k-th time to the next; its cumulative product is not.
    k = np.arange(1, n)
    found = quantile(kaplan_meier(np.arange(1, n + 1), np.ones(n)), k / n)
    assert list(found["estimate"]) == list(k + 0.5)


@pytest.mark.parametrize("q", [0.0, 1.0, -0.5, 1.5, np.nan])
def test_quantile_refuses_what_is_no_share(q: float) -> None:
    with pytest.raises(ValueError, match="q has 1"):
        quantile(kaplan_meier([1], [1]), q)


@pytest.mark.parametrize("name", SETS)
def test_restricted_mean_agrees_with_r(name: str) -> None:
    expected = pd.read_csv(REFERENCE / "restricted_mean.csv").query("set == @name")
    assert len(expected) > 0
    # R wrote tau with 15 digits: the last one is the last time itself.
    found = restricted_mean(reference_curve(name), expected["tau"])
    # R's variance has no small-sample factor; one person shows none.
    n = expected["persons"]
    factor = np.sqrt(n / (n - 1).where(n > 1))
    expected = expected.assign(std_error=expected["std_error"] * factor)
    assert_close(found, expected, ["estimate", "std_error", "conf_low", "conf_high"])


def test_restricted_mean_interval_has_student_t_and_stays_between_zero_and_tau() -> None:
    # Events at 2, 5, 8, censored at 5. By hand: area to 8 is 2 + 2.25 + 1.5 = 5.75; areas still to come 3.75, 1.5, 0;
    # variance 4/3·(3.75²·1/(4·3) + 1.5²·1/(3·2)) = 4/3·(1.171875 + 0.375); t(0.975, 3) = 3.182446; 5.75 + t·1.436 is past 8.
    row = restricted_mean(kaplan_meier([2, 5, 5, 8], [1, 1, 0, 1]), 8).iloc[0]
    assert row["estimate"] == 5.75
    assert row["std_error"] == pytest.approx(np.sqrt(2.0625))
    assert row["conf_low"] == pytest.approx(5.75 - 3.182446305284263 * np.sqrt(2.0625))
    assert row["conf_high"] == 8.0


def test_restricted_mean_notes_what_it_does_not_know() -> None:
    found = restricted_mean(kaplan_meier([2, 5], [1, 0]), [1, 5, 6])
    assert list(found["note"]) == [
        "no event before tau: variance unseen",
        "",
        "tau is past the last observed time",
    ]
    assert found["estimate"].iloc[:2].tolist() == [1.0, 3.5]
    assert np.isnan(found["conf_low"].iloc[0])
    assert found.loc[2, ["estimate", "std_error", "conf_low", "conf_high"]].isna().all()
    assert restricted_mean(kaplan_meier([], []), 1)["note"].iloc[0] == "no observations"
    alone = restricted_mean(kaplan_meier([2], [1]), 2).iloc[0]
    assert alone[["estimate", "note"]].tolist() == [2, "one person: variance unseen"]
    assert alone[["std_error", "conf_low", "conf_high"]].isna().all()


@given(times=st.lists(st.integers(1, 50), min_size=2, max_size=40))
def test_restricted_mean_without_censoring_is_the_mean_of_the_cut_times(times: list[int]) -> None:
    tau = max(times) * 0.6
    row = restricted_mean(kaplan_meier(times, np.ones(len(times))), tau).iloc[0]
    cut = np.minimum(times, tau)
    assert row["estimate"] == pytest.approx(np.mean(cut))
    assert row["std_error"] == pytest.approx(np.std(cut, ddof=1) / np.sqrt(len(times)), abs=1e-9)


@pytest.mark.parametrize(
    ("tau", "message"), [(0, "tau == 0"), (-1, "tau has 1 negative"), (np.nan, "tau has 1 missing")]
)
def test_restricted_mean_refuses_a_wrong_horizon(tau: float, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        restricted_mean(kaplan_meier([1], [1]), tau)


@pytest.mark.parametrize("name", ["clinic", "quiet", "emptied"])
@pytest.mark.parametrize("conf_level", [0.9, 0.95])
def test_discrete_hazard_agrees_with_r(name: str, conf_level: float) -> None:
    rows = pd.read_csv(REFERENCE / "discrete_hazard.csv")
    expected = rows[(rows["set"] == name) & (rows["conf_level"] == conf_level)]
    assert len(expected) > 0
    found = discrete_hazard(expected["events"], expected["at_risk"], conf_level=conf_level)
    numbers = ["step", "estimate", "std_error", "conf_low", "conf_high"]
    assert_close(found, expected, [*numbers, "retention", "retention_std_error"])
    exact = expected["retention_exact"].notna().to_numpy()
    assert (found["note"] == NO_EVENT).tolist() == exact.tolist()
    assert_close(found[~exact], expected[~exact], ["retention_low", "retention_high"])
    np.testing.assert_allclose(found["retention_low"][exact], expected["retention_exact"][exact], rtol=1e-8)
    assert (found["retention_high"][exact] == 1).all()
    assert list(found["numerator"]) == list(expected["events"])
    assert list(found["denominator"]) == list(expected["at_risk"])
    assert set(found["conf_level"]) == {conf_level}


def test_discrete_hazard_past_a_step_with_nobody_at_risk_is_missing() -> None:
    found = discrete_hazard([1, 0, 2], [10, 0, 8])
    assert list(found["note"]) == [
        "",
        "nobody at risk",
        "retention unknown: nobody was at risk at an earlier step",
    ]
    assert list(found["estimate"].isna()) == [False, True, False]
    assert list(found["retention"].isna()) == [False, True, True]
    assert found.loc[2, "estimate"] == 0.25


def test_discrete_hazard_notes_the_two_ends() -> None:
    assert discrete_hazard([0], [10])["note"].iloc[0] == NO_EVENT
    assert discrete_hazard([10], [10])["note"].iloc[0] == NOBODY_LEFT


@given(people=people)
def test_discrete_hazard_retention_is_the_kaplan_meier_curve(
    people: list[tuple[int, bool, int]],
) -> None:
    time, event, _ = (np.array(part) for part in zip(*people, strict=True))
    curve = kaplan_meier(time, event)
    found = discrete_hazard(curve["events"], curve["at_risk"])
    np.testing.assert_allclose(found["retention"], curve["estimate"])
    np.testing.assert_allclose(found["retention_low"], curve["conf_low"])


@pytest.mark.parametrize(
    ("events", "at_risk", "message"),
    [
        ([3], [2], "events is above at_risk in 1 elements"),
        ([1, 1], [2], "events has 2, at_risk has 1"),
        ([1], [-2], "at_risk has 1 negative"),
    ],
)
def test_discrete_hazard_refuses_wrong_arguments(events: list[int], at_risk: list[int], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        discrete_hazard(events, at_risk)
