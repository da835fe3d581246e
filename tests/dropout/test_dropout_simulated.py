"""Dropout of simulated clinics: reasons, means and curves find the exact truth, in a large clinic and on average in small ones."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from mesostats.dropout.incidence import dropout_reasons
from mesostats.dropout.retention import retention
from mesostats.simulation import simulate

STANDARD_ERRORS = 4
PLANNED = {"short_course": 5, "weekly_to_monthly": 10}
CLINICS = 30
PATIENTS = 60


def true_retention(truth: pd.DataFrame, protocol: str) -> pd.Series[float]:
    rows = truth[(truth["quantity"] == "retention") & (truth["protocol"] == protocol)]
    return rows.set_index("session")["value"]


@pytest.mark.parametrize("protocol", PLANNED)
def test_reasons_find_the_truth(protocol: str) -> None:
    clinic = simulate(8_000, seed=21, scenario="textbook")  # every reason is written down
    found = dropout_reasons(clinic, by="protocol").estimates.query("protocol == @protocol")
    last = found[(found["estimand"] == "cumulative_incidence") & (found["time"] == PLANNED[protocol])]
    last = last.set_index("reason").drop(index="all reasons")
    truth = clinic.truth.query("quantity == 'dropout_reason' and protocol == @protocol").set_index("reason")
    assert sorted(last.index) == sorted(truth.index)
    off = (last["estimate"] - truth.loc[last.index, "value"]).abs() / last["std_error"]
    assert (off < STANDARD_ERRORS).all()


@pytest.mark.parametrize("protocol", PLANNED)
def test_restricted_mean_finds_the_truth(protocol: str) -> None:
    clinic = simulate(8_000, seed=22)
    row = retention(clinic, by="protocol", tau=5).cell(protocol=protocol, estimand="restricted_mean")
    truth = true_retention(clinic.truth, protocol).iloc[:5].sum()
    assert abs(row["estimate"] - truth) < STANDARD_ERRORS * row["std_error"]


def test_retention_of_small_clinics_is_not_biased() -> None:
    found = [
        retention(simulate(PATIENTS, seed=seed), by="protocol")
        .estimates.query("estimand == 'retention'")
        .set_index(["protocol", "time"])["estimate"]
        for seed in range(CLINICS)
    ]
    table = pd.concat(found, axis="columns")
    truth = simulate(1, seed=0).truth
    for protocol in PLANNED:
        for session in (2, 4):
            values = table.loc[(protocol, float(session))].dropna()
            assert len(values) == CLINICS
            error = values.std() / np.sqrt(len(values))
            assert abs(values.mean() - true_retention(truth, protocol)[session]) < STANDARD_ERRORS * error
