"""Reduce the sessions of lots to numbers of patients, on the engine: those who got a lot, and others to hold it against.

The unit is the patient, with the number of sessions with the lot and the number of these that had an event; each patient
counts once in the comparison of a lot.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final, Literal

import narwhals as nw
import numpy as np
import pandas as pd

from mesostats.adverse_events.counted import KIND, exposed_sessions
from mesostats.adverse_events.counts import exposed_units, hits
from mesostats.engine import collect
from mesostats.populations import NOT_RECORDED

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mesostats.adverse_events.counted import Counting
    from mesostats.dataset import Dataset

Against = Literal["clinic", "all_clinics", "period"]

LOT_COLUMNS: Final = ("substance", "lot", "clinic_id")
"""The grouping columns of the counting that lots are compared by."""
SUBSTANCE, LOT, _CLINIC = "_group_0", "_group_1", "_group_2"
_LOT: Final = (SUBSTANCE, LOT)
_STRATUM: Final = "_stratum"
_PAIR: Final = [*_LOT, "patient_id"]
_PERSON: Final = [SUBSTANCE, "patient_id"]
_KEYS: Final = (*_LOT, _STRATUM, "sessions")


@dataclass(frozen=True, eq=False)
class PatientCounts:
    """Numbers of patients by substance, lot, stratum and number of sessions.

    Parameters
    ----------
    totals
        ``_group_0, _group_1, _stratum, sessions, patients``.
    hits
        Those with an event, by kind and number of sessions with one: ``event_kind, score`` besides.
    """

    totals: pd.DataFrame
    hits: pd.DataFrame

    @cached_property
    def _places(self) -> pd.Series[int]:
        """The row of ``totals`` that each row of ``hits`` belongs to."""
        numbered = self.totals[[*_KEYS]].assign(place=range(len(self.totals)))
        return self.hits[[*_KEYS]].merge(numbered, on=[*_KEYS], how="left")["place"]

    def of_kind(self, kind: str) -> pd.DataFrame:
        """Return the patients by score for one kind of event, score 0 too."""
        chosen = self.hits[KIND].eq(kind).to_numpy()
        some, place = self.hits.loc[chosen, ["score", "patients"]], self._places.to_numpy()[chosen]
        had = np.bincount(place, weights=some["patients"], minlength=len(self.totals)).astype(int)
        none = self.totals.assign(score=0, patients=self.totals["patients"] - had)
        had_some = (
            self.totals[[*_KEYS]]
            .iloc[place]
            .assign(score=some["score"].to_numpy(), patients=some["patients"].to_numpy())
        )
        return pd.concat([none, had_some], ignore_index=True)


@dataclass(frozen=True, eq=False)
class LotComparison:
    """Who got each lot, and whom they are held against.

    Parameters
    ----------
    exposed, others
        The patients with a lot, by the number of their sessions with it, and the others.
    found
        One row a lot, session and kind of event, on the engine.
    """

    exposed: PatientCounts
    others: PatientCounts
    found: nw.LazyFrame[Any]

    def units(self, kind: str) -> pd.DataFrame:
        """Return what `estimators.cluster_tests.permutation_test` takes for one kind of event.

        Returns
        -------
        pandas.DataFrame
            ``_group_0, _group_1, score, exposed, patients, stratum``; the last is a number that stands for clinic and
            number of sessions.
        """
        parts = [self.exposed.of_kind(kind).assign(exposed=1), self.others.of_kind(kind).assign(exposed=0)]
        rows = pd.concat(parts, ignore_index=True)
        return rows.assign(stratum=rows.groupby([_STRATUM, "sessions"]).ngroup())

    def matched(self, *, per: str) -> pd.DataFrame:
        """Return, a lot, the sessions or patients of those who have others to be held against: ``matched``."""
        both = self.exposed.totals.merge(self.others.totals[[*_KEYS]].drop_duplicates(), on=[*_KEYS])
        number = both["patients"] * np.where(per == "session", both["sessions"], 1)
        return both[[*_LOT]].assign(matched=number).groupby([*_LOT], as_index=False).sum()

    def shared(self, alarms: pd.DataFrame) -> pd.DataFrame:
        """Return, of each alarm, how many sessions with an event also used the lot of one at least as strong, of the same kind.

        Parameters
        ----------
        alarms
            ``_group_0, _group_1, event_kind, p_value``.

        Returns
        -------
        pandas.DataFrame
            One row an alarm that shares sessions, under its index: ``stronger`` (the lot that it shares most with),
            ``shared`` (sessions) and ``sessions`` (with an event).
        """
        if alarms.empty:
            return pd.DataFrame(columns=["stronger", "shared", "sessions"])
        order = alarms.sort_values(["p_value", LOT])
        ranked = order.assign(alarm=order.index, rank=range(len(order))).drop(columns="p_value")
        lots = self.found.filter(nw.col(LOT).is_in(alarms[LOT].unique().tolist()))
        rows = collect(lots.select(*_LOT, KIND, "session_id")).merge(ranked, on=[*_LOT, KIND])
        pairs = rows.merge(rows, on=[KIND, "session_id"], suffixes=("", "_stronger"))
        pairs = pairs[pairs["rank_stronger"] < pairs["rank"]].rename(columns={f"{LOT}_stronger": "stronger"})
        shared = pairs.groupby(["alarm", "stronger"], as_index=False).agg(shared=("session_id", "nunique"))
        most = shared.sort_values("shared", kind="stable").drop_duplicates("alarm", keep="last")
        return most.set_index("alarm").assign(sessions=rows.groupby("alarm")["session_id"].nunique())


def lot_periods(clinic: Dataset, counting: Counting) -> pd.DataFrame:
    """Return, a substance and lot, the first and the last day of use: ``first_used, last_used``, days since 1970-01-01."""
    day = nw.col("day")
    used = exposed_sessions(clinic, counting).group_by(*_LOT)
    return collect(used.agg(first_used=day.min(), last_used=day.max()))


def compare_lots(clinic: Dataset, counting: Counting, against: Against) -> LotComparison:
    """Count the patients with each lot and the others.

    Parameters
    ----------
    clinic
        The data set.
    counting
        Sessions by `LOT_COLUMNS`.
    against
        ``clinic`` and ``all_clinics``: patients who got other lots of the substance only, each with the lot of most
        sessions; ``period``: patients of the clinic who were treated while the lot was in use, and never got it.

    Returns
    -------
    LotComparison
        The strata are clinics, or all clinics in one. A patient who got a lot in two clinics belongs to one of them.
    """
    keep = clinic.engine.materialise
    stratum = nw.lit("") if against == "all_clinics" else nw.col(_CLINIC)
    known = keep(exposed_units(clinic, counting).filter(nw.col("known") > 0))
    sessions = known.select(*_PAIR, "session_id", stratum.alias(_STRATUM))
    found = keep(hits(clinic, counting).select(*_PAIR, "session_id", KIND))
    pairs = keep(_members(sessions.filter(nw.col(LOT) != NOT_RECORDED)))
    scored = keep(_scored(found))
    exposed = _patient_counts(pairs, scored, keys=_KEYS, on=_PAIR)
    if against == "period":
        days = exposed_sessions(clinic, counting).select("session_id", "day").unique()
        dated = sessions.join(days, on="session_id", how="inner")
        others = _patient_counts(*_same_period(dated, found, pairs), keys=_KEYS, on=_PAIR)
        return LotComparison(exposed, others, found)
    fewer = pairs.with_columns(fewer=-nw.col("sessions"))
    first = fewer.unique(_PERSON, keep="first", order_by=["fewer", LOT]).drop("fewer")
    return LotComparison(exposed, _other_lots(exposed, pairs, scored, chosen=keep(first)), found)


def _members(sessions: nw.LazyFrame[Any]) -> nw.LazyFrame[Any]:
    """Return one row a lot and patient with the number of sessions."""
    return sessions.group_by(_PAIR).agg(nw.col(_STRATUM).min(), nw.len().cast(nw.Int64).alias("sessions"))


def _scored(found: nw.LazyFrame[Any]) -> nw.LazyFrame[Any]:
    """Return one row a lot, patient and kind with the number of sessions that had an event."""
    return found.group_by(*_PAIR, KIND).agg(nw.len().cast(nw.Int64).alias("score"))


def _patient_counts(
    members: nw.LazyFrame[Any], scored: nw.LazyFrame[Any], *, keys: Sequence[str], on: list[str]
) -> PatientCounts:
    totals = members.group_by(*keys).agg(patients=nw.len())
    joined = scored.select(*on, KIND, "score").join(members, on=on, how="inner")
    counted = joined.group_by(*keys, KIND, "score").agg(patients=nw.len())
    return PatientCounts(collect(totals), collect(counted))


def _other_lots(
    exposed: PatientCounts,
    pairs: nw.LazyFrame[Any],
    scored: nw.LazyFrame[Any],
    *,
    chosen: nw.LazyFrame[Any],
) -> PatientCounts:
    """Return the patients with the substance, each with the chosen lot, less those who got the lot.

    Both are counted on the engine, and subtracted here: no lot meets all patients.
    """
    score = scored.join(chosen.select(_PAIR), on=_PAIR, how="inner").drop(LOT)
    chosen = chosen.drop(LOT)
    everybody = _patient_counts(chosen, score, keys=(SUBSTANCE, _STRATUM, "sessions"), on=_PERSON)
    theirs = pairs.select(_PAIR).join(chosen, on=_PERSON, how="inner")
    own = _patient_counts(theirs, score, keys=_KEYS, on=_PERSON)
    lots = exposed.totals[[*_KEYS]]
    return PatientCounts(
        _less(lots.merge(everybody.totals), own.totals), _less(lots.merge(everybody.hits), own.hits)
    )


def _less(everybody: pd.DataFrame, own: pd.DataFrame) -> pd.DataFrame:
    columns = [column for column in everybody.columns if column != "patients"]
    both = everybody.merge(own.rename(columns={"patients": "own"}), on=columns, how="left")
    left = both["patients"] - both["own"].fillna(0).astype(int)
    return both[columns].assign(patients=left)[left > 0].reset_index(drop=True)


def _same_period(
    dated: nw.LazyFrame[Any], found: nw.LazyFrame[Any], pairs: nw.LazyFrame[Any]
) -> tuple[nw.LazyFrame[Any], nw.LazyFrame[Any]]:
    """Return members and scores of the patients who were treated while a lot was in use, and never got it."""
    day = nw.col("day")
    used = dated.filter(nw.col(LOT) != NOT_RECORDED).group_by(*_LOT, _STRATUM)
    windows = used.agg(first_used=day.min(), last_used=day.max())
    visits = dated.select("session_id", "patient_id", "day", _STRATUM).unique()
    meanwhile = windows.join(visits, on=_STRATUM, how="inner").filter(
        day >= nw.col("first_used"), day <= nw.col("last_used")
    )
    others = meanwhile.select(*_PAIR, _STRATUM, "session_id").join(pairs.select(_PAIR), on=_PAIR, how="anti")
    events = found.select("session_id", KIND).unique()
    return _members(others), _scored(others.join(events, on="session_id", how="inner"))
