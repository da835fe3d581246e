"""Side effects of a real trial by arm: terms, classes, rates and comparisons, against R on the same files."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pytest

from mesostats.adverse_events.comparisons import compare_adverse_events
from mesostats.adverse_events.rates import adverse_event_rates
from mesostats.mapping import read

if TYPE_CHECKING:
    from mesostats.dataset import Dataset

DATA = (
    Path(os.environ.get("MESOSTATS_REAL_DATA", Path(__file__).parents[2] / ".." / "shared" / "data"))
    / "cdisc-pilot"
)
REFERENCE = Path(__file__).parents[1] / "reference"
MONTH = 365.25 / 12

pytestmark = pytest.mark.skipif(
    not DATA.is_dir(),
    reason="the CDISC pilot data are not there; set MESOSTATS_REAL_DATA to the folder that holds them",
)


@pytest.fixture(scope="module")
def trial() -> Dataset:
    return read(DATA, mapping="cdisc_pilot")


@pytest.mark.parametrize(
    ("of", "column", "kinds"),
    [("term", "term", 230), ("class", "term_class", 23), ("term_class", "term_class", 23)],
)
def test_each_term_and_class_agrees_with_fisher_in_r(
    trial: Dataset, of: str, column: str, kinds: int
) -> None:
    expected = (
        pd.read_csv(REFERENCE / "real_trial_terms.csv").query("of == @column").set_index(["arm", "kind"])
    )
    found = compare_adverse_events(trial, group="arm", reference="placebo", of=of).estimates
    odds = found[found["estimand"] == "odds_ratio"].set_index(["arm", column]).loc[expected.index]
    assert len(expected) == 2 * kinds == len(found.query("estimand == 'odds_ratio'"))
    np.testing.assert_array_equal(odds["numerator"], expected["patients"])
    np.testing.assert_array_equal(odds["denominator"], expected["n"])
    np.testing.assert_allclose(odds["p_value"], expected["fisher_p"], rtol=1e-8)
    np.testing.assert_allclose(odds["p_adjusted"], expected["bh"], rtol=1e-8)
    placebo = found[(found["estimand"] == "incidence_proportion") & (found["arm"] == "placebo")].set_index(
        column
    )
    low = expected.loc["low_dose"]
    np.testing.assert_array_equal(placebo.loc[low.index, "numerator"], low["placebo_patients"])


def test_rates_a_patient_month_agree_with_r(trial: Dataset) -> None:
    expected = pd.read_csv(REFERENCE / "real_trial_rates.csv").set_index("arm")
    first = (
        adverse_event_rates(trial, by="arm", per="patient_month")
        .estimates.set_index("arm")
        .loc[expected.index]
    )
    np.testing.assert_array_equal(first["numerator"], expected["first_events"])
    np.testing.assert_allclose(first["denominator"] * MONTH, expected["first_days"], rtol=1e-12)
    np.testing.assert_allclose(first["conf_low"], expected["conf_low"], rtol=1e-8)
    np.testing.assert_allclose(first["conf_high"], expected["conf_high"], rtol=1e-8)
    every = adverse_event_rates(trial, by="arm", per="patient_month", events="all").estimates.set_index("arm")
    np.testing.assert_array_equal(every.loc[expected.index, "numerator"], expected["events"])
    np.testing.assert_allclose(every.loc[expected.index, "denominator"] * MONTH, expected["days"], rtol=1e-12)
