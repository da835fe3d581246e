"""How many have to be treated for one more to respond: a difference of proportions turned over, with its interval."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal

import numpy as np

from mesostats.estimators.arguments import check_choice

if TYPE_CHECKING:
    import pandas as pd

Direction = Literal["benefit", "harm"]

_SIGNS: Final = {"benefit": 1, "harm": -1}
_OTHER: Final = {"benefit": "harm", "harm": "benefit"}
_THROUGH: Final = (
    "the difference's interval holds 0: this one goes on through infinity to the number needed to"
)


def number_needed_to_treat(differences: pd.DataFrame, *, to: Direction = "benefit") -> pd.DataFrame:
    """Turn differences of two proportions into numbers needed to treat for one more, or one less, response.

    Parameters
    ----------
    differences
        What `risk_difference`, or another estimator of a difference of proportions, returned: ``estimate, conf_low,
        conf_high, method, note`` and any other columns; the event is a good one, such as a response.
    to
        ``"benefit"``: how many are treated in the group rather than in the reference group for one more response;
        ``"harm"``: for one less.

    Returns
    -------
    pandas.DataFrame
        A copy with the numbers needed and their limits. The number is infinite for a difference of 0 and NaN for one in
        the other direction, as the note says. ``std_error``, ``statistic`` and ``p_value``, where they are columns, are NaN:
        the test is that of the difference.

    Raises
    ------
    ValueError
        If `to` is not one of the two.

    Notes
    -----
    The limits are the reciprocals of those of the difference. Where the difference's interval l to u holds 0, the numbers
    needed are not one interval but two: to benefit from 1/u to infinity, and to harm from 1/-l to infinity, which meet at
    infinity, that is, at no difference. Each direction tells its own part; NaN where it has none.

    References
    ----------
    Altman DG (1998). Confidence intervals for the number needed to treat. doi:10.1136/bmj.317.7168.1309

    Bender R (2001). Calculating confidence intervals for the number needed to treat.
    doi:10.1016/S0197-2456(00)00134-3

    Examples
    --------
    A difference of 0.2 (0.0528 to 0.3382): 5 (2.96 to 18.93). One of 0.1
    (-0.2059 to 0.3882) may be a harm too.

    >>> from mesostats.estimators import risk_difference
    >>> found = risk_difference([56, 12], [70, 20], [48, 10], [80, 20])
    >>> number_needed_to_treat(found)[["estimate", "conf_low", "conf_high"]].round(2)
       estimate  conf_low  conf_high
    0       5.0      2.96      18.93
    1      10.0      2.58        inf
    >>> number_needed_to_treat(found, to="harm")[["estimate", "conf_low", "conf_high"]].round(2)
       estimate  conf_low  conf_high
    0       NaN       NaN        NaN
    1       NaN      4.86        inf
    """
    check_choice(to, _SIGNS, "to")
    sign, other = _SIGNS[to], _OTHER[to]
    estimate, low, high = (
        differences[name].to_numpy(float) * sign for name in ("estimate", "conf_low", "conf_high")
    )
    low, high = (low, high) if sign > 0 else (high, low)
    holds_zero = (low <= 0) & (high >= 0)
    inside = high > 0
    with np.errstate(divide="ignore"):
        number = np.where(estimate >= 0, 1 / np.abs(estimate), np.nan)
        limits = np.where(inside, 1 / high, np.nan), np.where(inside, 1 / np.maximum(low, 0.0), np.nan)
    parts = [
        np.where(estimate < 0, f"the estimate is a number needed to {other}", "").tolist(),
        np.where(holds_zero & inside, f"{_THROUGH} {other}", "").tolist(),
    ]
    untold = {name: np.nan for name in ("std_error", "statistic", "p_value") if name in differences}
    return differences.assign(
        estimate=number,
        conf_low=limits[0],
        conf_high=np.where(np.isnan(low), np.nan, limits[1]),
        method="reciprocal of the difference and of its limits: " + differences["method"],
        note=["; ".join(filter(None, told)) for told in zip(differences["note"], *parts, strict=True)],
        **untold,
    )
