"""Why people stop: a discrete-time hazard model of dropout, from what was known before each session."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import pandas as pd

from mesostats.dropout.person_sessions import (
    NUMBER,
    RESPONSE,
    RULES,
    SESSION,
    SIDE_EFFECT,
    SO_FAR,
    STOPPED,
    alike_rows,
    inquire,
    lacking,
    with_covariates,
)
from mesostats.dropout.phase_bands import phase_bands
from mesostats.engine import collect
from mesostats.errors import did_you_mean
from mesostats.estimators.hazard_models import discrete_hazard_model
from mesostats.estimators.hazard_ratios import ALL_LEVELS, RATIOS
from mesostats.populations import PHASE, POPULATIONS, labels
from mesostats.results import Result, contract, stack
from mesostats.schedule import slot_table

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import narwhals as nw

    from mesostats.dataset import Dataset
    from mesostats.dropout.person_sessions import Inquiry
    from mesostats.estimators.hazard_fits import Link, Robust
    from mesostats.estimators.hazard_models import HazardModel
    from mesostats.follow_up import FollowUp
    from mesostats.vocabulary import ResponderRule

_GROUPS: Final = ("term", "level")
_USUAL: Final = {SIDE_EFFECT: "no", SO_FAR: "no", RESPONSE: "no"}
_NO_BASELINE: Final = (
    "neither the session nor its phase is a covariate: the hazard is taken as the same at all sessions"
)
_NOT_SHOWN: Final = (
    "nobody was due at this session or in its phase, or at one before it: the hazard is unknown"
)
_REFERENCES: Final = (
    "Prentice RL, Gloeckler LA. Biometrics 1978;34:57-67. doi:10.2307/2529588",
    "Suissa S. Am J Epidemiol 2008;167:492-499 (immortal time). doi:10.1093/aje/kwm324",
    "Mancl LA, DeRouen TA. Biometrics 2001;57:126-134. doi:10.1111/j.0006-341X.2001.00126.x",
)


def dropout_model(
    clinic: Dataset,
    *,
    covariates: str | Sequence[str] | None = None,
    link: Link = "cloglog",
    follow_up: FollowUp = "settled",
    reference: Mapping[str, str] | None = None,
    of: str = "any",
    rule: ResponderRule | Mapping[str, ResponderRule] | None = None,
    robust: Robust = "bias_reduced",
    conf_level: float = 0.95,
) -> Result:
    """Estimate what goes with giving up a course at the next session (discrete-time hazard model).

    Parameters
    ----------
    clinic
        A data set; with adverse events and outcomes where their covariates are asked for.
    covariates
        ``session``: the number of the session that was due, level by level; ``phase``: its phase of the schedule. One of
        them is the baseline hazard. ``side_effect``: yes, no or not asked after the last session held; ``side_effect_so_far``:
        the same of all of the course that had begun by the last session held; ``response``: yes, no or not assessed so
        far. Any column of sessions (its value at the last session held, as ``practitioner_id``), courses or patients that was
        known when the course began. These five names always mean what is said here. If not given: phase, indication, and,
        where the data set has their tables, side effects so far and response.
    link
        ``cloglog``: hazard ratios; ``logit``: odds ratios.
    follow_up
        ``settled`` sessions only, or ``all``; see `retention`.
    reference
        The level that a covariate's others are compared with; ``no`` of side effects and response, else the most frequent one.
    of
        Which side effects: ``any``, ``serious`` or ``related``.
    rule
        A responder rule, or one an instrument, in place of the vocabulary's (see `response`).
    robust
        The covariance, clustered in patients: ``bias_reduced`` or ``hc1`` (faster for millions of patients).
    conf_level
        Two-sided confidence level.

    Returns
    -------
    Result
        By ``term`` and ``level``: estimand ``hazard_ratio`` (or ``odds_ratio``), 1 at the reference; numerator: dropouts,
        denominator: sessions that were due at this level. A term that is a number has level ``per unit``. Then, at level
        ``all levels``, estimand ``wald_test``: whether the term matters. ``n_missing``: sessions due without one of the numbers.

    Raises
    ------
    DataError
        If a covariate needs a table that is absent.
    ValueError
        If an argument is not as described, or a covariate is known only once a course is over.

    Notes
    -----
    One row a person and session that was due, as `dropout_by_session` counts them, from the second session on; see
    `mesostats.dropout.person_sessions`. Splitting courses by what happens later (as by how many sessions they received) would give
    those who stay longer more time to show it: such columns, where the data have them, must not be covariates.

    The ratios compare what was recorded; they are causal only if nothing unrecorded explains both. Where side effects of a
    session are asked about, or written down, only when the patient comes again, those who stop seem free of them, or not asked:
    then ``side_effect`` is no cause that could be seen. ``side_effect_so_far`` was known at a session that both came to, and
    is therefore what is asked of side effects unless told otherwise.

    The engine counts alike rows; one row a patient, outcome and pattern of covariates comes to memory, about 100 bytes a
    row and covariate, of which the model keeps some 40 bytes a row.

    References
    ----------
    Prentice RL, Gloeckler LA (1978). Regression analysis of grouped survival data with application to breast cancer data.
    doi:10.2307/2529588

    Suissa S (2008). Immortal time bias in pharmacoepidemiology. doi:10.1093/aje/kwm324

    Examples
    --------
    >>> import mesostats as ms
    >>> from mesostats.dropout.model import dropout_model
    >>> found = dropout_model(ms.simulate(1000, seed=1), covariates=["phase", "side_effect"])
    >>> bool(found.cell(term="side_effect", level="yes", estimand="hazard_ratio")["estimate"] > 1)
    True
    """
    asked = inquire(clinic, covariates, follow_up=follow_up, of=of, rule=rule)
    rows = clinic.engine.materialise(with_covariates(clinic, asked))
    model = _fitted(
        alike_rows(rows, asked), asked, link, reference=reference, robust=robust, conf_level=conf_level
    )
    estimates = contract(_in_order(model, clinic, asked).assign(unit="sessions"), _GROUPS)
    arguments: dict[str, Any] = {"covariates": [*asked.covariates], "link": link, "follow_up": follow_up}
    arguments |= {"reference": dict(model.references), "of": of, "robust": robust, "conf_level": conf_level}
    spec = _spec(clinic, asked, model, arguments) | {
        "analysis": "dropout_model",
        "title": f"Dropout at the next session: {RATIOS[link].replace('_', ' ')}s",
        "primary": RATIOS[link],
    }
    return Result(estimates, spec, lambda cell: _explain(rows, asked, cell))


def predicted_retention(
    clinic: Dataset,
    profiles: Mapping[str, Mapping[str, Any]],
    *,
    protocol: str,
    covariates: str | Sequence[str] | None = None,
    link: Link = "cloglog",
    follow_up: FollowUp = "settled",
    reference: Mapping[str, str] | None = None,
    of: str = "any",
    rule: ResponderRule | Mapping[str, ResponderRule] | None = None,
    robust: Robust = "bias_reduced",
    conf_level: float = 0.95,
) -> Result:
    """Predict from the dropout model who comes to each session of a protocol, by profiles of covariates.

    Parameters
    ----------
    clinic, covariates, link, follow_up, reference, of, rule, robust, conf_level
        As for `dropout_model`.
    profiles
        Names with values of covariates, the same at all sessions, such as ``{"bruised": {"side_effect": "yes"}}``. A covariate
        that is not named is at its reference level, or at its mean.
    protocol
        The protocol whose sessions and phases are gone through.

    Returns
    -------
    Result
        By ``profile``: estimand ``predicted_retention``, ``time`` the session number: the probability to come to it, of
        those who came to the first. NaN with a note from the first session on at which, or in whose phase, nobody was due.

    Raises
    ------
    DataError
        If a covariate needs a table that is absent.
    VocabularyError
        If the protocol is not in the vocabulary.
    ValueError
        If there is no profile, one names no covariate or no level of it, or an argument is not as described.

    Notes
    -----
    The product of (1 - hazard) over the sessions, with an interval on the log(-log) scale by the delta method. A profile
    that stays the same, such as a side effect after every session, is a contrast, not a forecast.

    Examples
    --------
    >>> import mesostats as ms
    >>> from mesostats.dropout.model import predicted_retention
    >>> profiles = {"calm": {}, "bruised": {"side_effect": "yes"}}
    >>> chosen = {"protocol": "short_course", "covariates": ["phase", "side_effect"]}
    >>> found = predicted_retention(ms.simulate(1000, seed=1), profiles, **chosen)
    >>> calm, bruised = (found.cell(profile=name, time=5)["estimate"] for name in profiles)
    >>> bool(bruised < calm)
    True
    """
    asked = inquire(clinic, covariates, follow_up=follow_up, of=of, rule=rule)
    if not profiles:
        msg = "profiles is empty: name at least one, such as {'usual': {}}"
        raise ValueError(msg)
    clinic.vocabulary.entry("protocols", protocol)  # names the nearest where there is none
    steps = slot_table([clinic.vocabulary.protocols[protocol]])
    found = clinic.engine.materialise(with_covariates(clinic, asked))
    model = _fitted(
        alike_rows(found, asked), asked, link, reference=reference, robust=robust, conf_level=conf_level
    )
    frames = [_steps(name, values, steps, asked=asked, model=model) for name, values in profiles.items()]
    rows = pd.concat(frames, ignore_index=True)
    kept = _retained(rows, model, conf_level)
    estimates = contract(stack([kept]).assign(unit="courses"), ["profile"])
    arguments: dict[str, Any] = {"profiles": {name: dict(values) for name, values in profiles.items()}}
    arguments |= {
        "protocol": protocol,
        "covariates": [*asked.covariates],
        "link": link,
        "follow_up": follow_up,
    }
    arguments |= {"reference": dict(model.references), "of": of, "robust": robust, "conf_level": conf_level}
    spec = _spec(clinic, asked, model, arguments) | {
        "analysis": "predicted_retention",
        "title": f"Predicted retention over the sessions of {clinic.vocabulary.protocols[protocol].label}",
        "primary": "predicted_retention",
        **phase_bands(clinic, protocols=[protocol]),
    }
    return Result(estimates, spec, lambda _: _explain(found, asked, {}))


def _fitted(
    found: pd.DataFrame,
    asked: Inquiry,
    link: Link,
    *,
    reference: Mapping[str, str] | None,
    robust: Robust,
    conf_level: float,
) -> HazardModel:
    """Fit the model; references that were not named are the usual ones, as far as the data have them."""
    frame = found[[*asked.names.values()]].rename(
        columns={name: column for column, name in asked.names.items()}
    )
    usual = {
        column: level for column, level in _USUAL.items() if column in frame and frame[column].eq(level).any()
    }
    return discrete_hazard_model(
        found[STOPPED],
        frame,
        clusters=found["patient_id"],
        link=link,
        frequencies=found[NUMBER],
        reference=usual | dict(reference or {}),
        robust=robust,
        conf_level=conf_level,
    )


def _in_order(model: HazardModel, clinic: Dataset, asked: Inquiry) -> pd.DataFrame:
    """Put levels in the order of the schedule, each term's reference first, and say where a baseline is absent."""
    estimates = model.estimates
    phases = [phase.name for each in clinic.vocabulary.protocols.values() for phase in each.phases]
    places = {phase: place for place, phase in enumerate(dict.fromkeys(phases))}
    order = estimates["level"].map(places)
    order = order.where(estimates["term"] == PHASE, estimates["level"].where(estimates["term"] == SESSION))
    order = pd.to_numeric(order, errors="coerce").fillna(0)
    order = order.where(estimates["note"] != "reference", -1)
    term = estimates["term"].map({name: place for place, name in enumerate(asked.covariates)})
    keys = pd.DataFrame({"test": estimates["level"] == ALL_LEVELS, "term": term, "order": order})
    estimates = estimates.loc[keys.sort_values([*keys], kind="stable").index].reset_index(drop=True)
    if {SESSION, PHASE} & {*asked.covariates}:
        return estimates
    noted = ["; ".join(filter(None, (note, _NO_BASELINE))) for note in estimates["note"]]
    return estimates.assign(note=noted)


