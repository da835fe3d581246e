"""Response of groups compared: differences, ratios, numbers needed to treat; within strata; adjusted; pairwise."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, get_args

import narwhals as nw
import pandas as pd

from mesostats.assessments import END_OF_COURSE
from mesostats.estimators.arguments import check_choice
from mesostats.estimators.differences import RiskDifferenceMethod
from mesostats.estimators.models import AdjustmentMethod
from mesostats.outcomes.denominators import Denominator, shares, unscored
from mesostats.outcomes.group_pairs import (
    REFERENCE,
    TAKEN,
    WITHOUT,
    GroupPairs,
    group_tallies,
    is_product,
    received,
    reference_pairs,
)
from mesostats.outcomes.own_instruments import LABELS, OWN, by_own_instrument, own_rule
from mesostats.outcomes.pair_estimates import (
    adjusted_measures,
    crude_measures,
    described,
    needed_to_treat,
    stratified_measures,
)
from mesostats.outcomes.pair_explanations import PairExplanation
from mesostats.outcomes.questions import question
from mesostats.outcomes.response_counts import FLAGS, MEANINGS, not_due
from mesostats.populations import POPULATIONS, grouping, labels, uncompared
from mesostats.results import ESTIMATE_COLUMNS, Multiplicity, Result, adjusted_p_values, contract, stack
from mesostats.schemas import table_schema

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mesostats.dataset import Dataset
    from mesostats.outcomes.questions import EndpointChoice, Question
    from mesostats.vocabulary import ResponderRule

BASELINE: Final = "baseline"
"""The covariate that is the instrument's value at baseline."""
_COURSE_TABLES: Final = ("courses", "patients")
_FAMILY: Final = "all comparisons of one measure: of all groups (or pairs), in all cells of the result"
_PRIMARY: Final = ("adjusted_risk_difference", "stratified_risk_difference", "risk_difference")
_SILENT: Final = "no responder in either group: nothing to test"
_REFERENCES: Final = (
    "Miettinen O, Nurminen M. Stat Med 1985;4:213-226. doi:10.1002/sim.4780040211",
    "Koopman PAR. Biometrics 1984;40:513-517. doi:10.2307/2531405",
    "Altman DG. BMJ 1998;317:1309-1312. doi:10.1136/bmj.317.7168.1309",
    "Sato T, Greenland S, Robins JM. Biometrics 1989;45:1323-1324. doi:10.2307/2531784",
    "Mancl LA, DeRouen TA. Biometrics 2001;57:126-134. doi:10.1111/j.0006-341X.2001.00126.x",
    "ICH E9(R1), 2019: addendum on estimands and sensitivity analysis in clinical trials.",
)


