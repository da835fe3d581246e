"""The estimates of a hazard model in rows: a ratio a level, a test a term."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd
from scipy import stats

from mesostats.estimators.hazard_terms import PER_UNIT, SET_ASIDE, labels_of

if TYPE_CHECKING:
    import numpy.typing as npt

    from mesostats.estimators.hazard_samples import HazardFit, Observed
    from mesostats.estimators.hazard_terms import Term

    Floats = npt.NDArray[np.float64]

ALL_LEVELS: Final = "all levels"
"""What stands for the level in the row of a term's test."""
RATIOS: Final = {"cloglog": "hazard_ratio", "logit": "odds_ratio"}
"""The estimand of each link."""
ONE_CLUSTER: Final = "its observations are of one cluster: variance unseen"
UNSEEN: Final = 1e-20
"""A variance of no more is what rounding leaves of one that was not seen."""
_REFERENCE: Final = "reference"
_DETERMINED: Final = "determined by the covariates before it: no effect of its own can be seen"
_RANK: Final = 1e10  # condition number of a correlation matrix beyond which it is not of full rank


def ratio_rows(fit: HazardFit, observed: Observed, conf_level: float) -> pd.DataFrame:
    """Return a row a level of each covariate, the reference first, the levels that are set aside last."""
    places = _places(fit)
    spreads = {term.name: term.spread for term in fit.terms if not term.levels}
    rows = []
    for name, own, level in _levels(fit, observed):
        trials, events = _level_counts(observed, name, own)
        row: dict[str, Any] = {"term": name, "level": level, "numerator": events, "denominator": trials}
        place = places.get((name, level))
        if place is not None:
            row |= _one_ratio(
                fit, place, spreads.get(name, 1.0), conf_level, seen=(name, level) not in fit.lonely
            )
        rows.append(row | {"note": _note(fit, name, level, is_column=place is not None)})
        if rows[-1]["note"].startswith(_REFERENCE):
            rows[-1]["estimate"] = 1.0
    columns = ["term", "level", "estimate", "std_error", "conf_low", "conf_high", "statistic", "p_value"]
    frame = pd.DataFrame(rows, columns=[*columns, "numerator", "denominator", "note"])
    return frame.astype(dict.fromkeys(columns[2:], "float64")).assign(
        estimand=RATIOS[fit.link],
        conf_level=conf_level,
        df=fit.df,
        n_missing=observed.missing,
        method=fit.method,
    )


def _places(fit: HazardFit) -> dict[tuple[str, str], int]:
    """Return the place among the coefficients of each level that has one."""
    place = np.cumsum(fit.kept) - 1
    return {
        label: int(place[column])
        for column, label in enumerate(labels_of(fit.terms), start=1)
        if fit.kept[column]
    }


def _levels(fit: HazardFit, observed: Observed) -> list[tuple[str, int | None, str]]:
    """Return each covariate, the place of each of its levels (none for a number), and the level's name."""
    chosen = {term.name: term for term in fit.terms}
    found: list[tuple[str, int | None, str]] = []
    for name, levels in observed.covariates.levels.items():
        if not levels:
            found.append((name, None, PER_UNIT))
            continue
        first = list(chosen[name].codes) if name in chosen else []
        rest = [place for place in range(len(levels)) if place not in first]
        found += [(name, place, levels[place]) for place in (*first, *rest)]
    return found


def _level_counts(observed: Observed, name: str, place: int | None) -> tuple[float, float]:
    values = observed.patterns[name].to_numpy()
    rows = np.ones(len(values), dtype=bool) if place is None else values == place
    return float(observed.trials[rows].sum()), float(observed.events[rows].sum())


def _one_ratio(
    fit: HazardFit, place: int, spread: float, conf_level: float, *, seen: bool
) -> dict[str, float]:
    """Return one coefficient as a ratio with its interval and test."""
    log_ratio = float(fit.coefficients[place]) / spread
    variance = float(fit.covariance[place, place]) / spread**2
    error = np.sqrt(variance) if seen and variance > UNSEEN else np.nan
    half = float(stats.t.isf((1 - conf_level) / 2, fit.df)) * error
    statistic = log_ratio / error
    low, high, ratio = np.exp(np.clip([log_ratio - half, log_ratio + half, log_ratio], -700, 700))
    return {
        "estimate": float(ratio),
        "std_error": float(error),
        "conf_low": float(low),
        "conf_high": float(high),
        "statistic": float(statistic),
        "p_value": float(2 * stats.t.sf(abs(statistic), fit.df)),
    }


def _note(fit: HazardFit, name: str, level: str, *, is_column: bool) -> str:
    """Say what the ratio is against, or why there is none."""
    term = next((each for each in fit.terms if each.name == name), None)
    parts = [fit.silent.get((name, level), "")]
    if term is not None and not parts[0]:
        if term.levels and level == term.levels[0]:
            parts.append(_REFERENCE)
        elif is_column:
            parts.append(_against(fit, term))
            parts.append(ONE_CLUSTER if (name, level) in fit.lonely else "")
        else:
            parts.append(_DETERMINED if level in term.compared else SET_ASIDE)
    return "; ".join(filter(None, (*parts, fit.notes.get(name, ""), fit.trouble)))


def _against(fit: HazardFit, term: Term) -> str:
    """Name the reference; a level that earlier covariates determine is one too, where they tell it from the first."""
    if not term.levels:
        return ""
    places = _places(fit)
    further = [f"'{level}'" for level in term.compared if (term.name, level) not in places]
    where = f", or {', '.join(further)} where the terms before it tell them apart" if further else ""
    return f"against '{term.levels[0]}'{where}"


def wald_rows(fit: HazardFit, observed: Observed) -> pd.DataFrame:
    """Return a row a covariate: the Wald test that all its ratios are 1."""
    places, rows = _places(fit), []
    trials, events = observed.trials.sum(), observed.events.sum()
    for name in observed.covariates.levels:
        own = [place for label, place in places.items() if label[0] == name and label not in fit.lonely]
        statistic = _wald(fit.coefficients[own], fit.covariance[np.ix_(own, own)]) if own else np.nan
        alone = "" if own else "no level to test"
        note = (
            f"F test with {len(own)} and {fit.df:.0f} degrees of freedom" if np.isfinite(statistic) else alone
        )
        rows.append(
            {
                "term": name,
                "level": ALL_LEVELS,
                "statistic": statistic,
                "df": float(len(own)) if np.isfinite(statistic) else np.nan,
                "p_value": stats.f.sf(statistic, max(len(own), 1), fit.df),
                "note": "; ".join(filter(None, (note, fit.notes.get(name, ""), fit.trouble))),
            }
        )
    numbers = ["estimate", "std_error", "conf_low", "conf_high", "conf_level"]
    frame = pd.DataFrame(rows, columns=["term", "level", "statistic", "df", "p_value", "note"])
    return frame.assign(
        **dict.fromkeys(numbers, np.nan),
        estimand="wald_test",
        numerator=events,
        denominator=trials,
        n_missing=observed.missing,
        method=f"Wald F test; {fit.method}",
    )


def _wald(coefficients: Floats, covariance: Floats) -> float:
    """Return b'V⁻¹b/q, NaN where V is not of full rank."""
    if not np.isfinite(covariance).all():
        return np.nan
    scale = np.sqrt(np.diag(covariance))
    if not np.all(scale**2 > UNSEEN) or np.linalg.cond(covariance / np.outer(scale, scale)) > _RANK:
        return np.nan
    return float(coefficients @ np.linalg.solve(covariance, coefficients)) / len(coefficients)
