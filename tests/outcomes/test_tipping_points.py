"""Tipping points of clinics small enough to be counted by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from mesostats.dataset import Dataset
from mesostats.estimators import proportion, risk_difference
from mesostats.outcomes.responders import response
from mesostats.outcomes.tipping_points import tipping_point
from mesostats.results import ESTIMATE_COLUMNS, Result
from mesostats.simulation import simulate

GRID = ["response_of_missing", "response_of_missing_reference"]


def clinic(counts: dict[str, tuple[int, int, int]], *, instrument: str = "masi", repeats: int = 1) -> Dataset:
    """Return arms of (responders, assessed non-responders, not assessed) courses of melasma."""
    rows = [
        (arm, seen, hit)
        for arm, (hits, fails, missing) in counts.items()
        for seen, hit in [(True, True)] * hits + [(True, False)] * fails + [(False, False)] * missing
    ]
    courses = pd.DataFrame(rows, columns=["arm", "seen", "hit"])
    courses["course_id"] = [f"C{place:03d}" for place in courses.index]
    courses["patient_id"] = [f"P{place // repeats:03d}" for place in courses.index]
    first = courses.assign(date="2024-01-01", value=20.0)
    last = courses[courses["seen"]].assign(date="2024-02-10")
    last["value"] = last["hit"].map({True: 8.0, False: 16.0}).astype(float)
    outcomes = pd.concat([first, last], ignore_index=True)
    return Dataset(
        patients=pd.DataFrame({"patient_id": courses["patient_id"].unique()}),
        courses=courses[["course_id", "patient_id", "arm"]].assign(
            indication="melasma", status="completed", start_date="2024-01-01"
        ),
        sessions=pd.DataFrame(
            {
                "session_id": "S" + courses["course_id"],
                "course_id": courses["course_id"],
                "date": "2024-01-01",
                "status": "attended",
            }
        ),
        outcomes=outcomes[["course_id", "date", "value"]].assign(
            outcome_id="O" + outcomes.index.astype(str), instrument=instrument
        ),
        cutoff="2024-06-30",
    )


# Arm A: 30 of 40 assessed responded, 10 missing; arm B: 12 of 40, 8 missing.
TWO = {"A": (30, 10, 10), "B": (12, 28, 8)}


def compared(counts: dict[str, tuple[int, int, int]] = TWO, **options: Any) -> Result:
    return tipping_point(clinic(counts), group="arm", reference="B", **options)


def test_every_point_of_the_grid_is_the_comparison_with_these_numbers() -> None:
    found = compared()
    rows = found.estimates
    assert len(rows) == 11 * 9  # 0 to 10 and 0 to 8 of the missing
    assert list(rows) == ["arm", "instrument", *GRID, *ESTIMATE_COLUMNS]
    for own, other in ((0, 8), (10, 0), (3, 5)):
        row = found.cell(response_of_missing=own / 10, response_of_missing_reference=other / 8)
        plain = risk_difference(30 + own, 50, 12 + other, 48).iloc[0]
        for name in ("estimate", "std_error", "conf_low", "conf_high", "statistic", "p_value"):
            assert row[name] == pytest.approx(plain[name]), name
        assert (row["numerator"], row["denominator"], row["n_missing"]) == (30 + own, 50, 10)
        assert (
            f"assumed to respond: {own} of the 10 missing in A, {other} of the 8 missing in B" in row["note"]
        )
    assert found.spec["primary"] == "response_difference"


def test_a_conclusion_that_nothing_changes_is_said_to_be_so() -> None:
    found = compared()
    # Worst for A: 30 of 50 against 20 of 48, still z = 1.81 only: so it can change. With fewer missing in B it cannot.
    assert "Nothing" not in found.spec["tipping"][0]
    sure = compared({"A": (30, 10, 2), "B": (12, 28, 1)}).spec
    assert sure["tipping"][0].endswith("Nothing that may be assumed of the missing changes it.")
    assert sure["conclusions"] == ["more respond than in the reference"]


def test_the_point_at_which_it_tips_is_the_first_beyond() -> None:
    # Weaker evidence: A 24 of 40 assessed and 20 missing, B 15 of 40 and 5 missing. As assessed: 12 of 20 and 2 of 5 respond.
    found = compared({"A": (24, 16, 20), "B": (15, 25, 5)}, steps=2)
    base = {"response_of_missing": 0.6, "response_of_missing_reference": 0.4}
    assert found.spec["as_assessed"] == [{"arm": "A", "instrument": "masi"} | base]
    assert found.cell(**base)["p_value"] < 0.05
    # By hand, with pooled variances and N/(N - 1): 34 of 60 against 17 of 45 is z = 1.91, 35 of 60 is z = 2.08; and
    # 36 of 60 against 18 of 45 is z = 2.02, against 19 of 45 z = 1.80.
    words = "It changes if at most 10 of the 20 missing in A, or at least 4 of the 5 missing in B respond"
    assert words in found.spec["tipping"][0]


def test_no_difference_can_tip_both_ways() -> None:
    found = compared({"A": (10, 10, 20), "B": (10, 10, 20)})
    assert found.spec["conclusions"] == ["no difference shown"]
    sentence = found.spec["tipping"][0]
    for words in ("at most", "at least"):
        assert sentence.count(words) == 2
    # The groups are alike: what tips upwards for one tips downwards for the other, at mirrored numbers.
    numbers = [int(part.split()[0]) for part in sentence.replace("at least", "at most").split("at most ")[1:]]
    assert numbers[0] + numbers[1] == 20
    assert numbers[:2] == numbers[2:]


def test_more_missing_than_steps_are_thinned_and_keep_the_point_as_assessed() -> None:
    rows = compared({"A": (60, 40, 150), "B": (50, 50, 0)}, steps=4).estimates
    assert rows["response_of_missing"].round(4).tolist() == [0, 0.3333, 0.6, 0.6667, 1]
    assert rows["response_of_missing_reference"].eq(0).all()
    assert rows["note"].str.contains("none missing in B").all()


def test_one_sample_tips_at_its_threshold() -> None:
    # 12 of 30 assessed respond, 10 are missing: 0.4 of 40 is 16, so 4 more; Wilson's lower limit does not reach 0.4 even at 22.
    found = tipping_point(clinic({"A": (12, 18, 10)}), threshold=0.4)
    assert found.estimates["numerator"].tolist() == [*range(12, 23)]
    assert list(found.estimates) == ["instrument", "response_of_missing", *ESTIMATE_COLUMNS]
    share, interval = found.spec["tipping"][0].split("; ")
    assert share == (
        "masi: 10 of 40 not assessed. The share of responders is at least 0.4 if 4 or more of the missing respond (40 %)"
    )
    assert interval == (
        "its whole 95 % interval is not at least 0.4 however the missing fared. If they respond as the assessed do, 4 do."
    )
    assert proportion(22, 40)["conf_low"].item() < 0.4
    assert found.spec["conclusions"] == ["not shown to be above 0.4"]
    row = found.cell(response_of_missing=1.0)
    # z = (0.55 - 0.4)/sqrt(0.4·0.6/40)
    assert row["statistic"] == pytest.approx(0.15 / np.sqrt(0.006))
    plain = proportion(22, 40).iloc[0]
    assert [row["conf_low"], row["conf_high"]] == pytest.approx([plain["conf_low"], plain["conf_high"]])


@pytest.mark.parametrize(
    ("counts", "threshold", "words", "conclusion"),
    [
        (
            (20, 5, 5),
            0.3,
            "is at least 0.3 however the missing fared; its whole 95 % interval is at least 0.3",
            "above 0.3",
        ),
        ((1, 30, 2), 0.5, "is not at least 0.5 however the missing fared", "below 0.5"),
        (
            (6, 14, 0),
            0.3,
            "0 of 20 not assessed. The share of responders is at least 0.3 however",
            "not shown to be above 0.3",
        ),
    ],
)
def test_one_sample_that_never_tips(
    counts: tuple[int, int, int], threshold: float, words: str, conclusion: str
) -> None:
    found = tipping_point(clinic({"A": counts}), threshold=threshold)
    assert words in found.spec["tipping"][0]
    assert found.spec["conclusions"] == [conclusion]


def test_groups_are_looked_at_by_themselves_and_explained() -> None:
    found = tipping_point(clinic(TWO), by="arm", threshold=0.5)
    assert found.estimates["arm"].value_counts().to_dict() == {"A": 11, "B": 9}
    assert [sentence.split(":")[0] for sentence in found.spec["tipping"]] == ["A, masi", "B, masi"]
    rows = found.explain(arm="A")
    assert (rows["in_denominator"].sum(), rows["in_numerator"].sum()) == (50, 30)


@pytest.mark.parametrize(
    ("counts", "why"),
    [
        ({"A": (0, 0, 9), "B": (5, 5, 1)}, "no course was assessed in A: there is no conclusion to tip"),
        ({"A": (5, 5, 1), "B": (0, 0, 9)}, "no course was assessed in B: there is no conclusion to tip"),
    ],
)
def test_an_arm_that_nobody_assessed_has_one_row_and_a_note(
    counts: dict[str, tuple[int, int, int]], why: str
) -> None:
    found = compared(counts)
    row = found.cell(arm="A")
    assert row["note"] == why
    assert np.isnan(row["estimate"])
    assert found.spec["conclusions"] == ["unknown"]


def test_an_unscored_instrument_has_one_row_and_the_reason() -> None:
    found = tipping_point(clinic({"A": (2, 2, 2)}, instrument="gais"), threshold=0.5)
    row = found.estimates.iloc[0]
    assert "direction of 'gais' is not declared" in row["note"]
    assert np.isnan([row["estimate"], row["numerator"]]).all()


def test_repeated_patients_are_noted() -> None:
    found = tipping_point(clinic({"A": (6, 6, 6)}, repeats=2), threshold=0.5)
    assert found.estimates["note"].str.contains("patients with several courses").all()


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        ({}, "name either group="),
        ({"reference": "A", "threshold": 0.3}, "goes with group="),
        ({"group": "arm", "reference": "B", "threshold": 0.5}, "either group="),
        ({"threshold": 0.0}, "above 0 and below 1"),
        ({"threshold": 0.5, "steps": 1}, "at least 2"),
        ({"group": "arm", "reference": "placebo"}, "no group of arm is 'placebo'"),
        ({"threshold": 0.5, "conf_level": 95}, "conf_level"),
        ({"threshold": 0.5, "by": "response_of_missing"}, "a column of that name"),
    ],
)
def test_wrong_arguments_are_refused(arguments: dict[str, Any], why: str) -> None:
    with pytest.raises(ValueError, match=why):
        tipping_point(clinic(TWO), **arguments)


def test_reference_is_the_group_with_the_most_courses() -> None:
    clinic = simulate(300, seed=1)
    due = response(clinic, by="arm", instrument="masi").estimates.query("estimand == 'response_treated'")
    known = due[due["arm"] != "not recorded"].set_index("arm")["denominator"]
    found = tipping_point(clinic, group="arm", instrument="masi")
    assert found.spec["arguments"]["reference"] == known.idxmax()
    assert known.idxmax() not in set(found.estimates["arm"])
