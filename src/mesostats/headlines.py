"""The numbers of a report's first page: who was counted, the headline of each question, and what to know before quoting one."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import narwhals as nw

from mesostats.adverse_events.overview import adverse_event_overview
from mesostats.attendance import attended_sessions, treated_course_days
from mesostats.dropout.dispositions import disposition
from mesostats.dropout.retention import retention
from mesostats.engine import collect
from mesostats.errors import MesostatsError
from mesostats.handover import END_OF_COURSE
from mesostats.layout import label, labels_of, out_of, time_name
from mesostats.outcomes.comparisons import compare_response
from mesostats.outcomes.responders import response
from mesostats.schedule import course_timeline
from mesostats.visits.adherence import adherence

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import pandas as pd

    from mesostats.dataset import Dataset
    from mesostats.handover import Opened
    from mesostats.results import Result

RESPONSE, SIDE_EFFECTS, DROPOUT = "02_response", "03_adverse_events", "04_dropout"
"""The parts of a report that defend a headline."""

_SMALL: Final = 20
_ANALYSES: Final[dict[str, Callable[..., Result]]] = {
    "response": response,
    "side effects": adverse_event_overview,
    "retention": retention,
    "courses": disposition,
    "sessions": adherence,
}


@dataclass(frozen=True)
class Headline:
    """One column of the first page.

    Parameters
    ----------
    heading
        What it counts.
    part
        The part of the report that defends it.
    analysis
        One of the analyses of the first page.
    cell
        Which of its estimates: a value a column.
    meaning
        Numerator and denominator in words.
    """

    heading: str
    part: str
    analysis: str
    cell: Mapping[str, str]
    meaning: str


HEADLINES: Final = (
    Headline(
        *("Responders, %", RESPONSE, "response", {"estimand": "response_treated"}),
        "of the treated courses whose endpoint is due, those that met their instrument's rule; whoever was not assessed counts as a non-responder",
    ),
    Headline(
        *("Responders of those assessed, %", RESPONSE, "response", {"estimand": "response_evaluable"}),
        "the same, of those assessed alone: flattering where those who did badly stayed away",
    ),
    Headline(
        *("Patients with a side effect, %", SIDE_EFFECTS, "side effects"),
        {"estimand": "incidence_proportion", "category": "any"},
        "of the treated patients who were asked, those with at least one",
    ),
    Headline(
        *("Patients with a serious one, %", SIDE_EFFECTS, "side effects"),
        {"estimand": "incidence_proportion", "category": "serious"},
        "of the same, those with one that was recorded as serious",
    ),
    Headline(
        *("Still in treatment, %", DROPOUT, "retention", {"estimand": "retention"}),
        "the share of courses expected to come to the session named, the last of the schedule, whatever was recorded after it",
    ),
    Headline(
        *("Courses completed, %", DROPOUT, "courses"),
        {"estimand": "completed", "reason": "all reasons"},
        "of all courses started, also those that still go on",
    ),
    Headline(
        *("Sessions on time, %", DROPOUT, "sessions", {"estimand": "on_time"}),
        "of the planned sessions that were due, those held within their window",
    ),
)


class Quoted(NamedTuple):
    """A number to quote: its row of the estimates, and n/N (of which instrument, where there are several) or the session in words."""

    row: pd.Series[Any]
    counts: str


@dataclass(frozen=True)
class Headlines:
    """What the first page shows.

    Parameters
    ----------
    rows
        Group → heading → the numbers to quote, one an instrument.
    absent
        Heading → why it could not be counted.
    results
        The results behind them, by the name of the analysis.
    """

    rows: dict[str, dict[str, list[Quoted]]]
    absent: dict[str, str]
    results: dict[str, Result]


def headlines(opened: Opened) -> Headlines:
    """Count the headline of each question, by the report's groups.

    Returns
    -------
    Headlines
        What a table that the clinic lacks would tell is absent, with the reason.
    """
    results, why = _results(opened)
    rows: dict[str, dict[str, list[Quoted]]] = {}
    for each in HEADLINES:
        for group, quoted in _quoted(each, results, opened.by):
            rows.setdefault(group, {}).setdefault(each.heading, []).append(quoted)
    absent = {each.heading: why[each.analysis] for each in HEADLINES if each.analysis in why}
    return Headlines(rows, absent, results)


def _results(opened: Opened) -> tuple[dict[str, Result], dict[str, str]]:
    results, why = {}, {}
    for name, analysis in _ANALYSES.items():
        run = partial(analysis, endpoint=opened.endpoint) if name == "response" else analysis
        try:
            results[name] = run(opened.clinic, by=opened.by)
        except (MesostatsError, ValueError) as error:
            why[name] = str(error)
    return results, why


def _quoted(each: Headline, results: Mapping[str, Result], by: list[str]) -> list[tuple[str, Quoted]]:
    if each.analysis not in results:
        return []
    result = results[each.analysis]
    rows = result.estimates
    for column, value in each.cell.items():
        rows = rows[rows[column].eq(value)]
    is_curve = bool(rows["time"].notna().any())
    if is_curve:
        rows = rows.groupby(by, sort=False, dropna=False).tail(1)
    several = _of_several(rows, by)
    return [
        (labels_of(result, by, row), Quoted(row, _count(result, row, is_curve=is_curve, named=named)))
        for (_, row), named in zip(rows.iterrows(), several, strict=True)
    ]


def _of_several(rows: pd.DataFrame, by: list[str]) -> pd.Series[bool]:
    """Return which rows are of a group with several instruments."""
    return rows.duplicated(by, keep=False) & ("instrument" in rows)


def _count(result: Result, row: pd.Series[Any], *, is_curve: bool, named: bool) -> str:
    """Return n/N, and of what instrument where there are several; of a curve its time, for n/N would be that step's alone."""
    if is_curve:
        return f"{time_name(result).lower()} {row['time']:g}"
    return f"{out_of(row)}, {label(result, 'instrument', row['instrument'])}" if named else out_of(row)


