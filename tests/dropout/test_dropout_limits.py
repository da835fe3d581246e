"""Where nothing is known, where groups bear odd names, and what each analysis says of a course that another counts otherwise."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pandas as pd
import pytest

import mesostats as ms

if TYPE_CHECKING:
    from collections.abc import Callable

WHOLE = [0, 5, 10, 15, 20]  # all five sessions of the short course


@pytest.mark.parametrize("baseline", ["phase", "session"])
def test_prediction_ends_where_nobody_was_due(build: Callable[..., ms.Dataset], baseline: str) -> None:
    # Two of four courses are given up at session 3 of the weekly phase; nobody comes to the fortnightly one.
    days = [[0, 7], [0, 8], [0, 7, 14], [0, 7, 14]]
    clinic = build([{"protocol": "weekly_to_monthly", "days": own} for own in days], cut=60)
    found = ms.predicted_retention(
        clinic, {"usual": {}}, protocol="weekly_to_monthly", covariates=[baseline]
    ).estimates.set_index("time")
    assert found.index.tolist() == [*range(2, 11)]
    # Due: session 2 four times, 3 four times, 4 twice; given up: none, 2 and 2.
    free = {"phase": [0.6, 0.36, 0.216], "session": [1, 0.5, 0]}[baseline]
    assert found["estimate"].iloc[:3].tolist() == pytest.approx(free, abs=1e-6)
    assert found["estimate"].iloc[3:].isna().all()
    assert found["note"].iloc[3:].str.startswith("nobody was due at this session").all()


def test_prediction_without_anybody_due_is_rows_with_a_note(build: Callable[..., ms.Dataset]) -> None:
    clinic = build([{"days": [0]}, {"days": []}], cut=3)
    found = ms.predicted_retention(
        clinic, {"usual": {}, "other": {}}, protocol="short_course", covariates=["phase", "indication"]
    ).estimates
    assert found.groupby("profile")["time"].agg(list).to_dict() == {
        "usual": [2, 3, 4, 5],
        "other": [2, 3, 4, 5],
    }
    assert found["estimate"].isna().all()
    assert found["note"].ne("").all()


def stopping(
    build: Callable[..., ms.Dataset], courses: list[dict[str, Any]], reddened: list[str]
) -> ms.Result:
    """Return what preceded stopping, with redness after the given sessions."""
    plain = build(courses, cut=300)
    sessions = plain.table("sessions")
    events = sessions[sessions["session_id"].isin(reddened)]
    clinic = ms.Dataset(
        patients=plain.table("patients"),
        courses=plain.table("courses"),
        sessions=sessions.assign(adverse_events_asked="yes"),
        adverse_events=pd.DataFrame(
            {
                "event_id": events["session_id"],
                "course_id": events["course_id"],
                "session_id": events["session_id"],
            }
        ).assign(term="redness", onset_date=events["date"]),
        outcomes=pd.DataFrame(columns=["outcome_id", "course_id", "date", "instrument", "value"]),
        cutoff=plain.cutoff,
    )
    return ms.before_stopping(clinic)


def test_a_difference_is_explained_without_those_whom_nobody_is_compared_with(
    build: Callable[..., ms.Dataset],
) -> None:
    # Two stop at session 3, to which the third comes; the third stops at session 4, to which nobody comes.
    found = stopping(build, [{"days": [0, 5]}, {"days": [0, 5]}, {"days": [0, 5, 10]}], ["S1"])
    counts = {"stopped": (1, 3), "came": (0, 1), "stopped - came": (1, 2)}
    for who, expected in counts.items():
        cell = {"estimand": "side_effect", "next_session": who}
        row, behind = found.cell(**cell), found.explain(**cell)
        assert (row["numerator"], row["denominator"]) == expected
        assert (behind["in_numerator"].sum(), behind["in_denominator"].sum()) == expected
    assert found.cell(estimand="side_effect", next_session="stopped - came")["estimate"] == pytest.approx(0.5)
    why = found.explain(estimand="side_effect", next_session="stopped - came").query("course_id == 'C002'")
    assert why["excluded"].tolist() == [*["not of this group"] * 2, "nobody came to this session"]


def test_those_who_stopped_are_compared_within_their_protocol(build: Callable[..., ms.Dataset]) -> None:
    # In each protocol one stops at session 2 and one comes; redness follows every first session of the short course only.
    days = [[0], [0, 7]]
    courses = [
        {"protocol": protocol, "days": own}
        for protocol in ("short_course", "weekly_to_monthly")
        for own in days
    ]
    more = [{"protocol": "weekly_to_monthly", "days": [0, 7]}] * 2
    found = stopping(build, courses + more, ["S0", "S1"])
    rows = found.estimates.query("estimand == 'side_effect'").set_index("next_session")
    # Session 2: 1 of 2 stopped after redness; who came: 1/2 of 1 of 1, and 1/2 of 0 of 3 (pooled it would be 1 of 4).
    # Session 3: four stopped, nobody came.
    assert rows.loc["came", "estimate"] == pytest.approx(0.5)
    assert rows.loc["stopped - came", "estimate"] == pytest.approx(0, abs=1e-12)


def test_a_course_discontinued_after_all_sessions_is_said_to_count_otherwise_in_retention(
    build: Callable[..., ms.Dataset],
) -> None:
    gone = {"status": "discontinued", "end_date": 30}
    clinic = build([{"days": WHOLE, **gone}, {"days": WHOLE[:2], **gone}, {"days": WHOLE}])
    lost = ms.disposition(clinic).cell(estimand="dropped_out", reason="all reasons")
    assert lost["numerator"] == 2
    assert "1 of them after all planned sessions: `retention` counts these as completed" in lost["note"]
    assert (
        ms.patient_flow(clinic, by=None).cell(
            estimand="dropped_out", phase="after the plan", reason="all reasons"
        )["numerator"]
        == 1
    )
    kept = ms.retention(clinic)
    assert kept.estimates.query("estimand == 'retention'")["numerator"].sum() == 1
    for found in (kept, ms.dropout_reasons(clinic)):
        assert any("completed the course, also where" in rule for rule in found.spec["rules"])


@pytest.mark.parametrize("column", ["unit", "note", "time", "estimate"])
def test_columns_named_as_those_of_results_are_refused(build: Callable[..., ms.Dataset], column: str) -> None:
    plain = build([{"days": WHOLE, "arm": "A"}, {"days": [0], "arm": "B"}])
    courses = plain.table("courses").rename(columns={"arm": column})
    clinic = ms.Dataset(
        patients=plain.table("patients"),
        courses=courses,
        sessions=plain.table("sessions"),
        cutoff=plain.cutoff,
    )
    for analysis in (ms.adherence, ms.session_gaps, ms.sessions_received, ms.hazard_by_phase, ms.disposition):
        with pytest.raises(ValueError, match=f"cannot group by '{column}'"):
            analysis(clinic, by=column)  # type: ignore[operator]


@pytest.mark.parametrize("column", ["group", "place"])
def test_groups_may_bear_the_names_that_a_table_is_sorted_by(
    build: Callable[..., ms.Dataset], column: str
) -> None:
    plain = build([{"days": WHOLE, "arm": "B"}, {"days": [0], "arm": "A"}])
    courses = plain.table("courses").rename(columns={"arm": column})
    clinic = ms.Dataset(
        patients=plain.table("patients"),
        courses=courses,
        sessions=plain.table("sessions"),
        cutoff=plain.cutoff,
    )
    found = ms.disposition(clinic, by=column)
    assert found.cell(**{column: "B"}, estimand="completed", reason="all reasons")["numerator"] == 1


def test_a_group_that_is_called_all_groups_is_explained_as_one(build: Callable[..., ms.Dataset]) -> None:
    clinic = build(
        [{"days": [0, 5], "arm": "all groups"}, {"days": [0, 5], "arm": "A"}, {"days": WHOLE, "arm": "A"}]
    )
    for found in (ms.retention(clinic, by="arm"), ms.dropout_reasons(clinic, by="arm")):
        for row in found.estimates.dropna(subset="denominator").to_dict("records"):
            cell = {name: row[name] for name in [*found.groups, "estimand"]}
            behind = found.explain(**cell, **({} if pd.isna(row["time"]) else {"time": row["time"]}))
            assert behind["in_denominator"].sum() == row["denominator"], cell


def test_a_restricted_mean_is_explained_up_to_its_horizon(build: Callable[..., ms.Dataset]) -> None:
    clinic = build([{"days": [0, 5]}, {"days": [0, 5, 10, 15]}, {"days": WHOLE}])
    found = ms.retention(clinic, tau=3)
    assert found.cell(estimand="restricted_mean")["numerator"] == 1
    assert found.explain(estimand="restricted_mean")["in_numerator"].sum() == 1
    nobody = ms.retention(build([{"days": []}]))  # lost at the first session: there is no horizon
    assert nobody.cell(estimand="restricted_mean")["numerator"] == 0
    assert nobody.explain(estimand="restricted_mean")["in_numerator"].sum() == 0


def test_courses_of_patients_whom_nobody_registered_are_in_the_flow(build: Callable[..., ms.Dataset]) -> None:
    plain = build([{"days": WHOLE, "patient_id": "P1"}, {"days": [0], "patient_id": "P9"}])
    patients = pd.DataFrame({"patient_id": ["P1"], "sex": ["f"]})
    clinic = ms.Dataset(
        patients=patients,
        courses=plain.table("courses"),
        sessions=plain.table("sessions"),
        cutoff=plain.cutoff,
    )
    flow = ms.patient_flow(clinic, by="sex").estimates.query(
        "phase == 'all phases' and reason == 'all reasons'"
    )
    numbers = flow.set_index(["sex", "estimand"])["numerator"]
    assert numbers["not recorded", "registered"] == 0
    assert numbers[:, "started"].to_dict() == {"f": 1, "not recorded": 1}
    assert numbers[:, "dropped_out"].to_dict() == {"f": 0, "not recorded": 1}
