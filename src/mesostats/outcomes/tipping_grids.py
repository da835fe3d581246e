"""Grids of what may be assumed of courses that were not assessed, and where on them a conclusion changes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd
from scipy import stats

from mesostats.estimators.differences import risk_difference
from mesostats.estimators.proportions import proportion

if TYPE_CHECKING:
    import numpy.typing as npt

    Counts = npt.NDArray[np.int64]

MISSING_SHARE: Final = "response_of_missing"
"""The assumed share of responders among the courses without an assessment (of the group)."""
REFERENCE_SHARE: Final = "response_of_missing_reference"
"""The same of the reference group."""
_REPEATED: Final = "patients with several courses count as several: the interval may be too narrow"
_SMALLEST: Final = 0.001
_NEAR: Final = (
    1e-12  # a share that is below a threshold by no more has reached it: 0.3 is not 3/10 in binary numbers
)


@dataclass(frozen=True)
class Tally:
    """Courses due in a cell.

    Parameters
    ----------
    cell, name
        What the cell, and within it the group, is called in a sentence.
    due, seen, responders
        How many there are, how many of them were assessed, and how many of those responded.
    patients
        How many patients these courses belong to.
    refusal
        Why the instrument is not scored; empty where it is.
    """

    cell: str
    name: str
    due: int
    seen: int
    responders: int
    patients: int
    refusal: str

    @property
    def missing(self) -> int:
        """Courses due that were not assessed."""
        return self.due - self.seen

    @property
    def as_assessed(self) -> int:
        """The number of responders among the missing that comes nearest to the share of those assessed."""
        return round(self.missing * self.responders / self.seen) if self.seen else 0

    def steps(self, most: int) -> Counts:
        """Return numbers of responders among the missing, evenly spread, and the one as assessed."""
        spread = np.round(np.linspace(0, self.missing, most)).astype(np.int64)
        return np.unique(np.append(spread, self.as_assessed))

    def share(self, assumed: Counts) -> npt.NDArray[np.float64]:
        """Return numbers of responders among the missing as shares; 0 where none is missing."""
        return np.asarray(assumed / max(self.missing, 1), dtype=np.float64)

    def told(self, assumed: int) -> str:
        """Return a number of responders among the missing in words."""
        if self.missing == 0:
            return f"none missing in {self.name}"
        return f"{assumed} of the {self.missing} missing in {self.name}"

    @property
    def lacking(self) -> str:
        """Why nothing can be said of the cell; empty where something can."""
        if self.refusal:
            return self.refusal
        if self.due == 0:
            return f"no course is due in {self.name}"
        return (
            f"no course was assessed in {self.name}: there is no conclusion to tip" if self.seen == 0 else ""
        )

    @property
    def remark(self) -> str:
        """What the interval does not allow for."""
        return _REPEATED if self.due > self.patients else ""


@dataclass(frozen=True, eq=False)
class Grid:
    """One cell's grid.

    Parameters
    ----------
    frame
        A row an assumption, with the columns of the result contract and the assumed shares.
    sentence
        Where the conclusion changes.
    conclusion
        What it is if the missing respond as the assessed do.
    as_assessed
        The assumed shares at that point.
    """

    frame: pd.DataFrame
    sentence: str
    conclusion: str
    as_assessed: dict[str, float]


def threshold_grid(tally: Tally, threshold: float, *, steps: int, conf_level: float) -> Grid:
    """Hold a share against a threshold, for numbers of responders among the missing.

    Parameters
    ----------
    tally
        The cell.
    threshold
        The share that is claimed to be reached.
    steps
        How many numbers are tried.
    conf_level
        Of Wilson's interval.
    """
    if tally.lacking:
        return _unknown(tally, {MISSING_SHARE: 0.0}, tally.lacking)
    assumed = tally.steps(steps)
    found = proportion(tally.responders + assumed, np.full(len(assumed), tally.due), conf_level=conf_level)
    spread = np.sqrt(threshold * (1 - threshold) / tally.due)
    statistic = (found["estimate"] - threshold) / spread
    notes = [
        "; ".join(filter(None, [f"assumed to respond: {tally.told(each)}", tally.remark]))
        for each in assumed.tolist()
    ]
    frame = found.assign(
        estimand="response",
        statistic=statistic,
        p_value=2 * stats.norm.sf(np.abs(statistic)),
        method=f"{found['method'].iloc[0]}, score test of {threshold:g}",
        note=notes,
        n_missing=tally.missing,
        **{MISSING_SHARE: tally.share(assumed)},
    )
    every = np.arange(tally.missing + 1)
    possible = proportion(tally.responders + every, np.full(len(every), tally.due), conf_level=conf_level)
    reached = (possible["estimate"] >= threshold - _NEAR).to_numpy()
    shown = (possible["conf_low"] >= threshold - _NEAR).to_numpy()
    sentence = (
        f"{tally.cell}: {tally.missing} of {tally.due} not assessed. The share of responders {_from(tally, reached, threshold)}; "
        f"its whole {100 * conf_level:g} % interval {_from(tally, shown, threshold)}. "
        f"If they respond as the assessed do, {tally.as_assessed} do."
    )
    place = tally.as_assessed
    conclusion = "above" if shown[place] else "not shown to be above" if reached[place] else "below"
    base = {MISSING_SHARE: float(tally.share(np.array(place)))}
    return Grid(frame, sentence, f"{conclusion} {threshold:g}", base)


def _from(tally: Tally, holds: npt.NDArray[np.bool_], threshold: float) -> str:
    """Say from how many responders among the missing on a threshold is reached."""
    if holds[0]:
        return f"is at least {threshold:g} however the missing fared"
    if not holds[-1]:
        return f"is not at least {threshold:g} however the missing fared"
    fewest = int(np.argmax(holds))
    share = 100 * fewest / tally.missing
    return f"is at least {threshold:g} if {fewest} or more of the missing respond ({share:.0f} %)"


def comparison_grid(tally: Tally, reference: Tally, *, steps: int, conf_level: float) -> Grid:
    """Compare two groups, for numbers of responders among the missing of either.

    Parameters
    ----------
    tally, reference
        The cells.
    steps
        How many numbers are tried in each.
    conf_level
        Of the interval; the comparison is conclusive where p is below 1 - `conf_level`.
    """
    lacking = tally.lacking or reference.lacking
    if lacking:
        return _unknown(tally, {MISSING_SHARE: 0.0, REFERENCE_SHARE: 0.0}, lacking)
    own, other = (
        each.ravel() for each in np.meshgrid(tally.steps(steps), reference.steps(steps), indexing="ij")
    )
    found = _differences(tally, reference, own, other, conf_level=conf_level)
    reached = _conclusions(found, conf_level)
    remarks = [tally.remark or reference.remark]
    notes = [
        "; ".join(
            filter(None, [f"assumed to respond: {tally.told(a)}, {reference.told(b)}", words, *remarks])
        )
        for a, b, words in zip(own.tolist(), other.tolist(), reached, strict=True)
    ]
    frame = found.assign(
        estimand="response_difference",
        note=notes,
        n_missing=tally.missing,
        **{MISSING_SHARE: tally.share(own), REFERENCE_SHARE: reference.share(other)},
    )
    sentence, conclusion = _tipped(tally, reference, conf_level)
    base = {
        MISSING_SHARE: float(tally.share(np.array(tally.as_assessed))),
        REFERENCE_SHARE: float(reference.share(np.array(reference.as_assessed))),
    }
    return Grid(frame, sentence, conclusion, base)


def _differences(
    tally: Tally, reference: Tally, own: Counts, other: Counts, *, conf_level: float
) -> pd.DataFrame:
    """Return the differences if so many of the missing had responded."""
    return risk_difference(
        tally.responders + own,
        np.full(len(own), tally.due),
        reference.responders + other,
        np.full(len(other), reference.due),
        conf_level=conf_level,
    )


def _conclusions(found: pd.DataFrame, conf_level: float) -> list[str]:
    words = np.where(
        found["estimate"] > 0, "more respond than in the reference", "fewer respond than in the reference"
    )
    return [*map(str, np.where(found["p_value"] < 1 - conf_level, words, "no difference shown"))]


def _tipped(tally: Tally, reference: Tally, conf_level: float) -> tuple[str, str]:
    """Say where the conclusion changes if the missing of one group do not fare as its assessed."""
    own, other = np.arange(tally.missing + 1), np.arange(reference.missing + 1)
    along = _differences(
        tally, reference, own, np.full(len(own), reference.as_assessed), conf_level=conf_level
    )
    across = _differences(
        tally, reference, np.full(len(other), tally.as_assessed), other, conf_level=conf_level
    )
    base = along.iloc[tally.as_assessed]
    conclusion = _conclusions(along, conf_level)[tally.as_assessed]
    corners = _differences(
        tally,
        reference,
        np.array([0, tally.missing]),
        np.array([reference.missing, 0]),
        conf_level=conf_level,
    )
    first = (
        f"{tally.cell}: {tally.name} against {reference.name}. If the missing respond as the assessed do, the difference is "
        f"{base['estimate']:.3f} ({_p_words(base['p_value'])}): {conclusion}. "
    )
    if set(_conclusions(corners, conf_level)) == {conclusion}:
        return first + "Nothing that may be assumed of the missing changes it.", conclusion
    changes = [
        *_changes(tally, _conclusions(along, conf_level), conclusion),
        *_changes(reference, _conclusions(across, conf_level), conclusion),
    ]
    if not changes:
        return first + "It changes only if the missing of both groups fare unlike their assessed.", conclusion
    return (
        first + f"It changes if {', or '.join(changes)} respond (the other group's as its assessed).",
        conclusion,
    )


def _p_words(value: float) -> str:
    return f"p = {value:.3f}" if value >= _SMALLEST else f"p < {_SMALLEST}"


def _changes(tally: Tally, conclusions: list[str], conclusion: str) -> list[str]:
    """Return the nearest numbers of responders among one group's missing with another conclusion, below and above."""
    other = np.flatnonzero(np.array(conclusions) != conclusion)
    below, above = other[other < tally.as_assessed], other[other > tally.as_assessed]
    found = [f"at most {tally.told(int(below.max()))}"] if len(below) else []
    return found + ([f"at least {tally.told(int(above.min()))}"] if len(above) else [])


def _unknown(tally: Tally, shares: dict[str, float], why: str) -> Grid:
    """Return one row without numbers."""
    row: dict[str, Any] = {
        "estimand": "response" if len(shares) == 1 else "response_difference",
        "n_missing": tally.missing,
        "numerator": np.nan if tally.refusal else tally.responders,
        "denominator": tally.due,
        "note": why,
        "method": "",
    }
    return Grid(pd.DataFrame([row | shares]), f"{tally.cell}: {why}.", "unknown", shares)