def _steps(
    name: str, values: Mapping[str, Any], steps: pd.DataFrame, *, asked: Inquiry, model: HazardModel
) -> pd.DataFrame:
    """Return one profile's covariates at each session from the second on."""
    unknown = [column for column in values if column not in asked.covariates or column in {SESSION, PHASE}]
    if unknown:
        known = [column for column in asked.covariates if column not in {SESSION, PHASE}]
        msg = f"profile '{name}' names '{unknown[0]}', which is none of its covariates{did_you_mean(unknown[0], known)}"
        raise ValueError(msg)
    later = steps[steps["slot"] > 1]
    own = {SESSION: later["slot"].astype("str"), PHASE: later["phase"]}
    usual = {**model.references, **model.means}
    alone = model.estimates.drop_duplicates("term").set_index("term")[
        "level"
    ]  # of a covariate with one value
    columns = {
        column: own.get(column, values.get(column, usual.get(column, alone.get(column))))
        for column in asked.covariates
    }
    return pd.DataFrame({"session": later["slot"]}).assign(profile=name).assign(**columns)


def _retained(rows: pd.DataFrame, model: HazardModel, conf_level: float) -> pd.DataFrame:
    """Return the retention at each row's session; NaN from the first session on whose hazard nobody has shown."""
    if rows.empty:
        return pd.DataFrame()
    shown = _shown(rows, model)
    kept = model.retention(rows[shown], conf_level=conf_level) if shown.any() else pd.DataFrame({"note": []})
    kept = kept.drop(columns="profile", errors="ignore").set_index(rows.index[shown]).reindex(rows.index)
    return kept.assign(
        estimand="predicted_retention",
        profile=rows["profile"],
        time=rows["session"].astype(float),
        conf_level=conf_level,
        method=f"{model.estimates['method'].iloc[0]}; delta method on the log(-log) scale",
        note=kept["note"].where(shown, _NOT_SHOWN),
    )


