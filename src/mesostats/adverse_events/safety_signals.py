"""Safety signals: practitioners and clinics outside their funnel, and lots with more events than other lots."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Literal, get_args

import pandas as pd
from statsmodels.stats.multitest import multipletests

from mesostats.adverse_events.counted import KIND, counting_of
from mesostats.adverse_events.evidence import funnel_evidence, lot_evidence
from mesostats.adverse_events.lots import LOT, LOT_COLUMNS, SUBSTANCE, Against, compare_lots, lot_periods
from mesostats.adverse_events.tallies import count_spec, question_of, tally, unit_of
from mesostats.estimators import clustered_proportion, proportion
from mesostats.estimators.arguments import check_choice, check_conf_level
from mesostats.results import Result, contract, stack
from mesostats.schedule import as_date

if TYPE_CHECKING:
    from mesostats.adverse_events.evidence import Evidence
    from mesostats.adverse_events.lots import LotComparison
    from mesostats.adverse_events.tallies import Tally
    from mesostats.dataset import Dataset

By = Literal["practitioner_id", "clinic_id", "lot"]
Per = Literal["patient", "session"]
Multiplicity = Literal["holm", "benjamini_hochberg"]

_GROUPS: Final = {
    "practitioner_id": ("practitioner_id",),
    "clinic_id": ("clinic_id",),
    "lot": LOT_COLUMNS[:2],
}
_ESTIMANDS: Final = {"session": "session_proportion", "patient": "incidence_proportion"}
_EXPECTED: Final = "expected_proportion"
_CORRECTIONS: Final = {"holm": ("holm", "Holm"), "benjamini_hochberg": ("fdr_bh", "Benjamini-Hochberg")}
_AGAINST: Final = {
    "clinic": "patients of the same clinic who got other lots of the same substance only",
    "all_clinics": "patients of any clinic who got other lots of the same substance only",
    "period": "patients of the same clinic who were treated while the lot was in use, and never got it",
}
_REFERENCES: Final = {
    "funnel": "Spiegelhalter DJ. Stat Med 2005;24:1185-1202. doi:10.1002/sim.1970",
    "lot": "Pagano M, Tritchler D. J Am Stat Assoc 1983;78:435-440. doi:10.1080/01621459.1983.10477990",
}


def signals(
    clinic: Dataset,
    *,
    by: By,
    of: str | None = None,
    only: str | None = None,
    per: Per = "session",
    against: Against = "clinic",
    follow_up_days: int = 60,
    multiplicity: Multiplicity = "holm",
    alpha: float = 0.05,
    conf_level: float = 0.95,
) -> Result:
    """Look for practitioners, clinics or lots with more side effects than chance explains.

    Parameters
    ----------
    clinic
        A data set with adverse events; for lots with products.
    by
        What is watched: ``practitioner_id``, ``clinic_id`` or ``lot``.
    of
        The kinds of event, as in `adverse_event_rates`. If not given, ``class`` for lots (of which there are so many that few
        terms could be told apart), else ``term``; with `only` it is ``term``.
    only
        The one kind to look at: a question asked beforehand, such as ``"infection"``, needs less evidence than all kinds.
    per
        ``session``: sessions with an event; ``patient``: patients with an event in any of the unit's sessions.
    against
        Whom the patients with a lot are held against: those of the same ``clinic`` who got other lots of the substance
        only, those of ``all_clinics``, or those of the clinic who were treated in the lot's ``period`` of use without it. Of lots only.
    follow_up_days
        As in `adverse_event_rates`.
    multiplicity
        ``holm``: the chance of any false signal in the whole result is at most `alpha`; ``benjamini_hochberg``: the
        expected share of false ones among the signals is.
    alpha
        The rate of false signals.
    conf_level
        Of the units' own intervals.

    Returns
    -------
    Result
        For each unit (lots: ``substance, lot``) and kind of event ``session_proportion`` or ``incidence_proportion`` (of
        patients) with its own interval, the test's statistic, p value and adjusted p value; the note begins with
        ``signal:`` where the latter is at most `alpha`. A second row, ``expected_proportion``, says what is expected without a
        difference, of those who can be compared; for practitioners and clinics its interval is the funnel's 95 %
        control limits. ``spec["funnel"]`` holds target, over-dispersion and lines of the funnel by kind. Sessions
        without the name of a practitioner, clinic or lot are shown, and not tested.

    Raises
    ------
    DataError
        If adverse_events or, for lots, products are absent.
    ValueError
        If an argument is not one of those above.

    Notes
    -----
    Counted is as in `adverse_event_rates`: sessions where somebody asked, or an event was recorded.

    *Practitioners and clinics* stand in a funnel (`estimators.funnels.funnel`): exact binomial tails against the overall
    proportion, with allowance for sessions that are alike within patients (a design effect over all units) and for
    differences between units so common that they are no alarm (over-dispersion). There is no adjustment for case mix:
    a signal is a question, not a verdict. One of fewer events may be poor recording.

    *Lots.* Sessions are not exchangeable: a frail patient has events in many of them, and gets one lot in many of them,
    so that a test of sessions would take frail patients for bad lots. The unit is the patient, with the number of
    sessions with the lot and the number of these with an event; others are patients who never got the lot, each with
    the lot of the substance that they had most sessions with. If lots are alike, who is frail has nothing to do with
    which lot was open at the time of treatment: within a stratum of clinic and number of sessions patients are
    exchangeable. `estimators.cluster_tests.permutation_test` permutes them exactly, and looks at more events only. Where
    side effects make patients leave, it errs on the side of silence.

    A clinic has one lot of a substance open at a time, so that lots of a substance are compared across time, which a
    season or a change of recording can disturb. ``against="period"`` compares within the time of use, but between
    substances and with far fewer patients: it finds an outbreak in a large clinic only. Late events of lots used shortly
    before the data cut are not yet seen. Substances of the same session share its events: where the events of a
    signal came with those of one at least as strong, the note says so.

    References
    ----------
    Spiegelhalter DJ (2005). Funnel plots for comparing institutional performance. doi:10.1002/sim.1970

    Holm S (1979). A simple sequentially rejective multiple test procedure. Scand J Stat 6, 65-70.

    Examples
    --------
    A simulated chain of clinics, one of which used a lot that causes infections:

    >>> import mesostats as ms
    >>> clinic = ms.simulate(1000, seed=1)
    >>> found = signals(clinic, by="lot", only="infection").estimates
    >>> strongest = found.loc[found["p_value"].idxmin()]
    >>> strongest["lot"] == clinic.truth.query("quantity == 'bad_lot'")["lot"].item()
    True
    >>> strongest["note"].split(";")[0]
    'signal: 11 sessions with an event against 2.2 expected, 27 patients held against 120'
    """
    _check(by=(by, By), per=(per, Per), against=(against, Against), multiplicity=(multiplicity, Multiplicity))
    check_conf_level(conf_level)
    if not 0 < alpha < 1:
        msg = f"alpha == {alpha}, must be above 0 and below 1"
        raise ValueError(msg)
    if by == "lot":
        clinic.require("products")
    of = of or ("class" if by == "lot" and only is None else "term")
    lots: LotComparison | None = None
    counted: dict[str, Any] = {"of": of, "follow_up_days": follow_up_days, "only": only}
    counts = tally(clinic, counting_of(clinic, _GROUPS[by], per=per, **counted))
    if by == "lot":
        sessions = counting_of(clinic, LOT_COLUMNS, per="session", **counted)
        lots = compare_lots(clinic, sessions, against)
    evidence = funnel_evidence(counts) if lots is None else lot_evidence(counts, lots)
    tests = _adjusted(evidence.tests, multiplicity)
    notes = _notes(clinic, counts, tests, alpha, lots=lots)
    columns = [*_GROUPS[by], *counts.counting.kind_column]
    frames = [_observed(counts, tests, notes, conf_level), _expected(counts, tests)]
    estimates = contract(stack(frames), columns).sort_values(columns, kind="stable", ignore_index=True)
    arguments: dict[str, Any] = {
        "by": by,
        "of": of,
        "only": only,
        "per": per,
        "against": against if by == "lot" else None,
    }
    arguments |= {"follow_up_days": follow_up_days, "multiplicity": multiplicity, "alpha": alpha}
    arguments |= {"conf_level": conf_level}
    return Result(estimates, _spec(clinic, counts, arguments, evidence), counts.explain)


def _check(**choices: tuple[str, Any]) -> None:
    for name, (value, known) in choices.items():
        check_choice(value, get_args(known), name)


def _adjusted(tests: pd.DataFrame, multiplicity: Multiplicity) -> pd.DataFrame:
    """Add the adjusted p values of all tests that were made."""
    made = tests["p_value"].dropna()
    if made.empty:
        return tests.assign(p_adjusted=float("nan"))
    adjusted = multipletests(made, method=_CORRECTIONS[multiplicity][0])[1]
    return tests.assign(p_adjusted=pd.Series(adjusted, made.index))


def _observed(counts: Tally, tests: pd.DataFrame, notes: pd.Series[Any], conf_level: float) -> pd.DataFrame:
    """Return the rows of what was observed, with the tests."""
    per, totals = counts.counting.per, counts.totals()
    if per == "session":
        found = clustered_proportion(totals, conf_level=conf_level)
    else:
        found = proportion(totals.successes, totals.trials, conf_level=conf_level)
    remark = counts.remark()
    said = [dict.fromkeys([note, text, remark]) for note, text in zip(notes, found["note"], strict=True)]
    return found.assign(
        **counts.keys(),
        estimand=_ESTIMANDS[per],
        df=float("nan"),  # the interval's; the test has none
        statistic=tests["statistic"],
        p_value=tests["p_value"],
        p_adjusted=tests["p_adjusted"],
        unit=unit_of(counts.counting),
        n_missing=counts.grid["unknown"],
        method=["; ".join(filter(None, pair)) for pair in zip(found["method"], tests["test"], strict=True)],
        note=["; ".join(filter(None, parts)) for parts in said],
    )


def _expected(counts: Tally, tests: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of what is expected if units do not differ."""
    limits = tests["limit_low"].notna()
    return pd.DataFrame(
        {
            **counts.keys(),
            "estimand": _EXPECTED,
            "estimate": tests["expected"] / tests["trials"].where(tests["trials"] > 0),
            "conf_low": tests["limit_low"],
            "conf_high": tests["limit_high"],
            "conf_level": pd.Series(0.95, tests.index).where(limits),
            "numerator": tests["expected"],
            "denominator": tests["trials"],
            "unit": unit_of(counts.counting),
            "method": tests["test"].mask(limits, "control limits of the funnel at the unit's size"),
            "note": tests["why"],
        }
    )


