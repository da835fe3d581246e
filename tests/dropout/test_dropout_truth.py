"""Retention and dropout of simulated clinics: a course-by-course life table, properties, and the exact truth."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mesostats.dropout.retention import dropout_by_session, retention
from mesostats.schedule import course_states
from mesostats.simulation import simulate

if TYPE_CHECKING:
    from mesostats.dataset import Dataset

STANDARD_ERRORS = 4
SHARED = ["estimate", "std_error", "conf_low", "conf_high", "numerator", "denominator"]


@pytest.fixture(scope="module")
def simulated() -> Dataset:
    return simulate(20_000, seed=5)


# --- an oracle: the life table, one course at a time ------------------------------------------------------------------------


def naive_life_table(states: pd.DataFrame) -> list[tuple[int, int, int, int]]:
    """Return attended, due, dropped and not yet due at each session, from the frame of course states."""
    came, lost, waiting = Counter[int](), Counter[int](), Counter[int]()
    for attended, state in zip(states["attended"], states["state"], strict=True):
        came.update(range(1, attended + 1))
        lost.update([attended + 1] if state == "dropped_out" else [])
        waiting.update([attended + 1] if state == "ongoing" else [])
    last = max([1, *came, *lost])
    return [(came[k], came[k] + lost[k], lost[k], waiting[k]) for k in range(1, last + 1)]


def observed_life_table(clinic: Dataset) -> list[tuple[int, ...]]:
    estimates = dropout_by_session(clinic, follow_up="all").estimates
    came, lost, kept = (
        estimates[estimates["estimand"] == name] for name in ("attendance", "dropout_hazard", "retention")
    )
    for rows in (lost, kept):
        assert rows["time"].tolist() == came["time"].tolist() == list(range(1, len(rows) + 1))
        assert rows["denominator"].tolist() == came["denominator"].tolist()
        assert rows["n_missing"].tolist() == came["n_missing"].tolist()
    columns = (came["numerator"], came["denominator"], lost["numerator"], lost["n_missing"])
    return [tuple(int(value) for value in step) for step in zip(*columns, strict=True)]


def assert_retention_is_the_product_of_the_steps(clinic: Dataset, by: str | None) -> None:
    """Compare with 1 minus the hazards multiplied up, and with Kaplan-Meier over sessions."""
    groups = [by] if by else []
    steps = dropout_by_session(clinic, by=by).estimates.set_index([*groups, "time"])
    staying = 1 - steps.loc[steps["estimand"] == "dropout_hazard", "estimate"]
    product = staying.groupby(by).cumprod() if by else staying.cumprod()
    table = steps.loc[steps["estimand"] == "retention", SHARED]
    np.testing.assert_allclose(table["estimate"], product, rtol=1e-12)
    curve = retention(clinic, by=by, time="session").estimates
    curve = curve[(curve["estimand"] == "retention") & (curve["time"] > 0)].set_index([*groups, "time"])
    assert len(curve) > 0
    np.testing.assert_allclose(curve[SHARED], table.loc[curve.index], rtol=1e-10)


@settings(max_examples=3, deadline=None)
@given(n=st.integers(1, 150), seed=st.integers(0, 10_000), back=st.integers(0, 600))
def test_life_table_agrees_with_the_oracle(n: int, seed: int, back: int) -> None:
    clinic = simulate(n, seed=seed)
    clinic = clinic.with_cutoff(clinic.cutoff - dt.timedelta(days=back))
    assert observed_life_table(clinic) == naive_life_table(course_states(clinic))


def test_life_table_agrees_with_the_oracle_at_a_registry(simulated: Dataset) -> None:
    assert observed_life_table(simulated) == naive_life_table(course_states(simulated))


@pytest.mark.parametrize("by", [None, "protocol", "indication"])
def test_retention_is_the_product_of_the_steps(simulated: Dataset, by: str | None) -> None:
    assert_retention_is_the_product_of_the_steps(simulated, by)


def test_groups_add_up_to_the_whole(simulated: Dataset) -> None:
    counts = ["numerator", "denominator"]
    whole = dropout_by_session(simulated).estimates.set_index(["estimand", "time"])[counts]
    parts = dropout_by_session(simulated, by="indication").estimates
    pd.testing.assert_frame_equal(parts.groupby(["estimand", "time"])[counts].sum(), whole)


def test_an_earlier_cut_has_no_more_attended_or_due(simulated: Dataset) -> None:
    # In these clinics nobody comes back later than the grace, so that a course once lost stays lost.
    tables = [
        observed_life_table(simulated.with_cutoff(simulated.cutoff - dt.timedelta(days=back)))
        for back in (120, 0)
    ]
    early, late = (np.array(table)[:, :3] for table in tables)
    assert (early <= late[: len(early)]).all()
    assert (early[0] < late[0]).any()


# --- the exact truth --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("by", ["protocol", "indication"])
@pytest.mark.parametrize("estimand", ["retention", "dropout_hazard"])
def test_dropout_by_session_finds_the_truth(simulated: Dataset, by: str, estimand: str) -> None:
    steps = dropout_by_session(simulated, by=by).estimates
    steps = steps[(steps["estimand"] == estimand) & (steps["time"] > 1)]
    true = simulated.truth[simulated.truth["quantity"] == estimand].dropna(subset=by)
    true = true[true["session"] > 1].astype({"session": float})[[by, "session", "value"]]
    both = steps.merge(true, left_on=[by, "time"], right_on=[by, "session"], how="outer")
    assert len(both) == len(true) > 8
    assert ((both["estimate"] - both["value"]).abs() < STANDARD_ERRORS * both["std_error"]).all()


def test_everybody_attends_the_first_session_in_these_clinics(simulated: Dataset) -> None:
    # A simulated course enters the data with its first session; those whose agreement alone lies before the cut wait.
    first = dropout_by_session(simulated, follow_up="all").cell(estimand="attendance", time=1)
    assert first["estimate"] == 1
    assert first["denominator"] == (course_states(simulated)["attended"] > 0).sum()
