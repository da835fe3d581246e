"""Small results of the outcome analyses, written by hand: what the tests of tables and plots show."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from schedule_results import made, share

if TYPE_CHECKING:
    from mesostats.results import Result

LABELS = {"instrument": {"scale": "The scale", "score": "The score"}, "arm": {"high_dose": "High dose"}}
SCALE = {"instrument": "scale"}
INTERVAL = {"conf_level": 0.95, "unit": "courses"}
DENOMINATORS = ("treated", "with_baseline", "evaluable", "completers")


def number(estimand: str, value: float, **more: Any) -> dict[str, Any]:
    """Return a row with a value in the instrument's unit, and the value -/+ 1 as its interval."""
    return (
        {"estimand": estimand, "estimate": value, "conf_low": value - 1, "conf_high": value + 1}
        | INTERVAL
        | more
    )


def four_denominators(n: int, of: tuple[int, int, int, int], **cell: Any) -> list[dict[str, Any]]:
    """Return the response of one group over all four denominators."""
    return [
        share(n, size, f"response_{name}", **cell, n_missing=float(of[0] - of[2]))
        for name, size in zip(DENOMINATORS, of, strict=True)
    ]


def response_result() -> Result:
    """Return two indications: 18 of 62 treated respond, of 33 assessed; and 22 of 63, of 48."""
    rows = four_denominators(18, (62, 59, 33, 12), indication="melasma", instrument="score")
    rows += four_denominators(22, (63, 60, 48, 40), indication="cellulite", **SCALE)
    arguments = {"by": ["indication"]}
    population = dict.fromkeys(["courses", *DENOMINATORS], "such courses")
    columns = ["indication", "instrument"]
    primary = "response_treated"
    return made(
        rows, columns, "response", arguments=arguments, labels=LABELS, population=population, primary=primary
    )


def methods_result(cells: int = 1) -> Result:
    """Return, for each cell, 6 of 36 assessed who respond, 48 not assessed: all that is possible is 6/84 to 54/84."""
    rows = []
    note = "84 due: 84 with a baseline, 36 assessed, 26 of these completed"
    for number_of_cell in range(cells):
        cell = {"arm": f"arm_{number_of_cell}", "note": note, "n_missing": 48.0} | SCALE
        rows += [share(6, 36, "response_observed", **cell), share(6, 84, "response_nonresponder", **cell)]
        rows += [share(6, 84, "response_lowest", **cell), share(54, 84, "response_highest", **cell)]
        bounds = {
            "estimand": "response_bounds",
            "conf_low": 0.037,
            "conf_high": 0.723,
            "denominator": 84,
        } | INTERVAL
        rows.append(bounds | cell | {"note": f"no single estimate; {note}"})
        weights = {"estimate": 0.2, "note": f"weights 0.47 to 7.47; {note}"}
        rows.append(share(6, 36, "response_ipw", **cell) | weights)
    strategies = {"response_nonresponder": "missing as non-response; composite strategy"}
    arguments = {"by": ["arm"]}
    spec = {
        "strategies": strategies,
        "primary": "response_nonresponder",
        "arguments": arguments,
        "labels": LABELS,
    }
    return made(rows, ["arm", "instrument"], "response_scenarios", **spec)


def tipping_result() -> Result:
    """Return a grid of 3 x 3 assumed shares: the group is better where all of its missing respond, worse where all others do."""
    rows = []
    for own in (0.0, 0.5, 1.0):
        for other in (0.0, 0.4, 1.0):
            value = 0.3 * own - 0.3 * other
            cell = {
                "arm": "high_dose",
                "response_of_missing": own,
                "response_of_missing_reference": other,
            } | SCALE
            ends = {
                "conf_low": value - 0.15,
                "conf_high": value + 0.15,
                "p_value": 0.5 if abs(value) < 0.15 else 0.01,
            }
            row = {"estimand": "response_difference", "estimate": value, "denominator": 84, "n_missing": 48.0}
            rows.append(row | ends | cell | INTERVAL)
    known = {"arm": "high_dose", "response_of_missing": 0.5, "response_of_missing_reference": 0.4} | SCALE
    columns = ["arm", "instrument", "response_of_missing", "response_of_missing_reference"]
    arguments = {"by": [], "group": "arm", "reference": "placebo", "threshold": None}
    tipping = [
        "scale: high_dose against placebo. It changes if at least 19 of the 48 missing in high_dose respond."
    ]
    return made(
        rows,
        columns,
        "tipping_point",
        arguments=arguments,
        as_assessed=[known],
        tipping=tipping,
        labels=LABELS,
    )


def threshold_result() -> Result:
    """Return the share of responders of 62 treated, 29 of them missing, against a threshold of 30 %."""
    rows = [
        share(18 + n, 62, "response", response_of_missing=n / 29, n_missing=29.0, p_value=0.5, **SCALE)
        for n in (0, 8, 16, 29)
    ]
    arguments = {"by": [], "group": None, "reference": None, "threshold": 0.3}
    known = [{"instrument": "scale", "response_of_missing": 16 / 29}]
    tipping = ["scale: 29 of 62 not assessed. It is at least 0.3 if 1 or more respond."]
    columns = ["instrument", "response_of_missing"]
    return made(
        rows, columns, "tipping_point", arguments=arguments, as_assessed=known, tipping=tipping, labels=LABELS
    )


