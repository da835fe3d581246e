"""Response of clinics small enough to be counted by hand."""

from __future__ import annotations

from functools import cache
from typing import Any

import pandas as pd
import pytest

from mesostats.dataset import Dataset
from mesostats.errors import DataError, VocabularyError
from mesostats.estimators import ClusterTotals, clustered_proportion, proportion
from mesostats.outcomes.responders import response
from mesostats.results import ESTIMATE_COLUMNS, Result
from mesostats.vocabulary import ResponderRule

# course, patient, arm, indication, status, last of two sessions (the first is on 2024-01-01)
COURSES = [
    ("C1", "P1", "A", "melasma", "completed", "2024-02-01"),
    ("C2", "P1", "A", "melasma", "completed", "2024-02-01"),
    ("C3", "P2", "A", "melasma", "discontinued", "2024-02-01"),
    ("C4", "P3", "A", "melasma", "completed", "2024-02-01"),
    ("C5", "P4", "A", "melasma", "completed", "2024-02-01"),
    ("C6", "P5", "A", "melasma", "ongoing", "2024-02-01"),  # the end has not come
    ("C7", "P6", "A", "melasma", "completed", "2024-05-15"),  # the window closes after the data cut
    ("C8", "P7", None, "melasma", "completed", "2024-02-01"),
    ("C9", "P8", "A", "wrinkles", "completed", "2024-02-01"),
]
# course, instrument, date, value; masi responds at half of the baseline or less, fine_lines at one grade less
OUTCOMES = [
    ("C1", "masi", "2024-01-01", 20.0),
    ("C1", "masi", "2024-02-10", 10.0),  # half: responds
    ("C2", "masi", "2024-01-01", 20.0),
    ("C2", "masi", "2024-02-10", 10.1),  # 49.5 %: does not
    ("C3", "masi", "2023-12-20", 12.0),
    ("C3", "masi", "2024-02-10", 3.0),  # responds, but dropped out
    ("C4", "masi", "2024-02-10", 3.0),  # no baseline
    ("C5", "masi", "2024-01-01", 12.0),  # no endpoint
    ("C6", "masi", "2024-01-01", 12.0),
    ("C6", "masi", "2024-02-10", 3.0),
    ("C7", "masi", "2024-01-01", 12.0),
    ("C7", "masi", "2024-05-20", 3.0),
    ("C8", "masi", "2024-01-01", 12.0),
    ("C8", "masi", "2024-02-10", 6.0),
    ("C9", "fine_lines", "2024-01-01", 3.0),
    ("C9", "fine_lines", "2024-02-10", 2.0),
    ("C9", "wsrs", "2024-01-01", 3.0),  # its rule is not confirmed
    ("C9", "wsrs", "2024-02-10", 2.0),
    ("C9", "gais", "2024-02-10", 2.0),  # its direction is not declared
    ("C9", "masi", "2024-02-10", 2.0),  # not for wrinkles
]
# Arm A, melasma, masi: due are C1 to C5; with baseline C1, C2, C3, C5; evaluable C1, C2, C3; completers C1, C2.
# Responders are C1 and C3.
ESTIMANDS = ("response_treated", "response_with_baseline", "response_evaluable", "response_completers")


def tables() -> dict[str, pd.DataFrame]:
    courses = pd.DataFrame(
        COURSES, columns=["course_id", "patient_id", "arm", "indication", "status", "last"]
    )
    days = pd.concat(
        [courses.assign(date="2024-01-01"), courses.assign(date=courses["last"])], ignore_index=True
    )
    outcomes = pd.DataFrame(OUTCOMES, columns=["course_id", "instrument", "date", "value"])
    return {
        "patients": pd.DataFrame({"patient_id": courses["patient_id"].unique(), "sex": "female"}),
        "courses": courses.drop(columns="last").assign(start_date="2023-12-15"),
        "sessions": pd.DataFrame(
            {
                "session_id": "S" + days.index.astype(str),
                "course_id": days["course_id"],
                "date": days["date"],
                "status": "attended",
            }
        ),
        "outcomes": outcomes.assign(outcome_id="O" + outcomes.index.astype(str)),
    }


