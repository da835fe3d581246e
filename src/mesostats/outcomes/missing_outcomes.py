"""Response under everything that can be supposed of courses that were not assessed, side by side."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mesostats.assessments import END_OF_COURSE
from mesostats.outcomes.course_histories import check_covariates
from mesostats.outcomes.missing_methods import (
    METHODS,
    POPULATION,
    REFERENCES,
    Handling,
    Imputation,
    explained_estimand,
    missing_estimates,
)
from mesostats.outcomes.questions import question
from mesostats.outcomes.response_counts import not_due
from mesostats.populations import labels
from mesostats.results import ESTIMATE_COLUMNS, Result

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mesostats.dataset import Dataset
    from mesostats.estimators.proportions import ProportionMethod
    from mesostats.outcomes.questions import EndpointChoice
    from mesostats.vocabulary import ResponderRule


def response_scenarios(
    clinic: Dataset,
    *,
    by: str | Sequence[str] | None = "indication",
    instrument: str | Sequence[str] | None = None,
    rule: ResponderRule | Mapping[str, ResponderRule] | None = None,
    endpoint: EndpointChoice = END_OF_COURSE,
    window: int | None = None,
    covariates: str | Sequence[str] | None = None,
    imputation: Imputation | None = None,
    method: ProportionMethod = "wilson",
    conf_level: float = 0.95,
) -> Result:
    """Estimate response by every method for missing outcomes.

    Parameters
    ----------
    clinic
        A data set with outcomes.
    by, instrument, rule, endpoint, window, covariates, imputation, method, conf_level
        As for `response`.

    Returns
    -------
    Result
        By group and ``instrument``, a row a method, all over the treated courses whose endpoint is due: ``response_observed``,
        ``response_nonresponder``, ``response_lowest``, ``response_highest``, ``response_bounds`` (an interval without an
        estimate), ``response_ipw``, ``response_imputed``. ``spec["strategies"]`` says what each supposes, and which
        strategy of ICH E9(R1) it serves.

    Raises
    ------
    DataError
        If the table outcomes is absent, or side effects are named as a covariate and adverse_events is absent.
    VocabularyError
        If an instrument is not in the vocabulary.
    ValueError
        If an argument is not as described.

    Notes
    -----
    Where all rows agree, what is missing does not matter. Where weighting and imputation differ from the observed cases, the assessed
    courses were not like the others in what is known of them. No row but the bounds allows for courses that stay away because of
    their response: how strongly they would have to, `tipping_point` shows.

    References
    ----------
    ICH E9(R1) (2019). Addendum on estimands and sensitivity analysis in clinical trials.

    Examples
    --------
    >>> import mesostats as ms
    >>> from mesostats.outcomes.missing_outcomes import response_scenarios
    >>> found = response_scenarios(ms.simulate(300, seed=1), instrument="fine_lines").estimates.set_index("estimand")
    >>> bool(found["estimate"]["response_lowest"] < found["estimate"]["response_ipw"] < found["estimate"]["response_highest"])
    True
    """
    asked = question(
        clinic,
        by=by,
        instrument=instrument,
        rule=rule,
        endpoint=endpoint,
        window=window,
        taken=ESTIMATE_COLUMNS,
    )
    known = check_covariates(clinic, covariates, asked.columns)
    handling = Handling(METHODS, known, imputation or Imputation(), method, conf_level, asked.endpoint)
    scored = asked.courses(clinic)
    spec = {
        "analysis": "response_scenarios",
        "title": "Response by what is supposed of courses that were not assessed",
        "arguments": asked.arguments | handling.arguments,
        "cutoff": clinic.cutoff.isoformat(),
        "population": {"courses": POPULATION},
        "rules": [*asked.rules, *handling.rules],
        "strategies": handling.strategies,
        "primary": "response_nonresponder",
        "references": list(REFERENCES),
        "labels": labels(clinic, [*asked.columns, "instrument"]),
        "not_due": not_due(scored),
    }
    estimates = missing_estimates(clinic, asked, scored, handling)
    return Result(estimates, spec, lambda cell: explained_estimand(scored, asked.columns, cell))
