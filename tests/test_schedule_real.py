"""The visits of a real trial against its plan, beside a plain pandas computation from the trial's own files."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pandas as pd
import pyreadstat
import pytest

from mesostats.mapping import read
from mesostats.slots import session_states
from mesostats.visits.adherence import adherence
from mesostats.visits.gaps import session_gaps
from mesostats.visits.switches import phase_switches

DATA = (
    Path(os.environ.get("MESOSTATS_REAL_DATA", Path(__file__).parents[1] / ".." / "shared" / "data"))
    / "cdisc-pilot"
)
VISITS = [3, 4, 5, 7, 8, 9, 10, 11, 12, 13]  # baseline and the visits of weeks 2 to 26
# Days after the visit before (the first: after the start), as the plan of the trial has them, 3 days either way.
SHORTEST = np.array([0, 11, 11, 11, 11, 25, 25, 25, 25, 11])
LONGEST = np.array([17, 17, 17, 17, 17, 31, 31, 31, 31, 17])
CUT = pd.Timestamp("2015-06-30")

pytestmark = pytest.mark.skipif(
    not DATA.is_dir(),
    reason="the CDISC pilot data are not there; set MESOSTATS_REAL_DATA to the folder that holds them",
)


def plain_states(anchor: str) -> pd.DataFrame:
    """Return course_id, slot, state of all slots of the 254 patients, from the files of the trial."""
    patients = pyreadstat.read_xport(str(DATA / "adsl.xpt"))[0].set_index("USUBJID")
    visits = pyreadstat.read_xport(str(DATA / "sv.xpt"))[0].query(
        "VISITNUM in @VISITS", local_dict={"VISITS": VISITS}
    )
    dates = pd.to_datetime(visits["SVSTDTC"]).groupby(visits["USUBJID"]).agg(lambda each: sorted(set(each)))
    rows = []
    for course, patient in patients.iterrows():
        start = pd.Timestamp("1960-01-01") + pd.Timedelta(days=int(_sas_day(patient["TRTSDT"])))
        days = [(each - start).days for each in dates.get(course, [])]
        rows += [(course, slot + 1, state) for slot, state in enumerate(_slots(days, start, anchor))]
        if patient["DCDECOD"] == "COMPLETED":
            rows = [row for row in rows if not (row[0] == course and row[2] == "missed")]
    return pd.DataFrame(rows, columns=["course_id", "slot", "state"])


def _sas_day(value: object) -> int:
    return (
        (pd.Timestamp(value) - pd.Timestamp("1960-01-01")).days
        if not isinstance(value, float)
        else int(value)
    )


def _slots(days: list[int], start: pd.Timestamp, anchor: str) -> list[str]:
    earliest = latest = 0
    states = []
    for slot in range(len(VISITS)):
        earliest, latest = earliest + SHORTEST[slot], latest + LONGEST[slot]
        if slot >= len(days):
            states.append("missed" if start + pd.Timedelta(days=int(latest)) < CUT else "not_yet_due")
            continue
        states.append("early" if days[slot] < earliest else "late" if days[slot] > latest else "on_time")
        if anchor == "held":
            earliest = latest = days[slot]
    return states


@pytest.mark.parametrize("anchor", ["held", "plan"])
def test_session_states_are_those_of_the_files(anchor: str) -> None:
    trial = read(DATA, mapping="cdisc_pilot")
    states = session_states(trial, anchor=anchor)  # type: ignore[arg-type]
    planned = states.dropna(subset="slot")[["course_id", "slot", "state"]].astype({"slot": "int64"})
    expected = plain_states(anchor).sort_values(["course_id", "slot"], ignore_index=True)
    assert expected["course_id"].nunique() == 254
    pd.testing.assert_frame_equal(planned.reset_index(drop=True), expected, check_dtype=False)
    found = adherence(trial, by=None, anchor=anchor).estimates.set_index("estimand")  # type: ignore[arg-type]
    numbers = expected["state"].value_counts()
    for state in ("on_time", "early", "late", "missed"):
        assert found.loc[state, "numerator"] == numbers.get(state, 0)
        assert found.loc[state, "denominator"] == numbers.drop("not_yet_due", errors="ignore").sum()


def test_gaps_are_those_of_the_files() -> None:
    visits = pyreadstat.read_xport(str(DATA / "sv.xpt"))[0].query(
        "VISITNUM in @VISITS", local_dict={"VISITS": VISITS}
    )
    days = visits.assign(day=pd.to_datetime(visits["SVSTDTC"]))[["USUBJID", "day"]].drop_duplicates()
    gaps = days.sort_values("day").groupby("USUBJID")["day"].diff().dt.days.dropna()
    found = session_gaps(read(DATA, mapping="cdisc_pilot"), by=None).estimates
    bars = found[found["estimand"] == "gap_share"]
    assert dict(zip(bars["time"], bars["numerator"], strict=True)) == gaps.value_counts().to_dict()
    median = found.set_index("estimand").loc["median_gap", "estimate"]
    assert median == np.quantile(gaps, 0.5, method="inverted_cdf")


def test_two_phases_with_one_window_cannot_be_told_apart() -> None:
    # The last visit comes two weeks after the one before, as those of the first phase do: every such gap is in both.
    switches = phase_switches(read(DATA, mapping="cdisc_pilot"))
    final = switches[switches["phase"] == "final"]
    assert set(final["state"]) <= {"ambiguous", "not_seen"}
    assert (final["state"] == "ambiguous").any()
