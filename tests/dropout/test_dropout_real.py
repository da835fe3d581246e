"""Why patients of a real trial discontinued, by arm, against R's survfit(), survdiff() and cuminc(): the CDISC pilot study."""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest

from mesostats.dropout.dispositions import disposition
from mesostats.dropout.incidence import dropout_reasons
from mesostats.dropout.retention import retention
from mesostats.mapping import read

if TYPE_CHECKING:
    from mesostats.dataset import Dataset

REFERENCE = Path(__file__).parents[1] / "reference"
DATA = (
    Path(os.environ.get("MESOSTATS_REAL_DATA", Path(__file__).parents[2] / ".." / "shared" / "data"))
    / "cdisc-pilot"
)
pytestmark = pytest.mark.skipif(
    not DATA.is_dir(),
    reason="the CDISC pilot data are not there; set MESOSTATS_REAL_DATA to the folder that holds them",
)
CASES = [("session", "censored"), ("day", "competing")]


@cache
def trial() -> Dataset:
    return read(DATA, mapping="cdisc_pilot")


@pytest.mark.parametrize(("kind", "completion"), CASES)
def test_incidence_of_discontinuation_for_adverse_events_is_that_of_survfit(
    kind: Any, completion: Any
) -> None:
    # The trial is over: all that was recorded counts, up to its last day.
    found = dropout_reasons(trial(), by="arm", time=kind, completion=completion, follow_up="all").estimates
    done = found["estimand"] == "cumulative_incidence_completed"
    found = found.assign(reason=found["reason"].mask(done, "completed"))
    found = found[(found["estimand"] == "cumulative_incidence") | done]
    keys = ["arm", "reason", "time"]
    expected = pd.read_csv(REFERENCE / "real_trial_dropout.csv").query("kind == @kind").set_index(keys)
    found = found.dropna(subset="time").set_index(keys).loc[expected.index]
    for ours, theirs in (("numerator", "events"), ("denominator", "at_risk"), ("estimate", "estimate")):
        np.testing.assert_allclose(found[ours], expected[theirs], rtol=1e-8, atol=1e-12)
    for column in ("std_error", "conf_low", "conf_high"):
        known = expected[column].notna() & found[column].notna()  # R has no limits before the first event
        assert known.sum() >= 40
        np.testing.assert_allclose(
            found.loc[known, column], expected.loc[known, column], rtol=1e-8, atol=1e-12
        )


@pytest.mark.parametrize(("kind", "completion"), CASES)
def test_arms_are_compared_as_by_survdiff_and_cuminc(kind: Any, completion: Any) -> None:
    expected = pd.read_csv(REFERENCE / "real_trial_dropout_tests.csv").query("kind == @kind")
    kept = retention(trial(), by="arm", time=kind, follow_up="all")
    logrank = kept.cell(arm="all groups", estimand="logrank_test")
    theirs = expected.set_index("test").loc["logrank_test"]
    assert logrank[["statistic", "df"]].tolist() == pytest.approx(
        theirs[["statistic", "df"]].tolist(), rel=1e-8
    )
    assert logrank["p_value"] == pytest.approx(theirs["p_value"], rel=1e-6)
    found = dropout_reasons(trial(), by="arm", time=kind, completion=completion, follow_up="all").estimates
    grays = found[found["estimand"] == "gray_test"].set_index("reason")
    theirs = expected[expected["test"] == "gray_test"].set_index("reason").loc[grays.index]
    assert len(grays) == 8
    np.testing.assert_allclose(grays[["statistic", "df"]], theirs[["statistic", "df"]], rtol=1e-8)
    np.testing.assert_allclose(grays[["p_value", "p_adjusted"]], theirs[["p_value", "p_adjusted"]], rtol=1e-6)
    assert grays.loc["adverse_event", "p_adjusted"] < 1e-6


def test_disposition_is_that_of_the_subject_table() -> None:
    # The end of study in the trial's own subject table (ADSL, DCDECOD): completed, and discontinued for an adverse event.
    found = disposition(trial(), by="arm").estimates.set_index(["arm", "estimand", "reason"])["numerator"]
    arms = ("placebo", "low_dose", "high_dose")
    assert [found[arm, "completed", "all reasons"] for arm in arms] == [58, 25, 27]
    assert [found[arm, "dropped_out", "adverse_event"] for arm in arms] == [8, 44, 40]
    assert [found[arm, "ongoing", "all reasons"] for arm in arms] == [0, 0, 0]
