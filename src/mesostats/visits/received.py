"""Sessions planned and sessions received: means, the distribution, and how many courses came to each."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Literal, get_args

import narwhals as nw
import numpy as np
import pandas as pd
from scipy import stats

from mesostats.engine import collect
from mesostats.estimators import clustered_proportion
from mesostats.estimators.arguments import check_choice, check_conf_level
from mesostats.estimators.clustering import with_clustering_note
from mesostats.populations import POPULATIONS, cluster_sums, grouping, labels, started_courses
from mesostats.results import Result, check_groups, contract, stack
from mesostats.schedule import TIMELINE_COLUMNS
from mesostats.visits.cells import sum_cells, totals_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mesostats.dataset import Dataset
    from mesostats.estimators import ClusterTotals

Courses = Literal["ended", "started"]

_TAKEN: Final = {*TIMELINE_COLUMNS, "known", "one", "in_denominator", "in_numerator", "excluded"} - {
    *("course_id", "patient_id", "protocol")
}
_POPULATION: Final = {
    "ended": "courses that started, and were completed or given up, by the data cut",
    "started": POPULATIONS["started"],
}
_RULES: Final = {
    "ended": "Courses that go on are left out (n_missing): short courses end early, so that near the data cut the mean is low.",
    "started": "Courses that go on count with what they have received so far.",
}


def sessions_received(
    clinic: Dataset,
    *,
    by: str | Sequence[str] | None = None,
    courses: Courses = "ended",
    conf_level: float = 0.95,
) -> Result:
    """Compare the sessions that courses planned with those that they received.

    Parameters
    ----------
    clinic
        A data set.
    by
        Columns of patients or courses.
    courses
        ``ended``: completed or given up by the data cut; ``started``: those that go on too, with what they have had.
    conf_level
        Two-sided confidence level.

    Returns
    -------
    Result
        Estimands ``planned_sessions`` and ``received_sessions`` (means per course; the former among courses with a plan,
        ``n_missing``: those without), ``received_share`` (received over planned sessions of the courses with a plan, not
        counting those past it), and by ``time`` = number of sessions: ``received_exactly`` (courses with just so many,
        from 0) and ``received_at_least`` (courses that came to that session). Unit: courses (``received_share``:
        sessions). ``n_missing`` elsewhere: courses of the group that go on, with ``ended``.

    Raises
    ------
    ValueError
        If an argument is not one of those above, or ``by`` bears a name that the analysis needs.

    Notes
    -----
    A session received is a day with an attended session. Intervals are clustered in patients (means: Student's t on the
    variance between patients, shares: `estimators.clustered_proportion`). Nothing here is corrected for censoring: `retention` is.

    Examples
    --------
    >>> import mesostats as ms
    >>> means = sessions_received(ms.simulate(200, seed=1), by="protocol")
    >>> planned = means.cell(protocol="short_course", estimand="planned_sessions")["estimate"]
    >>> received = means.cell(protocol="short_course", estimand="received_sessions")["estimate"]
    >>> bool(received < planned)
    True
    """
    check_choice(courses, get_args(Courses), "courses")
    check_conf_level(conf_level)
    columns = grouping(by, taken=_TAKEN)
    check_groups(columns)
    population = _population(clinic, columns, courses)
    cells = _cells(population, columns)
    frames = [_means(cells, columns, conf_level), _spread(population, cells, columns, conf_level)]
    estimates = contract(stack(frames), columns)
    order = estimates["estimand"].map({name: place for place, name in enumerate(_ORDER)})
    estimates = (
        estimates.assign(_order=order)
        .sort_values([*columns, "_order", "time"], ignore_index=True)
        .drop(columns="_order")
    )
    arguments = {"by": list(columns), "courses": courses, "conf_level": conf_level}
    return Result(estimates, _spec(clinic, arguments), lambda cell: _explain(population, columns, cell))


_ORDER: Final = (
    *("planned_sessions", "received_sessions", "received_share"),
    *("received_exactly", "received_at_least"),
)


def _population(clinic: Dataset, columns: Sequence[str], courses: Courses) -> nw.LazyFrame[Any]:
    """Return started courses with ``one`` (1 where the course counts) and ``known`` (1 where its plan is known too)."""
    counts = nw.col("state") != "ongoing" if courses == "ended" else nw.col("attended") >= 0
    started = started_courses(clinic, columns).with_columns(one=_one(counts))
    return started.with_columns(known=_one((nw.col("one") == 1) & ~nw.col("planned").is_null()))


def _one(condition: nw.Expr) -> nw.Expr:
    return nw.when(condition).then(nw.lit(1.0)).otherwise(nw.lit(0.0))


def _cells(population: nw.LazyFrame[Any], columns: Sequence[str]) -> pd.DataFrame:
    """Return, a group, the sums over patients of courses, planned and received sessions."""
    attended = nw.col("attended").cast(nw.Float64)
    planned = nw.col("planned").fill_null(0).cast(nw.Float64)
    within = nw.min_horizontal("attended", nw.col("planned").fill_null(0)).cast(nw.Float64)
    patients = population.group_by(*columns, "patient_id").agg(
        nw.col("one").sum(),
        nw.col("known").sum(),
        going=(1 - nw.col("one")).sum(),
        received=(attended * nw.col("one")).sum(),
        plan=(planned * nw.col("known")).sum(),
        within=(within * nw.col("known")).sum(),
    )
    sums = [
        *cluster_sums(nw.col("one"), nw.col("received"), "received"),
        *cluster_sums(nw.col("known"), nw.col("plan"), "plan"),
        *cluster_sums(nw.col("plan"), nw.col("within"), "within"),
        nw.col("going").sum(),
    ]
    return sum_cells(patients, columns, sums)


def _means(cells: pd.DataFrame, columns: Sequence[str], conf_level: float) -> pd.DataFrame:
    keys = {name: cells[name].to_numpy() for name in columns}
    going = cells["going"].to_numpy()
    unknown = (cells["received_trials"] - cells["plan_trials"]).to_numpy()
    planned, received = (_mean(totals_of(cells, name), conf_level) for name in ("plan", "received"))
    share = with_clustering_note(clustered_proportion(totals_of(cells, "within"), conf_level=conf_level))
    return stack(
        [
            planned.assign(**keys, estimand="planned_sessions", unit="courses", n_missing=unknown),
            received.assign(**keys, estimand="received_sessions", unit="courses", n_missing=going),
            share.assign(**keys, estimand="received_share", unit="sessions", n_missing=unknown),
        ]
    )


def _mean(totals: ClusterTotals, conf_level: float) -> pd.DataFrame:
    """Return means per course: a ratio of sums over patients, with its linearised variance and a t interval."""
    df = np.where(totals.clusters > 1, totals.clusters - 1, np.nan)
    error = np.sqrt(totals.ratio_variance)
    half = stats.t.isf((1 - conf_level) / 2, df) * error
    return pd.DataFrame(
        {
            "estimate": totals.ratio,
            "std_error": error,
            "conf_low": np.maximum(totals.ratio - half, 0.0),
            "conf_high": totals.ratio + half,
            "conf_level": conf_level,
            "df": df,
            "numerator": totals.successes,
            "denominator": totals.trials,
            "method": "mean per course, t interval from the variance between patients",
            "note": np.select(
                [totals.clusters == 0, totals.clusters == 1],
                ["no observations", "one cluster: the variance between clusters is unknown"],
                default="",
            ),
        }
    )


def _spread(
    population: nw.LazyFrame[Any], cells: pd.DataFrame, columns: Sequence[str], conf_level: float
) -> pd.DataFrame:
    """Return, a group and number of sessions, the courses with just so many, and with at least so many."""
    counted = population.filter(nw.col("one") == 1)
    top = collect(counted.select(nw.col("attended").max()))["attended"].fillna(0).astype(int).iloc[0]
    flags = [_one(nw.col("attended") == k).sum().alias(f"x{k}") for k in range(top + 1)]
    flags += [_one(nw.col("attended") >= k).sum().alias(f"y{k}") for k in range(1, top + 1)]
    patients = counted.group_by(*columns, "patient_id").agg(nw.len().cast(nw.Float64).alias("one"), *flags)
    names = [f"x{k}" for k in range(top + 1)] + [f"y{k}" for k in range(1, top + 1)]
    sums = [part for name in names for part in cluster_sums(nw.col("one"), nw.col(name), name)]
    spread = sum_cells(patients, columns, sums)
    if columns:
        spread = cells[[*columns]].merge(spread, on=[*columns], how="left").fillna(0.0)
    keys = {column: cells[column].to_numpy() for column in columns} | {"n_missing": cells["going"].to_numpy()}
    estimands = {"x": "received_exactly", "y": "received_at_least"}
    return stack(
        [
            with_clustering_note(clustered_proportion(totals_of(spread, name), conf_level=conf_level)).assign(
                **keys, estimand=estimands[name[0]], time=int(name[1:]), unit="courses"
            )
            for name in names
        ]
    )


def _spec(clinic: Dataset, arguments: dict[str, Any]) -> dict[str, Any]:
    return {
        "analysis": "sessions_received",
        "title": "Sessions planned and received",
        "arguments": arguments,
        "cutoff": clinic.cutoff.isoformat(),
        "population": {"courses": _POPULATION[arguments["courses"]]},
        "rules": [
            _RULES[arguments["courses"]],
            "A session received is a day with an attended session; of several visits on a day one counts.",
        ],
        "primary": "received_sessions",
        "references": ["Korn EL, Graubard BI. Survey Methodology 1998;24:193-201."],
        "labels": labels(clinic, arguments["by"]),
    }


def _explain(population: nw.LazyFrame[Any], columns: Sequence[str], cell: Mapping[str, Any]) -> pd.DataFrame:
    """Return one row a course with its planned and attended sessions.

    The flags count courses; numerators of means and of `received_share` are sums of the numbers of sessions.
    """
    for column in columns:
        if column in cell:
            population = population.filter(nw.col(column) == cell[column])
    rows = collect(
        population.select("course_id", "patient_id", "planned", "attended", "state", *columns, "one", "known")
    ).sort_values("course_id", ignore_index=True)
    estimand = cell.get("estimand", "received_sessions")
    planned = estimand in {"planned_sessions", "received_share"}
    counted = rows["known" if planned else "one"] == 1
    hit = counted & (rows["attended"] > 0)
    if "time" in cell and estimand == "received_exactly":
        hit = counted & (rows["attended"] == cell["time"])
    if "time" in cell and estimand == "received_at_least":
        hit = counted & (rows["attended"] >= cell["time"])
    why = np.where(
        rows["one"] == 1, "no plan: neither planned sessions nor a protocol", "goes on at the data cut"
    )
    return rows.drop(columns=["one", "known"]).assign(
        in_denominator=counted, in_numerator=hit, excluded=np.where(counted, "", why)
    )
