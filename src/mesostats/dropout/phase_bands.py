"""Which sessions each phase covers, of the protocols that a clinic's courses follow: what a reader of session numbers needs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mesostats.dropout.phase_hazards import ENDLESS, PHASE, phase_spans
from mesostats.engine import collect
from mesostats.schedule import course_timeline, slot_table

if TYPE_CHECKING:
    from collections.abc import Collection

    from mesostats.dataset import Dataset


def phase_bands(clinic: Dataset, *, protocols: Collection[str] | None = None) -> dict[str, Any]:
    """Return the phases of protocols with the sessions that they cover, for a result's ``spec``.

    Parameters
    ----------
    clinic
        A data set.
    protocols
        Codes of the protocols; those of the courses that started by the data cut if not given.

    Returns
    -------
    dict
        ``phases``: one dict a phase, in the order of the schedule, with ``protocol``, ``phase``, the ``first`` and ``last``
        session that the protocol plans in it, and ``goes_on``: whether it is the protocol's last phase, which goes on where a
        course plans more sessions.

    Examples
    --------
    >>> import mesostats as ms
    >>> bands = phase_bands(ms.simulate(20, seed=1), protocols=["weekly_to_monthly"])["phases"]
    >>> [(band["phase"], band["first"], band["last"]) for band in bands]
    [('weekly', 1, 4), ('fortnightly', 5, 6), ('monthly', 7, 10)]
    """
    if protocols is None:
        protocols = set(collect(course_timeline(clinic).select("protocol").unique())["protocol"].dropna())
    spans = phase_spans(clinic)
    spans = spans[spans["protocol"].isin([*protocols])]
    sessions = slot_table(clinic.vocabulary.protocols.values()).groupby("protocol")["slot"].max()
    rows = spans[["protocol", PHASE, "first_slot", "last_slot"]].itertuples(index=False)
    return {
        "phases": [
            {
                "protocol": str(protocol),
                "phase": str(phase),
                "first": int(first),
                "last": int(min(last, sessions[protocol])),
                "goes_on": bool(last >= ENDLESS),
            }
            for protocol, phase, first, last in rows
        ]
    }