def _shown(rows: pd.DataFrame, model: HazardModel) -> pd.Series[bool]:
    """Return up to which of a profile's sessions somebody was due at each session, or in each phase, of the baseline."""
    levels = model.estimates.groupby("term")["level"].agg(set)
    shown = pd.Series(bool(model.estimates["denominator"].max() > 0), index=rows.index)
    for column in levels.index.intersection([SESSION, PHASE]):
        shown &= rows[column].isin(levels[column])
    return shown.astype(int).groupby(rows["profile"]).cummin() == 1


def _explain(rows: nw.LazyFrame[Any], asked: Inquiry, cell: Mapping[str, Any]) -> pd.DataFrame:
    """Return one row a session that was due: at the cell's level, and whether the course was given up at it."""
    found = collect(rows.with_columns(_why=lacking(asked)))
    found = found.sort_values(["course_id", "session"], ignore_index=True)
    chosen = pd.Series(data=True, index=found.index)
    level = cell.get("level", ALL_LEVELS)
    if cell.get("term") in asked.names and cell["term"] not in asked.numbers and level != ALL_LEVELS:
        chosen = found[asked.names[cell["term"]]] == level
    counted = chosen & (found["_why"] == "")
    why = found["_why"].mask(~chosen, "another level")
    named = {name: column for column, name in asked.names.items() if column not in {SESSION, PHASE}}
    shown = ["course_id", "patient_id", "session_id", "session", "phase", *named]
    return (
        found[shown]
        .rename(columns=named)
        .assign(in_denominator=counted, in_numerator=counted & found[STOPPED].eq(1), excluded=why)
    )


def _spec(clinic: Dataset, asked: Inquiry, model: HazardModel, arguments: dict[str, Any]) -> dict[str, Any]:
    return {
        "arguments": arguments,
        "cutoff": clinic.cutoff.isoformat(),
        "population": {
            "sessions": "sessions that were due, from the second on, of courses that came to the one before",
            "courses": POPULATIONS["treated"],
        },
        "rules": [
            *RULES,
            *([] if {SESSION, PHASE} & {*asked.covariates} else [f"{_NO_BASELINE.capitalize()}."]),
        ],
        "references": list(_REFERENCES),
        "reference_levels": dict(model.references),
        "means": dict(model.means),
        "labels": labels(clinic, asked.recorded),
    }
