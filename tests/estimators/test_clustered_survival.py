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

NO_EVENT = "no event so far: exact limit from those still at risk"

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
    assert found["std_error"][~left].isna().all()
    # R's variance has no small-sample factor; with one cluster it is 0 in R, and unknown here.
    clusters = expected["clusters"].where(expected["clusters"] > 1)
    errors = expected["std_error"] * np.sqrt(clusters / (clusters - 1))
    errors[found["estimate"] == 1] = 0
    np.testing.assert_allclose(found["std_error"][left], errors[left], rtol=1e-8, atol=1e-9)
    assert found["clusters_at_risk"].tolist() == expected["clusters_at_risk"].tolist()
    defined = found["note"].isin(["", NO_EVENT]).to_numpy()
    assert defined.any() or clusters.isna().all()
    for limit in ("conf_low", "conf_high"):
        np.testing.assert_allclose(found[limit][defined], expected[limit][defined], rtol=1e-8)


@pytest.mark.parametrize("name", ["kidney", "veteran", "unequal"])
def test_quantile_reads_the_clustered_curve_as_r(name: str) -> None:
    expected = CURVES[CURVES["set"] == name].iloc[0]
    median = quantile(curve_of(name), 0.5).iloc[0]
    limits = expected[["median", "median_low", "median_high"]].tolist()
    assert median[["estimate", "conf_low", "conf_high"]].tolist() == limits


@given(people=people)
def test_clustered_kaplan_meier_of_single_times_is_greenwood_with_a_small_sample_factor(people: list) -> None:
    time, event, _ = (np.array(part) for part in zip(*people, strict=True))
    single = clustered_kaplan_meier(time, event, np.arange(len(time)))
    plain = kaplan_meier(time, event)
    np.testing.assert_allclose(single["estimate"], plain["estimate"])
    n = len(time)
    factor = np.where(plain["estimate"] == 1, 1, np.sqrt(n / (n - 1)) if n > 1 else np.nan)
    np.testing.assert_allclose(single["std_error"], plain["std_error"] * factor, rtol=1e-6, atol=1e-7)
    none = (plain["note"] == NO_EVENT).to_numpy()
    for limit in ("conf_low", "conf_high"):
        np.testing.assert_allclose(single[limit][none], plain[limit][none])
    seen = (single["note"] == "").to_numpy()
    assert (single["conf_low"][seen] < plain["conf_low"][seen]).all()
    assert (single["conf_high"][seen] > plain["conf_high"][seen]).all()


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
    clusters = len(set(cluster))
    factor = clusters / (clusters - 1) if clusters > 1 else np.nan
    none = found["estimate"][left] == 1
    expected = found["estimate"][left] * np.sqrt(np.where(none, 0, variance * factor))
    np.testing.assert_allclose(found["std_error"][left], expected, rtol=1e-6, atol=1e-7)


def test_clustered_kaplan_meier_says_where_there_is_no_variance_to_see() -> None:
    found = clustered_kaplan_meier([1, 2, 3], [0, 1, 0], ["a", "a", "a"])
    assert found["note"].tolist() == [
        NO_EVENT,
        *["one cluster, or all alike: no variance to see"] * 2,
    ]
    assert found["clusters_at_risk"].tolist() == [1, 1, 1]
    # None of one cluster had the event: by hand 0.025^(1/1).
    assert found.loc[0, ["conf_low", "conf_high"]].tolist() == pytest.approx([0.025, 1])
    assert found.loc[1:, ["std_error", "conf_low", "conf_high"]].isna().all(axis=None)


def test_quantile_of_a_clustered_curve_counts_clusters() -> None:
    # Of 40 times in 4 clusters a quarter has the event when all 4 clusters may be free of it: 0.75^4 = 0.32. Of 40 persons
    # it could not be that none had it: 0.75^40 is 0.00001.
    times = np.arange(1, 41)
    curve = clustered_kaplan_meier(times, np.ones(40), times % 4)
    assert quantile(curve, 0.25)["conf_low"].iloc[0] == 0
    assert quantile(kaplan_meier(times, np.ones(40)), 0.25)["conf_low"].iloc[0] > 1


def test_clustered_kaplan_meier_refuses_wrong_arguments_and_takes_nobody() -> None:
    assert clustered_kaplan_meier([], [], []).empty
    with pytest.raises(ValueError, match="cluster has 1 missing values"):
        clustered_kaplan_meier([1, 2], [1, 1], ["a", None])
    with pytest.raises(ValueError, match="lengths differ"):
        clustered_kaplan_meier([1, 2], [1, 1], ["a"])
