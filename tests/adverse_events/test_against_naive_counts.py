"""Counts of side effects of rough clinics against those of `naive_clinic`, and what must not change them."""

from __future__ import annotations

import random
from collections import defaultdict
from typing import TYPE_CHECKING, Any

import pandas as pd
import pytest
from naive_clinic import MONTH, NONE, SEVERITIES, Naive, clinic_of, rough_tables

import mesostats as ms

if TYPE_CHECKING:
    from collections.abc import Callable

    from mesostats.results import Result


def counted(rows: pd.DataFrame, by: list[str], kind: list[str]) -> dict[Any, tuple[float, ...]]:
    """Return numerator, denominator and n_missing by group, kind and what else names a row."""
    names = [*by, *kind]
    return {
        tuple(row[name] for name in names): (row["numerator"], row["denominator"], row["n_missing"])
        for row in rows.to_dict("records")
    }


def assert_explained(
    found: Result, *, events: str = "in_numerator", denominator: str = "in_denominator"
) -> None:
    rows = found.estimates.to_dict("records")
    for row in rows[:: max(1, len(rows) // 4)]:
        cell = {name: row[name] for name in [*found.groups, "estimand"]}
        behind = found.explain(**cell, **({} if pd.isna(row["time"]) else {"time": row["time"]}))
        assert behind.loc[behind["in_denominator"], denominator].sum() == pytest.approx(row["denominator"])
        assert behind[events].sum() == (0 if pd.isna(row["numerator"]) else row["numerator"])


def naive_rates(naive: Naive, by: list[str], of: str, per: str, events: str) -> Callable[[Any, Any], Any]:
    """Return what counts, by group and kind: the estimate, its lower and its upper bound, and how many are unknown."""
    units, (asked, silent) = naive.units(by, per), naive.asked(by, per)
    hits: dict[Any, dict[Any, list[Any]]] = defaultdict(lambda: defaultdict(list))
    for unit, event in naive.placed(by, per):
        if (kind := naive.kinds(event, of)) is not None:
            hits[unit][kind].append(event["onset"])
    if (of, events) == ("severity", "first"):
        hits = {
            unit: dict([max(own.items(), key=lambda one: [NONE, *SEVERITIES].index(one[0][0]))])
            for unit, own in hits.items()
        }  # type: ignore[assignment]

    def size(unit: Any, kind: Any) -> float:
        if per != "patient_month":
            return 1
        onsets = [day for day in hits.get(unit, {}).get(kind, []) if day is not None]
        stop = min(onsets, default=naive.cut) if events == "first" else naive.cut
        return sum(day <= stop for day in naive.days(units[unit])) / MONTH

    def cell(group: Any, kind: Any) -> list[tuple[float, Any, int]]:
        own = [unit for unit in units if unit[0] == group]
        numbers = [len(hits.get(unit, {}).get(kind, [])) for unit in own]
        happened = sum(number > 0 for number in numbers) if events == "first" else sum(numbers)
        known, everybody, heard = (
            sum(size(unit, kind) for unit in own if unit in of_these)
            for of_these in (asked, units, {*units} - silent)
        )
        doubt = len(silent & {*own})
        # At the worst a first event came on the first day at risk.
        worst = heard + doubt / MONTH if (per, events) == ("patient_month", "first") else everybody
        return [
            (happened, pytest.approx(known), doubt),
            (happened, pytest.approx(everybody), doubt),
            (happened + doubt, pytest.approx(worst), doubt),
        ]

    return cell


BY = [
    [],
    ["sex"],
    ["arm"],
    ["arm", "sex"],
    ["practitioner_id"],
    ["lot"],
    ["substance", "arm"],
    ["avoided_sun"],
]
KINDS = ["any", "term", "class", "severity", "serious", "related", "fatal", "site"]


@pytest.mark.parametrize("seed", range(1, 15))
def test_rates_are_those_counted_one_by_one(seed: int) -> None:
    draw = random.Random(seed)  # noqa: S311
    by, of = draw.choice(BY), KINDS[seed % len(KINDS)]
    per, events = (
        draw.choice(["patient", "course", "session", "patient_month"]),
        draw.choice(["first", "all"]),
    )
    follow = draw.choice([60, 60, 10, 0])
    naive = Naive(seed, follow)
    found = ms.adverse_event_rates(
        clinic_of(seed), by=by or None, of=of, per=per, events=events, follow_up_days=follow
    )  # type: ignore[arg-type]
    cell = naive_rates(naive, by, of, per, events)
    worst = "_one_each" if events == "all" else "_upper"
    bounds = {found.spec["primary"] + end: place for place, end in enumerate(["", "_lower", worst])}
    kind = found.groups[len(by) :]
    for (*names, estimand), counts in counted(found.estimates, by, [*kind, "estimand"]).items():
        assert cell(tuple(names[: len(by)]), tuple(names[len(by) :]))[bounds[estimand]] == counts
    rows = {
        (tuple(row[name] for name in by), tuple(row[name] for name in kind))
        for row in found.estimates.to_dict("records")
    }
    happened = [(unit[0], naive.kinds(event, of)) for unit, event in naive.placed(by, per)]
    assert {row for row in happened if row[1] is not None} <= rows
    assert found.spec["excluded_events"] == naive.excluded(by, of, per)
    months = "patient_months" if per == "patient_month" else "in_denominator"
    assert_explained(found, events="events" if events == "all" else "in_numerator", denominator=months)


TIMES_BY = [[], ["sex"], ["arm"], ["arm", "sex"]]


def of_kind(naive: Naive, by: list[str], of: str) -> dict[Any, list[tuple[Any, dict[str, Any]]]]:
    """Return unit and event by group and kind."""
    found: dict[Any, list[Any]] = defaultdict(list)
    for unit, event in naive.placed(by, "patient"):
        if (kind := naive.kinds(event, of)) is not None:
            found[*unit[0], *kind].append((unit, event))
    return found


def arguments(seed: int) -> tuple[Naive, list[str], str, dict[str, Any]]:
    draw = random.Random(seed)  # noqa: S311
    by, of, follow = draw.choice(TIMES_BY), draw.choice(KINDS), draw.choice([60, 60, 10, 0])
    return Naive(seed, follow), by, of, {"by": by or None, "of": of, "follow_up_days": follow}


@pytest.mark.parametrize("seed", range(30, 34))
def test_days_of_first_events_and_of_all_are_those_counted_one_by_one(seed: int) -> None:
    naive, by, of, given = arguments(seed)
    asked, silent = naive.asked(by, "patient")
    observed, events = naive.observed(by), of_kind(naive, by, of)
    free, means = (
        each(clinic_of(seed), **given) for each in (ms.time_to_first_event, ms.mean_cumulative_events)
    )
    for found, estimand in ((free, "event_free"), (means, "mean_cumulative_events")):
        rows = found.estimates.query(f"estimand == '{estimand}' and time.notna()")
        for (*names, time), counts in counted(rows, found.groups, ["time"]).items():
            own = events[tuple(names)]
            units = {unit for unit in asked if unit[0] == tuple(names[: len(by)])}
            came: dict[Any, list[int]] = defaultdict(list)
            for unit, event in own:
                if event["onset"] is not None:
                    came[unit].append(event["onset"] - observed[unit][0] + 1)
            ends = {unit: observed[unit][1] - observed[unit][0] + 1 for unit in units}
            missing = {unit for unit in silent - asked if unit[0] == tuple(names[: len(by)])}
            if estimand == "event_free":
                missing |= {unit for unit, _ in own if unit not in came}
                ends = {unit: min([end, *came[unit]]) for unit, end in ends.items() if unit not in missing}
                came = defaultdict(list, {unit: [min(days)] for unit, days in came.items() if days})
            happened = sum(days.count(time) for days in came.values())
            assert counts == (happened, sum(end >= time for end in ends.values()), len(missing))
        assert_explained(found, events="events" if found is means else "in_numerator")
        for names, own in events.items():
            cell = rows[(rows[found.groups] == list(names)).all(axis=1)]
            first = {
                event["onset"] - observed[unit][0] + 1 for unit, event in own if event["onset"] is not None
            }
            assert not first or min(first) in set(cell["time"])


@pytest.mark.parametrize("seed", range(40, 44))
def test_durations_and_onsets_are_those_counted_one_by_one(seed: int) -> None:
    naive, by, of, given = arguments(seed)
    observed, events = naive.observed(by), of_kind(naive, by, of)
    lasted, came = (each(clinic_of(seed), **given) for each in (ms.event_durations, ms.onset_after_session))
    rows = lasted.estimates.query("estimand == 'unresolved' and time.notna()")
    for (*names, time), counts in counted(rows, lasted.groups, ["time"]).items():
        days = [duration(event, observed[unit][1]) for unit, event in events[tuple(names)]]
        known = [day for day in days if day is not None]
        assert counts == (known.count((time, True)), sum(day >= time for day, _ in known), days.count(None))
    shares = came.estimates.query("estimand == 'onset_share'")
    first = {0: 0, 1: 1, 3: 2, 7: 4, 14: 8, 30: 15, 60: 31}
    for (*names, time), counts in counted(shares, came.groups, ["time"]).items():
        own = [event for _, event in events[tuple(names)]]
        after = [
            each["onset"] - naive.sessions[each["place"]]["day"]
            for each in own
            if each["place"] and each["onset"] is not None
        ]
        later = [days for days in after if days >= 0]
        happened = sum(first[time] <= days <= time for days in later)
        assert counts[1:] == (len(later), len(own) - len(later))
        assert not later or counts[0] == happened
    for found in (lasted, came):
        assert found.spec["excluded_events"] == naive.excluded(by, of, "patient")
        assert_explained(found)


def duration(event: dict[str, Any], stop: int) -> tuple[int, bool] | None:
    """Return the days that an event was seen to last, and whether it resolved; none where that is unknown."""
    dead = "fatal" in {event["severity"], event["outcome"]}
    if event["onset"] is None:
        return None
    if event["end"] is None:
        over = dead or event["outcome"] in {"recovered", "sequelae"}
        return None if over else (stop - event["onset"] + 1, False)
    if event["end"] < event["onset"]:
        return None
    return min(event["end"], stop) - event["onset"] + 1, event["end"] <= stop and not dead


@pytest.mark.parametrize("seed", range(50, 53))
def test_profile_is_that_counted_one_by_one(seed: int) -> None:
    naive, by, _, given = arguments(seed)
    del given["of"]
    worst: dict[Any, list[int]] = defaultdict(list)
    for (group, patient), event in naive.placed(by, "patient"):
        for term in (event["term"] or "uncoded", "any"):
            cell = (*group, *(naive.kinds(event, "class") or ()), term)
            worst[cell, patient].append([NONE, *SEVERITIES].index(event["severity"] or NONE))
    expected: dict[Any, int] = defaultdict(int)
    for (cell, _), grades in worst.items():
        expected[*cell, "any"] += 1
        expected[*cell, [NONE, *SEVERITIES][max(grades)]] += 1
    found = ms.adverse_event_profile(clinic_of(seed), **given)
    asked, silent = naive.asked(by, "patient")
    rows = counted(found.estimates.query("estimand == 'incidence_proportion'"), found.groups, [])
    assert set(expected) <= {*rows}
    for cell, counts in rows.items():
        known, doubt = (sum(unit[0] == cell[: len(by)] for unit in units) for units in (asked, silent))
        assert counts == (expected[cell], known, doubt)
    assert_explained(found)


@pytest.mark.parametrize("analysis", [ms.adverse_event_rates, ms.mean_cumulative_events, ms.event_durations])
def test_order_of_rows_and_names_do_not_matter_and_twice_the_clinic_has_twice_the_counts(
    analysis: Any,
) -> None:
    tables, cut = rough_tables(60, patients=4)
    shuffled = {name: table.sample(frac=1, random_state=1) for name, table in tables.items()}
    ids = ["patient_id", "course_id", "session_id", "event_id"]
    twin = {
        name: table.assign(**{key: "twin-" + table[key] for key in ids if key in table})
        for name, table in tables.items()
    }
    double = {name: pd.concat([table, twin[name]]) for name, table in tables.items()}
    one, same, other, both = (
        analysis(ms.Dataset(**each, cutoff=cut), by="arm", of="severity").estimates.query(
            "estimand != 'mean_function_test'"
        )
        for each in (tables, shuffled, twin, double)
    )
    for changed in (same, other):
        pd.testing.assert_frame_equal(one, changed, rtol=1e-12)
    counts = ["numerator", "denominator", "n_missing"]
    pd.testing.assert_frame_equal(both[counts], one[counts] * 2, rtol=1e-12)
    pd.testing.assert_series_equal(both["estimate"], one["estimate"], rtol=1e-12)


def small_clinic(**event: Any) -> ms.Dataset:
    """Return one patient with sessions on 1 and 11 January and one event."""
    sessions = {"session_id": ["S1", "S2"], "course_id": "C1", "date": ["2024-01-01", "2024-01-11"]}
    course = {
        "course_id": "C1",
        "patient_id": "P1",
        "indication": "acne",
        "arm": "A",
        "start_date": "2024-01-01",
    }
    return ms.Dataset(
        patients=pd.DataFrame({"patient_id": ["P1"]}),
        courses=pd.DataFrame([course]),
        sessions=pd.DataFrame(sessions).assign(status="attended", practitioner_id=["D1", "D2"]),
        adverse_events=pd.DataFrame([{"event_id": "E1", "course_id": "C1", "term": "rash"} | event]),
        cutoff="2024-12-31",
    )


def test_an_event_before_its_session_leaves_no_time_at_risk() -> None:
    clinic = small_clinic(session_id="S2", onset_date="2024-01-05")
    row = ms.adverse_event_rates(clinic, by="practitioner_id", per="patient_month").cell(
        practitioner_id="D2", estimand="first_events_per_patient_month"
    )
    assert (row["numerator"], row["denominator"]) == (1, 0)
    assert pd.isna(row["estimate"])


def test_a_column_of_the_events_without_a_counted_event_has_no_kinds() -> None:
    clinic = small_clinic(site="face", onset_date="2023-01-05")
    assert ms.adverse_event_rates(clinic, by="arm", of="site").estimates.empty


def test_mean_of_events_that_all_have_no_onset_is_nought() -> None:
    row = ms.mean_cumulative_events(small_clinic(onset_date=None)).estimates.iloc[-1]
    assert row[["estimate", "numerator", "denominator"]].tolist() == [0, 0, 1]
    assert "1 events of unknown onset" in row["note"]


def test_death_by_severity_is_no_recovery() -> None:
    clinic = small_clinic(onset_date="2024-01-05", end_date="2024-01-08", severity="fatal")
    assert ms.event_durations(clinic).cell(estimand="unresolved", time=4)["numerator"] == 0


@pytest.mark.parametrize("column", ["unit", "note", "time"])
def test_columns_named_as_those_of_results_are_refused(column: str) -> None:
    tables, cut = rough_tables(60, patients=4)
    tables["courses"] = tables["courses"].rename(columns={"arm": column})
    for analysis in (ms.adverse_event_rates, ms.adverse_event_profile, ms.mean_cumulative_events):
        with pytest.raises(ValueError, match=f"cannot group by '{column}'"):
            analysis(ms.Dataset(**tables, cutoff=cut), by=column)  # type: ignore[arg-type, operator]


@pytest.mark.parametrize("column", ["known", "first", "lost"])
def test_groups_named_as_columns_of_an_analysis_are_explained(column: str) -> None:
    tables, cut = rough_tables(60, patients=4)
    tables["courses"] = tables["courses"].rename(columns={"arm": column})
    for analysis in (ms.adverse_event_rates, ms.time_to_first_event):
        assert_explained(analysis(ms.Dataset(**tables, cutoff=cut), by=column))  # type: ignore[arg-type, operator]


def test_where_nobody_recorded_having_asked_the_worst_is_an_event_on_the_first_day() -> None:
    found = ms.adverse_event_rates(small_clinic(onset_date="2023-01-01"), per="patient_month")
    row = found.cell(estimand="first_events_per_patient_month_upper")
    assert (row["numerator"], row["denominator"]) == (1, pytest.approx(1 / MONTH))
    assert_explained(found, denominator="patient_months")
