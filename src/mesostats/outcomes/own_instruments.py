"""Each course by its own instrument, so that courses with different indications can be compared by response."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import narwhals as nw
import pandas as pd

from mesostats.engine import collect

if TYPE_CHECKING:
    from mesostats.dataset import Dataset
    from mesostats.outcomes.questions import Question

OWN: Final = "own"
"""In place of an instrument: each course by the first instrument that suits its indication and can be scored."""
LABELS: Final = {OWN: "Each course by its own instrument"}


def by_own_instrument(
    clinic: Dataset, courses: nw.LazyFrame[Any], asked: Question
) -> tuple[nw.LazyFrame[Any], dict[str, Any]]:
    """Keep one row a course: that of the first instrument that can be scored.

    Parameters
    ----------
    clinic
        The data set.
    courses
        One row a course and instrument, as of `assessments.scored_courses`.
    asked
        The instruments, in the order in which they are preferred.

    Returns
    -------
    tuple
        The courses with ``own`` for an instrument; and, for the result's ``spec``, ``instruments`` (how many courses each scores)
        and ``unscored`` (courses none of whose instruments can be scored: they are in no denominator).

    Notes
    -----
    Which instruments are found does not depend on whether a course was assessed with them: one that was not is a
    missing outcome of its instrument.
    """
    codes = [each.instrument.code for each in asked.scorings]
    order = pd.DataFrame({"instrument": pd.Series(codes, dtype="str"), "_order": range(len(codes))})
    ranked = courses.filter(nw.col("kind") != "none").join(
        clinic.engine.small(order, courses), on="instrument", how="inner"
    )
    chosen = ranked.unique(["course_id"], keep="first", order_by=["_order"])
    chosen = clinic.engine.materialise(chosen.drop("_order"))
    sizes = collect(chosen.group_by("instrument").agg(courses=nw.len())).sort_values("instrument")
    every = int(collect(courses.select("course_id").unique().select(courses=nw.len()))["courses"].iloc[0])
    told = {
        "instruments": dict(zip(sizes["instrument"], sizes["courses"].tolist(), strict=True)),
        "unscored": every - int(sizes["courses"].sum()),
    }
    return chosen.with_columns(instrument=nw.lit(OWN)), told


def own_rule(told: dict[str, Any]) -> str:
    """Return in a sentence how courses were scored."""
    names = ", ".join(told["instruments"]) or "none"
    return (
        f"Each course is scored with the first instrument that suits its indication ({names}); "
        f"{told['unscored']} courses have none that can be scored."
    )
