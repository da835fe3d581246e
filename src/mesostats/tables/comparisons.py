"""Tables of groups that were compared with a reference: each group's own rate, then difference or ratio, and p values."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import pandas as pd

from mesostats.layout import (
    MISSING,
    Comparison,
    comparison,
    conf_level,
    count,
    heading,
    in_reading_order,
    labels_of,
    most_frequent,
    out_of_with_share,
    p_text,
    quantity,
    readable,
    with_interval,
)
from mesostats.tables.notes import (
    concise,
    correction,
    cutoff_line,
    footnotes,
    left_out_line,
    population_line,
    units_of,
)
from mesostats.tables.sheet import SECTION, Column, Sheet

if TYPE_CHECKING:
    from mesostats.results import Result

_MOST_BESIDE: Final = 3  # comparisons side by side; more stand in blocks
_HEADS: Final = {
    "risk_difference": "Difference, points",
    "rate_difference": "Difference",
    "risk_ratio": "Risk ratio",
    "odds_ratio": "Odds ratio",
    "rate_ratio": "Rate ratio",
}


def comparison_sheet(result: Result, most: int) -> Sheet:
    """Return the sheet of a comparison: kinds of event as rows, most frequent first; without kinds a row a group.

    Parameters
    ----------
    result
        A result that compares groups with a reference.
    most
        How many kinds of event are shown at most.

    Returns
    -------
    Sheet
    """
    found = comparison(result)
    if not found.kinds:
        return _by_group(found)
    rates, left_out = most_frequent(in_reading_order(found.rates, found.kinds), found.kinds, most)
    beside = len(found.others) <= _MOST_BESIDE
    sheets = [_by_kind(found, rates, found.others)] if beside else []
    sheets = sheets or [_by_kind(found, rates, [other]) for other in found.others]
    sources = _sources(found, rates, left_out)
    return Sheet(
        pd.concat([sheet.texts for sheet in sheets], ignore_index=True),
        {"_stub": heading(result, found.kinds[0])},
        sheets[0].columns,
        footnotes(_notes(found, sheets)),
        sources,
    )


def _by_kind(found: Comparison, rates: pd.DataFrame, others: list[Any]) -> Sheet:
    """Return the rows and columns of some groups beside the reference."""
    kind, alone = found.kinds[0], len(others) == 1 and len(found.others) > 1
    kinds = list(dict.fromkeys(rates[kind]))
    groups = [*others, found.reference]
    texts = pd.DataFrame(index=range(len(kinds)))
    names = rates.drop_duplicates(kind)
    texts["_stub"] = [labels_of(found.result, found.kinds, row) for _, row in names.iterrows()]
    columns = []
    for place, group in enumerate(groups):
        own = (
            rates[rates[found.group].eq(group)]
            .set_index(kind)
            .reindex(kinds)
            .assign(estimand=found.result.spec["rates"])
        )
        texts[f"rate{place}"] = [out_of_with_share(row) for _, row in own.iterrows()]
        name = "The other group" if alone and place == 0 else found.name(group)
        columns.append(Column(f"rate{place}", _rate_head(found), name))
    for place, group in enumerate(others):
        for part, head, values in _compared(found, group, kinds):
            texts[f"{part}{place}"] = values
            name = "The other group" if alone else found.name(group)
            spanner = f"{name} against {found.name(found.reference)}"
            columns.append(Column(f"{part}{place}", head, spanner))
    if alone:
        texts[SECTION] = f"{found.name(others[0])} against {found.name(found.reference)}"
    columns = [
        column for column in columns if texts[column.key].ne(MISSING).any() or column.key == "measure0"
    ]
    return Sheet(texts, {}, columns)


def _rate_head(found: Comparison) -> str:
    first = found.rates.iloc[0]
    head = quantity(first["estimand"], first["unit"]).heading
    return f"n/N ({head})"


def _compared(found: Comparison, group: Any, kinds: list[Any]) -> list[tuple[str, str, list[str]]]:
    """Return key, heading and texts of what one comparison shows of each kind of event."""
    level = conf_level(found.result)
    measure = _rows(found, found.primary, group, kinds)
    tested = _rows(found, found.tested, group, kinds)
    return [
        (
            "measure",
            f"{_head(found, found.primary)} ({level} CI)",
            [with_interval(row) for _, row in measure.iterrows()],
        ),
        ("p", found.test_name, [p_text(value) for value in tested["p_value"]]),
        ("adjusted", "adjusted p", [p_text(value) for value in tested["p_adjusted"]]),
    ]


def _rows(found: Comparison, measure: str, group: Any, kinds: list[Any]) -> pd.DataFrame:
    rows = found.of(measure)
    return rows[rows[found.group].eq(group)].set_index(found.kinds[0]).reindex(kinds).assign(estimand=measure)


def _head(found: Comparison, measure: str) -> str:
    unit = units_of(found.of(measure))
    if measure == "rate_difference":
        return f"Difference {quantity(measure, unit).heading}"
    return _HEADS.get(measure, readable(measure))


def _by_group(found: Comparison) -> Sheet:
    """Return a row a group, with all measures of its comparison."""
    result, level = found.result, conf_level(found.result)
    texts = pd.DataFrame(index=range(len(found.groups)))
    texts["_stub"] = [
        found.name(group) + (" (reference)" if group == found.reference else "") for group in found.groups
    ]
    rates = found.rates.set_index(found.group).reindex(found.groups).assign(estimand=result.spec["rates"])
    texts["rate0"] = [out_of_with_share(row) for _, row in rates.iterrows()]
    columns = [Column("rate0", _rate_head(found))]
    against = f"Against {found.name(found.reference)}"
    for place, measure in enumerate(found.measures):
        rows = found.of(measure).set_index(found.group).reindex(found.groups).assign(estimand=measure)
        texts[f"measure{place}"] = [with_interval(row) for _, row in rows.iterrows()]
        primary = measure == found.primary
        columns.append(
            Column(f"measure{place}", f"{_head(found, measure)} ({level} CI)", against, bold=primary)
        )
        if measure == found.tested:
            texts["p0"], texts["adjusted0"] = (
                rows["p_value"].map(p_text).to_numpy(),
                rows["p_adjusted"].map(p_text).to_numpy(),
            )
    if "p0" in texts:
        columns += [Column("p0", found.test_name, against), Column("adjusted0", "adjusted p", against)]
    sources = _sources(found, found.rates, 0)
    rows_of = {group: row for row, group in enumerate(found.groups)}
    notes = [
        (row["note"], f"measure{found.measures.index(row['estimand'])}", rows_of[row[found.group]])
        for measure in found.measures
        for _, row in found.of(measure).iterrows()
    ]
    return Sheet(texts, {"_stub": heading(result, found.group)}, columns, footnotes(notes), sources)


def _notes(found: Comparison, sheets: list[Sheet]) -> list[tuple[str, str, int]]:
    """Return the notes of the comparisons shown, with the cell that each belongs to."""
    rows = found.of(found.primary)
    names = [labels_of(found.result, found.kinds, row) for _, row in rows.iterrows()]
    notes, offset = [], 0
    for place, sheet in enumerate(sheets):
        here = {name: row + offset for row, name in enumerate(sheet.texts["_stub"])}
        offset += len(sheet.texts)
        for name, (_, row) in zip(names, rows.iterrows(), strict=True):
            side = found.others.index(row[found.group])
            shown = place == side if len(sheets) > 1 else True
            if name in here and shown:
                notes.append((row["note"], f"measure{0 if len(sheets) > 1 else side}", here[name]))
    return notes


def _sources(found: Comparison, rates: pd.DataFrame, left_out: int) -> list[str]:
    result, spec = found.result, found.result.spec
    lines = [_measured(found, found.primary)]
    if found.tested != found.primary:
        lines.append("p: " + _measured(found, found.tested))
    lines.append(population_line(result, units_of(rates)))
    if spec.get("family"):
        lines.append(f"p adjusted ({correction(result)}) within a family: {spec['family']}.")
    lines += _unasked(found)
    if left_out:
        lines += left_out_line(rates[found.kinds[0]].nunique(dropna=False), left_out, "kinds of event")
    return [*lines, cutoff_line(result)]


def _measured(found: Comparison, measure: str) -> str:
    """Return how a measure, its interval and its test were computed."""
    methods = concise(part for method in found.of(measure)["method"].unique() for part in method.split("; "))
    return f"{readable(measure)}: {'; '.join(methods)}."


def _unasked(found: Comparison) -> list[str]:
    """Say how many of each group are left out since nobody asked."""
    firsts = found.rates.drop_duplicates(found.group)
    parts = [
        f"{found.name(row[found.group])} {count(row['n_missing'])}"
        for _, row in firsts.iterrows()
        if row["n_missing"] > 0
    ]
    unit = "patients" if units_of(found.rates).startswith("patient-") else units_of(found.rates)
    return (
        [f"Left out, because nobody asked about side effects ({unit}): {', '.join(parts)}."] if parts else []
    )
