"""Ratios of two risks and of two odds, with intervals that hold at the size of a clinic and at zero events."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal, Self

import numpy as np
from scipy import optimize, special, stats

from mesostats.estimators.arguments import check_choice, check_conf_level
from mesostats.estimators.bisection import crossing
from mesostats.estimators.two_groups import TwoGroups, comparison_frame

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy.typing as npt
    import pandas as pd

    Floats = npt.NDArray[np.float64]
    Texts = npt.NDArray[np.str_]

RiskRatioMethod = Literal["koopman"]
OddsRatioMethod = Literal["exact"]

_LOG_REACH: Final = 200.0  # no ratio of counts, and no finite limit of one, has a logarithm beyond it
_TIE: Final = 1e-7  # tables whose probabilities differ by less, relative to them, are equally likely (as R)


def risk_ratio(
    events: npt.ArrayLike,
    n: npt.ArrayLike,
    reference_events: npt.ArrayLike,
    reference_n: npt.ArrayLike,
    *,
    method: RiskRatioMethod = "koopman",
    conf_level: float = 0.95,
) -> pd.DataFrame:
    """Compare two proportions by their ratio.

    Parameters
    ----------
    events
        Patients with the event in the group, a number or shape (m,); whole.
    n
        Patients in the group, of the same shape.
    reference_events, reference_n
        The same in the reference group.
    method
        The interval: ``"koopman"`` (score).
    conf_level
        Two-sided confidence level, between 0 and 1.

    Returns
    -------
    pandas.DataFrame
        One row a comparison: `COMPARISON_COLUMNS`. ``std_error`` is that of the logarithm of the ratio, NaN where a
        group has no event; ``statistic`` is the signed score statistic z of a ratio of 1, ``df`` is NaN (normal
        reference). Without events in the group the estimate and the lower limit are 0, without events in the reference
        group the estimate and the upper limit are infinite; the other limit remains that of the two-sided interval,
        and the note says so. Without any event, or with an empty group, the numbers are NaN.

    Raises
    ------
    ValueError
        If an argument is not as described.

    Notes
    -----
    The interval holds every ratio r with |p - r·p₀| ≤ z·sqrt(q(1 - q)/n + r²·q₀(1 - q₀)/n₀), where q = r·q₀ and q₀ are
    the maximum likelihood proportions under r, a root of a quadratic in closed form. This is Koopman's chi-squared
    interval; Miettinen and Nurminen's multiplies the variance by N/(N - 1), which is not done here. At r = 1 it is
    Pearson's chi-squared test, so that p < 1 - `conf_level` exactly where the interval excludes 1.

    References
    ----------
    Koopman PAR (1984). Confidence intervals for the ratio of two binomial proportions. doi:10.2307/2531405

    Examples
    --------
    Koopman's example, 36 of 40 and 16 of 80:

    >>> risk_ratio(36, 40, 16, 80)[["estimate", "conf_low", "conf_high"]].round(2)
       estimate  conf_low  conf_high
    0       4.5      2.94       7.15
    """
    check_choice(method, ["koopman"], "method")
    check_conf_level(conf_level)
    groups = TwoGroups.from_counts(events, n, reference_events, reference_n)
    quantile = float(stats.norm.isf((1 - conf_level) / 2))
    estimate = _quotient(groups.risk, groups.reference_risk)
    statistic = _pearson_statistic(groups)
    return comparison_frame(
        {
            "estimate": estimate,
            "std_error": np.sqrt(_log_variance(groups) + _log_variance(groups.swapped)),
            "conf_low": _lower_score_limit(groups, quantile),
            "conf_high": _quotient(1.0, _lower_score_limit(groups.swapped, quantile)),
            "conf_level": conf_level,
            "statistic": statistic,
            "p_value": 2 * stats.norm.sf(np.abs(statistic)),
            **groups.numbers,
            "method": "Koopman score interval, Pearson chi-squared test",
            "note": _one_sided_notes(groups, estimate),
        }
    )


def odds_ratio(
    events: npt.ArrayLike,
    n: npt.ArrayLike,
    reference_events: npt.ArrayLike,
    reference_n: npt.ArrayLike,
    *,
    method: OddsRatioMethod = "exact",
    conf_level: float = 0.95,
) -> pd.DataFrame:
    """Compare two proportions by the ratio of their odds.

    Parameters
    ----------
    events
        Patients with the event in the group, a number or shape (m,); whole.
    n
        Patients in the group, of the same shape.
    reference_events, reference_n
        The same in the reference group.
    method
        The estimate and its interval: ``"exact"`` (conditional).
    conf_level
        Two-sided confidence level, between 0 and 1.

    Returns
    -------
    pandas.DataFrame
        One row a comparison: `COMPARISON_COLUMNS`. ``p_value`` is `fisher_p`; ``std_error`` and ``statistic`` are NaN,
        as the exact method has none. At an end of what the margins allow, the estimate is 0 or infinite, as is the
        limit on that side, and the note says so. Where nobody or everybody has the event, the ratio is NaN and p is 1;
        where a group is empty, all is NaN.

    Raises
    ------
    ValueError
        If an argument is not as described.

    Notes
    -----
    Given the four margins the number of events in the group has Fisher's noncentral hypergeometric distribution. The
    estimate is the odds ratio at which its mean is the observed number (the conditional maximum likelihood estimate,
    which is not the cross-product ratio); the limits are those at which the observed number or more, or the observed
    number or fewer, has probability (1 - `conf_level`)/2. As R's ``fisher.test``. The interval has two equal tails and
    Fisher's test has not: in rare tables one excludes 1 and the other does not.

    References
    ----------
    Fisher RA (1935). The logic of inductive inference. doi:10.2307/2342435

    Examples
    --------
    Fisher's lady who tastes tea. By hand: under the odds ratio w, 4 of 4 have probability 1/(1 + 16/w + 36/w² + 16/w³ +
    1/w⁴), which is 0.975 at w = 626.24. (R's ``fisher.test`` stops its search early and gives 621.93.)

    >>> odds_ratio(3, 4, 1, 4)[["estimate", "conf_low", "conf_high", "p_value"]].round(4)
       estimate  conf_low  conf_high  p_value
    0    6.4083    0.2117   626.2435   0.4857
    """
    check_choice(method, ["exact"], "method")
    check_conf_level(conf_level)
    groups = TwoGroups.from_counts(events, n, reference_events, reference_n)
    tables = [_Table.from_counts(*row) for row in zip(*groups.counts, strict=True)]
    tail = (1 - conf_level) / 2
    found = np.array([(each.estimate, *each.limits(tail), each.p_value) for each in tables]).reshape(-1, 4)
    return comparison_frame(
        {
            "estimate": found[:, 0],
            "std_error": np.nan,
            "conf_low": found[:, 1],
            "conf_high": found[:, 2],
            "conf_level": conf_level,
            "statistic": np.nan,
            "p_value": found[:, 3],
            **groups.numbers,
            "method": "conditional maximum likelihood, exact conditional interval, Fisher's exact test",
            "note": _one_sided_notes(groups, found[:, 0]),
        }
    )


def fisher_p(
    events: npt.ArrayLike,
    n: npt.ArrayLike,
    reference_events: npt.ArrayLike,
    reference_n: npt.ArrayLike,
) -> Floats:
    """Return the two-sided p values of Fisher's exact test.

    Parameters
    ----------
    events
        Patients with the event in the group, a number or shape (m,); whole.
    n
        Patients in the group, of the same shape.
    reference_events, reference_n
        The same in the reference group.

    Returns
    -------
    numpy.ndarray
        Shape (m,); NaN where a group is empty, 1 where nobody or everybody has the event.

    Raises
    ------
    ValueError
        If an argument is not as described.

    Notes
    -----
    The sum of the probabilities of all tables with the same margins that are at most as likely as the observed one,
    with R's tolerance for ties (a relative 1e-7).

    References
    ----------
    Fisher RA (1935). The logic of inductive inference. doi:10.2307/2342435

    Examples
    --------
    The lady who tastes tea: of 70 tables 1 + 16 are as likely or less on each side, p = 34/70.

    >>> fisher_p(3, 4, 1, 4).round(4)
    array([0.4857])
    """
    groups = TwoGroups.from_counts(events, n, reference_events, reference_n)
    return np.array(
        [_Table.from_counts(*row).p_value for row in zip(*groups.counts, strict=True)], dtype=float
    )


def _quotient(part: Floats | float, whole: Floats) -> Floats:
    """Divide; x/0 is infinite, 0/0 is NaN."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(part / whole, dtype=np.float64)


def _log_variance(groups: TwoGroups) -> Floats:
    events, n, _, _ = (np.where(counted > 0, counted, np.nan) for counted in groups.floats)
    return np.asarray(1 / events - 1 / n, dtype=np.float64)


def _pearson_statistic(groups: TwoGroups) -> Floats:
    """Return z of a ratio of 1: NaN without events, as the ratio then says nothing; 0 where everybody has the event."""
    _, n, _, reference_n = (np.where(groups.compared, counted, np.nan) for counted in groups.floats)
    pooled = groups.pooled_risk
    spread = np.where(pooled == 1, np.inf, np.where(pooled == 0, np.nan, pooled * (1 - pooled)))
    difference = groups.risk - groups.reference_risk
    return np.asarray(difference / np.sqrt(spread * (1 / n + 1 / reference_n)), dtype=np.float64)


def _lower_score_limit(groups: TwoGroups, quantile: float) -> Floats:
    unknown = ~groups.compared | (groups.events + groups.reference_events == 0)
    events, n, reference_events, reference_n = (np.where(unknown, np.nan, each) for each in groups.floats)

    def is_below(log_ratio: Floats) -> npt.NDArray[np.bool_]:
        ratio = np.exp(log_ratio)
        left, right = (n + reference_events) * ratio, events + reference_n
        # The discriminant as a sum of terms of at least 0, of which nothing cancels.
        root = np.sqrt((left - right) ** 2 + 4 * ratio * (n - events) * (reference_n - reference_events))
        reference_risk = np.clip(2 * (events + reference_events) / (left + right + root), 0.0, 1.0)
        risk = np.clip(ratio * reference_risk, 0.0, 1.0)
        variance = risk * (1 - risk) / n + ratio * risk * (1 - reference_risk) / reference_n
        return np.asarray(events / n - ratio * reference_events / reference_n > quantile * np.sqrt(variance))

    estimate = _quotient(events * reference_n, reference_events * n)
    finite = np.where((estimate > 0) & (estimate < np.inf), estimate, np.exp(_LOG_REACH))
    highest = np.where(unknown, np.nan, np.log(finite))
    low = np.exp(crossing(is_below, np.full(len(highest), -_LOG_REACH), highest))
    return np.where(events == 0, 0.0, low)


def _one_sided_notes(groups: TwoGroups, estimate: Floats) -> Texts:
    nobody = groups.events + groups.reference_events == 0
    return np.select(
        [
            ~groups.compared,
            np.isnan(estimate) & nobody,
            np.isnan(estimate),
            estimate == 0,
            np.isposinf(estimate),
        ],
        [
            groups.notes,
            "no event in either group: their ratio is unknown",
            "everybody has the event: the ratio of the odds is unknown",
            "estimate at the lower end: only the upper limit says something",
            "estimate at the upper end: only the lower limit says something",
        ],
        default="",
    )


@dataclass(frozen=True, eq=False)
class _Table:
    """One two-by-two table among all that have its margins."""

    compared: bool
    position: int
    """How many events the group has more than it must have."""
    log_weights: Floats
    """Logarithms of the numbers of ways to each table, up to a constant, shape (tables,)."""

    @classmethod
    def from_counts(cls, events: int, n: int, reference_events: int, reference_n: int) -> Self:
        total = events + reference_events
        fewest, most = max(0, total - reference_n), min(total, n)
        k = np.arange(fewest, most, dtype=np.float64)
        # From each table to the next by the ratio of the two: factorials of large numbers would cost digits.
        steps = np.log((n - k) * (total - k) / ((k + 1) * (reference_n - total + k + 1)))
        return cls(n > 0 and reference_n > 0, events - fewest, np.concatenate([[0.0], np.cumsum(steps)]))

    def probabilities(self, log_odds_ratio: float) -> Floats:
        """Return the probability of each table under an odds ratio."""
        exponents = self.log_weights + log_odds_ratio * np.arange(len(self.log_weights))
        return np.asarray(special.softmax(exponents), dtype=np.float64)

    @property
    def p_value(self) -> float:
        """Fisher's two-sided p value."""
        if not self.compared:
            return np.nan
        likely = self.probabilities(0.0)
        return float(min(likely[likely <= likely[self.position] * (1 + _TIE)].sum(), 1.0))

    @property
    def estimate(self) -> float:
        """The odds ratio under which the observed table is the mean."""
        last = len(self.log_weights) - 1
        if last == 0:
            return np.nan
        if self.position in {0, last}:
            return 0.0 if self.position == 0 else np.inf
        return _solve(lambda x: float(self.probabilities(x) @ np.arange(last + 1)) - self.position)

    def limits(self, tail: float) -> tuple[float, float]:
        """Return the odds ratios under which this many or more, or this many or fewer, have the tail's probability."""
        last = len(self.log_weights) - 1
        if last == 0:
            return np.nan, np.nan
        low = (
            0.0
            if self.position == 0
            else _solve(lambda x: self.probabilities(x)[self.position :].sum() - tail)
        )
        if self.position == last:
            return low, np.inf
        return low, _solve(lambda x: self.probabilities(x)[: self.position + 1].sum() - tail)


def _solve(excess: Callable[[float], float]) -> float:
    """Return the odds ratio at which a monotone function of its logarithm is 0."""
    return float(np.exp(optimize.brentq(excess, -_LOG_REACH, _LOG_REACH, xtol=1e-14)))
