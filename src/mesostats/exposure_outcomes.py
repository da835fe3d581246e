"""Exposure and outcome: by how much a side effect is more common where a care rule was broken, crude and adjusted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal, get_args

import narwhals as nw
import pandas as pd

from mesostats.counted_events import counting_of, excluded_events
from mesostats.engine import collect
from mesostats.estimators.arguments import check_choice
from mesostats.estimators.crude_risks import crude_risks
from mesostats.estimators.models import AdjustmentMethod, standardized_risks
from mesostats.event_counts import exposed_units, hits
from mesostats.populations import NOT_RECORDED, PHASE, grouping, labels, with_groups
from mesostats.results import Result, contract
from mesostats.schemas import table_schema
from mesostats.tallies import population_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mesostats.counted_events import Counting
    from mesostats.dataset import Dataset

Unit = Literal["patient", "course", "session"]

_TABLES: Final = {
    "session": ("sessions", "courses", "patients"),
    "course": ("courses", "patients"),
    "patient": ("patients",),
}
_ALONE: Final = ("any", "serious", "related", "fatal")  # kinds of event that are one outcome
_UNKNOWN: Final = (NOT_RECORDED, "not_asked")
_MANY: Final = 20
_HIT, _EXPOSED, _WHY, _LACKS, _NUMBER = "_hit", "_exposed", "_why", "_lacks", "_number"
_ASKED: Final = "_asked"
_UNUSED: Final = "no session records that anybody asked about side effects: all count as asked"
_UNASKED: Final = "nobody asked about side effects"


@dataclass(frozen=True)
class _Question:
    """Which outcome, by which exposure, adjusted for which covariates, of which some are numbers."""

    counting: Counting
    exposure: str
    covariates: tuple[str, ...]
    numbers: tuple[str, ...]

    @property
    def texts(self) -> tuple[str, ...]:
        """The covariates that are compared level by level."""
        return tuple(column for column in self.covariates if column not in self.numbers)

    @property
    def names(self) -> dict[str, str]:
        """Each covariate under a name that no column of the data has."""
        return {column: f"_covariate_{place}" for place, column in enumerate(self.covariates)}


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
    >>> from mesostats.exposure_outcomes import exposure_effect
    >>> clinic = ms.simulate(400, seed=1)
    >>> found = exposure_effect(
    ...     clinic, outcome="bruising", exposure="avoided_nsaid", adjust=["indication", "technique", "session_number"]
    ... )
    >>> bool(found.cell(avoided_nsaid="yes", estimand="adjusted_risk_difference")["estimate"] < 0)
    True
    """
    check_choice(per, get_args(Unit), "per")
    check_choice(method, get_args(AdjustmentMethod), "method")
    question = _question(clinic, outcome, exposure, adjust, of=of, per=per, follow_up_days=follow_up_days)
    units = clinic.engine.materialise(_units(clinic, question))
    rows = _patterns(units, question)
    crude = crude_risks(
        rows[_HIT],
        rows[_EXPOSED],
        clusters=rows["patient_id"],
        frequencies=rows[_NUMBER],
        reference=reference,
        conf_level=conf_level,
    )
    adjusted = standardized_risks(
        rows[_HIT],
        rows[_EXPOSED],
        rows[[*question.names.values()]].rename(
            columns={name: column for column, name in question.names.items()}
        ),
        clusters=rows["patient_id"],
        frequencies=rows[_NUMBER],
        reference=reference,
        method=method,
        conf_level=conf_level,
    )
    left_out = _left_out(units)
    estimates = _estimates(crude, adjusted, left_out, question)
    arguments: dict[str, Any] = {"outcome": outcome, "exposure": exposure, "adjust": [*question.names]}
    arguments |= {"of": of, "per": per, "reference": reference, "method": method}
    arguments |= {"follow_up_days": follow_up_days, "conf_level": conf_level}
    spec = _spec(clinic, question, arguments, left_out)
    return Result(estimates, spec, lambda cell: _explain(units, question, cell))


