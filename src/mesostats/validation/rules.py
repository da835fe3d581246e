"""The rules by name: how grave each is, what a defect shows, and what a person at the desk does about it.

`found` and `action` are templates; the values in braces come from the row. A redacted report leaves them out.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Severity = Literal["error", "warning", "info"]

SEVERITIES: tuple[Severity, ...] = ("error", "warning", "info")


@dataclass(frozen=True)
class Rule:
    """One rule of the validation.

    Parameters
    ----------
    code
        Its short name in the report.
    number
        The number of the defect that it finds among the twelve that real exports carry; None for plain contract rules.
    severity
        ``error``: the data are wrong; ``warning``: they may be; ``info``: what was done with them.
    found, action
        Templates of the two texts of a defect.
    """

    code: str
    number: int | None
    severity: Severity
    found: str
    action: str


_ROWS = (
    Rule("missing_value", None, "error", "nothing", "Fill in {column}; no row can do without it."),
    Rule("unknown_code", None, "error", "{value}", "Use one of the listed codes{near}"),
    Rule("out_of_range", None, "error", "{value}", "Correct the value; {column} is {limits}."),
    Rule("wrong_type", None, "error", "{value}", "Write {expected}."),
    Rule("ambiguous_date", 3, "error", "{value}", "Write the date as YYYY-MM-DD; it could mean {readings}."),
    Rule(
        "decimal_comma",
        8,
        "warning",
        "{value}",
        "Write {reading} if the comma is the decimal sign; as it stands the value is not used.",
    ),
)

_KEYS = (
    Rule(
        "duplicate_row",
        1,
        "error",
        "an exact copy of row {other}",
        "Remove the copy, so that it is not counted twice.",
    ),
    Rule(
        "duplicate_key",
        None,
        "error",
        "{key} stands in row {other} too, with other content",
        "Give each row its own {column}, or remove the row that is wrong.",
    ),
    Rule(
        "unknown_reference",
        None,
        "error",
        "{value}",
        "Add this {column} to the table {target}, or correct it here.",
    ),
)

_DATES = (
    Rule(
        "session_before_course",
        2,
        "error",
        "session on {date}, course agreed on {start_date}",
        "Correct the date of the session or the start of the course.",
    ),
    Rule(
        "event_before_treatment",
        2,
        "error",
        "side effect began on {onset_date}, first session attended on {first_date}",
        "Correct the date on which the side effect began, or the sessions of the course.",
    ),
    Rule(
        "course_end_before_start",
        2,
        "error",
        "ended on {end_date}, agreed on {start_date}",
        "Correct the start or the end of the course.",
    ),
    Rule(
        "event_end_before_onset",
        2,
        "error",
        "began on {onset_date}, over on {end_date}",
        "Correct the day on which the side effect began or was over.",
    ),
    Rule(
        "event_unresolved_with_end",
        2,
        "warning",
        "outcome {outcome}, over on {end_date}",
        "Correct the outcome, or remove the day on which it was over.",
    ),
    Rule(
        "future_date",
        2,
        "error",
        "{date}, after {limit}",
        "Correct the date: it lies in the future.",
    ),
)

_SESSIONS = (
    Rule(
        "same_day_sessions",
        1,
        "warning",
        "{date}, the same patient, day and area as session {other} in row {other_row}",
        "If this is one visit recorded twice, remove one of the two rows.",
    ),
    Rule(
        "session_number",
        4,
        "warning",
        "number {session_number} on {date}",
        "By the dates of the course this is number {expected}; correct the number or the date, or add what is missing.",
    ),
    Rule(
        "off_window",
        5,
        "warning",
        "{gap} days after the session before; protocol {protocol} plans {low} to {high} in the phase {phase}",
        "Check both dates; if they are right, the visit was early or late, and nothing is to be done.",
    ),
    Rule(
        "dose_without_visit",
        11,
        "error",
        "status {status} with {dose}",
        "Correct the status if the patient was treated; otherwise remove what was recorded.",
    ),
    Rule(
        "no_end_reason",
        11,
        "warning",
        "discontinued without a reason",
        "Fill in end_reason ('unknown' if nobody knows).",
    ),
    Rule(
        "treated_despite_contraindication",
        12,
        "error",
        "{contraindication}: yes, and {n_attended} sessions attended",
        "Check the patient's file: correct the answer if it is wrong; otherwise tell the responsible practitioner.",
    ),
    Rule(
        "missing_lot",
        12,
        "warning",
        "no lot of {substance}",
        "Fill in the lot; without it an infection cannot be traced to a product.",
    ),
    Rule(
        "unit_of_column",
        8,
        "warning",
        "{value}, where the usual value is {usual}",
        "This may be in {unit}: with the factor {factor} it would be {reading}. Check it; nothing was converted.",
    ),
)

_OUTCOMES = (
    Rule(
        "baseline_missing",
        6,
        "warning",
        "first assessment with {instrument} on {date}, first session on {first_date}",
        "Add the assessment before treatment if there is one; without it response cannot be judged.",
    ),
    Rule(
        "outside_instrument",
        7,
        "error",
        "{value}",
        "Correct the value; {instrument} runs from {minimum} to {maximum}.",
    ),
    Rule(
        "direction_undeclared",
        7,
        "error",
        "{instrument}, {n} assessments",
        "Say in a vocabulary overlay whether higher or lower is better; until then the instrument is not scored.",
    ),
    Rule(
        "unit_of_instrument",
        8,
        "warning",
        "{value}, where {usual} would be usual",
        "This may be in {unit}: with the factor {factor} it would be {reading}. Check it; nothing was converted.",
    ),
)

_EVENTS = (
    Rule(
        "fatal_not_serious",
        2,
        "warning",
        "fatal, and serious is no",
        "A death is serious: correct serious, or the severity and the outcome.",
    ),
    Rule(
        "event_two_severities",
        1,
        "warning",
        "{severity}; the same course, term and day of onset ({term}, {onset_date}) also as {other}",
        "If this is one side effect recorded twice, keep the row with the right severity; two are counted as two.",
    ),
    Rule(
        "event_of_another_course",
        2,
        "error",
        "session {session_id} is not one of course {course_id}",
        "Correct the session or the course of the side effect.",
    ),
    Rule("event_coded", 9, "info", "{verbatim}", "Read as {term}; correct the term if that is wrong."),
    Rule("event_uncoded", 9, "warning", "{verbatim}", "Choose the term of this side effect by hand."),
    Rule(
        "no_event",
        9,
        "info",
        "{verbatim}",
        "Read as no side effect; fill in the term if there was one.",
    ),
    Rule(
        "events_not_asked",
        10,
        "warning",
        "adverse_events_asked is empty and no side effect is recorded",
        "Fill in yes if somebody asked and there was none, no if nobody asked.",
    ),
)

_PRIVACY = (
    Rule(
        "direct_identifier",
        12,
        "error",
        "{what}",
        "Remove the column, or what identifies the patient in it, before anybody else sees the data.",
    ),
)

RULES: dict[str, Rule] = {
    rule.code: rule for rule in (*_ROWS, *_KEYS, *_DATES, *_SESSIONS, *_OUTCOMES, *_EVENTS, *_PRIVACY)
}
