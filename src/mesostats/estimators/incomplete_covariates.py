"""Covariates that were not always recorded, for models in which everybody must keep a place."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from mesostats.estimators.covariates import is_text, level_codes

if TYPE_CHECKING:
    import numpy.typing as npt

_BINARY = 2


def filled(covariates: pd.DataFrame, observed: npt.NDArray[np.bool_]) -> pd.DataFrame:
    """Return covariates without a missing number.

    Parameters
    ----------
    covariates
        n rows of numbers, booleans or texts.
    observed
        Whether the outcome was observed, shape (n,).

    Returns
    -------
    pandas.DataFrame
        A new frame. A missing number is the mean of the others. Where the outcome was observed in some of the rows that lack
        the number and not in others, a column ``<name> not recorded`` of 0 and 1 follows; where it was observed in none
        (as where the rule needs the number), being without it tells nothing else. A column without any number is left
        out. Texts stay as they are: a missing one is a level of its own.

    Raises
    ------
    ValueError
        If a column has infinite numbers.

    Examples
    --------
    >>> frame = pd.DataFrame({"age": [20.0, None, 40.0, None]})
    >>> filled(frame, np.array([True, True, True, False]))
        age  age not recorded
    0  20.0               0.0
    1  30.0               1.0
    2  40.0               0.0
    3  30.0               1.0
    """
    columns: dict[str, pd.Series[float]] = {}
    for name in map(str, covariates.columns):
        values = covariates[name].reset_index(drop=True)
        if is_text(values) and values.notna().any():
            columns[name] = values
            continue
        numbers = values.astype("float64")
        if np.isinf(numbers).any():
            msg = f"covariate '{name}' has {np.isinf(numbers).sum()} infinite values"
            raise ValueError(msg)
        lacking = numbers.isna().to_numpy()
        if lacking.all():
            continue
        columns[name] = numbers.fillna(numbers.mean())
        if np.unique(observed[lacking]).size == _BINARY:
            columns[f"{name} not recorded"] = pd.Series(lacking.astype(np.float64))
    return pd.DataFrame(columns, index=range(len(covariates)))


def unseen_level(covariates: pd.DataFrame, observed: npt.NDArray[np.bool_]) -> str:
    """Name a level in which no outcome was observed, so that nobody can stand for it; an empty text if there is none.

    Parameters
    ----------
    covariates
        From `filled`. The levels of a text, and of a number that has two values.
    observed
        Whether the outcome was observed, shape (n,).

    Examples
    --------
    >>> frame = pd.DataFrame({"dropped_out": [0, 0, 1], "age": [20.0, 30.0, 40.0]})
    >>> unseen_level(frame, np.array([True, True, False]))
    "'dropped_out' = 1"
    """
    for name, values in covariates.items():
        if not is_text(values) and values.nunique() != _BINARY:
            continue
        codes, levels = level_codes(values) if is_text(values) else pd.factorize(values, sort=True)
        seen = np.bincount(codes[observed], minlength=len(levels))
        if np.any(seen == 0):
            level = levels[int(np.argmin(seen))]
            return f"'{name}' = {level if isinstance(level, str) else format(level, 'g')}"
    return ""
