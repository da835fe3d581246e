"""Small results of the schedule and dropout analyses, written by hand: what the tests of tables and plots show."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from mesostats.results import Result, contract

PHASES = [
    {"protocol": "p", "phase": "weekly", "first": 1, "last": 2, "goes_on": False},
    {"protocol": "p", "phase": "monthly", "first": 3, "last": 4, "goes_on": True},
]


def made(rows: list[dict[str, Any]], groups: list[str], analysis: str, **spec: Any) -> Result:
    base = {
        "analysis": analysis,
        "title": "A question",
        "cutoff": "2025-06-30",
        "primary": rows[0]["estimand"],
    }
    spec = base | {"arguments": {}, "population": {}, "rules": [], "labels": {}} | spec
    return Result(contract(pd.DataFrame(rows), groups), spec, lambda _: pd.DataFrame())


def share(n: float, of: float, estimand: str, **more: Any) -> dict[str, Any]:
    """Return a row with the share n/of, and the share -/+ 0.05 as its interval."""
    value = n / of if of else np.nan
    row = {"estimand": estimand, "estimate": value, "conf_low": value - 0.05, "conf_high": value + 0.05}
    return (
        row
        | {"conf_level": 0.95, "numerator": n, "denominator": of, "unit": "courses", "method": "Wilson"}
        | more
    )


def flow_rows(
    group: dict[str, Any], *, phases: dict[str, tuple[int, int, dict[str, int], int]]
) -> list[dict[str, Any]]:
    """Return the flow of one group: a phase's courses due, those that came, dropouts by reason, and those going on."""
    started = next(iter(phases.values()))[0] if phases else 0
    reasons = sorted({reason for _, _, lost, _ in phases.values() for reason in lost})

    def row(
        estimand: str, number: int, phase: str = "all phases", reason: str = "all reasons"
    ) -> dict[str, Any]:
        names = {"phase": phase, "reason": reason, "estimand": estimand, "numerator": number}
        return group | names | {"denominator": started, "estimate": number / started if started else np.nan}

    rows = [row("registered", started), row("started", started), row("attended_first_session", started)]
    for phase, (due, came, lost, going) in phases.items():
        rows += [row("due", due, phase), row("reached", came, phase), row("completed", 0, phase)]
        rows += [row("ongoing", going, phase), row("dropped_out", sum(lost.values()), phase)]
        rows += [row("dropped_out", lost.get(reason, 0), phase, reason) for reason in reasons]
    lost_ever = sum(sum(lost.values()) for _, _, lost, _ in phases.values())
    going_ever = sum(going for *_, going in phases.values())
    done = started - lost_ever - going_ever
    rows += [row("completed", done, "after the plan"), row("ongoing", 0, "after the plan")]
    rows += [row("dropped_out", 0, "after the plan"), row("completed", done), row("ongoing", going_ever)]
    return [*rows, row("dropped_out", lost_ever)]


def flow_result(groups: int = 1, *, reason: str = "cost") -> Result:
    """Return a flow of 100 courses a group: 30 leave in the first phase, 10 wait; 20 leave in the second; 40 complete."""
    phases = {"weekly": (100, 100, {reason: 20, "moved": 10}, 10), "monthly": (60, 55, {reason: 20}, 0)}
    rows = [
        row
        for k in range(groups)
        for row in flow_rows({"arm": f"arm_{k}"} if groups > 1 else {}, phases=phases)
    ]
    columns = ["arm", "phase", "reason"] if groups > 1 else ["phase", "reason"]
    return made(rows, columns, "patient_flow", arguments={"by": columns[:-2]})


def adherence_result() -> Result:
    """Return 100 due slots of one phase and 50 of another; 3 visits without a slot."""
    counts = {"weekly": (80, 5, 5, 10), "monthly": (20, 2, 3, 25)}
    rows = [
        share(n, sum(numbers), estimand, phase=phase, unit="slots", n_missing=7.0)
        for phase, numbers in counts.items()
        for estimand, n in zip(("on_time", "early", "late", "missed"), numbers, strict=True)
    ]
    rows.append(share(3, 130, "unscheduled", phase="outside the plan", unit="visits"))
    return made(rows, ["phase"], "adherence")


