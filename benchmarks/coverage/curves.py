"""Coverage of the intervals of time to an event, of competing ends and of repeated events."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from draws import CORRELATIONS, FRAILTIES, PATIENTS, PROBABILITIES, chances, frailties
from scipy import stats
from tally import Coverage

from mesostats.estimators import kaplan_meier, quantile, restricted_mean
from mesostats.estimators.clustered_survival import clustered_kaplan_meier
from mesostats.estimators.competing import aalen_johansen
from mesostats.estimators.recurrent import mean_cumulative_function

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy.typing as npt
    from report import Row

    Floats = npt.NDArray[np.float64]
    Integers = npt.NDArray[np.int64]

REPLICATES = 1_000
CLUSTERED = 1_000
TIMES = 2_000
HORIZON = 5  # sessions
LEAVING = 0.2  # share of courses whose follow-up ends at a session up to the horizon
COMPETING = 0.2  # probability of the competing end up to the horizon
_Z = stats.norm.isf(0.025)


def _ends(rng: np.random.Generator, size: int) -> Integers:
    """Return the sessions at which follow-up ends; most go past the horizon."""
    return np.where(rng.random(size) < LEAVING, rng.integers(1, HORIZON + 1, size), HORIZON + 1)


def _at(curve: pd.DataFrame, time: float) -> pd.DataFrame:
    """Return the row of a curve that stands at a time; one of NaN where the curve has not begun."""
    rows = curve[curve["time"] <= time].tail(1)
    return rows if len(rows) else pd.DataFrame(np.nan, index=[0], columns=["estimate", "std_error", *_LIMITS])


_LIMITS = ["conf_low", "conf_high"]


def _plain(rows: pd.DataFrame) -> pd.DataFrame:
    """Return textbook limits, symmetric about the estimate."""
    half = _Z * rows["std_error"]
    return pd.DataFrame({"conf_low": rows["estimate"] - half, "conf_high": rows["estimate"] + half})


def retention(rng: np.random.Generator) -> Iterator[Row]:
    """Draw courses that are lost up to the horizon with probability p, at any session alike."""
    for n, p in itertools.product(PATIENTS, PROBABILITIES):
        rows = []
        for _ in range(REPLICATES):
            lost, end = np.ceil(HORIZON * rng.random(n) / p), _ends(rng, n)
            rows.append(_at(kaplan_meier(np.minimum(lost, end), lost <= end), HORIZON))
        found = pd.concat(rows)
        yield {
            "n": n,
            "lost by session 5": p,
            "Kaplan-Meier, log-log": Coverage.of(found, 1 - p),
            "plain Greenwood": Coverage.of(_plain(found), 1 - p),
        }


def clustered_retention(rng: np.random.Generator) -> Iterator[Row]:
    """Draw one to three courses a patient, each lost up to the horizon with the patient's own probability."""
    for n, p, correlation in itertools.product(PATIENTS, PROBABILITIES, CORRELATIONS):
        ours, naive = [], []
        for _ in range(CLUSTERED):
            patient = np.repeat(np.arange(n), rng.integers(1, 4, n))
            own = chances(rng.random(n), p, correlation)[patient]
            session, end = rng.integers(1, HORIZON + 1, len(patient)), _ends(rng, len(patient))
            lost = np.where(rng.random(len(patient)) < own, session, HORIZON + 2)
            time, seen = np.minimum(lost, end), lost <= end
            ours.append(_at(clustered_kaplan_meier(time, seen, patient), HORIZON))
            naive.append(_at(kaplan_meier(time, seen), HORIZON))
        yield {
            "n": n,
            "lost by session 5": p,
            "ICC": correlation,
            "clustered Kaplan-Meier": Coverage.of(pd.concat(ours), 1 - p),
            "naive Kaplan-Meier": Coverage.of(pd.concat(naive), 1 - p),
        }


def times(rng: np.random.Generator) -> Iterator[Row]:
    """Draw exponential times of mean 1, with none or three in ten censored."""
    shares, horizon = (0.1, 0.25, 0.5), 1.0
    for n, censored in itertools.product(PATIENTS, (0.0, 0.3)):
        found, areas = [], []
        for _ in range(TIMES):
            time = rng.exponential(size=n)
            end = rng.exponential((1 - censored) / censored, size=n) if censored else np.full(n, np.inf)
            curve = kaplan_meier(np.minimum(time, end), time <= end)
            found.append(quantile(curve, shares)[_LIMITS].to_numpy())
            areas.append(restricted_mean(curve, horizon))
        limits = np.array(found)
        # An upper limit that is not reached is open.
        limits[..., 1] = np.where(
            np.isnan(limits[..., 1]) & ~np.isnan(limits[..., 0]), np.inf, limits[..., 1]
        )
        held = {
            f"quantile {share}": Coverage.of_limits(*limits[:, place].T, -np.log1p(-share))
            for place, share in enumerate(shares)
        }
        mean = Coverage.of(pd.concat(areas), 1 - np.exp(-horizon))
        yield {"n": n, "censored": censored, **held, "restricted mean": mean}


def competing(rng: np.random.Generator) -> Iterator[Row]:
    """Draw courses that end in one of two ways up to the horizon; one way has probability p."""
    for n, p in itertools.product(PATIENTS, PROBABILITIES):
        ours, naive = [], []
        for _ in range(REPLICATES):
            place, session, end = rng.random(n), rng.integers(1, HORIZON + 1, n), _ends(rng, n)
            cause = np.where(place < p, 1, np.where(place < p + COMPETING, 2, 0))
            came = np.where(cause > 0, session, HORIZON + 2)
            time, seen = np.minimum(came, end), np.where(came <= end, cause, 0)
            ours.append(_at(aalen_johansen(time, seen, causes=[1]), HORIZON))
            naive.append(_at(kaplan_meier(time, seen == 1), HORIZON))
        yield {
            "n": n,
            "p": p,
            "Aalen-Johansen": Coverage.of(pd.concat(ours), p),
            "Kaplan-Meier, other ends censored": Coverage.of(pd.concat(naive), 1 - p),
        }


def repeated(rng: np.random.Generator) -> Iterator[Row]:
    """Draw Poisson patients with a gamma frailty, observed for 2 to 10 months; the mean number by month 5."""
    for n, rate, variance in itertools.product(PATIENTS, PROBABILITIES, FRAILTIES):
        ours, naive = [], []
        for _ in range(REPLICATES):
            end = rng.uniform(2, 10, n)
            events = rng.poisson(rate * frailties(rng, (n,), variance) * end)
            owner = np.repeat(np.arange(n), events)
            curve = mean_cumulative_function(rng.random(len(owner)) * end[owner], owner, end)
            ours.append(_at(curve, HORIZON))
            naive.append(_at(_poisson(curve), HORIZON))
        truth = HORIZON * rate
        yield {
            "n": n,
            "rate": rate,
            "frailty": variance,
            "mean cumulative function": Coverage.of(pd.concat(ours), truth),
            "naive Poisson variance": Coverage.of(pd.concat(naive), truth),
        }


def _poisson(curve: pd.DataFrame) -> pd.DataFrame:
    """Return a curve with the log interval of independent events."""
    mean = curve["estimate"].where(curve["estimate"] > 0)
    fold = np.exp(_Z * np.sqrt((curve["events"] / curve["at_risk"] ** 2).cumsum()) / mean)
    return curve.assign(conf_low=mean / fold, conf_high=mean * fold)
