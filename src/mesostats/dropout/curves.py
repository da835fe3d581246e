"""Retention from counts of courses: the curve, its median, its area up to a horizon, and the test across groups."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd

from mesostats.estimators import discrete_hazard, kaplan_meier, logrank, quantile, restricted_mean

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mesostats.dropout.times import TimeScale

NOBODY: Final = "no course to analyse"


def retention_curve(counts: pd.DataFrame, time: TimeScale, *, conf_level: float) -> pd.DataFrame:
    """Return the Kaplan-Meier curve of one group.

    Parameters
    ----------
    counts
        ``time, event, courses``, as `retention_times.timed_courses` makes them.
    time
        In sessions there is a row for each, in days one for each distinct time.
    conf_level
        Two-sided confidence level.

    Returns
    -------
    pandas.DataFrame
        As `estimators.kaplan_meier`, without ``censored`` in sessions.

    Examples
    --------
    Of ten courses two are lost at session 2, and five are known up to there only; of the other three one is lost at 3.

    >>> counts = pd.DataFrame({"time": [2, 2, 3, 3], "event": [1, 0, 1, 0], "courses": [2, 5, 1, 2]})
    >>> retention_curve(counts, "session", conf_level=0.95)[["time", "at_risk", "events", "estimate"]].round(4)
       time  at_risk  events  estimate
    0     1       10       0    1.0000
    1     2       10       2    0.8000
    2     3        3       1    0.5333
    """
    if time == "day":
        return kaplan_meier(counts["time"], counts["event"], counts["courses"], conf_level=conf_level)
    times, courses = counts["time"].to_numpy(int), counts["courses"].to_numpy(int)
    lost = courses * counts["event"].to_numpy(int)
    sessions = np.arange(1, times.max(initial=1) + 1)
    steps = {
        "session": sessions,
        "due": [int(courses[times >= session].sum()) for session in sessions],
        "dropped": [int(lost[times == session].sum()) for session in sessions],
    }
    return session_curve(pd.DataFrame(steps), conf_level=conf_level)


def session_curve(steps: pd.DataFrame, *, conf_level: float) -> pd.DataFrame:
    """Return Kaplan-Meier over the sessions of the schedule, one row each, in the columns of `kaplan_meier`.

    Parameters
    ----------
    steps
        One row a session from the first: ``session, due, dropped``.
    conf_level
        Two-sided confidence level.
    """
    table = discrete_hazard(steps["dropped"], steps["due"], conf_level=conf_level)
    return pd.DataFrame(
        {
            "time": steps["session"],
            "at_risk": steps["due"],
            "events": steps["dropped"],
            "estimate": table["retention"],
            "std_error": table["retention_std_error"],
            "conf_low": table["retention_low"],
            "conf_high": table["retention_high"],
            "conf_level": conf_level,
            "method": "Kaplan-Meier, Greenwood log-log interval",
            "note": table["note"],
        }
    )


def curve_rows(curve: pd.DataFrame) -> pd.DataFrame:
    """Return the curve in the contract's names, or one row that says why there is none."""
    if _is_empty(curve):
        return pd.DataFrame({"estimand": ["retention"], "denominator": [0.0], "note": [NOBODY]})
    return curve.rename(columns={"events": "numerator", "at_risk": "denominator"}).assign(
        estimand="retention"
    )


def _is_empty(curve: pd.DataFrame) -> bool:
    return bool(curve["at_risk"].sum() == 0)


def median_row(curve: pd.DataFrame, time: TimeScale, *, conf_level: float) -> pd.DataFrame:
    """Return the median of a curve as one row."""
    row: dict[str, Any] = {
        "estimand": "median_retention",
        "conf_level": conf_level,
        "note": f"median in {time}s",
    }
    if _is_empty(curve):
        return pd.DataFrame([row | {"note": NOBODY}])
    median = quantile(curve, 0.5).iloc[0]
    reached = {
        "numerator": curve["events"].sum(),
        "denominator": curve["at_risk"].iloc[0],
        "method": median["method"],
    }
    limits = {name: median[name] for name in ("estimate", "conf_low", "conf_high")}
    return pd.DataFrame([row | reached | limits | {"note": _joined(row["note"], median["note"])}])


