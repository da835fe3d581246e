"""Change beyond measurement error, and beyond the regression to the mean of those chosen for a bad baseline."""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING, Any, Final

import narwhals as nw
import numpy as np
import pandas as pd

from mesostats.assessments import END_OF_COURSE
from mesostats.engine import collect
from mesostats.estimators import ClusterTotals, clustered_proportion, proportion
from mesostats.estimators.arguments import check_conf_level
from mesostats.estimators.clustering import with_clustering_note
from mesostats.estimators.regression_to_mean import mee_chua
from mesostats.outcomes.error_sizes import OWN, UNKNOWN, expected_changes, known_errors
from mesostats.outcomes.patient_means import patient_means
from mesostats.outcomes.questions import directions, question, without_direction
from mesostats.populations import POPULATIONS, cluster_sums, labels
from mesostats.results import Result, contract, stack

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mesostats.dataset import Dataset
    from mesostats.outcomes.error_sizes import ErrorSize, KnownErrors
    from mesostats.outcomes.questions import EndpointChoice, Question

_SLACK: Final = 1e-9
_SHARES: Final = ("better_beyond_error", "within_error", "worse_beyond_error")
_REGRESSION: Final = ("mean_change_chosen", "regression_to_mean", "change_beyond_regression")
_NUMBERS: Final = (
    "estimate",
    "std_error",
    "conf_low",
    "conf_high",
    "statistic",
    "df",
    "p_value",
    "numerator",
)
_MEANINGS: Final = {
    "better_beyond_error": "courses with baseline and endpoint; improved by more than the error",
    "within_error": "the same courses; changed by no more than the error",
    "worse_beyond_error": "the same courses; worse by more than the error",
    "mean_change_chosen": "of these, the courses with a baseline worse than the population's mean",
    "regression_to_mean": "the same courses: the mean change that their baselines lead to expect without treatment",
    "change_beyond_regression": "the same courses: the mean change less the expected one",
    "mee_chua_effect": "courses with baseline and endpoint, where the population's mean is given",
}
_REFERENCES: Final = (
    "Davis CE. Am J Epidemiol 1976;104:493-498. doi:10.1093/oxfordjournals.aje.a112321",
    "Mee RW, Chua TC. Am Stat 1991;45:39-42. doi:10.1080/00031305.1991.10475763",
    "Bland JM, Altman DG. BMJ 1996;313:744. doi:10.1136/bmj.313.7059.744",
)


def change_beyond_error(
    clinic: Dataset,
    *,
    by: str | Sequence[str] | None = "indication",
    instrument: str | Sequence[str] | None = None,
    error: ErrorSize | Mapping[str, ErrorSize] | None = None,
    reliability: float | Mapping[str, float] | None = None,
    population_mean: float | Mapping[str, float] | None = None,
    endpoint: EndpointChoice = END_OF_COURSE,
    window: int | None = None,
    conf_level: float = 0.95,
) -> Result:
    """Estimate how many courses changed by more than measurement error, and how much of a mean change is regression to the mean.

    Parameters
    ----------
    clinic
        A data set with outcomes.
    by
        Columns of patients or courses.
    instrument
        One or several instruments; all that the outcomes hold by default.
    error
        The smallest detectable change of the instrument in its unit, or its lowest and highest published value; one for all, or
        by instrument. The vocabulary's by default: of most instruments none is known.
    reliability
        The correlation of two measurements of a patient who has not changed (test-retest), above 0 and at most 1; one for all, or
        by instrument. By default derived from the error.
    population_mean
        The mean in the population from which patients were chosen for a bad baseline; one for all, or by instrument. By default the
        mean baseline of the cell's own courses.
    endpoint, window
        As of `response`.
    conf_level
        Two-sided confidence level.

    Returns
    -------
    Result
        By group, ``instrument`` and ``error`` (its size, or "not known"): estimands ``better_beyond_error``, ``within_error`` and
        ``worse_beyond_error`` (shares of the courses with baseline and endpoint); ``mean_change_chosen``,
        ``regression_to_mean`` and ``change_beyond_regression`` of the courses whose baseline is worse than the population's
        mean; and ``mee_chua_effect`` where `population_mean` is given.

    Raises
    ------
    DataError
        If the table outcomes is absent.
    VocabularyError
        If an instrument is not in the vocabulary.
    ValueError
        If an argument is not as described.

    Notes
    -----
    A course changed beyond error if its value differs from the baseline by more than the error. A published error is taken
    as the smallest detectable change, 1.96·√2 standard errors of measurement: from it the reliability is
    1 - (error/(1.96·√2))²/s², with s the standard deviation of the cell's baselines (smaller than that of a population from
    which the worst were chosen: the reliability then comes out too low).

    Regression to the mean: of a course with baseline b the expected change without treatment is (1 - reliability)·(m - b), with m the
    population's mean. It assumes that measurements before and after are linear in one another with the same mean and
    variance, that patients were chosen by the baseline measurement itself, and that reliability and m are known: their
    uncertainty is not in the intervals. Where m is the clinic's own mean, only the half with the worse baselines is expected
    to regress, and what the whole clinic was chosen by is not seen: give `population_mean` if it is known. The Mee-Chua
    effect then needs no reliability.

    References
    ----------
    Davis CE (1976). The effect of regression to the mean in epidemiologic and clinical studies.
    doi:10.1093/oxfordjournals.aje.a112321

    Mee RW, Chua TC (1991). Regression toward the mean and the paired sample t test. doi:10.1080/00031305.1991.10475763

    Examples
    --------
    >>> import mesostats as ms
    >>> found = change_beyond_error(ms.simulate(300, seed=1), instrument="masi", error=5)
    >>> shares = found.estimates.query("unit == 'courses' and estimand.str.endswith('_error')", engine="python")
    >>> round(float(shares["estimate"].sum()), 9)
    1.0
    """
    check_conf_level(conf_level)
    asked = question(
        clinic, by=by, instrument=instrument, rule=None, endpoint=endpoint, window=window, taken=OWN
    )
    given = known_errors(asked, error, reliability, population_mean)
    courses = expected_changes(clinic, asked, given)
    keys = [*asked.columns, "instrument", "error"]
    frames = [_shares(courses, keys, conf_level), _regression(courses, keys, conf_level)]
    frames.append(_mee_chua(courses, keys, given, conf_level))
    estimates = _with_notes(contract(stack(frames), keys), asked, given)
    estimates = estimates.sort_values(keys, kind="stable", ignore_index=True)
    arguments: dict[str, Any] = asked.arguments | {"error": error, "reliability": reliability}
    arguments |= {"population_mean": population_mean, "conf_level": conf_level}
    return Result(estimates, _spec(clinic, asked, arguments), lambda cell: _explain(courses, keys, cell))


