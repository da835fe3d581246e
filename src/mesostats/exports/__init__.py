"""Results as files: tables as HTML, LaTeX, Word or CSV, figures as PNG, SVG or PDF; the ending of the name decides."""

from __future__ import annotations

from mesostats.exports.pictures import save_plot
from mesostats.exports.table_files import save_table

__all__ = ["save_plot", "save_table"]
