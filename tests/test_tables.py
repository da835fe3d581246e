"""Display tables: what a reader sees of a result."""

from __future__ import annotations

import re
from html import unescape
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest

from mesostats.results import Result, contract
from mesostats.tables import table

if TYPE_CHECKING:
    from collections.abc import Callable


def made(rows: list[dict[str, Any]], groups: list[str], **spec: Any) -> Result:
    base = {"analysis": "made", "title": "A question", "cutoff": "2025-06-30", "primary": rows[0]["estimand"]}
    return Result(contract(pd.DataFrame(rows), groups), base | spec, lambda _: pd.DataFrame())


def share(n: float, of: float, **more: Any) -> dict[str, Any]:
    row = {"estimand": "share", "estimate": n / of, "conf_low": 0.1, "conf_high": 0.9, "conf_level": 0.95}
    return row | {"numerator": n, "denominator": of, "unit": "courses", "method": "Wilson"} | more


def texts(result: Result, **options: Any) -> list[list[str]]:
    """Return the texts of the table's body, row by row."""
    html = table(result, **options).as_raw_html()
    body = html[html.index("<tbody") : html.index("</tbody>")]
    rows = re.findall(r"<tr>(.*?)</tr>", body, re.DOTALL)
    cells = [re.findall(r"<t[dh][^>]*>(.*?)</t[dh]>", row, re.DOTALL) for row in rows]
    return [[unescape(re.sub(r"<[^>]+>", "", cell)) for cell in row] for row in cells]


def test_counts_and_per_cents_are_rounded_only_here() -> None:
    result = made([share(35, 56, arm="A"), share(2, 3, arm="B")], ["arm"])
    assert texts(result) == [
        ["A", "35/56", "62.5 (10.0\N{EN DASH}90.0)"],
        ["B", "2/3", "66.7 (10.0\N{EN DASH}90.0)"],
    ]
    assert result.estimates["estimate"].tolist() == [35 / 56, 2 / 3]


def test_primary_estimand_comes_first_and_is_bold() -> None:
    rows = [share(1, 2, arm="A", estimand="response_all"), share(1, 4, arm="A", estimand="response_treated")]
    result = made(rows, ["arm"], primary="response_treated")
    html = table(result).as_raw_html()
    assert html.index("Treated (primary)") < html.index(">All<")
    assert texts(result)[0][1] == "1/4"
    assert html.count("font-weight: bold;") >= 2


def test_estimands_stand_as_their_populations_narrow() -> None:
    names = ["share_all", "share_few", "share_many"]
    rows = [share(1, 2, arm="A", estimand=name) for name in names]
    result = made(rows, ["arm"], population={"all": "all of them", "many": "most", "few": "some"})
    html = table(result).as_raw_html()
    assert html.index("All (primary)") < html.index(">Many<") < html.index(">Few<")


def test_counts_of_a_step_are_named_so() -> None:
    steps = [share(1, 4, time=1.0, estimand="kept", estimate=0.75), share(1, 4, time=1.0, estimand="hazard")]
    html = table(made(steps, [])).as_raw_html()
    assert html.count(">events/at risk<") == 1
    assert "the share beside them is cumulative" in html
    assert html.count(">n/N<") == 1


def test_courses_that_are_not_due_are_counted_beneath() -> None:
    assert "Not counted: 1,203 courses" in table(made([share(1, 2)], [], not_due=1203)).as_raw_html()


def test_not_estimable_is_a_dash_with_its_footnote() -> None:
    row = share(0, 5, arm="A") | {
        "estimate": np.nan,
        "conf_low": np.nan,
        "conf_high": np.nan,
        "note": "no rule is accepted",
    }
    html = table(made([row], ["arm"])).as_raw_html()
    assert "no rule is accepted" in html[html.index("<tfoot") :]
    assert texts(made([row], ["arm"]))[0][2].startswith("\N{EN DASH}")


def test_few_groups_stand_side_by_side_and_events_by_frequency() -> None:
    rows = [share(n, 10, arm=arm, term=term) for arm, n in (("A", 1), ("B", 2)) for term in ("rash", "pain")]
    rows[1] |= {"estimate": 0.9, "numerator": 9}
    result = made(rows, ["arm", "term"], arguments={"of": "term"})
    assert [[row[0], row[1], row[3]] for row in texts(result)] == [
        ["Pain", "9/10", "2/10"],
        ["Rash", "1/10", "2/10"],
    ]