@cache
def whole_clinic() -> Dataset:
    return Dataset(**tables(), cutoff="2024-06-30")  # type: ignore[arg-type]


def clinic(**changed: pd.DataFrame) -> Dataset:
    return Dataset(**(tables() | changed), cutoff="2024-06-30") if changed else whole_clinic()  # type: ignore[arg-type]


def counts(result: Result, **cell: Any) -> list[tuple[float, float]]:
    rows = [result.cell(**cell, estimand=estimand) for estimand in ESTIMANDS]
    return [(row["numerator"], row["denominator"]) for row in rows]


def assert_explained(result: Result) -> None:
    for row in result.estimates.to_dict("records"):
        rows = result.explain(**{name: row[name] for name in [*result.groups, "estimand"]})
        assert rows["in_denominator"].sum() == row["denominator"]
        assert rows["excluded"].eq("").eq(rows["in_denominator"]).all()
        if pd.notna(row["numerator"]):
            assert rows["in_numerator"].sum() == row["numerator"]
            assert not rows.loc[~rows["in_denominator"], "in_numerator"].any()


def test_all_four_denominators() -> None:
    found = response(clinic(), by=["arm", "indication"], instrument="masi")
    assert counts(found, arm="A", indication="melasma") == [(2, 5), (2, 4), (2, 3), (1, 2)]
    assert counts(found, arm="not recorded", indication="melasma") == [(1, 1)] * 4
    rows = found.estimates.query("arm == 'A'")
    assert rows["n_missing"].eq(2).all()  # C4, C5
    assert rows["unit"].eq("courses").all()
    assert list(found.estimates) == ["arm", "indication", "instrument", *ESTIMATE_COLUMNS]
    assert found.spec["not_due"] == 2  # C6, C7
    assert_explained(found)


def test_estimates_are_those_of_the_estimators() -> None:
    found = response(clinic(), by="arm", instrument="masi", conf_level=0.9)
    numbers = ["estimate", "std_error", "conf_low", "conf_high"]
    # Arm A, treated: P1 has C1 (responds) and C2 (does not); P2's C3 responds; P3's C4 and P4's C5 do not.
    clustered = clustered_proportion(ClusterTotals.from_arrays([1, 1, 0, 0], [2, 1, 1, 1]), conf_level=0.9)
    row = found.cell(arm="A", estimand="response_treated")
    assert [*row[[*numbers, "df"]]] == pytest.approx([*clustered[[*numbers, "df"]].iloc[0]])
    assert row["df"] == 3
    assert row["note"] == ""  # by hand: v = 4/3·0.72/25 is less than 0.24/5, so the design effect is 1
    assert "missing as non-response" in row["method"]
    single = proportion(1, 1, conf_level=0.9)
    row = found.cell(arm="not recorded", estimand="response_evaluable")
    assert [*row[numbers]] == pytest.approx([*single[numbers].iloc[0]])
    assert pd.isna(row["df"])
    assert "observed cases only" in row["method"]


def test_a_chosen_interval_is_used_where_patients_have_one_course() -> None:
    row = response(clinic(), by="arm", instrument="masi", method="clopper_pearson").cell(
        arm="not recorded", estimand="response_treated"
    )
    # Clopper-Pearson at 1 of 1: the lower limit is 0.025.
    assert (row["conf_low"], row["conf_high"]) == (pytest.approx(0.025), 1)


def test_one_patient_with_several_courses_has_no_interval() -> None:
    given = {
        name: frame[frame["course_id"].isin(["C1", "C2"])]
        for name, frame in tables().items()
        if name in {"courses", "sessions", "outcomes"}
    }
    row = response(clinic(**given)).cell(estimand="response_treated")
    assert row["estimate"] == 0.5
    assert pd.isna(row["conf_low"])
    assert "one cluster" in row["note"]


