"""The table of classes, terms within them, and the worst severity of each patient."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import pandas as pd

from mesostats.layout import (
    MISSING,
    amount,
    by_columns,
    count,
    label,
    labels_of,
    most_frequent,
    readable,
)
from mesostats.tables.notes import cutoff_line, footnotes, left_out_line, population_line, units_of
from mesostats.tables.sheet import SECTION, Column, Sheet

if TYPE_CHECKING:
    from mesostats.results import Result

_ANY: Final = "any"
_MOST_BESIDE: Final = 4  # groups side by side; more stand in blocks
_KEYS: Final = ["term_class", "term"]


def profile_sheet(result: Result, most: int) -> Sheet:
    """Return the sheet of a profile: classes in bold, their terms beneath, severities as columns of each group.

    Parameters
    ----------
    result
        A result with the groups ``term_class``, ``term`` and ``severity``.
    most
        How many terms are shown at most.

    Returns
    -------
    Sheet
    """
    frame, left_out = _limited(result.estimates, most)
    by = by_columns(result)
    severities = _severities(result.estimates)
    groups = list(frame.groupby(by, sort=False, dropna=False)) if by else [((), frame)]
    order = _order(frame)
    blocks = [_block(rows, order, severities) for _, rows in groups]
    heads = [_head(result, by, rows) for _, rows in groups]
    if len(groups) <= _MOST_BESIDE:
        texts = pd.concat(
            [block.add_prefix(f"{place}_") for place, block in enumerate(blocks)], axis="columns"
        )
        columns = [
            Column(f"{place}_{severity}", _severity_name(result, severity), head, bold=severity == _ANY)
            for place, head in enumerate(heads)
            for severity in severities
        ]
    else:
        texts = pd.concat(
            [block.assign(**{SECTION: head}) for block, head in zip(blocks, heads, strict=True)]
        )
        columns = [
            Column(severity, _severity_name(result, severity), "", bold=severity == _ANY)
            for severity in severities
        ]
    keys = [*texts.index]
    classes = tuple(row for row, (_, term) in enumerate(keys) if term == _ANY)
    names = [
        label(result, "term_class" if term == _ANY else "term", each if term == _ANY else term)
        for each, term in keys
    ]
    return Sheet(
        texts.reset_index(drop=True).assign(_stub=names),
        {"_stub": "Class and term"},
        columns,
        footnotes([(note, "", 0) for note in frame["note"].unique()]),
        _sources(result, frame, severities, left_out),
        strong=classes,
        indented=tuple(row for row in range(len(keys)) if row not in classes),
    )


def _limited(frame: pd.DataFrame, most: int) -> tuple[pd.DataFrame, int]:
    """Keep the terms that came most often, and all classes."""
    whole = frame["severity"].eq(_ANY)
    _, left_out = most_frequent(frame[whole & frame["term"].ne(_ANY)], _KEYS, most)
    if not left_out:
        return frame, 0
    kept, _ = most_frequent(frame[whole & frame["term"].ne(_ANY)], _KEYS, most)
    known = pd.MultiIndex.from_frame(kept[_KEYS])
    chosen = pd.MultiIndex.from_frame(frame[_KEYS]).isin(known) | frame["term"].eq(_ANY).to_numpy()
    return frame[chosen], left_out


def _severities(frame: pd.DataFrame) -> list[Any]:
    """Return the severities that somebody had, in their order; ``any`` always."""
    had = frame.groupby("severity", sort=False)["numerator"].sum()
    return [name for name, number in had.items() if name == _ANY or number > 0]


def _order(frame: pd.DataFrame) -> pd.MultiIndex:
    """Order classes by how often they came, each followed by its terms, most frequent first."""
    whole = frame[frame["severity"].eq(_ANY)]
    often = whole.groupby(_KEYS, sort=False, dropna=False)["numerator"].sum().rename("often").reset_index()
    of_class = often[often["term"].eq(_ANY)].set_index("term_class")["often"]
    ranked = often.assign(
        class_often=-often["term_class"].map(of_class),
        first=often["term"].ne(_ANY),
        often=-often["often"],
    )
    ranked = ranked.sort_values(["class_often", "term_class", "first", "often"], kind="stable")
    return pd.MultiIndex.from_frame(ranked[_KEYS])


def _block(rows: pd.DataFrame, order: pd.MultiIndex, severities: list[Any]) -> pd.DataFrame:
    """Return n (%) of one group: a row a class or term, a column a severity."""
    texts = rows.assign(text=[_patients(row) for _, row in rows.iterrows()])
    wide = texts.set_index([*_KEYS, "severity"])["text"].unstack("severity")  # noqa: PD010 - keys are unique
    return wide.reindex(order)[severities].fillna(MISSING)


def _patients(row: pd.Series[Any]) -> str:
    """Return patients and per cent; a plain zero where nobody had it."""
    if row["numerator"] == 0:
        return "0"
    return f"{count(row['numerator'])} ({amount(row['estimate'], row['estimand'])})"


def _head(result: Result, by: list[str], rows: pd.DataFrame) -> str:
    """Return a group's name with how many patients it has."""
    first = rows.iloc[0]
    name = labels_of(result, by, first) or f"All {first['unit']}"
    return f"{name} (N = {count(first['denominator'])})"


def _severity_name(result: Result, severity: Any) -> str:
    return "Any, n (%)" if severity == _ANY else label(result, "severity", severity)


def _sources(result: Result, frame: pd.DataFrame, severities: list[Any], left_out: int) -> list[str]:
    lines = [
        "n (%): patients with the event, each once a row at the worst severity. N: patients of the group."
    ]
    lines.append(population_line(result, units_of(frame), counted="N"))
    absent = [
        readable(name).lower()
        for name in frame["severity"].unique()
        if name not in severities and name != "not recorded"
    ]
    if absent:
        lines.append(f"No event was graded: {', '.join(absent)}.")
    unasked = (
        frame.drop_duplicates(by_columns(result))["n_missing"].sum()
        if by_columns(result)
        else frame["n_missing"].max()
    )
    if unasked > 0:
        lines.append(f"Left out: {count(unasked)} patients whom nobody asked about side effects.")
    if left_out:
        shown = len(frame.loc[frame["term"].ne(_ANY), _KEYS].drop_duplicates())
        lines += left_out_line(shown, left_out, "terms")
    return [*lines, cutoff_line(result)]
