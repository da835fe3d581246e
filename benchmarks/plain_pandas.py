"""The three analyses' counts in plain pandas, as an analyst would write them: the yardstick of the benchmark."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from mesostats.schedule import slot_table
from mesostats.vocabulary import load_vocabulary

if TYPE_CHECKING:
    from pathlib import Path

FOLLOW_UP = 60


def _read(folder: Path, table: str, columns: list[str]) -> pd.DataFrame:
    return pd.read_parquet(folder / f"{table}.parquet", columns=columns)


def _courses(folder: Path, cutoff: pd.Timestamp) -> pd.DataFrame:
    """Return courses with the number and dates of their attended days."""
    sessions = _read(folder, "sessions", ["course_id", "date", "status"])
    sessions["date"] = pd.to_datetime(sessions["date"])
    held = sessions[(sessions["status"] == "attended") & (sessions["date"] <= cutoff)]
    held = held[["course_id", "date"]].drop_duplicates()
    held = held.groupby("course_id")["date"].agg(attended="size", first="min", last="max").reset_index()
    columns = [
        "course_id",
        "patient_id",
        "indication",
        "protocol",
        "planned_sessions",
        "start_date",
        "status",
        "end_date",
    ]
    return _read(folder, "courses", columns).merge(held, on="course_id", how="left").fillna({"attended": 0})


def course_states(folder: Path, cutoff: pd.Timestamp) -> pd.DataFrame:
    """Return courses with their state at the data cut."""
    courses = _courses(folder, cutoff)
    slots = slot_table(load_vocabulary().protocols.values(), longest=int(courses["planned_sessions"].max()))
    courses["slot"] = courses["attended"].astype(int) + 1
    courses = courses.merge(
        slots[["protocol", "slot", "longest", "grace"]], on=["protocol", "slot"], how="left"
    )
    anchor = courses["last"].fillna(pd.to_datetime(courses["start_date"]))
    overdue = (cutoff - anchor).dt.days - courses["longest"] > courses["grace"]
    end = pd.to_datetime(courses["end_date"])
    status = courses["status"].where(end.isna() | (end <= cutoff))
    completed = (status == "completed") | (courses["attended"] >= courses["planned_sessions"])
    courses["state"] = "ongoing"
    courses.loc[overdue | (status == "discontinued"), "state"] = "dropped_out"
    courses.loc[completed, "state"] = "completed"
    return courses


def retention(folder: Path, cutoff: pd.Timestamp) -> pd.DataFrame:
    """Return courses by indication, attended sessions and state."""
    courses = course_states(folder, cutoff)
    return courses.groupby(["indication", "attended", "state"]).size().reset_index(name="courses")


def adverse_events(folder: Path, cutoff: pd.Timestamp) -> pd.DataFrame:
    """Return patients with a treatment-emergent event by indication and term."""
    courses = _courses(folder, cutoff)
    treated = courses[courses["attended"] > 0][["course_id", "patient_id", "indication", "first", "last"]]
    events = _read(folder, "adverse_events", ["course_id", "term", "onset_date"]).merge(
        treated, on="course_id"
    )
    onset = pd.to_datetime(events["onset_date"])
    until = events["last"] + pd.Timedelta(days=FOLLOW_UP)
    emergent = onset.isna() | ((onset >= events["first"]) & (onset <= until) & (onset <= cutoff))
    found = events[emergent].groupby(["indication", "term"])["patient_id"].nunique()
    return found.reset_index(name="patients")


def response(folder: Path, cutoff: pd.Timestamp) -> pd.DataFrame:
    """Return evaluable courses by indication and instrument at the end of the course."""
    courses = course_states(folder, cutoff)
    ended = (courses["state"] != "ongoing") & (courses["last"] + pd.Timedelta(days=FOLLOW_UP) <= cutoff)
    due = courses[ended & (courses["attended"] > 0)][["course_id", "indication", "first", "last"]]
    outcomes = _read(folder, "outcomes", ["outcome_id", "course_id", "date", "instrument", "value"]).dropna(
        subset="value"
    )
    outcomes["date"] = pd.to_datetime(outcomes["date"])
    outcomes = outcomes.merge(due, on="course_id").sort_values(["date", "outcome_id"])
    keys = ["course_id", "instrument"]
    baseline = (
        outcomes[outcomes["date"] <= outcomes["first"]].groupby(keys)["value"].last().rename("baseline")
    )
    until = outcomes["last"] + pd.Timedelta(days=FOLLOW_UP)
    inside = (
        (outcomes["date"] > outcomes["first"])
        & (outcomes["date"] >= outcomes["last"])
        & (outcomes["date"] <= until)
    )
    endpoint = outcomes[inside].groupby(keys)["value"].last().rename("endpoint")
    scored = (
        endpoint.to_frame()
        .join(baseline)
        .reset_index()
        .merge(due[["course_id", "indication"]], on="course_id")
    )
    return scored.groupby(["indication", "instrument"]).agg(
        endpoint=("endpoint", "size"), mean=("endpoint", "mean")
    )