def _shares(courses: nw.LazyFrame[Any], keys: list[str], conf_level: float) -> pd.DataFrame:
    """Estimate the shares of the courses that changed for the better or worse by more than the error, or did not."""
    change, size = nw.col("change"), nw.col("size")
    better, worse = (change * nw.col("lower_is_better") * sign > size + _SLACK for sign in (-1, 1))
    events = {_SHARES[0]: better, _SHARES[1]: ~(better | worse), _SHARES[2]: worse}
    known = ~change.is_null() & ~size.is_null()
    terms = [
        nw.when(known & hit).then(nw.lit(1.0)).otherwise(nw.lit(0.0)).sum().alias(name)
        for name, hit in events.items()
    ]
    patients = courses.group_by(*keys, "patient_id").agg(
        nw.len().cast(nw.Float64).alias("due"),
        nw.when(~change.is_null()).then(nw.lit(1.0)).otherwise(nw.lit(0.0)).sum().alias("_n"),
        *terms,
    )
    sums = [part for name in events for part in cluster_sums(nw.col("_n"), nw.col(name), name)]
    found = collect(patients.group_by(*keys).agg(nw.col("due").sum(), *sums)).sort_values(
        keys, ignore_index=True
    )
    frames = []
    for name in events:
        totals = ClusterTotals(
            **{part.name: found[f"{name}_{part.name}"].to_numpy(float) for part in fields(ClusterTotals)}
        )
        shares = _share(totals, conf_level).assign(
            **{column: found[column] for column in keys},
            estimand=name,
            unit="courses",
            n_missing=found["due"] - totals.trials,
        )
        shares.loc[found["error"] == UNKNOWN, [*_NUMBERS]] = np.nan
        frames.append(shares)
    return stack(frames)


def _share(totals: ClusterTotals, conf_level: float) -> pd.DataFrame:
    """Estimate proportions: Wilson, clustered where patients have several courses."""
    single = proportion(totals.successes, totals.trials, conf_level=conf_level).assign(df=np.nan)
    several = with_clustering_note(clustered_proportion(totals, conf_level=conf_level))
    repeated = totals.trials > totals.clusters
    found = pd.DataFrame({name: np.where(repeated, several[name], single[name]) for name in single.columns})
    return found.assign(method=found["method"] + "; observed cases only", statistic=np.nan, p_value=np.nan)


def _regression(courses: nw.LazyFrame[Any], keys: list[str], conf_level: float) -> pd.DataFrame:
    """Estimate the change of the courses with a bad baseline, what was to be expected of it, and the rest."""
    chosen = nw.when(nw.col("_chosen") == 1)
    measures = {
        "mean_change_chosen": chosen.then(nw.col("change")),
        "regression_to_mean": nw.col("expected"),
        "change_beyond_regression": nw.col("beyond"),
    }
    found = patient_means(courses, keys, measures, conf_level=conf_level)
    sizes = found[found["estimand"] == "mean_change_chosen"].set_index(keys)["denominator"]
    own = sizes.reindex(pd.MultiIndex.from_frame(found[keys])).to_numpy()
    expected = found["estimand"] == "regression_to_mean"
    found.loc[expected, ["std_error", "conf_low", "conf_high", "statistic", "df", "p_value"]] = np.nan
    return found.assign(
        denominator=own,
        n_missing=np.nan,
        method=np.where(
            expected,
            "(1 - reliability)·(population's mean - baseline), averaged",
            found["method"] + "; observed cases only",
        ),
        note=np.where(expected, "", found["note"]),
    )


