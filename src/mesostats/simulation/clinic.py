"""Simulated clinics whose true response, side-effect and dropout probabilities are known."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pandas as pd

from mesostats.dataset import Dataset
from mesostats.simulation.columns import Streams
from mesostats.simulation.courses import courses_table, draw_endings, patients_table
from mesostats.simulation.defects import PLANTED_COLUMNS, plant_defects
from mesostats.simulation.events import events_table
from mesostats.simulation.model import compile_model
from mesostats.simulation.outcomes import outcomes_table
from mesostats.simulation.process import draw_courses
from mesostats.simulation.scenario import Scenario, load_scenario
from mesostats.simulation.sessions import draw_injections, draw_visits, products_table, sessions_table
from mesostats.simulation.truth import true_values
from mesostats.vocabulary import load_vocabulary

if TYPE_CHECKING:
    import datetime as dt

    import pyarrow as pa

    from mesostats.simulation.model import Model

_CLEAN = {"typical": "textbook"}  # defects are planted where they are the only ones


@dataclass(frozen=True)
class Simulation:
    """A simulated clinic.

    Parameters
    ----------
    tables
        The canonical tables by name.
    truth
        The true values: ``quantity``, the columns that it is given by (empty where it is not), ``value``.
    cutoff
        The data cut.
    planted
        The planted defects: ``defect`` (1 to 12), ``table``, ``key`` of the row, ``description``; no row without them.
    """

    tables: dict[str, pa.Table]
    truth: pd.DataFrame
    cutoff: dt.date
    planted: pd.DataFrame


def simulate(n: int, *, seed: int, scenario: str | Scenario = "typical", defects: bool = False) -> Dataset:
    """Simulate clinics whose true values are known, ready for analysis.

    Parameters
    ----------
    n
        Patients, at least 1.
    seed
        The same seed gives the same clinics.
    scenario
        ``"typical"``, ``"textbook"`` (perfect record-keeping), ``"classroom"`` (the same, many small clinics), or a
        :class:`~mesostats.simulation.Scenario`.
    defects
        Plant the twelve defects of real exports, as :func:`simulate_tables` does.

    Returns
    -------
    Dataset
        Its ``truth`` holds the true values, described in `mesostats.simulation.truth`.

    Raises
    ------
    ValueError
        If ``n`` is below 1, there is no such scenario, or the clinic is too small to carry every defect.

    Examples
    --------
    >>> clinic = simulate(100, seed=1)
    >>> len(clinic.table("patients"))
    100
    >>> clinic.truth.query("quantity == 'response' and indication == 'wrinkles' and arm == 'A'")["value"].item()
    0.58
    """
    made = simulate_tables(n, seed=seed, scenario=scenario, defects=defects)
    return Dataset(**made.tables, cutoff=made.cutoff, truth=made.truth)


def simulate_tables(
    n: int, *, seed: int, scenario: str | Scenario = "typical", defects: bool = False
) -> Simulation:
    """Simulate clinics as Arrow tables, with their true values.

    Parameters
    ----------
    n
        Patients, at least 1; some have a second course.
    seed
        The same seed gives the same clinics. Each table draws from streams of its own.
    scenario
        ``"typical"``: clinics as they are; ``"textbook"``: the same with visits in their windows and everything
        written down; ``"classroom"``: the same in many small clinics, to learn on; or a
        :class:`~mesostats.simulation.Scenario`.
    defects
        Plant one of each of the twelve defects of real exports. In the place of ``"typical"`` the clinics are then
        ``"textbook"``, so that the planted defects are the only ones, and ``outcomes`` is text as in a raw export.

    Returns
    -------
    Simulation

    Raises
    ------
    VocabularyError
        If the scenario names a code that is not in the vocabulary.
    ValueError
        If ``n`` is below 1, there is no such scenario, or the clinic is too small to carry every defect.

    Notes
    -----
    The true values are exact, and those of the process without a data cut: `mesostats.simulation.truth` says what each is.

    Examples
    --------
    >>> simulate_tables(500, seed=1, defects=True).planted["defect"].nunique()
    12
    """
    if n < 1:
        msg = f"n == {n}, must be at least 1 patient"
        raise ValueError(msg)
    if isinstance(scenario, str):
        scenario = load_scenario(_CLEAN.get(scenario, scenario) if defects else scenario)
    model, streams = compile_model(scenario, load_vocabulary()), Streams(seed)
    tables, bad_lot = _draw(n, model, streams)
    planted = pd.DataFrame(columns=list(PLANTED_COLUMNS))
    if defects:
        tables, planted = plant_defects(tables, model, streams)
    return Simulation(tables, true_values(model, bad_lot), scenario.calendar.cutoff, planted)


def _draw(n: int, model: Model, streams: Streams) -> tuple[dict[str, pa.Table], str | None]:
    """Return the tables, and the name of the bad lot if there is one."""
    courses = draw_courses(n, model, streams)
    ending = draw_endings(courses, streams)
    visits = draw_visits(courses, ending, streams)
    injections = draw_injections(visits, streams)
    tables = {
        "patients": patients_table(courses, streams),
        "courses": courses_table(courses, ending, streams),
        "sessions": sessions_table(visits, streams),
        "products": products_table(visits, injections, streams),
        "outcomes": outcomes_table(courses, streams),
        "adverse_events": events_table(visits, injections, streams),
    }
    return tables, injections.bad_lot_name
