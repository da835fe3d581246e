"""The methods section of a paper, written from the analyses that were really run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mesostats.methods.parts import Part
from mesostats.methods.text import MethodsText

if TYPE_CHECKING:
    from mesostats.results import Result

__all__ = ["MethodsText", "methods_text"]


def methods_text(*results: Result) -> MethodsText:
    """Write the methods section of a paper for the analyses that were run, with numbered references.

    Parameters
    ----------
    *results
        Results of any analyses, in the order in which the paper reports them.

    Returns
    -------
    MethodsText
        The data cut, the populations and definitions, the estimators and intervals that were really used (a Wilson interval
        that was widened for patients with several courses is told as such), how missing outcomes and several tests were
        dealt with, the confidence level and the software. What several results share is said once. ``str()`` is
        plain text to paste; Jupyter shows it with headings.

    Raises
    ------
    ValueError
        If no result is given.

    Notes
    -----
    The text is composed from each result's ``spec`` and the ``method`` of its estimates, so that it cannot tell of
    another analysis than the one that was run. It tells what was done, not why: read it before you sign it.

    Examples
    --------
    >>> import mesostats as ms
    >>> text = methods_text(ms.adverse_event_rates(ms.simulate(100, seed=1)))
    >>> text.references
    ['Wilson EB. Probable inference, the law of succession, and statistical inference. J Am Stat Assoc 1927;22:209-212. doi:10.1080/01621459.1927.10502953']
    >>> "Proportions of independent observations were given Wilson score intervals [1]." in str(text)
    True
    """
    if not results:
        msg = "methods_text needs at least one result: methods_text(ms.response(clinic))"
        raise ValueError(msg)
    return MethodsText(tuple(Part.of(result) for result in results))