def test_bounds_stand_beside_their_estimate() -> None:
    rows = [
        share(1, 10),
        {"estimand": "share_lower", "estimate": 0.05},
        {"estimand": "share_upper", "estimate": 0.2},
    ]
    assert texts(made(rows, [])) == [
        ["All courses", "1/10", "10.0 (10.0\N{EN DASH}90.0)", "5.0\N{EN DASH}20.0"]
    ]


def test_sessions_are_rows_and_groups_blocks() -> None:
    rows = [share(k, 10, arm=arm, time=float(k)) for arm in "AB" for k in (1, 2, 3)]
    assert [row[0] for row in texts(made(rows, ["arm"]))] == ["1", "2", "3", "1", "2", "3"]


def test_long_curve_shows_a_dozen_times_and_says_so() -> None:
    result = made([share(1, 10, time=float(k)) for k in range(100)], [])
    shown = [row[0] for row in texts(result)]
    assert (len(shown), shown[0], shown[-1]) == (12, "0", "99")
    assert "A part of the 100 times" in table(result).as_raw_html()


def test_rates_and_medians_are_no_per_cents() -> None:
    rate = share(30, 20, arm="A", estimand="events_per_patient")
    assert texts(made([rate], ["arm"]))[0][2] == "150.0 (10.0\N{EN DASH}90.0)"
    assert "per 100 patients" in table(made([rate], ["arm"])).as_raw_html()
    curve = [
        share(1, 10, time=5.0, estimand="retention"),
        {"estimand": "median_retention", "estimate": 84.0, "unit": "courses"},
    ]
    assert "median, days: 84" in table(made(curve, [], arguments={"time": "day"})).as_raw_html()


def test_markup_in_data_is_shown_as_text() -> None:
    html = table(made([share(1, 2, arm="<script>alert(1)</script>")], ["arm"])).as_raw_html()
    assert "<script>" not in html
    assert "&lt;script&gt;" in html


def test_labels_population_and_data_cut_come_from_the_result() -> None:
    result = made(
        [share(1, 2, arm="a1")],
        ["arm"],
        labels={"arm": {"a1": "Recipe one"}},
        population={"treated": "had a session"},
    )
    html = table(result, title="My title").as_raw_html()
    assert texts(result)[0][0] == "Recipe one"
    assert all(
        text in html for text in ("My title", "treated: had a session", "Data cut: 2025-06-30", "Wilson")
    )


@pytest.mark.parametrize(("p", "shown"), [(0.0421, "0.042"), (0.00004, "<0.001")])
def test_p_value_is_never_zero(p: float, shown: str) -> None:
    assert texts(made([share(1, 2, arm="A", p_value=p)], ["arm"]))[0][-1] == shown


def test_same_result_gives_the_same_html_and_stays_unchanged() -> None:
    result = made([share(1, 2, arm="A")], ["arm"])
    before = result.estimates.copy()
    assert table(result).as_raw_html() == table(result).as_raw_html()
    pd.testing.assert_frame_equal(result.estimates, before)


def foot(result: Result, **options: Any) -> str:
    """Return the words beneath the table, tags left out."""
    html = table(result, **options).as_raw_html()
    return unescape(re.sub(r"<[^>]+>", "", html[html.index("<tfoot") :]))


def heads(result: Result) -> list[str]:
    """Return the words of the column heads, spanners among them."""
    html = table(result).as_raw_html()
    head = html[html.index("<thead") : html.index("</thead>")]
    found = re.findall(r"<(?:th|span)[^>]*>([^<]+)(?=<)", head)
    return [unescape(text) for text in found if text.strip()]


def compared(arms: str = "AP", terms: tuple[str, ...] = ("rash", "pain"), **spec: Any) -> Result:
    """Compare arms with P by term: of 10 patients each, A has 4 rashes and 6 pains, P 2 and 5."""
    events = {("A", "rash"): 4, ("A", "pain"): 6, ("P", "rash"): 2, ("P", "pain"): 5}
    rows = []
    for arm in arms:
        for term in terms:
            rate = share(events.get((arm, term), 1), 10, arm=arm, term=term, unit="patients")
            rows.append(rate | {"estimand": "incidence_proportion"})
            if arm != "P":
                difference = {"estimate": 0.2, "conf_low": -0.19, "conf_high": 0.54, "p_value": 0.35}
                rows.append(rate | {"estimand": "risk_difference", "method": "MN"} | difference)
                ratio = {"estimate": 2.67, "conf_low": 0.4, "conf_high": np.inf, "p_value": 0.0004}
                test = {"estimand": "odds_ratio", "method": "Fisher", "p_adjusted": 0.628}
                rows.append(rate | ratio | test)
    arguments = {"group": "arm", "reference": "P", "of": "term", "multiplicity": "benjamini-hochberg"}
    own = {
        "analysis": "compare_adverse_events",
        "rates": "incidence_proportion",
        "primary": "risk_difference",
    }
    return made(rows, ["arm", "term"], **(own | {"arguments": arguments, "family": "all kinds"} | spec))


