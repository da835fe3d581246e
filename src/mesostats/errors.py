"""What can go wrong, by name.

A message says what was wrong, what was found and what to do. It never holds a patient's values: those stand in the
defect table of a validation report, for the person at the desk.
"""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


class MesostatsError(Exception):
    """The parent of all errors that mesostats raises on data and on its description."""


class DataError(MesostatsError):
    """The data cannot be read or do not hold what an analysis needs."""


class SchemaError(MesostatsError):
    """A table's contract (a pandera YAML) is wrong, or a table does not have its columns."""


class VocabularyError(MesostatsError):
    """A vocabulary file is wrong, or a code is not in its vocabulary."""


class MappingError(MesostatsError):
    """A mapping file is wrong, or does not fit the files that it maps."""


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return the end of an error message: the nearest known name, or all of them.

    Parameters
    ----------
    name
        What was found.
    known
        What could have been there.

    Returns
    -------
    str
        ``"; did you mean 'masi'?"``, or ``"; known are 'a', 'b'"`` where nothing is near.

    Examples
    --------
    >>> did_you_mean("masii", ["gais", "masi"])
    "; did you mean 'masi'?"
    >>> did_you_mean("x", ["gais", "masi"])
    "; known are 'gais', 'masi'"
    """
    names = sorted(known)
    near = get_close_matches(name, names, n=1, cutoff=0.7)
    if near:
        return f"; did you mean '{near[0]}'?"
    return "; known are " + ", ".join(f"'{each}'" for each in names) if names else ""
