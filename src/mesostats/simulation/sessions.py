"""The visits of the simulated clinics: sessions held, visits booked in vain, and the products with their lots."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from mesostats.simulation.columns import between, choose, coded, days, happens, identifiers, weighted
from mesostats.simulation.model import rule_broken
from mesostats.simulation.process import day_number

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mesostats.simulation.columns import Streams
    from mesostats.simulation.courses import Ending
    from mesostats.simulation.model import Booleans
    from mesostats.simulation.process import Courses
    from mesostats.simulation.scenario import Grid

_SECOND_PRODUCT = 0.4  # its part of a session's volume


@dataclass(frozen=True)
class Visits:
    """The rows of the table of sessions, in the order of course and date.

    Parameters
    ----------
    cell
        ``course * slots + slot`` of each row.
    held
        Whether the session took place; otherwise the visit was booked in vain.
    asked
        Of each row: index into "no", "yes" and empty: was there a question about side effects?
    """

    courses: Courses
    cell: NDArray[np.int64]
    held: Booleans
    asked: NDArray[np.int8]

    @property
    def course(self) -> NDArray[np.int64]:
        """The course of each row."""
        return self.cell // self.courses.model.slots

    @property
    def slot(self) -> NDArray[np.int64]:
        """The slot of each row, from 0."""
        return self.cell % self.courses.model.slots

    def row_of(self, cell: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the rows of sessions held, by their cells."""
        return np.flatnonzero(self.held)[np.searchsorted(self.cell[self.held], cell)]

    def ids(self, rows: NDArray[np.int64]) -> pa.Array:
        """Return the ids of rows."""
        return identifiers("S", rows + 1, largest=len(self.cell))


def draw_visits(courses: Courses, ending: Ending, streams: Streams) -> Visits:
    """Draw the visits that are in the data."""
    records = courses.model.scenario.records
    held = np.flatnonzero(courses.observed)
    # A visit booked in vain goes before the session of the same slot.
    order = np.sort(np.concatenate([2 * held + 1, 2 * _missed(courses, ending, streams)]))
    asked = choose(streams("asked"), [records.asked.no, records.asked.yes, records.asked.blank], len(order))
    return Visits(courses, order >> 1, (order & 1).astype(bool), asked)


def _missed(courses: Courses, ending: Ending, streams: Streams) -> NDArray[np.int64]:
    """Return the cells before whose session a visit was booked in vain, and those that a lost course left behind."""
    timing, rng = courses.model.scenario.timing, streams("missed bookings")
    room = np.diff(courses.date, axis=1, prepend=courses.date[:, :1]) > 1
    missed = courses.observed & room & happens(rng, timing.missed_booking, room.shape)
    left = np.flatnonzero(ending.lost & happens(rng, timing.missed_before_loss, len(ending.lost)))
    slot = courses.sessions[left]
    given_up = room[left, slot] & (courses.date[left, slot] <= courses.cutoff)
    missed[left[given_up], slot[given_up]] = True
    return np.flatnonzero(missed)


def sessions_table(visits: Visits, streams: Streams) -> pa.Table:
    """Return the table of sessions; a visit booked in vain has no number, no dose and no answers."""
    courses, timing = visits.courses, visits.courses.model.scenario.timing
    n, vain = len(visits.cell), ~visits.held
    status = weighted(streams("missed status"), timing.missed_status, n) + np.int8(1)
    staff = courses.model.scenario.clinics.practitioners_each
    practitioner = between(streams("practitioners"), 1, staff, len(courses.patient))
    practitioner += (courses.patient_clinic[courses.patient] - 1) * staff
    names = [f"D{each + 1:03d}" for each in range(courses.model.scenario.clinics.number * staff)]
    columns = {
        "session_id": visits.ids(np.arange(n)),
        "course_id": courses.ids.take(pa.array(visits.course)),
        "session_number": pa.array(visits.slot + 1, mask=vain),
        "date": days(_visit_dates(visits, streams)),
        "status": coded(np.where(vain, status, 0), ["attended", *timing.missed_status]),
        "practitioner_id": coded(practitioner[visits.course] - 1, names, missing=vain),
        **_technique(visits, streams),
        "adverse_events_asked": coded(visits.asked, ("no", "yes", None), missing=vain),
        **_care_rules(visits, streams),
    }
    return pa.table(columns)


