"""What is supposed of courses without an assessment: from nothing at all to a model of what they would have shown."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal, get_args

import numpy as np
import pandas as pd

from mesostats.estimators.arguments import check_choice
from mesostats.estimators.imputed_proportions import imputed_proportion
from mesostats.estimators.observation_weights import weighted_proportion
from mesostats.estimators.partial_identification import identification_interval
from mesostats.outcomes.course_histories import MARGIN, MEANINGS, course_histories
from mesostats.outcomes.response_counts import HIGHEST, explained, response_counts, share_estimates
from mesostats.outcomes.strategies import COMPOSITE, COMPOSITE_MEANT, strategy_of
from mesostats.results import contract, stack

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import narwhals as nw

    from mesostats.assessments import Endpoint
    from mesostats.dataset import Dataset
    from mesostats.estimators.proportions import ProportionMethod
    from mesostats.outcomes.questions import Question

Missing = Literal["observed", "nonresponder", "bounds", "ipw", "multiple_imputation"]
ImputedOutcome = Literal["response", "measurement"]

METHODS: Final[tuple[Missing, ...]] = get_args(Missing)
ESTIMANDS: Final[dict[str, tuple[str, ...]]] = {
    "observed": ("response_observed",),
    "nonresponder": ("response_nonresponder",),
    "bounds": ("response_lowest", "response_highest", "response_bounds"),
    "ipw": ("response_ipw",),
    "multiple_imputation": ("response_imputed",),
}
"""The estimands of each method, in the order in which they are shown."""
STRATEGIES: Final = {
    "response_observed": "assessed courses only; ICH E9(R1) {} if missing completely at random",
    "response_nonresponder": f"missing as non-response; {COMPOSITE}; of giving up: {{}}",
    "response_lowest": "all missing fail; lowest possible value under the ICH E9(R1) {}, nothing supposed",
    "response_highest": "all missing respond; highest possible value under the ICH E9(R1) {}, nothing supposed",
    "response_bounds": "from all missing fail to all missing respond; ICH E9(R1) {}, nothing supposed",
    "response_ipw": "ICH E9(R1) {} if missing at random given the covariates",
    "response_imputed": "ICH E9(R1) {} if missing at random given the covariates",
}
"""What each estimand supposes of the missing, with a place for the strategy of ICH E9(R1) that the endpoint serves."""
POPULATION: Final = "treated courses whose endpoint is due; missing: no assessment at the endpoint, or no usable baseline where the rule needs one"
REFERENCES: Final = (
    "ICH E9(R1), 2019: addendum on estimands and sensitivity analysis in clinical trials.",
    "Imbens GW, Manski CF. Econometrica 2004;72:1845-1857. doi:10.1111/j.1468-0262.2004.00555.x",
    "Seaman SR, White IR. Stat Methods Med Res 2013;22:278-295. doi:10.1177/0962280210395740",
    "Barnard J, Rubin DB. Biometrika 1999;86:948-955. doi:10.1093/biomet/86.4.948",
    "Lott A, Reiter JP. Am Stat 2020;74:109-115. doi:10.1080/00031305.2018.1473796",
)
_PREFIXES: Final = {
    "response_observed": "evaluable",
    "response_nonresponder": "due",
    "response_lowest": "due",
    "response_highest": HIGHEST,
}
_MODELS: Final = {"ipw", "multiple_imputation"}


@dataclass(frozen=True)
class Imputation:
    """How missing outcomes are imputed.

    Parameters
    ----------
    number
        How often, at least 2.
    seed
        The same seed gives the same draws; each group has draws of its own.
    of
        ``"response"``: the response itself, from a logistic model; ``"measurement"``: by how much the outcome exceeds the
        responder rule, from a Bayesian linear model, to which the rule is applied (for continuous instruments).

    Raises
    ------
    ValueError
        If an argument is not as described.
    """

    number: int = 50
    seed: int = 1
    of: ImputedOutcome = "response"

    def __post_init__(self) -> None:
        for name, least in (("number", 2), ("seed", 0)):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or value < least:
                msg = f"{name} of an Imputation is a whole number of at least {least}, found {value!r}"
                raise ValueError(msg)
        check_choice(self.of, get_args(ImputedOutcome), "of")


@dataclass(frozen=True)
class Handling:
    """What is done about missing outcomes.

    Parameters
    ----------
    methods
        Of `METHODS`.
    covariates
        What the models use, from `course_histories.check_covariates`.
    imputation
        How outcomes are imputed.
    method, conf_level
        The intervals.
    endpoint
        When the outcome is read, which decides the strategy for courses given up.
    """

    methods: tuple[str, ...]
    covariates: tuple[str, ...]
    imputation: Imputation
    method: ProportionMethod
    conf_level: float
    endpoint: Endpoint

    @property
    def arguments(self) -> dict[str, Any]:
        """What was asked, for the result's ``spec``."""
        models = {
            "covariates": list(self.covariates),
            "imputations": self.imputation.number,
            "seed": self.imputation.seed,
            "imputed": self.imputation.of,
        }
        used = models if _MODELS & {*self.methods} else {}
        return {"missing": list(self.methods)} | used | {"method": self.method, "conf_level": self.conf_level}

    @property
    def estimands(self) -> list[str]:
        """The estimands, in the order in which they are shown."""
        return [name for method in self.methods for name in ESTIMANDS[method]]

    @property
    def strategies(self) -> dict[str, str]:
        """What each estimand supposes."""
        return {name: self.strategy(name) for name in self.estimands}

    def strategy(self, estimand: str) -> str:
        """Return what an estimand supposes of the missing, with the strategy that it serves."""
        return STRATEGIES[estimand].format(strategy_of(self.endpoint))

    @property
    def rules(self) -> list[str]:
        """What strategies mean and models use, in sentences."""
        meant = [COMPOSITE_MEANT]
        if not _MODELS & {*self.methods}:
            return meant
        named = "; ".join(f"{name}: {MEANINGS.get(name, 'as recorded')}" for name in self.covariates)
        known = (
            "by the last attended session, which may come after the last observation"
            if self.endpoint.carried
            else "before the endpoint: by the last attended session; for an endpoint on a day, by the day on which its window opens"
        )
        return [
            *meant,
            f"Models of missing outcomes are fitted within each group and instrument: {named or 'no covariates'}.",
            f"These use what was known {known}.",
        ]


