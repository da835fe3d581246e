"""Why courses ended before their planned sessions, as recorded, or for want of a record."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import narwhals as nw

from mesostats.populations import NOT_RECORDED

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mesostats.dataset import Dataset

OVERDUE: Final = "overdue"
"""The reason of a course that is known to have ended only because its next session is overdue."""
ALL_REASONS: Final = "all reasons"
"""What stands for every reason together in the column ``reason``."""

REASON_RULE: Final = (
    "A reason is as recorded by the data cut; 'overdue' is a course that nobody recorded as ended, 'not recorded' one that was "
    "recorded as discontinued without a reason."
)


def with_reason(courses: nw.LazyFrame[Any]) -> nw.LazyFrame[Any]:
    """Replace the recorded reason of each course by one that is never empty; it has a meaning for dropouts only."""
    overdue = nw.when(nw.col("rule") == "overdue").then(nw.lit(OVERDUE))
    return courses.with_columns(reason=nw.coalesce(nw.col("reason"), overdue.otherwise(nw.lit(NOT_RECORDED))))


def in_order(reasons: Iterable[str], clinic: Dataset) -> list[str]:
    """Return distinct reasons in the order of the vocabulary; then codes that it does not list, then those without a record."""
    found = set(reasons)
    unrecorded = [reason for reason in (OVERDUE, NOT_RECORDED) if reason in found]
    known = [code for code in clinic.vocabulary.discontinuation_reasons if code in found]
    return [*known, *sorted(found - {*known, *unrecorded}), *unrecorded]


def reason_labels(clinic: Dataset) -> dict[str, str]:
    """Return what a reader sees for each reason."""
    listed = {code: entry.label for code, entry in clinic.vocabulary.discontinuation_reasons.items()}
    unrecorded = {
        OVERDUE: "Overdue, no reason recorded",
        NOT_RECORDED: "Discontinued, no reason recorded",
        ALL_REASONS: "All reasons",
    }
    return listed | unrecorded