def pair_rows(group: str, reference: str, value: float, **cell: Any) -> list[dict[str, Any]]:
    """Return the comparison of a group with a reference: a difference -/+ 0.2 with p = 0.03, and what belongs to it."""
    pair = {"arm": group, "reference": reference, "numerator": 5, "denominator": 30} | cell | INTERVAL
    ends = {"conf_low": value - 0.2, "conf_high": value + 0.2}
    found = [{"estimand": "risk_difference", "estimate": value, "p_value": 0.03, "p_adjusted": 0.06} | ends]
    found.append({"estimand": "risk_ratio", "estimate": 0.5, "conf_low": 0.2, "conf_high": 1.25})
    found.append(
        {"estimand": "odds_ratio", "estimate": 0.4, "conf_low": 0.1, "conf_high": 1.5, "p_value": 0.2}
    )
    harm = {"estimand": "number_needed_to_harm", "estimate": 1 / -value, "conf_low": 2.5, "conf_high": np.inf}
    benefit = {"estimand": "number_needed_to_benefit", "conf_low": 10.0, "conf_high": np.inf}
    return [pair | row for row in (*found, harm, benefit)]


def compared_result(groups: int = 1, *, instruments: int = 2) -> Result:
    """Return arms held against A: 5 of 30 treated respond against 13 of 32; courses without an arm are counted."""
    rows = []
    for place in range(instruments):
        cell = {"instrument": ("scale", "score")[place]}
        alone = cell | {"reference": ""}
        rows += four_denominators(13, (32, 32, 21, 20), arm="A", **alone)
        for k in range(groups):
            rows += four_denominators(5, (30, 30, 12, 10), arm=f"B{k}", **alone)
            rows += pair_rows(f"B{k}", "A", -0.1, **cell)
        rows += four_denominators(22, (63, 60, 48, 40), arm="none", **alone)
    arguments = {"by": [], "group": "arm", "reference": "A", "multiplicity": "benjamini_hochberg"}
    spec = {
        "arguments": arguments,
        "rates": "response_treated",
        "primary": "risk_difference",
        "labels": LABELS,
    }
    return made(
        rows, ["instrument", "arm", "reference"], "compare_response", family="all comparisons", **spec
    )


def pairwise_result() -> Result:
    """Return all pairs of three arms."""
    rows = []
    for arm in "ABC":
        rows += four_denominators(5, (30, 30, 12, 10), arm=arm, reference="", **SCALE)
    for group, reference in ("BA", "CA", "CB"):
        rows += pair_rows(group, reference, -0.1, **SCALE)
    arguments = {"by": [], "group": "arm", "reference": None, "pairwise": True, "multiplicity": "holm"}
    spec = {
        "arguments": arguments,
        "rates": "response_treated",
        "primary": "risk_difference",
        "labels": LABELS,
    }
    return made(rows, ["instrument", "arm", "reference"], "compare_response", **spec)


def subgroup_result() -> Result:
    """Return response by arm overall and by sex, with a test of interaction of p = 0.218; nobody is of the third sex."""
    rows = []
    for subgroup, level in (("overall", "all groups"), ("sex", "female"), ("sex", "male")):
        cell = {"subgroup": subgroup, "level": level} | SCALE
        rows += four_denominators(13, (32, 32, 21, 20), arm="A", reference="", **cell)
        rows += four_denominators(5, (30, 30, 12, 10), arm="B", reference="", **cell)
        rows += pair_rows("B", "A", -0.1, **cell)
    test = {
        "subgroup": "sex",
        "level": "all groups",
        "arm": "B",
        "reference": "A",
        "p_adjusted": 0.598,
    } | SCALE
    rows.append(
        test | {"estimand": "interaction_difference_test", "p_value": 0.218, "method": "Cochran's test"}
    )
    arguments = {"group": "arm", "reference": "A", "subgroups": ["sex"], "multiplicity": "benjamini_hochberg"}
    spec = {
        "arguments": arguments,
        "rates": "response_treated",
        "primary": "risk_difference",
        "labels": LABELS,
    }
    columns = ["subgroup", "level", "instrument", "arm", "reference"]
    return made(rows, columns, "subgroup_response", warning="Subgroups are exploratory.", **spec)


