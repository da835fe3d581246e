"""What preceded stopping: a clinic by hand, matching by session, the contract, and the truth of simulated clinics."""

from __future__ import annotations

import datetime as dt
from functools import cache
from typing import Any

import numpy as np
import pandas as pd
import pytest

from mesostats.dataset import Dataset
from mesostats.dropout.model import dropout_model
from mesostats.dropout.stopping import before_stopping
from mesostats.errors import DataError
from mesostats.results import ESTIMATE_COLUMNS
from mesostats.simulation import load_scenario, simulate

DAY_0 = dt.date(2024, 1, 1)
ESTIMANDS = ["side_effect", "improvement", "both", "improvement_only", "side_effect_only", "neither"]
WHO = ["stopped", "came", "stopped - came"]

# Sessions of a short course (1 to 7 days apart), the data cut long after. Each course: the days of its sessions, those after
# which a side effect began at once, whether it was assessed before its second session, and whether that was a response.
COURSES: list[tuple[list[int], list[int], bool | None]] = [
    ([10, 15], [15], True),  # stops at session 3: side effect and improvement
    ([20, 25], [], True),  # stops at session 3: improvement
    ([30, 35], [35], False),  # stops at session 3: side effect
    ([40], [40], None),  # stops at session 2: side effect, not assessed
    ([50, 55, 60, 65, 70], [55, 60], False),  # completed: at session 3 side effect, no improvement
    ([80, 85, 90, 95, 99], [], True),  # completed: improvement from session 3 on
]


def date(day: int) -> dt.date:
    return DAY_0 + dt.timedelta(days=day)


def tables() -> dict[str, pd.DataFrame]:
    names = [f"C{place}" for place in range(1, len(COURSES) + 1)]
    visits = [(name, day) for name, (days, _, _) in zip(names, COURSES, strict=True) for day in days]
    effects = [(name, day) for name, (_, days, _) in zip(names, COURSES, strict=True) for day in days]
    scores = [
        (name, day, score)
        for name, (days, _, met) in zip(names, COURSES, strict=True)
        for day, score in [(days[0], 20.0), (days[0] + 4, {True: 5.0, False: 18.0}.get(bool(met)))]
        if day == days[0] or met is not None
    ]
    return {
        "patients": pd.DataFrame(
            {"patient_id": [f"P{name}" for name in names], "sex": ["female", "male"] * 3}
        ),
        "courses": pd.DataFrame(
            {
                "course_id": names,
                "patient_id": [f"P{name}" for name in names],
                "indication": "melasma",
                "protocol": "short_course",
                "start_date": [date(days[0]) for days, _, _ in COURSES],
            }
        ),
        "sessions": pd.DataFrame(
            {
                "session_id": [f"{name}-{day}" for name, day in visits],
                "course_id": [name for name, _ in visits],
                "date": [date(day) for _, day in visits],
                "status": "attended",
                "adverse_events_asked": "yes",
            }
        ),
        "adverse_events": pd.DataFrame(
            {
                "event_id": [f"E{place}" for place in range(len(effects))],
                "course_id": [name for name, _ in effects],
                "term": "bruising",
                "onset_date": [date(day) for _, day in effects],
            }
        ),
        "outcomes": pd.DataFrame(
            {
                "outcome_id": [f"O{place}" for place in range(len(scores))],
                "course_id": [name for name, _, _ in scores],
                "instrument": "masi",
                "date": [date(day) for _, day, _ in scores],
                "value": [value for _, _, value in scores],
            }
        ),
    }


@cache
def clinic() -> Dataset:
    return Dataset(**tables(), cutoff=date(400))


def test_shares_by_hand() -> None:
    found = before_stopping(clinic())
    # Stopped: side effect in courses 1, 3, 4 of 4. Came to session 2: 1 of 5 courses had one after the first session? None had.
    # Came to session 3: course 5 of 5 and 6. A quarter of those who stopped did so at session 2: 1/4·0 + 3/4·1/2.
    stopped, came, difference = (found.cell(next_session=who, estimand="side_effect") for who in WHO)
    assert stopped[["estimate", "numerator", "denominator"]].tolist() == [3 / 4, 3, 4]
    assert came[["estimate", "numerator", "denominator"]].tolist() == pytest.approx([3 / 8, 1, 7])
    assert difference["estimate"] == pytest.approx(3 / 8)
    # Of those assessed by their last session, all at session 3: 2 of 3 had improved, of those who came 1 of 2.
    for estimand, shares in {
        "improvement": (2 / 3, 1 / 2),
        "both": (1 / 3, 0),
        "improvement_only": (1 / 3, 1 / 2),
        "side_effect_only": (1 / 3, 1 / 2),
        "neither": (0, 0),
    }.items():
        rows = [found.cell(next_session=who, estimand=estimand) for who in WHO[:2]]
        assert [row["estimate"] for row in rows] == pytest.approx(shares), estimand
        assert [row["denominator"] for row in rows] == [3, 2]
    # Not assessed: course 4 when it stopped; five courses when they came to session 2.
    assert found.cell(next_session="stopped", estimand="improvement")["n_missing"] == 1
    assert found.cell(next_session="came", estimand="improvement")["n_missing"] == 5


def test_side_effects_since_the_start_by_hand() -> None:
    found = before_stopping(clinic(), since="course_start")
    # At session 4 and 5 nobody stopped; course 5 had its first side effect on the day of its second session.
    assert found.cell(next_session="stopped", estimand="side_effect")["numerator"] == 3
    assert found.cell(next_session="came", estimand="side_effect")["estimate"] == pytest.approx(3 / 8)
    rows = found.explain(estimand="side_effect", next_session="came").set_index(["course_id", "session"])
    assert rows.loc[("C5", 5), "side_effect"] == "yes"