def compared_arms(opened: Opened) -> Result | None:
    """Compare response between the arms, where there are two or more."""
    clinic = opened.clinic
    if "outcomes" not in clinic.names or not clinic.recorded("arm"):
        return None
    try:
        found = compare_response(clinic, group="arm", endpoint=opened.endpoint)
    except (MesostatsError, ValueError):
        return None  # one arm, say: there is nothing to compare
    primary = found.estimates["estimand"].eq(found.spec["primary"])
    return found if found.estimates.loc[primary, "estimate"].notna().any() else None


def counted(clinic: Dataset) -> dict[str, str]:
    """Return who and what was counted, in words: patients, courses, sessions, dates and the time in treatment."""
    sessions = collect(
        attended_sessions(clinic).select(
            sessions=nw.len(), first=nw.col("date").min(), last=nw.col("date").max()
        )
    ).iloc[0]
    courses = treated_course_days(clinic).select(
        course_id=nw.col("course_id"),
        patient_id=nw.col("patient_id"),
        days=nw.col("last_day") - nw.col("first_day"),
    )
    treated = collect(
        courses.select(
            courses=nw.len(), patients=nw.col("patient_id").n_unique(), days=nw.col("days").median()
        )
    ).iloc[0]
    found = {
        "Patients treated": f"{treated['patients'] if treated['courses'] else 0:,.0f}",
        "Courses treated": f"{treated['courses']:,.0f}",
        "Sessions attended": f"{sessions['sessions']:,.0f}",
    }
    if sessions["sessions"]:
        found |= {
            f"{which.capitalize()} session": f"{sessions[which]:%Y-%m-%d}" for which in ("first", "last")
        }
        found["Median days from a course's first session to its last"] = f"{treated['days']:g}"
    return found


def cautions(opened: Opened, found: Headlines) -> list[str]:
    """Return in sentences what to know before a number of the first page is quoted."""
    made = [
        *_assessed(found, opened),
        *_asked(opened.clinic),
        *_small(found),
        *_without_protocol(opened.clinic),
    ]
    return [each for each in made if each]


def _assessed(found: Headlines, opened: Opened) -> list[str]:
    if "response" not in found.results:
        return []
    result = found.results["response"]
    rows = result.estimates[result.estimates["estimand"].eq("response_treated")]
    rows = rows[
        (rows["denominator"] > 0) & rows["estimate"].notna()
    ]  # without a rule nobody is a non-responder
    missing, due = rows["n_missing"].sum(), rows["denominator"].sum()
    several = bool(_of_several(rows, opened.by).any())
    what = "endpoints due, one a course and instrument," if several else "courses due"
    columns = [*opened.by, *(["instrument"] if several else [])]
    said = []
    if missing:
        worst = rows.iloc[int((rows["n_missing"] / rows["denominator"]).argmax())]
        said.append(
            f"{_share(missing, due, what)} could not be evaluated at the endpoint and count as non-responders; "
            f"most in {labels_of(result, columns, worst)} ({worst['n_missing']:.0f} of {worst['denominator']:.0f})."
        )
    waiting = result.spec.get("not_due", 0)
    when = "their end" if opened.endpoint == END_OF_COURSE else f"day {opened.endpoint}"
    return [
        *said,
        f"{waiting:,} treated courses had not reached {when} and its window by the data cut: they are in no share of responders."
        if waiting
        else "",
    ]


def _asked(clinic: Dataset) -> list[str]:
    asked = nw.when(nw.col("adverse_events_asked") == "yes").then(nw.lit(0)).otherwise(nw.lit(1))
    row = collect(attended_sessions(clinic).select(n=nw.len(), silent=asked.sum())).iloc[0]
    if not row["n"] or not row["silent"]:
        return []
    return [
        f"In {_share(row['silent'], row['n'], 'attended sessions')} nobody asked about side effects: what happened there is not known."
    ]


def _small(found: Headlines) -> list[str]:
    few = [
        f"{group} ({quoted.row['denominator']:.0f})"
        for group, cells in found.rows.items()
        for quoted in cells.get("Courses completed, %", [])
        if quoted.row["denominator"] < _SMALL
    ]
    return [f"Fewer than {_SMALL} courses, so that shares say little: {', '.join(few)}."] if few else []


def _without_protocol(clinic: Dataset) -> list[str]:
    planless = nw.when(nw.col("protocol").is_null()).then(nw.lit(1)).otherwise(nw.lit(0))
    row = collect(course_timeline(clinic).select(n=nw.len(), without=planless.sum())).iloc[0]
    if not row["n"] or not row["without"]:
        return []
    return [
        f"{_share(row['without'], row['n'], 'courses')} have no protocol: nothing is known of when their sessions were due."
    ]


def _share(part: float, whole: float, what: str) -> str:
    return f"{part:,.0f} of {whole:,.0f} {what} ({100 * part / whole:.0f} %)"


def group_names(result: Result, row: pd.Series[Any]) -> str:
    """Return who is compared with whom in a row of `compared_arms`."""
    names = [label(result, "arm", row[column]) for column in ("arm", "reference")]
    return " against ".join(names)
