"""Visits, times, durability and baselines of rough clinics against those of `naive_outcomes`."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pytest
from naive_outcomes import (
    BY,
    DIRECTED,
    ENDINGS,
    RULED,
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
)

import mesostats as ms


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("window", [14, 3, "nearest", "session"])
def test_visits_take_their_own_assessments(seed: int, window: Any) -> None:
    clinic, naive, draw = naive_of(seed)
    by = draw.choice(BY)
    visits = [1, 2, 4] if window == "session" else [7, 21, 60]
    how = {"time": "session", "window": 30} if window == "session" else {"window": window}
    found = ms.change_by_visit(clinic, visits=visits, by=by, instrument=["dlqi", "masi"], **how)
    expected: dict[Any, Numbers] = {}
    for instrument in ("dlqi", "masi"):
        for group, own in naive.groups(instrument, by).items():
            bases = [each.baseline for each in own if each.baseline is not None]
            expected[*group, instrument, 0.0, "mean_value"] = (mean(bases), len(bases), len(own) - len(bases))
            for visit in visits:
                seen = [at for each in own if (at := each.at_visit(visit, visits, window)) is not None]
                values = [value for _, value in seen if value is not None]
                changes = [value - base for base, value in seen if value is not None and base is not None]
                if seen:
                    at = (*group, instrument, float(visit))
                    expected[*at, "mean_value"] = (mean(values), len(values), len(seen) - len(values))
                    expected[*at, "mean_change"] = (mean(changes), len(changes), len(seen) - len(changes))
    rows = rows_of(
        found,
        [*by, "instrument", "time"],
        ["estimate", "denominator", "n_missing"],
        ["mean_value", "mean_change"],
    )
    assert_same(rows, expected)
    assert_explained(found, draw, skip=["ls_mean_change"])


@pytest.mark.parametrize("seed", range(3))
def test_changes_beyond_error_are_counted_one_by_one(seed: int) -> None:
    clinic, naive, draw = naive_of(seed)
    ending, by, error = draw.choice(ENDINGS), draw.choice(BY), draw.choice([0.5, 4, 5.5])
    found = ms.change_beyond_error(clinic, by=by, error=error, population_mean=10, **ending.arguments)
    expected: dict[Any, Numbers] = {}
    for instrument in set(recorded(clinic)) & set(DIRECTED):
        for group, own in naive.groups(instrument, by).items():
            due = [each for each in own if each.due(ending)]
            better = [each.scale.improved(*pair) for each in due if (pair := each.pair(ending))]
            hits = {
                "better_beyond_error": [one > error for one in better],
                "within_error": [abs(one) <= error for one in better],
                "worse_beyond_error": [-one > error for one in better],
            }
            for name, each in hits.items():
                if due:
                    expected[*group, instrument, name] = (sum(each), len(each), len(due) - len(each))
    rows = rows_of(found, [*by, "instrument"], ["numerator", "denominator", "n_missing"], [*hits])
    assert_same({key: row for key, row in rows.items() if key[-2] in DIRECTED}, expected)
    assert_explained(found, draw, skip=["mee_chua_effect"])


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("time", ["day", "session"])
def test_first_responses_are_seen_where_they_were(seed: int, time: Any) -> None:
    clinic, naive, draw = naive_of(seed)
    by = draw.choice(BY)
    found = ms.time_to_response(clinic, by=by, time=time)
    expected: dict[Any, Numbers] = {}
    for instrument in set(recorded(clinic)) & set(RULED):
        for group, own in naive.groups(instrument, by).items():
            usable = [each for each in own if each.scale.usable(each.baseline)]
            times = [each.first_response(time) for each in usable]
            seen = [one for one in times if one.assessed is not None]
            lost = {"n_missing": len(own) - len(seen)}
            for at in {one.ended for one in seen if one.responded}:
                risk = sum(one.ended >= at for one in seen)
                hits = sum(one.ended == at and one.responded for one in seen)
                expected[*group, instrument, float(at), "responded_as_seen"] = (hits, risk, lost["n_missing"])
            for name, cause in (
                ("responded_before_dropout", "response"),
                ("dropped_out_before_response", "dropout"),
            ):
                for at in {one.left for one in times if one.cause}:
                    risk = sum(one.left >= at for one in times)
                    hits = sum(one.left == at and one.cause == cause for one in times)
                    expected[*group, instrument, float(at), name] = (hits, risk, len(own) - len(usable))
    names = ["responded_as_seen", "responded_before_dropout", "dropped_out_before_response"]
    rows = rows_of(found, [*by, "instrument", "time"], ["numerator", "denominator", "n_missing"], names)
    kept = {key: row for key, row in rows.items() if key[-3] in RULED and row[1] and not pd.isna(key[-2])}
    events = {key for key, row in expected.items() if row[0]}
    assert_same({key: row for key, row in kept.items() if row[0]}, {key: expected[key] for key in events})
    assert_explained(found, draw)


@pytest.mark.parametrize("seed", range(4))
def test_lasting_responses_are_counted_one_by_one(seed: int) -> None:
    clinic, naive, draw = naive_of(seed)
    by, window, first = draw.choice(BY), draw.choice([(90, 180), (61, 120)]), draw.choice([30, 60])
    found = ms.durability(clinic, by=by, window_days=window, endpoint_window=first)
    expected: dict[Any, Numbers] = {}
    for instrument in set(recorded(clinic)) & set(RULED):
        for group, own in naive.groups(instrument, by).items():
            over = [each for each in own if each.last + window[1] <= each.cut]
            flags = [(each.flags(Ending(window=first)), each.later(window)) for each in over]
            responders = [later for flag, later in flags if flag["responder"]]
            seen = [later for later in responders if later is not None]
            lost = len(responders) - len(seen)
            key = (*group, instrument)
            expected[*key, "assessed_later"] = (len(seen), len(responders), lost)
            expected[*key, "still_responding"] = (sum(seen), len(seen), lost)
            expected[*key, "still_responding_lower"] = (sum(seen), len(responders), lost)
            expected[*key, "still_responding_upper"] = (sum(seen) + lost, len(responders), lost)
            both = [(flag["responder"], later) for flag, later in flags if flag["evaluable"]]
            pairs = [pair for pair in both if pair[1] is not None]
            changed = sum(before != after for before, after in pairs)
            expected[*key, "paired_difference"] = (changed, len(pairs), len(both) - len(pairs))
    names = ["assessed_later", "still_responding", "still_responding_lower", "still_responding_upper"]
    rows = rows_of(
        found, [*by, "instrument"], ["numerator", "denominator", "n_missing"], [*names, "paired_difference"]
    )
    assert_same({key: row for key, row in rows.items() if key[-2] in RULED}, expected)
    assert_explained(found, draw)


@pytest.mark.parametrize("seed", range(3))
def test_sessions_by_a_landmark_are_counted_one_by_one(seed: int) -> None:
    clinic, naive, draw = naive_of(seed)
    by, landmark, ending = draw.choice(BY), draw.choice([7, 10, 14]), draw.choice([Ending(), Ending(60, 14)])
    found = ms.response_by_sessions(clinic, by=by, landmark_day=landmark, **ending.arguments)
    expected: dict[Any, Numbers] = {}
    for instrument in set(recorded(clinic)) & set(RULED):
        for group, own in naive.groups(instrument, by).items():
            doses: dict[int, list[Watched]] = {}
            for each in own:
                if each.due(ending) and each.last > each.first + landmark:
                    doses.setdefault(
                        sum(day <= each.first + landmark for day in each.course.days), []
                    ).append(each)
            for dose, courses in doses.items():
                for name in ("treated", "evaluable"):
                    expected[*group, instrument, str(dose), f"response_{name}"] = counts(
                        courses, ending, name
                    )
    names = ["response_treated", "response_evaluable"]
    wanted = ["numerator", "denominator", "n_missing"]
    rows = rows_of(found, [*by, "instrument", "sessions"], wanted, names)
    assert_same({key: row for key, row in rows.items() if key[-2] != "all groups"}, expected)
    assert_explained(found, draw)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("unit", ["patient", "course"])
def test_the_baseline_table_describes_first_courses(seed: int, unit: Any) -> None:
    clinic, naive, draw = naive_of(seed)
    found = ms.baseline_table(clinic, by="arm", variables=["sex", "planned_sessions", "dlqi"], unit=unit)
    firsts: dict[Any, Watched] = {}
    for each in sorted(naive.watched("dlqi"), key=lambda one: (one.first, one.course.id)):
        who = each.course.row["patient_id"] if unit == "patient" else each.course.id
        firsts.setdefault((*each.course.group(["arm"]), who), each)
    arms: dict[str, list[Watched]] = {}
    for (arm, _), each in firsts.items():
        arms.setdefault(arm, []).append(each)
    expected: dict[Any, Numbers] = {}
    for arm, own in arms.items():
        for name in ("sex", "planned_sessions"):
            values = [each.course.row.get(name) for each in own]
            known = [str(value) for value in values if value is not None and not pd.isna(value)]
            every = {each.course.row.get(name) for each in firsts.values()}
            for level in {str(value) for value in every if value is not None and not pd.isna(value)}:
                expected[arm, name, level, "share"] = (known.count(level), len(known))
            expected[arm, name, "", "missing"] = (len(own) - len(known), len(own))
        bases = [each.baseline for each in own if each.baseline is not None]
        expected[arm, "dlqi", "", "missing"] = (len(own) - len(bases), len(own))
        mean_row = found.cell(arm=arm, variable="dlqi", level="", estimand="mean")
        assert mean_row["estimate"] == pytest.approx(mean(bases), nan_ok=True)
    rows = rows_of(found, ["arm", "variable", "level"], ["numerator", "denominator"], ["share", "missing"])
    assert_same({key: row for key, row in rows.items() if key[0] != "all groups"}, expected)
    assert_explained(found, draw)
