"""Which methods for missing outcomes find the true response, over 200 small clinics and six ways in which outcomes go missing.

``python benchmarks/missing_outcomes.py [clinics] [patients]`` prints, a mechanism and method, the truth, the mean estimate, the bias in
units of its simulation error (beyond 3 it is more than chance), and how often the 95 % interval held the truth; of the
bounds, how often both limits and the interval did.

Every clinic treats melasma alone, 40 % of whose courses respond, whether or not they are given up. Courses that do not improve,
and those with a side effect, are given up more often. The mechanisms differ in whose endpoint is missing:

- ``nothing``: nobody's;
- ``completely at random``: 35 % of all;
- ``at random``: 5 % of completed courses and 75 % of those given up, whatever the response. Since side effects and failure make
  patients give up, what is missing depends on side effects and on the response, but only through the state that is recorded. Given the
  state neither side effects nor the baseline have to do with the response here: to let them decide who is missing would bias nothing;
- ``failures stay away``: of both states the non-responders more often (the typical scenario);
- ``satisfied stay away``: of both states the responders more often;
- ``only the failed``: all and only non-responders' endpoints may be missing: missing as failure is then right.

Expected: all methods agree under the first; all but missing as failure find the truth under the second; weights and imputations
find it under the third, where observed cases must not; none but the bounds do under the next two; missing as failure
does under the last.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from mesostats.outcomes.missing_methods import Imputation
from mesostats.outcomes.missing_outcomes import response_scenarios
from mesostats.simulation import load_scenario, simulate
from mesostats.simulation.scenario import EndpointMissing, MissingByResponse

if TYPE_CHECKING:
    from mesostats.simulation import Scenario

# Probability that the endpoint is missing: of a responder and a non-responder who completed, of those who gave up.
MECHANISMS = {
    "nothing": ((0.0, 0.0), (0.0, 0.0)),
    "completely at random": ((0.35, 0.35), (0.35, 0.35)),
    "at random": ((0.05, 0.05), (0.75, 0.75)),
    "failures stay away": ((0.05, 0.30), (0.35, 0.75)),
    "satisfied stay away": ((0.40, 0.10), (0.70, 0.35)),
    "only the failed": ((0.0, 0.35), (0.0, 0.60)),
}
POINTS = ("response_observed", "response_nonresponder", "response_ipw", "response_imputed")


def scenario(mechanism: str, *, follow_up_days: int = 800) -> Scenario:
    """Return clinics that treat melasma alone, all courses followed to their end."""
    source = load_scenario("textbook")
    completed, dropped = (
        MissingByResponse(responder=share[0], nonresponder=share[1]) for share in MECHANISMS[mechanism]
    )
    lost = EndpointMissing(completed=completed, dropped=dropped)
    recipe = source.indications["melasma"].recipes[0].model_copy(update={"response": 0.4, "arm": None})
    melasma = source.indications["melasma"].model_copy(update={"recipes": (recipe,)})
    return source.model_copy(
        update={
            "calendar": source.calendar.model_copy(update={"follow_up_days": follow_up_days}),
            "indications": {"melasma": melasma},
            "records": source.records.model_copy(update={"endpoint_missing": lost}),
            "bad_lot": None,
        }
    )


def truth(mechanism: str) -> dict[str, float]:
    """Return the true response, and what observed cases estimate instead."""
    frame = simulate(1, seed=0, scenario=scenario(mechanism)).truth
    values = frame[frame["quantity"].isin(["response", "response_evaluable"]) & frame["arm"].isna()]
    return values.set_index("quantity")["value"].to_dict()


def estimates(mechanism: str, clinics: int, patients: int, *, imputations: int = 50) -> pd.DataFrame:
    """Return the estimates of many clinics, one row a clinic and method."""
    found = []
    for seed in range(clinics):
        clinic = simulate(patients, seed=seed, scenario=scenario(mechanism))
        result = response_scenarios(clinic, by=None, imputation=Imputation(imputations))
        found.append(result.estimates.assign(clinic=seed))
    return pd.concat(found, ignore_index=True)


def summary(found: pd.DataFrame, true: float) -> pd.DataFrame:
    """Return bias and coverage of each method, and of the bounds whether they held the truth."""
    rows: list[dict[str, Any]] = []
    for name, part in found.groupby("estimand", sort=False):
        known, limits = part["estimate"].dropna(), part.dropna(subset=["conf_low", "conf_high"])
        error = known.std() / np.sqrt(len(known)) if len(known) > 1 else np.nan
        held = limits["conf_low"].le(true) & limits["conf_high"].ge(true)
        rows.append(
            {
                "method": name.removeprefix("response_"),
                "truth": true,
                "mean": known.mean(),
                "bias / its error": (known.mean() - true) / error if len(known) else np.nan,
                "coverage": held.mean(),
                "with interval": len(limits),
                "missing": part["n_missing"].mean(),
            }
        )
    return pd.DataFrame(rows)


def main() -> None:
    """Print the table of every mechanism."""
    clinics, patients = (int(value) for value in [*sys.argv[1:3], *["200", "150"][len(sys.argv[1:3]) :]])
    print(f"{clinics} clinics of {patients} patients")
    for mechanism in MECHANISMS:
        true = truth(mechanism)
        found = estimates(mechanism, clinics, patients)
        print(f"\n{mechanism}: of the assessed {true['response_evaluable']:.3f} respond")
        print(summary(found, true["response"]).round(3).to_string(index=False))


if __name__ == "__main__":
    main()
