"""What the outcome analyses return of a simulated clinic can be shown: their results have the form that displays read."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest
from matplotlib.figure import Figure

from mesostats.outcomes.baselines import baseline_table
from mesostats.outcomes.changes import change_from_baseline
from mesostats.outcomes.comparisons import compare_response
from mesostats.outcomes.doses import response_by_sessions
from mesostats.outcomes.durability import durability
from mesostats.outcomes.grades import compare_grades
from mesostats.outcomes.measurement_error import change_beyond_error
from mesostats.outcomes.missing_outcomes import response_scenarios
from mesostats.outcomes.repeated_changes import change_by_visit
from mesostats.outcomes.responders import response
from mesostats.outcomes.response_times import time_to_response
from mesostats.outcomes.subgroups import subgroup_response
from mesostats.outcomes.tipping_points import tipping_point
from mesostats.plots import plot
from mesostats.simulation import simulate
from mesostats.tables import table

if TYPE_CHECKING:
    from collections.abc import Callable

    from mesostats.dataset import Dataset
    from mesostats.results import Result

ARMS: dict[str, Any] = {"group": "arm", "reference": "A"}
ANALYSES: dict[str, Callable[[Dataset], Result]] = {
    "response": response,
    "response_missing": lambda clinic: response(clinic, missing=["observed", "bounds", "ipw"]),
    "scenarios": lambda clinic: response_scenarios(clinic, instrument="masi"),
    "tipping": lambda clinic: tipping_point(clinic, **ARMS, instrument=["masi", "pull_test"]),
    "threshold": lambda clinic: tipping_point(clinic, threshold=0.3, instrument="masi"),
    "compared": lambda clinic: compare_response(clinic, **ARMS),
    "compared_adjusted": lambda clinic: compare_response(
        clinic, **ARMS, strata="sex", adjust=["sex"], instrument="masi"
    ),
    "compared_pairs": lambda clinic: compare_response(
        clinic, group="clinic_id", by="indication", pairwise=True, instrument="nrs_pain"
    ),
    "subgroups": lambda clinic: subgroup_response(clinic, **ARMS),
    "grades": lambda clinic: compare_grades(clinic, instrument="masi", **ARMS),
    "grades_few": lambda clinic: compare_grades(
        clinic, instrument="hdss", group="clinic_id", reference="K01", scale="value"
    ),
    "change": change_from_baseline,
    "change_arms": lambda clinic: change_from_baseline(clinic, **ARMS),
    "visits": lambda clinic: change_by_visit(clinic, visits=[30, 90], window=20, **ARMS),
    "error": change_beyond_error,
    "error_given": lambda clinic: change_beyond_error(clinic, error=2.0, instrument="masi"),
    "times": time_to_response,
    "times_in_sessions": lambda clinic: time_to_response(clinic, time="session"),
    "durability": durability,
    "doses": lambda clinic: response_by_sessions(clinic, landmark_day=28, naive=True),
    "baseline": lambda clinic: baseline_table(clinic, by="arm"),
    "baseline_all": lambda clinic: baseline_table(clinic, by=None),
}


@pytest.fixture(scope="module")
def clinic() -> Dataset:
    return simulate(150, seed=5)


@pytest.fixture(scope="module", params=ANALYSES)
def result(clinic: Dataset, request: pytest.FixtureRequest) -> Result:
    return ANALYSES[request.param](clinic)


def test_every_analysis_has_a_table_without_codes(result: Result) -> None:
    html = table(result).as_raw_html()
    words = re.sub(r"<style.*?</style>|<[^>]+>", " ", html, flags=re.DOTALL)
    assert result.spec["title"].split(":")[0] in words
    assert ">nan<" not in html.lower()
    codes = set(result.estimates["estimand"]) | set(result.groups)
    shown = {code for code in codes if "_" in code and re.search(rf"\b{code}\b", words)}
    assert not shown


def test_every_analysis_has_a_picture_without_ids(result: Result, clinic: Dataset) -> None:
    figure = Figure(figsize=(11, 8), layout="constrained")
    ax = plot(result, ax=figure.subplots())
    figure.canvas.draw()
    texts = [text.get_text() for panel in figure.axes for text in panel.texts]
    texts += [tick.get_text() for panel in figure.axes for tick in panel.get_yticklabels()]
    assert ax.get_title(loc="left")
    assert not {*texts} & {*clinic.table("courses")["course_id"], *clinic.table("patients")["patient_id"]}


def test_a_table_without_adjusted_p_values_says_nothing_of_them(clinic: Dataset) -> None:
    alone, arms = (table(ANALYSES[name](clinic)).as_raw_html() for name in ("change", "change_arms"))
    assert "p adjusted" not in alone
    assert "p adjusted" in arms
