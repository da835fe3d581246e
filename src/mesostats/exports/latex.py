"""A table as LaTeX: rules of booktabs, pages of longtable, every text escaped."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from mesostats.exports.fitting import PADDING_MM, fitted
from mesostats.exports.printed import repeated

if TYPE_CHECKING:
    from mesostats.exports.fitting import Fit
    from mesostats.exports.printed import Block, Printed, Span, Text

PREAMBLE: Final = r"""\documentclass{article}
\usepackage[T1]{fontenc}
\usepackage[utf8]{inputenc}
\usepackage{textcomp,lmodern}
\usepackage[a4paper,margin=20mm]{geometry}
\usepackage{array,booktabs,longtable,pdflscape}"""
"""What a document needs for the table."""

_HEAD: Final = "This table needs a document that begins with"
_USE: Final = (
    r"and is put into it by \input{this file}. Letters beyond Latin scripts need XeLaTeX or LuaLaTeX."
)
_SIZES: Final = {9.0: r"\small", 8.0: r"\footnotesize", 7.0: r"\scriptsize"}
_CODES: Final = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "$": r"\$",
    "&": r"\&",
    "#": r"\#",
    "^": r"\textasciicircum{}",
    "_": r"\_",
    "~": r"\textasciitilde{}",
    "%": r"\%",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': r"{\char34}",
    "`": r"\textasciigrave{}",
    "'": r"\textquotesingle{}",
    "[": "{[}",
    "]": "{]}",
    "*": "{*}",
    "\N{MINUS SIGN}": "$-$",
    "\N{ZERO WIDTH NON-JOINER}": "{}",
    "\N{EN DASH}": "--",
    "\N{EM DASH}": "---",
    "\N{NON-BREAKING HYPHEN}": r"\mbox{-}",
    "\N{NO-BREAK SPACE}": "~",
    "\N{NARROW NO-BREAK SPACE}": r"\,",
    "\N{MIDDLE DOT}": r"\textperiodcentered{}",
    "\N{PLUS-MINUS SIGN}": r"$\pm$",
    "\N{MULTIPLICATION SIGN}": r"$\times$",
    "\N{GREATER-THAN OR EQUAL TO}": r"$\geq$",
    "\N{LESS-THAN OR EQUAL TO}": r"$\leq$",
    "\N{NOT EQUAL TO}": r"$\neq$",
    "\N{ALMOST EQUAL TO}": r"$\approx$",
    "\N{INFINITY}": r"$\infty$",
    "\N{SQUARE ROOT}": r"$\surd$",
    "\N{RIGHTWARDS ARROW}": r"$\rightarrow$",
    "\N{LEFTWARDS ARROW}": r"$\leftarrow$",
    "\N{BLACK UP-POINTING TRIANGLE}": r"$\bigtriangleup$",
    "\N{BLACK DOWN-POINTING TRIANGLE}": r"$\bigtriangledown$",
    "\N{DEGREE SIGN}": r"\textdegree{}",
    "\N{MICRO SIGN}": r"\textmu{}",
    "\N{SUPERSCRIPT TWO}": r"$^2$",
    "\N{SUPERSCRIPT THREE}": r"$^3$",
    "\N{LEFT SINGLE QUOTATION MARK}": "`",
    "\N{RIGHT SINGLE QUOTATION MARK}": "'",
    "\N{LEFT DOUBLE QUOTATION MARK}": r"\textquotedblleft{}",
    "\N{RIGHT DOUBLE QUOTATION MARK}": r"\textquotedblright{}",
    "\N{HORIZONTAL ELLIPSIS}": r"\ldots{}",
}
_SPECIAL: Final = re.compile("|".join(re.escape(each) for each in _CODES))
_GREEK: Final = re.compile(
    "[\N{GREEK SMALL LETTER ALPHA}-\N{GREEK SMALL LETTER OMEGA}\N{GREEK CAPITAL LETTER DELTA}]"
)
_NAMES: Final = dict(
    zip(
        "αβγδεζηθικλμνξπρσςτυφχψωΔ",
        [
            "alpha",
            "beta",
            "gamma",
            "delta",
            "epsilon",
            "zeta",
            "eta",
            "theta",
            "iota",
            "kappa",
            "lambda",
            "mu",
            "nu",
            "xi",
            "pi",
            "rho",
            "sigma",
            "varsigma",
            "tau",
            "upsilon",
            "phi",
            "chi",
            "psi",
            "omega",
            "Delta",
        ],
        strict=True,
    )
)
_MINUS: Final = re.compile(r"(?<![\w.)-])-(?=[\d\N{INFINITY}])")
_HYPHENS: Final = re.compile(r"(?<=-)(?=-)")


def escaped(text: str) -> str:
    r"""Return a text as LaTeX: every character that LaTeX would take for a command as itself.

    Examples
    --------
    >>> print(escaped("50 % & p_value < 0.001, -1.0 to \u2265 2"))
    50 \% \& p\_value \textless{} 0.001, $-$1.0 to $\geq$ 2
    """
    words = _HYPHENS.sub("\N{ZERO WIDTH NON-JOINER}", _MINUS.sub("\N{MINUS SIGN}", text))
    words = _SPECIAL.sub(lambda found: _CODES[found[0]], words)
    return _GREEK.sub(lambda found: rf"$\{_NAMES[found[0]]}$" if found[0] in _NAMES else found[0], words)


def latex(table: Printed) -> str:
    """Return a table as a piece of LaTeX.

    Parameters
    ----------
    table
        The table.

    Returns
    -------
    str
        The packages that it needs in a comment, the table with its caption, head repeated on each page, and its notes. Where
        it is too wide for an upright page it lies across one.
    """
    fit = fitted(table)
    lines = [
        _comment(),
        *([r"\begin{landscape}"] if fit.across else []),
        rf"\begingroup{_SIZES[fit.points]}\setlength{{\tabcolsep}}{{{PADDING_MM:g}mm}}",
        r"\setlength{\LTleft}{0pt}\setlength{\LTcapwidth}{\linewidth}",
        rf"\begin{{longtable}}{{{_columns(table, fit)}}}",
        *_caption(table),
        *_head(table, fit),
        r"\bottomrule",
        r"\endlastfoot",
        *(
            line
            for place, block in enumerate(table.blocks)
            for line in _block(table, block, fit, first=not place)
        ),
        r"\end{longtable}",
        *_notes(table),
        r"\endgroup",
        *([r"\end{landscape}"] if fit.across else []),
    ]
    return "\n".join(lines) + "\n"


def _comment() -> str:
    return "\n".join(f"% {line}" for line in [_HEAD, *PREAMBLE.splitlines(), _USE])


def _columns(table: Printed, fit: Fit) -> str:
    """Return the columns: each a part of the line, words from the left, numbers from the right."""
    kinds = []
    for place, width in enumerate(fit.widths):
        side = "raggedright" if place < table.stubs or place in table.wordy else "raggedleft"
        kinds.append(rf">{{\{side}\arraybackslash}}p{{{_part(fit, width)}}}")
    return "\n" + "\n".join(kinds)


def _part(fit: Fit, width: float) -> str:
    """Return a width as a part of the line, less the room at either side."""
    return rf"\dimexpr {width / fit.line:.4f}\linewidth-2\tabcolsep\relax"


def _caption(table: Printed) -> list[str]:
    subtitle = rf" {escaped(table.subtitle)}" if table.subtitle else ""
    stop = "" if table.title.endswith((".", "?", "!")) or not subtitle else "."
    return [rf"\caption{{\textbf{{{escaped(table.title)}{stop}}}{subtitle}}}\\"]


def _head(table: Printed, fit: Fit) -> list[str]:
    """Return the head twice: that of the first page with the caption above, and that of the others."""
    lines = [r"\toprule"]
    if table.spans:
        lines.append(" & ".join(_span(span, fit) for span in table.spans) + r" \\")
        rules = [span for span in table.spans if span.head.text]
        lines.append(
            "".join(rf"\cmidrule(lr){{{span.start + 1}-{span.start + span.width}}}" for span in rules)
        )
    lines.append(" & ".join(rf"\textbf{{{escaped(head)}}}" for head in table.heads) + r" \\")
    lines.append(r"\midrule")
    return [*lines, r"\endfirsthead", *lines, r"\endhead", r"\midrule", r"\endfoot"]


def _span(span: Span, fit: Fit) -> str:
    if not span.head.text:
        return ""
    width = sum(fit.widths[span.start : span.start + span.width])
    kind = rf">{{\centering\arraybackslash}}p{{{_part(fit, width)}}}"
    return rf"\multicolumn{{{span.width}}}{{{kind}}}{{{_text(span.head._replace(bold=True))}}}"


def _block(table: Printed, block: Block, fit: Fit, *, first: bool) -> list[str]:
    """Return the rows of a block under its head, which no page parts from its first row."""
    lines = []
    if block.head:
        lines += [] if first else [r"\addlinespace"]
        whole = rf"p{{{_part(fit, sum(fit.widths))}}}"
        head = rf"\raggedright\textbf{{{escaped(block.head)}}}"
        lines.append(rf"\multicolumn{{{len(table.heads)}}}{{{whole}}}{{{head}}} \\*")
    for skipped, row in zip(repeated(block, table.stubs), block.rows, strict=True):
        texts = ["" if place < skipped else _text(cell) for place, cell in enumerate(row)]
        lines.append(" & ".join(texts) + r" \\")
    return lines


def _text(cell: Text) -> str:
    text = escaped(cell.text)
    text = rf"\textbf{{{text}}}" if cell.bold and text else text
    return ("\\hspace*{1em}" if cell.indented else "") + text + _raised(cell.marks)


def _raised(marks: str) -> str:
    return rf"\textsuperscript{{{marks}}}" if marks else ""


def _notes(table: Printed) -> list[str]:
    """Return what stands beneath, a paragraph each."""
    notes = [_raised(mark) + " " + escaped(text) for mark, text in table.footnotes]
    texts = [*notes, *map(escaped, table.sources)]
    return [rf"\par\noindent {text}" for text in texts] + [r"\par"]
