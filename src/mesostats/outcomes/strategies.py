"""What ICH E9(R1) calls what is done about courses that were given up, and about those that were not assessed.

Giving up a course is an intercurrent event: something after the start of treatment that decides whether, or of what, there is an
outcome to be read. The addendum (A.3.2) names five strategies for it; which of them an analysis serves depends on when its outcome is
read, not on what is supposed of those who were not assessed:

- **Treatment policy**: the value is used whether or not the event came before it. Only an endpoint on a fixed day after the first
  session is read like this, and only as far as those who gave up are still assessed on that day.
- **While on treatment**: the outcome up to the event is what is asked, however long that was. At the end of the course, the outcome of a
  course given up is read when it was given up (from its last session on, within the window): the time of reading is set by the event.
  So is that of the last observation.
- **Hypothetical**: the outcome had the event not come. Censoring at the event, and models that take visits after it as missing at
  random, predict those who left as if they had gone on like those who stayed.
- **Composite**: the event is part of the outcome. Here that is done with not being assessed, not with giving up: a course without an
  assessment has failed, one that was given up and assessed counts as it was seen.
- **Principal stratum**: those in whom the event would not come. No analysis here serves it: completers, who are known only
  afterwards, are no such stratum.

Outcomes that a strategy asks for and nobody recorded are missing data (A.4 and A.5.1): weights, imputations and bounds are about these,
under the strategy that the endpoint has.

References
----------
ICH E9(R1), 2019: addendum on estimands and sensitivity analysis in clinical trials to the guideline on statistical principles for
clinical trials.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from mesostats.assessments import Endpoint

COMPOSITE: Final = "ICH E9(R1) composite strategy for not being assessed"
HYPOTHETICAL: Final = "ICH E9(R1) hypothetical strategy: had nobody given up"
COMPOSITE_MEANT: Final = (
    "Composite strategy, for not being assessed: a course without an assessment at the endpoint has failed; one that was given up "
    "and assessed counts as it was seen."
)


def strategy_of(endpoint: Endpoint) -> str:
    """Return the strategy for courses that were given up, which the time of reading decides.

    Examples
    --------
    >>> from mesostats.assessments import Endpoint
    >>> strategy_of(Endpoint(day=84, window=14))
    'treatment-policy strategy (response on the day, whether or not the course was given up)'
    >>> strategy_of(Endpoint(day=None, window=60))
    'while-on-treatment strategy (response as treatment ended, however early)'
    """
    if endpoint.carried:
        return "while-on-treatment strategy (last response seen until treatment ended, however early)"
    if endpoint.day is None:
        return "while-on-treatment strategy (response as treatment ended, however early)"
    return "treatment-policy strategy (response on the day, whether or not the course was given up)"
