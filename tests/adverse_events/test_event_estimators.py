"""The panel of estimators: hand calculation, published properties, and simulated truth."""

from __future__ import annotations

from functools import cache
from math import exp, sqrt
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest

from mesostats.adverse_events.estimator_panel import adverse_event_estimators
from mesostats.adverse_events.first_events import cumulative_incidence, time_to_first_event
from mesostats.dataset import Dataset
from mesostats.simulation import simulate

if TYPE_CHECKING:
    from mesostats.results import Result

FIVE = [
    *["incidence_proportion", "one_minus_kaplan_meier", "aalen_johansen", "rate_transform"],
    "rate_transform_competing",
]


def clinic_of(
    starts: list[str], onsets: list[str | None], statuses: list[str | None], cutoff: str = "2024-12-31"
) -> Dataset:
    """Return a clinic with one session a patient: observed for 61 days, or to the cut."""
    ids = [f"P{place}" for place in range(len(starts))]
    courses = pd.DataFrame({"course_id": ids, "patient_id": ids, "start_date": starts, "status": statuses})
    sessions = pd.DataFrame({"session_id": ids, "course_id": ids, "date": starts, "status": "attended"})
    events = pd.DataFrame({"event_id": ids, "course_id": ids, "term": "bruising", "onset_date": onsets})
    return Dataset(
        patients=pd.DataFrame({"patient_id": ids}),
        courses=courses.assign(
            end_date=np.where(courses["status"].isna(), None, starts), indication="melasma"
        ),
        sessions=sessions.assign(adverse_events_asked="yes"),
        adverse_events=events.dropna(subset="onset_date"),
        cutoff=cutoff,
    )


@cache
def five_patients() -> Dataset:
    # Events on days 1 and 11; one completes on day 61, one is given up then; one is censored on day 21 (31 December).
    return clinic_of(
        ["2024-01-01", "2024-02-01", "2024-03-01", "2024-04-01", "2024-12-11"],
        ["2024-01-01", "2024-02-11", None, None, None],
        ["completed", "completed", "completed", "discontinued", None],
    )


def by_estimand(result: Result, column: str = "estimate") -> dict[str, Any]:
    return dict(zip(result.estimates["estimand"], result.estimates[column], strict=True))


def test_panel_is_that_calculated_by_hand() -> None:
    found = adverse_event_estimators(five_patients(), day=61)
    value = by_estimand(found)
    assert [*value] == FIVE
    assert value["incidence_proportion"] == pytest.approx(2 / 5)
    # S: 4/5 on day 1, 4/5·3/4 on day 11.
    assert value["one_minus_kaplan_meier"] == pytest.approx(2 / 5)
    assert value["aalen_johansen"] == pytest.approx(2 / 5)
    # Days at risk 1 + 11 + 61 + 61 + 21 = 155; two events and two competing ends.
    assert value["rate_transform"] == pytest.approx(1 - exp(-61 * 2 / 155))
    assert value["rate_transform_competing"] == pytest.approx((1 - exp(-61 * 4 / 155)) / 2)
    assert by_estimand(found, "denominator") == dict.fromkeys(FIVE[:3], 5) | dict.fromkeys(FIVE[3:], 155)
    assert by_estimand(found, "unit") == dict.fromkeys(FIVE[:3], "patients") | dict.fromkeys(
        FIVE[3:], "patient-days"
    )
    assert set(by_estimand(found, "numerator").values()) == {2}
    assert set(by_estimand(found, "time").values()) == {61}


def test_rate_transforms_have_the_limits_and_the_error_of_the_rate() -> None:
    found = adverse_event_estimators(five_patients(), day=61)
    plain = found.cell(estimand="rate_transform")
    # R: poisson.test(2, 155)$conf.int
    assert plain["conf_low"] == pytest.approx(1 - exp(-61 * 0.00156264050673526), rel=1e-9)
    assert plain["conf_high"] == pytest.approx(1 - exp(-61 * 0.04661088817886425), rel=1e-9)
    assert plain["std_error"] == pytest.approx(exp(-61 * 2 / 155) * 61 * sqrt(2) / 155)
    competing = found.cell(estimand="rate_transform_competing")
    # The delta method by differences of p(a, c) = a/(a + c)(1 - exp(-61(a + c))) at a = c = 2/155.
    a = c = 2 / 155

    def p(a: float, c: float) -> float:
        return a / (a + c) * (1 - exp(-61 * (a + c)))

    h = 1e-7
    slopes = [(p(a + h, c) - p(a - h, c)) / (2 * h), (p(a, c + h) - p(a, c - h)) / (2 * h)]
    assert competing["std_error"] == pytest.approx(
        sqrt(sum(slope**2 * 2 / 155**2 for slope in slopes)), rel=1e-6
    )
    assert competing["conf_low"] < competing["estimate"] < competing["conf_high"]


def test_spec_says_who_left_and_when_the_events_came() -> None:
    found = adverse_event_estimators(five_patients(), day=61)
    assert found.spec["differences"] == [
        {
            "day": 61,
            "patients": 5,
            "events": 2,
            "censored_before": 1,
            "completed": 1,
            "dropped_out": 1,
            "patient_days": 155,
            "first_half": {"until": 30, "events": 2, "patient_days": 1 + 11 + 30 + 30 + 21},
            "second_half": {"until": 61, "events": 0, "patient_days": 31 + 31},
        }
    ]
    notes = by_estimand(found, "note")
    assert notes["incidence_proportion"] == "1 patients censored before the day count as free of the event"
    assert notes["one_minus_kaplan_meier"] == "2 patients who completed or dropped out count as censored"
    assert notes["rate_transform_competing"].endswith(
        "first half of the time: 2 in 93; of the second: 0 in 62"
    )