def test_comparison_shows_groups_then_difference_and_exact_p_most_frequent_first() -> None:
    result = compared()
    difference = "20.0 (-19.0 to 54.0)"
    assert texts(result) == [
        ["Pain", "6/10 (60.0)", "5/10 (50.0)", difference, "<0.001", "0.628"],
        ["Rash", "4/10 (40.0)", "2/10 (20.0)", difference, "<0.001", "0.628"],
    ]
    assert {"A", "P", "A against P", "n/N (%)", "Difference, points (95 % CI)"} <= set(heads(result))
    assert "p: Odds ratio: Fisher." in foot(result)
    assert "Benjamini-Hochberg) within a family: all kinds" in foot(result)


def test_comparison_without_kinds_has_a_row_a_group_and_all_measures() -> None:
    estimates = compared(terms=("rash",)).estimates.drop(columns="term")
    spec = dict(compared().spec) | {"arguments": {"group": "arm", "reference": "P", "of": "any"}}
    result = Result(estimates, spec, lambda _: pd.DataFrame())
    dash = "\N{EN DASH}"
    assert texts(result) == [
        ["A", "4/10 (40.0)", "20.0 (-19.0 to 54.0)", "2.67 (0.40 to \N{INFINITY})", "<0.001", "0.628"],
        ["P (reference)", "2/10 (20.0)", dash, dash, dash, dash],
    ]


def test_many_compared_groups_stand_in_blocks() -> None:
    result = compared("ABCDP", ("rash",))
    assert [row[0] for row in texts(result)] == ["Rash"] * 4
    html = table(result).as_raw_html()
    assert html.index("A against P<") < html.index("D against P<")


def test_reference_that_is_absent_has_no_column() -> None:
    result = compared("A", ("rash",))
    assert texts(result)[0][:3] == ["Rash", "4/10 (40.0)", "20.0 (-19.0 to 54.0)"]
    assert heads(result).count("n/N (%)") == 1


def test_most_shows_the_most_frequent_and_says_how_many_are_left_out() -> None:
    rows = [share(k, 100, term=f"t{k}") for k in range(1, 81)]
    result = made(rows, ["term"], arguments={"of": "term"})
    assert [row[0] for row in texts(result, most=2)] == ["T80", "T79"]
    assert "The 2 most frequent of 80 kinds of event; most=80 shows the other 78 too." in foot(result, most=2)
    assert len(texts(result)) == 60
    assert len(texts(result, most=80)) == 80


def test_most_below_one_is_refused() -> None:
    with pytest.raises(ValueError, match="most == 0, must be 1 or more"):
        table(made([share(1, 2)], []), most=0)


def profile(**numbers: int) -> Result:
    """Count, of 20 patients, those of a class and of two terms by worst severity."""
    cells = {"any_any": 9, "any_mild": 6, "any_severe": 3, "rash_any": 4, "rash_mild": 4, "pain_any": 7}
    cells |= {"pain_mild": 4, "pain_severe": 3} | numbers
    rows = [
        share(cells.get(f"{term}_{grade}", 0), 20, term_class="local", term=term, severity=grade)
        | {"unit": "patients", "estimand": "incidence_proportion"}
        for term in ("any", "rash", "pain")
        for grade in ("any", "mild", "severe", "fatal")
    ]
    return made(rows, ["term_class", "term", "severity"], analysis="adverse_event_profile")


def test_profile_shows_class_then_terms_by_worst_severity() -> None:
    assert texts(profile()) == [
        ["Local", "9 (45.0)", "6 (30.0)", "3 (15.0)"],
        ["Pain", "7 (35.0)", "4 (20.0)", "3 (15.0)"],
        ["Rash", "4 (20.0)", "4 (20.0)", "0"],
    ]
    assert "All patients (N = 20)" in heads(profile())
    assert "No event was graded: fatal." in foot(profile())


