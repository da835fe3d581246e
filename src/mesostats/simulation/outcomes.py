"""Assessments of the simulated clinics: a responder's endpoint meets its instrument's rule, a non-responder's does not."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from mesostats.simulation.columns import between, coded, days, happens, identifiers, weighted

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mesostats.simulation.columns import Streams
    from mesostats.simulation.model import Booleans, Stratum
    from mesostats.simulation.process import Courses


@dataclass(frozen=True)
class Assessment:
    """Rows of the table of outcomes before they are put in order: course, day, and the value in grid steps."""

    course: NDArray[np.int64]
    date: NDArray[np.int32]
    steps: NDArray[np.int64]


def outcomes_table(courses: Courses, streams: Streams) -> pa.Table:
    """Return the table of outcomes: baseline, interim, endpoint and later assessments by the cut-off."""
    baseline = _baseline_steps(courses, streams)
    endpoint = _endpoints(courses, baseline, streams)
    parts = [
        _baselines(courses, baseline, streams),
        _interims(courses, baseline, streams),
        endpoint,
        _follow_ups(courses, baseline, endpoint, streams=streams),
    ]
    course, date, steps = (
        np.concatenate([getattr(p, name) for p in parts]) for name in ("course", "date", "steps")
    )
    known = date <= courses.cutoff
    course, date, steps = course[known], date[known], steps[known]
    order = np.lexsort((date, course))
    return _table(Assessment(course[order], date[order], steps[order]), courses, streams)


def _table(rows: Assessment, courses: Courses, streams: Streams) -> pa.Table:
    n, rng, strata = len(rows.course), streams("outcomes: record"), courses.model.strata
    stratum, given = courses.stratum[rows.course], courses.model.scenario.assessments
    step = np.array([each.indication.baseline.step for each in strata])[stratum]
    return pa.table(
        {
            "outcome_id": identifiers("O", np.arange(1, n + 1), largest=n),
            "course_id": courses.ids.take(pa.array(rows.course)),
            "date": days(rows.date),
            "instrument": coded(stratum, [each.instrument.code for each in strata]),
            "value": pa.array(np.round(rows.steps * step, 9)),
            "assessor": coded(weighted(rng, given.assessor, n), list(given.assessor)),
            "blinded": coded(weighted(rng, given.blinded, n), list(given.blinded)),
        }
    )


def _baseline_steps(courses: Courses, streams: Streams) -> NDArray[np.int64]:
    """Draw every course's baseline, in grid steps from 0."""
    grids = [each.indication.baseline for each in courses.model.strata]
    low = np.array([round(each.lowest / each.step) for each in grids])[courses.stratum]
    high = np.array([round(each.highest / each.step) for each in grids])[courses.stratum]
    return between(streams("baseline values"), low, high, len(low)).astype(np.int64)


def _baselines(courses: Courses, baseline: NDArray[np.int64], streams: Streams) -> Assessment:
    """Assess on or before the first session, after the course was agreed at the earliest."""
    rng, records = streams("baselines"), courses.model.scenario.records
    recorded = np.flatnonzero((courses.number > 0) & ~happens(rng, records.baseline_missing, len(baseline)))
    date = between(rng, courses.agreed, courses.date[:, 0], len(baseline))
    return Assessment(recorded, date[recorded], baseline[recorded])


def _interims(courses: Courses, baseline: NDArray[np.int64], streams: Streams) -> Assessment:
    """Assess the day before some sessions: after the one before, hence never in place of baseline or endpoint."""
    given, rng = courses.model.scenario.assessments, streams("interims")
    room = np.diff(courses.date, axis=1, prepend=courses.date[:, :1]) > 1
    course, slot = np.nonzero(courses.observed & room & happens(rng, given.interim, room.shape))
    begins = streams("response begins").geometric(given.visible_after, len(baseline))
    shows = courses.responder[course] & (begins[course] <= slot)
    steps = _after_treatment(courses, course, baseline[course], responds=shows, rng=rng)
    return Assessment(course, courses.date[course, slot] - 1, steps)