def common_horizon(curves: Sequence[pd.DataFrame]) -> float:
    """Return the longest time up to which all curves go, as far as they go anywhere; NaN where none does."""
    lasts = [float(curve["time"].max()) for curve in curves if not _is_empty(curve)]
    return min((last for last in lasts if last > 0), default=np.nan)


def restricted_mean_row(
    curve: pd.DataFrame, time: TimeScale, *, tau: float, conf_level: float
) -> pd.DataFrame:
    """Return the mean number of sessions or days kept, up to a horizon, as one row.

    Parameters
    ----------
    curve
        From `retention_curve`.
    time
        The sessions kept up to session tau are the sum of the probabilities to attend sessions 1 to tau; the days
        up to day tau are the area under the curve from 0 to tau.
    tau
        The horizon; NaN where there is none.
    conf_level
        Two-sided confidence level.

    Examples
    --------
    Of ten courses two are lost at session 2; one of the three that are followed further at session 3: the mean number
    of sessions up to the third is 1 + 0.8 + 0.8·2/3.

    >>> counts = pd.DataFrame({"time": [2, 2, 3, 3], "event": [1, 0, 1, 0], "courses": [2, 5, 1, 2]})
    >>> curve = retention_curve(counts, "session", conf_level=0.95)
    >>> restricted_mean_row(curve, "session", tau=3, conf_level=0.95)["estimate"].round(4).tolist()
    [2.3333]
    """
    row: dict[str, Any] = {"estimand": "restricted_mean", "time": tau, "conf_level": conf_level}
    if _is_empty(curve):
        return pd.DataFrame([row | {"numerator": 0.0, "denominator": 0.0, "note": NOBODY}])
    counted = {
        "numerator": curve.loc[curve["time"] <= tau, "events"].sum(),
        "denominator": curve["at_risk"].iloc[0],
    }
    if np.isnan(tau):
        none = "nobody was followed past the first session: there is no time to take the mean of"
        return pd.DataFrame([row | counted | {"note": none}])
    mean = restricted_mean(_held(curve) if time == "session" else curve, tau).iloc[0]
    limits = {name: mean[name] for name in ("estimate", "std_error", "conf_low", "conf_high", "method")}
    certain = mean["std_error"] == 0 and counted["numerator"] > 0
    note = "everybody dropped out at one time: variance unseen" if certain else mean["note"]
    kept = f"{time}s kept, of the first {tau:g}"
    return pd.DataFrame([row | counted | limits | {"note": _joined(kept, note)}])


def _held(curve: pd.DataFrame) -> pd.DataFrame:
    """Return the curve over the sessions that are behind: the probability to attend session k stands from k - 1 to k.

    The last step has to end somewhere: a row without events closes it.
    """
    ended = curve.iloc[[-1]].assign(events=0)
    return pd.concat([curve.assign(time=curve["time"] - 1), ended], ignore_index=True)


def logrank_row(
    counts: pd.DataFrame, columns: Sequence[str], strata: Sequence[str], *, everybody: str
) -> pd.DataFrame:
    """Return the log-rank test across groups as one row, within strata where there are any.

    Parameters
    ----------
    counts
        ``time, event, courses`` and the columns of groups and strata.
    columns, strata
        The columns whose values make a group, and a stratum.
    everybody
        What the row bears in the grouping columns.
    """
    found = logrank(
        counts["time"],
        counts["event"],
        counts.groupby([*columns]).ngroup(),
        weights=counts["courses"],
        strata=counts.groupby([*strata]).ngroup() if strata else None,
    )
    within = f"within {', '.join(strata)}" if strata else ""
    return found.assign(
        **dict.fromkeys(columns, everybody),
        estimand="logrank_test",
        numerator=(counts["event"] * counts["courses"]).sum(),
        denominator=counts["courses"].sum(),
        note=[_joined(within, note) for note in found["note"]],
    )


def _joined(*parts: str) -> str:
    return "; ".join(part for part in parts if part)
