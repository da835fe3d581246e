"""Exposure and outcome: by how much a side effect is more common where a care rule was broken, crude and adjusted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Literal, get_args

import narwhals as nw
import pandas as pd

from mesostats.adverse_events.counted import excluded_events
from mesostats.adverse_events.exposed_outcomes import (
    ASKED,
    EXPOSED,
    HIT,
    LACKS,
    NUMBER,
    WHY,
    Question,
    exposed_outcomes,
    left_out_by_reason,
    patterns,
    pose,
)
from mesostats.adverse_events.tallies import population_of, question_of
from mesostats.attendance import attended_sessions
from mesostats.engine import collect
from mesostats.estimators.arguments import check_choice
from mesostats.estimators.crude_risks import crude_risks
from mesostats.estimators.models import AdjustmentMethod, standardized_risks
from mesostats.populations import PHASE, labels, schedule_order
from mesostats.results import Result, contract, stack

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mesostats.adverse_events.counted import Counting
    from mesostats.dataset import Dataset

Unit = Literal["patient", "course", "session"]

CONFOUNDERS: Final = ("indication", "technique", "session_number")
"""What `care_rule_effects` adjusts for, as far as it was recorded, unless told otherwise."""
_UNUSED: Final = "no session records that anybody asked about side effects: all count as asked"


def exposure_effect(
    clinic: Dataset,
    *,
    outcome: str,
    exposure: str,
    adjust: str | Sequence[str] = (),
    of: str = "term",
    per: Unit = "session",
    reference: str = "no",
    method: AdjustmentMethod = "gee",
    follow_up_days: int = 60,
    conf_level: float = 0.95,
) -> Result:
    """Estimate by how much the risk of a side effect differs between exposures, adjusted for recorded confounders.

    Parameters
    ----------
    clinic
        A data set with adverse events.
    outcome
        The side effect: a term, class or severity (as `of` says), or what `of` says itself.
    exposure
        A column with few values. Of a care rule ``yes`` means that it was kept, so that against ``no`` a protective rule has a
        negative difference.
    adjust
        Columns that may explain both. Numbers enter linearly on the logit scale, all others level by level; an empty text
        is a level of its own.
    of
        What `outcome` names: ``term``, ``class``, ``severity`` or another column of adverse_events; or ``any``,
        ``serious``, ``related``, ``fatal``.
    per
        ``session``: attended sessions, clustered in patients, with columns of sessions, courses and patients;
        ``course``: treated courses (so that arms can be compared), clustered in patients, with columns of courses and
        patients; ``patient``: treated patients, with columns of patients.
    reference
        The exposure that the others are compared with.
    method
        ``gee``: a marginal logistic model, standardized over the sample; ``iptw``: inverse probability weights (two
        exposures). The second is the one to ask where events are rare.
    follow_up_days
        An event counts from the day of the course's first attended session to so many days after its last one.
    conf_level
        Two-sided confidence level.

    Returns
    -------
    Result
        By exposure: estimands ``crude_risk`` and ``adjusted_risk``; for every exposure but the reference
        ``crude_risk_difference``, ``adjusted_risk_difference`` and ``adjusted_risk_ratio``. Numerator and denominator
        are the exposure's own. ``n_missing``: units left out, where the row is a risk those that are known to be of this
        exposure; ``spec["excluded"]`` counts them by reason.

    Raises
    ------
    DataError
        If the table adverse_events is absent.
    ValueError
        If an argument is not as described, or the reference is not among the recorded exposures.

    Notes
    -----
    Not in any denominator: units where nobody asked about side effects (as in `adverse_event_rates`) and units whose
    exposure is empty or ``not_asked``; in the adjusted estimates also those without one of the numbers in `adjust`. An event
    without a session is ascribed to the last attended one on or before its onset.

    The adjusted difference is causal only if `adjust` holds all confounders, which data of this kind cannot show.

    The engine counts alike units; one row a patient, outcome, exposure and pattern of covariates comes to memory. A
    million of these with 30 coefficients need about 1 GB.

    References
    ----------
    Mancl LA, DeRouen TA (2001). doi:10.1111/j.0006-341X.2001.00126.x

    Hernán MA, Robins JM (2020). Causal Inference: What If. Chapters 12 and 13.

    Examples
    --------
    >>> import mesostats as ms
    >>> from mesostats.adverse_events.exposure_effects import exposure_effect
    >>> clinic = ms.simulate(400, seed=1)
    >>> found = exposure_effect(
    ...     clinic, outcome="bruising", exposure="avoided_nsaid", adjust=["indication", "technique", "session_number"]
    ... )
    >>> bool(found.cell(avoided_nsaid="yes", estimand="adjusted_risk_difference")["estimate"] < 0)
    True
    """
    check_choice(per, get_args(Unit), "per")
    check_choice(method, get_args(AdjustmentMethod), "method")
    question = pose(clinic, outcome, exposure, adjust, of=of, per=per, follow_up_days=follow_up_days)
    units = clinic.engine.materialise(exposed_outcomes(clinic, question))
    rows = patterns(units, question)
    crude = crude_risks(
        rows[HIT],
        rows[EXPOSED],
        clusters=rows["patient_id"],
        frequencies=rows[NUMBER],
        reference=reference,
        conf_level=conf_level,
    )
    adjusted = standardized_risks(
        rows[HIT],
        rows[EXPOSED],
        rows[[*question.names.values()]].rename(
            columns={name: column for column, name in question.names.items()}
        ),
        clusters=rows["patient_id"],
        frequencies=rows[NUMBER],
        reference=reference,
        method=method,
        conf_level=conf_level,
    )
    left_out = left_out_by_reason(units)
    estimates = _in_order(_estimates(crude, adjusted, left_out, question), clinic, reference)
    arguments: dict[str, Any] = {"outcome": outcome, "exposure": exposure, "adjust": [*question.names]}
    arguments |= {"of": of, "per": per, "reference": reference, "method": method}
    arguments |= {"follow_up_days": follow_up_days, "conf_level": conf_level}
    spec = _spec(clinic, question, arguments, left_out)
    return Result(estimates, spec, lambda cell: _explain(units, question, cell))


def _in_order(estimates: pd.DataFrame, clinic: Dataset, reference: str) -> pd.DataFrame:
    """Put phases in the order of the schedule, the reference first; levels of other columns stay as they are."""
    if PHASE not in estimates:
        return estimates
    places = {"other": estimates[PHASE].ne(reference), "place": schedule_order(clinic)(estimates[PHASE])}
    order = pd.DataFrame(places).sort_values(["other", "place"], kind="stable").index
    return estimates.loc[order].reset_index(drop=True)


def care_rule_effects(
    clinic: Dataset,
    *,
    adjust: str | Sequence[str] | None = None,
    method: AdjustmentMethod = "gee",
    follow_up_days: int = 60,
    conf_level: float = 0.95,
) -> Result:
    """Estimate, for each care rule that is said to prevent a side effect, how much rarer it was where the rule was kept.

    Parameters
    ----------
    clinic
        A data set with adverse events.
    adjust
        Columns that may explain both; `CONFOUNDERS` if not given. An empty sequence adjusts for nothing.
    method, follow_up_days, conf_level
        As for `exposure_effect`, which estimates each of them, a session.

    Returns
    -------
    Result
        The rows of `exposure_effect` by ``care_rule``, ``term`` (what the vocabulary says that the rule prevents) and ``kept``
        (yes against no). Rules that were not recorded, or never broken, or never kept, stand in ``spec["not_compared"]``.

    Raises
    ------
    DataError
        If the table adverse_events is absent.
    ValueError
        If an argument is not as described.

    Examples
    --------
    >>> import mesostats as ms
    >>> from mesostats.adverse_events.exposure_effects import care_rule_effects
    >>> found = care_rule_effects(ms.simulate(300, seed=1)).estimates
    >>> found.query("estimand == 'adjusted_risk_difference'")[["care_rule", "term", "kept"]].values.tolist()
    [['avoided_nsaid', 'bruising', 'yes'], ['avoided_sun', 'pigment_change', 'yes']]
    """
    clinic.require("adverse_events")
    covariates = [name for name in CONFOUNDERS if clinic.recorded(name)] if adjust is None else adjust
    rules = clinic.vocabulary.care_rules
    asked = {(rule, term): rules[rule] for rule in sorted(rules) for term in rules[rule].prevents}
    reasons = {rule: _not_comparable(clinic, rule) for rule, _ in asked}
    shared: dict[str, Any] = {"method": method, "follow_up_days": follow_up_days, "conf_level": conf_level}
    found = {
        (rule, term): exposure_effect(clinic, outcome=term, exposure=rule, adjust=covariates, **shared)
        for rule, term in asked
        if not reasons[rule]
    }
    frames = [
        each.estimates.rename(columns={rule: "kept"}).assign(care_rule=rule, term=term)
        for (rule, term), each in found.items()
    ]
    estimates = contract(stack(frames), ["care_rule", "term", "kept"])
    arguments = {"adjust": [covariates] if isinstance(covariates, str) else [*covariates]} | shared
    spec = _rules_spec(clinic, found, arguments) | {
        "not_compared": {rule: why for rule, why in reasons.items() if why},
    }
    return Result(estimates, spec, lambda cell: _explain_rule(found, cell))


def _not_comparable(clinic: Dataset, rule: str) -> str:
    """Say why a rule has nothing to compare; nothing where it has."""
    if rule not in clinic.columns("sessions"):
        return "not recorded"
    answers = set(collect(attended_sessions(clinic).select(rule).unique())[rule].dropna())
    missing = {"yes": "never kept", "no": "never broken"}
    return (
        "not recorded"
        if not answers & {*missing}
        else next((missing[a] for a in missing if a not in answers), "")
    )


def _explain_rule(found: Mapping[tuple[str, str], Result], cell: Mapping[str, Any]) -> pd.DataFrame:
    """Return the rows behind one rule's cell."""
    chosen = [
        key for key in found if cell.get("care_rule", key[0]) == key[0] and cell.get("term", key[1]) == key[1]
    ]
    if len(chosen) != 1:
        msg = f"name one care_rule and one term; there are: {', '.join(' '.join(key) for key in found) or 'none'}"
        raise ValueError(msg)
    rule = chosen[0][0]
    kept = {rule: cell["kept"]} if "kept" in cell else {}
    rest = {name: cell[name] for name in ("estimand",) if name in cell}
    return found[chosen[0]].explain(**kept, **rest).rename(columns={rule: "kept"})


