"""Side effects over time in a real trial, against R's survfit(), survdiff(), cuminc() and coxph().

CDISC pilot study (CDISCPILOT01): the dermatologic events that the trial followed with special interest.
"""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest

from mesostats.adverse_events.durations import event_durations
from mesostats.adverse_events.first_events import cumulative_incidence, time_to_first_event
from mesostats.adverse_events.repeated_events import mean_cumulative_events
from mesostats.mapping import read

if TYPE_CHECKING:
    from mesostats.dataset import Dataset
    from mesostats.results import Result

REFERENCE = Path(__file__).parents[1] / "reference"
DATA = (
    Path(os.environ.get("MESOSTATS_REAL_DATA", Path(__file__).parents[2] / ".." / "shared" / "data"))
    / "cdisc-pilot"
)
pytestmark = pytest.mark.skipif(
    not DATA.is_dir(),
    reason="the CDISC pilot data are not there; set MESOSTATS_REAL_DATA to the folder that holds them",
)
SKIN: dict[str, Any] = {"by": "arm", "of": "special_interest", "only": "DERMATOLOGIC EVENTS"}


@cache
def trial() -> Dataset:
    return read(DATA, mapping="cdisc_pilot")


def assert_curves(result: Result, estimand: str, file: str, columns: dict[str, str], **cell: Any) -> None:
    expected = pd.read_csv(REFERENCE / file)
    for column, value in cell.items():
        expected = expected[expected[column] == value]
    expected = expected.set_index(["arm", "time"])
    found = result.estimates[result.estimates["estimand"] == estimand].set_index(["arm", "time"])
    assert len(found) == len(expected) > 100
    found = found.loc[expected.index]
    defined = found["note"].eq("")
    for ours, theirs in columns.items():
        rows = defined if ours.startswith("conf") else found[ours].notna()
        np.testing.assert_allclose(found.loc[rows, ours], expected.loc[rows, theirs], rtol=1e-8, atol=1e-12)
    assert defined.sum() > 20


CURVE = {
    "denominator": "at_risk",
    "numerator": "events",
    "estimate": "estimate",
    "std_error": "std_error",
    "conf_low": "conf_low",
    "conf_high": "conf_high",
}


def assert_medians(result: Result, estimand: str, file: str) -> None:
    expected = pd.read_csv(REFERENCE / file).groupby("arm")[["median", "median_low", "median_high"]].first()
    found = result.estimates[result.estimates["estimand"] == estimand].set_index("arm").loc[expected.index]
    limits = found[["estimate", "conf_low", "conf_high"]].to_numpy()
    np.testing.assert_allclose(limits, expected.to_numpy(), equal_nan=True)


def assert_test(result: Result, estimand: str) -> None:
    expected = pd.read_csv(REFERENCE / "real_trial_event_tests.csv").set_index("test").loc[estimand]
    found = result.cell(arm="all groups", estimand=estimand)
    assert found["statistic"] == pytest.approx(expected["statistic"], rel=1e-8)
    assert found["df"] == expected["df"]
    assert found["p_value"] == pytest.approx(expected["p_value"], rel=1e-6)


def test_time_to_first_dermatologic_event_is_that_of_survfit() -> None:
    found = time_to_first_event(trial(), **SKIN)
    assert_curves(found, "event_free", "real_trial_event_free.csv", CURVE)
    assert_medians(found, "median_time_to_first_event", "real_trial_event_free.csv")
    assert_test(found, "logrank_test")


@pytest.mark.parametrize(
    ("estimand", "cause"),
    [
        ("cumulative_incidence", 1),
        ("cumulative_incidence_completed", 2),
        ("cumulative_incidence_dropped_out", 3),
    ],
)
def test_cumulative_incidence_of_dermatologic_events_is_that_of_survfit(estimand: str, cause: int) -> None:
    found = cumulative_incidence(trial(), **SKIN)
    assert_curves(found, estimand, "real_trial_incidence.csv", CURVE, cause=cause)
    assert_test(found, "gray_test")


def test_mean_number_of_dermatologic_events_is_that_of_survfit() -> None:
    found = mean_cumulative_events(trial(), **SKIN)
    columns = {name: name for name in ("estimate", "conf_low", "conf_high")}
    assert_curves(found, "mean_cumulative_events", "real_trial_mean_events.csv", columns)
    assert_test(found, "mean_function_test")


def test_durations_of_dermatologic_events_are_those_of_survfit() -> None:
    found = event_durations(trial(), **SKIN)
    # Of R the standard error has no small-sample factor, k/(k - 1) for k patients; the limits have it.
    columns = {ours: theirs for ours, theirs in CURVE.items() if ours != "std_error"}
    assert_curves(found, "unresolved", "real_trial_durations.csv", columns)
    assert_medians(found, "median_duration", "real_trial_durations.csv")
    missing = pd.read_csv(REFERENCE / "real_trial_durations.csv").groupby("arm")["missing"].first()
    assert found.estimates.groupby("arm")["n_missing"].max().to_dict() == missing.to_dict()