def compare_response(  # noqa: PLR0913 - each argument is a choice that the comparison has to state
    clinic: Dataset,
    *,
    group: str = "arm",
    reference: str | None = None,
    by: str | Sequence[str] | None = None,
    instrument: str | Sequence[str] | None = None,
    rule: ResponderRule | Mapping[str, ResponderRule] | None = None,
    endpoint: EndpointChoice = END_OF_COURSE,
    window: int | None = None,
    denominator: Denominator = "treated",
    strata: str | Sequence[str] | None = None,
    adjust: str | Sequence[str] | None = None,
    adjustment: AdjustmentMethod = "gee",
    method: RiskDifferenceMethod = "miettinen_nurminen",
    pairwise: bool = False,
    multiplicity: Multiplicity = "benjamini_hochberg",
    conf_level: float = 0.95,
) -> Result:
    """Compare the response of groups: arms, indications, clinics, protocols, or courses with and without a substance.

    Parameters
    ----------
    clinic
        A data set with outcomes.
    group
        The column that tells the groups apart: of patients or courses; or of products, such as the substance: then each product's
        courses, which received it in any attended session, are compared with those that did not.
    reference
        The group that the others are compared with; of each instrument the largest one if not given. Not for products.
    by
        Columns of patients or courses within whose values groups are compared.
    instrument, rule, endpoint, window
        What is scored, and when, as for `response`; or ``instrument="own"``: each course with the first instrument that suits its
        indication, so that clinics with a mix of indications, or indications themselves, can be compared.
    denominator
        Over which courses groups are compared: ``treated`` or ``with_baseline`` (a missing endpoint is a non-response),
        ``evaluable`` or ``completers``. The groups' own responses are given over all four.
    strata
        Columns of patients or courses within whose levels groups are compared before they are pooled (Mantel-Haenszel).
    adjust
        Columns of patients or courses to adjust for, and ``baseline``: the instrument's value at baseline. Numbers enter linearly on
        the logit scale, all others level by level.
    adjustment
        ``gee``: a marginal logistic model, standardized over the courses of both groups; ``iptw``: inverse probability weights.
    method
        The interval of the difference: ``miettinen_nurminen`` or ``newcombe``.
    pairwise
        Whether all pairs of groups are compared, not only each with the reference.
    multiplicity
        How p values are adjusted, within the family that ``spec["family"]`` names.
    conf_level
        Two-sided confidence level.

    Returns
    -------
    Result
        By ``by``, ``instrument``, the group and ``reference`` (empty where a group stands alone): each group's
        ``response_treated, response_with_baseline, response_evaluable, response_completers``; of each comparison
        ``risk_difference`` (with its score test), ``risk_ratio`` (Koopman), ``odds_ratio`` (exact conditional, with Fisher's
        test), ``number_needed_to_benefit`` and ``number_needed_to_harm`` (of the primary difference); with strata
        ``stratified_risk_difference`` (Sato's variance), ``stratified_risk_ratio``, ``stratified_odds_ratio`` (with the
        Cochran-Mantel-Haenszel test) and ``homogeneity_test`` (Breslow-Day, Tarone); with covariates
        ``adjusted_risk_difference`` and ``adjusted_risk_ratio``. Numerator, denominator and ``n_missing`` (courses due without an
        evaluable endpoint) are the group's own; strata that compare nothing, and courses without a number to adjust for, are
        in neither of the measures that leave them out, as the note says. The primary difference is the adjusted, else the stratified, else the plain one.

    Raises
    ------
    DataError
        If the table outcomes (or, for products, that one) is absent.
    VocabularyError
        If an instrument is not in the vocabulary.
    ValueError
        If an argument is not as described, or `reference` is not one of the groups.

    Notes
    -----
    Where patients have several courses in a comparison, the differences and the plain ratio are clustered in patients
    (`estimators.clustered_risk_difference`, `estimators.clustered_stratified_risk_difference`; `estimators.crude_risks` where a
    patient has courses in both groups, whose plain ratio then has no interval); the odds ratios and the stratified ratio, which
    need independent courses, have none: `adjust` gives a ratio with an interval.

    Courses whose group is not recorded are counted, not compared. Where the interval of the difference holds 0, that of the number
    needed to treat goes through infinity: from its benefit side to its harm side. Courses that go on for longer
    receive more products, and are there to be assessed: a comparison of substances is no comparison of like with like.
    Fisher's test is exact and cautious; it may be above .05 where the interval of the difference leaves out 0.

    References
    ----------
    Miettinen O, Nurminen M (1985). Comparative analysis of two rates. doi:10.1002/sim.4780040211

    Altman DG (1998). Confidence intervals for the number needed to treat. doi:10.1136/bmj.317.7168.1309

    ICH E9(R1) (2019). Addendum on estimands and sensitivity analysis in clinical trials.

    Examples
    --------
    >>> import mesostats as ms
    >>> from mesostats.outcomes.comparisons import compare_response
    >>> found = compare_response(ms.simulate(300, seed=1), group="sex", reference="male", instrument="masi")
    >>> difference = found.cell(sex="female", reference="male", estimand="risk_difference")
    >>> bool(difference["conf_low"] < difference["estimate"] < difference["conf_high"])
    True
    """
    for value, choices, name in (
        (denominator, Denominator, "denominator"),
        (adjustment, AdjustmentMethod, "adjustment"),
        (method, RiskDifferenceMethod, "method"),
    ):
        check_choice(value, get_args(choices), name)
    columns, levels, named = grouping(by), grouping(strata), grouping(adjust)
    _check_covariates(named, group, instrument)
    numbers, product = _numbers(clinic, named), is_product(clinic, group)
    grouping(group, taken={*TAKEN, *ESTIMATE_COLUMNS})
    taken = (*columns, *(() if product else (group,)), *levels)
    texts = [name for name in named if name not in {*numbers, BASELINE, *taken}]
    asked = question(
        clinic,
        by=(*taken, *texts),
        instrument=None if instrument == OWN else instrument,
        rule=rule,
        endpoint=endpoint,
        window=window,
        taken=TAKEN,
    )
    scored, told = _scored(clinic, asked, numbers, own=instrument == OWN)
    choose = _products if product else _groups
    pairs, found = choose(clinic, scored, (*columns, "instrument"), group, reference, pairwise=pairwise)
    choice: dict[str, Any] = {"denominator": denominator, "strata": list(levels), "adjust": list(named)}
    choice |= {"adjustment": adjustment, "method": method, "conf_level": conf_level}
    counts = pairs.counts(FLAGS[denominator])
    measures, primary = _measures(pairs, counts, numbers, choice)
    compared = _compared(pairs, counts, measures, denominator, multiplicity)
    arguments = asked.arguments | {"by": list(columns), "group": group, "reference": reference} | choice
    arguments |= {"pairwise": pairwise, "multiplicity": multiplicity}
    arguments |= {"instrument": OWN} if told else {}
    found |= told | {"primary": primary, "not_due": not_due(scored), "not_compared": pairs.uncompared()}
    return Result(
        _estimates(pairs, compared, asked, conf_level),
        _spec(clinic, asked, arguments, found),
        PairExplanation(pairs, denominator, levels, _needed_numbers(named, numbers), primary),
    )


