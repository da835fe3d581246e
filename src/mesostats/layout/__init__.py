"""How a result is laid out and worded for readers: what tables and plots have in common.

All of it is read from the result itself. Codes get the labels of ``result.spec["labels"]`` (``{column: {code: label}}``),
else they are made readable.
"""

from __future__ import annotations

from mesostats.layout.arranging import (
    Layout,
    bounds,
    by_columns,
    counts_a_step,
    in_reading_order,
    is_curve,
    kind_columns,
    lay_out,
    medians,
    most_frequent,
    shown,
    starts_at,
    tests,
)
from mesostats.layout.cells import INSTRUMENT, heading_of, in_words, lower_is_better, shared, short, telling
from mesostats.layout.comparing import Comparison, comparison
from mesostats.layout.pairing import Pair, Pairing, needed_to_treat
from mesostats.layout.quantities import is_share, quantity
from mesostats.layout.watching import Watch, watch
from mesostats.layout.wording import (
    MISSING,
    amount,
    conf_level,
    count,
    days_between,
    heading,
    label,
    labels_of,
    out_of,
    out_of_with_share,
    p_statement,
    p_text,
    percentage,
    readable,
    span,
    time_name,
    with_interval,
)

__all__ = [
    "INSTRUMENT",
    "MISSING",
    "Comparison",
    "Layout",
    "Pair",
    "Pairing",
    "Watch",
    "amount",
    "bounds",
    "by_columns",
    "comparison",
    "conf_level",
    "count",
    "counts_a_step",
    "days_between",
    "heading",
    "heading_of",
    "in_reading_order",
    "in_words",
    "is_curve",
    "is_share",
    "kind_columns",
    "label",
    "labels_of",
    "lay_out",
    "lower_is_better",
    "medians",
    "most_frequent",
    "needed_to_treat",
    "out_of",
    "out_of_with_share",
    "p_statement",
    "p_text",
    "percentage",
    "quantity",
    "readable",
    "shared",
    "short",
    "shown",
    "span",
    "starts_at",
    "telling",
    "tests",
    "time_name",
    "watch",
    "with_interval",
]
