"""Whether retention, restricted means and reasons of dropout hit the truth on average over 200 small clinics.

``python benchmarks/dropout_bias.py [clinics] [patients]`` prints, a protocol and quantity, the truth, the mean estimate, the
bias in units of its simulation error (beyond 3 it is more than chance), and how often the 95 % interval held the truth.
"""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
import pandas as pd

from mesostats.dropout.incidence import dropout_reasons
from mesostats.dropout.retention import retention
from mesostats.simulation import simulate

SESSIONS = (2, 3, 5)
LAST = {"short_course": 5, "weekly_to_monthly": 6}
REASONS = ("adverse_event", "cost", "lack_of_efficacy")


def _truth() -> dict[tuple[str, str], float]:
    """Return the true values; of a reason, of all that is given up by the last session only where the protocol ends there."""
    frame = simulate(1, seed=0, scenario="textbook").truth
    found = {}
    for protocol in LAST:
        own = frame[frame["protocol"] == protocol]
        kept = own[own["quantity"] == "retention"].set_index("session")["value"]
        found |= {(protocol, f"retention at session {session}"): kept[session] for session in SESSIONS}
        found[protocol, "sessions kept of the first 5"] = kept.loc[:5].sum()
    given = frame[(frame["quantity"] == "dropout_reason") & (frame["protocol"] == "short_course")]
    reasons = given.set_index("reason")["value"]
    return found | {("short_course", f"given up: {reason}"): reasons[reason] for reason in REASONS}


def _row(estimates: pd.DataFrame, **cell: Any) -> pd.Series:
    for name, value in cell.items():
        estimates = estimates[estimates[name] == value]
    return estimates.iloc[0] if len(estimates) else pd.Series(np.nan, ["estimate", "conf_low", "conf_high"])


def _estimates(seed: int, patients: int) -> dict[tuple[str, str], pd.Series]:
    clinic = simulate(patients, seed=seed, scenario="textbook")
    kept = retention(clinic, by="protocol", tau=5).estimates
    reasons = dropout_reasons(clinic, by="protocol").estimates
    found = {}
    for protocol in LAST:
        for session in SESSIONS:
            row = _row(kept, protocol=protocol, estimand="retention", time=session)
            found[protocol, f"retention at session {session}"] = row
        mean = _row(kept, protocol=protocol, estimand="restricted_mean")
        found[protocol, "sessions kept of the first 5"] = mean
    at_end = {"protocol": "short_course", "estimand": "cumulative_incidence", "time": 5}
    for reason in REASONS:
        row = _row(reasons, reason=reason, **at_end)
        nobody = row.isna().all()  # nobody of this clinic gave that reason: 0 so far
        found["short_course", f"given up: {reason}"] = row.fillna({"estimate": 0.0}) if nobody else row
    return found


def main() -> None:
    """Print the table."""
    clinics, patients = (int(value) for value in [*sys.argv[1:3], *["200", "60"][len(sys.argv[1:3]) :]])
    truth, runs = _truth(), [_estimates(seed, patients) for seed in range(clinics)]
    rows = []
    for key, true in truth.items():
        values = pd.DataFrame([run[key] for run in runs])[["estimate", "conf_low", "conf_high"]].astype(float)
        known, limits = values["estimate"].dropna(), values.dropna()
        error = known.std() / np.sqrt(len(known))
        held = limits["conf_low"].le(true) & limits["conf_high"].ge(true)
        rows.append((*key, true, known.mean(), (known.mean() - true) / error, held.mean(), len(limits)))
    names = ["protocol", "quantity", "truth", "mean", "bias / its error", "coverage", "with interval"]
    print(f"{clinics} clinics of {patients} patients")
    print(pd.DataFrame(rows, columns=names).round(3).to_string(index=False))


if __name__ == "__main__":
    main()
