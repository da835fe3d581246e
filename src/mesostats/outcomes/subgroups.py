"""Response of groups within subgroups, and whether the difference depends on them: the rows of a forest plot."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, get_args

import narwhals as nw
import numpy as np
import pandas as pd

from mesostats.assessments import END_OF_COURSE
from mesostats.engine import collect
from mesostats.estimators import clustered_proportion, cochran_mantel_haenszel
from mesostats.estimators.arguments import check_choice
from mesostats.estimators.differences import RiskDifferenceMethod
from mesostats.estimators.heterogeneity import difference_heterogeneity
from mesostats.outcomes.denominators import STRATEGIES, Denominator, cluster_totals, shares, unscored
from mesostats.outcomes.group_pairs import (
    REFERENCE,
    TAKEN,
    GroupPairs,
    group_tallies,
    reference_pairs,
)
from mesostats.outcomes.own_instruments import LABELS, OWN, by_own_instrument, own_rule
from mesostats.outcomes.pair_estimates import crude_measures, described
from mesostats.outcomes.pair_explanations import without_courses
from mesostats.outcomes.questions import question
from mesostats.outcomes.response_counts import FLAGS, MEANINGS, explained, not_due
from mesostats.populations import POPULATIONS, UNKNOWN, grouping, labels, uncompared
from mesostats.results import ALL_GROUPS, Multiplicity, Result, adjusted_p_values, contract, stack

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy.typing as npt

    from mesostats.dataset import Dataset
    from mesostats.estimators import ClusterTotals
    from mesostats.outcomes.questions import EndpointChoice, Question
    from mesostats.vocabulary import ResponderRule

OVERALL: Final = "overall"
"""What the column ``subgroup`` holds of all courses together."""
_MOST_LEVELS: Final = 20
_FEW: Final = 10
_FEW_TEXT: Final = f"fewer than {_FEW} courses in a group"
_SHARED: Final = "patients with courses in several cells are taken as different ones"
_WARNING: Final = (
    "Subgroups are exploratory: read the interaction test, not the p values within levels; with many subgroups one of "
    "twenty tests is below .05 by chance, and a test above .05 does not show that levels are alike."
)
_FAMILY: Final = "interaction tests of one kind, of all subgroup columns and comparisons"
_TESTS: Final = ("interaction_difference_test", "interaction_odds_test")


def subgroup_response(
    clinic: Dataset,
    *,
    group: str = "arm",
    reference: str | None = None,
    subgroups: str | Sequence[str] = ("sex", "indication"),
    instrument: str | Sequence[str] | None = None,
    rule: ResponderRule | Mapping[str, ResponderRule] | None = None,
    endpoint: EndpointChoice = END_OF_COURSE,
    window: int | None = None,
    denominator: Denominator = "treated",
    method: RiskDifferenceMethod = "miettinen_nurminen",
    multiplicity: Multiplicity = "benjamini_hochberg",
    conf_level: float = 0.95,
) -> Result:
    """Compare the response of groups overall and within each level of each subgroup column, and test the interaction.

    Parameters
    ----------
    clinic
        A data set with outcomes.
    group, reference
        As for `compare_response`: a column of patients or courses.
    subgroups
        Columns of patients or courses with at most 20 levels each.
    instrument, rule, endpoint, window
        What is scored, and when, as for `compare_response`; ``"own"`` lets indications be subgroups.
    denominator
        Over which courses groups are compared, as for `compare_response`.
    method
        The interval of the difference: ``miettinen_nurminen`` or ``newcombe``.
    multiplicity
        How the p values of the interaction tests are adjusted for the number of subgroup columns.
    conf_level
        Two-sided confidence level.

    Returns
    -------
    Result
        By ``subgroup`` (a column, or ``overall``), ``level``, ``instrument``, the group and ``reference`` (empty where a group
        stands alone): each group's responses over all four denominators, ``risk_difference``, ``risk_ratio`` and
        ``odds_ratio`` of each comparison, and for each column, at the level "all groups",
        ``interaction_difference_test`` (that the differences of all levels are the same) and ``interaction_odds_test``
        (that their odds ratios are). A level in which a group is empty keeps its rows, with a note.

    Raises
    ------
    DataError
        If the table outcomes is absent.
    VocabularyError
        If an instrument is not in the vocabulary.
    ValueError
        If an argument is not as described, or a column has more than 20 levels.

    Notes
    -----
    The test of the differences is a score test (`estimators.difference_heterogeneity`), whose variances are those of the courses
    times the design effect where patients have several. That of the odds ratios is Breslow and Day's with Tarone's correction;
    it needs independent courses. Neither is exact; both leave out the level of those whose subgroup is not recorded. Whether there is an interaction depends on the
    scale: equal differences of unequal responses are unequal odds ratios.

    References
    ----------
    Wang R, Lagakos SW, Ware JH, Hunter DJ, Drazen JM (2007). Statistics in medicine: reporting of subgroup analyses in clinical
    trials. doi:10.1056/NEJMsr077003

    Cochran WG (1954). The combination of estimates from different experiments. doi:10.2307/3001666

    Tarone RE (1985). On heterogeneity tests based on efficient scores. doi:10.1093/biomet/72.1.91

    Examples
    --------
    >>> import mesostats as ms
    >>> from mesostats.outcomes.subgroups import subgroup_response
    >>> found = subgroup_response(ms.simulate(300, seed=1), group="clinic_id", subgroups="sex", instrument="masi")
    >>> one = found.estimates.query("clinic_id == 'K01' and estimand == 'risk_difference'")
    >>> one[["subgroup", "level"]].values.tolist()
    [['overall', 'all groups'], ['sex', 'female'], ['sex', 'male']]
    """
    check_choice(denominator, get_args(Denominator), "denominator")
    check_choice(method, get_args(RiskDifferenceMethod), "method")
    columns = grouping(subgroups)
    asked = question(
        clinic,
        by=(group, *columns),
        instrument=None if instrument == OWN else instrument,
        rule=rule,
        endpoint=endpoint,
        window=window,
        taken={*TAKEN, "subgroup", "level"},
    )
    courses = asked.courses(clinic)
    told: dict[str, Any] = {}
    if instrument == OWN:
        courses, told = by_own_instrument(clinic, courses, asked)
    _check_levels(courses, columns)
    pairs = GroupPairs(
        clinic,
        courses,
        ("instrument",),
        group,
        reference_pairs(courses, group, reference=reference, pairwise=False),
    )
    settings: dict[str, Any] = {"method": method, "conf_level": conf_level}
    frames = [
        _subgroup(pairs.within(*((column,) if column else ())), column, denominator, **settings)
        for column in (None, *columns)
    ]
    estimates = _estimates(frames, pairs, asked, multiplicity)
    arguments = asked.arguments | {"group": group, "reference": reference, "subgroups": list(columns)}
    arguments |= {"denominator": denominator, "multiplicity": multiplicity} | settings
    del arguments["by"]
    arguments |= {"instrument": OWN} if told else {}
    spec = _spec(clinic, asked, arguments, columns, told) | {
        "not_due": not_due(courses),
        "not_compared": pairs.uncompared(),
    }
    return Result(estimates, spec, lambda cell: _explain(pairs, denominator, cell))


def _check_levels(courses: nw.LazyFrame[Any], columns: Sequence[str]) -> None:
    for column in columns:
        levels = int(collect(courses.select(column).unique().select(n=nw.len()))["n"].iloc[0])
        if levels > _MOST_LEVELS:
            msg = f"'{column}' has {levels} levels, at most {_MOST_LEVELS} are compared; group them first"
            raise ValueError(msg)


def _subgroup(
    pairs: GroupPairs,
    column: str | None,
    denominator: Denominator,
    *,
    method: RiskDifferenceMethod,
    conf_level: float,
) -> pd.DataFrame:
    """Return all rows of one subgroup column, or of all courses together."""
    flag, keys = FLAGS[denominator], [*pairs.cell, pairs.group]
    counts = pairs.counts(flag)
    measures = crude_measures(pairs, counts, flag, method=method, conf_level=conf_level)
    few = (counts[["own_trials", "other_trials"]].min(axis=1) < _FEW).map({True: _FEW_TEXT, False: ""})
    compared = [
        _with_remark(described(found, pairs, counts, denominator), few).assign(estimand=name)
        for name, found in measures.items()
    ]
    own = shares(group_tallies(pairs), keys, {}, conf_level=conf_level).assign(**{REFERENCE: ""})
    missing = own.drop_duplicates(keys)[[*keys, "n_missing"]]
    rows = stack(compared).merge(missing, on=keys, how="left")
    if column is None:
        return pd.concat([own, rows], ignore_index=True).assign(subgroup=OVERALL, level=ALL_GROUPS)
    tests = _interactions(pairs, counts, column, denominator)
    levels = pd.concat([own, rows], ignore_index=True).rename(columns={column: "level"})
    return pd.concat([levels, tests], ignore_index=True).assign(subgroup=column)


def _with_remark(found: pd.DataFrame, remark: pd.Series[Any]) -> pd.DataFrame:
    notes = ["; ".join(filter(None, pair)) for pair in zip(found["note"], remark, strict=True)]
    return found.assign(note=notes)


def _interactions(
    pairs: GroupPairs, counts: pd.DataFrame, column: str, denominator: Denominator
) -> pd.DataFrame:
    """Return the interaction tests of one column, a row a test and comparison."""
    rows = []
    for place in range(len(pairs.pairs)):
        levels = counts[(counts["_pair"] == place) & ~counts[column].isin(UNKNOWN)].reset_index(drop=True)
        shown = pairs.pairs.iloc[place].to_dict() | {"level": ALL_GROUPS, "unit": "courses"}
        shown |= {"numerator": levels["own_successes"].sum(), "denominator": levels["own_trials"].sum()}
        for name, test in zip(_TESTS, (_difference_test, _odds_test), strict=True):
            found = test(levels)
            strategy = f"{found['method']}; {STRATEGIES[denominator]}"
            rows.append(shown | found | {"estimand": name, "method": strategy})
    return pd.DataFrame(rows)


def _difference_test(levels: pd.DataFrame) -> dict[str, Any]:
    """Test that the differences are the same, with the variances that clustering leaves."""
    own, other = (cluster_totals(levels, side) for side in ("own", "other"))
    effects = [_design_effects(side) for side in (own, other)]
    found = difference_heterogeneity(
        own.successes,
        own.trials,
        other.successes,
        other.trials,
        design_effects=effects[0],
        reference_design_effects=effects[1],
    ).iloc[0]
    shared = _SHARED if levels["shared"].sum() > 0 else ""
    return _told(found, [found["note"], shared])


def _design_effects(totals: ClusterTotals) -> npt.NDArray[np.float64]:
    """Return by how much clustering raises each variance, 1 where each patient has one course."""
    found = clustered_proportion(totals)["design_effect"].to_numpy(float)
    repeated = (totals.trials > totals.clusters) & np.isfinite(found)
    return np.where(repeated, found, 1.0)


def _odds_test(levels: pd.DataFrame) -> dict[str, Any]:
    """Test that the odds ratios are the same; not where patients have several courses."""
    own, other = (cluster_totals(levels, side) for side in ("own", "other"))
    found = cochran_mantel_haenszel(own.successes, own.trials, other.successes, other.trials).iloc[0]
    tested = pd.Series(
        {
            "statistic": found["homogeneity_statistic"],
            "df": found["homogeneity_df"],
            "p_value": found["homogeneity_p_value"],
            "method": "Breslow-Day test that the odds ratio is the same in all levels, Tarone's correction",
        }
    )
    repeated = np.any([side.trials > side.clusters for side in (own, other)]) or levels["shared"].sum() > 0
    if repeated:
        tested[["statistic", "df", "p_value"]] = np.nan
        return _told(tested, ["patients with several courses, which are not independent: no test"])
    return _told(tested, [str(found["note"]).replace("strata", "levels")])


def _told(found: pd.Series[Any], notes: Sequence[str]) -> dict[str, Any]:
    known = pd.notna(found["statistic"])
    numbers = {name: float(found[name]) if known else np.nan for name in ("statistic", "df", "p_value")}
    return numbers | {"method": str(found["method"]), "note": "; ".join(filter(None, notes))}


def _estimates(
    frames: Sequence[pd.DataFrame], pairs: GroupPairs, asked: Question, multiplicity: Multiplicity
) -> pd.DataFrame:
    """Return all rows, the whole first and then column by column, with adjusted p values of the interaction tests."""
    frame = unscored(stack(frames), asked.refusals)
    tests = frame["p_value"].where(frame["estimand"].isin(_TESTS)).astype(float)
    frame = frame.assign(p_adjusted=adjusted_p_values(tests, frame["estimand"], method=multiplicity))
    groups = ["subgroup", "level", "instrument", pairs.group, REFERENCE]
    place = frame["subgroup"].map({name: at for at, name in enumerate(dict.fromkeys(frame["subgroup"]))})
    last = frame["estimand"].isin(_TESTS)
    order = ["_place", "_last", *groups[1:]]
    frame = frame.assign(_place=place, _last=last).sort_values(order, kind="stable")
    return contract(frame, groups)


def _explain(pairs: GroupPairs, denominator: str, cell: Mapping[str, Any]) -> pd.DataFrame:
    """Return one row a course of the cell's level and group: its baseline, value, and why it does not count."""
    column, level = cell.get("subgroup", OVERALL), cell.get("level", ALL_GROUPS)
    wanted = {name: cell[name] for name in ("instrument", pairs.group) if name in cell}
    wanted |= {} if level == ALL_GROUPS else {column: level}
    name = str(cell.get("estimand", "")).removeprefix("response_")
    columns = [*([] if column == OVERALL else [column]), pairs.group]
    rows = explained(pairs.courses, columns, wanted, flag=FLAGS.get(name, FLAGS[denominator]))
    if name in _TESTS and column in rows:
        return without_courses(rows, rows[column].isin(UNKNOWN), "its level is not recorded")
    return rows


