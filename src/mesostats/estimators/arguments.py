"""What an estimator accepts: each check returns the array it checked, or says what was wrong with it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from mesostats.errors import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Iterable

    import numpy.typing as npt


def check_conf_level(conf_level: float) -> None:
    """Refuse a confidence level that is not strictly between 0 and 1.

    Parameters
    ----------
    conf_level
        The two-sided confidence level, such as 0.95.

    Raises
    ------
    ValueError
        If it is 0 or less, 1 or more, or not a number.
    """
    if not 0 < conf_level < 1:
        msg = f"conf_level == {conf_level}, must be above 0 and below 1"
        raise ValueError(msg)


def check_choice(value: str, known: Iterable[str], name: str) -> None:
    """Refuse a word that is not one of the known ones.

    Parameters
    ----------
    value
        What was asked for.
    known
        What can be asked for.
    name
        The argument's name, for the message.

    Raises
    ------
    ValueError
        If `value` is not among `known`.
    """
    choices = list(known)
    if value not in choices:
        msg = f"{name} '{value}' is unknown{did_you_mean(value, choices)}"
        raise ValueError(msg)


def amounts(values: npt.ArrayLike, name: str) -> npt.NDArray[np.float64]:
    """Return finite numbers of at least 0 as a vector.

    Parameters
    ----------
    values
        A number or a one-dimensional array of numbers.
    name
        The argument's name, for the message.

    Returns
    -------
    numpy.ndarray
        A new vector of float64.

    Raises
    ------
    ValueError
        If there is more than one dimension, or a value is no number, missing, infinite or negative.
    """
    found = np.asarray(values)
    if found.dtype.kind not in "biufO":
        msg = f"{name} holds {found.dtype}, must hold numbers"
        raise ValueError(msg)
    try:
        vector = np.array(found, dtype=np.float64, ndmin=1)
    except (TypeError, ValueError):  # the first error's text may quote a value
        msg = f"{name} holds values that are missing or no numbers"
        raise ValueError(msg) from None
    if vector.ndim > 1:
        msg = f"{name} has {vector.ndim} dimensions, must have 1"
        raise ValueError(msg)
    for wrong, what in ((~np.isfinite(vector), "missing or infinite"), (vector < 0, "negative")):
        if wrong.any():
            msg = f"{name} has {wrong.sum()} {what} values (first at position {wrong.argmax()})"
            raise ValueError(msg)
    return vector


def counts(values: npt.ArrayLike, name: str) -> npt.NDArray[np.int64]:
    """Return whole numbers of at least 0 as a vector.

    Parameters
    ----------
    values
        A number or a one-dimensional array of whole numbers, of any numeric type.
    name
        The argument's name, for the message.

    Returns
    -------
    numpy.ndarray
        A new vector of int64.

    Raises
    ------
    ValueError
        As for `amounts`, and if a value is not whole.
    """
    vector = amounts(values, name)
    fractional = vector != np.floor(vector)
    if fractional.any():
        msg = f"{name} has {fractional.sum()} values that are not whole (first at position {fractional.argmax()})"
        raise ValueError(msg)
    return vector.astype(np.int64)


def indicators(values: npt.ArrayLike, name: str) -> npt.NDArray[np.int64]:
    """Return yes/no values, as True/False or 1/0, as a vector of 1 and 0.

    Parameters
    ----------
    values
        A value or a one-dimensional array of booleans, or of 0 and 1.
    name
        The argument's name, for the message.

    Returns
    -------
    numpy.ndarray
        A new vector of int64.

    Raises
    ------
    ValueError
        As for `counts`, and if a value is above 1.
    """
    vector = counts(values, name)
    if np.any(vector > 1):
        msg = f"{name} has {np.sum(vector > 1)} values other than 0 and 1 (first at position {np.argmax(vector > 1)})"
        raise ValueError(msg)
    return vector


def check_same_length(**vectors: npt.NDArray[Any]) -> None:
    """Refuse vectors of different lengths.

    Parameters
    ----------
    **vectors
        The vectors, under their arguments' names.

    Raises
    ------
    ValueError
        If one has another length than the rest.
    """
    lengths = {name: len(vector) for name, vector in vectors.items()}
    if len(set(lengths.values())) > 1:
        found = ", ".join(f"{name} has {length}" for name, length in lengths.items())
        msg = f"lengths differ: {found}"
        raise ValueError(msg)


def binomial_counts(**counted: npt.ArrayLike) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Return numbers of successes and the numbers of trials that they are among.

    Parameters
    ----------
    **counted
        The successes, then the trials, under their arguments' names; whole, of one length.

    Returns
    -------
    tuple of numpy.ndarray
        Successes and trials, new vectors of int64.

    Raises
    ------
    ValueError
        As for `counts`, and if lengths differ or there are more successes than trials.
    """
    (part_name, part), (whole_name, whole) = (
        (name, counts(values, name)) for name, values in counted.items()
    )
    check_same_length(**{part_name: part, whole_name: whole})
    above = part > whole
    if above.any():
        msg = f"{part_name} is above {whole_name} in {above.sum()} elements (first at position {above.argmax()})"
        raise ValueError(msg)
    return part, whole
