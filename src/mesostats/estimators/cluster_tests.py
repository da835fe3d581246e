"""Exact test whether those who were exposed have more events than others of the same stratum."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd
from scipy import special, stats

from mesostats.estimators.arguments import check_same_length, counts, indicators

if TYPE_CHECKING:
    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]
    Integers = npt.NDArray[np.int64]

_EXACT: Final = "exact stratified permutation test, one-sided for more events"
_NORMAL: Final = (
    "stratified permutation test, one-sided for more events, normal approximation for large counts"
)
_WORK: Final = 1e7  # additions that one exact distribution may take: some hundredths of a second


@dataclass(frozen=True, eq=False)
class _Stratum:
    """The distinct scores of a stratum, how many units have each, and how many units are exposed."""

    scores: Integers
    sizes: Integers
    sample: int

    @property
    def work(self) -> float:
        """How many additions its exact distribution takes."""
        rows, columns, additions = 1, 1, 0
        for score, size in zip(self.scores.tolist(), self.sizes.tolist(), strict=True):
            if score > 0:
                most = min(size, self.sample)
                additions += (most + 1) * rows * columns
                rows, columns = min(rows + most, self.sample + 1), columns + most * score
        return float(additions)


def permutation_test(
    score: npt.ArrayLike,
    exposed: npt.ArrayLike,
    *,
    weights: npt.ArrayLike | None = None,
    strata: npt.ArrayLike | None = None,
    group: npt.ArrayLike | None = None,
) -> pd.DataFrame:
    """Test whether exposed units have more events than the other units of their strata.

    Parameters
    ----------
    score
        The number of events of a unit (a patient), shape (n,); whole.
    exposed
        Whether the unit was exposed (True or 1), shape (n,).
    weights
        How many units each element stands for, whole numbers, shape (n,); 1 each if not given.
    strata
        Labels within which units are compared, shape (n,); all with one another if not given.
    group
        Labels of tests made at once, shape (n,); one test if not given.

    Returns
    -------
    pandas.DataFrame
        One row a test, indexed by the sorted labels of `group`: ``units`` (exposed ones in strata that have others too),
        ``others`` (in strata that have exposed ones too), ``observed, expected`` (events of these exposed units),
        ``std_error`` (of the observed number under the null hypothesis), ``statistic`` (their difference over it),
        ``p_value`` (one-sided), ``method, note``. Where exposed units have no others in their strata, statistic and p
        value are NaN; where the units that are compared do not differ, the p value is 1 and the statistic NaN. The note
        says so.

    Raises
    ------
    ValueError
        If an argument is not as described.

    Notes
    -----
    The null hypothesis is that within a stratum the scores are exchangeable between exposed and other units. Given the
    scores and the number of exposed units, the sum of scores over the exposed is then that of a sample drawn without
    replacement; the sums of the strata are independent and their distributions convolved. The p value is the probability
    of a sum at least as large as the observed one. It is never above the nominal level more often than stated, and
    less often where scores are few.

    Where scores are 0 and 1 a stratum's sum is hypergeometric, and this is the exact Cochran-Mantel-Haenszel test,
    with one stratum Fisher's. Whatever makes events of one unit alike (a frail patient, several sessions) stays within its
    score and costs no validity; what makes exposed units unlike others (more sessions, another clinic) must be in the
    strata.

    Where the exact distribution would take more than ten million additions, the sum is taken as normal with a continuity
    correction; ``method`` says so.

    References
    ----------
    Pagano M, Tritchler D (1983). On obtaining permutation distributions in polynomial time.
    doi:10.1080/01621459.1983.10477990

    Mehta CR, Patel NR, Gray R (1985). Computing an exact confidence interval for the common odds ratio in several 2 x 2
    contingency tables. doi:10.1080/01621459.1985.10478212

    Examples
    --------
    By hand: of four patients two were exposed, and these have the two events; 1 of 6 ways to draw two of four has both.

    >>> permutation_test([1, 1, 0, 0], [1, 1, 0, 0])[["observed", "expected", "p_value"]].round(4)
       observed  expected  p_value
    0         2       1.0   0.1667
    """
    cells = _cells(score, exposed, weights, strata, group)
    sums = _stratum_sums(cells)
    useful = sums[(sums["exposed"] > 0) & (sums["others"] > 0)]
    tests = cells["group"].drop_duplicates().sort_values()
    columns = ["exposed", "others", "observed", "expected", "variance"]
    found = useful.groupby("group")[columns].sum().reindex(tests, fill_value=0)
    spread = np.sqrt(found["variance"].to_numpy(float))
    above = (found["observed"] - found["expected"]).to_numpy(float)
    tails = _tails(cells, useful, found)
    return pd.DataFrame(
        {
            "units": found["exposed"].astype("int64"),
            "others": found["others"].astype("int64"),
            "observed": found["observed"].astype("int64"),
            "expected": found["expected"].astype(float),
            "std_error": spread,
            "statistic": above / np.where(spread > 0, spread, np.nan),
            "p_value": [p for p, _ in tails],
            "method": [method for _, method in tails],
            "note": _notes(found),
        }
    ).rename_axis(index=None)


def _cells(
    score: npt.ArrayLike,
    exposed: npt.ArrayLike,
    weights: npt.ArrayLike | None,
    strata: npt.ArrayLike | None,
    group: npt.ArrayLike | None,
) -> pd.DataFrame:
    """Return one row a group, stratum and score: the numbers of exposed and of other units."""
    y, e = counts(score, "score"), indicators(exposed, "exposed")
    n = np.ones(len(y), dtype=np.int64) if weights is None else counts(weights, "weights")
    labels = {
        name: np.zeros(len(y), dtype=np.int64) if given is None else np.asarray(given)
        for name, given in (("strata", strata), ("group", group))
    }
    check_same_length(score=y, exposed=e, weights=n, **labels)
    for name, label in labels.items():
        if missing := int(pd.isna(label).sum()):
            msg = f"{name} has {missing} missing values"
            raise ValueError(msg)
    frame = pd.DataFrame({**labels, "score": y, "exposed": n * e, "others": n * (1 - e)})
    return frame.groupby(["group", "strata", "score"], as_index=False)[["exposed", "others"]].sum()


def _stratum_sums(cells: pd.DataFrame) -> pd.DataFrame:
    """Return one row a group and stratum: sizes, and the moments of the sum of scores over the exposed."""
    n = cells["exposed"] + cells["others"]
    terms = cells.assign(
        observed=cells["exposed"] * cells["score"], total=n * cells["score"], squares=n * cells["score"] ** 2
    )
    sums = terms.groupby(["group", "strata"])[["exposed", "others", "observed", "total", "squares"]].sum()
    size = sums["exposed"] + sums["others"]
    spread = sums["squares"] - sums["total"] ** 2 / size.where(size > 0)
    share = sums["exposed"] / size.where(size > 0)
    return sums.assign(
        expected=share * sums["total"],
        variance=share * sums["others"] * spread.clip(lower=0) / (size - 1).where(size > 1),
    )


def _tails(cells: pd.DataFrame, useful: pd.DataFrame, found: pd.DataFrame) -> list[tuple[float, str]]:
    """Return the p value of each test, and how it was computed."""
    varied = useful[useful["variance"] > 0]
    parts: dict[Any, list[_Stratum]] = {name: [] for name in found.index}
    rows = cells.set_index(["group", "strata"])
    rows = rows[rows.index.isin(varied.index)]
    starts = np.flatnonzero(~rows.index.duplicated())
    scores, exposed = rows["score"].to_numpy(), rows["exposed"].to_numpy()
    sizes = exposed + rows["others"].to_numpy()
    for (name, _), *arrays in zip(
        rows.index[starts], *(np.split(each, starts[1:]) for each in (scores, sizes, exposed)), strict=False
    ):
        parts[name].append(_Stratum(arrays[0], arrays[1], int(arrays[2].sum())))
    observed = varied.groupby("group")["observed"].sum().reindex(found.index, fill_value=0)
    return [
        _tail(parts[name], int(number), float(z)) if units > 0 else (np.nan, _EXACT)
        for name, number, z, units in zip(
            found.index, observed, _corrected(found), found["exposed"], strict=True
        )
    ]


def _corrected(found: pd.DataFrame) -> Floats:
    """Return the standardised excess with a continuity correction; NaN where scores do not differ."""
    spread = np.sqrt(found["variance"].to_numpy(float))
    above = (found["observed"] - found["expected"]).to_numpy(float) - 0.5
    return np.asarray(above / np.where(spread > 0, spread, np.nan), dtype=np.float64)


def _tail(strata: list[_Stratum], observed: int, corrected: float) -> tuple[float, str]:
    """Return P(sum over the exposed ≥ observed), over strata whose scores differ; 1 without any."""
    if observed == 0:
        return 1.0, _EXACT
    if sum(stratum.work for stratum in strata) > _WORK:
        return float(stats.norm.sf(corrected)), _NORMAL
    chances = np.ones(1)
    for stratum in strata:
        chances = np.convolve(chances, _sum_chances(stratum))
    return min(float(chances[observed:].sum()), 1.0), _EXACT


def _sum_chances(stratum: _Stratum) -> Floats:
    """Return the distribution of the sum of scores of the exposed, drawn without replacement from a stratum.

    Units are drawn score by score: how many of the next score are among the sample is hypergeometric, given how many
    were drawn before. Row j of the table holds the chances that j units were drawn, column s those of their sum.
    """
    table, left = np.ones((1, 1)), int(stratum.sizes.sum())
    for score, size in zip(stratum.scores.tolist(), stratum.sizes.tolist(), strict=True):
        if score == 0:
            continue
        most = min(size, stratum.sample)
        to_draw = stratum.sample - np.arange(len(table))
        chance = _hypergeometric(np.arange(most + 1)[:, None], left, size, to_draw)
        wider = np.zeros((len(table) + most, table.shape[1] + most * score))
        for more in range(most + 1):
            sums = slice(more * score, more * score + table.shape[1])
            wider[more : more + len(table), sums] += table * chance[more][:, None]
        table, left = wider[: stratum.sample + 1], left - size
    return np.asarray(table.sum(axis=0), dtype=np.float64)


def _hypergeometric(drawn: Integers, total: int, marked: int, sample: Integers) -> Floats:
    """Return the chance of so many marked ones in a sample; 0 where that cannot be."""
    rest = sample - drawn
    possible = (rest >= 0) & (rest <= total - marked) & (sample <= total)
    rest, taken = np.where(possible, rest, 0), np.where(possible, sample, 0)
    logs = _log_choose(marked, drawn) + _log_choose(total - marked, rest) - _log_choose(total, taken)
    return np.where(possible, np.exp(logs), 0.0)


def _log_choose(n: int, k: Integers) -> Floats:
    return np.asarray(
        special.gammaln(n + 1) - special.gammaln(k + 1) - special.gammaln(n - k + 1), dtype=np.float64
    )


def _notes(found: pd.DataFrame) -> npt.NDArray[np.str_]:
    return np.select(
        [found["exposed"] == 0, found["variance"] == 0],
        ["no exposed unit has others to be compared with", "units that are compared do not differ in events"],
        default="",
    )