def _spec(
    clinic: Dataset, asked: Question, arguments: dict[str, Any], columns: Sequence[str], told: dict[str, Any]
) -> dict[str, Any]:
    named = labels(clinic, [*columns, "instrument", arguments["group"]])
    named["instrument"] = named["instrument"] | LABELS
    levels: dict[str, str] = {}
    for column in columns:
        levels |= named.get(column, {})
    return {
        "analysis": "subgroup_response",
        "title": f"Response by {arguments['group'].removesuffix('_id').replace('_', ' ')} within subgroups",
        "arguments": arguments,
        "cutoff": clinic.cutoff.isoformat(),
        "population": {"courses": POPULATIONS["treated"], **MEANINGS},
        "rules": [
            *asked.rules,
            *([own_rule(told)] if told else []),
            f"Compared over: {MEANINGS[arguments['denominator']]}.",
            uncompared("courses"),
            "A level that is not recorded has its rows; the interaction tests leave it out.",
            f"p values of interaction tests adjusted ({arguments['multiplicity']}) within a family: {_FAMILY}.",
            _WARNING,
        ],
        "warning": _WARNING,
        "rates": f"response_{arguments['denominator']}",
        "primary": "risk_difference",
        "family": _FAMILY,
        "references": [
            "Wang R, Lagakos SW, Ware JH, et al. N Engl J Med 2007;357:2189-2194. doi:10.1056/NEJMsr077003",
            "Cochran WG. Biometrics 1954;10:101-129. doi:10.2307/3001666",
        ],
        "labels": named | {"level": levels},
    } | told
