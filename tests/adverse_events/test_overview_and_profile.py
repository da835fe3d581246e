"""Overview and profile of side effects, counted by hand in `counted_clinic`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pandas as pd
import pytest
from counted_clinic import bounds, clinic, counts, tables

from mesostats.adverse_events.overview import CATEGORIES, adverse_event_overview
from mesostats.adverse_events.profile import adverse_event_profile

if TYPE_CHECKING:
    from mesostats.results import Result


def assert_explained(found: Result) -> None:
    for row in found.estimates.to_dict("records"):
        behind = found.explain(**{name: row[name] for name in [*found.groups, "estimand"]})
        assert behind["in_denominator"].sum() == row["denominator"]
        assert behind["in_numerator"].sum() == row["numerator"]


def test_overview_counts_patients_of_each_category() -> None:
    found = adverse_event_overview(clinic())
    # Asked, or with an event: P1, P3, P4, P6; P2 is unknown. E2 of P1 is serious and severe; E1, E13 (P1), E11 (P3) related.
    hits = {"any": 3, "related": 2, "serious": 1, "severe": 1, "fatal": 0}
    for category, number in hits.items():
        expected = [(number, 4), (number, 5), (number + 1, 5)]
        assert bounds(found, "incidence_proportion", category=category) == expected
    assert counts(found, category="stopped", estimand="incidence_proportion") == (0, 5)
    assert found.estimates["category"].drop_duplicates().tolist() == [*CATEGORIES]
    assert_explained(found)


def test_overview_by_arm_with_deaths_and_patients_who_stopped() -> None:
    courses = tables()["courses"].assign(status="ongoing")
    ended = courses["course_id"].isin(["C1", "C5", "C8"])
    courses = courses.assign(
        status=courses["status"].mask(ended, "discontinued"),
        end_date=courses["start_date"]
        .where(ended)
        .map({"2024-02-05": "2025-01-20"})
        .fillna("2024-04-30")
        .where(ended),
        end_reason=pd.Series("adverse_event", courses.index).where(ended),
    )
    events = tables()["adverse_events"].assign(outcome=None)
    events.loc[events["event_id"] == "E14", "outcome"] = (
        "fatal"  # of P4, in arm B; its severity is not recorded
    )
    found = adverse_event_overview(clinic(courses=courses, adverse_events=events), by="arm")
    estimand = {"estimand": "incidence_proportion"}
    # C1 (P1, arm A) and C5 (P4, arm B) stopped by the data cut; C8 after it.
    assert counts(found, arm="A", category="stopped", **estimand) == (1, 3)
    assert counts(found, arm="B", category="stopped", **estimand) == (1, 2)
    assert counts(found, arm="not recorded", category="stopped", **estimand) == (0, 1)
    assert counts(found, arm="B", category="fatal", **estimand) == (1, 2)
    assert counts(found, arm="A", category="fatal", **estimand) == (0, 2)
    assert_explained(found)


def test_profile_counts_patients_at_the_worst_severity_of_term_and_class() -> None:
    found = adverse_event_profile(clinic())
    rows = found.estimates.set_index(["term_class", "term", "severity"])["numerator"]
    # Bruising: P1 (E1 mild, E13 moderate) at moderate, P3 (E11) at mild. Redness: P1 (E2 severe, E3 moderate) at severe.
    local = rows["expected_local"]
    assert local["bruising"][lambda n: n > 0].to_dict() == {"any": 2, "moderate": 1, "mild": 1}
    assert local["redness"][lambda n: n > 0].to_dict() == {"any": 1, "severe": 1}
    # The class: P1 at severe, P3 at mild, P4 (E14 itching) not recorded.
    assert local["any"][lambda n: n > 0].to_dict() == {"any": 3, "severe": 1, "mild": 1, "not recorded": 1}
    assert rows["special_interest", "nodule", "mild"] == 1  # E7
    assert rows["uncoded", "any", "any"] == 1  # E4
    assert found.estimates["denominator"].eq(4).all()
    assert found.estimates["n_missing"].eq(1).all()
    assert_explained(found)


def test_profile_by_arm_has_zeros() -> None:
    found = adverse_event_profile(clinic(), by="arm")
    cell = {"term_class": "special_interest", "term": "nodule", "severity": "any"}
    assert counts(found, arm="A", **cell) == (1, 2)
    assert counts(found, arm="B", **cell) == (0, 2)
    sizes = found.estimates.groupby("arm").size()
    assert sizes.eq(sizes["A"]).all()
    assert_explained(found)


def test_without_events_overview_is_zeros_and_the_profile_has_no_rows() -> None:
    none = clinic(adverse_events=tables()["adverse_events"].iloc[:0])
    overview = adverse_event_overview(none, by="sex")
    assert overview.estimates.query("estimand == 'incidence_proportion'")["numerator"].eq(0).all()
    assert set(overview.estimates["sex"]) == {"female", "male", "not recorded"}
    assert adverse_event_profile(none, by="sex").estimates.empty


@pytest.mark.parametrize("analysis", [adverse_event_overview, adverse_event_profile])
def test_groups_of_sessions_are_refused(analysis: Any) -> None:
    with pytest.raises(ValueError, match="takes columns of patients and courses"):
        analysis(clinic(), by="practitioner_id")
    with pytest.raises(ValueError, match="method 'wald' is unknown"):
        analysis(clinic(), method="wald")
