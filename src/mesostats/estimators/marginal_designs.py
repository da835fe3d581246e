"""Designs whose least-squares means are coefficients: a column a cell, and covariates that are 0 where the means are taken."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

import numpy as np
import pandas as pd

from mesostats.estimators.arguments import check_choice
from mesostats.estimators.covariates import complete_rows, independent, is_text, level_codes

if TYPE_CHECKING:
    from collections.abc import Collection

    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]

LevelWeights = Literal["equal", "proportional"]
_WEIGHTS: Final = ("equal", "proportional")
_NULL: Final = (
    1e-9  # eigenvalue of the scaled cross products, of the largest, below which a direction is not observed
)
_ESTIMABLE: Final = 1e-6


@dataclass(frozen=True, eq=False)
class MarginalDesign:
    """A design matrix in which the first columns are the cells.

    Parameters
    ----------
    columns
        Shape (n, p), linearly independent.
    places
        The column of each cell, shape (cells,); -1 of a cell without an observation.
    unseen
        Directions of cells (and of covariates behind them) that the observations say nothing of, shape (cells, d): a
        combination of cells that is not orthogonal to them cannot be estimated.
    notes
        What was left out, in words.
    """

    columns: Floats
    places: npt.NDArray[np.int64]
    unseen: Floats
    notes: tuple[str, ...]

    def contrast(self, weights: Floats) -> Floats | None:
        """Return the weights of the coefficients that combine cells as given.

        Parameters
        ----------
        weights
            Of each cell, shape (cells,).

        Returns
        -------
        numpy.ndarray or None
            Shape (p,); None where the combination cannot be estimated.
        """
        used = weights != 0
        if np.any(used & (self.places < 0)) or np.any(np.abs(weights @ self.unseen) > _ESTIMABLE):
            return None
        found = np.zeros(self.columns.shape[1])
        found[self.places[used]] = weights[used]
        return found


def marginal_design(
    cells: npt.NDArray[np.int64],
    number: int,
    covariates: pd.DataFrame,
    *,
    weights: LevelWeights = "equal",
    visit: npt.NDArray[np.int64] | None = None,
    by_visit: Collection[str] = (),
) -> MarginalDesign:
    """Return the design of cell means with covariates.

    Parameters
    ----------
    cells
        The cell of each observation, from 0, shape (n,).
    number
        How many cells there are, observed or not.
    covariates
        n rows without missing numbers; numbers, booleans, texts or categories.
    weights
        What a mean over the levels of a text is: ``equal`` (each level counts the same, as LSMEANS of SAS by default) or
        ``proportional`` (as often as it is observed, as LSMEANS with OM).
    visit
        The visit of each observation, from 0, shape (n,); only used for `by_visit`.
    by_visit
        The covariates whose effect may differ between visits.

    Returns
    -------
    MarginalDesign
        The coefficient of a cell is its least-squares mean: at the mean of each number over the observations, and over
        the levels of each text.

    Raises
    ------
    ValueError
        If the weights are unknown.

    References
    ----------
    Searle SR, Speed FM, Milliken GA (1980). Population marginal means in the linear model: an alternative to least squares
    means. doi:10.1080/00031305.1980.10483031

    Examples
    --------
    >>> design = marginal_design(np.array([0, 0, 1]), 3, pd.DataFrame({"age": [20.0, 40.0, 60.0]}))
    >>> design.places, design.contrast(np.array([-1.0, 1.0, 0.0]))
    (array([ 0,  1, -1]), array([-1.,  1.,  0.]))
    """
    check_choice(weights, _WEIGHTS, "weights")
    observed = np.flatnonzero(np.bincount(cells, minlength=number) > 0)
    indicators = np.equal.outer(cells, observed).astype(np.float64)
    blocks, names, notes = [indicators], [""] * len(observed), []
    for name in covariates.columns:
        block = _centred(covariates[name], weights)
        if not block.shape[1]:
            notes.append(f"'{name}' has one value: left out")
        if name in by_visit and visit is not None and len(visit):
            block = np.column_stack([block * (visit == each)[:, None] for each in np.unique(visit)])
        blocks.append(block)
        names += [str(name)] * block.shape[1]
    matrix = np.column_stack(blocks)
    kept = independent(matrix)
    dropped = dict.fromkeys(np.array(names)[~kept].tolist())
    notes += [f"'{name}': columns that others determine are left out" for name in dropped]
    places = np.full(number, -1)
    places[observed] = np.arange(len(observed))
    unseen = np.zeros((number, 0))
    if not kept.all():
        directions = _unseen(matrix)
        unseen = np.zeros((number, directions.shape[1]))
        unseen[observed] = directions[: len(observed)]
    return MarginalDesign(matrix[:, kept], places, unseen, tuple(notes))


def complete(
    outcome: Floats, covariates: pd.DataFrame | None, rows: int
) -> tuple[pd.DataFrame, npt.NDArray[np.bool_]]:
    """Return covariates as a frame with a fresh index, and which rows have their outcome and all their numbers."""
    frame = pd.DataFrame(index=range(rows)) if covariates is None else covariates.reset_index(drop=True)
    return frame, complete_rows(frame) & np.isfinite(outcome)


def _centred(values: pd.Series[Any], weights: LevelWeights) -> Floats:
    """Return the columns of one covariate, 0 at its mean; none where it has one value."""
    if not is_text(values):
        numbers = values.to_numpy(dtype=np.float64)
        if not len(numbers) or numbers.min() == numbers.max():
            return np.zeros((len(values), 0))
        return np.asarray((numbers - numbers.mean()) / numbers.std())[:, None]
    codes, levels = level_codes(values)
    columns = np.equal.outer(codes, np.arange(len(levels))).astype(np.float64)
    centres = (
        columns.mean(axis=0) if weights == "proportional" else np.full(len(levels), 1 / max(len(levels), 1))
    )
    usual = int(np.bincount(codes, minlength=1).argmax())
    return np.delete(columns - centres, usual, axis=1) if len(levels) > 1 else np.zeros((len(values), 0))


def _unseen(matrix: Floats) -> Floats:
    """Return an orthonormal basis of the combinations of columns that are 0 in every row."""
    scale = np.sqrt(np.maximum((matrix**2).sum(axis=0), np.finfo(float).tiny))
    values, vectors = np.linalg.eigh((matrix / scale).T @ (matrix / scale))
    found = vectors[:, values <= _NULL * values.max()] / scale[:, None]
    return np.asarray(found / np.linalg.norm(found, axis=0))