def _rules_spec(
    clinic: Dataset, found: Mapping[tuple[str, str], Result], arguments: dict[str, Any]
) -> dict[str, Any]:
    """Return what the effects of all rules have in common, from the first of them."""
    shared = (
        dict(next(iter(found.values())).spec) if found else {"population": {}, "rules": [], "references": []}
    )
    rules = [
        "Of a care rule, kept is yes where the patient kept it: a rule that protects has a negative difference.",
        *(rule for rule in shared["rules"] if "whose exposure" not in rule),
    ]
    names = {
        rule: f"Avoided {entry.label[:1].lower()}{entry.label[1:]}"
        for rule, entry in clinic.vocabulary.care_rules.items()
    }
    answers = {"yes": "kept", "no": "broken"}
    return shared | {
        "analysis": "care_rule_effects",
        "title": "Side effects by care rule: crude and adjusted risk per session",
        "arguments": arguments,
        "cutoff": clinic.cutoff.isoformat(),
        "rules": rules,
        "primary": "adjusted_risk_difference",
        "labels": labels(clinic, ["term"]) | {"care_rule": names, "kept": answers},
        "excluded": {" ".join(key): each.spec["excluded"] for key, each in found.items()},
    }


def _estimates(
    crude: pd.DataFrame, adjusted: pd.DataFrame, left_out: pd.DataFrame, question: Question
) -> pd.DataFrame:
    """Bring crude and adjusted estimates under one another; the units left out before them are missing too."""
    frames = [
        frame.assign(estimand=f"{name}_" + frame["estimand"])
        for name, frame in (("crude", crude), ("adjusted", adjusted))
    ]
    stacked = pd.concat(frames, ignore_index=True)
    gone = left_out[left_out[WHY] != ""]
    own = gone.groupby(EXPOSED)[NUMBER].sum()
    risks = stacked["estimand"].str.endswith("_risk")
    before = stacked["group"].map(own).fillna(0).where(risks, gone[NUMBER].sum())
    remark = _UNUSED if left_out[ASKED].sum() == 0 else ""
    stacked["n_missing"] += before
    stacked["unit"] = f"{question.counting.per}s"
    stacked["note"] = ["; ".join(filter(None, (str(note), remark))) for note in stacked["note"]]
    return contract(stacked.rename(columns={"group": question.exposure}), [question.exposure])