def _mee_chua(
    courses: nw.LazyFrame[Any], keys: list[str], given: KnownErrors, conf_level: float
) -> pd.DataFrame:
    """Estimate the effect at the population's mean, of instruments where it is given."""
    columns = [*keys, "patient_id", "baseline", "value"]
    known = courses.filter(nw.col("instrument").is_in(sorted(given.population_mean)))
    rows = collect(known.select(columns)).sort_values([*keys, "patient_id"], ignore_index=True)
    frames = []
    for names, cell in rows.groupby(keys, sort=True):
        named: dict[str, Any] = dict(zip(keys, names, strict=True))
        evaluable = cell.dropna(subset=["baseline", "value"])
        found = mee_chua(
            cell["baseline"],
            cell["value"],
            population_mean=given.population_mean[named["instrument"]],
            clusters=cell["patient_id"] if evaluable["patient_id"].duplicated().any() else None,
            conf_level=conf_level,
        )
        frames.append(found.assign(**named, estimand="mee_chua_effect", unit="courses"))
    return stack(frames)


def _with_notes(estimates: pd.DataFrame, asked: Question, given: KnownErrors) -> pd.DataFrame:
    """Say what an estimate supposes, or why there is none; blank instruments whose direction nobody declared."""
    inside = estimates["estimand"].isin(_REGRESSION)
    notes = [
        _remark(row, given, inside=each) for row, each in zip(estimates.itertuples(), inside, strict=True)
    ]
    unknown = (estimates["error"] == UNKNOWN) & estimates["estimand"].isin(_SHARES)
    noted = estimates.assign(note=notes, method=estimates["method"].mask(unknown, ""))
    return without_direction(noted, asked.scorings)


def _remark(row: Any, given: KnownErrors, *, inside: bool) -> str:
    """Say what an estimate supposes, and where reliability and the population's mean come from; or what is lacking."""
    code, unknown = str(row.instrument), row.error == UNKNOWN
    if row.estimand in _SHARES and unknown:
        return f"no measurement error of '{code}' is in the vocabulary: pass error="
    if not inside:
        return str(row.note)
    mean = "given" if code in given.population_mean else "that of the cell's own baselines"
    if row.estimand == "mean_change_chosen":
        return "; ".join(filter(None, (f"population's mean: {mean}", row.note)))
    if code not in given.reliability and unknown:
        return f"no reliability of '{code}' is known: pass reliability= or error="
    if np.isnan(row.estimate) and row.denominator > 0:
        return "the error is as large as the spread of the baselines: no reliability can be derived"
    derived = "derived from the error and the spread of the baselines"
    source = f"given ({given.reliability[code]:g})" if code in given.reliability else derived
    return "; ".join(
        filter(None, (f"population's mean: {mean}; reliability: {source}, taken as known", row.note))
    )


def _explain(courses: nw.LazyFrame[Any], keys: list[str], cell: Mapping[str, Any]) -> pd.DataFrame:
    """Return one row a course that is due, of the cell's group and error, with its change and the expected one."""
    for column in keys:
        if column in cell:
            courses = courses.filter(nw.col(column) == cell[column])
    shown = [*keys, "course_id", "patient_id", "baseline", "value", "change", "expected"]
    rows = collect(courses.select(*shown, "reason", "_chosen", "size", "lower_is_better"))
    rows = rows.sort_values([*keys, "course_id"], ignore_index=True)
    estimand, why = str(cell.get("estimand", "")), rows["reason"].astype("str")
    if estimand in _REGRESSION:
        why = why.mask((why == "") & (rows["_chosen"] == 0), "baseline not worse than the population's mean")
    counted = why == ""
    improved = -rows["change"] * rows["lower_is_better"]
    hits = {
        _SHARES[0]: improved > rows["size"] + _SLACK,
        _SHARES[1]: improved.abs() <= rows["size"] + _SLACK,
        _SHARES[2]: -improved > rows["size"] + _SLACK,
    }
    return rows[shown].assign(
        in_denominator=counted, in_numerator=counted & hits.get(estimand, counted), excluded=why
    )


def _spec(clinic: Dataset, asked: Question, arguments: dict[str, Any]) -> dict[str, Any]:
    return {
        "analysis": "change_beyond_error",
        "title": "Change beyond measurement error and regression to the mean",
        "arguments": arguments,
        "cutoff": clinic.cutoff.isoformat(),
        "population": {"courses": POPULATIONS["treated"] + ", whose endpoint is due", **_MEANINGS},
        "rules": [
            *asked.timing,
            *directions(asked.scorings),
            "A published error is taken as the smallest detectable change; where a range is published, both ends are shown.",
        ],
        "primary": "better_beyond_error",
        "references": list(_REFERENCES),
        "units": {each.instrument.code: each.instrument.unit for each in asked.scorings},
        "labels": labels(clinic, [*arguments["by"], "instrument"]),
    }