def gaps_result() -> Result:
    """Return gaps of one phase with the window 7 to 10 days: 1 of 6 days, 6 of 7, 2 of 12 and 1 of 90."""
    counts = {6.0: 1, 7.0: 6, 12.0: 2, 90.0: 1}
    own = {"phase": "weekly", "unit": "gaps"}
    rows = [
        share(n, 10, name, **own) for name, n in (("below_window", 1), ("in_window", 6), ("above_window", 3))
    ]
    rows += [
        {**own, "estimand": f"{name}_gap", "estimate": days, "denominator": 10.0}
        for name, days in (("lower_quartile", 7.0), ("median", 7.0), ("upper_quartile", 12.0))
    ]
    rows += [
        {**own, "estimand": "gap_share", "time": day, "estimate": n / 10, "numerator": n, "denominator": 10}
        for day, n in counts.items()
    ]
    windows = [{"protocol": "p", "phase": "weekly", "shortest": 7.0, "longest": 10.0}]
    return made(rows, ["phase"], "session_gaps", windows=windows, arguments={"by": ["phase"]})


def steps_result(analysis: str = "dropout_by_session", groups: int = 1) -> Result:
    """Return hazards 0, 10, 20 and 25 % at sessions 1 to 4, of 100, 100, 90 and 72 courses due."""
    lost = {1: (0, 100), 2: (10, 100), 3: (18, 90), 4: (18, 72)}
    rows = [
        share(n, of, name, time=float(k), **({"arm": f"arm_{group}"} if groups > 1 else {}))
        for group in range(groups)
        for k, (n, of) in lost.items()
        for name in ("attendance", "dropout_hazard", "retention")
    ]
    columns = ["arm"] if groups > 1 else []
    return made(rows, columns, analysis, phases=PHASES, arguments={"by": columns})


def model_result() -> Result:
    """Return a term with a reference, a ratio of 2 and one that cannot be estimated."""
    own = {"term": "side_effect", "unit": "sessions", "estimand": "hazard_ratio", "conf_level": 0.95}
    rows = [
        own | {"level": "no", "estimate": 1.0, "numerator": 20, "denominator": 400, "note": "reference"},
        own
        | {"level": "yes", "estimate": 2.0, "conf_low": 1.25, "conf_high": 3.2, "p_value": 0.004}
        | {"numerator": 30, "denominator": 300, "note": "against 'no'"},
        own
        | {"level": "not asked", "estimate": np.nan, "numerator": 0, "denominator": 12, "note": "no dropout"},
        {
            "term": "side_effect",
            "level": "all levels",
            "estimand": "wald_test",
            "statistic": 8.0,
            "df": 2.0,
            "p_value": 0.018,
        },
    ]
    return made(rows, ["term", "level"], "dropout_model", primary="hazard_ratio")


def predicted_result() -> Result:
    rows = [
        {
            "profile": name,
            "estimand": "predicted_retention",
            "time": float(k),
            "estimate": value**k,
            "unit": "courses",
        }
        | {"conf_low": value**k - 0.05, "conf_high": value**k + 0.05, "conf_level": 0.95}
        for name, value in (("calm", 0.9), ("bruised", 0.895))
        for k in (2, 3, 4)
    ]
    arguments = {"profiles": {"calm": {}, "bruised": {"side_effect": "yes"}}}
    return made(rows, ["profile"], "predicted_retention", arguments=arguments, phases=PHASES)


def reasons_result(groups: int = 1) -> Result:
    """Return reasons at sessions 2 and 3: cost 10 and 20 % (naive 25 %), moved 5 and 5 % (naive 6 %), in all 15 and 25 %."""
    values = {"cost": ((10, 0.10, 0.10), (9, 0.20, 0.25)), "moved": ((5, 0.05, 0.05), (0, 0.05, 0.06))}
    values["all reasons"] = ((15, 0.15, np.nan), (9, 0.25, np.nan))
    rows = []
    for group in range(groups):
        arm = {"arm": f"arm_{group}"} if groups > 1 else {}
        for reason, steps in values.items():
            for time, (n, right, naive) in zip((2.0, 3.0), steps, strict=True):
                own = arm | {
                    "reason": reason,
                    "time": time,
                    "numerator": n,
                    "denominator": 100,
                    "unit": "courses",
                }
                rows.append(
                    own | {"estimand": "cumulative_incidence", "estimate": right, "method": "Aalen-Johansen"}
                )
                if reason != "all reasons":
                    rows.append(own | {"estimand": "one_minus_kaplan_meier", "estimate": naive})
    if groups > 1:
        test = {
            "arm": "all groups",
            "reason": "cost",
            "estimand": "gray_test",
            "p_value": 0.03,
            "p_adjusted": 0.06,
        }
        rows.append(test)
    columns = ["arm", "reason"] if groups > 1 else ["reason"]
    arguments = {"by": columns[:-1], "time": "session"}
    return made(rows, columns, "dropout_reasons", arguments=arguments, phases=PHASES)


