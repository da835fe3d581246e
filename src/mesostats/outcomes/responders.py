"""Response: how many courses met the responder rule, with every denominator in sight."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, get_args

from mesostats.assessments import END_OF_COURSE
from mesostats.outcomes.course_histories import check_covariates
from mesostats.outcomes.denominators import Denominator, shares
from mesostats.outcomes.missing_methods import (
    POPULATION,
    REFERENCES,
    Handling,
    Imputation,
    explained_estimand,
    methods_of,
    missing_estimates,
)
from mesostats.outcomes.questions import question
from mesostats.outcomes.response_counts import (
    FLAGS,
    MEANINGS,
    explained,
    not_due,
    response_counts,
)
from mesostats.populations import POPULATIONS, labels
from mesostats.results import ESTIMATE_COLUMNS, Result, contract

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import narwhals as nw
    import pandas as pd

    from mesostats.dataset import Dataset
    from mesostats.estimators.proportions import ProportionMethod
    from mesostats.outcomes.missing_methods import Missing
    from mesostats.outcomes.questions import EndpointChoice, Question
    from mesostats.vocabulary import ResponderRule


def response(
    clinic: Dataset,
    *,
    by: str | Sequence[str] | None = "indication",
    instrument: str | Sequence[str] | None = None,
    rule: ResponderRule | Mapping[str, ResponderRule] | None = None,
    endpoint: EndpointChoice = END_OF_COURSE,
    window: int | None = None,
    primary: Denominator = "treated",
    method: ProportionMethod = "wilson",
    conf_level: float = 0.95,
    missing: Missing | Sequence[Missing] | None = None,
    covariates: str | Sequence[str] | None = None,
    imputation: Imputation | None = None,
) -> Result:
    """Estimate the proportion of responders, over all four denominators or with missing outcomes accounted for.

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
        ``end_of_course``: the last assessment from the last attended session to ``window`` days after it;
        ``last_observation``: the last one after the first attended session and up to then, however early; or a day after
        the first attended session: the assessment nearest to it within ``window`` days (of two as near, the later).
    window
        Days; 60 for the end of the course, 14 for a day by default.
    primary
        The denominator to quote; with ``missing`` the first method is quoted.
    method
        The interval where each patient has one course in the cell.
    conf_level
        Two-sided confidence level.
    missing
        What is supposed of courses that are due and were not assessed, in place of the four denominators; one or several:

        - ``observed``: that they are like the others (assessed courses only);
        - ``nonresponder``: they count as failures;
        - ``bounds``: nothing: the lowest and the highest possible share, and an interval that holds the true one;
        - ``ipw``: that they are like the assessed courses with the same history, which are weighted to stand for them;
        - ``multiple_imputation``: the same, their response drawn many times from a model.
    covariates
        What the history is for the last two: ``dropped_out``, ``sessions``, ``side_effect``, ``baseline`` (each as known
        before the endpoint), and columns of patients and courses. All four by default, with indication and arm where they are
        recorded and not grouped by. An empty sequence uses none.
    imputation
        How often, from which seed and what is imputed; `Imputation()` by default.

    Returns
    -------
    Result
        By group and ``instrument``: estimands ``response_treated``, ``response_with_baseline``, ``response_evaluable``,
        ``response_completers``. Unit: courses. ``n_missing``: courses due that could not be evaluated. With ``missing``:
        ``response_observed``, ``response_nonresponder``, ``response_lowest`` with ``response_highest`` and
        ``response_bounds`` (no estimate, an interval alone), ``response_ipw``, ``response_imputed``; of the last two numerator
        and denominator are those of the assessed courses, and ``n_missing`` the courses that they also stand for.

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

    Every method of ``missing`` is over all treated courses whose endpoint is due. Which ICH E9(R1) strategy it serves, and what must be
    true for it, stands in ``method`` and in ``spec["strategies"]``: an endpoint on a day serves the treatment-policy strategy, the end of
    the course, which of a course given up comes when it was given up, while on treatment (see `outcomes.strategies`). Weights and imputations come from models within each
    group and instrument (see `estimators.weighted_proportion`, `estimators.imputed_proportion`); they are wrong where courses
    stay away because of their response, which no data of those assessed can show: see `tipping_point`.

    References
    ----------
    ICH E9(R1) (2019). Addendum on estimands and sensitivity analysis in clinical trials.

    Seaman SR, White IR (2013). Review of inverse probability weighting for dealing with missing data.
    doi:10.1177/0962280210395740

    Examples
    --------
    >>> import mesostats as ms
    >>> found = ms.response(ms.simulate(300, seed=1), instrument="masi")
    >>> treated = found.cell(indication="melasma", estimand="response_treated")
    >>> evaluable = found.cell(indication="melasma", estimand="response_evaluable")
    >>> bool(evaluable["denominator"] < treated["denominator"])
    True
    >>> found = ms.response(ms.simulate(300, seed=1), instrument="masi", missing=["bounds", "ipw"])
    >>> found.estimates["estimand"].tolist()
    ['response_lowest', 'response_highest', 'response_bounds', 'response_ipw']
    """
    if primary not in get_args(Denominator):
        msg = f"primary is one of {', '.join(get_args(Denominator))}, found '{primary}'"
        raise ValueError(msg)
    asked = question(
        clinic,
        by=by,
        instrument=instrument,
        rule=rule,
        endpoint=endpoint,
        window=window,
        taken=ESTIMATE_COLUMNS,
    )
    if missing is not None:
        known = check_covariates(clinic, covariates, asked.columns)
        chosen = imputation or Imputation()
        handling = Handling(methods_of(missing), known, chosen, method, conf_level, asked.endpoint)
        return _handled(clinic, asked, handling)
    if covariates is not None or imputation is not None:
        msg = "covariates= and imputation= are of the models of missing outcomes: name a method with missing="
        raise ValueError(msg)
    scored, groups = asked.courses(clinic), [*asked.columns, "instrument"]
    shared: dict[str, Any] = {"method": method, "conf_level": conf_level}
    frame = shares(response_counts(scored, groups), groups, asked.refusals, **shared)
    estimates = contract(frame, groups).sort_values([*groups, "estimand"], ignore_index=True)
    spec = _spec(clinic, asked, {"primary": primary} | shared) | {
        "population": {"courses": POPULATIONS["treated"], **MEANINGS},
        "primary": f"response_{primary}",
        "not_due": not_due(scored),
    }
    return Result(estimates, spec, lambda cell: _explain(scored, asked.columns, cell))


def _handled(clinic: Dataset, asked: Question, handling: Handling) -> Result:
    """Return response with missing outcomes accounted for."""
    scored = asked.courses(clinic)
    spec = _spec(clinic, asked, handling.arguments)
    spec |= {
        "population": {"courses": POPULATION},
        "rules": [*spec["rules"], *handling.rules],
        "strategies": handling.strategies,
        "primary": handling.estimands[0],
        "references": list(REFERENCES),
        "not_due": not_due(scored),
    }
    estimates = missing_estimates(clinic, asked, scored, handling)
    return Result(estimates, spec, lambda cell: explained_estimand(scored, asked.columns, cell))


def _explain(scored: nw.LazyFrame[Any], columns: Sequence[str], cell: Mapping[str, Any]) -> pd.DataFrame:
    """Return one row a course of the cell's group (and instrument): its baseline, value, and why it does not count."""
    name = str(cell.get("estimand", "response_evaluable")).removeprefix("response_")
    return explained(scored, columns, cell, flag=FLAGS[name])


def _spec(clinic: Dataset, asked: Question, arguments: dict[str, Any]) -> dict[str, Any]:
    return {
        "analysis": "response",
        "title": "Response: share of courses that met the responder rule",
        "arguments": asked.arguments | arguments,
        "cutoff": clinic.cutoff.isoformat(),
        "rules": asked.rules,
        "references": [
            "ICH E9(R1), 2019: addendum on estimands and sensitivity analysis in clinical trials."
        ],
        "labels": labels(clinic, [*asked.columns, "instrument"]),
    }
