"""Files that people keep: written whole or not at all, and without cells that a spreadsheet would run."""

from __future__ import annotations

import os
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pandas as pd

if TYPE_CHECKING:
    from collections.abc import Iterator

_READABLE: Final = 0o644
_OWN: Final = 0o600
_FORMULA: Final = r"[=+@\t\r-]"


@contextmanager
def written_whole(target: Path, *, private: bool = False) -> Iterator[Path]:
    """Give a path to write to that becomes the file at the end, and nothing where an error came before.

    Parameters
    ----------
    target
        The file; an earlier one is replaced.
    private
        Whether its owner alone may read it.

    Yields
    ------
    pathlib.Path
        A file in the same folder, with the same ending.

    Raises
    ------
    FileNotFoundError
        If the folder is not there.

    Examples
    --------
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with written_whole(Path(folder) / "a.txt") as scratch:
    ...         _ = scratch.write_text("whole")
    ...     [each.name for each in Path(folder).iterdir()]
    ['a.txt']
    """
    if not target.parent.is_dir():
        msg = f"folder '{target.parent}' is not there; make it first"
        raise FileNotFoundError(msg)
    handle, name = tempfile.mkstemp(prefix=".mesostats-", suffix=target.suffix, dir=target.parent)
    os.close(handle)
    scratch = Path(name)
    try:
        yield scratch
        scratch.chmod(_OWN if private else _READABLE)
        scratch.replace(target)
    finally:
        scratch.unlink(missing_ok=True)


def neutral(texts: pd.Series[Any]) -> pd.Series[Any]:
    """Return texts with a leading ``'`` where a spreadsheet would run them as a formula; numbers stay.

    Parameters
    ----------
    texts
        Texts; what is missing stays missing.

    Examples
    --------
    >>> neutral(pd.Series(["=1+1", "-A1", "-2.5", "melasma"])).tolist()
    ["'=1+1", "'-A1", '-2.5', 'melasma']
    """
    words = texts.astype("str")
    risky = texts.notna() & words.str.match(_FORMULA) & ~_negative(words)
    return texts.mask(risky, "'" + words)


def _negative(words: pd.Series[Any]) -> pd.Series[Any]:
    return words.str.startswith("-") & pd.to_numeric(words, errors="coerce").notna()
