"""The validation report: each defect with what was found and what to do, for the person at the desk."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pandas as pd
from rich.console import Console
from rich.table import Table
from rich.text import Text

from mesostats.errors import DataError
from mesostats.validation.findings import masked
from mesostats.validation.rules import RULES, SEVERITIES
from mesostats.whole_files import neutral, written_whole

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mesostats.validation.findings import Finding

_COLUMNS: Final = ["table", "row", "key", "rule", "number", "severity", "column", "found", "action"]
_COUNTS: Final = ["rule", "number", "severity", "n", "n_listed"]
_TEXTS: Final = ["table", "key", "rule", "severity", "column", "found", "action"]
_PREVIEW: Final = 5
_HEADS: Final = {"n": "rows", "n_listed": "rows listed"}
_WIDTH: Final = 160
_MASK: Final = "…"


@dataclass(frozen=True, repr=False)
class ValidationReport:
    """What validation found.

    Parameters
    ----------
    defects
        One row a defect: ``table``, ``row`` (of the source, from 1; missing where the engine keeps no order), ``key`` (the
        row's id), ``rule``, ``number`` (of the twelve defects that real exports carry), ``severity`` (error, warning,
        info), ``column``, ``found`` and ``action`` (what to do). Errors first, then by table and row. Of each rule and
        column the first 1,000 rows are listed.
    counts
        One row a rule that found something: ``rule, number, severity, n, n_listed``; ``n`` counts all rows.

    Examples
    --------
    >>> from mesostats.dataset import Dataset
    >>> from mesostats.validation import validate
    >>> clinic = Dataset(
    ...     patients=pd.DataFrame({"patient_id": ["P1"]}),
    ...     courses=pd.DataFrame(
    ...         {"course_id": ["C1"], "patient_id": ["P1"], "indication": ["melasma"], "start_date": ["2024-01-08"]}
    ...     ),
    ...     sessions=pd.DataFrame(
    ...         {"session_id": ["S1"], "course_id": ["C1"], "date": ["2024-01-03"], "status": ["attended"]}
    ...     ),
    ... )
    >>> report = validate(clinic)
    >>> report.ok
    False
    >>> report.defects[["table", "key", "rule", "found"]].iloc[0].to_list()
    ['sessions', 'S1', 'session_before_course', 'session on 2024-01-03, course agreed on 2024-01-08']
    """

    defects: pd.DataFrame
    counts: pd.DataFrame

    @property
    def ok(self) -> bool:
        """Whether there is no error; warnings do not count."""
        return not (self.counts["severity"] == "error").any()

    def raise_if_errors(self) -> None:
        """Stop where the data have errors.

        Raises
        ------
        DataError
            With the number of errors of each rule; it holds no value of a patient.
        """
        errors = self.counts[self.counts["severity"] == "error"]
        if not errors.empty:
            each = ", ".join(f"{rule} {n}" for rule, n in zip(errors["rule"], errors["n"], strict=True))
            msg = f"the data have {_number(int(errors['n'].sum()), 'error')} ({each}); the report's defects say where and what to do"
            raise DataError(msg)

    def redacted(self) -> ValidationReport:
        """Return the report without what could identify a patient: keys and values are masked, row numbers stay."""
        actions = [
            masked(RULES[rule].action, column)
            for rule, column in zip(self.defects["rule"], self.defects["column"], strict=True)
        ]
        key = self.defects["key"].mask(self.defects["key"].notna(), _MASK)
        found = pd.array([_MASK] * len(actions), dtype="string")
        defects = self.defects.assign(key=key, found=found, action=pd.array(actions, dtype="string"))
        return ValidationReport(defects, self.counts)

    def to_csv(self, path: str | Path) -> Path:
        """Write the defects as CSV (UTF-8), the whole file or none.

        Parameters
        ----------
        path
            Replaced if it is there.

        Returns
        -------
        pathlib.Path
            The file. A cell that a spreadsheet would run as a formula has a leading ``'``.
        """
        target = Path(path)
        safe = self.defects.assign(**{name: neutral(self.defects[name]) for name in _TEXTS})
        with written_whole(target, private=True) as scratch:
            safe.to_csv(scratch, index=False, encoding="utf-8")
        return target

    def to_text(self) -> str:
        """Return the report as plain text for a terminal."""
        console = Console(file=StringIO(), width=_WIDTH)
        with console.capture() as capture:
            console.print(self._summary())
            if not self.defects.empty:
                console.print(_rich(self.defects))
        return capture.get()

    def to_html(self) -> str:
        """Return the report as an HTML fragment: a sentence, the counts and the defects; every value is escaped."""
        return self._html(self.defects)

    def _html(self, defects: pd.DataFrame) -> str:
        parts = [f"<p>{escape(self._summary())}</p>"]
        if not self.counts.empty:
            tables = [self.counts.rename(columns=_HEADS), _shown(defects)]
            parts += [
                each.drop(columns="number").to_html(index=False, na_rep="", border=0, escape=True)
                for each in tables
            ]
        return '<div class="mesostats-validation">' + "\n".join(parts) + "</div>"

    def _repr_html_(self) -> str:
        first = self.defects.groupby("rule", sort=False).head(_PREVIEW)
        found = int(self.counts["n"].sum())
        rest = f"<p>The first {_PREVIEW} rows of each rule, {len(first):,} of {found:,}.</p>"
        return self._html(first) + (rest if found > len(first) else "")

    def _summary(self) -> str:
        if self.counts.empty:
            return "Validation: nothing found."
        by_severity = self.counts.groupby("severity")["n"].sum()
        words = {"error": "error", "warning": "warning", "info": "note"}
        counted = [_number(int(by_severity.get(each, 0)), words[each]) for each in SEVERITIES]
        return f"Validation: {', '.join(counted)}."

    def __repr__(self) -> str:
        return f"<ValidationReport: {self._summary().removeprefix('Validation: ')}>"


def report(findings: Iterable[Finding]) -> ValidationReport:
    """Gather findings into a report.

    Parameters
    ----------
    findings
        In any order.

    Returns
    -------
    ValidationReport
    """
    found = list(findings)
    defects = pd.concat([_empty(), *(each.defects() for each in found)], ignore_index=True)
    defects = defects.astype(dict.fromkeys(_TEXTS, "string") | {"row": "Int64", "number": "Int64"})
    rank = defects["severity"].map({name: place for place, name in enumerate(SEVERITIES)})
    order = defects.assign(_rank=rank).sort_values(["_rank", "table", "row"], kind="stable").index
    return ValidationReport(defects.loc[order, _COLUMNS].reset_index(drop=True), _counts(found))


def _empty() -> pd.DataFrame:
    texts = {name: pd.Series(dtype="string") for name in _COLUMNS}
    return pd.DataFrame(texts | {"row": pd.Series(dtype="Int64"), "number": pd.Series(dtype="Int64")})


def _counts(found: list[Finding]) -> pd.DataFrame:
    rows = [
        (
            rule.code,
            rule.number,
            rule.severity,
            sum(each.n for each in of),
            sum(len(each.listed) for each in of),
        )
        for rule in sorted(RULES.values(), key=lambda rule: SEVERITIES.index(rule.severity))
        if (of := [each for each in found if each.rule == rule])
    ]
    kinds = {"rule": "string", "number": "Int64", "severity": "string", "n": "int64", "n_listed": "int64"}
    return pd.DataFrame(rows, columns=_COUNTS).astype(kinds)


def _number(n: int, what: str) -> str:
    return f"{n:,} {what}" if n == 1 else f"{n:,} {what}s"


def _shown(defects: pd.DataFrame) -> pd.DataFrame:
    """Leave out the columns that hold nothing but the mask."""
    masks = [
        name for name in ("key", "found") if not defects.empty and defects[name].fillna(_MASK).eq(_MASK).all()
    ]
    return defects.drop(columns=masks)


def _rich(defects: pd.DataFrame) -> Table:
    columns = ["severity", "table", "row", "key", "rule", "found", "action"]
    table = Table(*columns)
    for each in defects[columns].itertuples(index=False):
        table.add_row(*(Text("" if pd.isna(value) else str(value)) for value in each))
    return table