def grades_result(*, many: bool = False) -> Result:
    """Return grades of improvement of 20 courses an arm, 8 of them not assessed; or, of many sizes, 16 of change -7.5 to 7.5."""
    sizes = [f"{k - 7.5:g}" for k in range(16)] if many else ["-1", "0", "1"]
    counts = [1] * 16 if many else [2, 4, 6]
    missing = 4 if many else 8
    rows = []
    for arm in ("B", "A"):
        for grade, n in zip([*sizes, "not assessed"], [*counts, missing], strict=True):
            rows.append(share(n, 20, "share_of_treated", arm=arm, reference="", grade=grade, **SCALE))
    pair = {"arm": "B", "reference": "A", "grade": ""} | SCALE | INTERVAL
    odds = {"estimate": 1.24, "conf_low": 0.61, "conf_high": 2.52, "p_value": 0.545, "p_adjusted": 0.6}
    rows.append(pair | odds | {"estimand": "common_odds_ratio"})
    win = {"estimate": 0.537, "conf_low": 0.419, "conf_high": 0.651}
    rows.append(pair | win | {"estimand": "win_probability"})
    rows.append(pair | {"estimand": "van_elteren_test", "p_value": 0.301})
    columns = ["instrument", "arm", "reference", "grade"]
    arguments = {"by": [], "group": "arm", "reference": "A", "scale": "change", "multiplicity": "holm"}
    return made(
        rows, columns, "compare_grades", arguments=arguments, primary="common_odds_ratio", labels=LABELS
    )


DIRECTION = [
    "Lower is better, so that an improvement is negative: The scale.",
    "Higher is better: The score.",
]


def change_result(*, grouped: bool = True) -> Result:
    """Return the change of two instruments: 36 of 84 courses assessed, 5 less than at baseline; with arms a difference of -2."""
    rows = []
    for instrument in ("scale", "score"):
        for arm in ("B", "A") if grouped else ("B",):
            cell = {"instrument": instrument} | ({"arm": arm} if grouped else {})
            of = {"denominator": 36, "n_missing": 48.0}
            rows.append(number("mean_baseline_evaluable", 20.0, **cell, **of))
            rows.append(number("mean_value", 15.0, **cell, **of))
            rows.append(number("mean_change", -5.0, **cell, **of, p_value=0.001))
            if grouped:
                rows.append(number("ls_mean_change", -4.0, **cell, **of, std_error=0.91))
            if grouped and arm == "B":
                tests = {"p_value": 0.02, "p_adjusted": 0.04, "note": "against 'A'"}
                rows.append(number("ls_mean_difference", -2.0, **cell, **of, **tests))
    arguments = (
        {"by": [], "group": "arm", "reference": "A", "multiplicity": "holm"} if grouped else {"by": []}
    )
    columns = ["arm", "instrument"] if grouped else ["instrument"]
    return made(rows, columns, "change_from_baseline", arguments=arguments, labels=LABELS, rules=DIRECTION)


def visits_result(*, fitted: bool = True, grouped: bool = True) -> Result:
    """Return two visits of two arms, 84 courses due at each: 84 assessed at baseline, 60 and 40 later."""
    rows = []
    for arm in ("B", "A") if grouped else ("B",):
        cell = SCALE | ({"arm": arm} if grouped else {})
        for time, n in ((0.0, 84), (56.0, 60), (168.0, 40)):
            of = {"denominator": n, "n_missing": 84.0 - n, "time": time}
            rows.append(number("mean_value", 20.0 - n / 10, **cell, **of))
            if time:
                rows.append(number("mean_change", -n / 10, **cell, **of))
                value = -n / 20 if fitted else np.nan
                note = "" if fitted else "the covariance is not positive definite"
                rows.append(number("ls_mean_change", value, **cell, **of, std_error=0.5, note=note))
                if arm == "B" and grouped:
                    rows.append(number("ls_mean_difference", value, **cell, **of, p_value=0.04, note=note))
    arguments = {
        "by": [],
        "group": "arm" if grouped else None,
        "reference": "A",
        "time": "day",
        "multiplicity": "holm",
    }
    columns = ["arm", "instrument"] if grouped else ["instrument"]
    return made(rows, columns, "change_by_visit", arguments=arguments, labels=LABELS, rules=DIRECTION)


def error_result(*, known: bool = True) -> Result:
    """Return 36 of 84 courses assessed: 6 better by more than the error, 15 within, 15 worse."""
    shares = {"better_beyond_error": 6, "within_error": 15, "worse_beyond_error": 15}
    rows = []
    for arm in ("B", "A"):
        cell = {"arm": arm, "error": "2 points" if known else "not known", "n_missing": 48.0} | SCALE
        for name, n in shares.items():
            row = share(n, 36, name, **cell)
            gone = {"estimate": np.nan, "conf_low": np.nan, "conf_high": np.nan, "numerator": np.nan}
            rows.append(
                row
                if known
                else row | gone | {"note": "no measurement error of 'scale' is in the vocabulary"}
            )
        rows.append(number("mean_change_chosen", -2.0, **cell | {"denominator": 16, "n_missing": np.nan}))
    arguments = {"by": ["arm"], "group": None}
    columns = ["arm", "instrument", "error"]
    return made(rows, columns, "change_beyond_error", arguments=arguments, labels=LABELS, rules=DIRECTION)
