"""What preceded stopping: improvement, a side effect, both or neither, beside those who came to the same session."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Literal, get_args

import narwhals as nw
import pandas as pd

from mesostats.dropout.person_sessions import (
    NOT_ASKED,
    NOT_ASSESSED,
    NUMBER,
    PLAN,
    RESPONSE,
    RULES,
    SIDE_EFFECT,
    STOPPED,
    due_sessions,
    inquire,
    with_response,
    with_side_effect,
    with_side_effect_so_far,
)
from mesostats.engine import collect
from mesostats.estimators.arguments import check_choice, check_conf_level
from mesostats.estimators.matched_shares import matched_shares
from mesostats.populations import (
    POPULATIONS,
    group_sizes,
    grouping,
    labels,
    treated_courses,
    with_groups,
)
from mesostats.results import Result, contract, stack

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mesostats.dataset import Dataset
    from mesostats.follow_up import FollowUp
    from mesostats.vocabulary import ResponderRule

Since = Literal["last_session", "course_start"]

NEXT_SESSION: Final = "next_session"
"""The column that tells those who stopped from those who came, and their difference."""
_STEP: Final = (PLAN, "session")
_WHO: Final = {"cases": "stopped", "others": "came", "difference": "stopped - came"}
_ESTIMANDS: Final = {
    "side_effect": ("yes", ""),
    "improvement": ("", "yes"),
    "both": ("yes", "yes"),
    "improvement_only": ("no", "yes"),
    "side_effect_only": ("yes", "no"),
    "neither": ("no", "no"),
}
"""What is wanted of the side effect and of the response; nothing where that does not matter."""
_TAKEN: Final = {PLAN, "session", "day", "known_until", SIDE_EFFECT, RESPONSE, NEXT_SESSION}


def before_stopping(
    clinic: Dataset,
    *,
    by: str | Sequence[str] | None = None,
    since: Since = "last_session",
    follow_up: FollowUp = "settled",
    of: str = "any",
    rule: ResponderRule | Mapping[str, ResponderRule] | None = None,
    conf_level: float = 0.95,
) -> Result:
    """Estimate how often improvement, a side effect, both or neither preceded stopping, and coming to the same session.

    Parameters
    ----------
    clinic
        A data set with adverse events and outcomes.
    by
        Columns of patients and courses.
    since
        Side effects that followed the ``last_session`` held, or any of the course that had begun by it (``course_start``).
    follow_up
        ``settled`` sessions only, or ``all``; see `retention`.
    of
        Which side effects: ``any``, ``serious`` or ``related``.
    rule
        A responder rule, or one an instrument, in place of the vocabulary's (see `response`).
    conf_level
        Two-sided confidence level.

    Returns
    -------
    Result
        By group and ``next_session``: ``stopped``, ``came`` (the same sessions of the same protocols as those at which others
        stopped, in the same proportions) and ``stopped - came`` (of the sessions at which others came). Estimands: ``side_effect`` (as `since` says),
        ``improvement`` (the responder rule met at any assessment so far); of those of whom both are known also ``both``,
        ``improvement_only``, ``side_effect_only`` and ``neither``. Unit: sessions, which of those who stopped are courses.
        ``n_missing``: those of whom it is not known (nobody asked, not assessed).

    Raises
    ------
    DataError
        If the table adverse_events or outcomes is absent.
    ValueError
        If an argument is not as described.

    Notes
    -----
    A course that stopped is compared with those that were due at the same session of its protocol and came: whoever stayed longer had more
    sessions to improve in, so that dropouts and completers as such would not be comparable. What was known is that of the last
    session held, for both (see `mesostats.dropout.person_sessions`). `dropout_model` adjusts for more than the session. Where side effects
    are written down only when the patient comes again, those who stop seem free of them: then ask for those ``since`` the
    ``course_start``, which were known at a session that both came to.

    The engine counts alike rows: one row a patient, protocol, session number, outcome and state comes to memory, some 200 bytes each.

    Examples
    --------
    >>> import mesostats as ms
    >>> from mesostats.dropout.stopping import before_stopping
    >>> found = before_stopping(ms.simulate(1000, seed=1))
    >>> stopped, came = (found.cell(next_session=who, estimand="side_effect")["estimate"] for who in ("stopped", "came"))
    >>> bool(stopped > came)
    True
    """
    columns = grouping(by, taken=_TAKEN)
    check_conf_level(conf_level)
    check_choice(since, get_args(Since), "since")
    inquire(clinic, (SIDE_EFFECT, RESPONSE), follow_up=follow_up, of=of, rule=rule)
    with_effect = with_side_effect if since == "last_session" else with_side_effect_so_far
    rows = with_effect(due_sessions(clinic, follow_up), clinic, of, SIDE_EFFECT)
    rows = with_groups(with_response(rows, clinic, rule, RESPONSE), clinic, columns)
    rows = clinic.engine.materialise(rows)
    keys = [*columns, "patient_id", *_STEP, STOPPED, SIDE_EFFECT, RESPONSE]
    counted = collect(rows.group_by(keys).agg(nw.len().alias(NUMBER))).sort_values(keys, ignore_index=True)
    groups = group_sizes(treated_courses(clinic, columns), columns)[[*columns]].itertuples(index=False)
    frames = [
        _shares(_of_group(counted, columns, group), name, conf_level).assign(
            **dict(zip(columns, group, strict=True))
        )
        for group in groups
        for name in _ESTIMANDS
    ]
    estimates = contract(stack(frames).assign(unit="sessions"), [*columns, NEXT_SESSION])
    arguments: dict[str, Any] = {"by": [*columns], "since": since, "follow_up": follow_up}
    arguments |= {"of": of, "conf_level": conf_level}
    return Result(estimates, _spec(clinic, columns, arguments), lambda cell: _explain(rows, columns, cell))


def _of_group(counted: pd.DataFrame, columns: Sequence[str], group: Sequence[Any]) -> pd.DataFrame:
    for column, value in zip(columns, group, strict=True):
        counted = counted[counted[column] == value]
    return counted


def _state(rows: pd.DataFrame, name: str) -> tuple[pd.Series[bool], pd.Series[bool]]:
    """Return of which rows the estimand is known, and which of them have it."""
    wanted = dict(zip((SIDE_EFFECT, RESPONSE), _ESTIMANDS[name], strict=True))
    known = pd.Series(data=True, index=rows.index)
    having = known.copy()
    for column, value in wanted.items():
        if value:
            known &= rows[column].isin(["yes", "no"])
            having &= rows[column] == value
    return known, known & having


def _shares(own: pd.DataFrame, name: str, conf_level: float) -> pd.DataFrame:
    known, having = _state(own, name)
    chosen = own[known]
    found = matched_shares(
        having[known],
        chosen[STOPPED],
        chosen.groupby([*_STEP]).ngroup(),
        clusters=chosen["patient_id"],
        frequencies=chosen[NUMBER],
        conf_level=conf_level,
    )
    lost = own[~known].groupby(STOPPED)[NUMBER].sum()
    missing = {"cases": lost.get(1, 0), "others": lost.get(0, 0), "difference": lost.sum()}
    who = found["group"].map(_WHO).rename(NEXT_SESSION)
    return found.assign(estimand=name, n_missing=found["group"].map(missing)).join(who)


def _explain(rows: nw.LazyFrame[Any], columns: Sequence[str], cell: Mapping[str, Any]) -> pd.DataFrame:
    """Return one row a session that was due, of those who stopped or those who came in the same sessions."""
    if "estimand" not in cell:
        msg = f"name the estimand: explain(..., estimand='side_effect'); there are {', '.join(_ESTIMANDS)}"
        raise ValueError(msg)
    for column in columns:
        if column in cell:
            rows = rows.filter(nw.col(column) == cell[column])
    found = collect(rows).sort_values(["course_id", "session"], ignore_index=True)
    known, having = _state(found, cell["estimand"])
    asked = cell.get(NEXT_SESSION, _WHO["cases"])
    who = found[STOPPED].eq(int(asked != _WHO["others"]))
    strata = found.groupby([*columns, *_STEP]).ngroup()
    partner = known & found[STOPPED].ne(int(asked != _WHO["others"]))
    matched = strata.isin(strata[partner]) | (asked == _WHO["cases"])
    counted = who & known & matched
    lonely = "nobody stopped at this session" if asked == _WHO["others"] else "nobody came to this session"
    why = pd.Series("", index=found.index).mask(~matched, lonely)
    why = why.mask(~known, f"{NOT_ASKED}, or {NOT_ASSESSED}").mask(~who, "not of this group")
    shown = ["course_id", "patient_id", "session_id", *columns, "session", SIDE_EFFECT, RESPONSE]
    return found[shown].assign(in_denominator=counted, in_numerator=counted & having, excluded=why)


def _spec(clinic: Dataset, columns: Sequence[str], arguments: dict[str, Any]) -> dict[str, Any]:
    return {
        "analysis": "before_stopping",
        "title": "What preceded stopping, and coming to the same session",
        "arguments": arguments,
        "cutoff": clinic.cutoff.isoformat(),
        "population": {
            "sessions": "sessions that were due, from the second on, of courses that came to the one before",
            "courses": POPULATIONS["treated"],
        },
        "rules": [
            *RULES,
            "Those who came are weighted so that their sessions are those, of the same protocols, at which others stopped.",
            "Whoever stopped where nobody else came is in the shares, and in no difference.",
            "The p value is that of a t test; the interval joins those of the two shares, so that near 0 they may disagree.",
        ],
        "primary": "side_effect",
        "references": ["Zou GY, Donner A. Stat Med 2008;27:1693-1702. doi:10.1002/sim.3095"],
        "labels": labels(clinic, columns),
    }
