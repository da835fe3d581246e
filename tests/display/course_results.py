"""Small results of when response came, how long it lasted, doses and baseline, written by hand for tables and plots."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from outcome_results import INTERVAL, LABELS, SCALE
from schedule_results import made, share

if TYPE_CHECKING:
    from mesostats.results import Result


def times_result(groups: int = 2, *, least: float = 0.0) -> Result:
    """Return, a group, 10 courses assessed: responses by day 30 and 90, the median between 30 and 90; half drop out."""
    rows = []
    for k in range(groups):
        cell = {"arm": f"arm_{k}"} | SCALE
        for time, n in ((30.0, 3), (90.0, 6)):
            rows.append(share(n, 10, "responded", time=time, **cell))
        for time, n, of in ((30.0, 3, 10), (60.0, 0, 7), (100.0, 3, 6)):
            rows.append(share(n, of, "responded_as_seen", time=time, **cell))
        rows.append(share(5, 10, "dropped_out_before_response", time=50.0, **cell))
        rows.append(share(3, 10, "responded_before_dropout", time=30.0, **cell))
        median = {
            "estimand": "median_response",
            "estimate": 60.0,
            "conf_low": 30.0,
            "denominator": 10,
        } | INTERVAL
        rows.append(median | cell | {"n_missing": 2.0, "note": "between 30 and 90; upper limit not reached"})
        late = {
            "estimand": "median_response_as_seen",
            "conf_low": 100.0,
            "denominator": 10,
            "note": "not reached",
        }
        rows.append(late | cell | INTERVAL)
    arguments = {"by": ["arm"], "time": "day"}
    spec = {"arguments": arguments, "labels": LABELS, "least_at_risk": least}
    return made(rows, ["arm", "instrument"], "time_to_response", **spec)


def lasting_result() -> Result:
    """Return 20 responders: 10 assessed later, 3 of them still responding; of 18 assessed twice 7 lost the response."""
    rows = []
    for arm in ("B", "A"):
        cell = {"arm": arm, "n_missing": 10.0} | SCALE
        rows.append(share(10, 20, "assessed_later", **cell))
        rows.append(share(3, 10, "still_responding", **cell))
        rows.append(share(3, 20, "still_responding_lower", **cell))
        rows.append(share(13, 20, "still_responding_upper", **cell))
        pair = share(
            7, 18, "paired_difference", **cell, p_value=0.016, note="7 lost the response, 0 gained it"
        )
        rows.append(pair | {"estimate": -0.389, "conf_low": -0.59, "conf_high": -0.117})
        rows.append(share(1, 10, "kept_response", time=97.0, **cell))
        median = {
            "estimand": "median_kept_response",
            "estimate": 85.5,
            "conf_low": 74.0,
            "denominator": 10,
        } | INTERVAL
        rows.append(median | cell | {"note": "between 74 and 97; upper limit not reached"})
    return made(rows, ["arm", "instrument"], "durability", arguments={"by": ["arm"]}, labels=LABELS)


def doses_result(*, naive: bool = False) -> Result:
    """Return response by sessions received: 2 of 14 with 4, 8 of 59 with 10; 2.3 points a session, p = 0.78."""
    rows = []
    for name in ("response_treated", "response_evaluable", *(["naive_response_evaluable"] if naive else [])):
        rows += [
            share(n, of, name, sessions=sessions, **SCALE)
            for sessions, n, of in (("10", 8, 59), ("4", 2, 14))
        ]
    everyone = {"sessions": "all groups", "unit": "courses"} | SCALE
    slope = {"estimate": 0.023, "conf_low": -0.118, "conf_high": 0.164, "conf_level": 0.95}
    rows.append(everyone | slope | {"estimand": "treated_trend_difference"})
    rows.append(everyone | {"estimand": "treated_trend_test", "p_value": 0.78})
    columns = ["instrument", "sessions"]
    primary = "response_treated"
    return made(rows, columns, "response_by_sessions", arguments={"by": []}, labels=LABELS, primary=primary)


def baseline_result(groups: int = 2) -> Result:
    """Return age (mean 50, SD 10) and sex (15 of 20 female) of groups of 20, one without a skin type."""
    rows = []
    for arm in [*(f"arm_{k}" for k in range(groups)), "all groups"]:
        of = {"arm": arm, "denominator": 20.0, "unit": "patients"}
        age = {
            "mean": 50.0,
            "standard_deviation": 10.0,
            "lower_quartile": 43.0,
            "median": 49.5,
            "upper_quartile": 58.0,
        }
        rows += [
            of | {"variable": "age", "level": "", "estimand": name, "estimate": v} for name, v in age.items()
        ]
        rows += [
            of | {"variable": "age", "level": "", "estimand": "missing", "estimate": 0.0, "numerator": 0}
        ]
        for level, n in (("female", 15), ("male", 5)):
            row = {"variable": "sex", "level": level, "estimand": "share", "numerator": n, "estimate": n / 20}
            rows.append(of | row)
        skin = of | {"variable": "skin_type", "denominator": 19.0}
        rows += [skin | {"level": "10", "estimand": "share", "numerator": 9, "estimate": 9 / 19}]
        rows += [skin | {"level": "2", "estimand": "share", "numerator": 10, "estimate": 10 / 19}]
        rows.append(
            of
            | {"variable": "skin_type", "level": "", "estimand": "missing", "numerator": 1, "estimate": 0.05}
        )
        if arm == "all groups" and groups > 1:
            apart = {"arm": arm, "level": "", "estimand": "standardized_difference", "unit": "patients"}
            between = {"note": "between arm_0 and arm_1"}
            rows += [apart | between | {"variable": "age", "estimate": 0.05}]
            rows += [apart | between | {"variable": "sex", "estimate": 0.28}]
            rows += [
                apart
                | {"variable": "skin_type", "estimate": np.nan, "note": "no variation within the groups"}
            ]
    return made(rows, ["arm", "variable", "level"], "baseline_table", arguments={"by": ["arm"]})