def test_profile_keeps_classes_and_severities_of_terms_left_out() -> None:
    assert [row[0] for row in texts(profile(), most=1)] == ["Local", "Pain"]
    assert "fatal" not in foot(profile(rash_fatal=1), most=1)


def watched(note: str = "signal: 8 sessions against 1.8 expected; one cluster: alike") -> Result:
    one = share(8, 26, lot="L1", unit="sessions", estimand="session_proportion", note=note)
    one |= {"p_value": 0.00001, "p_adjusted": 0.004, "statistic": 4.2}
    other = share(0, 5, lot="L2", unit="sessions", estimand="session_proportion", note="no event at all")
    expected = {"estimand": "expected_proportion", "unit": "sessions", "denominator": 26}
    rows = [other, one, expected | {"lot": "L1", "numerator": 1.82, "estimate": 0.07}]
    rows.append(expected | {"lot": "L2", "note": "no event at all"})
    arguments = {"by": "lot", "of": "any", "multiplicity": "holm", "alpha": 0.05}
    return made(rows, ["lot"], analysis="signals", primary="session_proportion", arguments=arguments)


def test_signals_stand_first_and_are_said_in_words() -> None:
    first, second = texts(watched())
    assert first[:2] == ["L1", "8/26"]
    assert first[3:] == ["1.8", "7.0", "<0.001", "0.004", "SIGNAL: 8 sessions against 1.8 expected"]
    assert second[0] == "L2"
    assert second[-1] == "No event at all"
    assert "1 signal among 1 tests (Holm, alpha 0.05)" in table(watched()).as_raw_html()
    assert "1 rows could not be tested: no event at all (1)." in foot(watched())
    assert "one cluster: alike" in foot(watched())


def test_no_signal_is_said() -> None:
    assert "No signal among 1 tests" in table(watched(note="")).as_raw_html()


def test_exposure_shows_crude_beside_adjusted_reference_first() -> None:
    base = share(5, 10, kept="yes") | {
        "unit": "sessions",
        "estimate": 0.1,
        "conf_low": 0.05,
        "conf_high": 0.2,
    }
    rows = [base | {"estimand": f"{side}_risk"} for side in ("crude", "adjusted")]
    rows += [
        base | {"estimand": f"{side}_risk", "kept": "no", "numerator": 7} for side in ("crude", "adjusted")
    ]
    rows.append(base | {"estimand": "adjusted_risk_difference", "estimate": -0.1, "p_value": 0.04})
    spec = {"arguments": {"reference": "no", "exposure": "kept"}, "excluded": {"nobody asked": 3}}
    result = made(rows, ["kept"], analysis="exposure_effect", **spec)
    reference, other = texts(result)
    risk = "10.0 (5.0\N{EN DASH}20.0)"
    assert reference == ["No (reference)", "7/10", risk, risk, "\N{EN DASH}", "\N{EN DASH}"]
    assert other == ["Yes", "5/10", risk, risk, "-10.0 (5.0 to 20.0)", "0.040"]
    assert "Left out: 3 sessions: nobody asked." in foot(result)


def estimators() -> Result:
    rows = [
        share(n, 10, time=60.0, estimand=name, arm=arm, unit="patients")
        for arm, n in (("A", 3), ("B", 5))
        for name in ("incidence_proportion", "aalen_johansen")
    ]
    rules = ["incidence_proportion is too low.", "aalen_johansen is unlike incidence_proportion.", "Day 1."]
    spec = {"arguments": {"by": ["arm"], "of": "any"}, "rules": rules, "primary": "aalen_johansen"}
    return made(rows, ["arm"], analysis="adverse_event_estimators", **spec)


def test_estimators_are_rows_groups_columns_and_assumptions_footnotes() -> None:
    rows = texts(estimators())
    assert [row[0].rstrip("ab") for row in rows] == ["Incidence proportion", "Aalen-Johansen"]
    assert [rows[0][1], rows[0][3]] == ["3/10", "5/10"]
    assert "Aalen-Johansen is unlike Incidence proportion." in foot(estimators())