@pytest.mark.parametrize("day", [1, 30, 61, 5000])
def test_panel_reads_the_curves_at_the_day(day: int) -> None:
    clinic = simulate(200, seed=3)
    found = adverse_event_estimators(clinic, by="sex", day=day)
    curves = {
        "aalen_johansen": cumulative_incidence(clinic, by="sex").estimates.query(
            "estimand == 'cumulative_incidence'"
        ),
        "one_minus_kaplan_meier": time_to_first_event(clinic, by="sex").estimates.query(
            "estimand == 'event_free'"
        ),
    }
    for estimand, curve in curves.items():
        for sex in ("female", "male"):
            row = found.cell(sex=sex, estimand=estimand)
            last = curve[(curve["sex"] == sex) & (curve["time"] <= day)].iloc[-1]
            expected = last[["estimate", "conf_low", "conf_high"]].to_numpy(float)
            if estimand == "one_minus_kaplan_meier":
                expected = 1 - expected[[0, 2, 1]]
            got = row[["estimate", "conf_low", "conf_high"]].to_numpy(float)
            np.testing.assert_allclose(got, expected, equal_nan=True)
            assert row["std_error"] == pytest.approx(last["std_error"], nan_ok=True)
    for row in found.estimates.to_dict("records"):
        rows = found.explain(sex=row["sex"], estimand=row["estimand"])
        counted = "days_at_risk" if row["unit"] == "patient-days" else "in_denominator"
        assert rows[counted].sum() == row["denominator"]
        assert rows["in_numerator"].sum() == row["numerator"]


def test_default_day_leaves_ten_at_risk() -> None:
    clinic = simulate(200, seed=3)
    chosen = adverse_event_estimators(clinic, by="sex").spec["arguments"]["day"]
    at_risk = cumulative_incidence(clinic, by="sex").estimates.query("estimand == 'cumulative_incidence'")
    left = at_risk[at_risk["time"] >= chosen].groupby("sex")["denominator"].max()
    assert left.min() >= 10
    later = at_risk[at_risk["time"] > chosen].groupby("sex")["denominator"].max()
    assert later.min() < 10
    # Five patients never are ten: the last day observed.
    assert adverse_event_estimators(five_patients()).spec["arguments"]["day"] == 61


def test_no_event_has_an_upper_limit_where_there_is_one() -> None:
    none = clinic_of(["2024-01-01", "2024-02-01"], [None, None], ["completed", "completed"])
    found = adverse_event_estimators(none, day=30).estimates.set_index("estimand")
    assert found["estimate"].eq(0).all()
    assert (
        found.loc[["incidence_proportion", "rate_transform"], "conf_high"]
        .between(0, 1, inclusive="neither")
        .all()
    )
    # Both are watched on day 30, and until they leave on day 61: by hand 1 - 0.025^(1/2).
    curves = ["one_minus_kaplan_meier", "aalen_johansen"]
    for day in (30, 61):
        curve = adverse_event_estimators(none, day=day).estimates.set_index("estimand").loc[curves]
        assert curve["conf_low"].tolist() == [0, 0]
        assert curve["conf_high"].tolist() == pytest.approx([1 - 0.025**0.5] * 2)
        assert curve["note"].str.contains("so far: exact limit").all()
    competing = found.loc["rate_transform_competing"]
    assert np.isnan(competing["conf_high"])
    assert competing["note"] != ""


def test_day_past_the_observation_says_so() -> None:
    # The last patient is censored on day 21; nobody is observed after that.
    clinic = clinic_of(["2024-12-01", "2024-12-11"], ["2024-12-03", None], [None, None])
    found = adverse_event_estimators(clinic, day=100)
    assert found.cell(estimand="aalen_johansen")["estimate"] == pytest.approx(1 / 2)
    for estimand in ("aalen_johansen", "one_minus_kaplan_meier"):
        assert "the day is past the last one observed" in found.cell(estimand=estimand)["note"]


def test_panel_refuses_a_day_before_the_first() -> None:
    with pytest.raises(ValueError, match="day == 0, must be 1 or more"):
        adverse_event_estimators(five_patients(), day=0)


def test_aalen_johansen_alone_finds_the_truth_under_censoring_and_competing_ends() -> None:
    """1500 patients enter over 200 days and are seen for 61 days at most, or to the cut; the event comes at 1 % a day.

    All who are seen for 61 days end as completed: by day 61 the truth is 1 - .99^61; by then a competing end has not
    come, so that Kaplan-Meier agrees, and only the proportion is too low.
    """
    rng = np.random.default_rng(7)
    starts = pd.Timestamp("2024-01-01") + pd.to_timedelta(rng.integers(0, 200, 1500), unit="D")
    wait = rng.geometric(0.01, 1500) - 1
    onsets = [
        (start + pd.Timedelta(days=int(days))).date().isoformat() if days <= 60 else None
        for start, days in zip(starts, wait, strict=True)
    ]
    clinic = clinic_of(
        [start.date().isoformat() for start in starts], onsets, [None] * 1500, cutoff="2024-07-18"
    )
    found = adverse_event_estimators(clinic, day=60).estimates.set_index("estimand")
    truth = 1 - 0.99**60
    for estimand in ("aalen_johansen", "one_minus_kaplan_meier", "rate_transform"):
        assert found.loc[estimand, "conf_low"] < truth < found.loc[estimand, "conf_high"]
    assert found.loc["incidence_proportion", "conf_high"] < truth


def test_a_day_past_all_observation_is_named() -> None:
    late = adverse_event_estimators(five_patients(), day=5000).estimates
    assert late["note"].str.contains("nobody was observed on day 5000").all()
    seen = adverse_event_estimators(five_patients(), day=2).estimates
    assert not seen["note"].str.contains("nobody was observed").any()