def methods_of(missing: str | Sequence[str]) -> tuple[str, ...]:
    """Return the methods asked for, each once, in the order of `METHODS`.

    Raises
    ------
    ValueError
        If none is asked for, or one is unknown.
    """
    asked = (missing,) if isinstance(missing, str) else tuple(missing)
    if not asked:
        msg = f"missing= names no method: give some of {', '.join(METHODS)}"
        raise ValueError(msg)
    for each in asked:
        check_choice(each, METHODS, "missing")
    return tuple(each for each in METHODS if each in asked)


def missing_estimates(
    clinic: Dataset, asked: Question, scored: nw.LazyFrame[Any], handling: Handling
) -> pd.DataFrame:
    """Estimate response in each group by each of the methods.

    Parameters
    ----------
    clinic
        The data set.
    asked
        The question.
    scored
        The courses that answer it, from `assessments.scored_courses`.
    handling
        What is done about missing outcomes.

    Returns
    -------
    pandas.DataFrame
        The result contract, sorted by group, methods in the order of `METHODS`.
    """
    groups = [*asked.columns, "instrument"]
    counts = response_counts(scored, groups)
    frames = _counted(counts, groups, asked.refusals, handling)
    if "bounds" in handling.methods:
        frames["response_bounds"] = _between(frames, handling)
    if _MODELS & {*handling.methods}:
        frames |= _modelled(clinic, asked, scored, counts=counts, handling=handling)
    stacked = stack([frames[name].assign(estimand=name) for name in handling.estimands])
    order = stacked["estimand"].map({name: place for place, name in enumerate(handling.estimands)})
    stacked = stacked.assign(_order=order).sort_values([*groups, "_order"], kind="stable", ignore_index=True)
    return contract(_with_denominators(stacked, counts, groups), groups)


def _counted(
    counts: pd.DataFrame, groups: list[str], refusals: Mapping[str, str], handling: Handling
) -> dict[str, pd.DataFrame]:
    """Return the estimates that only count."""
    return {
        name: share_estimates(
            counts,
            groups,
            prefix,
            refusals,
            method=handling.method,
            conf_level=handling.conf_level,
            strategy=handling.strategy(name),
        )
        for name, prefix in _PREFIXES.items()
    }


def _between(frames: Mapping[str, pd.DataFrame], handling: Handling) -> pd.DataFrame:
    """Return the interval of what is possible: no single estimate, as nothing is supposed."""
    lowest, highest = frames["response_lowest"], frames["response_highest"]
    size = pd.concat([lowest["effective_n"], highest["effective_n"]], axis=1).min(axis=1).fillna(0)
    known = lowest["estimate"].notna()
    low, high = identification_interval(
        lowest["estimate"].fillna(0),
        highest["estimate"].fillna(1),
        size.where(known, 0),
        conf_level=handling.conf_level,
    )
    words = [
        f"no single estimate without an assumption: from {each:.3f} to {most:.3f}" if seen else note
        for each, most, seen, note in zip(
            lowest["estimate"], highest["estimate"], known, lowest["note"], strict=True
        )
    ]
    method = f"Imbens-Manski interval from Wilson score limits; {handling.strategy('response_bounds')}"
    return lowest.assign(
        estimate=np.nan,
        std_error=np.nan,
        conf_low=low,
        conf_high=high,
        df=np.nan,
        numerator=np.nan,
        note=words,
        method=lowest["method"].where(lowest["method"] == "", method),
    )


