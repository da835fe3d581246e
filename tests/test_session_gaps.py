"""Days between sessions: against R's survey package, by hand, and at the edges."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from mesostats.dataset import Dataset
from mesostats.simulation import simulate
from mesostats.visits.gaps import session_gaps

DAY_0 = dt.date(2024, 1, 1)
REFERENCE = Path(__file__).parent / "reference"
SHARES = ["below_window", "in_window", "above_window"]


def make_clinic(
    days: dict[str, list[int]], *, protocol: str | None = "short_course", cut: int = 400
) -> Dataset:
    """Make a clinic with one course a patient, from the days of its attended sessions."""
    visits = [(name, DAY_0 + dt.timedelta(days=day)) for name, each in days.items() for day in each]
    sessions = pd.DataFrame(visits, columns=["course_id", "date"]).assign(status="attended")
    sessions = sessions.assign(session_id=[f"S{place:04d}" for place in range(len(sessions))])
    names = list(days)
    courses = pd.DataFrame({"course_id": names, "patient_id": [f"P{name}" for name in names]})
    courses = courses.assign(indication="melasma", protocol=protocol, start_date=DAY_0)
    return Dataset(
        patients=pd.DataFrame({"patient_id": [f"P{name}" for name in names]}),
        courses=courses,
        sessions=sessions.assign(practitioner_id=[f"D{place % 2}" for place in range(len(sessions))]),
        cutoff=DAY_0 + dt.timedelta(days=cut),
    )


def numbers(clinic: Dataset, by: str | None = None) -> dict[str, tuple[float, float, float]]:
    rows = session_gaps(clinic, by=by).estimates
    rows = rows[rows["estimand"].isin(SHARES)]
    return {row.estimand: (row.numerator, row.denominator, row.n_missing) for row in rows.itertuples()}


@pytest.fixture(scope="module")
def sampled() -> Dataset:
    gaps = pd.read_csv(REFERENCE / "session_gaps_data.csv")
    days = gaps.groupby("patient")["gap"].agg(lambda each: [0, *each.cumsum()])
    return make_clinic({f"C{patient}": list(each) for patient, each in days.items()}, protocol=None)


def test_quantiles_and_their_intervals_are_those_of_r(sampled: Dataset) -> None:
    # R: quantile(type = 1), at a share and at its limits by SE(svymean(~reached, svydesign(ids = ~patient)))
    found = session_gaps(sampled, by=None).estimates.set_index("estimand")
    expected = pd.read_csv(REFERENCE / "session_gaps_quantiles.csv").set_index("estimand")
    columns = ["estimate", "conf_low", "conf_high", "std_error"]
    np.testing.assert_allclose(found.loc[expected.index, columns], expected[columns], rtol=1e-8)
    assert (found.loc[expected.index, "df"] == 39).all()


def test_bars_are_the_counts_of_each_length(sampled: Dataset) -> None:
    gaps = pd.read_csv(REFERENCE / "session_gaps_data.csv")["gap"]
    bars = session_gaps(sampled, by=None).estimates.query("estimand == 'gap_share'")
    assert dict(zip(bars["time"], bars["numerator"], strict=True)) == gaps.value_counts().to_dict()
    assert (bars["denominator"] == len(gaps)).all()
    assert bars["estimate"].sum() == pytest.approx(1)


def test_shares_by_hand() -> None:
    # A short course wants 1 to 7 days. A: gaps 1 and 7 (in), 8 (above). B: 0 days is no gap but the same day; then 20.
    clinic = make_clinic({"A": [0, 1, 8, 16], "B": [0, 0, 20]})
    assert numbers(clinic) == {
        "below_window": (0, 4, 0),
        "in_window": (2, 4, 0),
        "above_window": (2, 4, 0),
    }


def test_gaps_past_the_plan_have_no_window() -> None:
    # Five planned: the sixth session, on day 9, ends a gap of 4 days outside the plan.
    clinic = make_clinic({"A": [1, 2, 3, 4, 5, 9]})
    assert numbers(clinic)["in_window"] == (4, 4, 1)
    by_phase = session_gaps(clinic).estimates
    outside = by_phase[by_phase["phase"] == "outside the plan"].set_index("estimand")
    assert outside.loc["in_window", ["denominator", "n_missing"]].tolist() == [0, 1]
    assert np.isnan(outside.loc["in_window", "estimate"])
    assert outside.loc["median_gap", "estimate"] == 4


@pytest.mark.parametrize("protocol", [None, "unheard_of"])
def test_gaps_without_a_protocol_are_described_all_the_same(protocol: str | None) -> None:
    clinic = make_clinic({"A": [0, 5, 11], "B": [0, 9]}, protocol=protocol)
    assert numbers(clinic)["in_window"] == (0, 0, 3)
    # 5, 6 and 9 days: two of three do not exceed 6.
    assert session_gaps(clinic, by=None).cell(estimand="median_gap")["estimate"] == 6


@pytest.mark.parametrize("by", [None, "phase", "indication", "practitioner_id"])
@pytest.mark.parametrize("days", [{}, {"A": []}, {"A": [3]}], ids=["no course", "no session", "one session"])
def test_no_gap_is_no_estimate(days: dict[str, list[int]], by: str | None) -> None:
    found = session_gaps(make_clinic(days), by=by).estimates
    assert found["estimate"].isna().all()
    assert (found["note"] == "no observations").all()
    assert len(found) == (6 if by is None else 0)


def test_one_patient_has_quantiles_without_an_interval() -> None:
    row = session_gaps(make_clinic({"A": [0, 2, 6]}), by=None).cell(estimand="median_gap")
    assert row["estimate"] == 2  # of 2 and 4 days, half do not exceed 2
    assert np.isnan([row["conf_low"], row["conf_high"], row["std_error"]]).all()
    assert "one cluster" in row["note"]


def test_gaps_by_practitioner_belong_to_the_later_session() -> None:
    # Sessions alternate between D0 and D1: the gaps of 3 and 2 days end with D1, that of 4 with D0.
    found = session_gaps(make_clinic({"A": [0, 3, 7, 9]}), by="practitioner_id").estimates
    shares = found[found["estimand"] == "gap_share"]
    assert set(zip(shares["practitioner_id"], shares["time"], strict=True)) == {
        ("D0", 4),
        ("D1", 2),
        ("D1", 3),
    }


@pytest.mark.parametrize("by", ["phase", None, "indication", "practitioner_id"])
def test_explain_shows_the_gaps_of_each_number(by: str | None) -> None:
    found = session_gaps(simulate(120, seed=2), by=by)
    for row in found.estimates.to_dict("records"):
        if row["estimand"] not in SHARES:
            continue
        gaps = found.explain(**{name: row[name] for name in [*found.groups, "estimand"]})
        assert gaps["in_denominator"].sum() == row["denominator"]
        assert gaps["in_numerator"].sum() == row["numerator"]
        assert (gaps["excluded"] != "").sum() == row["n_missing"]


def test_groups_add_up_to_the_whole() -> None:
    clinic = simulate(150, seed=9)
    whole, parts = (session_gaps(clinic, by=by).estimates for by in (None, ["phase", "practitioner_id"]))
    for estimand in [*SHARES, "gap_share"]:
        assert (
            parts.loc[parts["estimand"] == estimand, "numerator"].sum()
            == whole.loc[whole["estimand"] == estimand, "numerator"].sum()
        )


def test_a_column_that_the_analysis_needs_is_refused() -> None:
    with pytest.raises(ValueError, match="cannot group by 'gap'"):
        session_gaps(make_clinic({"A": [0, 3]}), by="gap")