def _visit_dates(visits: Visits, streams: Streams) -> NDArray[np.int32]:
    """Return each visit's day; one booked in vain lies up to three days before its session, after the one before."""
    date = visits.courses.date.ravel()
    days_of = date[visits.cell]
    vain = np.flatnonzero(~visits.held)
    interval = days_of[vain] - date[visits.cell[vain] - 1]
    days_of[vain] -= between(streams("missed dates"), 1, np.minimum(interval - 1, 3), len(vain))
    return np.asarray(days_of)


def _technique(visits: Visits, streams: Streams) -> dict[str, pa.Array]:
    scenario, n, vain = visits.courses.model.scenario, len(visits.cell), ~visits.held
    how, rng = scenario.sessions, streams("technique")
    numbing = weighted(rng, how.anaesthetic, n)
    hurts = np.array([how.pain[each] for each in how.anaesthetic])[numbing]
    pain = streams("pain").binomial(10, hurts).astype(float)
    downtime = np.array(list(how.downtime_days), dtype=float)[
        weighted(streams("downtime"), how.downtime_days, n)
    ]
    unscored = [
        vain | happens(streams(f"{name} unrecorded"), scenario.records.score_missing, n)
        for name in ("pain", "downtime")
    ]
    return {
        "technique": coded(weighted(rng, how.technique, n), list(how.technique), missing=vain),
        "depth_mm": pa.array(on_grid(how.depth_mm, _grid_steps(how.depth_mm, n, rng)), mask=vain),
        "anaesthetic": coded(numbing, list(how.anaesthetic), missing=vain),
        "volume_ml": pa.array(on_grid(how.volume_ml, volume_steps(visits, streams)), mask=vain),
        "pain_nrs": pa.array(pain, mask=unscored[0]),
        "downtime_days": pa.array(downtime, mask=unscored[1]),
    }


def grid_size(grid: Grid) -> int:
    """Return how many steps a grid has."""
    return round((grid.highest - grid.lowest) / grid.step)


def on_grid(grid: Grid, steps: NDArray[Any]) -> NDArray[np.float64]:
    """Return the values that many steps above the lowest, exact to nine decimals."""
    return np.round(grid.lowest + steps * grid.step, 9)


def _grid_steps(grid: Grid, n: int, rng: np.random.Generator) -> NDArray[np.int32]:
    return between(rng, 0, grid_size(grid), n)


def volume_steps(visits: Visits, streams: Streams) -> NDArray[np.int32]:
    """Return the volume injected in each visit, in grid steps."""
    return _grid_steps(visits.courses.model.scenario.sessions.volume_ml, len(visits.cell), streams("volume"))


def _care_rules(visits: Visits, streams: Streams) -> dict[str, pa.Array]:
    """Return one column a care rule: "yes" where it was kept."""
    courses, n = visits.courses, len(visits.cell)
    user = courses.patient_user[courses.patient][visits.course]
    unasked = courses.model.scenario.records.care_rule_not_asked
    columns = {}
    for rule in courses.model.scenario.care_rules:
        rng = streams(f"care rule: {rule}")
        if rule in courses.model.exposed_rules:
            broken = courses.model.broken[:, courses.model.exposed_rules.index(rule)]
            kept = ~broken[courses.combination.ravel()[visits.cell]]
        else:
            kept = ~happens(rng, np.array(rule_broken(courses.model.scenario, rule))[user.astype(np.int8)], n)
        answer = np.where(happens(rng, unasked, n), 2, kept)
        columns[rule] = coded(answer, ("no", "yes", "not_asked"), missing=~visits.held)
    return columns