@pytest.mark.parametrize("who", WHO)
@pytest.mark.parametrize("estimand", ESTIMANDS)
def test_explain_adds_up(estimand: str, who: str) -> None:
    found = before_stopping(clinic())
    rows = found.explain(estimand=estimand, next_session=who)
    cell = found.cell(estimand=estimand, next_session=who)
    assert (rows["in_numerator"].sum(), rows["in_denominator"].sum()) == (
        cell["numerator"],
        cell["denominator"],
    )
    assert (rows["excluded"] == "").equals(rows["in_denominator"])


def test_explain_needs_an_estimand() -> None:
    with pytest.raises(ValueError, match="name the estimand"):
        before_stopping(clinic()).explain()


def test_result_follows_the_contract_by_group() -> None:
    found = before_stopping(clinic(), by="sex")
    assert tuple(found.estimates.columns) == ("sex", "next_session", *ESTIMATE_COLUMNS)
    assert len(found.estimates) == 2 * 6 * 3
    assert set(found.estimates["unit"]) == {"sessions"}
    assert found.spec["analysis"] == "before_stopping"
    # Courses 1, 3 and 5: stopped with a side effect, both at session 3, as did course 5, which came.
    female = found.cell(sex="female", next_session="stopped", estimand="side_effect")
    assert female[["numerator", "denominator"]].tolist() == [2, 2]
    assert found.cell(sex="female", next_session="came", estimand="side_effect")["estimate"] == 1
    assert len(found.explain(sex="female", estimand="side_effect")) == 2 + 2 + 4


def test_a_group_where_nobody_is_due_has_rows() -> None:
    frames = tables()
    frames["patients"]["sex"] = ["female"] * 3 + ["other"] + ["female"] * 2
    frames["sessions"] = frames["sessions"].assign(
        date=lambda d: d["date"].where(d["course_id"] != "C4", date(395))
    )
    frames["courses"].loc[3, "start_date"] = date(395)
    rows = before_stopping(Dataset(**frames, cutoff=date(400)), by="sex").estimates.query("sex == 'other'")
    assert len(rows) == 6 * 3
    assert rows[["estimate", "conf_low", "p_value"]].isna().all(axis=None)
    assert rows["note"].ne("").all()


def test_nobody_stopped_is_rows_with_a_note() -> None:
    frames = tables()
    frames["courses"] = frames["courses"].iloc[4:]
    found = before_stopping(Dataset(**frames, cutoff=date(400))).estimates
    assert found["estimate"].isna().all()
    assert found.loc[found["next_session"] != "stopped", "note"].str.contains("no cases").all()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"since": "yesterday"}, "since 'yesterday' is unknown"),
        ({"follow_up": "none"}, "follow_up is one of"),
        ({"of": "bruising"}, "of is one of any"),
        ({"by": "sexx"}, "did you mean 'sex'"),
        ({"by": "session"}, "rename yours"),
        ({"conf_level": 0}, "conf_level == 0"),
    ],
)
def test_wrong_arguments_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        before_stopping(clinic(), **options)


@pytest.mark.parametrize("table", ["adverse_events", "outcomes"])
def test_a_table_that_is_needed_is_named(table: str) -> None:
    with pytest.raises(DataError, match=table):
        before_stopping(Dataset(**{name: each for name, each in tables().items() if name != table}))


# --- simulated clinics --------------------------------------------------------------------------------------------------------


def simulated(side_effect: float, improving: float) -> Dataset:
    base = load_scenario("textbook")
    dropout = base.dropout.model_copy(
        update={"odds_ratio_side_effect": side_effect, "odds_ratio_improving": improving}
    )
    assessments = base.assessments.model_copy(update={"interim": 1.0, "visible_after": 0.999})
    changed = {"bad_lot": None, "dropout": dropout, "assessments": assessments}
    return simulate(3_000, seed=21, scenario=base.model_copy(update=changed))


def test_what_drives_nothing_differs_by_chance_alone() -> None:
    found = before_stopping(simulated(1.0, 1.0))
    for estimand in ESTIMANDS:
        row = found.cell(next_session="stopped - came", estimand=estimand)
        assert abs(row["estimate"]) < 3 * row["std_error"], estimand
        assert row["conf_low"] < row["estimate"] < row["conf_high"]


def test_what_drives_dropout_is_seen() -> None:
    found = before_stopping(simulated(2.5, 0.4))
    signs = {"side_effect": 1, "side_effect_only": 1, "improvement": -1, "improvement_only": -1}
    for estimand, sign in signs.items():
        row = found.cell(next_session="stopped - came", estimand=estimand)
        assert sign * row["statistic"] > 3, estimand
    parts = found.estimates.query("estimand in ['both', 'improvement_only', 'side_effect_only', 'neither']")
    sums = parts.groupby("next_session")["estimate"].sum()
    assert sums[WHO].tolist() == pytest.approx([1, 1, 0], abs=1e-9)


def test_those_who_stopped_are_the_dropouts_of_the_model() -> None:
    made = simulate(800, seed=2)
    row = before_stopping(made).cell(next_session="stopped", estimand="improvement")
    model = dropout_model(made, covariates="session").estimates
    assert row["denominator"] + row["n_missing"] == model["numerator"].iloc[-1]
    assert np.isfinite(row["conf_low"])
