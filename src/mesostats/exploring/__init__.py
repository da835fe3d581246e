"""Exploring: a panel in JupyterLab, or a page of its own, that redraws tables and figures as questions change."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mesostats.exploring.panel import Explorer

if TYPE_CHECKING:
    from mesostats.dataset import Dataset

__all__ = ["Explorer", "explore"]


def explore(clinic: Dataset) -> Explorer:
    """Open a panel to explore a clinic: choose a question, courses and groups, and see the table and the figure.

    Parameters
    ----------
    clinic
        The clinic. Filters show what its courses have two kinds of or more: indications, protocols, arms, clinics.

    Returns
    -------
    Explorer
        As the last line of a notebook's cell it is the panel. ``call`` is the line of code that gives what it shows, and
        ``result`` the `Result`.

    Notes
    -----
    The panel calls the public analyses, `Dataset.where`, `mesostats.table` and `mesostats.plot`, and computes nothing itself:
    the call that it shows, run in a cell, gives the same numbers. What an analysis refuses is shown as one line.
    Who looks at many groups until one stands out has tested many: report what was planned, and how much was looked at.

    Examples
    --------
    >>> import mesostats as ms
    >>> panel = explore(ms.simulate(100, seed=1))
    >>> panel.controls.by.choose("sex")
    >>> panel.call
    'ms.response(clinic, by="sex")'
    >>> panel.result.spec["analysis"]
    'response'
    """
    return Explorer(clinic)