@dataclass(frozen=True)
class Injections:
    """The rows of the table of products: the row of the visit, first or second product, and the lot's index."""

    row: NDArray[np.int64]
    second: Booleans
    product: NDArray[np.int8]
    lot: NDArray[np.int64]
    lot_names: tuple[str, ...]
    bad_lot: int | None

    @property
    def bad_lot_name(self) -> str | None:
        """The bad lot as it stands in the data."""
        return None if self.bad_lot is None else self.lot_names[self.bad_lot]

    @property
    def bad_rows(self) -> NDArray[np.int64]:
        """The rows of visits in which the bad lot was used."""
        return np.unique(self.row[self.lot == self.bad_lot]) if self.bad_lot is not None else self.row[:0]


def draw_injections(visits: Visits, streams: Streams) -> Injections:
    """Draw the products of each session; each clinic opens a new lot of each product at fixed times."""
    courses, scenario = visits.courses, visits.courses.model.scenario
    held = np.flatnonzero(visits.held)
    pairs = [each.recipe.products for each in courses.model.strata]
    has_second = np.array([len(pair) > 1 for pair in pairs])[courses.stratum[visits.course[held]]]
    more = held[has_second & happens(streams("second products"), scenario.second_product, len(held))]
    order = np.sort(np.concatenate([2 * held, 2 * more + 1]))
    row, second = order >> 1, (order & 1).astype(bool)
    names = list(scenario.products)
    codes = np.array([[names.index(pair[0]), names.index(pair[-1])] for pair in pairs], dtype=np.int8)
    course = visits.course[row]
    product = codes[courses.stratum[course], second.astype(np.int8)]
    return Injections(row, second, product, *_lots(visits, row, product, streams=streams))


def _lots(
    visits: Visits, row: NDArray[np.int64], product: NDArray[np.int8], *, streams: Streams
) -> tuple[NDArray[np.int64], tuple[str, ...], int | None]:
    """Return each row's lot, all lots' names (in random order, so that a name tells nothing), and the bad lot."""
    courses, scenario = visits.courses, visits.courses.model.scenario
    calendar, clinics, products = scenario.calendar, scenario.clinics.number, list(scenario.products)
    opening = day_number(calendar.opening)
    periods = (courses.cutoff - opening) // scenario.lots.days + 1
    period = (courses.date.ravel()[visits.cell[row]] - opening) // scenario.lots.days
    clinic = courses.patient_clinic[courses.patient][visits.course[row]] - 1
    lot = (clinic.astype(np.int64) * len(products) + product) * periods + period
    number = streams("lots").permutation(clinics * len(products) * periods) + 1
    bad, found = scenario.bad_lot, None
    if bad is not None and bad.clinic <= clinics and bad.period < periods:
        found = ((bad.clinic - 1) * len(products) + products.index(bad.product)) * periods + bad.period
    return lot, tuple(f"L{each:05d}" for each in number), found


def products_table(visits: Visits, injections: Injections, streams: Streams) -> pa.Table:
    """Return the table of products; the volumes of a session's products add up to that of the session."""
    scenario = visits.courses.model.scenario
    grid, catalogue = scenario.sessions.volume_ml, list(scenario.products.values())
    total = on_grid(grid, volume_steps(visits, streams))[injections.row]
    minor = np.round(total * _SECOND_PRODUCT, 3)
    shared = np.zeros(len(visits.cell), dtype=bool)
    shared[injections.row[injections.second]] = True
    volume = np.where(injections.second, minor, total - np.where(shared[injections.row], minor, 0))
    return pa.table(
        {
            "session_id": visits.ids(injections.row),
            "substance": coded(injections.product, list(scenario.products)),
            "substance_class": coded(injections.product, [each.substance_class for each in catalogue]),
            "lot": coded(injections.lot, injections.lot_names),
            "concentration": pa.array(
                np.array([each.concentration for each in catalogue])[injections.product]
            ),
            "unit": coded(injections.product, [each.unit for each in catalogue]),
            "volume_ml": pa.array(np.round(volume, 9)),
        }
    )
