"""Two groups compared by ranks: how often one does better than the other, and the tests of Wilcoxon and van Elteren."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd
from scipy import stats
from scipy.special import expit, logit

from mesostats.estimators.arguments import check_conf_level
from mesostats.estimators.bisection import crossing
from mesostats.estimators.graded_samples import GradedSample, graded_sample

if TYPE_CHECKING:
    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]

_UNSEEN: Final = 1e-20  # of a variance, what rounding left of zero
_COLUMNS: Final = (
    *("group", "estimate", "std_error", "conf_low", "conf_high", "conf_level", "statistic", "df", "p_value"),
    *("denominator", "reference_denominator", "strata", "strata_used", "method", "note"),
)
_PLACEMENTS: Final = {
    False: "variance of DeLong's placements, interval on the logit scale; t, Brunner-Munzel df",
    True: "placements summed over clusters, interval on the logit scale; t, df = clusters - 1",
}
_ALIKE: Final = "variance as if the groups were alike"
_EDGE: Final = "no overlap of the groups: Newcombe's interval (his method 5)"


def win_probability(
    grade: npt.ArrayLike,
    group: npt.ArrayLike,
    *,
    strata: npt.ArrayLike | None = None,
    clusters: npt.ArrayLike | None = None,
    frequencies: npt.ArrayLike | None = None,
    reference: Any,
    conf_level: float = 0.95,
) -> pd.DataFrame:
    """Estimate how likely somebody of a group has a higher grade than somebody of the reference group.

    Parameters
    ----------
    grade
        Numbers of which only the order counts, shape (n,).
    group
        The group of each observation, shape (n,); two or more groups.
    strata
        Labels within which the groups are compared, shape (n,).
    clusters
        Who or what each observation belongs to (most often the patient), shape (n,); all independent if not given.
    frequencies
        How many alike observations (of the cluster) each row stands for, shape (n,); one if not given.
    reference
        The group that the others are compared with.
    conf_level
        Two-sided confidence level.

    Returns
    -------
    pandas.DataFrame
        A row a group but the reference: ``group, estimate, std_error, conf_low, conf_high, conf_level, statistic, df,
        p_value`` (of 1/2), ``denominator, reference_denominator`` (observations in the strata used), ``strata,
        strata_used, method, note``. A stratum without one of the groups compares nothing and is left out visibly.

    Raises
    ------
    ValueError
        If an argument is not as described, or the reference is not among the groups.

    Notes
    -----
    The estimate is P(higher) + P(equal)/2, the statistic of Mann and Whitney over n·n₀: 1/2 where neither is better. Over
    strata it is the mean with van Elteren's weights n·n₀/(N + 1). The variance is that of the placements (the share of the
    other group that an observation surpasses) within each group and stratum (DeLong); in clusters it is the sum of the
    squared sums over each cluster of what its observations add to the estimate's error, with factor k/(k - 1) for k clusters,
    which also holds where a cluster has observations in both groups. A stratum in which a group has one observation shows no
    variance between such: it has that of `van_elteren`, as if the groups were alike. The interval is symmetric on the logit scale, with
    Student's t: Brunner and Munzel's degrees of freedom (Satterthwaite's, over the groups and strata) or k - 1. At 0 or 1,
    where no variance is seen, independent observations in one stratum have Newcombe's interval. The p value is that of the
    statistic (estimate - 1/2)/std_error; `van_elteren` tests that the groups are alike.

    References
    ----------
    DeLong ER, DeLong DM, Clarke-Pearson DL (1988). Comparing the areas under two or more correlated receiver operating
    characteristic curves. doi:10.2307/2531595

    Brunner E, Munzel U (2000). The nonparametric Behrens-Fisher problem. doi:10.1002/(SICI)1521-4036(200001)42:1<17::AID-BIMJ17>3.0.CO;2-U

    Obuchowski NA (1997). Nonparametric analysis of clustered ROC curve data. doi:10.2307/2533958

    Newcombe RG (2006). Confidence intervals for an effect size measure based on the Mann-Whitney statistic. Part 2.
    doi:10.1002/sim.2324

    Examples
    --------
    Of the 9 pairs the new treatment wins 6 and ties 2: (6 + 1)/9.

    >>> found = win_probability([2, 3, 1, 1, 2, 0], ["new"] * 3 + ["old"] * 3, reference="old")
    >>> float(found["estimate"].round(4).iloc[0])
    0.7778
    """
    check_conf_level(conf_level)
    whole = graded_sample(
        grade, group, strata=strata, clusters=clusters, frequencies=frequencies, reference=reference
    )
    rows = [
        {"group": whole.labels[place]} | _win(*_comparable(whole.pair(place)), conf_level)
        for place in range(1, len(whole.labels))
    ]
    return _frame(rows).assign(conf_level=conf_level)


def van_elteren(
    grade: npt.ArrayLike,
    group: npt.ArrayLike,
    *,
    strata: npt.ArrayLike | None = None,
    frequencies: npt.ArrayLike | None = None,
    reference: Any,
) -> pd.DataFrame:
    """Test by ranks within strata whether a group's grades are those of the reference group.

    Parameters
    ----------
    grade, group, strata, frequencies, reference
        As for `win_probability`; all observations are independent.

    Returns
    -------
    pandas.DataFrame
        A row a group but the reference: ``group, statistic`` (z, positive where the group has the higher grades),
        ``p_value, denominator, reference_denominator, strata, strata_used, method, note``.

    Raises
    ------
    ValueError
        If an argument is not as described, or the reference is not among the groups.

    Notes
    -----
    z = sum (W - E)/(N + 1) / sqrt(sum V/(N + 1)²), with the rank sum W of the group in each stratum and its mean and variance
    over all permutations within the stratum, ties included; no continuity correction. With one stratum it is Wilcoxon's
    test, as R's ``coin::wilcox_test``. The normal reference is an approximation with few patients a stratum.

    References
    ----------
    van Elteren PH (1960). On the combination of independent two-sample tests of Wilcoxon. Bulletin of the International
    Statistical Institute 37, 351-361.

    Examples
    --------
    By hand: the rank sum of the new treatment is 6 + 4.5 + 2.5 = 13, its mean 10.5; the squared deviations of the ranks sum to
    16.5, the variance is 9/(6·5)·16.5 = 4.95.

    >>> found = van_elteren([2, 3, 1, 1, 2, 0], ["new"] * 3 + ["old"] * 3, reference="old")
    >>> found[["statistic", "p_value"]].round(4)
       statistic  p_value
    0     1.1237   0.2612
    """
    whole = graded_sample(
        grade, group, strata=strata, clusters=None, frequencies=frequencies, reference=reference
    )
    rows = []
    for place in range(1, len(whole.labels)):
        given, used = _comparable(whole.pair(place))
        statistic, words = (
            _rank_test(used),
            "van Elteren's test" if strata is not None else "Wilcoxon's rank sum test",
        )
        rows.append(
            {
                "group": whole.labels[place],
                "statistic": statistic,
                "p_value": float(2 * stats.norm.sf(abs(statistic))),
                "method": f"{words}, permutation variance with ties, normal reference",
                "note": _note(given, used, "all have the same grade" if np.isnan(statistic) else ""),
                **_sizes(given, used),
            }
        )
    return _frame(rows).drop(columns=["estimate", "std_error", "conf_low", "conf_high", "conf_level", "df"])


def _frame(rows: list[dict[str, Any]]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=[*_COLUMNS])


def _comparable(pair: GradedSample) -> tuple[GradedSample, GradedSample]:
    """Return a pair, and its observations in strata that hold both groups."""
    number = int(pair.stratum.max(initial=-1)) + 1
    held = [np.bincount(pair.stratum[pair.group == side], minlength=number) > 0 for side in (0, 1)]
    return pair, pair.where((held[0] & held[1])[pair.stratum])


def _sizes(given: GradedSample, used: GradedSample) -> dict[str, Any]:
    return {
        "denominator": used.sizes[1],
        "reference_denominator": used.sizes[0],
        "strata": len(np.unique(given.stratum)),
        "strata_used": len(np.unique(used.stratum)),
    }


def _note(given: GradedSample, used: GradedSample, remark: str) -> str:
    strata, used_strata = (len(np.unique(each.stratum)) for each in (given, used))
    if not used_strata:
        return "nobody in one of the groups" if strata <= 1 else "no stratum holds both groups"
    left_out = f"{strata - used_strata} of {strata} strata left out: nobody in one of the groups"
    return "; ".join(filter(None, [left_out if strata > used_strata else "", remark]))


def _win(given: GradedSample, used: GradedSample, conf_level: float) -> dict[str, Any]:
    """Return one row: the estimate with what its sample allows of an interval."""
    if not len(used.grade):
        return {"method": "", "note": _note(given, used, ""), **_sizes(given, used)}
    estimate, influence = _influence(used)
    variance, df, remark = _spread(used, influence)
    error = np.sqrt(variance) if variance > _UNSEEN else np.nan
    inside, method = 0 < estimate < 1, f"Mann-Whitney probability; {_PLACEMENTS[used.cluster is not None]}"
    low, high = _logit_limits(estimate, error, df, conf_level) if inside else (np.nan, np.nan)
    if not inside and used.cluster is None and _sizes(given, used)["strata_used"] == 1:
        low, high = newcombe_limits(estimate, used.sizes[1], used.sizes[0], conf_level=conf_level)
        remark = _EDGE
    elif np.isnan(error):
        remark = "no variance is seen: no interval"
    statistic = (estimate - 0.5) / error
    return {
        "estimate": estimate,
        "std_error": error,
        "conf_low": low,
        "conf_high": high,
        "statistic": statistic,
        "df": df,
        "p_value": float(2 * stats.t.sf(abs(statistic), df)),
        "method": method,
        "note": _note(given, used, remark),
        **_sizes(given, used),
    }


def _cells(used: GradedSample) -> tuple[npt.NDArray[np.int64], Floats]:
    """Return the cell (stratum and group) of each observation, two a stratum, and the sizes of the cells."""
    stratum = np.unique(used.stratum, return_inverse=True)[1]
    cell = 2 * stratum + used.group
    return cell, np.bincount(cell, weights=used.frequency).astype(np.float64)


def _influence(used: GradedSample) -> tuple[float, Floats]:
    """Return the mean win probability over strata, and what one observation of each row adds to its error."""
    cell, sizes = _cells(used)
    placement = np.zeros(len(cell))
    for stratum in range(len(sizes) // 2):
        chosen = cell // 2 == stratum
        placement[chosen] = _placements(used.grade[chosen], used.group[chosen], used.frequency[chosen])
    reference, group = sizes[::2], sizes[1::2]
    weight = reference * group / (reference + group + 1)
    weight /= weight.sum()
    mean = np.bincount(cell, weights=used.frequency * placement) / sizes
    return float(weight @ mean[1::2]), weight[cell // 2] * (placement - mean[cell]) / sizes[cell]


def _placements(grade: Floats, group: npt.NDArray[np.int64], frequency: Floats) -> Floats:
    """Return, for each of the group, the share of the reference group that it surpasses; for each of that, by which it is surpassed."""
    place = np.unique(grade, return_inverse=True)[1]
    number = int(place.max()) + 1
    shares = [np.bincount(place, weights=frequency * (group == side), minlength=number) for side in (0, 1)]
    shares = [share / share.sum() for share in shares]
    beaten, beating = (np.cumsum(share) - share / 2 for share in shares)
    return np.where(group == 1, beaten[place], 1 - beating[place])


def _spread(used: GradedSample, influence: Floats) -> tuple[float, float, str]:
    """Return the estimate's variance, its degrees of freedom, and a remark."""
    cell, sizes = _cells(used)
    alone = np.minimum(sizes[::2], sizes[1::2]) == 1
    if used.cluster is not None:
        sums = np.bincount(pd.factorize(used.cluster)[0], weights=used.frequency * influence)
        clusters = len(sums)
        if clusters == 1:
            return np.nan, np.nan, ""
        return (
            float(sums @ sums) * clusters / (clusters - 1),
            clusters - 1.0,
            _told_alone(alone, "its variance is unseen"),
        )
    squares = np.bincount(cell, weights=used.frequency * influence**2)
    left = np.maximum(sizes - 1, 1.0)
    parts = squares * sizes / left
    if alone.any():  # a group of one shows no variance: as if the two groups were alike
        reference, group = sizes[::2], sizes[1::2]
        weight = reference * group / (reference + group + 1)
        own = (weight / weight.sum()) ** 2 * _null_variances(used) / (reference * group) ** 2
        parts[::2], parts[1::2] = np.where(alone, own, parts[::2]), np.where(alone, 0.0, parts[1::2])
        left[::2] = np.where(alone, np.maximum(reference + group - 2, 1.0), left[::2])
    total = float(parts.sum())
    df = total**2 / float((parts**2 / left).sum()) if total > 0 else np.nan
    return total, df, _told_alone(alone, _ALIKE)


def _told_alone(alone: npt.NDArray[np.bool_], what: str) -> str:
    """Say in how many strata a group has one observation, and what follows."""
    return f"a group of one in {alone.sum()} of {len(alone)} strata: {what}" if alone.any() else ""


def _null_variances(used: GradedSample) -> Floats:
    """Return the variance of the group's rank sum over all permutations within each stratum."""
    cell, sizes = _cells(used)
    total = sizes[::2] + sizes[1::2]
    tied = pd.Series(used.frequency).groupby([cell // 2, used.grade]).sum()
    lost = (tied**3 - tied).groupby(level=0).sum().to_numpy() / (total * (total - 1))
    # Of N ranks with ties of t: (N + 1 - sum(t³ - t)/(N(N - 1)))·n·n₀/12.
    return np.asarray(sizes[::2] * sizes[1::2] * (total + 1 - lost) / 12, dtype=np.float64)


def _logit_limits(estimate: float, error: float, df: float, conf_level: float) -> tuple[float, float]:
    half = stats.t.isf((1 - conf_level) / 2, df) * error / (estimate * (1 - estimate))
    low, high = expit(logit(estimate) + half * np.array([-1.0, 1.0]))
    return float(low), float(high)


def newcombe_limits(
    estimate: float, n: float, reference_n: float, *, conf_level: float
) -> tuple[float, float]:
    """Return Newcombe's limits of a win probability, which hold at 0 and 1.

    Parameters
    ----------
    estimate
        P(higher) + P(equal)/2.
    n, reference_n
        The sizes of the groups.
    conf_level
        Two-sided confidence level.

    Returns
    -------
    tuple of float

    Notes
    -----
    His method 5: all t with (estimate - t)² ≤ z²·V(t), V(t) = t(1 - t)(1 + m(1 - t)/(2 - t) + m·t/(1 + t))/(n·n₀) and
    m = (n + n₀)/2 - 1, Hanley and McNeil's variance with equal groups.

    References
    ----------
    Newcombe RG (2006). Confidence intervals for an effect size measure based on the Mann-Whitney statistic. Part 2.
    doi:10.1002/sim.2324
    """
    quantile, spread = stats.norm.isf((1 - conf_level) / 2), (n + reference_n) / 2 - 1

    def above(t: Floats) -> npt.NDArray[np.bool_]:
        variance = t * (1 - t) * (1 + spread * (1 - t) / (2 - t) + spread * t / (1 + t)) / (n * reference_n)
        return np.asarray(np.abs(estimate - t) > quantile * np.sqrt(variance))

    low = float(crossing(above, [0.0], [estimate])[0]) if estimate > 0 else 0.0
    high = float(1 - crossing(lambda t: above(1 - t), [0.0], [1 - estimate])[0]) if estimate < 1 else 1.0
    return low, high


def _rank_test(used: GradedSample) -> float:
    """Return van Elteren's z; NaN where no permutation changes it."""
    if not len(used.grade):
        return np.nan
    estimate, _ = _influence(used)
    _, sizes = _cells(used)
    reference, group = sizes[::2], sizes[1::2]
    total = reference + group
    variance = float((_null_variances(used) / (total + 1) ** 2).sum())
    excess = (estimate - 0.5) * float((reference * group / (total + 1)).sum())
    return excess / np.sqrt(variance) if variance > _UNSEEN else np.nan