def _explain(units: nw.LazyFrame[Any], question: Question, cell: Mapping[str, Any]) -> pd.DataFrame:
    """Return one row a unit of the cell's exposure, with its covariates and whether it had the outcome."""
    if question.exposure in cell:
        units = units.filter(nw.col(EXPOSED) == cell[question.exposure])
    rows = collect(units).sort_values([*question.counting.unit], ignore_index=True)
    why = rows[WHY]
    if not str(cell.get("estimand", "")).startswith("crude"):
        why = why.where(why != "", rows[LACKS])
    counted = why == ""
    named = {name: column for column, name in question.names.items()}
    flags = {
        "in_denominator": counted,
        "in_numerator": counted & rows[HIT].eq(1),
        "excluded": why,
    }
    kept = rows[[*question.counting.unit, EXPOSED, *named]]
    return kept.rename(columns={EXPOSED: question.exposure} | named).assign(**flags)


def _spec(
    clinic: Dataset, question: Question, arguments: dict[str, Any], left_out: pd.DataFrame
) -> dict[str, Any]:
    counting, unit = question.counting, f"{question.counting.per}s"
    reasons = left_out[WHY].where(left_out[WHY] != "", left_out[LACKS])
    excluded = left_out.groupby(reasons)[NUMBER].sum()
    names = labels(clinic, [*counting.kind_column, question.exposure])
    outcome = arguments["outcome"]
    rule = clinic.vocabulary.care_rules.get(question.exposure)
    by_what = (
        f"avoiding {rule.label[:1].lower()}{rule.label[1:]}" if rule else question.exposure.replace("_", " ")
    )
    whole = question_of(counting) if not counting.kind_column else outcome
    shown = next(
        (names[column].get(outcome, outcome) for column in counting.kind_column if column in names), whole
    )
    return {
        "analysis": "exposure_effect",
        "title": f"{shown[:1].upper()}{shown[1:]} by {by_what}: crude and adjusted risk per {counting.per}",
        "arguments": arguments,
        "cutoff": clinic.cutoff.isoformat(),
        "population": {unit: _population(counting)},
        "rules": _rules(question),
        "primary": "adjusted_risk_difference",
        "references": [
            "Mancl LA, DeRouen TA. Biometrics 2001;57:126-134. doi:10.1111/j.0006-341X.2001.00126.x"
        ],
        "labels": names,
        "excluded": {str(why): int(number) for why, number in excluded.items() if why},
        "excluded_events": excluded_events(clinic, counting),
    }


def _population(counting: Counting) -> str:
    return f"{population_of(counting)} where side effects were asked about and the exposure was recorded"


def _rules(question: Question) -> list[str]:
    named = ", ".join(question.names)
    return [
        f"Treatment-emergent: from the first attended session to {question.counting.follow_up_days} days after the last one.",
        f"A {question.counting.per} where nobody asked, or whose exposure was not asked or not recorded, is in no denominator.",
        f"Adjusted for {named}."
        if named
        else "Adjusted for nothing: the adjusted estimates are not adjusted.",
        "What was not recorded cannot be adjusted for: unmeasured confounding is not excluded.",
    ]