def _notes(
    clinic: Dataset, counts: Tally, tests: pd.DataFrame, alpha: float, *, lots: LotComparison | None
) -> pd.Series[Any]:
    """Say which units are signals, why others could not be tested, and when lots were used."""
    alarm = tests["p_adjusted"] <= alpha
    parts = [tests["signal"].where(alarm, ""), tests["why"]]
    if lots is not None:
        alarms = counts.grid.loc[alarm, [SUBSTANCE, LOT, KIND]].assign(p_value=tests.loc[alarm, "p_value"])
        parts += [_used(clinic, counts), _shared(lots.shared(alarms))]
    frame = pd.concat([part.reindex(tests.index, fill_value="") for part in parts], axis=1)
    return pd.Series(["; ".join(filter(None, row)) for row in frame.itertuples(index=False)], tests.index)


def _used(clinic: Dataset, counts: Tally) -> pd.Series[Any]:
    """Say from when to when the lot of each row was in use."""
    periods = counts.grid[[SUBSTANCE, LOT]].merge(lot_periods(clinic, counts.counting), how="left")
    first, last = (as_date(periods[name]).dt.strftime("%Y-%m-%d") for name in ("first_used", "last_used"))
    return pd.Series(("used " + first + " to " + last).to_numpy(), counts.grid.index)


