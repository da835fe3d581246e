"""A clinic's tables as the rules read them: with their hidden columns, small ones read only once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import narwhals as nw

from mesostats.engine import collect

if TYPE_CHECKING:
    from mesostats.dataset import Dataset

_SMALL: Final = 100_000


def checked(clinic: Dataset, table: str) -> nw.LazyFrame[Any]:
    """Return a table with its hidden columns.

    Parameters
    ----------
    clinic
        The clinic.
    table
        One of its tables.

    Returns
    -------
    nw.LazyFrame
        Kept on the engine where it is small, as each of dozens of queries costs more than its rows; a larger one is never copied.
    """
    frame = clinic.checked(table)
    n = int(collect(clinic.derive(f"validation_n_{table}", lambda: frame.select(n=nw.len())))["n"].iloc[0])
    return frame if n > _SMALL else clinic.derive(f"validation_{table}", lambda: frame)


def is_empty(frame: nw.LazyFrame[Any]) -> bool:
    """Return whether a frame has no row."""
    return collect(frame.head(1)).empty
