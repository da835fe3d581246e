"""Shares of cases beside those of others in the same strata, such as of who stopped beside who came to the same session."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd
from scipy import stats

from mesostats.estimators.arguments import check_conf_level, check_same_length, counts, indicators
from mesostats.estimators.clusters import ClusterTotals
from mesostats.estimators.proportions import clustered_proportion, wilson_limits

if TYPE_CHECKING:
    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]

GROUPS: Final = ("cases", "others", "difference")
"""The rows, in their order."""
_NUMBERS: Final = ("estimate", "std_error", "conf_low", "conf_high", "df")
_OTHERS: Final = (
    "standardized to the strata of the cases; Wilson score interval at the effective sample size, t quantile"
)
_DIFFERENCE: Final = (
    "difference of clustered Wilson intervals (MOVER) with the linearised correlation; t, df = clusters - 1"
)
_NO_CASES: Final = "no cases"
_NO_OTHERS: Final = "nobody in the strata of the cases to compare with"
_ALIKE: Final = "all observations are alike: variance unseen"
_ONE: Final = "one cluster: the variance between clusters is unknown"


def matched_shares(
    outcome: npt.ArrayLike,
    case: npt.ArrayLike,
    stratum: npt.ArrayLike,
    *,
    clusters: npt.ArrayLike,
    frequencies: npt.ArrayLike | None = None,
    conf_level: float = 0.95,
) -> pd.DataFrame:
    """Estimate how common an outcome is among cases, and among others in the same strata.

    Parameters
    ----------
    outcome
        Booleans or 0 and 1, shape (n,).
    case
        Whether each observation is a case, as booleans or 0 and 1, shape (n,).
    stratum
        What cases and others are matched on, shape (n,).
    clusters
        Who or what each observation belongs to, shape (n,).
    frequencies
        How many alike observations of its cluster each row stands for, shape (n,); one if not given.
    conf_level
        Two-sided confidence level.

    Returns
    -------
    pandas.DataFrame
        Three rows, ``group`` being cases, others and difference: ``group, estimate, std_error, conf_low, conf_high, conf_level,
        statistic, df, p_value, numerator, denominator, method, note``. Numerator and denominator of the others are counts, those
        of the difference those of the cases.

    Raises
    ------
    ValueError
        If lengths differ, a stratum or cluster is missing, or a value is not as described.

    Notes
    -----
    The share of the others is sum over strata of w·p with p the share in the stratum and w the cases' part in it, taken as
    given. Variances and their covariance are linearised over clusters, with factor k/(k - 1) for k clusters. The limits of the
    others' share are Wilson's at the effective sample size p(1 - p)/variance, at most 1/sum(w²/n); where all are
    alike, at that size or the number of clusters. The limits of the difference are those of `crude_risks`. Cases in strata
    without others are in the first row only.

    References
    ----------
    Zou GY, Donner A (2008). Construction of confidence limits about effect measures: a general approach.
    doi:10.1002/sim.3095

    Examples
    --------
    Cases: 2 of 3, two of them in the first stratum. Others: 1 of 2 and 1 of 4, so that theirs is 2/3·1/2 + 1/3·1/4 = 5/12.

    >>> found = matched_shares(
    ...     outcome=[1, 1, 0, 1, 0, 1, 0, 0, 0],
    ...     case=[1, 1, 1, 0, 0, 0, 0, 0, 0],
    ...     stratum=[1, 1, 2, 1, 1, 2, 2, 2, 2],
    ...     clusters=range(9),
    ... )
    >>> found[["group", "estimate", "numerator", "denominator"]].round(3)
            group  estimate  numerator  denominator
    0       cases     0.667        2.0          3.0
    1      others     0.417        2.0          6.0
    2  difference     0.250        2.0          3.0
    """
    check_conf_level(conf_level)
    rows = _rows(outcome, case, stratum, clusters=clusters, frequencies=frequencies)
    cases, others = rows[rows["case"] == 1], rows[rows["case"] == 0]
    matched = cases[cases["stratum"].isin(others["stratum"])]
    others = others[others["stratum"].isin(matched["stratum"])]
    alone = int(cases["number"].sum() - matched["number"].sum())
    influence = pd.DataFrame({"case": _influence(matched, matched), "other": _influence(others, matched)})
    shares = [_case_share(cases, conf_level), _other_share(others, matched, influence, conf_level)]
    own = _case_share(matched, conf_level) if alone else shares[0]
    note = f"{alone} cases in strata without others are in no comparison" if alone else ""
    shares.append(_difference(own, shares[1], influence) | {"note": note})
    found = pd.DataFrame(shares).assign(group=GROUPS, conf_level=conf_level)
    why = _NO_CASES if cases.empty else _NO_OTHERS if matched.empty else ""
    if why:
        found["note"] = np.where(found["group"] == "cases", found["note"], why)
        found.loc[found["group"] != "cases", [*_NUMBERS, "statistic", "p_value"]] = np.nan
    columns = ["group", *_NUMBERS[:4], "conf_level", "statistic", "df", "p_value"]
    return found[[*columns, "numerator", "denominator", "method", "note"]]


def _rows(
    outcome: npt.ArrayLike,
    case: npt.ArrayLike,
    stratum: npt.ArrayLike,
    *,
    clusters: npt.ArrayLike,
    frequencies: npt.ArrayLike | None,
) -> pd.DataFrame:
    """Return checked observations that stand for somebody."""
    hit, is_case = indicators(outcome, "outcome"), indicators(case, "case")
    number = np.ones(len(hit), dtype=np.int64) if frequencies is None else counts(frequencies, "frequencies")
    codes = {
        name: pd.factorize(pd.Series(values))[0]
        for name, values in (("stratum", stratum), ("clusters", clusters))
    }
    check_same_length(outcome=hit, case=is_case, frequencies=number, **codes)
    for name, found in codes.items():
        if np.any(found < 0):
            msg = f"{name} has {np.sum(found < 0)} missing values (first at position {np.argmax(found < 0)})"
            raise ValueError(msg)
    rows = pd.DataFrame({"hit": hit, "case": is_case, "number": number.astype(np.float64)} | codes)
    return rows[rows["number"] > 0]


def _influence(rows: pd.DataFrame, cases: pd.DataFrame) -> pd.Series[float]:
    """Return each cluster's part in the error of the share of rows, standardized to the strata of the cases."""
    if rows.empty:
        return pd.Series(dtype="float64")
    sums = rows.assign(hits=rows["hit"] * rows["number"]).groupby("stratum")[["hits", "number"]].sum()
    weight = cases.groupby("stratum")["number"].sum() / cases["number"].sum()
    share = sums["hits"] / sums["number"]
    if rows is cases:  # the plain mean: its strata are as they came
        share[:] = sums["hits"].sum() / sums["number"].sum()
    residual = rows["hit"] - rows["stratum"].map(share)
    part = rows["stratum"].map(weight / sums["number"])
    return (rows["number"] * residual * part).groupby(rows["clusters"]).sum()