def scenario_result() -> Result:
    rows = [share(25, 100, "retention", scenario="base", time=5.0, estimate=0.75, n_missing=4.0)]
    rows.append(share(20, 90, "retention", scenario="grace_x2", time=5.0, estimate=0.78, n_missing=14.0))
    rows.append({"scenario": "grace_x2", "estimand": "change_from_base", "time": 5.0, "estimate": 0.03})
    labels = {"scenario": {"base": "Base case", "grace_x2": "Grace multiplied by 2"}}
    arguments = {"by": [], "time": "session", "at": 5}
    return made(rows, ["scenario"], "dropout_sensitivity", labels=labels, arguments=arguments)


def stopping_result() -> Result:
    rows = []
    for estimand, (stopped, came) in {"side_effect": (30, 20), "improvement": (10, 40)}.items():
        rows.append(share(stopped, 50, estimand, next_session="stopped", n_missing=5.0))
        rows.append(share(came, 80, estimand, next_session="came", n_missing=9.0))
        difference = share(stopped, 50, estimand, next_session="stopped - came", p_value=0.002)
        rows.append(difference | {"estimate": stopped / 50 - came / 80, "conf_low": 0.1, "conf_high": 0.5})
    return made(rows, ["next_session"], "before_stopping", arguments={"by": []})


def disposition_result(groups: int = 1) -> Result:
    """Return 100 courses a group: 50 completed, 10 ongoing, 40 dropped out, 30 of them for cost."""
    numbers = (
        ("treated", "all reasons", 98),
        ("completed", "all reasons", 50),
        ("ongoing", "all reasons", 10),
    )
    numbers += (("dropped_out", "all reasons", 40), ("dropped_out", "cost", 30), ("dropped_out", "moved", 10))
    rows = [
        share(n, 100, estimand, reason=reason, **({"arm": f"arm_{group}"} if groups > 1 else {}))
        for group in range(groups)
        for estimand, reason, n in numbers
    ]
    columns = ["arm", "reason"] if groups > 1 else ["reason"]
    return made(rows, columns, "disposition", arguments={"by": columns[:-1]})


def received_result() -> Result:
    """Return 10 courses with 4 planned sessions each: 2 had one, 3 had two, 5 had four."""
    mean = {"unit": "courses", "denominator": 10, "conf_level": 0.95}
    rows = [
        mean
        | {
            "estimand": "planned_sessions",
            "estimate": 4.0,
            "conf_low": 4.0,
            "conf_high": 4.0,
            "numerator": 40,
        },
        mean
        | {
            "estimand": "received_sessions",
            "estimate": 2.8,
            "conf_low": 2.0,
            "conf_high": 3.6,
            "numerator": 28,
        }
        | {"n_missing": 6.0},
        share(28, 40, "received_share", unit="sessions"),
    ]
    rows += [share(n, 10, "received_exactly", time=float(k)) for k, n in enumerate((0, 2, 3, 0, 5, 0))]
    rows += [
        share(n, 10, "received_at_least", time=float(k)) for k, n in enumerate((10, 8, 5, 5, 0), start=1)
    ]
    return made(rows, [], "sessions_received", arguments={"by": []})


def return_result() -> Result:
    rows = [
        share(1, 20, "returned", time=day, estimate=value)
        for day, value in ((60.0, 0.05), (120.0, 0.15), (200.0, 0.2))
    ]
    rows.append(share(2, 20, "returned_in_window", time=180.0))
    rows.append(share(1, 20, "returned_before_window", time=180.0))
    return made(rows, [], "return_for_repeat", arguments={"by": [], "window_days": [90, 180]})


def histories_result() -> Result:
    """Return three of five courses: one completed, one given up after two sessions, one going on."""
    days = {
        1: ((0, "on_time"), (8, "on_time"), (20, "late")),
        2: ((0, "on_time"), (5, "early")),
        3: ((0, "on_time"),),
    }
    ends = {1: ("completed", 20, ""), 2: ("dropped_out", 5, "Cost"), 3: ("ongoing", 12, "")}
    rows = []
    for course, visits in days.items():
        rows += [
            {
                "course": course,
                "estimand": state,
                "time": float(day),
                "estimate": k,
                "numerator": 1,
                "unit": "sessions",
            }
            for k, (day, state) in enumerate(visits, start=1)
        ]
        state, day, why = ends[course]
        end = {"course": course, "estimand": state, "time": float(day), "estimate": day, "note": why}
        rows.append(end | {"numerator": len(visits), "denominator": 3, "unit": "sessions"})
    rules = ["Day 0.", "Followed.", "Evenly spread.", "Windows."]
    return made(
        rows,
        ["course"],
        "course_histories",
        courses=[{"courses": 5, "shown": 3}],
        arguments={"by": []},
        rules=rules,
    )
