"""Change beyond measurement error and regression to the mean, by hand and on patients who were chosen at their worst."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from mesostats.dataset import Dataset
from mesostats.estimators import proportion
from mesostats.estimators.regression_to_mean import mee_chua
from mesostats.outcomes.measurement_error import change_beyond_error
from mesostats.results import ESTIMATE_COLUMNS

# Baseline and endpoint of waists in cm, error 0.7 to 15 cm in the vocabulary: lower is better.
PAIRS = [(80.0, 60.0), (90.0, 80.0), (100.0, 99.5), (95.0, 95.7), (85.0, 86.0), (110.0, 130.0), (105.0, None)]
# Beyond 0.7: better 2 (-20, -10), within 2 (-0.5, 0.7), worse 2 (1, 20); beyond 15: 1, 4, 1.


def clinic(
    pairs: list[tuple[float | None, float | None]],
    *,
    instrument: str = "circumference",
    indication: str = "localized_fat",
) -> Dataset:
    frame = pd.DataFrame(pairs, columns=["baseline", "value"], dtype=float)
    ids = pd.Series(frame.index.astype(str))
    courses = pd.DataFrame({"course_id": "C" + ids, "patient_id": "P" + ids}).assign(
        indication=indication, start_date="2024-01-01", status="completed"
    )
    parts = [
        pd.DataFrame({"course_id": courses["course_id"], "date": date, "value": frame[column]})
        for column, date in (("baseline", "2024-01-01"), ("value", "2024-03-01"))
    ]
    outcomes = pd.concat(parts, ignore_index=True).dropna()
    return Dataset(
        patients=courses[["patient_id"]],
        courses=courses,
        sessions=courses[["course_id"]].assign(session_id="S" + ids, date="2024-01-01", status="attended"),
        outcomes=outcomes.assign(outcome_id="O" + outcomes.index.astype(str), instrument=instrument),
        cutoff="2024-12-31",
    )


@cache
def waists() -> Dataset:
    return clinic(PAIRS)


def test_shares_are_those_counted_by_hand_at_both_ends_of_the_published_range() -> None:
    found = change_beyond_error(waists(), by=None, endpoint=60)
    assert found.estimates.columns.tolist() == ["instrument", "error", *ESTIMATE_COLUMNS]
    for error, numbers in (("0.7 cm", (2, 2, 2)), ("15 cm", (1, 4, 1))):
        for estimand, number in zip(
            ("better_beyond_error", "within_error", "worse_beyond_error"), numbers, strict=True
        ):
            row = found.cell(error=error, estimand=estimand)
            wilson = proportion(number, 6).iloc[0]
            assert row[["numerator", "denominator", "n_missing"]].tolist() == [number, 6, 1]
            columns = ["estimate", "conf_low", "conf_high"]
            assert row[columns].tolist() == pytest.approx(wilson[columns].tolist())
            rows = found.explain(error=error, estimand=estimand)
            assert [rows["in_numerator"].sum(), rows["in_denominator"].sum()] == [number, 6]


def test_where_higher_is_better_the_sides_change() -> None:
    made = clinic([(50, 60), (50, 45), (50, 51)], instrument="hair_density", indication="hair_loss_aga")
    found = change_beyond_error(made, by=None, endpoint=60, error=3)
    numbers = [
        found.cell(estimand=name)["numerator"]
        for name in ("better_beyond_error", "within_error", "worse_beyond_error")
    ]
    assert numbers == [1, 1, 1]
    better = found.explain(estimand="better_beyond_error").query("in_numerator")
    assert better["change"].tolist() == [10]
    # Chosen are those with a baseline below the population's mean, of whom a rise was to be expected.
    found = change_beyond_error(
        made, by=None, endpoint=60, error=3, reliability=0.8, population_mean=60
    ).cell(estimand="regression_to_mean")
    assert found["estimate"] == pytest.approx(0.2 * 10)


def test_regression_to_the_mean_by_hand() -> None:
    found = change_beyond_error(waists(), by=None, endpoint=60, error=15, reliability=0.9)
    base = np.array([pair[0] for pair in PAIRS])
    centre = base.mean()  # 95: the one without an endpoint counts too
    chosen = [(b, v) for b, v in PAIRS if b > centre and v is not None]
    change = np.array([v - b for b, v in chosen])
    expected = np.array([0.1 * (centre - b) for b, _ in chosen])
    assert found.cell(estimand="mean_change_chosen")["estimate"] == pytest.approx(change.mean())
    assert found.cell(estimand="regression_to_mean")["estimate"] == pytest.approx(expected.mean())
    row = found.cell(estimand="change_beyond_regression")
    test = stats.ttest_1samp(change - expected, 0)
    assert [row["estimate"], row["p_value"], row["df"]] == pytest.approx(
        [(change - expected).mean(), test.pvalue, len(change) - 1]
    )
    assert "reliability: given (0.9), taken as known" in row["note"]
    assert "that of the cell's own baselines" in row["note"]
    rows = found.explain(estimand="regression_to_mean")
    assert rows.loc[rows["in_denominator"], "expected"].mean() == pytest.approx(expected.mean())


def test_the_reliability_follows_from_the_error() -> None:
    found = change_beyond_error(waists(), by=None, endpoint=60, error=10)
    base = np.array([pair[0] for pair in PAIRS])
    reliability = 1 - (10 / (1.959963984540054 * np.sqrt(2)) / base.std(ddof=1)) ** 2
    chosen = [b for b, v in PAIRS if b > base.mean() and v is not None]
    assert found.cell(estimand="regression_to_mean")["estimate"] == pytest.approx(
        (1 - reliability) * (base.mean() - np.mean(chosen))
    )


def test_an_error_as_large_as_the_spread_leaves_no_reliability() -> None:
    found = change_beyond_error(waists(), by=None, endpoint=60, error=60)
    row = found.cell(estimand="regression_to_mean")
    assert np.isnan(row["estimate"])
    assert "no reliability can be derived" in row["note"]
    assert found.cell(estimand="within_error")["estimate"] == 1


def test_patients_chosen_at_their_worst_did_not_improve_beyond_regression() -> None:
    """Nothing was done to them: the mean change looks good, what is beyond regression does not."""
    rng = np.random.default_rng(12)
    true = rng.normal(100, 8, size=4000)
    first, second = true + rng.normal(0, 6, size=(2, 4000))
    worst = first > 108
    made = clinic([*zip(first[worst].tolist(), second[worst].tolist(), strict=True)])
    reliability = 64 / (64 + 36)
    found = change_beyond_error(
        made, by=None, endpoint=60, error=2, reliability=reliability, population_mean=100
    )
    assert found.cell(estimand="mean_change_chosen")["conf_high"] < -3
    beyond = found.cell(estimand="change_beyond_regression")
    assert beyond["conf_low"] < 0 < beyond["conf_high"]
    effect = found.cell(estimand="mee_chua_effect")
    assert effect["conf_low"] < 0 < effect["conf_high"]
    direct = mee_chua(first[worst], second[worst], population_mean=100).iloc[0]
    assert effect[["estimate", "std_error", "df"]].tolist() == pytest.approx(
        direct[["estimate", "std_error", "df"]].tolist()
    )


def test_an_instrument_without_an_error_has_notes_that_say_how_to_supply_it() -> None:
    made = clinic([(20, 10), (16, 12), (30, 30)], instrument="masi", indication="melasma")
    found = change_beyond_error(made, by=None, endpoint=60)
    shares = found.estimates[found.estimates["estimand"].str.endswith("_error")]
    assert shares["error"].eq("not known").all()
    assert shares["estimate"].isna().all()
    assert shares["note"].eq("no measurement error of 'masi' is in the vocabulary: pass error=").all()
    lacking = found.cell(estimand="regression_to_mean")
    assert np.isnan(lacking["estimate"])
    assert "pass reliability= or error=" in lacking["note"]
    given = change_beyond_error(made, by=None, endpoint=60, error={"masi": (3, 12)})
    assert sorted(given.estimates["error"].unique()) == ["12 points", "3 points"]
    assert given.cell(error="3 points", estimand="better_beyond_error")["numerator"] == 2


def test_an_instrument_without_a_direction_is_not_read() -> None:
    made = clinic([(1, 2), (3, 2)], instrument="gais")
    found = change_beyond_error(made, by=None, endpoint=60, error=1).estimates
    assert found["estimate"].isna().all()
    assert found["note"].str.contains("direction of 'gais' is not declared").all()


@pytest.mark.parametrize(
    "pairs", [[(80.0, None)], [(None, 70.0), (None, 60.0)], [(80.0, 70.0)], [(80.0, 70.0)] * 3]
)
def test_little_or_nothing_observed_is_no_error(pairs: list[tuple[float | None, float | None]]) -> None:
    found = change_beyond_error(clinic(pairs), by=None, endpoint=60, population_mean=70).estimates
    effect = found[found["estimand"].isin(["change_beyond_regression", "mee_chua_effect"])]
    assert effect[["std_error", "p_value"]].isna().all(axis=None)
    assert (effect["note"] != "").all()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"error": -1}, "error is a number that is not negative"),
        ({"error": (1, 2, 3)}, "or a lowest and a highest one"),
        ({"error": {"waist": 2}}, "error= names 'waist', which is not analysed"),
        ({"reliability": 0}, "reliability is above 0 and at most 1"),
        ({"reliability": 1.2}, "reliability is above 0 and at most 1"),
        ({"population_mean": float("nan")}, "population_mean is a finite number"),
        ({"by": "error"}, "has a column of that name"),
        ({"conf_level": 0}, "conf_level == 0"),
    ],
)
def test_wrong_arguments_are_named(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        change_beyond_error(waists(), **({"endpoint": 60} | options))
