"""Time to an event that is seen only at visits: it came after the last visit without it, by the first one with it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
import pandas as pd
from scipy import stats
from scipy.special import expit, logit

from mesostats.estimators.arguments import amounts, check_conf_level, check_same_length, counts
from mesostats.estimators.interval_mass import GAP, most_likely_mass, support
from mesostats.estimators.logrank import label_codes

if TYPE_CHECKING:
    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]
    Integers = npt.NDArray[np.int64]

_METHOD: Final = (
    "nonparametric maximum likelihood for interval-censored times (Turnbull), {} logit interval{}"
)
_INFORMATION: Final = "observed-information"
_CLUSTERED: Final = "patient-clustered sandwich"
_OR_WIDER: Final = " or, where wider, bootstrap percentiles"
_ROUGH: Final = 1e-5  # exact enough for a bootstrap sample
LEAST_AT_RISK: Final = 0.1
"""The share still followed below which a curve rests on too few (Pocock, Clayton and Altman 2002: 10 to 20 %)."""
_FEW: Final = "rests on {:.0f} of {:.0f} still followed, fewer than 10 %: not to be read as a share of all"
_NOBODY_LEFT: Final = "nobody left: standard error and interval are not defined"
_MASS: Final = 1e-7  # less is no mass: it is still on its way to 0
_CONDITION: Final = 1e12
_TIE: Final = 1e-8  # two probabilities nearer than this are the same
_COLUMNS: Final = (
    *("begins", "time", "mass", "at_risk", "estimate", "std_error", "conf_low", "conf_high", "conf_level"),
    *("df", "method", "note"),
)


def turnbull(
    left: npt.ArrayLike,
    right: npt.ArrayLike,
    weights: npt.ArrayLike | None = None,
    *,
    clusters: npt.ArrayLike | None = None,
    conf_level: float = 0.95,
    samples: int = 200,
    seed: int = 0,
) -> pd.DataFrame:
    """Estimate the survival function where the event is only known to lie between two visits (Turnbull).

    Parameters
    ----------
    left
        The last time at which the event had not come, shape (n,), at least 0.
    right
        The first time at which it had come, shape (n,); infinite where it was never seen. Equal to `left` where the
        time is known exactly.
    weights
        How many persons each element stands for, whole numbers, shape (n,); 1 each if not given. An element with
        weight 0 is left out.
    clusters
        Whom each element belongs to, shape (n,); each to itself if not given.
    conf_level
        Two-sided confidence level, between 0 and 1.
    samples
        Bootstrap samples for the interval; with 0 it is that of the information alone.
    seed
        Of the bootstrap samples.

    Returns
    -------
    pandas.DataFrame
        One row an interval to which the estimate gives probability: ``begins, time`` (its ends), ``mass``, ``at_risk`` (persons
        not seen with the event before ``time``, and seen at it or later), ``estimate`` (the probability to be free of the
        event after ``time``), ``std_error, conf_low, conf_high, conf_level, df, method, note``. Within an interval the curve is
        not determined. No row for what lies beyond all visits, hence none at all if nobody has the event or there is nobody.

    Raises
    ------
    ValueError
        If an argument is not as described, or `right` is before `left`.

    Notes
    -----
    A person contributes F(right) - F(left), with (left, right] half open. The maximum has mass only in intervals that
    begin at some `left` and end at the next `right` with no other end between (Turnbull). Cycles of an iterative convex minorant
    step and an expectation-maximisation step (Wellner and Zhan) go on until the Kuhn-Tucker condition holds: with
    d_j = sum of w_i/P_i over the persons whose interval covers interval j, max d_j/n - 1, which is no less than what the
    log-likelihood a person could still gain, is at most 1e-9.

    The standard error is from the observed information of the masses above 0, with `clusters` its sandwich, times k/(k - 1)
    for k clusters, on the logit scale, with `clusters` with Student's t on k - 1 degrees of freedom. It takes the
    intervals that have mass as given: where one early visit draws all the mass of later ones to it, that is too sure. Percentiles
    of bootstrap samples of persons (of clusters) see that, and are a little short elsewhere. The interval reaches as far
    as either. R's ``survival::survfit`` of a ``Surv(type = "interval2")`` has the same
    estimate; its standard error takes the shared-out events for observed ones, and is too small.

    Where the last persons followed are seen with the event, all that is left of the probability goes to their interval, and the curve
    ends at 0 however few they are: as a Kaplan-Meier curve does. Where nobody followed to the end has it, what is left lies beyond the
    last visit, and is in no row. The note says where fewer than a tenth were still followed (`LEAST_AT_RISK`): there the
    curve is better not shown.

    References
    ----------
    Pocock SJ, Clayton TC, Altman DG (2002). Survival plots of time-to-event outcomes in clinical trials: good practice and
    pitfalls. doi:10.1016/S0140-6736(02)08594-X

    Turnbull BW (1976). The empirical distribution function with arbitrarily grouped, censored and truncated data.
    doi:10.1111/j.2517-6161.1976.tb01597.x

    Wellner JA, Zhan Y (1997). A hybrid algorithm for computation of the nonparametric maximum likelihood estimator from
    censored data. doi:10.1080/01621459.1997.10474037

    Gentleman R, Geyer CJ (1994). Maximum likelihood for interval censored data: consistency and computation.
    doi:10.1093/biomet/81.3.618

    Examples
    --------
    Seen at day 10 for the first time (two of four), between day 10 and 20 (one), not by day 20 (one):

    >>> turnbull([0, 0, 10, 20], [10, 10, 20, np.inf])[["begins", "time", "mass", "estimate"]].round(6)
       begins  time  mass  estimate
    0     0.0  10.0  0.50      0.50
    1    10.0  20.0  0.25      0.25
    """
    check_conf_level(conf_level)
    seen = _seen(left, right, weights, clusters)
    if not len(seen.left):
        return pd.DataFrame(columns=[*_COLUMNS])
    found = support(seen.left, seen.right)
    mass, gap = most_likely_mass(found, seen.persons)
    kept = np.flatnonzero(mass > _MASS)
    mass = mass[kept] / mass[kept].sum()
    ends = found.ends[kept]
    survival = np.where(np.arange(1, len(mass) + 1) < len(mass), 1 - np.cumsum(mass), 0.0)
    error, df = _errors(found.membership(kept), mass, seen)
    low, high = _logit_limits(np.where(survival > 0, survival, np.nan), error, conf_level, df)
    if samples and df > 0:
        drawn = _bootstrap(seen, ends, samples, seed)
        tails = (1 - conf_level) / 2
        left_over = survival > 0
        low = np.where(left_over, np.fmin(low, np.quantile(drawn, tails, axis=0)), np.nan)
        high = np.where(left_over, np.fmax(high, np.quantile(drawn, 1 - tails, axis=0)), np.nan)
    frame = pd.DataFrame(
        {
            "begins": found.begins[kept],
            "time": ends,
            "mass": mass,
            "at_risk": seen.followed_until(ends),
            "estimate": survival,
            "std_error": error,
            "conf_low": low,
            "conf_high": high,
            "conf_level": conf_level,
            "df": df,
            "method": _METHOD.format(
                _CLUSTERED if seen.grouped else _INFORMATION, _OR_WIDER if samples and df > 0 else ""
            ),
            "note": _notes(survival, error, gap, df, _few(seen, ends)),
        }
    )
    return frame[np.isfinite(ends)].reset_index(drop=True)


def turnbull_quantile(curve: pd.DataFrame, q: float = 0.5) -> pd.DataFrame:
    """Read a quantile of the event time off a curve for interval-censored times.

    Parameters
    ----------
    curve
        A frame from `turnbull`.
    q
        The share of persons with the event, between 0 and 1: 0.5 asks for the median.

    Returns
    -------
    pandas.DataFrame
        One row: ``q, estimate, conf_low, conf_high, conf_level, method, note``. What the curve or its limit does not reach is
        NaN, and the note says so; else the note says between which times the quantile lies.

    Raises
    ------
    ValueError
        If `q` is not strictly between 0 and 1.

    Notes
    -----
    The estimate is the middle of the first interval after which the survival is at most 1 - q: where in it, the data do not
    say. The lower limit is the beginning of the first interval after which the lower limit of the survival is at most
    1 - q, the upper limit the end of the first one after which the upper limit is (Brookmeyer and Crowley).

    References
    ----------
    Brookmeyer R, Crowley J (1982). A confidence interval for the median survival time. doi:10.2307/2530286

    Examples
    --------
    >>> curve = turnbull([0, 0, 10, 10, 20], [10, 10, 20, 20, np.inf])
    >>> turnbull_quantile(curve)[["estimate", "note"]]
       estimate                                      note
    0      15.0  between 10 and 20; upper limit not reached
    """
    if not 0 < q < 1:
        msg = f"q == {q}, must be above 0 and below 1"
        raise ValueError(msg)
    level = 1 - q + _TIE
    ended = curve["estimate"] == 0
    at = curve[curve["estimate"] <= level].head(1)
    low = curve.loc[curve["conf_low"].mask(ended, 0.0) <= level, "begins"].min()
    high = curve.loc[curve["conf_high"] <= level, "time"].min()
    words = [f"between {row.begins:g} and {row.time:g}" for row in at.itertuples()] or ["not reached"]
    limits = {"lower": low, "upper": high}
    words += [f"{side} limit not reached" for side, limit in limits.items() if len(at) and np.isnan(limit)]
    words += [part for note in at["note"] for part in note.split("; ") if part.startswith(_FEW.split("{")[0])]
    found = {
        "q": q,
        "estimate": (at["begins"].sum() + at["time"].sum()) / 2 if len(at) else np.nan,
        "conf_low": low,
        "conf_high": high,
        "conf_level": curve["conf_level"].iloc[0] if len(curve) else np.nan,
        "method": f"Brookmeyer-Crowley, {curve['method'].iloc[0] if len(curve) else 'Turnbull'}",
        "note": "; ".join(words),
    }
    return pd.DataFrame([found])


def _bootstrap(seen: _Seen, times: Floats, samples: int, seed: int) -> Floats:
    """Return the survival after each time in samples of persons, or of clusters, shape (samples, times)."""
    rng, drawn = np.random.default_rng(seed), np.empty((samples, len(times)))
    units = np.ones(int(seen.cluster.max()) + 1) if seen.grouped else seen.persons
    marks, pattern = np.unique(np.column_stack([seen.left, seen.right]), axis=0, return_inverse=True)
    for row in drawn:
        taken = rng.multinomial(int(units.sum()), units / units.sum())
        persons = taken[seen.cluster] * seen.persons if seen.grouped else taken
        weight: Floats = np.bincount(pattern.reshape(-1), persons, len(marks)).astype(np.float64)
        there = weight > 0
        found = support(marks[there, 0], marks[there, 1])
        mass, _ = most_likely_mass(found, weight[there], gap=_ROUGH)
        row[:] = 1 - np.append(0.0, np.cumsum(mass))[np.searchsorted(found.ends, times, side="right")]
    return drawn


def _few(seen: _Seen, ends: Floats) -> list[str]:
    """Say on how many an interval rests, where they are too few."""
    everybody = seen.persons.sum()
    left = seen.followed_until(ends)
    return [_FEW.format(each, everybody) if each < LEAST_AT_RISK * everybody else "" for each in left]


def _notes(survival: Floats, error: Floats, gap: float, df: float, few: list[str]) -> list[str]:
    """Say why there is no interval, and where it rests on few; and of all rows where the maximum was not reached."""
    late = "" if gap <= GAP else f"stopped up to {gap:.1g} a person below the maximum of the log-likelihood"
    unseen = "one cluster: variance unseen" if df < 1 else "the masses cannot be told apart: variance unseen"
    texts = np.select([survival == 0, np.isnan(error)], [_NOBODY_LEFT, unseen], default="")
    return ["; ".join(filter(None, (*pair, late))) for pair in zip(texts.tolist(), few, strict=True)]


def _errors(covers: npt.NDArray[np.bool_], mass: Floats, seen: _Seen) -> tuple[Floats, float]:
    """Return the standard errors of the survival after each interval, and the degrees of freedom.

    The last mass is what the others leave; the scores are those of the others.
    """
    df = float(seen.cluster.max()) if seen.grouped else np.inf
    none = np.full(len(mass), np.nan)
    scores = covers / (covers @ mass)[:, None]
    scores = scores[:, :-1] - scores[:, -1:]
    information = scores.T @ (seen.persons[:, None] * scores)
    if df < 1 or not len(information) or np.linalg.cond(information) > _CONDITION:
        return none, df
    variance = np.linalg.inv(information)
    if seen.grouped:
        totals = np.zeros((int(df) + 1, scores.shape[1]))
        np.add.at(totals, seen.cluster, seen.persons[:, None] * scores)
        variance = (df + 1) / df * variance @ (totals.T @ totals) @ variance
    summed = np.cumsum(np.cumsum(variance, axis=0), axis=1)
    return np.append(np.sqrt(np.diag(summed)), np.nan), df


def _logit_limits(survival: Floats, error: Floats, conf_level: float, df: float) -> tuple[Floats, Floats]:
    """Return limits on the logit scale; NaN where there is no variance."""
    half = (
        float(stats.t.isf((1 - conf_level) / 2, df)) * error / (survival * (1 - survival))
        if df >= 1
        else error
    )
    centre = logit(survival)
    return expit(centre - half), expit(centre + half)


@dataclass(frozen=True, eq=False)
class _Seen:
    """What was seen: intervals, how many persons are alike in it, and whom they belong to (numbered from 0)."""

    left: Floats
    right: Floats
    persons: Floats
    cluster: Integers
    grouped: bool

    def followed_until(self, times: Floats) -> Floats:
        """Return how many persons were still followed at each time, the event not seen before it."""
        last = np.where(np.isfinite(self.right), self.right, self.left)
        return np.array([self.persons[last >= time].sum() for time in times])


def _seen(
    left: npt.ArrayLike, right: npt.ArrayLike, weights: npt.ArrayLike | None, clusters: npt.ArrayLike | None
) -> _Seen:
    """Check what was given, and put alike persons together."""
    begins, ends = amounts(left, "left"), _ends(right)
    persons = np.ones(len(begins), dtype=np.int64) if weights is None else counts(weights, "weights")
    codes = (
        np.zeros(len(begins), dtype=np.int64)
        if clusters is None
        else label_codes(np.asarray(clusters), "clusters")[0]
    )
    check_same_length(left=begins, right=ends, weights=persons, clusters=codes)
    before = ends < begins
    if before.any():
        msg = f"right is before left in {before.sum()} elements (first at position {before.argmax()})"
        raise ValueError(msg)
    given = pd.DataFrame({"left": begins, "right": ends, "cluster": codes, "persons": persons})
    given = given[given["persons"] > 0]
    alike = given.groupby(["cluster", "left", "right"], as_index=False)["persons"].sum()
    return _Seen(
        alike["left"].to_numpy(np.float64),
        alike["right"].to_numpy(np.float64),
        alike["persons"].to_numpy(np.float64),
        np.unique(alike["cluster"], return_inverse=True)[1].astype(np.int64),
        grouped=clusters is not None,
    )


def _ends(right: npt.ArrayLike) -> Floats:
    """Return the ends of intervals: numbers of at least 0, or infinite."""
    given = np.array(right, dtype=np.float64, ndmin=1)
    never = np.isposinf(given)
    return np.where(never, np.inf, amounts(np.where(never, 0.0, given), "right"))
