"""Rates of two groups compared by their ratio and by their difference, for events that are independent of each other."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal, Self

import numpy as np
from scipy import stats

from mesostats.estimators.arguments import amounts, check_choice, check_conf_level, check_same_length, counts
from mesostats.estimators.bisection import crossing
from mesostats.estimators.two_groups import absence_notes, comparison_frame

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy.typing as npt
    import pandas as pd

    Floats = npt.NDArray[np.float64]

RateRatioMethod = Literal["exact", "mid_p"]
RateDifferenceMethod = Literal["miettinen_nurminen"]

_METHOD_TEXTS: Final = {
    "exact": "exact conditional interval and binomial test",
    "mid_p": "conditional mid-p interval and test",
}


def rate_ratio(
    events: npt.ArrayLike,
    exposure: npt.ArrayLike,
    reference_events: npt.ArrayLike,
    reference_exposure: npt.ArrayLike,
    *,
    method: RateRatioMethod = "exact",
    conf_level: float = 0.95,
) -> pd.DataFrame:
    """Compare two rates of independent events, such as first events, by their ratio.

    Parameters
    ----------
    events
        Events in the group, a number or shape (m,); whole.
    exposure
        The time or number of sessions at risk in the group, of the same shape.
    reference_events, reference_exposure
        The same in the reference group, in the same unit.
    method
        ``"exact"`` (conservative) or ``"mid_p"`` (counts half of the observed number's probability: closer to the
        nominal level, not guaranteed).
    conf_level
        Two-sided confidence level, between 0 and 1.

    Returns
    -------
    pandas.DataFrame
        One row a comparison: `COMPARISON_COLUMNS`. ``std_error`` is that of the logarithm of the ratio, NaN where a
        group has no event; ``statistic`` and ``df`` are NaN. Without events in the group the estimate and the lower
        limit are 0, without events in the reference group the estimate and the upper limit are infinite, and the note
        says so. Without any event, or without exposure in a group, the numbers are NaN.

    Raises
    ------
    ValueError
        If an argument is not as described.

    Notes
    -----
    Given the total number of events, that of the group is binomial with probability t·r/(t·r + t₀), where r is the
    ratio and t, t₀ are the exposures: the limits of r are those of a binomial probability (Clopper and Pearson, or
    mid-p). The exact p value is that of the two-sided binomial test, which adds up the numbers that are at most as
    likely as the observed one, as R's ``poisson.test``; the mid-p value is twice the smaller tail, so that it agrees
    with its interval. Events that repeat within patients vary more than Poisson: use `clustered_rate_ratio`.

    References
    ----------
    Przyborowski J, Wilenski H (1940). Homogeneity of results in testing samples from Poisson series.
    doi:10.1093/biomet/31.3-4.313

    Berry G, Armitage P (1995). Mid-P confidence intervals: a brief review. doi:10.2307/2348891

    Examples
    --------
    Breast cancer after repeated fluoroscopy, 41 cases in 28010 woman-years against 15 in 19017 (Boice and Monson 1977),
    as in R's ``example(poisson.test)``:

    >>> rate_ratio(41, 28010, 15, 19017)[["estimate", "conf_low", "conf_high"]].round(3)
       estimate  conf_low  conf_high
    0     1.856     1.006      3.609
    """
    check_choice(method, _METHOD_TEXTS, "method")
    check_conf_level(conf_level)
    groups = _Exposed.from_counts(events, exposure, reference_events, reference_exposure)
    tail = (1 - conf_level) / 2
    estimate = _quotient(groups.rate, groups.reference_rate)
    x, y = (np.where(counted > 0, counted, np.nan) for counted in (groups.events, groups.reference_events))
    return comparison_frame(
        {
            "estimate": estimate,
            "std_error": np.where(groups.compared, np.sqrt(1 / x + 1 / y), np.nan),
            "conf_low": _lower_ratio(groups, tail, method),
            "conf_high": _quotient(1.0, _lower_ratio(groups.swapped, tail, method)),
            "conf_level": conf_level,
            "statistic": np.nan,
            "p_value": _exact_p(groups) if method == "exact" else _mid_p(groups),
            **groups.numbers,
            "method": _METHOD_TEXTS[method],
            "note": _one_sided_notes(groups, estimate),
        }
    )


def rate_difference(
    events: npt.ArrayLike,
    exposure: npt.ArrayLike,
    reference_events: npt.ArrayLike,
    reference_exposure: npt.ArrayLike,
    *,
    method: RateDifferenceMethod = "miettinen_nurminen",
    conf_level: float = 0.95,
) -> pd.DataFrame:
    """Compare two rates of independent events, such as first events, by their difference.

    Parameters
    ----------
    events, exposure, reference_events, reference_exposure
        As for `rate_ratio`.
    method
        The interval: ``"miettinen_nurminen"`` (score; agrees with the test).
    conf_level
        Two-sided confidence level, between 0 and 1.

    Returns
    -------
    pandas.DataFrame
        One row a comparison: `COMPARISON_COLUMNS`. ``statistic`` is the signed score statistic z of no difference, 0
        without any event; ``df`` is NaN (normal reference). Without exposure in a group the numbers are NaN and the
        note says so.

    Raises
    ------
    ValueError
        If an argument is not as described.

    Notes
    -----
    With events x, x₀ and exposures t, t₀, the interval holds every difference δ with
    |x/t - x₀/t₀ - δ| ≤ z·sqrt(q/t + q₀/t₀), where q = q₀ + δ and q₀ are the maximum likelihood rates under δ: q₀ solves
    (t + t₀)q₀² + ((t + t₀)δ - x - x₀)q₀ - x₀·δ = 0. Hence p < 1 - `conf_level` exactly where the interval excludes 0.

    References
    ----------
    Miettinen O, Nurminen M (1985). Comparative analysis of two rates. doi:10.1002/sim.4780040211

    Examples
    --------
    No events in 10 and in 20 months. By hand, the limits are z²/t: 3.8415/20 below and 3.8415/10 above.

    >>> rate_difference(0, 10, 0, 20)[["estimate", "conf_low", "conf_high"]].round(4)
       estimate  conf_low  conf_high
    0       0.0   -0.1921     0.3841
    """
    check_choice(method, ["miettinen_nurminen"], "method")
    check_conf_level(conf_level)
    groups = _Exposed.from_counts(events, exposure, reference_events, reference_exposure)
    quantile = float(stats.norm.isf((1 - conf_level) / 2))
    difference = groups.rate - groups.reference_rate
    null_variance = _constrained_variance(groups, np.zeros(len(difference)))
    statistic = difference / np.sqrt(np.where(null_variance == 0, np.inf, null_variance))
    return comparison_frame(
        {
            "estimate": difference,
            "std_error": np.sqrt(groups.rate / groups.time + groups.reference_rate / groups.swapped.time),
            "conf_low": _lower_difference(groups, quantile),
            "conf_high": -_lower_difference(groups.swapped, quantile),
            "conf_level": conf_level,
            "statistic": statistic,
            "p_value": 2 * stats.norm.sf(np.abs(statistic)),
            **groups.numbers,
            "method": "Miettinen-Nurminen score interval and test for rates",
            "note": groups.notes,
        }
    )


@dataclass(frozen=True, eq=False)
class _Exposed:
    """Events and exposures of m comparisons, each of a group with its reference."""

    events: npt.NDArray[np.int64]
    exposure: Floats
    reference_events: npt.NDArray[np.int64]
    reference_exposure: Floats

    @classmethod
    def from_counts(
        cls,
        events: npt.ArrayLike,
        exposure: npt.ArrayLike,
        reference_events: npt.ArrayLike,
        reference_exposure: npt.ArrayLike,
    ) -> Self:
        found = cls(
            counts(events, "events"),
            amounts(exposure, "exposure"),
            counts(reference_events, "reference_events"),
            amounts(reference_exposure, "reference_exposure"),
        )
        check_same_length(
            events=found.events,
            exposure=found.exposure,
            reference_events=found.reference_events,
            reference_exposure=found.reference_exposure,
        )
        return found

    @property
    def swapped(self) -> _Exposed:
        return _Exposed(self.reference_events, self.reference_exposure, self.events, self.exposure)

    @property
    def compared(self) -> npt.NDArray[np.bool_]:
        return (self.exposure > 0) & (self.reference_exposure > 0)

    @property
    def time(self) -> Floats:
        """The group's exposure; NaN where a comparison lacks exposure."""
        return np.where(self.compared, self.exposure, np.nan)

    @property
    def rate(self) -> Floats:
        return self.events / np.where(self.exposure > 0, self.exposure, np.nan)

    @property
    def reference_rate(self) -> Floats:
        return self.swapped.rate

    @property
    def numbers(self) -> Mapping[str, npt.NDArray[np.float64] | npt.NDArray[np.int64]]:
        return {
            "numerator": self.events,
            "denominator": self.exposure,
            "reference_numerator": self.reference_events,
            "reference_denominator": self.reference_exposure,
        }

    @property
    def notes(self) -> npt.NDArray[np.str_]:
        return absence_notes(self.exposure == 0, self.reference_exposure == 0, "no exposure")