def _question(
    clinic: Dataset,
    outcome: str,
    exposure: str,
    adjust: str | Sequence[str],
    *,
    of: str,
    per: str,
    follow_up_days: int,
) -> _Question:
    """Check what is asked, and tell covariates that are numbers from the others."""
    if of in _ALONE and outcome != of:
        msg = f"of '{of}' is one outcome, '{of}', found '{outcome}'; with of 'term' the outcome is a term"
        raise ValueError(msg)
    only = None if of in _ALONE else outcome
    counting = counting_of(clinic, None, of, per=per, follow_up_days=follow_up_days, only=only)
    covariates = grouping(adjust)
    if exposure in covariates:
        msg = f"'{exposure}' is the exposure: it cannot be adjusted for"
        raise ValueError(msg)
    numbers = tuple(column for column in covariates if _is_number(clinic, column, _TABLES[per]))
    return _Question(counting, exposure, covariates, numbers)


def _is_number(clinic: Dataset, column: str, tables: tuple[str, ...]) -> bool:
    known = {name for table in tables for name in clinic.columns(table)}
    if column == PHASE and column not in known:
        return False
    frame = clinic.lazy(clinic.table_of(column, among=tables))
    return frame.collect_schema()[column].is_numeric()


def _units(clinic: Dataset, question: _Question) -> nw.LazyFrame[Any]:
    """Return one row a unit: its ids, outcome, exposure and covariates, and why it is left out."""
    counting, keys = question.counting, [*question.counting.unit]
    tables = _TABLES[counting.per]
    units = exposed_units(clinic, counting).select(*keys, "known", nw.col("asked").alias(_ASKED))
    values = with_groups(
        units.select(keys), clinic, (question.exposure, *question.texts), tables=tables
    ).select(
        *keys,
        nw.col(question.exposure).alias(_EXPOSED),
        *(nw.col(column).alias(question.names[column]) for column in question.texts),
    )
    for column in question.numbers:
        table = clinic.table_of(column, among=tables)
        key = str(table_schema(table).key)
        number = nw.col(column).cast(nw.Float64).alias(question.names[column])
        values = values.join(clinic.lazy(table).select(key, number), on=key, how="left")
    found = hits(clinic, counting).select(*keys, "events")
    units = units.join(values, on=keys, how="inner").join(found, on=keys, how="left")
    return units.with_columns(
        nw.when(nw.col("events").is_null()).then(nw.lit(0)).otherwise(nw.lit(1)).alias(_HIT),
        _why(question).alias(_WHY),
        _lacking(question).alias(_LACKS),
    ).drop("known", "events")


def _why(question: _Question) -> nw.Expr:
    """Say why a unit is in no denominator; nothing where it is in one."""
    return (
        nw.when(nw.col("known") == 0)
        .then(nw.lit(_UNASKED))
        .when(nw.col(_EXPOSED).is_in(_UNKNOWN))
        .then(nw.lit(f"{question.exposure} not asked or not recorded"))
        .otherwise(nw.lit(""))
    )


def _lacking(question: _Question) -> nw.Expr:
    """Name the first number that keeps a unit from the adjusted estimates; nothing where it has all."""
    lacking = nw.lit("")
    for column in reversed(question.numbers):
        missing = nw.col(question.names[column]).is_null()
        lacking = nw.when(missing).then(nw.lit(f"{column} not recorded")).otherwise(lacking)
    return lacking


def _patterns(units: nw.LazyFrame[Any], question: _Question) -> pd.DataFrame:
    """Return the units of the denominators, alike ones of a patient as one row with their number."""
    keys = ["patient_id", _HIT, _EXPOSED, *question.names.values()]
    counted = units.filter(nw.col(_WHY) == "").group_by(keys).agg(nw.len().alias(_NUMBER))
    rows = collect(counted).sort_values(keys, ignore_index=True)
    if rows[_EXPOSED].nunique() > _MANY:
        msg = f"'{question.exposure}' has {rows[_EXPOSED].nunique()} values, at most {_MANY} are compared; group them first"
        raise ValueError(msg)
    return rows