def _needed_numbers(covariates: Sequence[str], numbers: Mapping[str, str]) -> tuple[str, ...]:
    """Return the columns of the courses that hold covariates which are numbers."""
    held = {**numbers, BASELINE: BASELINE}
    return tuple(held[name] for name in covariates if name in held)


def _check_covariates(covariates: Sequence[str], group: str, instrument: str | Sequence[str] | None) -> None:
    """Refuse covariates that cannot be adjusted for."""
    if group in covariates:
        msg = f"'{group}' tells the groups apart: it cannot be adjusted for"
        raise ValueError(msg)
    if instrument == OWN and BASELINE in covariates:
        msg = "the baselines of different instruments are on different scales: adjust for other columns, or name one instrument"
        raise ValueError(msg)


def _scored(
    clinic: Dataset, asked: Question, numbers: Mapping[str, str], *, own: bool
) -> tuple[nw.LazyFrame[Any], dict[str, Any]]:
    """Return the courses with the covariates that are numbers, and what is to be told of their instruments."""
    scored = asked.courses(clinic)
    told: dict[str, Any] = {}
    if own:
        scored, told = by_own_instrument(clinic, scored, asked)
    return _with_numbers(clinic, scored, numbers), told


def _measures(
    pairs: GroupPairs, counts: pd.DataFrame, numbers: Mapping[str, str], choice: Mapping[str, Any]
) -> tuple[dict[str, pd.DataFrame], str]:
    """Return all measures of the pairs, a row a row of the counts, and which one is to be quoted."""
    flag, level = FLAGS[choice["denominator"]], choice["conf_level"]
    measures = crude_measures(pairs, counts, flag, method=choice["method"], conf_level=level)
    if choice["strata"] and len(counts):
        measures |= stratified_measures(pairs, counts, flag, choice["strata"], conf_level=level)
    if choice["adjust"] and len(counts):
        covariates = {name: numbers.get(name, name) for name in choice["adjust"]}
        measures |= adjusted_measures(
            pairs, counts, flag, covariates, adjustment=choice["adjustment"], conf_level=level
        )
    primary = next(name for name in _PRIMARY if name in measures)
    return measures | needed_to_treat(measures[primary]), primary


def _numbers(clinic: Dataset, covariates: Sequence[str]) -> dict[str, str]:
    """Return the covariates that are numbers, each with the name that its column bears among the courses."""
    found: dict[str, str] = {}
    for name in covariates:
        if name == BASELINE:
            continue
        frame = clinic.lazy(clinic.table_of(name, among=_COURSE_TABLES))
        if frame.collect_schema()[name].is_numeric():
            found[name] = f"_number_{len(found)}"
    return found


def _with_numbers(
    clinic: Dataset, courses: nw.LazyFrame[Any], numbers: Mapping[str, str]
) -> nw.LazyFrame[Any]:
    """Add the covariates that are numbers to the courses."""
    for name, column in numbers.items():
        table = clinic.table_of(name, among=_COURSE_TABLES)
        key = str(table_schema(table).key)
        values = clinic.lazy(table).select(key, nw.col(name).cast(nw.Float64).alias(column))
        courses = courses.join(values, on=key, how="left")
    return courses


def _groups(
    clinic: Dataset,
    courses: nw.LazyFrame[Any],
    cell: tuple[str, ...],
    group: str,
    reference: str | None,
    *,
    pairwise: bool,
) -> tuple[GroupPairs, dict[str, Any]]:
    """Return the groups of a column of patients or courses in pairs."""
    pairs = reference_pairs(courses, group, reference=reference, pairwise=pairwise)
    return GroupPairs(clinic, courses, cell, group, pairs), {}


