"""Comparisons of side effects between groups: their counts by hand, their numbers from published estimators' own tests."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from counted_clinic import clinic, tables

from mesostats.adverse_events.comparisons import compare_adverse_events
from mesostats.dataset import Dataset


def trial(*, sizes: tuple[int, int] = (10, 20), hits: tuple[int, int] = (4, 2), sites: int = 1) -> Dataset:
    """Return two arms of one course and one asked session a patient; the first patients of each have a bruise."""
    rows = [
        (f"{arm}{site}-{place}", arm, f"site {site}", place < events)
        for site in range(sites)
        for arm, n, events in zip("AB", sizes, hits, strict=True)
        for place in range(n)
    ]
    frame = pd.DataFrame(rows, columns=["patient_id", "arm", "clinic_id", "hit"])
    frame = frame.assign(
        course_id=frame["patient_id"], session_id=frame["patient_id"], start_date="2024-01-01"
    )
    hit = frame[frame["hit"]]
    return Dataset(
        patients=frame[["patient_id"]],
        courses=frame[["course_id", "patient_id", "arm", "clinic_id", "start_date"]].assign(
            indication="melasma"
        ),
        sessions=frame[["session_id", "course_id"]].assign(
            date="2024-01-01", status="attended", adverse_events_asked="yes"
        ),
        adverse_events=hit[["course_id", "session_id"]].assign(
            event_id=hit["patient_id"], term="bruising", onset_date="2024-01-03"
        ),
        cutoff="2024-12-31",
    )


def compare(given: Dataset, **arguments: Any) -> pd.DataFrame:
    found = compare_adverse_events(given, group="arm", **({"reference": "B", "of": "any"} | arguments))
    return found.estimates.set_index(["arm", "estimand"])


def test_risks_of_two_arms() -> None:
    found = compare(trial())
    own, reference = found.loc[("A", "incidence_proportion")], found.loc[("B", "incidence_proportion")]
    assert (own["numerator"], own["denominator"]) == (4, 10)
    assert (reference["numerator"], reference["denominator"]) == (2, 20)
    assert found.loc[("A", "risk_difference"), "estimate"] == pytest.approx(0.3)
    assert found.loc[("A", "risk_ratio"), "estimate"] == pytest.approx(4)
    # Fisher: of the tables with 6 events among 30, those with 0, 4, 5 or 6 of them in A are no more likely than the observed
    # one: C(10, a)·C(20, 6 - a) = 38760, 39900, 5040 and 210 of C(30, 6) = 593775 (1, 2 and 3 have more).
    assert found.loc[("A", "odds_ratio"), "p_value"] == pytest.approx((38760 + 39900 + 5040 + 210) / 593775)
    assert ("B", "risk_difference") not in found.index


def test_strata_are_pooled() -> None:
    # Two sites alike: the Mantel-Haenszel difference is that of each.
    found = compare(trial(sites=2), strata="clinic_id")
    assert found.loc[("A", "risk_difference"), "estimate"] == pytest.approx(0.3)
    assert found.loc[("A", "risk_difference"), "denominator"] == 20
    # Cochran-Mantel-Haenszel: sum(a - e) = 2·(4 - 6·10/30) = 4, v = 2·(10·20·6·24)/(30²·29) = 2.2069.
    assert found.loc[("A", "odds_ratio"), "statistic"] == pytest.approx(16 / 2.206896551724138)
    assert "Sato" in found.loc[("A", "risk_difference"), "method"]


def test_a_stratum_with_one_arm_is_left_out_visibly() -> None:
    given = trial(sites=2)
    courses = given.table("courses")
    lonely = (courses["clinic_id"] == "site 1") & (courses["arm"] == "B")
    changed = courses.assign(arm=courses["arm"].mask(lonely, "A"))
    other = Dataset(
        **{name: given.table(name) for name in given.names if name != "courses"},
        courses=changed,
        cutoff="2024-12-31",
    )
    row = compare(other, strata="clinic_id").loc[("A", "risk_difference")]
    assert row["estimate"] == pytest.approx(0.3)  # site 0 alone
    assert "1" in row["note"]
    assert row["note"]


@pytest.mark.parametrize(
    ("arguments", "measures"),
    [
        ({}, {"risk_difference", "risk_ratio", "odds_ratio"}),
        ({"per": "session"}, {"risk_difference", "risk_ratio"}),
        ({"per": "patient_month"}, {"rate_ratio", "rate_difference"}),
        ({"events": "all"}, {"rate_ratio"}),
        ({"per": "patient_month", "events": "all"}, {"rate_ratio"}),
    ],
)
def test_measures_suit_what_is_counted(arguments: dict[str, Any], measures: set[str]) -> None:
    found = compare(trial(), **arguments)
    assert {measure for arm, measure in found.index if arm == "A"} - {found.index[0][1]} == measures
    assert found.loc[found.index.isin([("A", measure) for measure in measures]), "estimate"].notna().all()


def test_repeated_events_can_be_compared_by_a_model() -> None:
    events = tables()["adverse_events"]
    given = clinic(adverse_events=pd.concat([events, events.assign(event_id=events["event_id"] + "again")]))
    arguments = {"group": "arm", "reference": "B", "of": "any", "events": "all", "per": "patient_month"}
    found = compare_adverse_events(given, model="negative_binomial", **arguments).estimates  # type: ignore[arg-type]
    row = found.query("arm == 'A' and estimand == 'rate_ratio'").iloc[0]
    counted = compare_adverse_events(given, **arguments).estimates.query("estimand == 'rate_ratio'").iloc[0]  # type: ignore[arg-type]
    assert (row["numerator"], row["denominator"]) == (counted["numerator"], counted["denominator"])
    assert row["method"] != counted["method"]
    with pytest.raises(ValueError, match="needs events='all'"):
        compare_adverse_events(given, group="arm", reference="B", model="negative_binomial")


def test_silent_groups_have_no_p_value_and_no_family() -> None:
    found = compare_adverse_events(trial(hits=(4, 2)), group="arm", reference="B", of="term").estimates
    silent = found.query("estimand == 'risk_difference' and term != 'bruising'")
    assert silent["p_value"].isna().all()
    assert silent["note"].str.contains("nothing to test").all()
    one = found.query("estimand == 'risk_difference' and term == 'bruising'").iloc[0]
    assert one["p_adjusted"] == one["p_value"]  # alone in its family


def test_patients_in_both_groups_are_told() -> None:
    # P1 has a course in each arm (see counted_clinic).
    found = compare_adverse_events(clinic(), group="arm", reference="B", of="any").estimates
    row = found.query("arm == 'A' and estimand == 'risk_difference'").iloc[0]
    assert "patients in both groups: 1" in row["note"]


def test_adjusted_p_values_are_of_all_kinds_of_one_comparison() -> None:
    found = compare_adverse_events(clinic(), group="arm", reference="B", of="term").estimates
    tested = found[found["p_value"].notna()]
    for (_, _), family in tested.groupby(["arm", "estimand"]):
        order = family["p_value"].sort_values()
        m = len(order)
        by_hand = [min(order.iloc[j] * m / (j + 1) for j in range(i, m)) for i in range(m)]
        np.testing.assert_allclose(family.loc[order.index, "p_adjusted"], np.minimum(by_hand, 1))


def test_explain_gives_the_rows_of_the_group() -> None:
    found = compare_adverse_events(trial(), group="arm", reference="B", of="term")
    rows = found.explain(arm="A", term="bruising", estimand="risk_difference")
    assert (rows["in_numerator"].sum(), rows["in_denominator"].sum()) == (4, 10)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"reference": "C"}, "no group of arm is 'C'"),
        ({"strata": "sex", "per": "session"}, "strata= needs per='patient'"),
        ({"multiplicity": "bonferroni"}, "multiplicity 'bonferroni' is unknown"),
        ({"per": "month"}, "per 'month' is unknown"),
        ({"group": "armm"}, "did you mean 'arm'"),
    ],
)
def test_arguments_are_checked(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        compare_adverse_events(clinic(), **({"group": "arm", "reference": "B"} | arguments))


def test_an_arm_without_patients_who_were_asked_has_no_estimate() -> None:
    sessions = tables()["sessions"].assign(adverse_events_asked="no")
    sessions.loc[sessions["session_id"] == "S6", "adverse_events_asked"] = "yes"
    given = clinic(sessions=sessions, adverse_events=tables()["adverse_events"].iloc[:0])
    row = compare(given).loc[("A", "risk_difference")]
    assert np.isnan(row["estimate"])
    assert row["note"]
