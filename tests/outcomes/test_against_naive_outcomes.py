"""Shares, comparisons and changes of rough clinics against those of `naive_outcomes`."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pytest
from naive_outcomes import (
    BY,
    DENOMINATORS,
    DIRECTED,
    ENDINGS,
    NONE,
    RULED,
    UNKNOWN,
    Ending,
    Numbers,
    Watched,
    assert_explained,
    assert_same,
    counts,
    mean,
    naive_of,
    recorded,
    rows_of,
    share,
)

import mesostats as ms


@pytest.mark.parametrize("seed", range(5))
def test_responders_are_those_told_one_by_one(seed: int) -> None:
    clinic, naive, draw = naive_of(seed)
    for ending in draw.sample(ENDINGS, 3):
        by = draw.choice(BY)
        found = ms.response(clinic, by=by, **ending.arguments)
        expected: dict[Any, Numbers] = {}
        for instrument in recorded(clinic):
            for group, own in naive.groups(instrument, by).items():
                for name in DENOMINATORS:
                    hits, size, missing = counts(own, ending, name)
                    scored = instrument in RULED
                    numbers = (
                        (hits, size, missing, share(hits, size))
                        if scored
                        else (UNKNOWN, size, missing, UNKNOWN)
                    )
                    expected[(*group, instrument, f"response_{name}")] = numbers
        wanted = ["numerator", "denominator", "n_missing", "estimate"]
        names = [f"response_{name}" for name in DENOMINATORS]
        assert_same(rows_of(found, [*by, "instrument"], wanted, names), expected)
        assert_explained(found, draw)


@pytest.mark.parametrize("seed", range(3))
def test_bounds_hold_every_other_method(seed: int) -> None:
    clinic, naive, draw = naive_of(seed)
    ending, by = draw.choice(ENDINGS), draw.choice(BY)
    found = ms.response_scenarios(clinic, by=by, imputation=ms.Imputation(number=5), **ending.arguments)
    expected: dict[Any, Numbers] = {}
    for instrument in set(recorded(clinic)) & set(RULED):
        for group, own in naive.groups(instrument, by).items():
            hits, size, missing = counts(own, ending, "treated")
            key = (*group, instrument)
            expected[*key, "response_observed"] = (hits, size - missing)
            expected[*key, "response_nonresponder"] = expected[*key, "response_lowest"] = (hits, size)
            expected[*key, "response_highest"] = (hits + missing, size)
    scored = found.estimates[found.estimates["instrument"].isin(RULED)]
    names = ["response_observed", "response_nonresponder", "response_lowest", "response_highest"]
    rows = rows_of(found, [*by, "instrument"], ["numerator", "denominator"], names)
    assert_same({key: row for key, row in rows.items() if key[-2] in RULED}, expected)
    for _, cell in scored.groupby([*by, "instrument"]):
        values = cell.set_index("estimand")["estimate"].dropna().drop("response_bounds", errors="ignore")
        assert (values >= values.get("response_lowest", 0) - 1e-9).all()
        assert (values <= values.get("response_highest", 1) + 1e-9).all()
        limits = cell.set_index("estimand").loc["response_bounds"]
        assert pd.isna(limits["conf_low"]) or (
            limits["conf_low"] <= values["response_lowest"]
            and limits["conf_high"] >= values["response_highest"]
        )
    assert_explained(found, draw)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("group", ["arm", "clinic_id"])
def test_groups_are_compared_by_their_own_counts(seed: int, group: str) -> None:
    clinic, naive, draw = naive_of(seed)
    ending, name = draw.choice(ENDINGS), draw.choice(DENOMINATORS)
    found = ms.compare_response(
        clinic, group=group, strata="sex", denominator=name, pairwise=True, **ending.arguments
    )
    crude, pooled = {}, {}
    for instrument in set(recorded(clinic)) & set(RULED):
        groups = {key[0]: own for key, own in naive.groups(instrument, [group]).items()}
        for row in found.estimates.query(f"instrument == '{instrument}' and reference != ''").to_dict(
            "records"
        ):
            key = (instrument, row[group], row["reference"])
            sides = groups[row[group]], groups[row["reference"]]
            mine, other = (counts(side, ending, name) for side in sides)
            crude[*key, "risk_difference"] = (*mine, share(*mine[:2]) - share(*other[:2]))
            pooled[*key, "stratified_risk_difference"] = (mantel_haenszel(*sides, ending, name),)
    keys = ["instrument", group, "reference"]
    wanted = ["numerator", "denominator", "n_missing", "estimate"]
    scored = [
        rows_of(found, keys, numbers, [estimand])
        for numbers, estimand in ((wanted, "risk_difference"), (["estimate"], "stratified_risk_difference"))
    ]
    for rows, expected in zip(scored, (crude, pooled), strict=True):
        assert_same({key: row for key, row in rows.items() if key[0] in RULED}, expected)
    assert_explained(found, draw)


def mantel_haenszel(own: list[Watched], other: list[Watched], ending: Ending, name: str) -> float:
    """Return the weighted mean of the differences within the levels of sex."""
    above = below = 0.0
    for level in {each.course.group(["sex"]) for each in [*own, *other]}:
        sides = ([each for each in side if each.course.group(["sex"]) == level] for side in (own, other))
        (hits, size, _), (others, number, _) = (counts(side, ending, name) for side in sides)
        if size and number:
            weight = size * number / (size + number)
            above, below = above + weight * (hits / size - others / number), below + weight
    return share(above, below)


@pytest.mark.parametrize("seed", range(3))
def test_substances_are_compared_with_the_courses_without_them(seed: int) -> None:
    clinic, naive, draw = naive_of(seed)
    ending = draw.choice(ENDINGS)
    found = ms.compare_response(clinic, group="substance", **ending.arguments)
    expected: dict[Any, Numbers] = {}
    for instrument in recorded(clinic):
        known = {each: naive.received(each.course) - {NONE} for each in naive.watched(instrument)}
        known = {each: had for each, had in known.items() if had}
        for substance in set().union(*known.values()):
            for had, label in ((True, substance), (False, f"without {substance}")):
                own = [each for each, given in known.items() if (substance in given) == had]
                if own:
                    expected[instrument, label, "response_treated"] = counts(own, ending, "treated")[1:]
    rows = rows_of(found, ["instrument", "substance"], ["denominator", "n_missing"], ["response_treated"])
    assert_same(rows, expected)
    assert_explained(found, draw)


@pytest.mark.parametrize("seed", range(3))
def test_subgroups_hold_their_own_courses(seed: int) -> None:
    clinic, naive, draw = naive_of(seed)
    ending = draw.choice(ENDINGS)
    found = ms.subgroup_response(
        clinic, subgroups=["sex", "clinic_id"], instrument="dlqi", **ending.arguments
    )
    expected: dict[Any, Numbers] = {}
    for column in ("overall", "sex", "clinic_id"):
        levels = naive.groups("dlqi", [] if column == "overall" else [column])
        for arm in {each.course.group(["arm"]) for each in naive.watched("dlqi")}:
            for level, own in levels.items():
                inside = [each for each in own if each.course.group(["arm"]) == arm]
                expected[column, *(level or ["all groups"]), *arm, "response_treated"] = counts(
                    inside, ending, "treated"
                )
    rows = rows_of(
        found, ["subgroup", "level", "arm"], ["numerator", "denominator", "n_missing"], ["response_treated"]
    )
    assert_same(rows, expected)
    assert_explained(found, draw)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(
    ("instrument", "scale"), [("dlqi", "change"), ("hair_change_7pt", "change"), ("wsrs", "value")]
)
def test_grades_are_counted_and_won_one_by_one(seed: int, instrument: str, scale: Any) -> None:
    clinic, naive, draw = naive_of(seed)
    ending = draw.choice(ENDINGS)
    found = ms.compare_grades(clinic, instrument=instrument, scale=scale, **ending.arguments)
    groups = {key[0]: graded(own, ending, scale) for key, own in naive.groups(instrument, ["arm"]).items()}
    grades = {f"{grade:g}" for own in groups.values() for grade, _ in own if grade is not None}
    expected: dict[Any, Numbers] = {}
    for arm, own in groups.items():
        texts = ["not assessed" if grade is None else f"{grade:g}" for grade, _ in own]
        seen = [text for text in texts if text != "not assessed"]
        for grade in [*grades, "not assessed"]:
            expected[arm, grade, "share_of_treated"] = (texts.count(grade), len(texts))
            if grade in grades:
                expected[arm, grade, "share_of_evaluable"] = (seen.count(grade), len(seen))
    names = ["share_of_treated", "share_of_evaluable"]
    assert_same(rows_of(found, ["arm", "grade"], ["numerator", "denominator"], names), expected)
    for row in found.estimates.query("estimand == 'win_probability'").to_dict("records"):
        mine, other = (
            [good for _, good in groups[row[side]] if good is not None] for side in ("arm", "reference")
        )
        wins = [1 if one > two else 0.5 if one == two else 0 for one in mine for two in other]
        assert row["estimate"] == pytest.approx(mean(wins), nan_ok=True)
    assert_explained(found, draw)


def graded(own: list[Watched], ending: Ending, scale: str) -> list[tuple[float | None, float | None]]:
    """Return each due course's grade, and how good it is."""
    found: list[tuple[float | None, float | None]] = []
    for each in own:
        value, sign = each.value(ending), each.scale.sign
        if not each.due(ending):
            continue
        if value is None or (scale == "change" and each.baseline is None):
            found.append((None, None))
        else:
            better = each.scale.improved(each.baseline or 0, value)
            found.append((better + 0.0, better) if scale == "change" else (value, -sign * value))
    return found


