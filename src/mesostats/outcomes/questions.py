"""What an analysis of response asks: which instruments, scored by which rule, read when."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

import numpy as np

from mesostats.assessments import END_OF_COURSE, LAST_OBSERVATION, TAKEN, Endpoint, rules, scored_courses
from mesostats.engine import collect
from mesostats.outcomes.strategies import strategy_of
from mesostats.populations import grouping
from mesostats.results import ESTIMATE_COLUMNS

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    import narwhals as nw
    import pandas as pd

    from mesostats.assessments import Scoring
    from mesostats.dataset import Dataset
    from mesostats.vocabulary import ResponderRule

_NUMBERS: Final = (
    *("estimate", "std_error", "conf_low", "conf_high", "statistic", "df", "p_value", "p_adjusted"),
    "numerator",
)
EndpointChoice = Literal["end_of_course", "last_observation"] | int


@dataclass(frozen=True)
class Question:
    """Instruments with their rules, an endpoint, and grouping columns.

    Parameters
    ----------
    columns
        The grouping columns.
    scorings
        How each instrument is scored, or why it is not.
    endpoint
        When the outcome is read.
    asked
        The endpoint as the caller named it.
    """

    columns: tuple[str, ...]
    scorings: tuple[Scoring, ...]
    endpoint: Endpoint
    asked: EndpointChoice

    @property
    def refusals(self) -> dict[str, str]:
        """Why an instrument is not scored, of those that are not."""
        return {each.instrument.code: each.refusal for each in self.scorings if each.refusal}

    @property
    def arguments(self) -> dict[str, Any]:
        """What was asked, for the result's ``spec``."""
        return {
            "by": list(self.columns),
            "instrument": [each.instrument.code for each in self.scorings],
            "endpoint": self.asked,
            "window": self.endpoint.window,
        }

    @property
    def timing(self) -> list[str]:
        """Baseline and endpoint in sentences."""
        return [
            "Baseline: last assessment on or before the first attended session.",
            f"Endpoint: {self.endpoint.describe()}; for courses given up this is the ICH E9(R1) {strategy_of(self.endpoint)}.",
        ]

    @property
    def rules(self) -> list[str]:
        """Baseline, endpoint and responder rules in sentences, these with their sources."""
        scored = [
            f"{each.instrument.label}: {each.rule.describe(each.instrument.direction)} ({each.source})."
            for each in self.scorings
            if each.rule
        ]
        return [*self.timing, *scored]

    def courses(self, clinic: Dataset) -> nw.LazyFrame[Any]:
        """Return one row a treated course and instrument: see `assessments.scored_courses`."""
        return scored_courses(clinic, self.columns, self.scorings, self.endpoint)


def question(
    clinic: Dataset,
    *,
    by: str | Sequence[str] | None,
    instrument: str | Sequence[str] | None,
    rule: ResponderRule | Mapping[str, ResponderRule] | None,
    endpoint: EndpointChoice,
    window: int | None,
    taken: Collection[str] = (),
) -> Question:
    """Check what is asked of the outcomes of a data set.

    Parameters
    ----------
    clinic
        A data set with outcomes.
    by, instrument, rule, endpoint, window
        As of `responders.response`.
    taken
        More names, in lower case, that the analysis needs for columns of its own.

    Raises
    ------
    DataError
        If the table outcomes is absent.
    VocabularyError
        If an instrument is not in the vocabulary.
    ValueError
        If an argument is not as described.
    """
    clinic.require("outcomes")
    columns = grouping(by, taken={*TAKEN, *ESTIMATE_COLUMNS, *taken})
    when = endpoint_of(endpoint, window)
    return Question(columns, tuple(rules(clinic, instruments_of(clinic, instrument), rule)), when, endpoint)


def endpoint_of(endpoint: EndpointChoice, window: int | None) -> Endpoint:
    """Return when the outcome is read; windows are 60 days about the end of a course and 14 about a day if not given.

    Raises
    ------
    ValueError
        If endpoint or window are not as described.
    """
    if endpoint in (END_OF_COURSE, LAST_OBSERVATION):
        chosen = Endpoint(None, 60 if window is None else window, carried=endpoint == LAST_OBSERVATION)
    elif isinstance(endpoint, int) and not isinstance(endpoint, bool) and endpoint > 0:
        chosen = Endpoint(endpoint, 14 if window is None else window)
    else:
        msg = (
            f"endpoint is 'end_of_course', 'last_observation' or a number of days above 0, found {endpoint!r}"
        )
        raise ValueError(msg)
    if chosen.window < 0:
        msg = f"window is a number of days, not negative, found {window}"
        raise ValueError(msg)
    return chosen


def instruments_of(clinic: Dataset, instrument: str | Sequence[str] | None) -> list[str]:
    """Return the instruments asked for; all that the outcomes hold, in the vocabulary's order, if none is named."""
    if isinstance(instrument, str):
        return [instrument]
    if instrument is not None:
        return list(dict.fromkeys(instrument))
    found = set(collect(clinic.lazy("outcomes").select("instrument").unique())["instrument"].dropna())
    return [code for code in clinic.vocabulary.instruments if code in found]


def directions(scorings: Sequence[Scoring]) -> list[str]:
    """Return in sentences what the sign of a change from baseline means for each instrument."""
    lower = [each.instrument.label for each in scorings if each.instrument.direction == "lower_is_better"]
    higher = [each.instrument.label for each in scorings if each.instrument.direction == "higher_is_better"]
    found = ["A change is the value less the baseline, in the instrument's own unit."]
    found += [f"Lower is better, so that an improvement is negative: {', '.join(lower)}."] if lower else []
    return found + (
        [f"Higher is better, so that an improvement is positive: {', '.join(higher)}."] if higher else []
    )


def without_direction(estimates: pd.DataFrame, scorings: Sequence[Scoring]) -> pd.DataFrame:
    """Blank the estimates of instruments whose direction nobody declared: nobody could read them.

    Parameters
    ----------
    estimates
        As of `results.contract`, with ``instrument``.
    scorings
        How each instrument is scored.

    Returns
    -------
    pandas.DataFrame
        A copy; of these instruments only the denominators remain, with a note that says what to declare.
    """
    why = {each.instrument.code: each.refusal for each in scorings if each.instrument.direction is None}
    refused = estimates["instrument"].isin(why)
    frame = estimates.copy()
    frame.loc[refused, [*_NUMBERS]] = np.nan
    frame.loc[refused, "method"] = ""
    frame.loc[refused, "note"] = frame.loc[refused, "instrument"].map(why)
    return frame