def _products(
    clinic: Dataset,
    courses: nw.LazyFrame[Any],
    cell: tuple[str, ...],
    group: str,
    reference: str | None,
    *,
    pairwise: bool,
) -> tuple[GroupPairs, dict[str, Any]]:
    """Return the courses that received each product beside those that did not."""
    if reference is not None or pairwise:
        msg = f"'{group}' is a column of products: each is compared with the courses without it; leave out reference= and pairwise="
        raise ValueError(msg)
    crossed, pairs, unrecorded = received(clinic, courses, group)
    names = labels(clinic, [group]).get(group, {})
    without = {WITHOUT + code: f"Without {names.get(code, code)}" for code in pairs[group]}
    spec = {"labels": {group: names | without}, "unrecorded": unrecorded}
    return GroupPairs(clinic, crossed, cell, group, pairs), spec


def _compared(
    pairs: GroupPairs,
    counts: pd.DataFrame,
    measures: Mapping[str, pd.DataFrame],
    denominator: str,
    multiplicity: Multiplicity,
) -> pd.DataFrame:
    """Return one row a measure and comparison, with p values adjusted for the number of comparisons."""
    silent = (counts["own_successes"] + counts["other_successes"] == 0) & (counts["own_trials"] > 0)
    silent &= counts["other_trials"] > 0
    remark = silent.map({True: _SILENT, False: ""})
    frames = []
    for name, found in measures.items():
        told = described(found, pairs, counts, denominator)
        notes = [
            "; ".join(dict.fromkeys(filter(None, pair))) for pair in zip(told["note"], remark, strict=True)
        ]
        frames.append(
            told.assign(estimand=name, note=notes, p_value=told["p_value"].astype(float).mask(silent))
        )
    compared = stack(frames)
    tested = compared["p_value"].where(compared["estimand"] != "homogeneity_test")
    return compared.assign(p_adjusted=adjusted_p_values(tested, compared["estimand"], method=multiplicity))


def _estimates(pairs: GroupPairs, compared: pd.DataFrame, asked: Question, conf_level: float) -> pd.DataFrame:
    """Return each group's responses and the comparisons, group by group."""
    keys = [*pairs.cell, pairs.group]
    own = shares(group_tallies(pairs), keys, asked.refusals, conf_level=conf_level).assign(**{REFERENCE: ""})
    missing = own.drop_duplicates(keys)[[*keys, "n_missing"]]
    compared = compared.drop(columns="n_missing", errors="ignore").merge(missing, on=keys, how="left")
    frame = unscored(pd.concat([own, compared], ignore_index=True), asked.refusals)
    frame["p_adjusted"] = frame["p_adjusted"].mask(frame["p_value"].isna())
    return contract(frame, pairs.columns).sort_values(pairs.columns, kind="stable", ignore_index=True)


def _how(arguments: Mapping[str, Any]) -> list[str]:
    """Say what is compared within, and adjusted for."""
    said = []
    if arguments["strata"]:
        levels = ", ".join(arguments["strata"])
        said.append(
            f"Strata: the levels of {levels}; those without one of the groups, or alike in all, compare nothing."
        )
    if arguments["adjust"]:
        how = "by inverse probability weights" if arguments["adjustment"] == "iptw" else "by a logistic GEE"
        names = ", ".join(arguments["adjust"])
        said.append(f"Adjusted for {names} {how}, over the courses of the two groups that are compared.")
    return said


def _spec(
    clinic: Dataset, asked: Question, arguments: dict[str, Any], found: dict[str, Any]
) -> dict[str, Any]:
    group, against = arguments["group"], arguments["reference"]
    names = labels(clinic, [*arguments["by"], "instrument", group]) | found.pop("labels", {})
    names["instrument"] = names["instrument"] | LABELS
    shown = names.get(group, {}).get(against, against)
    title = f"Response by {group.removesuffix('_id').replace('_', ' ')}"
    rules = [
        *asked.rules,
        *([own_rule(found)] if "unscored" in found else []),
        f"Compared over: {MEANINGS[arguments['denominator']]}.",
        uncompared("courses"),
        *_how(arguments),
        f"p values adjusted ({arguments['multiplicity']}) within a family: {_FAMILY}.",
    ]
    return {
        "analysis": "compare_response",
        "title": title + (f", compared with {shown}" if against else ", compared"),
        "arguments": arguments,
        "cutoff": clinic.cutoff.isoformat(),
        "population": {"courses": POPULATIONS["treated"], **MEANINGS},
        "rules": rules,
        "rates": f"response_{arguments['denominator']}",
        "family": _FAMILY,
        "references": list(_REFERENCES),
        "labels": names,
    } | found
