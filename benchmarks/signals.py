"""How often `mesostats.adverse_events.safety_signals` sees a lot or a practitioner that is like all others, and how often a bad lot.

Clinics without a bad lot, with patients of unlike frailty and courses that side effects cut short: the share with any false
signal must not exceed the stated rate. Clinics with one lot that causes infections in 22 % of its sessions, as in published
outbreaks: the share in which it is found, and whether it is the strongest signal.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, get_args

import pandas as pd

import mesostats as ms
from mesostats.adverse_events.lots import Against
from mesostats.adverse_events.safety_signals import signals
from mesostats.simulation import load_scenario

if TYPE_CHECKING:
    from mesostats.dataset import Dataset

ALPHA = 0.05
CLINICS = 200  # chains of four clinics without a bad lot
PATIENTS = 250
SIZES = (500, 1_000, 2_000)
OUTBREAKS = 15
BAD = "infection"


def _any_false(clinic: Dataset) -> dict[str, bool]:
    """Return whether a clinic without a bad lot has any signal."""
    lots = signals(clinic, by="lot", of="term", alpha=ALPHA).estimates
    staff = signals(clinic, by="practitioner_id", of="term", alpha=ALPHA).estimates
    infections = lots.loc[lots["term"].eq(BAD), "p_value"].dropna()
    return {
        # Holm's first step, as with only="infection".
        "lots, infection": bool((infections * len(infections) <= ALPHA).any()),
        "lots, all terms": bool((lots["p_adjusted"] <= ALPHA).any()),
        "practitioners, all terms": bool((staff["p_adjusted"] <= ALPHA).any()),
    }


def false_signals() -> pd.DataFrame:
    """Return the share of clinics with any false signal."""
    nobody_is_bad = load_scenario("typical").model_copy(update={"bad_lot": None})
    clinics = (ms.simulate(PATIENTS, seed=seed, scenario=nobody_is_bad) for seed in range(CLINICS))
    shares = pd.DataFrame([_any_false(clinic) for clinic in clinics]).mean()
    error = (ALPHA * (1 - ALPHA) / CLINICS) ** 0.5
    assert (shares <= ALPHA + 3 * error).all(), shares
    return shares.rename_axis("what").reset_index(name="clinics with a false signal")


def _first(clinic: Dataset, against: Against) -> dict[str, bool]:
    """Return whether the bad lot is a signal, and whether it is the strongest."""
    found = signals(clinic, by="lot", only=BAD, against=against, alpha=ALPHA).estimates
    alarms = found[found["p_adjusted"] <= ALPHA].sort_values("p_value")
    bad = clinic.truth.query("quantity == 'bad_lot'")["lot"].item()
    return {"found": bad in set(alarms["lot"]), "strongest": bad in set(alarms["lot"].head(1))}


def outbreaks() -> pd.DataFrame:
    """Return how often the bad lot is found."""
    rows = []
    for patients in SIZES:
        clinics = [ms.simulate(patients, seed=seed) for seed in range(OUTBREAKS)]
        for against in get_args(Against):
            shares = pd.DataFrame([_first(clinic, against) for clinic in clinics]).mean()
            rows.append({"patients": patients, "held against": against, **shares})
    return pd.DataFrame(rows)


def _markdown(table: pd.DataFrame) -> str:
    rows = [list(table.columns), ["---"] * table.shape[1], *table.round(3).to_numpy().tolist()]
    return "\n".join("| " + " | ".join(str(each) for each in row) + " |" for row in rows)


def main() -> None:
    """Print the tables."""
    print(
        f"{CLINICS} chains of {PATIENTS:,} patients without a bad lot, stated rate {ALPHA}\n\n{_markdown(false_signals())}"
    )
    print(f"\n{OUTBREAKS} chains of each size with a bad lot\n\n{_markdown(outbreaks())}")


if __name__ == "__main__":
    main()