def _left_out(units: nw.LazyFrame[Any]) -> pd.DataFrame:
    """Return how many units each reason keeps from the denominators, by exposure, and of how many were asked."""
    counted = collect(
        units.group_by(_WHY, _LACKS, _EXPOSED).agg(nw.len().alias(_NUMBER), nw.col(_ASKED).sum())
    )
    return counted.sort_values([_WHY, _LACKS, _EXPOSED], ignore_index=True)


def _estimates(
    crude: pd.DataFrame, adjusted: pd.DataFrame, left_out: pd.DataFrame, question: _Question
) -> pd.DataFrame:
    """Bring crude and adjusted estimates under one another; the units left out before them are missing too."""
    frames = [
        frame.assign(estimand=f"{name}_" + frame["estimand"])
        for name, frame in (("crude", crude), ("adjusted", adjusted))
    ]
    stacked = pd.concat(frames, ignore_index=True)
    gone = left_out[left_out[_WHY] != ""]
    own = gone.groupby(_EXPOSED)[_NUMBER].sum()
    risks = stacked["estimand"].str.endswith("_risk")
    before = stacked["group"].map(own).fillna(0).where(risks, gone[_NUMBER].sum())
    remark = _UNUSED if left_out[_ASKED].sum() == 0 else ""
    stacked["n_missing"] += before
    stacked["unit"] = f"{question.counting.per}s"
    stacked["note"] = ["; ".join(filter(None, (str(note), remark))) for note in stacked["note"]]
    return contract(stacked.rename(columns={"group": question.exposure}), [question.exposure])


def _explain(units: nw.LazyFrame[Any], question: _Question, cell: Mapping[str, Any]) -> pd.DataFrame:
    """Return one row a unit of the cell's exposure, with its covariates and whether it had the outcome."""
    if question.exposure in cell:
        units = units.filter(nw.col(_EXPOSED) == cell[question.exposure])
    rows = collect(units).sort_values([*question.counting.unit], ignore_index=True)
    why = rows[_WHY]
    if not str(cell.get("estimand", "")).startswith("crude"):
        why = why.where(why != "", rows[_LACKS])
    counted = why == ""
    named = {name: column for column, name in question.names.items()}
    flags = {
        "in_denominator": counted,
        "in_numerator": counted & rows[_HIT].eq(1),
        "excluded": why,
    }
    kept = rows[[*question.counting.unit, _EXPOSED, *named]]
    return kept.rename(columns={_EXPOSED: question.exposure} | named).assign(**flags)


def _spec(
    clinic: Dataset, question: _Question, arguments: dict[str, Any], left_out: pd.DataFrame
) -> dict[str, Any]:
    counting, unit = question.counting, f"{question.counting.per}s"
    reasons = left_out[_WHY].where(left_out[_WHY] != "", left_out[_LACKS])
    excluded = left_out.groupby(reasons)[_NUMBER].sum()
    names = labels(clinic, [*counting.kind_column, question.exposure])
    outcome = arguments["outcome"]
    shown = next(
        (names[column].get(outcome, outcome) for column in counting.kind_column if column in names), outcome
    )
    return {
        "analysis": "exposure_effect",
        "title": f"{shown} by {question.exposure}: crude and adjusted risk per {counting.per}",
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


def _rules(question: _Question) -> list[str]:
    named = ", ".join(question.names)
    return [
        f"Treatment-emergent: from the first attended session to {question.counting.follow_up_days} days after the last one.",
        f"A {question.counting.per} where nobody asked, or whose exposure was not asked or not recorded, is in no denominator.",
        f"Adjusted for {named}."
        if named
        else "Adjusted for nothing: the adjusted estimates are not adjusted.",
        "What was not recorded cannot be adjusted for: unmeasured confounding is not excluded.",
    ]
