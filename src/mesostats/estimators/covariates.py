"""Covariates as the columns of a design matrix: numbers scaled, texts dummy coded, what cannot be estimated left out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd

if TYPE_CHECKING:
    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]

NOT_RECORDED: Final = "not recorded"
_COLLINEAR: Final = 1e-9  # of a column's variance, what the columns before it leave unexplained


@dataclass(frozen=True, eq=False)
class Design:
    """Encoded covariates.

    Parameters
    ----------
    columns
        Shape (n, p): first a column of ones, then linearly independent columns, each with mean 0 where it holds a number.
    sources
        The covariate that each column came from; empty for the column of ones.
    notes
        What was left out, in words.
    """

    columns: Floats
    sources: tuple[str, ...]
    notes: tuple[str, ...]


def complete_rows(covariates: pd.DataFrame) -> npt.NDArray[np.bool_]:
    """Return which rows have all their numbers; a missing text is a level of its own.

    Parameters
    ----------
    covariates
        One row an observation; numbers, booleans, texts or categories.

    Returns
    -------
    numpy.ndarray
        Shape (n,).

    Raises
    ------
    ValueError
        If a column holds something else (dates, for one), infinite numbers, or has the name of another.
    """
    if covariates.columns.has_duplicates:
        msg = f"each covariate once, found {list(covariates.columns)}"
        raise ValueError(msg)
    complete = np.ones(len(covariates), dtype=bool)
    for name in covariates.columns:
        if is_text(covariates[name]):
            continue
        values = _numbers(covariates[name])
        if np.isinf(values).any():
            msg = f"covariate '{name}' has {np.isinf(values).sum()} infinite values"
            raise ValueError(msg)
        complete &= ~np.isnan(values)
    return complete


def encode(covariates: pd.DataFrame) -> Design:
    """Return covariates without missing numbers as a design matrix.

    Parameters
    ----------
    covariates
        One row an observation, as `complete_rows` accepts them.

    Returns
    -------
    Design
        Numbers are centred and divided by their standard deviation, which changes no fitted value; texts become one column
        a level but the most frequent one. Covariates with one value, and columns that others before them determine,
        are left out with a note.

    Examples
    --------
    >>> frame = pd.DataFrame({"area": ["face", "face", None, "neck"], "site": ["x"] * 4, "session": [1, 2, 3, 4]})
    >>> design = encode(frame)
    >>> design.columns.shape, design.sources
    ((4, 4), ('', 'area', 'area', 'session'))
    >>> design.notes
    ("'site' has one value: left out",)
    """
    columns, sources, notes = [np.ones(len(covariates))], [""], []
    for name in map(str, covariates.columns):
        found = _encoded(covariates[name])
        if not found:
            notes.append(f"'{name}' has one value: left out")
        columns += found
        sources += [name] * len(found)
    matrix = np.column_stack(columns)
    kept = independent(matrix)
    named = dict.fromkeys(np.array(sources)[~kept].tolist())
    notes += [f"'{name}': columns that other covariates determine are left out" for name in named]
    return Design(matrix[:, kept], tuple(np.array(sources)[kept].tolist()), tuple(notes))


def independent(matrix: Floats) -> npt.NDArray[np.bool_]:
    """Return which columns are no linear combination of the columns before them.

    Parameters
    ----------
    matrix
        Shape (n, p).

    Returns
    -------
    numpy.ndarray
        Shape (p,).

    Notes
    -----
    The columns are swept out of the matrix of cross products one after another; one of whose sum of squares less than
    1e-9 is left is dependent.

    Examples
    --------
    >>> independent(np.array([[1.0, 1, 0, 5], [1, 0, 1, 2], [1, 0, 1, 2]]))
    array([ True,  True, False, False])
    """
    products = matrix.T @ matrix
    before = products.diagonal().copy()
    kept = np.zeros(len(before), dtype=bool)
    for place, total in enumerate(before):
        pivot = products[place, place]
        if pivot > _COLLINEAR * total:
            kept[place] = True
            products -= np.outer(products[:, place], products[place]) / pivot
    return kept


def standardized_differences(
    columns: Floats, frequency: Floats, weights: Floats, treated: npt.NDArray[np.bool_]
) -> Floats:
    """Return the difference of two groups' weighted means of each column, in standard deviations before weighting.

    Parameters
    ----------
    columns
        Shape (n, p).
    frequency
        How many observations each row stands for, shape (n,).
    weights
        The weight of all of these together, shape (n,).
    treated
        Whether a row is in the first of the two groups, of which none is empty, shape (n,).

    Returns
    -------
    numpy.ndarray
        Shape (p,); NaN for a column that does not vary within either group.

    References
    ----------
    Austin PC, Stuart EA (2015). Moving towards best practice when using inverse probability of treatment weighting.
    doi:10.1002/sim.6607

    Examples
    --------
    By hand: the means are 1/2 and 3/4, the variances 1/4 and 3/16.

    >>> column, first = np.array([[1.0], [0.0], [1.0], [0.0]]), np.array([True, True, False, False])
    >>> counted = np.array([1.0, 1.0, 3.0, 1.0])
    >>> standardized_differences(column, counted, counted, first).round(4)
    array([-0.5345])
    """
    groups = (treated, ~treated)
    means = [np.average(columns[rows], axis=0, weights=weights[rows]) for rows in groups]
    variances = [
        np.average(columns[rows] ** 2, axis=0, weights=frequency[rows])
        - np.average(columns[rows], axis=0, weights=frequency[rows]) ** 2
        for rows in groups
    ]
    spread = np.sqrt(np.maximum(variances[0] + variances[1], 0) / 2)
    return np.asarray((means[0] - means[1]) / np.where(spread > 0, spread, np.nan))


def is_text(values: pd.Series[Any]) -> bool:
    """Return whether a covariate holds texts or categories, which are compared level by level."""
    return isinstance(values.dtype, pd.CategoricalDtype) or pd.api.types.infer_dtype(values) in {
        "string",
        "empty",
    }


def level_codes(values: pd.Series[Any]) -> tuple[npt.NDArray[np.int64], pd.Index[Any]]:
    """Return the level of each text as a number, and the levels; a missing text is the level "not recorded"."""
    texts = values.astype(object).where(values.notna(), NOT_RECORDED)
    codes, levels = pd.factorize(texts.astype("str"), sort=True)
    return codes.astype(np.int64), levels


def _numbers(values: pd.Series[Any]) -> Floats:
    if not (pd.api.types.is_numeric_dtype(values) or pd.api.types.is_bool_dtype(values)):
        msg = f"covariate '{values.name}' holds {values.dtype}, must hold numbers or texts"
        raise ValueError(msg)
    return values.to_numpy(dtype=np.float64, na_value=np.nan)


def _encoded(values: pd.Series[Any]) -> list[Floats]:
    """Return the columns of one covariate: none where it has one value."""
    if not is_text(values):
        numbers = _numbers(values)
        spread = numbers.std() if len(numbers) and numbers.min() < numbers.max() else 0.0
        return [(numbers - numbers.mean()) / spread] if spread > 0 else []
    codes, levels = level_codes(values)
    usual = int(np.bincount(codes, minlength=1).argmax())
    return [(codes == level).astype(np.float64) for level in range(len(levels)) if level != usual]