def _modelled(
    clinic: Dataset, asked: Question, scored: nw.LazyFrame[Any], *, counts: pd.DataFrame, handling: Handling
) -> dict[str, pd.DataFrame]:
    """Fit the models of each cell, from one row a course."""
    rows, names = course_histories(clinic, scored, asked, handling.covariates)
    groups = [*asked.columns, "instrument"]
    asked_for = [ESTIMANDS[method][0] for method in handling.methods if method in _MODELS]
    found: dict[str, list[pd.DataFrame]] = {name: [] for name in asked_for}
    for key, cell in _cells(counts, rows, groups):
        covariates = _covariates(cell, names)
        for name, parts in found.items():
            one = _model(name, cell, covariates, key, handling)
            refused = asked.refusals.get(key[-1])
            if refused:
                one = one.assign(note=refused, method="", numerator=np.nan)
            parts.append(one.assign(**dict(zip(groups, key, strict=True)), unit="courses"))
    frames = {name: stack(parts) for name, parts in found.items()}
    missing = counts["due_trials"] - counts["evaluable_trials"]
    return {name: frame.assign(n_missing=missing if len(frame) else []) for name, frame in frames.items()}


def _cells(
    counts: pd.DataFrame, rows: pd.DataFrame, groups: list[str]
) -> Iterator[tuple[tuple[Any, ...], pd.DataFrame]]:
    """Yield the courses of each cell, in the order of the counts; of one without courses that are scored, none."""
    parts = dict(iter(rows.groupby(groups, sort=False)))
    for key in counts[groups].itertuples(index=False, name=None):
        yield key, parts.get(key, rows.iloc[:0])


def _covariates(cell: pd.DataFrame, names: Mapping[str, str]) -> pd.DataFrame:
    """Return the covariates of a cell under their own names, without those that are the same for all."""
    frame = cell[[*names.values()]].set_axis([*names], axis=1)
    varied = [name for name, values in frame.items() if len(values.drop_duplicates()) > 1]
    return frame[varied].reset_index(drop=True)


def _model(
    name: str, cell: pd.DataFrame, covariates: pd.DataFrame, key: tuple[Any, ...], handling: Handling
) -> pd.DataFrame:
    """Estimate one cell by one model, and add to its method what it supposes."""
    shared: dict[str, Any] = {"clusters": cell["patient_id"], "conf_level": handling.conf_level}
    if name == "response_ipw":
        found = weighted_proportion(cell["responder"], cell["evaluable"], covariates, **shared)
    else:
        chosen = handling.imputation
        measured = chosen.of == "measurement"
        found = imputed_proportion(
            cell[MARGIN] if measured else cell["responder"],
            cell["evaluable"],
            covariates,
            at_least=0.0 if measured else None,
            imputations=chosen.number,
            seed=[chosen.seed, zlib.crc32("\n".join(map(str, key)).encode())],
            **shared,
        )
    return found.assign(method=found["method"] + "; " + handling.strategy(name))


def _with_denominators(stacked: pd.DataFrame, counts: pd.DataFrame, groups: list[str]) -> pd.DataFrame:
    """Add to every note how many courses were due, had a baseline, were assessed, and were completed too."""
    words = counts[groups].assign(
        _told=[
            f"{due:.0f} due: {based:.0f} with a baseline, {seen:.0f} assessed, {done:.0f} of these completed"
            for due, based, seen, done in zip(
                *(counts[f"{flag}_trials"] for flag in ("due", "with_baseline", "evaluable", "completer")),
                strict=True,
            )
        ]
    )
    told = stacked[groups].merge(words, on=groups, how="left")["_told"]
    notes = ["; ".join(filter(None, pair)) for pair in zip(stacked["note"], told, strict=True)]
    return stacked.assign(note=notes)


def explained_estimand(
    scored: nw.LazyFrame[Any], columns: Sequence[str], cell: Mapping[str, Any]
) -> pd.DataFrame:
    """Return the courses behind one cell: those that were assessed, or all that were due where the method counts them."""
    name = str(cell.get("estimand", "response_observed"))
    all_due = name in {"response_nonresponder", *ESTIMANDS["bounds"]}
    return explained(
        scored,
        columns,
        cell,
        flag="due" if all_due else "evaluable",
        missing_respond=name == "response_highest",
    )
