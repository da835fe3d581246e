"""A difference over strata of clustered observations: against R's sandwich, the unclustered estimate, and by hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mesostats.estimators.clustered_strata import clustered_stratified_risk_difference
from mesostats.estimators.stratified import stratified_risk_difference

REFERENCE = Path(__file__).parents[1] / "reference"
COURSES = pd.read_csv(REFERENCE / "graded_courses.csv")
RESPONDER = (COURSES["grade"] >= 3).astype(int)
people = st.lists(
    st.tuples(st.integers(0, 1), st.sampled_from("ab"), st.sampled_from("xyz"), st.integers(0, 5)),
    min_size=4,
    max_size=40,
)


def difference(**changed: object) -> pd.Series:
    given_arguments: dict[str, object] = {
        "outcome": RESPONDER,
        "group": COURSES["arm"],
        "strata": COURSES["clinic"],
        "clusters": COURSES["patient"],
        "reference": "control",
    } | changed
    outcome, group = given_arguments.pop("outcome"), given_arguments.pop("group")
    return clustered_stratified_risk_difference(outcome, group, **given_arguments).iloc[0]  # type: ignore[arg-type]


def test_the_error_is_that_of_the_sandwich() -> None:
    expected = pd.read_csv(REFERENCE / "clustered_strata.csv").iloc[0]
    row = difference()
    for name in ("estimate", "std_error", "df", "conf_low", "p_value"):
        assert row[name] == pytest.approx(expected[name], rel=1e-8)


@given(rows=people)
def test_the_estimate_is_that_of_mantel_and_haenszel(rows: list[tuple[int, str, str, int]]) -> None:
    frame = pd.DataFrame(rows, columns=["y", "g", "s", "id"])
    frame = pd.concat([frame, pd.DataFrame({"y": [1, 0], "g": ["a", "b"], "s": "x", "id": [6, 7]})])
    counts = frame.pivot_table(index="s", columns="g", values="y", aggfunc=["sum", "size"], fill_value=0)
    table = [counts[kind][group] for group in "ab" for kind in ("sum", "size")]
    alone = stratified_risk_difference(*table).iloc[0]
    row = clustered_stratified_risk_difference(
        frame["y"], frame["g"], strata=frame["s"], clusters=frame["id"], reference="b"
    ).iloc[0]
    assert row["estimate"] == pytest.approx(alone["estimate"], abs=1e-12)
    for name in ("numerator", "denominator", "reference_numerator", "reference_denominator"):
        assert row[name] == alone[name]
    swapped = clustered_stratified_risk_difference(
        frame["y"], frame["g"], strata=frame["s"], clusters=frame["id"], reference="a"
    ).iloc[0]
    assert swapped["estimate"] == pytest.approx(-row["estimate"], abs=1e-12)
    assert swapped["std_error"] == pytest.approx(row["std_error"], nan_ok=True)


def test_frequencies_are_alike_observations() -> None:
    frame = COURSES.assign(y=RESPONDER).groupby(["patient", "arm", "clinic", "y"], as_index=False).size()
    row = clustered_stratified_risk_difference(
        frame["y"],
        frame["arm"],
        strata=frame["clinic"],
        clusters=frame["patient"],
        frequencies=frame["size"],
        reference="control",
    ).iloc[0]
    for name in ("estimate", "std_error", "df", "denominator"):
        assert row[name] == pytest.approx(difference()[name])


def test_a_stratum_with_one_group_is_left_out_visibly() -> None:
    kept = (COURSES["clinic"] != "z") | (COURSES["arm"] == "active")
    rows = COURSES[kept]
    lonely = difference(
        outcome=RESPONDER[kept], group=rows["arm"], strata=rows["clinic"], clusters=rows["patient"]
    )
    two = COURSES["clinic"] != "z"
    alone = difference(
        outcome=RESPONDER[two],
        group=COURSES.loc[two, "arm"],
        strata=COURSES.loc[two, "clinic"],
        clusters=COURSES.loc[two, "patient"],
    )
    for name in ("estimate", "std_error", "denominator"):
        assert lonely[name] == pytest.approx(alone[name])
    assert (lonely["strata"], lonely["strata_used"]) == (3, 2)
    assert "1 of 3 strata left out" in lonely["note"]


@pytest.mark.parametrize(
    ("outcome", "group", "strata", "clusters"),
    [
        ([1, 0, 1, 0], "aabb", "xxxx", [1, 1, 1, 1]),  # one cluster
        ([1, 1, 0, 0], "aabb", "xxxx", [1, 2, 3, 4]),  # all of one group, none of the other
        ([1, 0, 1, 0], "aabb", "xxyy", [1, 2, 3, 4]),  # no stratum holds both
    ],
)
def test_what_shows_no_variance_has_no_interval(
    outcome: list[int], group: str, strata: str, clusters: list[int]
) -> None:
    row = difference(
        outcome=outcome, group=list(group), strata=list(strata), clusters=clusters, reference="b"
    )
    assert np.isnan(row["conf_low"])
    assert np.isnan(row["p_value"])
    assert row["note"] != ""


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"outcome": COURSES["grade"]}, "0 or 1 in two groups"),
        ({"group": COURSES["clinic"], "reference": "x"}, "found 3 groups"),
        ({"reference": "placebo"}, "not among the groups"),
        ({"clusters": [1, 2]}, "lengths differ"),
    ],
)
def test_arguments_are_checked(changed: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        difference(**changed)
