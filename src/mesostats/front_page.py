"""The first page of a report, for the hurried reader: plain HTML that fits a screen, a telephone and a sheet of paper."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Any, Final

import pandas as pd

from mesostats.handover import END_OF_COURSE
from mesostats.headlines import HEADLINES, cautions, compared_arms, counted, group_names, headlines
from mesostats.layout import amount, label, p_statement, readable, span, with_interval

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from mesostats.handover import Opened
    from mesostats.headlines import Headlines, Quoted
    from mesostats.results import Result
    from mesostats.validation import ValidationReport

_QUALITY: Final = "01_data_quality"
_MOST_COMPARED: Final = 8


def front_page(opened: Opened) -> str:
    """Return the first page: what the report is, who was counted, data quality, and the numbers to quote."""
    found = headlines(opened)
    parts = [
        f'<p class="lead">{_lead(opened)}</p>',
        _warning(opened.quality),
        _tiles(opened),
        f"<h2>In numbers</h2>{_grouped(opened, found)}",
        *_comparison(opened),
        *_cautions(cautions(opened, found)),
        f'<h2><a href="#{_QUALITY}">Data quality</a></h2>{_quality(opened.quality)}',
    ]
    return "\n".join(parts)


def html_table(head: Sequence[str], rows: Iterable[Iterable[object]]) -> str:
    """Return a plain table; cells bear their column's heading, which a telephone shows beside them."""
    body = "".join(
        "<tr>"
        + "".join(_cell(name, escape(str(each))) for name, each in zip(head, row, strict=True))
        + "</tr>"
        for row in rows
    )
    heads = "".join(f'<th scope="col">{escape(each)}</th>' for each in head)
    return f"<table><thead><tr>{heads}</tr></thead><tbody>{body}</tbody></table>"


def _cell(heading: str, content: str) -> str:
    return f'<td data-label="{escape(heading)}">{content}</td>'


def _lead(opened: Opened) -> str:
    read = (
        "at the end of the course"
        if opened.endpoint == END_OF_COURSE
        else f"on day {opened.endpoint} after the first session"
    )
    grouped = ", ".join(readable(column).lower() for column in opened.by)
    return (
        "How many responded, how many had side effects and how many stayed in treatment, counted from the clinic's records "
        f"up to the data cut: <strong>{opened.clinic.cutoff.isoformat()}</strong>. Response is read {read}; groups are by "
        f"{escape(grouped)}. Each heading leads to the part that defends its number."
    )


def _warning(quality: ValidationReport) -> str:
    if quality.ok:
        return ""
    text = (
        "The data have errors. Every number below may be wrong; correct the errors and make the report anew."
    )
    return f'<p class="errors">{text}</p>'


def _tiles(opened: Opened) -> str:
    errors, warnings = _found(opened.quality)
    facts = counted(opened.clinic) | {
        "Data cut": opened.clinic.cutoff.isoformat(),
        "Rows with an error, and with a warning": f"{errors:,} and {warnings:,}",
    }
    tiles = "".join(
        f"<div><dt>{escape(name)}</dt><dd>{escape(value)}</dd></div>" for name, value in facts.items()
    )
    return f'<dl class="tiles">{tiles}</dl>'


def _found(quality: ValidationReport) -> tuple[int, int]:
    rows = quality.counts.groupby("severity")["n"].sum()
    return int(rows.get("error", 0)), int(rows.get("warning", 0))


def _grouped(opened: Opened, found: Headlines) -> str:
    """Return the headlines, a row a group: estimate, interval, count and a bar."""
    if not (found.rows or found.absent):
        return '<p class="absent">No course had begun by the data cut: there is nothing to count.</p>'
    shown = [each for each in HEADLINES if any(each.heading in cells for cells in found.rows.values())]
    heads = "".join(
        f'<th scope="col"><a href="#{each.part}">{escape(each.heading)}</a></th>' for each in shown
    )
    body = "".join(
        f'<tr><th scope="row">{escape(group)}</th>'
        + "".join(_cell(each.heading, _numbers(cells.get(each.heading, []))) for each in shown)
        + "</tr>"
        for group, cells in found.rows.items()
    )
    corner = escape(" · ".join(readable(column) for column in opened.by))
    table = f'<table class="headlines"><thead><tr><th scope="col">{corner}</th>{heads}</tr></thead><tbody>{body}</tbody></table>'
    key = "".join(
        f"<li><strong>{escape(each.heading)}</strong>: {escape(each.meaning)}.</li>" for each in shown
    )
    note = "<p>Beside each estimate its 95 % confidence interval, drawn beneath on a line from 0 to 100 %; then n/N, or the session.</p>"
    shown_as = [table, note, f'<ul class="key">{key}</ul>'] if shown else []
    return "".join([*shown_as, *_absent(found)])


