"""Random draws and Arrow columns, a whole column at a time."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray


class Streams:
    """Independent random generators by name, so that a new use of chance leaves all others as they were.

    Parameters
    ----------
    seed
        Of the whole simulation.

    Examples
    --------
    >>> one, two = Streams(1)("sessions"), Streams(1)("sessions")
    >>> bool(one.random() == two.random())
    True
    """

    def __init__(self, seed: int) -> None:
        self._seed = seed

    def __call__(self, name: str) -> np.random.Generator:
        """Return the generator of that name, always from its beginning."""
        return np.random.default_rng(
            np.random.SeedSequence(self._seed, spawn_key=(zlib.crc32(name.encode()),))
        )


def happens(rng: np.random.Generator, probability: Any, size: int | tuple[int, ...]) -> NDArray[np.bool_]:
    """Draw yes with the given probability; single precision, for speed."""
    return rng.random(size, dtype=np.float32) < np.asarray(probability, dtype=np.float32)


def choose(
    rng: np.random.Generator, weights: Sequence[float] | NDArray[np.float64], size: int
) -> NDArray[np.int8]:
    """Draw indices 0 … with the given weights."""
    edges = np.cumsum(weights)[:-1] / np.sum(weights)
    return np.searchsorted(edges.astype(np.float32), rng.random(size, dtype=np.float32), side="right").astype(
        np.int8
    )


def between(rng: np.random.Generator, low: Any, high: Any, size: int | tuple[int, ...]) -> NDArray[np.int32]:
    """Draw whole numbers evenly from ``low`` to ``high``, both possible, each a number or an array."""
    width = np.asarray(high, dtype=np.float32) - np.asarray(low, dtype=np.float32) + np.float32(1)
    drawn = np.floor(rng.random(size, dtype=np.float32) * width).astype(np.int32)
    # A single-precision product can round up to the width itself.
    return np.asarray(low, dtype=np.int32) + np.minimum(drawn, width.astype(np.int32) - 1)


def identifiers(prefix: str, numbers: NDArray[np.int64], *, largest: int) -> pa.Array:
    """Return ids such as ``P000123``: the prefix and the number with zeros up to the width of ``largest``, at least six.

    Parameters
    ----------
    prefix
        One ASCII letter.
    numbers
        Whole numbers from 0.
    largest
        The largest number that any column with these ids can hold.

    Returns
    -------
    pyarrow.Array
        Strings.

    Examples
    --------
    >>> identifiers("P", np.array([1, 20]), largest=20).to_pylist()
    ['P000001', 'P000020']
    """
    width = max(6, len(str(largest)))
    text = np.empty((len(numbers), width + 1), dtype=np.uint8)
    text[:, 0] = ord(prefix)
    # Division of 32-bit numbers by a constant is several times faster than of 64-bit ones.
    rest: NDArray[Any] = np.asarray(numbers, dtype=np.uint32 if largest < 2**32 else np.uint64)
    for place in range(width, 0, -1):
        tens = rest // 10
        text[:, place] = rest - 10 * tens + ord("0")
        rest = tens
    offsets = np.arange(len(numbers) + 1, dtype=np.int64) * (width + 1)
    large = pa.LargeStringArray.from_buffers(len(numbers), pa.py_buffer(offsets), pa.py_buffer(text))
    return large.cast(pa.string())


def coded(
    codes: NDArray[Any], names: Sequence[str | None], *, missing: NDArray[np.bool_] | None = None
) -> pa.Array:
    """Return ``names[codes]`` as strings, null where ``missing``."""
    return pa.array(list(names), pa.string()).take(pa.array(codes, mask=missing))


def yes_no(is_yes: NDArray[np.bool_], *, missing: NDArray[np.bool_] | None = None) -> pa.Array:
    """Return "yes" and "no", null where ``missing``."""
    return coded(is_yes.astype(np.int8), ("no", "yes"), missing=missing)


def days(numbers: NDArray[Any], *, missing: NDArray[np.bool_] | None = None) -> pa.Array:
    """Return dates from days since 1970-01-01, null where ``missing``."""
    return pa.array(numbers.astype(np.int32), mask=missing).cast(pa.date32())


def weighted(rng: np.random.Generator, weights: Mapping[Any, float], size: int) -> NDArray[np.int8]:
    """Draw indices into the keys of ``weights``."""
    return choose(rng, list(weights.values()), size)
