"""Side-effect rates: how many of those who were exposed, and asked, had an event."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, get_args

from mesostats.adverse_events.counted import Counting, Events, Per, counting_of
from mesostats.adverse_events.tallies import ESTIMANDS, count_spec, question_of, tally, tally_estimates
from mesostats.estimators.arguments import check_choice
from mesostats.estimators.proportions import ProportionMethod
from mesostats.populations import schedule_order
from mesostats.results import Result, contract, stack

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mesostats.dataset import Dataset


def adverse_event_rates(
    clinic: Dataset,
    *,
    by: str | Sequence[str] | None = None,
    of: str = "any",
    only: str | None = None,
    per: Per = "patient",
    events: Events = "first",
    follow_up_days: int = 60,
    method: ProportionMethod = "wilson",
    conf_level: float = 0.95,
) -> Result:
    """Estimate how often treatment-emergent side effects came, with the denominator from the exposed population.

    Parameters
    ----------
    clinic
        A data set with adverse events.
    by
        Columns of patients, courses, sessions and products, and ``phase`` (of the schedule). With a column of sessions or
        products (a lot, a practitioner, a care rule) a patient is in the group of each session that was attended, an event in
        those of the session that it is ascribed to, and time at risk goes from each session to the next.
    of
        ``any`` event; one row a ``term``, ``class`` (of terms) or ``severity`` (with ``events="first"`` a unit once, at
        its worst); only ``serious`` ones, as recorded; only those judged ``related`` (possible, probable or related); only
        ``fatal`` ones (by severity or outcome); or a
        column of adverse_events: one row a value.
    only
        The one term, class, severity or value that is wanted.
    per
        ``patient``: treated patients; ``course``: treated courses; ``session``: attended sessions; ``patient_month``: time at risk, in months of
        30.4375 days.
    events
        ``first``: a unit counts once, and time at risk ends with the day of the first event; ``all``: each event counts.
    follow_up_days
        An event is treatment-emergent from the day of the course's first attended session to so many days after its
        last one. An event of unknown onset counts as emergent.
    method
        The interval of the proportion of patients. A rate of first events is exact (Garwood); the others are clustered in
        patients.
    conf_level
        Two-sided confidence level.

    Returns
    -------
    Result
        Estimand ``incidence_proportion`` (patients with an event), ``events_per_patient``, ``course_proportion``,
        ``events_per_course``, ``session_proportion``, ``events_per_session``, ``first_events_per_patient_month`` or ``events_per_patient_month``, by group and by
        ``term``, ``term_class`` or ``severity``: all combinations, zeros too. Of a rate per patient-month the denominator is
        in months.
        Where some units were not asked (and had no event of any kind): ``n_missing`` of them, left out of the estimate,
        and two more estimands, ``…_lower`` and ``…_upper``, that count them as free of events and as having one (of time at
        risk: on its first day). Where all events count, nothing bounds how many they had: ``…_one_each`` stands in the
        place of the upper bound.

    Raises
    ------
    DataError
        If the table adverse_events is absent.
    ValueError
        If an argument is not one of those above.

    Notes
    -----
    A unit was asked about side effects where ``adverse_events_asked`` is yes for the session (for a patient: for any
    session), or an event was recorded. Where no session at all has a yes, the column was not used: then all units count
    as asked, the note says so, and the bounds show what that may hide. An event without a session is ascribed to the last
    attended session on or before its onset. The time at risk of a patient whose first event has no known onset is not cut
    short. Events outside the population or the emergent window are not counted;
    ``spec["excluded_events"]`` counts them by reason.

    References
    ----------
    ICH E9 (1998), section 6. Wilson EB (1927). doi:10.1080/01621459.1927.10502953

    Examples
    --------
    >>> import mesostats as ms
    >>> rates = ms.adverse_event_rates(ms.simulate(200, seed=1), of="term")
    >>> int(rates.cell(term="bruising", estimand="incidence_proportion")["denominator"]) <= 200
    True
    """
    for value, known, name in (
        (per, Per, "per"),
        (events, Events, "events"),
        (method, ProportionMethod, "method"),
    ):
        check_choice(value, get_args(known), name)
    counting = counting_of(clinic, by, of, per=per, events=events, follow_up_days=follow_up_days, only=only)
    counts = tally(clinic, counting)
    frames = [
        tally_estimates(counts, scenario, method=method, conf_level=conf_level)
        for scenario in counts.scenarios
    ]
    columns = [*counting.by, *counting.kind_column]
    estimates = contract(stack(frames), columns).sort_values(
        [*columns, "estimand"], key=schedule_order(clinic), ignore_index=True
    )
    arguments: dict[str, Any] = {
        "by": list(counting.by),
        "of": of,
        "only": only,
        "per": per,
        "events": events,
    }
    arguments |= {"follow_up_days": follow_up_days, "method": method, "conf_level": conf_level}
    return Result(estimates, _spec(clinic, counting, arguments), counts.explain)


def _spec(clinic: Dataset, counting: Counting, arguments: dict[str, Any]) -> dict[str, Any]:
    what = "at least one event" if counting.events == "first" else "events"
    if counting.per == "patient_month" and counting.events == "first":
        what = "first events"
    question = question_of(counting)
    if (counting.of, counting.events) == ("severity", "first") and counting.per != "patient_month":
        question = question.replace("severity", "worst severity")
    return {
        "analysis": "adverse_event_rates",
        "title": f"{question[:1].upper()}{question[1:]}: {what} per {counting.per.replace('_', '-')}",
        "arguments": arguments,
        "primary": ESTIMANDS[counting.per, counting.events],
        "references": [
            "Garwood F. Biometrika 1936;28:437-442. doi:10.1093/biomet/28.3-4.437"
            if counting.events == "all" or counting.per == "patient_month"
            else "Wilson EB. J Am Stat Assoc 1927;22:209-212. doi:10.1080/01621459.1927.10502953"
        ],
    } | count_spec(clinic, counting)
