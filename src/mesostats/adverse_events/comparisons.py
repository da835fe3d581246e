"""Comparisons of side effects between groups: by how much, by what factor, and whether chance may explain it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal, get_args

import narwhals as nw
import pandas as pd

from mesostats.adverse_events.counted import KIND, Counting, Events, Per, counting_of
from mesostats.adverse_events.tallies import (
    ESTIMANDS,
    Tally,
    count_spec,
    question_of,
    tally,
    tally_estimates,
    unit_of,
)
from mesostats.engine import collect
from mesostats.estimators.arguments import check_choice
from mesostats.estimators.clustered_comparisons import (
    clustered_rate_ratio,
    clustered_risk_difference,
    clustered_risk_ratio,
)
from mesostats.estimators.differences import risk_difference
from mesostats.estimators.negative_binomial import negative_binomial_rate_ratio
from mesostats.estimators.rate_ratios import rate_difference, rate_ratio
from mesostats.estimators.ratios import odds_ratio, risk_ratio
from mesostats.estimators.stratified import stratified_risk_difference, stratified_risk_ratio
from mesostats.estimators.stratified_odds import cochran_mantel_haenszel
from mesostats.populations import UNKNOWN, check_reference, schedule_order, uncompared
from mesostats.results import Multiplicity, Result, adjusted_p_values, contract, stack

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from mesostats.dataset import Dataset
    from mesostats.estimators import ClusterTotals

    Estimator = Callable[..., pd.DataFrame]

RateModel = Literal["clustered", "negative_binomial"]

_PLAIN: Final[dict[str, Estimator]] = {
    "risk_difference": risk_difference,
    "risk_ratio": risk_ratio,
    "odds_ratio": odds_ratio,
}
_STRATIFIED: Final[dict[str, Estimator]] = {
    "risk_difference": stratified_risk_difference,
    "risk_ratio": stratified_risk_ratio,
    "odds_ratio": cochran_mantel_haenszel,
}
_CLUSTERED: Final[dict[str, Estimator]] = {
    "risk_difference": clustered_risk_difference,
    "risk_ratio": clustered_risk_ratio,
}
_RATES: Final[dict[str, Estimator]] = {"rate_ratio": rate_ratio, "rate_difference": rate_difference}
_REPEATED: Final[dict[str, Estimator]] = {"rate_ratio": clustered_rate_ratio}
_SHARES: Final = {("patient", "first"), ("course", "first"), ("session", "first")}
_NO_EVENT: Final = "no event in either group: nothing to test"
_REFERENCES: Final = (
    "Miettinen O, Nurminen M. Stat Med 1985;4:213-226. doi:10.1002/sim.4780040211",
    "Koopman PAR. Biometrics 1984;40:513-517. doi:10.2307/2531405",
    "Fisher RA. J R Stat Soc 1935;98:39-82. doi:10.2307/2342435",
    "Benjamini Y, Hochberg Y. J R Stat Soc B 1995;57:289-300. doi:10.1111/j.2517-6161.1995.tb02031.x",
)


def compare_adverse_events(
    clinic: Dataset,
    *,
    group: str,
    reference: str | None = None,
    of: str = "term",
    only: str | None = None,
    per: Per = "patient",
    events: Events = "first",
    strata: str | Sequence[str] | None = None,
    model: RateModel = "clustered",
    multiplicity: Multiplicity = "benjamini_hochberg",
    follow_up_days: int = 60,
    conf_level: float = 0.95,
) -> Result:
    """Compare how often side effects came in each group with a reference group.

    For a comparison that is adjusted for covariates see `exposure_effect`.

    Parameters
    ----------
    clinic
        A data set with adverse events.
    group
        The column that tells the groups apart: of patients, courses, sessions or products, as ``by`` of
        `adverse_event_rates`.
    reference
        The group that all others are compared with; if not given the largest one whose value is known. Those whose group is not
        recorded are counted, not compared.
    of, only, per, events, follow_up_days
        What is counted, as for `adverse_event_rates`.
    strata
        Columns whose levels are compared within and then pooled (Mantel-Haenszel); for ``per="patient"``, first events.
    model
        How repeated events (``events="all"``) are compared: ``clustered`` (a ratio of rates with patient-clustered
        intervals, counted on the engine) or ``negative_binomial`` (one row a patient comes to memory).
    multiplicity
        How p values are adjusted: ``benjamini_hochberg`` or ``holm``. The family is all kinds of event of one comparison and
        measure; without kinds, all groups compared.
    conf_level
        Two-sided confidence level.

    Returns
    -------
    Result
        By group and kind of event: each group's own rate (as of `adverse_event_rates`), and of every group but the
        reference its comparison. Per patient, first events: ``risk_difference`` (Miettinen-Nurminen, with its score test),
        ``risk_ratio`` (Koopman) and ``odds_ratio`` (exact conditional, with Fisher's p value). With strata the same three
        (Mantel-Haenszel; Sato, Greenland-Robins and Robins-Breslow-Greenland variances; the odds ratio with the
        Cochran-Mantel-Haenszel test). Per course or session: ``risk_difference`` and ``risk_ratio``, clustered in patients. Per
        patient-month, first events: ``rate_ratio`` (exact conditional) and ``rate_difference``. All events: ``rate_ratio``,
        as `model` says. Numerator and denominator of a comparison are the group's own.

    Raises
    ------
    DataError
        If the table adverse_events is absent.
    ValueError
        If an argument is not as described, or `reference` is not one of the groups.

    Notes
    -----
    Units where nobody asked are left out (``n_missing``), as in `adverse_event_rates`. A kind without an event in either group
    has no p value and is not in the family. Groups are taken as independent: a patient in both (with a session in each, or
    a course in each) makes the interval too wide rather than too narrow as long as a patient's events are alike; the note
    says how many there are. `exposure_effect` allows for such patients: of a care rule or a practitioner it is the one to
    quote. Fisher's test is exact and cautious: its p value may be above .05 where the interval of the difference, which has a
    score test of its own, leaves out 0.

    References
    ----------
    Miettinen O, Nurminen M (1985). Comparative analysis of two rates. doi:10.1002/sim.4780040211

    Sato T, Greenland S, Robins JM (1989). On the variance estimator for the Mantel-Haenszel risk difference. Biometrics 45,
    1323-1324. doi:10.2307/2531784

    Examples
    --------
    >>> import mesostats as ms
    >>> clinic = ms.simulate(300, seed=1)
    >>> found = compare_adverse_events(clinic, group="sex", reference="male", of="any")
    >>> sorted(found.estimates["estimand"].unique())
    ['incidence_proportion', 'odds_ratio', 'risk_difference', 'risk_ratio']
    """
    check_choice(per, get_args(Per), "per")
    check_choice(events, get_args(Events), "events")
    check_choice(model, get_args(RateModel), "model")
    if model == "negative_binomial" and events != "all":
        msg = f"model 'negative_binomial' compares repeated events: it needs events='all', found '{events}'"
        raise ValueError(msg)
    chosen: dict[str, Any] = {"per": per, "events": events, "follow_up_days": follow_up_days, "only": only}
    counting = counting_of(clinic, group, of, **chosen)
    within = () if strata is None else (strata,) if isinstance(strata, str) else tuple(strata)
    if within and (per, events) != ("patient", "first"):
        msg = f"strata= needs per='patient' and events='first', found per='{per}', events='{events}'"
        raise ValueError(msg)
    counts = tally(clinic, counting)
    groups = counts.grid[counting.keys[0]].unique().tolist()
    reference = _reference(counts, reference)
    strata_counts = tally(clinic, counting_of(clinic, (group, *within), of, **chosen)) if within else None
    comparisons = [
        _compare(_Pair(counts, strata_counts, other, reference, model), conf_level)
        for other in groups
        if other != reference and other not in UNKNOWN
    ]
    columns = [group, *counting.kind_column]
    compared = contract(stack(comparisons), columns)
    compared["p_adjusted"] = adjusted_p_values(
        compared["p_value"], _family(compared, counting), method=multiplicity
    )
    rates = contract(tally_estimates(counts, conf_level=conf_level), columns)
    estimates = pd.concat([rates, compared], ignore_index=True).sort_values(
        columns, key=schedule_order(clinic), kind="stable", ignore_index=True
    )
    arguments: dict[str, Any] = {
        "group": group,
        "reference": reference,
        "of": of,
        "strata": list(within),
    } | chosen
    arguments |= {"model": model, "multiplicity": multiplicity, "conf_level": conf_level}
    return Result(estimates, _spec(clinic, counting, arguments), counts.explain)


def _reference(counts: Tally, reference: str | None) -> str:
    """Return the group to compare with, the largest one if none is named."""
    grid = counts.grid.assign(size=counts.totals("lower").trials)
    sizes = grid.groupby(counts.counting.keys[0])["size"].max()
    if reference is None:
        named = sizes[~sizes.index.isin(UNKNOWN)]
        return str(named.idxmax()) if len(named) else ""
    check_reference(reference, sizes.index, column=counts.counting.by[0])
    return reference


@dataclass(frozen=True)
class _Pair:
    """One group and the reference: their counts, and those within strata."""

    counts: Tally
    strata: Tally | None
    group: str
    reference: str
    model: RateModel

    def rows(self, counts: Tally, group: str) -> pd.DataFrame:
        """Return the grid's rows of a group, in the order of kinds."""
        grid = counts.grid
        return grid[grid[counts.counting.keys[0]] == group].sort_values(KIND)

    def sides(self) -> tuple[ClusterTotals, ClusterTotals]:
        """Return the sums of the group and of the reference, a kind of event each."""
        totals = self.counts.totals()
        own, other = (
            self.rows(self.counts, group).index.to_numpy() for group in (self.group, self.reference)
        )
        return totals.take(own), totals.take(other)

    def in_both(self) -> int:
        """Count the patients that belong to both groups."""
        key, units = self.counts.counting.keys[0], self.counts.units
        first, second = (
            units.filter(nw.col(key) == name).select("patient_id").unique()
            for name in (self.group, self.reference)
        )
        both = first.join(second, on="patient_id", how="inner")
        return int(collect(both.select(patients=nw.len()))["patients"].iloc[0])


def _compare(pair: _Pair, conf_level: float) -> pd.DataFrame:
    """Return one row a measure and kind of event."""
    counting = pair.counts.counting
    rows = pair.rows(pair.counts, pair.group)
    names = pair.counts.keys()
    shared = pair.in_both()
    remarks = [pair.counts.remark(), f"patients in both groups: {shared}" if shared else ""]
    frames = [
        found.reset_index(drop=True).assign(
            **{column: values.loc[rows.index].to_numpy() for column, values in names.items()},
            estimand=measure,
            unit=unit_of(counting),
            n_missing=rows["unknown"].to_numpy(),
        )
        for measure, found in _measures(pair, conf_level).items()
    ]
    compared = stack(frames)
    silent = (compared["numerator"] == 0) & (compared["reference_numerator"] == 0)
    notes = [
        "; ".join(filter(None, [note, _NO_EVENT if none else "", *remarks]))
        for note, none in zip(compared["note"], silent, strict=True)
    ]
    return compared.assign(p_value=compared["p_value"].mask(silent), note=notes)


def _measures(pair: _Pair, conf_level: float) -> dict[str, pd.DataFrame]:
    """Estimate all measures that suit what was counted, a row a kind of event."""
    counting = pair.counts.counting
    own, other = pair.sides()
    if pair.strata is not None:
        return {
            name: _pooled(pair, pair.strata, estimator, conf_level) for name, estimator in _STRATIFIED.items()
        }
    if pair.model == "negative_binomial":
        return {"rate_ratio": _modelled(pair, conf_level)}
    if counting.events == "all" or counting.clustered:
        estimators = _REPEATED if counting.events == "all" else _CLUSTERED
        return {name: estimator(own, other, conf_level=conf_level) for name, estimator in estimators.items()}
    estimators = _RATES if counting.per == "patient_month" else _PLAIN
    counted = own.successes, own.trials, other.successes, other.trials
    return {name: estimator(*counted, conf_level=conf_level) for name, estimator in estimators.items()}


def _modelled(pair: _Pair, conf_level: float) -> pd.DataFrame:
    """Fit the negative binomial model to each kind of event, from one row a patient."""
    counting = pair.counts.counting
    group, size = counting.by[0], "patient_months" if counting.per == "patient_month" else "in_denominator"
    found = []
    for kind in pair.rows(pair.counts, pair.group)[KIND]:
        cell = dict.fromkeys(counting.kind_column, kind)
        units = pd.concat(
            [pair.counts.explain({group: name} | cell) for name in (pair.group, pair.reference)],
            ignore_index=True,
        )
        known = units[units["in_denominator"]]
        patients = known.assign(size=known[size].astype(float)).groupby([group, "patient_id"], as_index=False)
        totals = patients[["events", "size"]].sum()
        fitted = negative_binomial_rate_ratio(
            totals["events"], totals["size"], totals[group], reference=pair.reference, conf_level=conf_level
        )
        found.append(fitted.drop(columns="group"))
    return stack(found)


def _pooled(pair: _Pair, strata: Tally, estimator: Estimator, conf_level: float) -> pd.DataFrame:
    """Pool the strata of each kind of event; a stratum that lacks one of the groups has nobody in it."""
    totals = strata.totals()
    counted = strata.grid.assign(events=totals.successes, n=totals.trials)
    keys = [*strata.counting.keys[1:], KIND]
    own, other = (
        pair.rows(Tally(strata.counting, counted, strata.units, strata.found), name)[[*keys, "events", "n"]]
        for name in (pair.group, pair.reference)
    )
    both = own.merge(other, on=keys, how="outer", suffixes=("", "_reference")).fillna(0)
    columns = ["events", "n", "events_reference", "n_reference"]
    return stack(
        [
            estimator(*(rows[column].to_numpy() for column in columns), conf_level=conf_level)
            for _, rows in both.groupby(KIND, sort=True)
        ]
    )


def _family(compared: pd.DataFrame, counting: Counting) -> pd.Series[Any]:
    """Name the family of each comparison: the kinds of event of one group and measure; without kinds the groups."""
    if counting.kind_column:
        return compared[counting.by[0]] + " " + compared["estimand"]
    return compared["estimand"]


def _spec(clinic: Dataset, counting: Counting, arguments: dict[str, Any]) -> dict[str, Any]:
    question = question_of(counting)
    family = (
        "all kinds of event of one comparison and measure" if counting.kind_column else "all groups compared"
    )
    spec = count_spec(clinic, counting)
    names = spec["labels"].get(counting.by[0], {})
    reference = names.get(arguments["reference"], arguments["reference"])
    pooled = f", pooled over strata of {', '.join(arguments['strata'])}" if arguments["strata"] else ""
    return spec | {
        "analysis": "compare_adverse_events",
        "title": f"{question[:1].upper()}{question[1:]} against {reference}{pooled}",
        "arguments": arguments,
        "rates": ESTIMANDS[counting.per, counting.events],
        "primary": "risk_difference" if (counting.per, counting.events) in _SHARES else "rate_ratio",
        "family": family,
        "rules": [
            *spec["rules"],
            uncompared(unit_of(counting)),
            f"p values adjusted ({arguments['multiplicity']}) within a family: {family}.",
        ],
        "references": list(_REFERENCES),
    }
