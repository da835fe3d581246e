"""The terms of a hazard model: which levels are compared with which, and the columns of the design that they become."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd

from mesostats.errors import did_you_mean
from mesostats.estimators.covariates import complete_rows, independent, is_text, level_codes

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]
    Booleans = npt.NDArray[np.bool_]

PER_UNIT: Final = "per unit"
"""What stands for the level of a covariate that is a number."""
NO_EVENT: Final = "no event at this level: the ratio would be 0"
ONLY_EVENTS: Final = "only events at this level: the ratio would be infinite"
SET_ASIDE: Final = "all its observations are at levels without events, or with only events, of another term"


@dataclass(frozen=True, eq=False)
class Covariates:
    """Complete observations' covariates as numbers: a text is the place of its level.

    Parameters
    ----------
    values
        Shape (n, covariates).
    levels
        Of each covariate its levels; none where it is a number.
    complete
        Which of the rows that were given have all their numbers.
    """

    values: pd.DataFrame
    levels: Mapping[str, tuple[str, ...]]
    complete: Booleans


def read_covariates(frame: pd.DataFrame) -> Covariates:
    """Return covariates as numbers; a missing text is the level "not recorded".

    Raises
    ------
    ValueError
        If a column holds something else than numbers and texts, infinite numbers, or has the name of another.
    """
    complete = complete_rows(frame)
    rows, values, levels = frame[complete], {}, dict[str, tuple[str, ...]]()
    for column in frame.columns:
        name = str(column)
        if is_text(frame[column]):
            codes, found = level_codes(rows[column])
            values[name], levels[name] = codes.astype(np.float64), tuple(map(str, found))
        else:
            values[name], levels[name] = rows[column].to_numpy(np.float64, na_value=np.nan), ()
    return Covariates(pd.DataFrame(values, index=range(len(rows))), levels, complete)


@dataclass(frozen=True, eq=False)
class Term:
    """A covariate of the model.

    Parameters
    ----------
    name
        The covariate.
    levels
        Its levels, the reference first; none where it is a number.
    codes
        The place of each of these levels among those of the `Covariates`.
    centre, spread
        What is taken from a number, and what it is divided by.
    """

    name: str
    levels: tuple[str, ...]
    codes: tuple[int, ...]
    centre: float = 0.0
    spread: float = 1.0

    @property
    def compared(self) -> tuple[str, ...]:
        """The levels that have a column of the design, under the names that estimates bear."""
        return self.levels[1:] if self.levels else (PER_UNIT,)

    def columns(self, values: npt.ArrayLike) -> Floats:
        """Return the columns of the design for values of the covariate, shape (n, compared levels)."""
        found = np.asarray(values, dtype=np.float64)
        if not self.levels:
            scaled: Floats = (found - self.centre) / self.spread
            return scaled[:, None]
        return np.asarray(np.equal.outer(found, np.array(self.codes[1:])), dtype=np.float64)


def silent_levels(
    patterns: pd.DataFrame, covariates: Covariates, trials: Floats, events: Floats
) -> tuple[Booleans, dict[tuple[str, str], str]]:
    """Set aside, one after another, the levels at which no observation or every observation has the event.

    Their likelihood is highest at an infinite coefficient, where their observations say nothing about the other coefficients.

    Parameters
    ----------
    patterns
        The distinct rows of ``covariates.values``.
    covariates
        For their levels.
    trials, events
        Observations and events of each pattern, shape (patterns,).

    Returns
    -------
    tuple
        Which patterns are left, shape (patterns,), and why each level that is not left was set aside.
    """
    left, why = trials > 0, dict[tuple[str, str], str]()
    while True:
        found = {
            (name, level): (patterns[name].to_numpy() == place, NO_EVENT if sums[1] == 0 else ONLY_EVENTS)
            for name, levels in covariates.levels.items()
            for place, level in enumerate(levels)
            for sums in [_sums(patterns[name].to_numpy() == place, left, trials=trials, events=events)]
            if sums[0] > 0 and sums[1] in {0, sums[0]}
        }
        # Where nothing differs there is nothing to set aside from: a model without events has no solution at all.
        if not found or events[left].sum() in {0, trials[left].sum()}:
            return left, why
        (name, level), (rows, reason) = next(iter(found.items()))
        why[name, level] = reason
        left &= ~rows


def _sums(rows: Booleans, left: Booleans, *, trials: Floats, events: Floats) -> tuple[float, float]:
    chosen = rows & left
    return float(trials[chosen].sum()), float(events[chosen].sum())


def choose_terms(
    patterns: pd.DataFrame, covariates: Covariates, trials: Floats, reference: Mapping[str, str]
) -> tuple[list[Term], dict[str, str]]:
    """Return the terms of a model: what each level is compared with.

    Parameters
    ----------
    patterns
        The patterns that are left.
    covariates
        For their levels.
    trials
        Observations of each pattern.
    reference
        The wanted reference of any covariate; else, and where nothing of it is left, the most frequent level.

    Returns
    -------
    tuple
        The terms that vary, and a note about each covariate that has one.

    Raises
    ------
    ValueError
        If a wanted reference is not a level of its covariate.
    """
    terms, notes = [], dict[str, str]()
    for name, levels in covariates.levels.items():
        values = patterns[name].to_numpy(np.float64)
        if len(values) == 0 or values.min() == values.max():
            notes[name] = f"'{name}' has one value: left out"
            _wanted_place(name, levels, reference)
        elif not levels:
            terms.append(_number_term(name, values, trials))
        else:
            counted = np.bincount(values.astype(int), trials, len(levels))
            wanted = _wanted_place(name, levels, reference)
            usual = int(counted.argmax())
            first = usual if wanted is None or counted[wanted] == 0 else wanted
            if wanted is not None and first != wanted:
                notes[name] = f"'{levels[wanted]}' cannot be the reference: '{levels[first]}' takes its place"
            others: list[int] = [int(place) for place in np.flatnonzero(counted) if place != first]
            codes = (first, *others)
            terms.append(Term(name, tuple(levels[place] for place in codes), codes))
    return terms, notes


def _wanted_place(name: str, levels: tuple[str, ...], reference: Mapping[str, str]) -> int | None:
    wanted = reference.get(name)
    if wanted is None or not levels:
        return None
    if wanted not in levels:
        msg = f"'{name}' has no level '{wanted}' to compare with{did_you_mean(wanted, levels)}"
        raise ValueError(msg)
    return levels.index(wanted)


def _number_term(name: str, values: Floats, trials: Floats) -> Term:
    centre = float(np.average(values, weights=trials))
    spread = float(np.sqrt(np.average((values - centre) ** 2, weights=trials)))
    return Term(name, (), (), centre, spread)


def design_of(values: pd.DataFrame, terms: list[Term]) -> Floats:
    """Return the design matrix of covariates as numbers, a column of ones first."""
    columns = [term.columns(values[term.name]) for term in terms]
    return np.column_stack([np.ones(len(values)), *columns])


def labels_of(terms: list[Term]) -> list[tuple[str, str]]:
    """Return the term and the level of each column of the design after the first."""
    return [(term.name, level) for term in terms for level in term.compared]


def weighted_independent(design: Floats, trials: Floats) -> Booleans:
    """Return which columns of the design are no linear combination of those before them."""
    return independent(design * np.sqrt(trials)[:, None])


def as_codes(profiles: pd.DataFrame, covariates: Mapping[str, tuple[str, ...]]) -> pd.DataFrame:
    """Return profiles as numbers, as `read_covariates` numbered the levels.

    Raises
    ------
    ValueError
        If a covariate is absent, or a profile has a level that the data do not have, or lacks a number.
    """
    columns: dict[str, Any] = {}
    for name, levels in covariates.items():
        if name not in profiles:
            msg = f"the profiles have no column '{name}'"
            raise ValueError(msg)
        if not levels:
            columns[name] = pd.to_numeric(profiles[name]).to_numpy(np.float64)
            if not np.isfinite(columns[name]).all():
                msg = f"the profiles' '{name}' holds values that are missing or infinite"
                raise ValueError(msg)
            continue
        unknown = [level for level in profiles[name].astype("str").unique() if level not in levels]
        if unknown:
            msg = f"'{name}' has no level '{unknown[0]}'{did_you_mean(unknown[0], levels)}"
            raise ValueError(msg)
        columns[name] = [float(levels.index(level)) for level in profiles[name].astype("str")]
    return pd.DataFrame(columns, index=range(len(profiles)))
