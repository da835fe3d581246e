"""Response: how many courses met the responder rule, with every denominator in sight."""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING, Any, Final, Literal, get_args

import narwhals as nw
import numpy as np
import pandas as pd

from mesostats.assessments import END_OF_COURSE, TAKEN, Endpoint, rules, scored_courses
from mesostats.engine import collect
from mesostats.estimators import ClusterTotals, clustered_proportion, proportion
from mesostats.estimators.clustering import with_clustering_note
from mesostats.populations import POPULATIONS, cluster_sums, grouping, labels
from mesostats.results import Result, contract, stack

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mesostats.assessments import Scoring
    from mesostats.dataset import Dataset
    from mesostats.estimators.proportions import ProportionMethod
    from mesostats.vocabulary import ResponderRule

Denominator = Literal["treated", "with_baseline", "evaluable", "completers"]

_FLAGS: Final = {
    "treated": "due",
    "with_baseline": "with_baseline",
    "evaluable": "evaluable",
    "completers": "completer",
}
_MEANINGS: Final = {
    "treated": "treated courses whose endpoint is due; without an assessment at the endpoint: a non-responder",
    "with_baseline": "of these, courses with a usable baseline (or whose rule needs none); missing endpoint: a non-responder",
    "evaluable": "of these, courses with an assessment at the endpoint",
    "completers": "of these, completed courses",
}
_STRATEGIES: Final = {
    "treated": "missing as non-response (ICH E9(R1) composite strategy)",
    "with_baseline": "missing as non-response (ICH E9(R1) composite strategy)",
    "evaluable": "observed cases only",
    "completers": "completed and observed cases only",
}


def response(
    clinic: Dataset,
    *,
    by: str | Sequence[str] | None = "indication",
    instrument: str | Sequence[str] | None = None,
    rule: ResponderRule | Mapping[str, ResponderRule] | None = None,
    endpoint: Literal["end_of_course"] | int = END_OF_COURSE,
    window: int | None = None,
    primary: Denominator = "treated",
    method: ProportionMethod = "wilson",
    conf_level: float = 0.95,
) -> Result:
    """Estimate the proportion of responders, over all four denominators.

    Parameters
    ----------
    clinic
        A data set with outcomes.
    by
        Columns of patients or courses.
    instrument
        One or several instruments; all that the outcomes hold by default. An instrument is analysed in the courses whose
        indication it is for.
    rule
        A responder rule, or one an instrument, in place of the vocabulary's. An instrument without a confirmed rule is
        only scored with one.
    endpoint
        ``end_of_course``: the last assessment from the last attended session to ``window`` days after it; or a day after
        the first attended session: the assessment nearest to it within ``window`` days (of two as near, the later).
    window
        Days; 60 for the end of the course, 14 for a day by default.
    primary
        The denominator to quote.
    method
        The interval where each patient has one course in the cell.
    conf_level
        Two-sided confidence level.

    Returns
    -------
    Result
        By group and ``instrument``: estimands ``response_treated``, ``response_with_baseline``, ``response_evaluable``,
        ``response_completers``. Unit: courses. ``n_missing``: courses due that could not be evaluated.

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
    The endpoint is due once its window has closed by the data cut. For the end of the course that is so once the course has ended
    and one that keeps to its plan would have ended too: of courses that began shortly before the cut only those given up
    are over, and to count them alone would make response look rarer. (Without a protocol the first of these must do.)
    Courses whose endpoint is not due are in no denominator (``spec["not_due"]`` counts them). Over *treated* and *with
    baseline* a course without an endpoint counts as a non-responder. Values that the instrument cannot take are not used.
    Where patients have several courses in a cell, the interval is clustered in patients.

    References
    ----------
    ICH E9(R1) (2019). Addendum on estimands and sensitivity analysis in clinical trials.

    Examples
    --------
    >>> import mesostats as ms
    >>> found = ms.response(ms.simulate(300, seed=1), instrument="masi")
    >>> treated = found.cell(indication="melasma", estimand="response_treated")
    >>> evaluable = found.cell(indication="melasma", estimand="response_evaluable")
    >>> bool(evaluable["denominator"] < treated["denominator"])
    True
    """
    if primary not in get_args(Denominator):
        msg = f"primary is one of {', '.join(get_args(Denominator))}, found '{primary}'"
        raise ValueError(msg)
    clinic.require("outcomes")
    columns, when = grouping(by, taken=TAKEN), _endpoint(endpoint, window)
    scorings = rules(clinic, _instruments(clinic, instrument), rule)
    scored = scored_courses(clinic, columns, scorings, when)
    refusals = {each.instrument.code: each.refusal for each in scorings if each.refusal}
    groups = [*columns, "instrument"]
    counts = _counts(scored, groups)
    frames = [
        _estimates(counts, groups, name, refusals, method=method, conf_level=conf_level).assign(
            estimand=f"response_{name}"
        )
        for name in _FLAGS
    ]
    estimates = contract(stack(frames), groups).sort_values([*groups, "estimand"], ignore_index=True)
    arguments: dict[str, Any] = {
        "by": list(columns),
        "instrument": [each.instrument.code for each in scorings],
        "endpoint": endpoint,
    }
    arguments |= {"window": when.window, "primary": primary, "method": method, "conf_level": conf_level}
    spec = _spec(clinic, arguments, scorings, when) | {"not_due": _not_due(scored)}
    return Result(estimates, spec, lambda cell: _explain(scored, columns, cell))


