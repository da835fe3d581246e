"""Safety signals: clinics made by hand against R, every lot against plain pandas, and simulated outbreaks."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import mesostats as ms
from mesostats.adverse_events.safety_signals import signals
from mesostats.dataset import Dataset
from mesostats.errors import DataError
from mesostats.estimators.cluster_tests import permutation_test
from mesostats.results import ESTIMATE_COLUMNS
from mesostats.simulation import load_scenario

REFERENCE = Path(__file__).parents[1] / "reference"
COLUMNS = ["patient", "clinic", "practitioner", "day", "substance", "lot", "event"]


def made(visits: list[tuple[Any, ...]], *, products: bool = True, placed: bool = False) -> Dataset:
    """Return a clinic of visits by hand: a course a patient and clinic; events 30 days after, with their session or not."""
    rows = pd.DataFrame(visits, columns=COLUMNS)
    rows = rows.assign(
        session_id=[f"S{place}" for place in range(len(rows))],
        course_id=rows["patient"] + rows["clinic"].fillna(""),
        date=pd.Timestamp("2024-01-01") + pd.to_timedelta(rows["day"], unit="D"),
        status="attended",
        adverse_events_asked="yes",
    )
    events = rows[rows["event"].notna()]
    injected = rows[rows["substance"].notna()]
    return Dataset(
        patients=pd.DataFrame({"patient_id": rows["patient"].unique()}),
        courses=rows.drop_duplicates("course_id")
        .rename(columns={"patient": "patient_id", "clinic": "clinic_id", "date": "start_date"})
        .assign(indication="melasma")[["course_id", "patient_id", "clinic_id", "indication", "start_date"]],
        sessions=rows.rename(columns={"practitioner": "practitioner_id"})[
            ["session_id", "course_id", "date", "status", "practitioner_id", "adverse_events_asked"]
        ],
        products=injected[["session_id", "substance", "lot"]] if products else None,
        adverse_events=pd.DataFrame(
            {
                "event_id": [f"E{place}" for place in range(len(events))],
                "course_id": events["course_id"].to_numpy(),
                "session_id": events["session_id"].to_numpy() if placed else None,
                "term": events["event"].to_numpy(),
                "onset_date": (events["date"] + pd.Timedelta(days=30)).to_numpy(),
            }
        ),
        cutoff="2025-06-30",
    )


def outbreak(infected: int, exposed: int, elsewhere: int, others: int) -> Dataset:
    """Return a clinic in which each patient has one session: the bad lot, then four others of the substance in turn."""
    visits: list[tuple[Any, ...]] = [
        (f"B{i}", "K1", "D1", 30 + i % 20, "vitamin", "BAD", "infection" if i < infected else None)
        for i in range(exposed)
    ]
    visits += [
        (f"G{i}", "K1", "D1", 60 + i, "vitamin", f"L{i % 4}", "infection" if i < elsewhere else None)
        for i in range(others)
    ]
    return made(visits)


@cache
def simulated(patients: int, seed: int = 1) -> Dataset:
    return ms.simulate(patients, seed=seed)


@pytest.mark.parametrize(
    ("name", "infected", "exposed", "elsewhere", "others"),
    [("balearics", 17, 77, 1, 400), ("france", 16, 105, 2, 230)],
)
@pytest.mark.parametrize("per", ["session", "patient"])
def test_published_outbreaks_are_found_with_their_lot(
    name: str, infected: int, exposed: int, elsewhere: int, others: int, per: Any
) -> None:
    tables = pd.read_csv(REFERENCE / "lot_tables.csv").set_index("set")
    result = signals(
        outbreak(infected, exposed, elsewhere, others), by="lot", of="term", only="infection", per=per
    )
    estimand = result.spec["primary"]
    bad = result.cell(lot="BAD", estimand=estimand)
    expected = result.cell(lot="BAD", estimand="expected_proportion")

    # fisher.test(alternative = "greater"); the clinic has five lots.
    np.testing.assert_allclose(bad["p_value"], tables.loc[name, "p_value"], rtol=1e-8)
    np.testing.assert_allclose(bad["p_adjusted"], 5 * tables.loc[name, "p_value"], rtol=1e-8)
    np.testing.assert_allclose(expected["numerator"], tables.loc[name, "expected"], rtol=1e-8)
    assert (bad["numerator"], bad["denominator"]) == (infected, exposed)
    assert expected["denominator"] == exposed
    assert bad["note"].startswith(
        f"signal: {infected} {per}s with an event against {tables.loc[name, 'expected']:.1f} expected, "
        f"{exposed} patients held against {others}; used 2024-01-31 to 2024-02-19"
    )
    rest = result.estimates[result.estimates["lot"].ne("BAD") & result.estimates["estimand"].eq(estimand)]
    assert list(rest["lot"]) == ["L0", "L1", "L2", "L3"]
    assert not rest["note"].str.startswith("signal").any()


def by_hand(clinic: Dataset, term: str, against: str) -> pd.Series[float]:
    """Return the p value of each lot, lot by lot in plain pandas."""
    events = clinic.table("adverse_events")
    courses = clinic.table("courses")[["course_id", "patient_id", "clinic_id"]]
    sessions = clinic.table("sessions").merge(courses, on="course_id")
    known = sessions["adverse_events_asked"].eq("yes") | sessions["session_id"].isin(events["session_id"])
    sessions = sessions[sessions["status"].eq("attended") & known]
    sessions["hit"] = sessions["session_id"].isin(events.loc[events["term"].eq(term), "session_id"])
    used = sessions.merge(clinic.table("products")[["session_id", "substance", "lot"]], on="session_id")
    parts = []
    for lot, rows in used.groupby("lot"):
        if against == "period":
            held = sessions[
                sessions["date"].between(rows["date"].min(), rows["date"].max())
                & sessions["clinic_id"].isin(rows["clinic_id"])
            ].assign(lot="none")
        else:
            held = used[used["substance"].isin(rows["substance"])]
            if against == "clinic":
                held = held[held["clinic_id"].isin(rows["clinic_id"])]
        held = held[~held["patient_id"].isin(rows["patient_id"])]
        units = pd.concat([rows.assign(exposed=1), held.assign(exposed=0)])
        units = units.groupby(["exposed", "patient_id", "lot"], as_index=False)["hit"].agg(["size", "sum"])
        units = units.sort_values(["size", "lot"], ascending=[False, True]).drop_duplicates("patient_id")
        parts.append(units.assign(tested=lot))
    units = pd.concat(parts)
    return permutation_test(units["sum"], units["exposed"], strata=units["size"], group=units["tested"])[
        "p_value"
    ]


@pytest.mark.parametrize("against", ["clinic", "all_clinics", "period"])
@pytest.mark.parametrize("term", ["pain", "bruising"])
def test_every_lot_has_the_p_value_that_plain_pandas_gives(term: str, against: Any) -> None:
    clinic = simulated(250)
    found = signals(clinic, by="lot", only=term, against=against).estimates
    found = found[found["estimand"].eq("session_proportion")].set_index("lot")["p_value"]
    expected = by_hand(clinic, term, against)
    assert len(expected) > 300
    assert expected.lt(0.5).sum() > 5
    np.testing.assert_allclose(found.reindex(expected.index), expected, rtol=1e-9)


def test_a_simulated_bad_lot_is_the_strongest_signal_and_lots_used_with_it_point_to_it() -> None:
    clinic = simulated(1000)
    bad = clinic.truth.query("quantity == 'bad_lot'")["lot"].item()  # type: ignore[union-attr]
    found = signals(clinic, by="lot", only="infection", against="all_clinics").estimates
    alarms = found[found["note"].str.startswith("signal")].sort_values("p_value")
    assert len(alarms) > 1
    assert alarms["lot"].iloc[0] == bad
    assert "also used lot" not in alarms["note"].iloc[0]
    # Lots of other substances in the sessions of the bad lot share its infections.
    assert alarms["note"].iloc[1:].str.endswith(f"also used lot {bad}, a signal at least as strong").all()


def test_clinics_without_a_bad_lot_have_no_signal() -> None:
    scenario = load_scenario("typical").model_copy(update={"bad_lot": None})
    clinic = ms.simulate(400, seed=4, scenario=scenario)
    for by in ("practitioner_id", "clinic_id", "lot"):
        assert not signals(clinic, by=by, of="any").estimates["note"].str.startswith("signal").any()  # type: ignore[arg-type]


def test_practitioners_stand_in_a_funnel() -> None:
    # Each patient has one session: twelve practitioners of a hundred sessions, of which one has 90 with redness.
    cases = pd.read_csv(REFERENCE / "funnel.csv").query("set == 'far'").reset_index(drop=True)
    visits = [
        (f"P{place}-{i}", "K1", f"D{place:02d}", i, None, None, "redness" if i < events else None)
        for place, events in enumerate(cases["events"])
        for i in range(100)
    ]
    result = signals(made(visits), by="practitioner_id", only="redness")
    found = result.estimates[result.estimates["estimand"].eq("session_proportion")].reset_index(drop=True)
    expected = result.estimates[result.estimates["estimand"].eq("expected_proportion")]
    for column in ("estimate", "statistic", "p_value"):
        np.testing.assert_allclose(found[column], cases[column], rtol=1e-8, err_msg=column)
    np.testing.assert_allclose(expected["estimate"], cases["target"], rtol=1e-12)
    np.testing.assert_allclose(expected["conf_low"], cases["low_0.95"], rtol=1e-8)
    np.testing.assert_allclose(expected["conf_high"], cases["high_0.95"], rtol=1e-8)
    np.testing.assert_allclose(expected["numerator"], 145 / 12)
    assert found["note"].str.startswith("signal: more than expected, 90 of 100 sessions").tolist() == [
        *[False] * 11,
        True,
    ]
    # p.adjust(method = "holm"): the smallest p value times the number of tests.
    np.testing.assert_allclose(found["p_adjusted"].iloc[11], 12 * cases["p_value"].iloc[11], rtol=1e-8)
    funnel = result.spec["funnel"]["redness"]
    np.testing.assert_allclose(funnel["overdispersion"], cases["overdispersion"].iloc[0], rtol=1e-8)
    assert funnel["design_effect"] == pytest.approx(1)
    assert funnel["limits"]["n"][-1] == 100
    np.testing.assert_allclose(funnel["limits"]["high_0.998"][-1], cases["high_0.998"].iloc[0], rtol=1e-8)


def test_sessions_that_are_alike_within_patients_raise_no_alarm() -> None:
    # One patient with 40 sessions, all with redness, of one of ten practitioners who otherwise do alike.
    visits = [
        (f"P{d}-{i}", "K1", f"D{d}", i, None, None, "redness" if i % 5 == 0 else None)
        for d in range(10)
        for i in range(60)
    ]
    frail = [("FRAIL", "K1", "D0", 2 * i, None, None, "redness") for i in range(40)]
    result = signals(made([*visits, *frail], placed=True), by="practitioner_id", only="redness")
    assert result.spec["funnel"]["redness"]["design_effect"] > 3
    assert not result.estimates["note"].str.startswith("signal").any()


def test_a_frail_patient_makes_no_bad_lot() -> None:
    # A patient has 12 sessions with lot A, all with redness. A test of sessions would find 12 of 32 against 0 of 60.
    visits: list[tuple[Any, ...]] = [
        ("FRAIL", "K1", "D1", 2 * i, "vitamin", "A", "redness") for i in range(12)
    ]
    visits += [(f"A{i}", "K1", "D1", i, "vitamin", "A", None) for i in range(20)]
    visits += [(f"B{i}", "K1", "D1", 40 + i, "vitamin", "B", None) for i in range(60)]
    result = signals(made(visits, placed=True), by="lot", only="redness")
    row = result.cell(lot="A", estimand="session_proportion")
    assert (row["numerator"], row["denominator"]) == (12, 32)
    # Nobody else has 12 sessions; none of the patients who are compared has an event.
    assert row["p_value"] == 1
    assert result.cell(lot="A", estimand="expected_proportion")["denominator"] == 20


def test_a_patient_counts_once_in_the_test_of_a_lot() -> None:
    # P1 got A twice, in two clinics, and B; P2 to P4 got B only, P4 also C more often.
    visits = [
        ("P1", "K1", "D1", 0, "vitamin", "A", "redness"),
        ("P1", "K2", "D1", 40, "vitamin", "A", None),
        ("P1", "K1", "D1", 80, "vitamin", "B", None),
        *[(f"P{i}", "K1", "D1", 10 + i, "vitamin", "B", None) for i in (2, 3, 4)],
        *[("P4", "K1", "D1", 60 + i, "vitamin", "C", None) for i in (0, 1)],
        *[("P5", "K1", "D1", 70 + i, "vitamin", "C", None) for i in (0, 1)],
    ]
    result = signals(made(visits), by="lot", only="redness")
    # By hand: A was given to P1 in 2 sessions; P4 and P5 had 2 sessions with C; one of three patients had an event.
    assert result.cell(lot="A", estimand="session_proportion")["p_value"] == pytest.approx(1 / 3)
    # C: P4 and P5 in 2 sessions each; P1 chose A, with 2 sessions, and has the event: P(0 or more) = 1.
    assert result.cell(lot="C", estimand="session_proportion")["p_value"] == 1
    # B: P1 to P4 in 1 session each; P5 had C in 2 sessions: nobody to compare with.
    alone = result.cell(lot="B", estimand="session_proportion")
    assert np.isnan(alone["p_value"])
    assert alone["note"].startswith("no exposed unit has others to be compared with")


def test_every_unit_has_a_row_for_every_kind_and_zeros_too() -> None:
    clinic = simulated(250)
    result = signals(clinic, by="lot", of="term")
    frame = result.estimates
    assert list(frame.columns) == ["substance", "lot", "term", *ESTIMATE_COLUMNS]
    held = clinic.table("sessions").query("status == 'attended'")
    lots = clinic.table("products").merge(held, on="session_id")["lot"].nunique()
    terms = frame["term"].nunique()
    assert terms >= len(clinic.vocabulary.adverse_events)
    assert len(frame) == 2 * lots * terms
    assert (
        frame.loc[frame["numerator"].eq(0) & frame["estimand"].eq("session_proportion"), "estimate"]
        .eq(0)
        .any()
    )
    assert frame["p_value"].dropna().between(0, 1).all()
    never = frame[frame["term"].eq("lipoatrophy") & frame["estimand"].eq("session_proportion")]
    assert never["p_value"].isna().all()
    assert never["note"].str.startswith("no event at all").sum() > 350
    assert never["note"].str.contains("no event at all|no observations").all()
    assert result.spec["tests"] == frame["p_value"].notna().sum()


@pytest.mark.parametrize("by", ["practitioner_id", "clinic_id", "lot"])
@pytest.mark.parametrize("per", ["session", "patient"])
def test_numbers_are_explained_by_their_rows(by: Any, per: Any) -> None:
    result = signals(simulated(250), by=by, of="class", per=per)
    shown = result.estimates[result.estimates["estimand"].eq(result.spec["primary"])]
    for row in shown.iloc[:: max(len(shown) // 6, 1)].to_dict("records"):
        rows = result.explain(**{name: row[name] for name in result.groups})
        assert rows["in_numerator"].sum() == row["numerator"]
        assert rows["in_denominator"].sum() == row["denominator"]
        assert (~rows["in_denominator"]).sum() == row["n_missing"]


def test_numbers_are_those_of_the_rates() -> None:
    clinic = simulated(250)
    rates = ms.adverse_event_rates(clinic, by="practitioner_id", of="term", per="session").estimates
    found = signals(clinic, by="practitioner_id").estimates
    columns = ["practitioner_id", "term", "estimate", "conf_low", "conf_high", "numerator", "denominator"]
    pd.testing.assert_frame_equal(
        found.loc[found["estimand"].eq("session_proportion"), columns].reset_index(drop=True),
        rates.loc[rates["estimand"].eq("session_proportion"), columns].reset_index(drop=True),
    )


def test_what_has_no_name_is_shown_and_not_tested() -> None:
    visits = [
        *[(f"A{i}", "K1", "D1", i, "vitamin", "A", "redness") for i in range(4)],
        *[(f"B{i}", "K1", "D2", i, "vitamin", "B", None) for i in range(4)],
        *[(f"C{i}", None, None, i, "vitamin", None, "redness") for i in range(9)],
        *[(f"N{i}", "K1", "D2", i, None, None, None) for i in range(3)],
    ]
    clinic = made(visits)
    staff = signals(clinic, by="practitioner_id", of="any")
    row = staff.cell(practitioner_id="not recorded", estimand="session_proportion")
    assert (row["numerator"], row["denominator"]) == (9, 9)
    assert np.isnan(row["p_value"])
    assert row["note"].startswith("not recorded: not tested")
    # Sessions without a name are not part of the overall proportion: 4 of 4 + 7.
    assert staff.spec["funnel"]["any"]["target"] == pytest.approx(4 / 11)

    lots = signals(clinic, by="lot", of="any")
    nameless = lots.estimates[lots.estimates["lot"].eq("not recorded")]
    assert nameless["p_value"].isna().all()
    assert list(nameless["substance"].unique()) == ["not recorded", "vitamin"]
    # By hand: A's four patients have all events of eight in one stratum: 1 of C(8, 4) ways.
    assert lots.cell(lot="A", estimand="session_proportion")["p_value"] == pytest.approx(1 / 70)
    assert lots.spec["tests"] == 2


def test_without_any_lot_or_event_nothing_is_tested() -> None:
    visits = [(f"A{i}", "K1", "D1", i, "vitamin", None, None) for i in range(4)]
    for by in ("lot", "practitioner_id", "clinic_id"):
        result = signals(made(visits), by=by, of="any")  # type: ignore[arg-type]
        assert result.spec["tests"] == 0
        assert result.estimates["p_value"].isna().all()
        assert result.estimates["note"].ne("").all()


def test_benjamini_hochberg_finds_no_less_than_holm() -> None:
    clinic = simulated(1000)
    holm, less_strict = (
        signals(clinic, by="lot", only="infection", against="all_clinics", multiplicity=each)  # type: ignore[arg-type]
        for each in ("holm", "benjamini_hochberg")
    )
    assert less_strict.estimates["p_adjusted"].le(holm.estimates["p_adjusted"] + 1e-15).sum() > 500
    # Step-up by hand: p(i)·m/i, made monotone from the largest on.
    p = less_strict.estimates["p_value"].dropna().sort_values(ascending=False)
    m = len(p)
    expected = (p * m / np.arange(m, 0, -1)).cummin().clip(upper=1)
    np.testing.assert_allclose(less_strict.estimates["p_adjusted"][p.index], expected, rtol=1e-9)
    assert "after Benjamini-Hochberg's correction" in less_strict.spec["rules"][-1]


def test_alpha_decides_what_is_a_signal() -> None:
    clinic = outbreak(3, 30, 1, 100)
    p = signals(clinic, by="lot", only="infection").cell(lot="BAD", estimand="session_proportion")[
        "p_adjusted"
    ]
    for alpha, alarm in ((p * 1.01, True), (p * 0.99, False)):
        note = signals(clinic, by="lot", only="infection", alpha=alpha).cell(
            lot="BAD", estimand="session_proportion"
        )["note"]
        assert note.startswith("signal") is alarm


def test_a_result_can_be_shown_and_kept() -> None:
    result = signals(simulated(250), by="practitioner_id", of="any")
    assert "control limits of the funnel" in result.estimates.loc[1, "method"]
    json.dumps(dict(result.spec))
    html = ms.table(result).as_raw_html()
    assert "Safety signals by practitioner" in html
    assert result.spec["arguments"]["against"] is None


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"by": "lots"}, "by 'lots' is unknown; did you mean 'lot'"),
        ({"by": "lot", "per": "visit"}, "per 'visit' is unknown"),
        ({"by": "lot", "against": "clinics"}, "against 'clinics' is unknown"),
        ({"by": "lot", "multiplicity": "bonferroni"}, "multiplicity 'bonferroni' is unknown"),
        ({"by": "lot", "alpha": 0}, "alpha == 0, must be above 0 and below 1"),
        ({"by": "lot", "conf_level": 95}, "conf_level == 95"),
        ({"by": "lot", "only": "infektion"}, "no event of term 'infektion'; did you mean 'infection'"),
    ],
)
def test_wrong_arguments_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        signals(simulated(250), **options)


def test_lots_need_products() -> None:
    clinic = made([("P1", "K1", "D1", 0, None, None, None)], products=False)
    with pytest.raises(DataError, match="the table 'products' is absent"):
        signals(clinic, by="lot")
