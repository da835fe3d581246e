"""Durability of a clinic read by hand, of degenerate ones, and against the simulated truth."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pytest
from watched_clinic import tables, watched

from mesostats.estimators import proportion
from mesostats.estimators.interval_censored import turnbull
from mesostats.estimators.paired import paired_difference
from mesostats.outcomes.durability import durability
from mesostats.simulation import simulate
from mesostats.simulation.scenario import load_scenario

if TYPE_CHECKING:
    from mesostats.results import Result

# At the end of the course (day 20 to 80; C04 and C10 ended on day 10) these respond: C01, C02, C08 (on day 40), C10.
# 90 to 180 days after it: C01 still does (day 120), C02 no longer (day 130); C07, no responder at the end, does (day 110).


def assert_explained(found: Result) -> None:
    for row in found.estimates.to_dict("records"):
        cell = {name: row[name] for name in [*found.groups, "estimand"]}
        rows = found.explain(**cell | ({} if pd.isna(row["time"]) else {"time": row["time"]}))
        assert rows["in_denominator"].sum() == row["denominator"]
        assert rows["in_numerator"].sum() == row["numerator"]
        assert rows["excluded"].eq("").eq(rows["in_denominator"]).all()


def test_shares_are_counted_by_hand() -> None:
    found = durability(watched())
    expected = {"assessed_later": (2, 4), "still_responding": (1, 2)}
    expected |= {"still_responding_lower": (1, 4), "still_responding_upper": (3, 4)}
    for name, (hits, of) in expected.items():
        row, wilson = found.cell(estimand=name), proportion(hits, of).iloc[0]
        assert (row["numerator"], row["denominator"], row["n_missing"]) == (hits, of, 2)
        assert [row["estimate"], row["conf_low"], row["conf_high"]] == pytest.approx(
            [wilson["estimate"], wilson["conf_low"], wilson["conf_high"]]
        )
    assert "composite strategy" in found.cell(estimand="still_responding_lower")["method"]
    assert_explained(found)


def test_pairs_are_those_assessed_twice() -> None:
    found = durability(watched())
    # C01 responds twice, C02 lost it, C07 gained it. C03, C04, C08 and C10 were not assessed again.
    row, expected = found.cell(estimand="paired_difference"), paired_difference([1, 1, 0], [1, 0, 1]).iloc[0]
    assert (row["numerator"], row["denominator"], row["n_missing"]) == (2, 3, 4)
    assert row["estimate"] == 0
    assert [row["conf_low"], row["conf_high"]] == pytest.approx([expected["conf_low"], expected["conf_high"]])
    assert row["note"] == "1 lost the response, 1 gained it"


def test_loss_lies_between_assessments() -> None:
    found = durability(watched())
    # C01 was kept from day 30 to 120: (90, ∞); C02 was lost between day 30 and 130: (0, 100].
    curve = found.estimates.query("estimand == 'kept_response'")
    expected = turnbull([90, 0], [np.inf, 100])
    assert curve["time"].tolist() == expected["time"].tolist() == [100]
    assert curve["estimate"].tolist() == pytest.approx(expected["estimate"].tolist())
    assert curve["n_missing"].tolist() == [2]


def test_the_later_window_must_be_over() -> None:
    # Day 200 is the end of the window of courses whose last session was on day 20; C10's was over on day 190.
    found = durability(watched("2024-07-10"))  # day 191
    row = found.cell(estimand="still_responding_upper")
    assert (row["numerator"], row["denominator"]) == (1, 1)
    rows = found.explain(estimand="still_responding_upper").set_index("course_id")
    assert rows.loc["C01", "excluded"] == "the later window is not over by the data cut"
    assert rows.loc["C03", "excluded"] == "no responder at the end of the course"


def test_a_wider_window_takes_its_last_assessment() -> None:
    found = durability(watched(), window_days=(61, 95))
    # 90 days after the last session is day 110, 95 is 115: only C07 was assessed then.
    assert found.cell(estimand="assessed_later")["numerator"] == 0
    row = found.cell(estimand="still_responding")
    assert (row["denominator"], row["note"]) == (0, "no observations")
    assert pd.isna(row["estimate"])


def test_nobody_responds_and_nobody_loses() -> None:
    none = durability(watched(outcomes=tables()["outcomes"].assign(value=20.0)))
    assert none.cell(estimand="still_responding")["denominator"] == 0
    assert none.cell(estimand="kept_response")["note"] == "no responder was assessed later"
    outcomes = tables()["outcomes"]
    outcomes["value"] = outcomes["value"].mask(outcomes["date"] > "2024-01-01", 5.0)
    kept = durability(watched(outcomes=outcomes))
    assert kept.cell(estimand="still_responding")["estimate"] == 1
    assert kept.cell(estimand="kept_response")["note"] == "no loss of response was seen"
    assert_explained(kept)


def test_single_course_and_no_baseline() -> None:
    given = {
        name: frame[frame["course_id"] == "C02"] for name, frame in tables().items() if "course_id" in frame
    }
    single = durability(watched(**given))
    assert single.cell(estimand="still_responding")["estimate"] == 0
    outcomes = tables()["outcomes"]
    without = durability(watched(outcomes=outcomes[outcomes["date"] > "2024-01-01"]))
    assert without.estimates["estimate"].isna().all()
    assert_explained(without)


def test_repeated_patients_are_clusters() -> None:
    courses = tables()["courses"].assign(patient_id=["P1", "P1"] + [f"P{each}" for each in range(3, 11)])
    found = durability(watched(courses=courses))
    row = found.cell(estimand="still_responding")
    assert row["estimate"] == 0.5
    assert "one cluster" in row["note"]
    assert "patient-clustered" in found.cell(estimand="paired_difference")["method"]
    assert_explained(found)


def test_an_instrument_without_a_rule_says_why() -> None:
    outcomes = tables()["outcomes"].assign(instrument="hair_density")
    courses = tables()["courses"].assign(indication="hair_loss_aga")
    found = durability(watched(outcomes=outcomes, courses=courses))
    assert found.estimates["note"].str.contains("no accepted responder rule").all()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"window_days": (180, 90)}, "window_days is"),
        ({"window_days": (60, 180)}, "must be after the endpoint's window of 60 days"),
        ({"window_days": (90.5, 180)}, "whole days"),
        ({"conf_level": 0}, "conf_level"),
        ({"by": "later"}, "cannot group by 'later'"),
    ],
)
def test_arguments_are_checked(arguments: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        durability(watched(), **arguments)  # type: ignore[arg-type]


def test_simulated_truth_is_recovered() -> None:
    source = load_scenario("typical")
    calendar = source.calendar.model_copy(update={"follow_up_days": 800})
    clinic = simulate(6000, seed=11, scenario=source.model_copy(update={"calendar": calendar}))
    assert clinic.truth is not None
    truth = clinic.truth.set_index("quantity")["value"]["response_lasting"]
    rows = durability(clinic, by="indication").estimates
    seen = rows[rows["estimand"] == "still_responding"]
    # Who comes back for the later assessment is drawn without regard to the response: observed cases are right.
    assert ((seen["estimate"] - truth).abs() <= 4 * seen["std_error"]).all()
    low, high = (
        rows[rows["estimand"] == f"still_responding_{end}"]["estimate"] for end in ("lower", "upper")
    )
    assert (low < truth).all()
    assert (high > truth).all()
    assert (seen["denominator"] > 50).all()