@pytest.mark.parametrize("seed", range(5))
def test_changes_are_those_told_one_by_one(seed: int) -> None:
    clinic, naive, draw = naive_of(seed)
    ending, by = draw.choice(ENDINGS), draw.choice(BY)
    found = ms.change_from_baseline(clinic, by=by, **ending.arguments)
    expected: dict[Any, Numbers] = {}
    for instrument in recorded(clinic):
        for group, own in naive.groups(instrument, by).items():
            due = [each for each in own if each.due(ending)]
            if not due:
                continue
            pairs = [pair for each in due if (pair := each.pair(ending))]
            values = {
                "mean_baseline": [each.baseline for each in due if each.baseline is not None],
                "mean_baseline_evaluable": [baseline for baseline, _ in pairs],
                "mean_value": [value for _, value in pairs],
                "mean_change": [value - baseline for baseline, value in pairs],
            }
            for name, numbers in values.items():
                seen = mean(numbers) if instrument in DIRECTED else UNKNOWN
                expected[(*group, instrument, name)] = (seen, len(numbers), len(due) - len(numbers))
    names = ["mean_baseline", "mean_baseline_evaluable", "mean_value", "mean_change"]
    assert_same(
        rows_of(found, [*by, "instrument"], ["estimate", "denominator", "n_missing"], names), expected
    )
    assert_explained(found, draw)