def _endpoints(courses: Courses, baseline: NDArray[np.int64], streams: Streams) -> Assessment:
    """Assess after the last session of courses that are over, completed or given up."""
    given, missing = courses.model.scenario.assessments, courses.model.scenario.records.endpoint_missing
    rng = streams("endpoints")
    by_state = np.array(
        [[each.nonresponder, each.responder] for each in (missing.dropped, missing.completed)]
    )
    completed = (courses.sessions == courses.planned).astype(np.int8)
    lost = happens(rng, by_state[completed, courses.responder.astype(np.int8)], len(baseline))
    date = courses.last_date + between(rng, *given.endpoint_after_days, len(baseline))
    course = np.flatnonzero(~lost & (date <= courses.cutoff))
    steps = _after_treatment(courses, course, baseline[course], responds=courses.responder[course], rng=rng)
    return Assessment(course, date[course], steps)


def _follow_ups(
    courses: Courses, baseline: NDArray[np.int64], endpoint: Assessment, *, streams: Streams
) -> Assessment:
    """Assess some of those with an endpoint months later; some responders no longer are."""
    given, rng = courses.model.scenario.assessments, streams("follow-ups")
    course = endpoint.course[happens(rng, given.follow_up, len(endpoint.course))]
    responds = courses.responder[course] & happens(rng, given.lasting, len(course))
    steps = _after_treatment(courses, course, baseline[course], responds=responds, rng=rng)
    return Assessment(
        course, courses.last_date[course] + between(rng, *given.follow_up_after_days, len(course)), steps
    )


def _after_treatment(
    courses: Courses,
    course: NDArray[Any],
    baseline: NDArray[np.int64],
    *,
    responds: Booleans,
    rng: np.random.Generator,
) -> NDArray[np.int64]:
    """Draw values after treatment, in grid steps: by the instrument's rule a response where ``responds``."""
    value = np.empty_like(baseline)
    for index, stratum in enumerate(courses.model.strata):
        rows = np.flatnonzero(courses.stratum[course] == index)
        least, most, worst, sign = improvement_limits(stratum, baseline[rows])
        low = np.where(responds[rows], least, worst)
        high = np.where(responds[rows], most, least - 1)
        value[rows] = baseline[rows] + sign * between(rng, low, high, len(rows))
    return value


def improvement_limits(
    stratum: Stratum, baseline: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64], int]:
    """Return what improvements are possible from a baseline, in grid steps.

    Parameters
    ----------
    stratum
        Its instrument has a range, a direction and a responder rule.
    baseline
        In grid steps from 0.

    Returns
    -------
    tuple
        The least improvement that is a response, the greatest possible one, the greatest worsening (negative), and
        the sign of an improvement.

    Raises
    ------
    ValueError
        If the instrument cannot be scored, or the baseline leaves no room for a response or for none.
    """
    instrument, step = stratum.instrument, stratum.indication.baseline.step
    rule, low, high = instrument.responder, instrument.minimum, instrument.maximum
    if rule is None or low is None or high is None or instrument.direction is None:
        msg = (
            f"instrument '{instrument.code}' needs a range, a direction and a responder rule to be simulated"
        )
        raise ValueError(msg)
    sign = 1 if instrument.direction == "higher_is_better" else -1
    ends = sorted((round(low / step), round(high / step)), key=lambda end: sign * end)
    most, worst = sign * (ends[1] - baseline), sign * (ends[0] - baseline)
    least = {
        "absolute": np.full_like(baseline, int(np.ceil(rule.threshold / step - 1e-9))),
        "percent": np.ceil(rule.threshold / 100 * baseline - 1e-9).astype(np.int64),
        "level": sign * (round(rule.threshold / step) - baseline),
    }[rule.kind]
    worst = np.maximum(worst, -stratum.indication.worsening)
    if np.any(least > most) or np.any(least <= worst):
        msg = (
            f"'{stratum.code}': no room for a response, or for none, by {instrument.code}: {rule.describe()}"
        )
        raise ValueError(msg)
    return least, most, worst, sign
