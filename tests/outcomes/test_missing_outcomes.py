"""Response with missing outcomes: small clinics counted by hand, edge cases, and simulated truth."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from mesostats.dataset import Dataset
from mesostats.errors import DataError
from mesostats.estimators import proportion
from mesostats.outcomes.missing_methods import ESTIMANDS, METHODS, STRATEGIES, Imputation
from mesostats.outcomes.missing_outcomes import response_scenarios
from mesostats.outcomes.responders import response
from mesostats.results import ESTIMATE_COLUMNS, Result
from mesostats.simulation import load_scenario, simulate
from mesostats.simulation.scenario import EndpointMissing, MissingByResponse
from mesostats.vocabulary import ResponderRule

NUMBERS = ["estimate", "std_error", "conf_low", "conf_high"]
ALL = [name for method in METHODS for name in ESTIMANDS[method]]

# Of one indication: 12 courses that were completed, of which 10 were assessed and 5 responded, and 8 that were given up, of
# which 4 were assessed and 1 responded. One of the missing ones has no baseline.
STAYED = [(True, True)] * 5 + [(True, False)] * 5 + [(False, False)] * 2
LEFT = [(True, True)] * 1 + [(True, False)] * 3 + [(False, False)] * 4


def tables(repeats: int = 1, arm: str = "A") -> dict[str, pd.DataFrame]:
    courses = pd.DataFrame(
        [(seen, hit, "completed") for seen, hit in STAYED]
        + [(seen, hit, "discontinued") for seen, hit in LEFT],
        columns=["seen", "hit", "status"],
    )
    courses["course_id"] = [f"{arm}{place:02d}" for place in courses.index]
    courses["patient_id"] = [f"{arm}P{place // repeats:02d}" for place in courses.index]
    days = pd.concat(
        [courses.assign(date="2024-01-01"), courses.assign(date="2024-02-01")], ignore_index=True
    )
    first = courses[courses["course_id"] != f"{arm}10"].assign(date="2024-01-01", value=20.0)
    last = courses[courses["seen"]].assign(date="2024-02-10")
    last["value"] = last["hit"].map({True: 8.0, False: 16.0})
    outcomes = pd.concat([first, last], ignore_index=True)[["course_id", "date", "value"]]
    return {
        "patients": pd.DataFrame({"patient_id": courses["patient_id"].unique()}),
        "courses": courses[["course_id", "patient_id", "status"]].assign(
            indication="melasma", arm=arm, start_date="2023-12-15"
        ),
        "sessions": pd.DataFrame(
            {
                "session_id": arm + "S" + days.index.astype(str),
                "course_id": days["course_id"],
                "date": days["date"],
                "status": "attended",
            }
        ),
        "outcomes": outcomes.assign(instrument="masi", outcome_id=arm + "O" + outcomes.index.astype(str)),
    }


def clinic(*parts: dict[str, pd.DataFrame], **changed: pd.DataFrame) -> Dataset:
    given = parts or (tables(),)
    merged = {name: pd.concat([part[name] for part in given], ignore_index=True) for name in given[0]}
    return Dataset(**(merged | changed), cutoff="2024-06-30")  # type: ignore[arg-type]


@cache
def scenarios() -> Result:
    return response_scenarios(clinic(), covariates="dropped_out")


def test_every_method_has_its_row_and_names_its_strategy() -> None:
    found = scenarios()
    assert found.estimates["estimand"].tolist() == ALL
    assert list(found.estimates) == ["indication", "instrument", *ESTIMATE_COLUMNS]
    ended = "while-on-treatment strategy (response as treatment ended, however early)"
    assert found.spec["strategies"] == {name: told.format(ended) for name, told in STRATEGIES.items()}
    for row in found.estimates.itertuples():
        assert row.method.endswith(STRATEGIES[row.estimand].format(ended))
        assert "20 due: 19 with a baseline, 14 assessed, 10 of these completed" in row.note
    assert found.estimates["n_missing"].eq(6).all()
    assert found.estimates["unit"].eq("courses").all()


def test_counting_methods_are_those_of_plain_proportions() -> None:
    # 6 of 14 assessed responded; of 20 due 6 are known to have, and 6 more may have.
    expected = {"observed": (6, 14), "nonresponder": (6, 20), "lowest": (6, 20), "highest": (12, 20)}
    for name, (hits, n) in expected.items():
        row = scenarios().cell(estimand=f"response_{name}")
        plain = proportion(hits, n).iloc[0]
        assert [*row[NUMBERS]] == pytest.approx([*plain[NUMBERS]])
        assert (row["numerator"], row["denominator"]) == (hits, n)


def test_bounds_have_an_interval_and_no_estimate() -> None:
    row = scenarios().cell(estimand="response_bounds")
    low, high = (scenarios().cell(estimand=f"response_{name}") for name in ("lowest", "highest"))
    assert row[["estimate", "std_error", "numerator"]].isna().all()
    assert low["conf_low"] < row["conf_low"] < low["estimate"]
    assert high["estimate"] < row["conf_high"] < high["conf_high"]
    assert "from 0.300 to 0.600" in row["note"]


def test_weights_are_those_of_the_two_states() -> None:
    # By hand: the 10 completed stand for 12, the 4 given up for 8: (12·5/10 + 8·1/4)/20 = 0.4.
    row = scenarios().cell(estimand="response_ipw")
    assert row["estimate"] == pytest.approx(0.4)
    assert (row["numerator"], row["denominator"], row["df"]) == (6, 14, 18)
    # Stabilised by 14/20: 0.7·12/10 and 0.7·8/4; (12 + 8)²/(10·1.2² + 4·2²) = 400/30.4.
    assert "weights 0.84 to 1.40, effective sample size 13.2" in row["note"]


def test_imputation_is_about_the_same_and_follows_its_seed() -> None:
    many = response(
        clinic(), missing="multiple_imputation", covariates="dropped_out", imputation=Imputation(2000)
    )
    assert many.estimates["estimate"].item() == pytest.approx(
        0.4, abs=0.02
    )  # the logistic draws lean to one half
    one, other = (
        response(clinic(), missing="multiple_imputation", imputation=Imputation(seed=seed)).estimates
        for seed in (1, 2)
    )
    assert one["estimate"].item() != other["estimate"].item()


def test_a_measurement_is_imputed_and_the_rule_applied() -> None:
    found = response(
        clinic(),
        missing="multiple_imputation",
        covariates="dropped_out",
        imputation=Imputation(500, of="measurement"),
    )
    row = found.estimates.iloc[0]
    # Per cent improvement less 50 is 10 (8 of 20) or -30 (16 of 20). Completed: 5 and 5, mean -10; given up: 1 and 3, mean -20.
    # Squares about the means: 10·20² + 30² + 3·10² = 5200 on 14 - 2 df, variance 433. A missing one is t with 12 df about its
    # mean, scale² 433·(1 + 1/10) and 433·(1 + 1/4): P(t > 10/21.8) and P(t > 20/23.3).
    expected = (
        6 + 2 * stats.t.sf(10 / np.sqrt(433.33 * 1.1), 12) + 4 * stats.t.sf(20 / np.sqrt(433.33 * 1.25), 12)
    )
    assert row["estimate"] == pytest.approx(
        expected / 20, abs=4 * np.sqrt(6 * 0.2) / 20 / np.sqrt(500) + 0.005
    )
    assert "Bayesian linear model" in row["method"]
    assert row["numerator"] == 6


def test_explained_rows_add_up() -> None:
    for row in scenarios().estimates.itertuples():
        rows = scenarios().explain(indication="melasma", instrument="masi", estimand=row.estimand)
        assert rows["in_denominator"].sum() == row.denominator
        if pd.notna(row.numerator):
            assert rows["in_numerator"].sum() == row.numerator
    assert rows["excluded"].value_counts().to_dict() == {
        "": 14,
        "no assessment at the endpoint": 5,
        "no usable baseline": 1,
    }


def test_methods_can_be_chosen_in_any_order() -> None:
    found = response(clinic(), missing=["ipw", "observed"], covariates=[])
    assert found.estimates["estimand"].tolist() == ["response_observed", "response_ipw"]
    assert found.spec["primary"] == "response_observed"
    assert found.spec["arguments"]["missing"] == ["observed", "ipw"]
    # Without covariates weighting is the observed share, its interval with t on 19 degrees of freedom.
    assert found.estimates["estimate"].to_numpy() == pytest.approx([6 / 14, 6 / 14])


def test_default_covariates_are_the_history() -> None:
    found = response(clinic(), by=None, missing="ipw")
    assert found.spec["arguments"]["covariates"] == [
        "dropped_out",
        "sessions",
        "baseline",
        "indication",
        "arm",
    ]
    assert any("before the endpoint" in rule for rule in found.spec["rules"])
    # Sessions, indication and arm are the same for all; the baseline, too: only the state is left.
    assert found.estimates["estimate"].item() == pytest.approx(0.4)


def test_patients_with_several_courses_are_clusters() -> None:
    alone, paired = (
        response(clinic(tables(repeats)), missing=["observed", "ipw", "multiple_imputation"], covariates=[])
        for repeats in (1, 2)
    )
    assert paired.cell(estimand="response_ipw")["df"] == 9  # 10 patients, one coefficient
    assert alone.cell(estimand="response_ipw")["df"] == 19
    # Pairs of courses are alike: their intervals are wider.
    for name in ("response_ipw", "response_imputed"):
        wide, narrow = (each.cell(estimand=name) for each in (paired, alone))
        assert wide["conf_high"] - wide["conf_low"] > narrow["conf_high"] - narrow["conf_low"]


def test_nothing_missing_leaves_one_share() -> None:
    known = tables()
    gone = set(known["courses"]["course_id"]) - set(
        known["outcomes"].loc[known["outcomes"]["date"] == "2024-02-10", "course_id"]
    )
    parts = {
        name: frame[~frame["course_id"].isin(gone)] if "course_id" in frame else frame
        for name, frame in known.items()
    }
    found = response_scenarios(clinic(parts)).estimates.dropna(subset="estimate")
    assert found["estimate"].to_numpy() == pytest.approx(np.full(6, 6 / 14))
    assert found["n_missing"].eq(0).all()


def test_an_arm_without_an_assessment_has_bounds_alone() -> None:
    empty = tables(arm="B")
    empty["outcomes"] = empty["outcomes"][empty["outcomes"]["date"] == "2024-01-01"]
    found = response_scenarios(clinic(tables(), empty), by="arm")
    rows = found.estimates[found.estimates["arm"] == "B"].set_index("estimand")
    assert rows.index.tolist() == ALL
    assert rows.loc[["response_lowest", "response_highest"], "estimate"].tolist() == [0, 1]
    lost = rows.loc[["response_observed", "response_ipw", "response_imputed"]]
    assert lost[NUMBERS].isna().all(axis=None)
    assert lost["note"].str.contains("no observations|no outcome was observed").all()
    assert rows["n_missing"].eq(20).all()
    assert found.cell(arm="A", estimand="response_ipw")["estimate"] == pytest.approx(0.4)


def test_a_state_in_which_nobody_was_assessed_cannot_be_weighted() -> None:
    parts = tables()
    outcomes = parts["outcomes"]
    left = outcomes["course_id"].isin([f"A{place}" for place in range(12, 20)]) & (
        outcomes["date"] == "2024-02-10"
    )
    found = response(clinic(parts | {"outcomes": outcomes[~left]}), missing=["ipw", "multiple_imputation"])
    row = found.cell(estimand="response_ipw")
    assert np.isnan(row["estimate"])
    assert "no outcome was observed where 'dropped_out' = 1: no weight can stand for them" in row["note"]
    row = found.cell(estimand="response_imputed")
    assert "no outcome was observed where 'dropped_out' = 1: imputed as the average" in row["note"]
    assert 0.3 < row["estimate"] < 0.7  # 5 of 10 assessed responded, and nothing tells those given up apart


def test_an_unscored_instrument_is_refused_in_every_row() -> None:
    parts = tables()
    parts["outcomes"]["instrument"] = "gais"
    found = response_scenarios(clinic(parts)).estimates
    assert found["estimand"].tolist() == ALL
    assert found[[*NUMBERS, "numerator"]].isna().all(axis=None)
    assert found["note"].str.contains("the direction of 'gais' is not declared").all()
    assert found["method"].eq("").all()
    ruled = response_scenarios(clinic(), rule=ResponderRule(kind="absolute", threshold=4.0)).estimates
    assert ruled.set_index("estimand")["estimate"]["response_observed"] == 1


def test_nobody_due_is_no_row() -> None:
    early = Dataset(**tables(), cutoff="2024-02-20")  # type: ignore[arg-type]
    found = response_scenarios(early).estimates
    assert found["denominator"].eq(0).all()
    assert found[NUMBERS].isna().all(axis=None)


def test_what_is_known_before_a_day_is_used_and_not_what_comes_later() -> None:
    parts = tables()
    sessions = parts["sessions"]
    late = sessions.drop_duplicates("course_id").assign(
        session_id=lambda frame: "L" + frame["course_id"], date="2024-03-20"
    )
    parts["sessions"] = pd.concat([sessions, late[late["course_id"] < "A06"]], ignore_index=True)
    parts["outcomes"].loc[parts["outcomes"]["date"] > "2024-02-01", "date"] = "2024-03-01"  # day 60
    # The window of day 60 ± 14 opens on 2024-02-16: the sessions of 2024-03-20, which tell who responded, are not known.
    found = response(clinic(parts), endpoint=60, missing="ipw", covariates="sessions")
    assert "weights 1.00 to 1.00" in found.estimates["note"].item()


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        ({"missing": "ipw", "by": "unit"}, "the analysis has a column of that name"),
        ({"missing": "observe"}, "missing 'observe' is unknown; did you mean 'observed'"),
        ({"missing": []}, "missing= names no method"),
        ({"covariates": "arm"}, "name a method with missing="),
        ({"imputation": Imputation()}, "name a method with missing="),
        ({"missing": "ipw", "covariates": "arms"}, "arms"),
        ({"missing": "ipw", "covariates": "course_id"}, "identifies a row"),
        ({"missing": "ipw", "covariates": ["arm", "arm"]}, "each grouping column once"),
    ],
)
def test_wrong_arguments_are_refused(arguments: dict[str, Any], why: str) -> None:
    with pytest.raises(ValueError, match=why):
        response(clinic(), **arguments)


def test_side_effects_need_their_table_and_imputations_a_number() -> None:
    with pytest.raises(DataError, match="adverse_events"):
        response(clinic(), missing="ipw", covariates="side_effect")
    for wrong in ({"number": 1}, {"seed": -1}, {"number": 2.5}, {"of": "value"}):
        with pytest.raises(ValueError, match=r"whole number|is unknown"):
            Imputation(**wrong)  # type: ignore[arg-type]


def test_the_clinic_is_not_changed() -> None:
    parts = tables()
    before = {name: frame.copy(deep=True) for name, frame in parts.items()}
    response_scenarios(Dataset(**parts, cutoff="2024-06-30"))  # type: ignore[arg-type]
    for name, frame in parts.items():
        pd.testing.assert_frame_equal(frame, before[name])


# --- simulated truth ------------------------------------------------------------------------------------------------


def simulated(
    completed: tuple[float, float], dropped: tuple[float, float], *, indication: str = "melasma"
) -> tuple[pd.DataFrame, float]:
    """Return the scenarios of 8,000 patients, followed to the end, and their true response.

    ``completed`` and ``dropped``: the probability that the endpoint of a responder and of a non-responder is missing.
    """
    source = load_scenario("textbook")
    lost = EndpointMissing(
        completed=MissingByResponse(responder=completed[0], nonresponder=completed[1]),
        dropped=MissingByResponse(responder=dropped[0], nonresponder=dropped[1]),
    )
    recipe = source.indications[indication].recipes[0].model_copy(update={"response": 0.4, "arm": None})
    only = {indication: source.indications[indication].model_copy(update={"recipes": (recipe,)})}
    scenario = source.model_copy(
        update={
            "calendar": source.calendar.model_copy(update={"follow_up_days": 800}),
            "indications": only,
            "records": source.records.model_copy(update={"endpoint_missing": lost}),
            "bad_lot": None,
        }
    )
    found = response_scenarios(simulate(8_000, seed=5, scenario=scenario), imputation=Imputation(20))
    return found.estimates.set_index("estimand"), 0.4


AGREE = {"response_observed", "response_nonresponder", "response_ipw", "response_imputed"}


@pytest.mark.parametrize(
    ("completed", "dropped", "right"),
    [
        ((0.35, 0.35), (0.35, 0.35), AGREE - {"response_nonresponder"}),  # completely at random
        ((0.05, 0.05), (0.80, 0.80), {"response_ipw", "response_imputed"}),  # at random, given who gave up
        ((0.05, 0.40), (0.35, 0.85), set()),  # failures stay away
        ((0.45, 0.10), (0.80, 0.35), set()),  # the satisfied stay away
        ((0.00, 0.40), (0.00, 0.70), {"response_nonresponder"}),  # only failures are missing
    ],
)
def test_each_method_finds_the_truth_where_it_should_and_fails_where_it_must(
    completed: tuple[float, float], dropped: tuple[float, float], right: set[str]
) -> None:
    rows, truth = simulated(completed, dropped)
    off = ((rows["estimate"] - truth).abs() / rows["std_error"]).loc[sorted(AGREE)]
    assert set(off.index[off < 4]) == right
    assert (off.drop([*right]) > 6).all()
    assert rows["conf_low"]["response_bounds"] < truth < rows["conf_high"]["response_bounds"]