def test_curve_quotes_test_median_and_missing_once() -> None:
    curve = [
        share(1, 10, time=t, estimand="event_free", estimate=0.9, arm="A", n_missing=6) for t in (1.0, 5.0)
    ]
    median = {"estimand": "median_time_to_first_event", "estimate": 9.0, "conf_low": 7.0, "arm": "A"}
    test = {"estimand": "logrank_test", "statistic": 15.07, "df": 2, "p_value": 0.0005, "arm": "all groups"}
    result = made([*curve, median, test], ["arm"], arguments={"by": ["arm"]})
    assert [row[0] for row in texts(result)] == ["1", "5"]
    assert "A: median, days: 9 (7 to not reached)" in table(result).as_raw_html()
    assert "Log-rank test: p <0.001 (chi-squared 15.1, 2 df)" in foot(result)
    assert "Missing: A 6." in foot(result)


def test_intervals_of_days_are_named_and_quartiles_quoted() -> None:
    rows = [share(2, 8, time=t, estimand="onset_share", note="days 2 to 3") for t in (0.0, 1.0, 3.0)]
    rows.append({"estimand": "onset_quartile_1", "estimate": 1.0})
    rows.append({"estimand": "median_onset", "estimate": 2.0})
    result = made(rows, [], analysis="onset_after_session")
    assert [row[:2] for row in texts(result)] == [["0", "2/8"], ["1", "2/8"], ["2\N{EN DASH}3", "2/8"]]
    assert "median, days: 2; quartile 1: 1" in table(result).as_raw_html()
    assert "days 2 to 3" not in foot(result)


def test_notes_that_differ_in_numbers_become_one() -> None:
    rows = [share(1, 9, lot=f"L{k}", note=f"design effect 1.{k}; ICC -0.0{k}") for k in range(1, 6)]
    text = foot(made(rows, ["lot"]))
    assert "design effect 1.1 to 1.5" in text
    assert "ICC -0.05 to -0.01" in text


@pytest.mark.parametrize("make", [compared, profile, watched, estimators])
def test_degenerate_results_still_give_a_table(make: Callable[[], Result]) -> None:
    result = make()
    empty = Result(result.estimates.iloc[:0], result.spec, result.explain)
    assert texts(empty) == [["nothing to show"]]
    one = Result(result.estimates.iloc[:1], result.spec, result.explain)
    assert len(texts(one)) == 1
    unknown = result.estimates.assign(estimate=np.nan, conf_low=np.nan, conf_high=np.nan, note="unknown")
    nothing = Result(unknown, result.spec, result.explain)
    assert "\N{EN DASH}" in " ".join(map(" ".join, texts(nothing)))


def test_severities_stand_from_mild_to_fatal() -> None:
    grades = ("fatal", "life_threatening", "mild", "moderate", "severe")
    rows = [share(1, 9, severity=grade) for grade in grades]
    result = made(rows, ["severity"], arguments={"of": "severity"})
    assert [row[0] for row in texts(result)] == ["Mild", "Moderate", "Severe", "Life threatening", "Fatal"]


def test_bounds_that_say_nothing_are_left_out() -> None:
    rows = [
        share(1, 10),
        {"estimand": "share_lower", "estimate": 0.1},
        {"estimand": "share_upper", "estimate": 0.1},
    ]
    assert "bounds, %" not in heads(made(rows, []))


def test_many_groups_of_estimators_become_rows() -> None:
    base = estimators()
    frame = pd.concat([base.estimates.assign(arm=f"a{k}") for k in range(6)])
    frame = frame.drop_duplicates(["arm", "estimand"]).reset_index(drop=True)
    result = Result(frame, base.spec, base.explain)
    assert [row[0] for row in texts(result)] == [f"A{k}" for k in range(6)]
    assert any("Aalen-Johansen (primary)" in head for head in heads(result))


def test_rates_name_their_hundred_and_whom_nobody_asked() -> None:
    name = "first_events_per_patient_month"
    rate = share(9, 100.25, estimand=name, estimate=0.09, unit="patient-months", n_missing=2)
    rows = [
        rate,
        {"estimand": f"{name}_lower", "estimate": 0.08},
        {"estimand": f"{name}_upper", "estimate": 0.1},
    ]
    result = made(rows, [])
    assert texts(result)[0][1:] == ["9/100.2", "9.00 (10.0\N{EN DASH}90.0)", "8.00\N{EN DASH}10.0", "2"]
    assert "per 100 patient-months (95 % CI)" in heads(result)
    assert "Missing: patients without an answer" in foot(result)