def _quotient(part: Floats | float, whole: Floats) -> Floats:
    """Divide; x/0 is infinite, 0/0 is NaN."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(part / whole, dtype=np.float64)


def _lower_ratio(groups: _Exposed, tail: float, method: RateRatioMethod) -> Floats:
    total = groups.events + groups.reference_events
    # The group's own events (and half of them for mid-p) belong to the tail that the lower limit leaves out.
    x, trials = np.maximum(groups.events, 1), np.maximum(total, 1)
    share = 1.0 if method == "exact" else 0.5

    def is_below(probability: Floats) -> npt.NDArray[np.bool_]:
        at_least = stats.binom.sf(x, trials, probability) + share * stats.binom.pmf(x, trials, probability)
        return np.asarray(at_least < tail)

    probability = np.where(groups.events > 0, crossing(is_below, np.zeros(len(x)), np.ones(len(x))), 0.0)
    odds = probability / (1 - probability)
    return np.where(total > 0, odds * groups.swapped.time / groups.time, np.nan)


def _group_share(groups: _Exposed) -> Floats:
    """Return the share of the events that the group has if the rates are equal."""
    return np.asarray(groups.time / (groups.time + groups.swapped.time), dtype=np.float64)


def _exact_p(groups: _Exposed) -> Floats:
    found = np.full(len(groups.events), np.nan)
    total = groups.events + groups.reference_events
    for row in np.flatnonzero(groups.compared & (total > 0)):
        test = stats.binomtest(int(groups.events[row]), int(total[row]), float(_group_share(groups)[row]))
        found[row] = test.pvalue
    return found


def _mid_p(groups: _Exposed) -> Floats:
    total, share = groups.events + groups.reference_events, _group_share(groups)
    half = stats.binom.pmf(groups.events, total, share) / 2
    smaller = np.minimum(
        stats.binom.cdf(groups.events, total, share) - half,
        stats.binom.sf(groups.events, total, share) + half,
    )
    return np.where(total > 0, np.minimum(2 * smaller, 1.0), np.nan)


def _one_sided_notes(groups: _Exposed, estimate: Floats) -> npt.NDArray[np.str_]:
    return np.select(
        [~groups.compared, np.isnan(estimate), estimate == 0, np.isposinf(estimate)],
        [
            groups.notes,
            "no event in either group: their ratio is unknown",
            "no event in the group: only the upper limit says something",
            "no event in the reference group: only the lower limit says something",
        ],
        default="",
    )


def _lower_difference(groups: _Exposed, quantile: float) -> Floats:
    estimate = groups.rate - groups.reference_rate

    def is_below(difference: Floats) -> npt.NDArray[np.bool_]:
        variance = _constrained_variance(groups, difference)
        return np.asarray(estimate - difference > quantile * np.sqrt(variance))

    return crossing(is_below, estimate - _reach(groups, quantile), estimate)


def _reach(groups: _Exposed, quantile: float) -> Floats:
    """Return how far from the estimate no limit can lie.

    At a distance D the constrained variance is at most (D + 2x/t)/t, with x all events and t the shorter exposure;
    hence a limit's D is at most (1.5z² + x)/t.
    """
    shorter = np.minimum(groups.time, groups.swapped.time)
    return np.asarray(2 * (quantile**2 + groups.events + groups.reference_events) / shorter, dtype=np.float64)


def _constrained_variance(groups: _Exposed, difference: Floats) -> Floats:
    """Return the variance of the difference of rates if the true one were `difference`."""
    time, reference_time = groups.time, groups.swapped.time
    total = time + reference_time
    linear = total * difference - groups.events - groups.reference_events
    root = np.sqrt(np.maximum(linear**2 + 4 * total * groups.reference_events * difference, 0.0))
    reference_rate = np.maximum((root - linear) / (2 * total), np.maximum(0.0, -difference))
    return np.asarray(
        (reference_rate + difference) / time + reference_rate / reference_time, dtype=np.float64
    )