def test_all_instruments_are_analysed_in_the_courses_they_suit() -> None:
    found = response(clinic())
    pairs = found.estimates[["indication", "instrument"]].drop_duplicates().to_records(index=False).tolist()
    # gais suits any indication; masi was recorded of a course with wrinkles, which it is not for.
    assert pairs == [
        ("melasma", "gais"),
        ("melasma", "masi"),
        ("wrinkles", "fine_lines"),
        ("wrinkles", "gais"),
        ("wrinkles", "wsrs"),
    ]
    assert counts(found, indication="wrinkles", instrument="fine_lines") == [(1, 1)] * 4
    assert found.spec["not_due"] == 2  # C6 and C7 once each, though gais and masi would be assessed
    assert_explained(found)


@pytest.mark.parametrize(
    ("instrument", "reason"),
    [
        ("wsrs", "the responder rule of 'wsrs' is not confirmed"),
        ("gais", "the direction of 'gais' is not declared"),
        ("hair_density", "'hair_density' has no accepted responder rule"),
    ],
)
def test_an_instrument_without_usable_rule_is_a_row_that_says_why(instrument: str, reason: str) -> None:
    courses = tables()["courses"]
    if instrument == "hair_density":
        courses = courses.assign(indication="hair_loss_aga")
    found = response(clinic(courses=courses), by=None, instrument=instrument)
    assert len(found.estimates) == 4
    assert found.estimates["note"].str.contains(reason, regex=False).all()
    assert found.estimates[["estimate", "conf_low", "conf_high", "numerator"]].isna().all(axis=None)
    assert found.estimates["method"].eq("").all()
    left_out = found.explain(estimand="response_evaluable").query(
        "excluded == 'the instrument is not scored'"
    )
    assert len(left_out) == {"wsrs": 1, "gais": 7, "hair_density": 7}[instrument]


def test_a_rule_of_ones_own_scores_an_unconfirmed_instrument() -> None:
    found = response(clinic(), instrument="wsrs", rule=ResponderRule(kind="absolute", threshold=1))
    assert counts(found) == [(1, 1)] * 4
    rules = {"wsrs": ResponderRule(kind="absolute", threshold=2)}
    found = response(clinic(), by=None, instrument=["wsrs", "fine_lines"], rule=rules)
    assert counts(found, instrument="wsrs") == [(0, 1)] * 4
    assert counts(found, instrument="fine_lines") == [(1, 1)] * 4  # by the vocabulary's rule
    assert (
        f"Wrinkle Severity Rating Scale: {rules['wsrs'].describe()} (given for this analysis)."
        in found.spec["rules"]
    )


def test_a_rule_of_ones_own_replaces_the_vocabularys() -> None:
    # 75 % of the baseline: 20 to 10 and 20 to 10.1 no longer respond, 12 to 3 does.
    found = response(clinic(), by="arm", instrument="masi", rule=ResponderRule(kind="percent", threshold=75))
    assert counts(found, arm="A") == [(1, 5), (1, 4), (1, 3), (0, 2)]


def test_a_day_is_due_whether_or_not_the_course_has_ended() -> None:
    # Day 40 is 2024-02-10; its window has closed for all, of C6 and C7 too. C7 was not assessed then.
    found = response(clinic(), by="arm", instrument="masi", endpoint=40)
    # Treated 7; with baseline 6 (not C4); evaluable C1, C2, C3, C6; completers C1, C2. Responders C1, C3, C6.
    assert counts(found, arm="A") == [(3, 7), (3, 6), (3, 4), (1, 2)]
    assert found.spec["not_due"] == 0
    assert_explained(found)


