"""Numbers needed to treat: Altman's two parts of an interval through infinity, from differences whose limits are known."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mesostats.estimators.differences import risk_difference
from mesostats.estimators.needed_to_treat import number_needed_to_treat


def difference(estimate: float, low: float, high: float) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "estimate": [estimate],
            "std_error": [0.1],
            "conf_low": [low],
            "conf_high": [high],
            "statistic": [1.0],
            "p_value": [0.3],
            "method": ["given"],
            "note": [""],
        }
    )


def parts(frame: pd.DataFrame) -> list[list[float]]:
    return [
        number_needed_to_treat(frame, to=to).iloc[0][["estimate", "conf_low", "conf_high"]].tolist()  # type: ignore[arg-type]
        for to in ("benefit", "harm")
    ]


def test_a_clear_benefit() -> None:
    benefit, harm = parts(difference(0.25, 0.125, 0.5))
    assert benefit == [4, 2, 8]
    assert np.isnan(harm).all()


def test_a_clear_harm() -> None:
    benefit, harm = parts(difference(-0.25, -0.5, -0.125))
    assert np.isnan(benefit).all()
    assert harm == [4, 2, 8]


def test_an_interval_through_no_difference_has_two_parts() -> None:
    # Altman (1998), BMJ 317:1309: a difference of 10 % (-5 % to 25 %) is NNTB 10 (NNTH 20 to infinity to NNTB 4).
    benefit, harm = parts(difference(0.1, -0.05, 0.25))
    assert benefit == [10, 4, np.inf]
    assert np.isnan(harm[0])
    assert harm[1:] == [20, np.inf]
    note = number_needed_to_treat(difference(0.1, -0.05, 0.25))["note"].item()
    assert "infinity" in note


def test_no_difference_needs_infinitely_many() -> None:
    benefit, harm = parts(difference(0.0, -0.1, 0.1))
    assert benefit == [np.inf, 10, np.inf]
    assert harm == [np.inf, 10, np.inf]


def test_an_interval_that_ends_at_no_difference() -> None:
    benefit, harm = parts(difference(0.1, 0.0, 0.2))
    assert benefit == [10, 5, np.inf]
    assert np.isnan(harm).all()


def test_an_unknown_difference_is_an_unknown_number() -> None:
    nothing = risk_difference(0, 0, 1, 3)
    for to in ("benefit", "harm"):
        row = number_needed_to_treat(nothing, to=to).iloc[0]  # type: ignore[arg-type]
        assert row[["estimate", "conf_low", "conf_high"]].isna().all()
        assert "nobody in the group" in row["note"]
    alone = number_needed_to_treat(difference(0.2, np.nan, np.nan)).iloc[0]
    assert alone["estimate"] == 5
    assert np.isnan(alone["conf_high"])


def test_the_test_stays_with_the_difference() -> None:
    row = number_needed_to_treat(difference(0.25, 0.125, 0.5)).iloc[0]
    assert row[["std_error", "statistic", "p_value"]].isna().all()
    assert row["method"].startswith("reciprocal")


@given(y=st.integers(0, 20), y0=st.integers(0, 30))
def test_swapping_the_groups_swaps_benefit_and_harm(y: int, y0: int) -> None:
    given_difference, swapped = risk_difference(y, 20, y0, 30), risk_difference(y0, 30, y, 20)
    for to, other in (("benefit", "harm"), ("harm", "benefit")):
        one = number_needed_to_treat(given_difference, to=to).iloc[0]  # type: ignore[arg-type]
        two = number_needed_to_treat(swapped, to=other).iloc[0]  # type: ignore[arg-type]
        for name in ("estimate", "conf_low", "conf_high"):
            assert one[name] == pytest.approx(two[name], nan_ok=True, rel=1e-6)


def test_the_given_frame_is_not_changed() -> None:
    frame = difference(0.25, 0.125, 0.5)
    number_needed_to_treat(frame)
    assert frame["estimate"].item() == 0.25


def test_the_direction_is_checked() -> None:
    with pytest.raises(ValueError, match="did you mean 'harm'"):
        number_needed_to_treat(difference(0.1, 0.0, 0.2), to="harms")  # type: ignore[arg-type]