def _endpoint(endpoint: str | int, window: int | None) -> Endpoint:
    if endpoint == END_OF_COURSE:
        chosen = Endpoint(None, 60 if window is None else window)
    elif isinstance(endpoint, int) and not isinstance(endpoint, bool) and endpoint > 0:
        chosen = Endpoint(endpoint, 14 if window is None else window)
    else:
        msg = f"endpoint is 'end_of_course' or a number of days above 0, found {endpoint!r}"
        raise ValueError(msg)
    if chosen.window < 0:
        msg = f"window is a number of days, not negative, found {window}"
        raise ValueError(msg)
    return chosen


def _instruments(clinic: Dataset, instrument: str | Sequence[str] | None) -> list[str]:
    if isinstance(instrument, str):
        return [instrument]
    if instrument is not None:
        return list(dict.fromkeys(instrument))
    found = set(collect(clinic.lazy("outcomes").select("instrument").unique())["instrument"].dropna())
    return [code for code in clinic.vocabulary.instruments if code in found]


def _not_due(scored: nw.LazyFrame[Any]) -> int:
    """Count the courses whose endpoint is not due: one with several instruments once."""
    courses = scored.filter(nw.col("due") == 0).select("course_id").unique().select(courses=nw.len())
    return int(collect(courses)["courses"].iloc[0])


def _counts(scored: nw.LazyFrame[Any], groups: list[str]) -> pd.DataFrame:
    """Return, a group, the sums over patients of courses and responders in each denominator."""
    flags = list(_FLAGS.values())
    patients = scored.group_by(*groups, "patient_id").agg(
        *(nw.col(flag).sum().cast(nw.Float64) for flag in flags),
        nw.col("responder").sum().cast(nw.Float64).alias("responders"),
        (nw.col("responder") * nw.col("completer")).sum().cast(nw.Float64).alias("responding_completers"),
    )
    sums = []
    for flag in flags:
        trials, hits = nw.col(flag), nw.col("responding_completers" if flag == "completer" else "responders")
        sums += cluster_sums(trials, hits, flag)
    return collect(patients.group_by(*groups).agg(sums)).sort_values(groups, ignore_index=True)


def _estimates(
    counts: pd.DataFrame,
    groups: list[str],
    name: str,
    refusals: Mapping[str, str],
    *,
    method: ProportionMethod,
    conf_level: float,
) -> pd.DataFrame:
    """Estimate one denominator in all cells: Wilson (or the chosen) interval, clustered where patients repeat."""
    flag = _FLAGS[name]
    totals = ClusterTotals(
        **{part.name: counts[f"{flag}_{part.name}"].to_numpy(float) for part in fields(ClusterTotals)}
    )
    single = proportion(totals.successes, totals.trials, conf_level=conf_level, method=method).assign(
        df=np.nan
    )
    several = with_clustering_note(clustered_proportion(totals, conf_level=conf_level))
    repeated = totals.trials > totals.clusters
    found = pd.DataFrame(
        {column: np.where(repeated, several[column], single[column]) for column in single.columns}
    )
    missing = counts["due_trials"] - counts["evaluable_trials"]
    refused = counts["instrument"].map(refusals)
    found = found.assign(
        **{column: counts[column] for column in groups},
        method=found["method"] + "; " + _STRATEGIES[name],
        note=found["note"].where(refused.isna(), refused),
        n_missing=missing,
        unit="courses",
    )
    found.loc[refused.notna(), ["estimate", "std_error", "conf_low", "conf_high", "df", "numerator"]] = np.nan
    found.loc[refused.notna(), "method"] = ""
    return found


def _explain(scored: nw.LazyFrame[Any], columns: Sequence[str], cell: Mapping[str, Any]) -> pd.DataFrame:
    """Return one row a course of the cell's group (and instrument): its baseline, value, and why it does not count."""
    for column in (*columns, "instrument"):
        if column in cell:
            scored = scored.filter(nw.col(column) == cell[column])
    name = str(cell.get("estimand", "response_evaluable")).removeprefix("response_")
    shown = [*columns, "instrument", "course_id", "patient_id", "ended", "baseline", "value", "improvement"]
    rows = collect(scored.select(*shown, *_FLAGS.values(), "responder", "kind"))
    rows = rows.sort_values([*columns, "instrument", "course_id"], ignore_index=True)
    counted = rows[_FLAGS[name]] == 1
    reasons = [
        (rows["due"] == 0, "endpoint not due by the data cut"),
        (rows["kind"] == "none", "the instrument is not scored"),
        (rows["with_baseline"] == 0, "no usable baseline"),
        (rows["evaluable"] == 0, "no assessment at the endpoint"),
        (rows["completer"] == 0, "course not completed"),
    ]
    why = np.select(
        [~counted & condition for condition, _ in reasons], [text for _, text in reasons], default=""
    )
    return rows[shown].assign(
        in_denominator=counted,
        in_numerator=counted & (rows["responder"] == 1),
        excluded=pd.Series(why, dtype="str"),
    )


def _spec(
    clinic: Dataset, arguments: dict[str, Any], scorings: Sequence[Scoring], endpoint: Endpoint
) -> dict[str, Any]:
    scored = [f"{each.instrument.label}: {each.rule.describe()}." for each in scorings if each.rule]
    return {
        "analysis": "response",
        "title": "Response: share of courses that met the responder rule",
        "arguments": arguments,
        "cutoff": clinic.cutoff.isoformat(),
        "population": {"courses": POPULATIONS["treated"], **_MEANINGS},
        "rules": [
            "Baseline: last assessment on or before the first attended session.",
            f"Endpoint: {endpoint.describe()}.",
            *scored,
        ],
        "primary": f"response_{arguments['primary']}",
        "references": [
            "ICH E9(R1), 2019: addendum on estimands and sensitivity analysis in clinical trials."
        ],
        "labels": labels(clinic, [*arguments["by"], "instrument"]),
    }