def test_data_cut_hides_later_assessments() -> None:
    # By 15 February nobody's window of 60 days after the last session has closed.
    found = response(clinic().with_cutoff("2024-02-15"), by=None, instrument="masi")
    assert found.estimates["denominator"].eq(0).all()
    assert found.estimates["estimate"].isna().all()
    assert found.estimates["note"].eq("no observations").all()
    # By then 8 melasma courses were treated; all are not due.
    assert found.spec["not_due"] == 8


def test_explain_says_why_a_course_does_not_count() -> None:
    rows = response(clinic(), by="arm", instrument="masi").explain(arm="A", estimand="response_completers")
    reasons = rows.set_index("course_id")["excluded"].to_dict()
    assert reasons == {
        "C1": "",
        "C2": "",
        "C3": "course not completed",
        "C4": "no usable baseline",
        "C5": "no assessment at the endpoint",
        "C6": "endpoint not due by the data cut",
        "C7": "endpoint not due by the data cut",
    }
    assert rows.set_index("course_id").loc["C2", ["baseline", "value"]].tolist() == [20, 10.1]


def test_a_course_without_indication_counts_for_instruments_that_suit_any() -> None:
    courses = tables()["courses"]
    courses.loc[courses["course_id"] == "C8", "indication"] = None
    found = response(clinic(courses=courses), instrument="gais")
    assert found.cell(indication="not recorded", estimand="response_treated")["denominator"] == 1


def test_an_instrument_named_twice_counts_once() -> None:
    twice = response(clinic(), by="arm", instrument=["masi", "masi"])
    pd.testing.assert_frame_equal(twice.estimates, response(clinic(), by="arm", instrument="masi").estimates)


@pytest.mark.parametrize("column", ["state", "attended"])
def test_grouping_on_a_column_named_as_one_of_the_timeline(column: str) -> None:
    courses = tables()["courses"].rename(columns={"arm": column})
    found = response(clinic(courses=courses), by=column, instrument="masi")
    assert counts(found, **{column: "A"}) == [(2, 5), (2, 4), (2, 3), (1, 2)]


def test_empty_outcomes() -> None:
    empty = clinic(outcomes=tables()["outcomes"].iloc[:0])
    assert response(empty).estimates.empty
    assert list(response(empty).estimates) == ["indication", "instrument", *ESTIMATE_COLUMNS]
    named = response(empty, by="arm", instrument="masi")
    assert counts(named, arm="A") == [(0, 5), (0, 0), (0, 0), (0, 0)]
    assert named.estimates.query("arm == 'A'")["n_missing"].eq(5).all()


def test_absent_table_and_unknown_names_are_told() -> None:
    given = tables()
    with pytest.raises(VocabularyError, match="did you mean 'masi'"):
        response(clinic(), instrument="masii")
    with pytest.raises(ValueError, match="did you mean 'masi'"):
        response(clinic(), instrument="masi", rule={"mas": ResponderRule(kind="absolute", threshold=1)})
    del given["outcomes"]
    with pytest.raises(DataError, match="'outcomes' is absent"):
        response(Dataset(**given))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            {"endpoint": "end"},
            "endpoint is 'end_of_course', 'last_observation' or a number of days above 0, found 'end'",
        ),
        ({"endpoint": 0}, "found 0"),
        ({"endpoint": True}, "found True"),
        ({"window": -1}, "not negative, found -1"),
        ({"primary": "all"}, "primary is one of"),
        ({"method": "wald"}, "method"),
        ({"conf_level": 95}, "conf_level"),
        ({"by": "value"}, "cannot group by 'value'"),
        ({"by": "arms"}, "did you mean 'arm'"),
    ],
)
def test_arguments_are_checked(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        response(clinic(), **arguments)


def test_inputs_are_unchanged() -> None:
    given = tables()
    before = {name: frame.copy() for name, frame in given.items()}
    response(Dataset(**given, cutoff="2024-06-30"))  # type: ignore[arg-type]
    for name, frame in given.items():
        pd.testing.assert_frame_equal(frame, before[name])
