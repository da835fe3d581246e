"""What must not change an outcome, what must change it in a known way, and odd clinics that must not stop an analysis."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest
from naive_outcomes import Tables, rough_tables, text_of

import mesostats as ms

if TYPE_CHECKING:
    from collections.abc import Callable

    from mesostats.results import Result

    Analysis = Callable[[ms.Dataset], Result]

END = "2026-01-01"
ANALYSES: dict[str, Analysis] = {
    "response": lambda clinic: ms.response(clinic, by="arm"),
    "missing": lambda clinic: ms.response(clinic, by="arm", missing=["bounds", "ipw"], endpoint=30),
    "tipping": lambda clinic: ms.tipping_point(
        clinic, group="arm", reference="A", instrument="dlqi", steps=3
    ),
    "compared": lambda clinic: ms.compare_response(
        clinic, reference="A", strata="sex", instrument=["dlqi", "masi"]
    ),
    "adjusted": lambda clinic: ms.compare_response(
        clinic, reference="A", adjust="baseline", instrument="dlqi"
    ),
    "substances": lambda clinic: ms.compare_response(clinic, group="substance", instrument="dlqi"),
    "subgroups": lambda clinic: ms.subgroup_response(
        clinic, reference="A", subgroups="sex", instrument="dlqi"
    ),
    "grades": lambda clinic: ms.compare_grades(clinic, reference="A", instrument="dlqi"),
    "change": lambda clinic: ms.change_from_baseline(
        clinic, by=None, group="arm", reference="A", instrument="dlqi"
    ),
    "visits": lambda clinic: ms.change_by_visit(clinic, visits=[7, 60], by="arm", instrument="dlqi"),
    "error": lambda clinic: ms.change_beyond_error(clinic, by="arm", error=4, instrument="dlqi"),
    "times": lambda clinic: ms.time_to_response(clinic, by="arm", instrument="dlqi"),
    "durability": lambda clinic: ms.durability(clinic, by="arm"),
    "doses": lambda clinic: ms.response_by_sessions(clinic, by="arm", instrument="dlqi", naive=True),
    "baseline": lambda clinic: ms.baseline_table(clinic, by="arm"),
}
COUNTS = ["numerator", "denominator", "n_missing"]


def dataset(tables: Tables, cut: str = END) -> ms.Dataset:
    return ms.Dataset(**tables, cutoff=cut)  # type: ignore[arg-type]


def rough(seed: int = 3) -> Tables:
    return rough_tables(seed, patients=16)[0]


@cache
def unchanged(name: str) -> Result:
    return ANALYSES[name](dataset(rough()))


def assert_same(found: Result, other: Result, columns: list[str] | None = None) -> None:
    """Check that two results are the same, to rounding: sums run in another order."""
    groups = [*found.groups, "estimand", "time"]
    frames = [each.estimates.sort_values(groups, ignore_index=True) for each in (found, other)]
    frames = [each[[*groups, *columns]] if columns else each for each in frames]
    pd.testing.assert_frame_equal(*frames, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("name", ANALYSES)
def test_order_and_names_change_nothing(name: str) -> None:
    ids = ["patient_id", "course_id"]
    renamed = {
        key: rows.assign(**{column: "x" + rows[column] for column in ids if column in rows}).sample(
            frac=1, random_state=1
        )
        for key, rows in rough().items()
    }
    assert_same(unchanged(name), ANALYSES[name](dataset(renamed)))


@pytest.mark.parametrize(
    "name", sorted({*ANALYSES} - {"grades", "subgroups", "substances", "error", "tipping"})
)
def test_nothing_after_the_cut_is_used(name: str) -> None:
    tables, day = rough(), 130
    cut = str(text_of(day))
    dated = {"sessions": "date", "outcomes": "date", "adverse_events": "onset_date"}
    known = dict(tables)
    for key, column in dated.items():
        known[key] = tables[key][tables[key][column].isna() | (tables[key][column] <= cut)]
    known["products"] = tables["products"][
        tables["products"]["session_id"].isin(known["sessions"]["session_id"])
    ]
    # A session after the cut tells an end without a day from one before it: such courses are left out of both.
    later = set(tables["sessions"]["course_id"]) & set(
        tables["sessions"].loc[tables["sessions"]["date"] > cut, "course_id"]
    )
    frames = [
        {
            key: rows[~rows["course_id"].isin(later)] if "course_id" in rows else rows
            for key, rows in each.items()
        }
        for each in (tables, known)
    ]
    frames[0]["outcomes"] = pd.concat(
        [
            frames[0]["outcomes"],
            frames[0]["outcomes"].assign(
                outcome_id="Z" + frames[0]["outcomes"]["outcome_id"], date=text_of(day + 1), value=0.0
            ),
        ]
    )
    assert_same(*(ANALYSES[name](dataset(each, cut)) for each in frames))


@pytest.mark.parametrize("name", ["response", "compared", "times", "baseline"])
def test_a_clinic_twice_has_twice_the_counts(name: str) -> None:
    tables = rough()
    twice = {
        key: pd.concat(
            [
                rows,
                rows.assign(
                    **{
                        column: "x" + rows[column]
                        for column in rows
                        if column.endswith("_id") and column != "clinic_id"
                    }
                ),
            ],
            ignore_index=True,
        )
        for key, rows in tables.items()
    }
    found, doubled = unchanged(name).estimates, ANALYSES[name](dataset(twice)).estimates
    keys = [*found.columns[: found.columns.get_loc("estimand") + 1], "time"]
    merged = found.merge(doubled, on=keys, how="left", suffixes=("", "_twice"))
    counted = merged[~merged["estimand"].str.startswith("median")]
    for column in ("numerator", "denominator"):
        expected = counted[column].to_numpy() * 2
        np.testing.assert_allclose(counted[f"{column}_twice"], expected, err_msg=column)


@pytest.mark.parametrize("name", ["response", "missing", "times", "doses", "change"])
def test_another_group_changes_nothing_elsewhere(name: str) -> None:
    tables = rough()
    arms = tables["courses"]["arm"]
    more = tables["courses"].assign(arm=arms.where(arms == "A", "C"))
    found, other = unchanged(name), ANALYSES[name](dataset(tables | {"courses": more}))
    frames = [
        each.estimates.query("arm == 'A' and not estimand.str.startswith('ls_')") for each in (found, other)
    ]
    pd.testing.assert_frame_equal(*(each.reset_index(drop=True) for each in frames), rtol=1e-6)


def test_swapped_groups_turn_differences_and_ratios_round() -> None:
    for seed, instrument in ((3, "dlqi"), (7, "masi")):
        clinic = dataset(rough_tables(seed, patients=24)[0])
        one, two = (
            ms.compare_response(
                clinic, reference=each, strata="sex", adjust="clinic_id", instrument=instrument
            )
            for each in ("A", "B")
        )
        for estimand in ("risk_difference", "stratified_risk_difference", "adjusted_risk_difference"):
            here, there = (
                one.cell(arm="B", reference="A", estimand=estimand),
                two.cell(arm="A", reference="B", estimand=estimand),
            )
            for own, other in (
                ("estimate", "estimate"),
                ("conf_low", "conf_high"),
                ("conf_high", "conf_low"),
            ):
                assert here[own] == pytest.approx(-there[other], abs=1e-6, nan_ok=True)
        for estimand in ("risk_ratio", "odds_ratio", "stratified_odds_ratio"):
            here, there = (
                one.cell(arm="B", reference="A", estimand=estimand),
                two.cell(arm="A", reference="B", estimand=estimand),
            )
            assert here["estimate"] * there["estimate"] == pytest.approx(1, rel=1e-6)
    wins = [
        ms.compare_grades(clinic, instrument="dlqi", reference=each).cell(
            arm=own, reference=each, estimand="win_probability"
        )
        for own, each in (("A", "B"), ("B", "A"))
    ]
    assert wins[0]["estimate"] + wins[1]["estimate"] == pytest.approx(1)


def test_one_stratum_is_the_crude_difference() -> None:
    tables = rough()
    clinic = dataset(tables | {"courses": tables["courses"].assign(site="one")})
    found = ms.compare_response(clinic, reference="A", strata="site", instrument="dlqi")
    crude, pooled = (
        found.cell(arm="B", reference="A", estimand=name)["estimate"]
        for name in ("risk_difference", "stratified_risk_difference")
    )
    assert pooled == pytest.approx(crude)


@pytest.mark.parametrize("column", ["note", "Estimate"])
@pytest.mark.parametrize("name", ["response", "change", "visits", "error", "durability"])
def test_columns_of_the_contract_are_refused_by_name(name: str, column: str) -> None:
    tables = rough()
    clinic = dataset(tables | {"courses": tables["courses"].assign(**{column: "A"})})
    asked: dict[str, Analysis] = {
        "response": lambda clinic: ms.compare_response(clinic, group=column),
        "change": lambda clinic: ms.change_from_baseline(clinic, by=column),
        "visits": lambda clinic: ms.change_by_visit(clinic, visits=[30], by=column),
        "error": lambda clinic: ms.change_beyond_error(clinic, by=column),
        "durability": lambda clinic: ms.durability(clinic, by=column),
    }
    with pytest.raises(ValueError, match=f"cannot group by '{column}'.*rename yours"):
        asked[name](clinic)


def test_a_column_with_a_dot_is_refused_and_one_called_n_is_not() -> None:
    tables = rough()
    clinic = dataset(tables | {"courses": tables["courses"].assign(**{"skin.type": "A", "N": "A"})})
    with pytest.raises(ValueError, match=r"cannot group by 'skin\.type': a dot"):
        ms.response(clinic, by="skin.type")
    found, whole = (ms.change_beyond_error(clinic, by=by, error=4, instrument="dlqi") for by in ("N", None))
    assert found.estimates["estimate"].tolist() == pytest.approx(
        whole.estimates["estimate"].tolist(), nan_ok=True
    )


def test_courses_without_a_number_to_adjust_for_are_told() -> None:
    clinic = dataset(rough())
    found = ms.compare_response(clinic, reference="A", adjust="baseline", instrument="dlqi")
    cell = {"arm": "B", "reference": "A", "estimand": "adjusted_risk_difference"}
    sides = [found.explain(arm=arm, estimand="adjusted_risk_difference") for arm in ("A", "B")]
    lacking = sum((each["excluded"] == "without a number to adjust for").sum() for each in sides)
    assert lacking > 0
    assert f"{lacking} courses of the two groups left out" in found.cell(**cell)["note"]
    assert found.cell(**cell)["denominator"] == sides[1]["in_denominator"].sum()


@pytest.mark.parametrize(
    ("endpoint", "strategy", "other"),
    [
        ("last_observation", "while-on-treatment strategy (last response seen", "treatment-policy"),
        ("end_of_course", "while-on-treatment strategy (response as treatment ended", "treatment-policy"),
        (60, "treatment-policy strategy (response on the day", "while-on-treatment"),
    ],
)
def test_the_time_of_reading_decides_the_strategy_for_giving_up(
    endpoint: Any, strategy: str, other: str
) -> None:
    clinic = dataset(rough())
    found = ms.response_scenarios(clinic, endpoint=endpoint, imputation=ms.Imputation(2), covariates=[])
    for told in found.spec["strategies"].values():
        assert strategy in told
        assert other not in told
    known = found.estimates.loc[found.estimates["method"] != "", "method"]
    assert known.str.contains(strategy, regex=False).all()
    composite = found.spec["strategies"]["response_nonresponder"]
    assert (
        "ICH E9(R1) composite strategy for not being assessed; of giving up: while" in composite
        or endpoint == 60
    )
    for analysis in (ms.change_from_baseline, ms.response):
        rules = " ".join(analysis(clinic, endpoint=endpoint).spec["rules"])
        assert strategy in rules
        assert other not in rules


def test_no_change_where_higher_is_better_is_grade_0() -> None:
    rows = [("1", 0, 1.0), ("2", 14, 1.0)]
    clinic = one_course("hair_loss_aga", "hair_change_7pt", rows)
    found = ms.compare_grades(clinic, instrument="hair_change_7pt")
    assert set(found.estimates["grade"]) == {"0", "not assessed"}


def test_the_last_of_several_assessments_a_day_counts_everywhere() -> None:
    rows = [("1", 0, 3.0), ("2", 14, 1.0), ("3", 100, 1.0), ("4", 100, 3.0)]  # on day 100 first 1, then 3
    clinic = one_course("wrinkles", "fine_lines", rows)
    assert ms.durability(clinic, by=None).cell(estimand="still_responding")["numerator"] == 0
    late = one_course("wrinkles", "fine_lines", [rows[0], *rows[2:]])
    assert ms.time_to_response(late, by=None).cell(estimand="median_response")["numerator"] == 0


def one_course(indication: str, instrument: str, assessed: list[tuple[str, int, float]]) -> ms.Dataset:
    course = {
        "course_id": "C",
        "patient_id": "P",
        "indication": indication,
        "arm": "A",
        "status": "completed",
    }
    outcomes = [
        {"outcome_id": key, "course_id": "C", "date": text_of(day), "instrument": instrument, "value": value}
        for key, day, value in assessed
    ]
    sessions = [{"session_id": "S", "course_id": "C", "date": text_of(0), "status": "attended"}]
    frames = {"patients": [{"patient_id": "P"}], "courses": [course | {"start_date": text_of(0)}]}
    frames |= {"sessions": sessions, "outcomes": outcomes}
    return dataset({name: pd.DataFrame(rows) for name, rows in frames.items()})