def _absent(found: Headlines) -> list[str]:
    """Return what could not be counted, and why: each reason once."""
    named: dict[str, list[str]] = {}
    for heading, why in found.absent.items():
        named.setdefault(why.partition("; known are")[0], []).append(heading.removesuffix(", %"))
    return [
        f'<p class="absent">{escape("; ".join(headings))}: {escape(why)}</p>'
        for why, headings in named.items()
    ]


def _numbers(quoted: Sequence[Quoted]) -> str:
    return "".join(_number(each) for each in quoted) or '<span class="count">not counted</span>'


def _number(quoted: Quoted) -> str:
    row = quoted.row
    estimate, low, high = (
        amount(row[name], row["estimand"]) for name in ("estimate", "conf_low", "conf_high")
    )
    if pd.isna(row["estimate"]):
        return f'<span class="count">not estimated: {escape(row["note"] or quoted.counts)}</span>'
    interval = "" if pd.isna(row["conf_low"]) else f'<span class="interval">{span(low, high)}</span>'
    return (
        f'<strong>{estimate}</strong> {interval}{_bar(row)}<span class="count">{escape(quoted.counts)}</span>'
    )


def _bar(row: pd.Series[Any]) -> str:
    """Draw an estimate and its interval on a line from 0 to 100 %; what it says stands beside it in words."""
    if row[["estimate", "conf_low", "conf_high"]].isna().any():
        return ""
    low, at, high = (f"{100 * row[name]:.1f}" for name in ("conf_low", "estimate", "conf_high"))
    return (
        '<svg viewBox="-3 0 106 8" aria-hidden="true"><path d="M0 4H100" class="rail"/>'
        f'<path d="M{low} 4H{high}" class="range"/><circle cx="{at}" cy="4" r="2.6"/></svg>'
    )


def _comparison(opened: Opened) -> list[str]:
    result = compared_arms(opened)
    if result is None:
        return []
    rows = result.estimates[result.estimates["estimand"].eq(result.spec["primary"])]
    rows = rows[rows["estimate"].notna()]
    head = ["Instrument", "Arms", "Difference of responders, percentage points (95 % CI)", "p", "p, adjusted"]
    told = html_table(head, (_compared(result, row) for _, row in rows.head(_MOST_COMPARED).iterrows()))
    more = f" {len(rows) - _MOST_COMPARED} more stand there." if len(rows) > _MOST_COMPARED else ""
    note = f'<p>Over treated courses; above 0 more responded than in the group they are held against. The part <a href="#02_response">Response</a> says how they were compared.{more}</p>'
    return ["<h2>Arms compared</h2>", told, note]


def _compared(result: Result, row: pd.Series[Any]) -> list[str]:
    return [
        label(result, "instrument", row["instrument"]),
        group_names(result, row),
        with_interval(row),
        *(p_statement(row[name]).removeprefix("p ").removeprefix("= ") for name in ("p_value", "p_adjusted")),
    ]


def _cautions(sentences: Sequence[str]) -> list[str]:
    if not sentences:
        return []
    items = "".join(f"<li>{escape(each)}</li>" for each in sentences)
    return [f'<h2>Before you quote a number</h2><ul class="cautions">{items}</ul>']


def _quality(quality: ValidationReport) -> str:
    counts = quality.counts
    if counts.empty:
        return "<p>Validation found nothing: no errors, no warnings.</p>"
    errors, warnings = _found(quality)
    verdict = f"No errors; {warnings:,} rows with a warning to look at. The first part says which."
    if not quality.ok:
        verdict = f"{errors:,} rows with an error and {warnings:,} with a warning; the first part says where, and what to do."
    rows = zip(counts["severity"], counts["rule"].map(readable), counts["n"].map("{:,}".format), strict=True)
    return f"<p>{verdict}</p>" + html_table(["Severity", "What was found", "Rows"], rows)
