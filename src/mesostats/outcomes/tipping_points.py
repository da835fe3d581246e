"""Tipping points: how the courses that were not assessed would have to have fared for the conclusion to change."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from mesostats.assessments import END_OF_COURSE
from mesostats.estimators.arguments import check_conf_level
from mesostats.outcomes.missing_methods import POPULATION
from mesostats.outcomes.questions import question
from mesostats.outcomes.response_counts import explained, not_due, response_counts
from mesostats.outcomes.tipping_grids import (
    MISSING_SHARE,
    REFERENCE_SHARE,
    Grid,
    Tally,
    comparison_grid,
    threshold_grid,
)
from mesostats.populations import UNKNOWN, check_reference, labels, uncompared
from mesostats.results import ESTIMATE_COLUMNS, Result, contract, stack

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pandas as pd

    from mesostats.dataset import Dataset
    from mesostats.outcomes.questions import EndpointChoice, Question
    from mesostats.vocabulary import ResponderRule

    Key = tuple[str, ...]

_FEWEST_STEPS: Final = 2
_REFERENCES: Final = (
    "ICH E9(R1), 2019: addendum on estimands and sensitivity analysis in clinical trials.",
    "Yan X, Lee S, Li N. J Biopharm Stat 2009;19:1085-1098. doi:10.1080/10543400903243009",
    "Miettinen O, Nurminen M. Stat Med 1985;4:213-226. doi:10.1002/sim.4780040211",
)


def tipping_point(
    clinic: Dataset,
    *,
    group: str | None = None,
    reference: str | None = None,
    threshold: float | None = None,
    by: str | Sequence[str] | None = None,
    instrument: str | Sequence[str] | None = None,
    rule: ResponderRule | Mapping[str, ResponderRule] | None = None,
    endpoint: EndpointChoice = END_OF_COURSE,
    window: int | None = None,
    steps: int = 21,
    conf_level: float = 0.95,
) -> Result:
    """Show what must be supposed of courses that were not assessed for a conclusion to change.

    Parameters
    ----------
    clinic
        A data set with outcomes.
    group
        The column of patients or courses whose groups are compared; without it each share is held against a threshold.
    reference
        With ``group``: the one that the others are compared with; if not given the one with the most courses.
    threshold
        Without ``group``: the share of responders that is claimed to be reached, between 0 and 1.
    by
        More columns; each of their groups is looked at by itself.
    instrument, rule, endpoint, window
        As for `response`.
    steps
        How many numbers of responders among the missing are tried in each group, at least 2; all where fewer are missing.
    conf_level
        Two-sided confidence level; a comparison is conclusive where p is below 1 - ``conf_level``.

    Returns
    -------
    Result
        By group, ``instrument`` and the assumed shares of responders among the missing: ``response_of_missing`` and, of the
        reference, ``response_of_missing_reference``; where nobody is missing the share is 0. With ``group`` the estimand is
        ``response_difference``: the difference and its p value (Miettinen-Nurminen) if so many had responded; without,
        ``response``: the share (Wilson) and its score test against the threshold. Numerator and denominator are the
        group's, with the assumed responders. By cell, in this order, ``spec["tipping"]`` says in a sentence where the conclusion
        changes, ``spec["conclusions"]`` what it is if the missing respond as the assessed do, and ``spec["as_assessed"]``
        which assumed shares these are.

    Raises
    ------
    DataError
        If the table outcomes is absent.
    VocabularyError
        If an instrument is not in the vocabulary.
    ValueError
        If an argument is not as described, or the reference is not one of the known groups.

    Notes
    -----
    All treated courses whose endpoint is due are counted, those that were assessed as they were, the others as assumed: every cell of
    the grid is one way in which they may have fared, and its corners are the bounds. The conclusion to be tipped is that at
    the numbers nearest to the share of the assessed in each group. Whether the point at which it tips is plausible is for
    those to judge who know why courses were not assessed. Assumed numbers are whole and certain, so that p values tell
    nothing of the uncertainty of the assumption (see `response` with ``missing="multiple_imputation"``). ``explain`` shows
    the courses as they were assessed, without assumptions.

    References
    ----------
    Yan X, Lee S, Li N (2009). Missing data handling methods in medical device clinical trials.
    doi:10.1080/10543400903243009

    Examples
    --------
    >>> import mesostats as ms
    >>> from mesostats.outcomes.tipping_points import tipping_point
    >>> found = tipping_point(ms.simulate(300, seed=1), by="indication", instrument="masi", threshold=0.3)
    >>> found.spec["tipping"][0].split("; ")[0]
    'melasma, masi: 18 of 38 not assessed. The share of responders is at least 0.3 if 3 or more of the missing respond (17 %)'
    >>> found.spec["conclusions"]
    ['above 0.3']
    """
    check_conf_level(conf_level)
    _check(group, reference, threshold, steps=steps)
    within = () if by is None else (by,) if isinstance(by, str) else tuple(by)
    columns = within if group is None else (group, *within)
    shares = [MISSING_SHARE] if group is None else [MISSING_SHARE, REFERENCE_SHARE]
    asked = question(
        clinic,
        by=columns,
        instrument=instrument,
        rule=rule,
        endpoint=endpoint,
        window=window,
        taken={*shares, *ESTIMATE_COLUMNS},
    )
    scored = asked.courses(clinic)
    tallies = _tallies(response_counts(scored, [*columns, "instrument"]), asked, group)
    chosen: dict[str, Any] = {"steps": steps, "conf_level": conf_level}
    if threshold is None:
        reference = _largest(tallies) if reference is None else reference
        grids = _compared(tallies, str(group), reference, **chosen)
    else:
        grids = {key: threshold_grid(tally, threshold, **chosen) for key, tally in tallies.items()}
    keys = [*columns, "instrument"]
    frames = [
        grid.frame.assign(**dict(zip(keys, key, strict=True)), unit="courses") for key, grid in grids.items()
    ]
    estimates = contract(stack(frames), [*keys, *shares])
    arguments: dict[str, Any] = {"group": group, "reference": reference, "threshold": threshold}
    arguments |= asked.arguments | {"by": list(within)} | chosen
    spec = _spec(clinic, asked, arguments, grids) | {"not_due": not_due(scored)}
    return Result(estimates, spec, lambda cell: explained(scored, columns, cell, flag="due"))


def _check(group: str | None, reference: str | None, threshold: float | None, *, steps: int) -> None:
    """Refuse arguments that do not go together."""
    if group is None and reference is not None:
        msg = f"reference= goes with group=, found reference={reference!r} alone"
        raise ValueError(msg)
    if (group is None) == (threshold is None):
        msg = "name either group= (and reference=), or threshold="
        raise ValueError(msg)
    if threshold is not None and not 0 < threshold < 1:
        msg = f"threshold is a share above 0 and below 1, found {threshold}"
        raise ValueError(msg)
    if isinstance(steps, bool) or not isinstance(steps, int) or steps < _FEWEST_STEPS:
        msg = f"steps is a whole number of at least {_FEWEST_STEPS}, found {steps!r}"
        raise ValueError(msg)


def _tallies(counts: pd.DataFrame, asked: Question, group: str | None) -> dict[Key, Tally]:
    """Return the counts of each cell under its values."""
    keys = [*asked.columns, "instrument"]
    numbers = counts[["due_trials", "evaluable_trials", "due_successes", "due_clusters"]].astype(int)
    return {
        key: Tally(
            ", ".join(key if group is None else key[1:]),
            ", ".join(key[:-1] if group is None else key[:1]) or key[-1],
            due,
            seen,
            responders,
            patients,
            asked.refusals.get(key[-1], ""),
        )
        for key, (due, seen, responders, patients) in zip(
            counts[keys].itertuples(index=False, name=None),
            numbers.itertuples(index=False, name=None),
            strict=True,
        )
    }


def _largest(tallies: Mapping[Key, Tally]) -> str:
    """Return the group with the most courses, of those whose group is known."""
    due: dict[str, int] = {}
    for key, tally in _known(tallies).items():
        due[key[0]] = due.get(key[0], 0) + tally.due
    return max(due, key=lambda group: due[group], default="")


def _compared(tallies: Mapping[Key, Tally], group: str, reference: str, **chosen: Any) -> dict[Key, Grid]:
    """Compare every group with the reference of the same cell."""
    if tallies and (reference or _known(tallies)):
        check_reference(reference, {key[0] for key in tallies}, column=group)
    return {
        key: comparison_grid(tally, tallies.get((reference, *key[1:]), _nobody(reference, key)), **chosen)
        for key, tally in _known(tallies).items()
        if key[0] != reference
    }


def _known(tallies: Mapping[Key, Tally]) -> dict[Key, Tally]:
    """Return the cells of groups of which it is known who is in them."""
    return {key: tally for key, tally in tallies.items() if key[0] not in UNKNOWN}


def _nobody(reference: str, key: Key) -> Tally:
    return Tally(", ".join(key[1:]), reference, 0, 0, 0, 0, "")


def _spec(
    clinic: Dataset, asked: Question, arguments: dict[str, Any], grids: Mapping[Key, Grid]
) -> dict[str, Any]:
    names = [*asked.columns, "instrument"]
    whose = (
        f"the share of responders against {arguments['threshold']:g}"
        if arguments["group"] is None
        else f"{arguments['group'].replace('_', ' ')} against {arguments['reference']}"
    )
    return {
        "analysis": "tipping_point",
        "title": f"Tipping point: {whose}, by what is assumed of courses that were not assessed",
        "arguments": arguments,
        "cutoff": clinic.cutoff.isoformat(),
        "population": {"courses": POPULATION},
        "rules": [*asked.rules, *([uncompared("courses")] if arguments["group"] else [])],
        "tipping": [grid.sentence for grid in grids.values()],
        "conclusions": [grid.conclusion for grid in grids.values()],
        "as_assessed": [dict(zip(names, key, strict=True)) | grid.as_assessed for key, grid in grids.items()],
        "primary": "response" if arguments["group"] is None else "response_difference",
        "references": list(_REFERENCES),
        "labels": labels(clinic, names),
    }
