"""What no order, no name, no other group and no later day may change, on the rough clinics of `naive_courses`."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pytest
from naive_courses import Naive, day_of, rough_tables, vocabulary

import mesostats as ms

ANALYSES: dict[str, Any] = {
    "adherence": lambda clinic: ms.adherence(clinic, by=["arm", "phase"]),
    "gaps": lambda clinic: ms.session_gaps(clinic, by="arm"),
    "received": lambda clinic: ms.sessions_received(clinic, by="arm"),
    "retention": lambda clinic: ms.retention(clinic, by="arm", time="day"),
    "steps": lambda clinic: ms.dropout_by_session(clinic, by="arm"),
    "phases": lambda clinic: ms.hazard_by_phase(clinic, by="arm"),
    "reasons": lambda clinic: ms.dropout_reasons(clinic, by="arm"),
    "disposition": lambda clinic: ms.disposition(clinic, by="arm"),
    "flow": lambda clinic: ms.patient_flow(clinic, by="arm"),
    "returns": lambda clinic: ms.return_for_repeat(clinic, by="arm", window_days=(1, 40)),
}


def clinic_from(tables: dict[str, pd.DataFrame], cut: str) -> ms.Dataset:
    return ms.Dataset(**tables, cutoff=cut, vocabulary=vocabulary())  # type: ignore[arg-type]


def twin_of(tables: dict[str, pd.DataFrame]) -> dict[str, pd.DataFrame]:
    ids = ["patient_id", "course_id", "session_id"]
    return {
        name: table.assign(**{key: "twin-" + table[key] for key in ids if key in table})
        for name, table in tables.items()
    }


@pytest.mark.parametrize("name", ANALYSES)
def test_order_and_names_do_not_matter_and_twice_the_clinic_has_twice_the_counts(name: str) -> None:
    tables, cut = rough_tables(120, patients=8)
    shuffled = {key: table.sample(frac=1, random_state=1) for key, table in tables.items()}
    twin = twin_of(tables)
    double = {key: pd.concat([table, twin[key]]) for key, table in tables.items()}
    one, same, other, both = (
        ANALYSES[name](clinic_from(each, cut)).estimates for each in (tables, shuffled, twin, double)
    )
    for changed in (same, other):
        pd.testing.assert_frame_equal(one, changed, rtol=1e-12)
    counts = ["numerator", "denominator", "n_missing"]
    pd.testing.assert_frame_equal(both[counts], one[counts] * 2, rtol=1e-12)
    shares = ~one["estimand"].str.endswith("_test")
    pd.testing.assert_series_equal(both["estimate"][shares], one["estimate"][shares], rtol=1e-12)


@pytest.mark.parametrize("seed", [121])
def test_another_group_changes_nothing_elsewhere(seed: int) -> None:
    tables, cut = rough_tables(seed, patients=8)
    more = twin_of(tables)
    more["courses"] = more["courses"].assign(arm="C")
    wider = {key: pd.concat([table, more[key]]) for key, table in tables.items()}
    for name in ("adherence", "steps", "phases", "disposition", "received"):
        one, both = (ANALYSES[name](clinic_from(each, cut)).estimates for each in (tables, wider))
        own = both[both["arm"].isin(one["arm"])].reset_index(drop=True)
        pd.testing.assert_frame_equal(one, own, rtol=1e-12)


@pytest.mark.parametrize("seed", [130, 131])
def test_nothing_after_the_cut_is_used(seed: int) -> None:
    tables, cut = rough_tables(seed)
    naive = Naive(tables, cut)
    kept = {each.id: each for each in naive.courses}
    sessions, courses = tables["sessions"], tables["courses"]
    courses = courses[courses["course_id"].isin(kept)]
    told = {
        name: [kept[each].recorded(name) for each in courses["course_id"]]
        for name in ("status", "end_date", "end_reason")
    }
    past = {
        "patients": tables["patients"],
        "courses": courses.assign(**told),
        "sessions": sessions[sessions["date"].isna() | (sessions["date"] <= cut)],
    }
    before, after = clinic_from(past, cut), clinic_from(tables, cut)
    pd.testing.assert_frame_equal(ms.course_states(before), ms.course_states(after))
    for anchor in ("held", "plan"):
        pd.testing.assert_frame_equal(
            ms.session_states(before, anchor=anchor), ms.session_states(after, anchor=anchor)
        )  # type: ignore[arg-type]
    for name in ("steps", "reasons", "returns", "received"):
        pd.testing.assert_frame_equal(*(ANALYSES[name](each).estimates for each in (before, after)))


@pytest.mark.parametrize("seed", range(140, 143))
def test_an_ongoing_course_was_no_dropout_before_unless_it_came_back(seed: int) -> None:
    tables, _ = rough_tables(seed)
    whole = clinic_from(tables, "2024-06-01")
    ongoing = set(ms.course_states(whole).query("state == 'ongoing'")["course_id"])
    for cut in ("2024-05-01", "2024-03-15", "2024-02-01"):
        earlier = ms.course_states(whole.with_cutoff(cut)).set_index("course_id")
        lost = earlier[(earlier["state"] == "dropped_out") & earlier.index.isin(ongoing)]
        later = {each.id: each for each in Naive(tables, "2024-06-01").courses}
        # Given up then, going on now: only where a session was held after that cut.
        assert all(max(later[course].days, default=-99) > int(day_of(cut) or 0) for course in lost.index)
