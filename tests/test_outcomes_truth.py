"""Side effects and response of simulated clinics against the simulated truth."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pandas as pd
import pytest

from mesostats.adverse_events.rates import adverse_event_rates
from mesostats.dataset import Dataset
from mesostats.outcomes.responders import response
from mesostats.simulation import simulate
from mesostats.simulation.scenario import load_scenario


@cache
def followed(scenario: str) -> Dataset:
    """Return 20,000 patients who were all followed to the end, none of them treated with a bad lot."""
    source = load_scenario(scenario)
    calendar = source.calendar.model_copy(update={"follow_up_days": 800})
    return simulate(
        20_000, seed=11, scenario=source.model_copy(update={"calendar": calendar, "bad_lot": None})
    )


def true(clinic: Dataset, quantity: str) -> pd.DataFrame:
    assert clinic.truth is not None
    return clinic.truth[clinic.truth["quantity"] == quantity]


def assert_recovered(rows: pd.DataFrame, value: pd.Series[float]) -> None:
    """Estimates lie within four standard errors of the truth (at the truth, where an event is rare)."""
    at_truth = np.sqrt(value * (1 - value) / rows["denominator"])
    error = np.maximum(rows["std_error"], at_truth)
    assert ((rows["estimate"] - value).abs() <= 4 * error).all()


@pytest.mark.parametrize(
    ("scenario", "quantity", "per", "estimand"),
    [
        ("typical", "event_per_session", "session", "session_proportion"),
        ("textbook", "event_per_patient", "patient", "incidence_proportion"),
    ],
)
@pytest.mark.parametrize("of", ["term", "any"])
def test_truth_of_side_effects_is_recovered(
    scenario: str, quantity: str, per: Any, estimand: str, of: Any
) -> None:
    clinic = followed(scenario)
    truth = true(clinic, quantity).set_index("term")["value"]
    rows = adverse_event_rates(clinic, of=of, per=per).estimates
    rows = rows[rows["estimand"] == estimand]
    rows = rows.assign(term="any") if of == "any" else rows
    rows = rows.set_index("term").loc[truth.index.drop("any") if of == "term" else ["any"]]
    assert_recovered(rows, truth[rows.index])
    assert (rows["denominator"] > 10_000).all()


@pytest.mark.parametrize(
    ("scenario", "quantity", "estimand"),
    [
        ("textbook", "response", "response_treated"),  # nothing is missing
        ("textbook", "response_completers", "response_completers"),
        ("typical", "response_evaluable", "response_evaluable"),
    ],
)
@pytest.mark.parametrize("by", [["indication"], ["indication", "arm"]])
def test_truth_of_response_is_recovered(scenario: str, quantity: str, estimand: str, by: list[str]) -> None:
    clinic = followed(scenario)
    truth = true(clinic, quantity)
    truth = truth[truth["arm"].notna() == ("arm" in by)].set_index(by)["value"]
    rows = response(clinic, by=by).estimates
    rows = rows[rows["estimand"] == estimand].set_index(by).loc[truth.index]
    assert_recovered(rows, truth)
    assert len(rows) == {1: 7, 2: 6}[len(by)]


def test_missing_as_nonresponse_understates_and_observed_cases_overstate() -> None:
    # Non-responders lose their endpoints more often: the truth lies between the two denominators.
    clinic = followed("typical")
    truth = true(clinic, "response")
    truth = truth[truth["arm"].isna()].set_index("indication")["value"]
    wide = response(clinic).estimates.pivot_table(index="indication", columns="estimand", values="estimate")
    wide = wide.loc[truth.index]
    assert (wide["response_treated"] < truth).all()
    assert (wide["response_evaluable"] > truth).all()


def test_a_clinic_that_is_a_year_old_shows_the_same_response() -> None:
    """Of its youngest courses only those given up are over; to count these alone gives .35, six standard errors too low."""
    whole = simulate(12_000, seed=5, scenario="textbook")
    tables = {name: whole.table(name) for name in whole.names}
    opened = tables["courses"]["start_date"].min()
    young = Dataset(**tables, cutoff=(opened + pd.Timedelta(days=365)).date())
    truth = true(whole, "response").query("arm.isna() and indication == 'melasma'")["value"].iloc[0]
    found = response(young, instrument="masi").cell(indication="melasma", estimand="response_treated")
    assert found["denominator"] > 150
    assert abs(found["estimate"] - truth) < 3 * found["std_error"]