def _shared(rows: pd.DataFrame) -> pd.Series[Any]:
    """Say of each signal how many of its events came in sessions that also used the lot of a stronger one."""
    rows = rows.dropna(subset=["stronger"])
    said = [
        f"{shared:.0f} of its {sessions:.0f} sessions with an event also used lot {stronger}, a signal at least as strong"
        for shared, sessions, stronger in zip(rows["shared"], rows["sessions"], rows["stronger"], strict=True)
    ]
    return pd.Series(said, rows.index, dtype=object)


def _spec(clinic: Dataset, counts: Tally, arguments: dict[str, Any], evidence: Evidence) -> dict[str, Any]:
    spec = count_spec(clinic, counts.counting)
    made = int(evidence.tests["p_value"].notna().sum())
    correction = _CORRECTIONS[arguments["multiplicity"]][1]
    held = _AGAINST.get(arguments["against"], "all units with a name, together")
    spec["rules"] = [
        *spec["rules"][:2],
        "Units where nobody asked are left out of the estimate.",
        *spec["rules"][3:],
        f"Held against: {held}.",
        f"A signal: p value of at most {arguments['alpha']:g} after {correction}'s correction for {made} tests.",
    ]
    what = question_of(counts.counting)
    return spec | {
        "analysis": "signals",
        "title": f"Safety signals by {arguments['by'].removesuffix('_id')}: {what} per {counts.counting.per}",
        "arguments": arguments,
        "primary": _ESTIMANDS[counts.counting.per],
        "references": [_REFERENCES["lot" if arguments["by"] == "lot" else "funnel"]],
        "tests": made,
        "funnel": evidence.funnels,
    }