def _case_share(cases: pd.DataFrame, conf_level: float) -> dict[str, Any]:
    sums = cases.assign(hits=cases["hit"] * cases["number"]).groupby("clusters")[["hits", "number"]].sum()
    found = clustered_proportion(
        ClusterTotals.from_arrays(sums["hits"], sums["number"]), conf_level=conf_level
    )
    wanted = [*_NUMBERS, "numerator", "denominator", "method", "note"]
    return {name: found[name].iloc[0] for name in wanted} | {"statistic": np.nan, "p_value": np.nan}


def _other_share(
    others: pd.DataFrame, cases: pd.DataFrame, influence: pd.DataFrame, conf_level: float
) -> dict[str, Any]:
    """Return the standardized share of the others, with its Wilson limits."""
    number = others.groupby("stratum")["number"].sum()
    weight = cases.groupby("stratum")["number"].sum() / cases["number"].sum()
    hits = (others["hit"] * others["number"]).groupby(others["stratum"]).sum()
    share = float((weight * hits / number).sum()) if len(others) else np.nan
    clusters = int(others["clusters"].nunique())
    factor = clusters / (clusters - 1) if clusters > 1 else np.nan
    variance = float((influence["other"] ** 2).sum()) * factor
    most = 1 / float((weight**2 / number).sum()) if len(others) else np.nan
    inside = variance > 0 and 0 < share < 1
    size = min(share * (1 - share) / variance, most) if inside else min(clusters, most) * (factor / factor)
    quantile = stats.t.isf((1 - conf_level) / 2, clusters - 1 if clusters > 1 else np.nan)
    low, high = wilson_limits(np.array([share]), np.array([size]), quantile)
    return {
        "estimate": share,
        "std_error": float(np.sqrt(share * (1 - share) / size)),
        "conf_low": float(low[0]),
        "conf_high": float(high[0]),
        "df": float(clusters - 1) if clusters else np.nan,
        "numerator": float(hits.sum()),
        "denominator": float(number.sum()),
        "method": _OTHERS,
        "note": _ONE if clusters == 1 else "" if inside else _ALIKE,
        "statistic": np.nan,
        "p_value": np.nan,
    }


def _difference(case: dict[str, Any], other: dict[str, Any], influence: pd.DataFrame) -> dict[str, Any]:
    """Return cases minus others, whose limits recover those of the two shares."""
    (p, low, high), (q, other_low, other_high) = (
        [float(each[name]) for name in ("estimate", "conf_low", "conf_high")] for each in (case, other)
    )
    parts = influence.fillna(0.0).to_numpy()
    clusters = len(parts)
    factor = clusters / (clusters - 1) if clusters > 1 else np.nan
    spread = parts.T @ parts * factor
    error = float(np.sqrt(max(spread[0, 0] + spread[1, 1] - 2 * spread[0, 1], 0)))
    product = float(np.sqrt(spread[0, 0] * spread[1, 1]))
    correlation = spread[0, 1] / product if product > 0 else 0.0

    def reach(own: float, against: float) -> float:
        return float(np.sqrt(max(own**2 + against**2 - 2 * correlation * own * against, 0)))

    seen = error > 0 and 0 < p < 1 and 0 < q < 1
    statistic = (p - q) / error if seen else np.nan
    return {
        "estimate": p - q,
        "std_error": error if seen else np.nan,
        "conf_low": p - q - reach(p - low, other_high - q),
        "conf_high": p - q + reach(high - p, q - other_low),
        "df": float(clusters - 1),
        "statistic": statistic,
        "p_value": float(2 * stats.t.sf(abs(statistic), clusters - 1)),
        "numerator": case["numerator"],
        "denominator": case["denominator"],
        "method": _DIFFERENCE,
    }
