"""Kaplan-Meier with clusters against R (survfit with cluster) and properties."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mesostats.estimators import kaplan_meier, quantile
from mesostats.estimators.clustered_survival import clustered_kaplan_meier

REFERENCE = Path(__file__).parents[1] / "reference"
TIMES = pd.read_csv(REFERENCE / "clustered_times.csv")
CURVES = pd.read_csv(REFERENCE / "clustered_kaplan_meier.csv")

people = st.lists(
    st.tuples(st.integers(0, 9), st.booleans(), st.sampled_from("abcd")), min_size=1, max_size=25
)


def curve_of(name: str) -> pd.DataFrame:
    rows = TIMES[TIMES["set"] == name]
    return clustered_kaplan_meier(rows["time"], rows["event"], rows["cluster"])


@pytest.mark.parametrize("name", list(TIMES["set"].unique()))
def test_clustered_kaplan_meier_agrees_with_r(name: str) -> None:
    expected = CURVES[CURVES["set"] == name].reset_index(drop=True)
    found = curve_of(name)
    for column in ("time", "at_risk", "events", "estimate"):
        np.testing.assert_allclose(found[column], expected[column], rtol=1e-8, atol=1e-12)
    # Once nobody is left R says 0, where kaplan_meier() and this say that the standard error is not defined.
    left = (found["estimate"] > 0).to_numpy()
    np.testing.assert_allclose(found["std_error"][left], expected["std_error"][left], rtol=1e-8, atol=1e-9)
    assert found["std_error"][~left].isna().all()
    seen = (found["note"] == "").to_numpy()  # with one cluster R gives an interval of no width, and this none
    for limit in ("conf_low", "conf_high"):
        np.testing.assert_allclose(found[limit][seen], expected[limit][seen], rtol=1e-8)


@pytest.mark.parametrize("name", ["kidney", "veteran", "unequal"])
def test_quantile_reads_the_clustered_curve_as_r(name: str) -> None:
    expected = CURVES[CURVES["set"] == name].iloc[0]
    median = quantile(curve_of(name), 0.5).iloc[0]
    limits = expected[["median", "median_low", "median_high"]].tolist()
    assert median[["estimate", "conf_low", "conf_high"]].tolist() == limits


@given(people=people)
def test_clustered_kaplan_meier_of_single_times_is_greenwood(people: list) -> None:
    time, event, _ = (np.array(part) for part in zip(*people, strict=True))
    single = clustered_kaplan_meier(time, event, np.arange(len(time)))
    plain = kaplan_meier(time, event)
    for column in ("estimate", "std_error", "conf_low", "conf_high"):
        np.testing.assert_allclose(single[column], plain[column], rtol=1e-6, atol=1e-7)


@given(people=people)
def test_clustered_kaplan_meier_is_the_sum_of_squared_influences(people: list) -> None:
    """The variance is that of the definition, cluster by cluster."""
    time, event, cluster = (np.array(part) for part in zip(*people, strict=True))
    found = clustered_kaplan_meier(time, event, cluster)
    left = (found["estimate"] > 0).to_numpy()
    at_risk, events = found["at_risk"].to_numpy(float)[left], found["events"].to_numpy(float)[left]
    days = found["time"].to_numpy()[left]
    own = (event[:, np.newaxis] & (time[:, np.newaxis] == days)) - (
        time[:, np.newaxis] >= days
    ) * events / at_risk
    influence = np.cumsum(own / (at_risk - events), axis=1)
    variance = sum(
        (influence[cluster == label].sum(axis=0) ** 2 for label in set(cluster)), np.zeros(len(days))
    )
    expected = found["estimate"][left] * np.sqrt(variance)
    np.testing.assert_allclose(found["std_error"][left], expected, rtol=1e-6, atol=1e-7)


def test_clustered_kaplan_meier_says_where_there_is_no_variance_to_see() -> None:
    found = clustered_kaplan_meier([1, 2, 3], [0, 1, 0], ["a", "a", "a"])
    assert found["note"].tolist() == [
        "no event so far: the interval cannot be estimated",
        *["one cluster, or all alike: no variance to see"] * 2,
    ]
    assert found["conf_low"].isna().all()


def test_clustered_kaplan_meier_refuses_wrong_arguments_and_takes_nobody() -> None:
    assert clustered_kaplan_meier([], [], []).empty
    with pytest.raises(ValueError, match="cluster has 1 missing values"):
        clustered_kaplan_meier([1, 2], [1, 1], ["a", None])
    with pytest.raises(ValueError, match="lengths differ"):
        clustered_kaplan_meier([1, 2], [1, 1], ["a"])
