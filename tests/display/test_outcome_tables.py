"""Tables of the outcome analyses: the texts that a reader sees."""

from __future__ import annotations

import re
from html import unescape
from typing import TYPE_CHECKING, Any

import course_results as later
import numpy as np
import outcome_results as made
import pytest

from mesostats.tables import table

if TYPE_CHECKING:
    from mesostats.results import Result

DASH = "\N{EN DASH}"
INFINITY = "\N{INFINITY}"


def page(result: Result, **options: Any) -> list[list[str]]:
    """Return the texts of all rows of the table, those of headings and notes too."""
    html = table(result, **options).as_raw_html()
    rows = re.findall(r"<tr.*?</tr>", html, re.DOTALL)
    cells = [re.findall(r"<t[dh][^>]*>.*?</t[dh]>", row, re.DOTALL) for row in rows]
    marks = r'<span class="gt_footnote_marks".*?</span>'
    plain = [[re.sub(marks, "", cell, flags=re.DOTALL) for cell in row] for row in cells]
    return [[unescape(re.sub(r"<[^>]+>", "", cell)).strip() for cell in row] for row in plain]


def row_of(rows: list[list[str]], name: str, *, number: int = 0) -> list[str]:
    """Return the row of that name, of several the one of that number."""
    return [row for row in rows if row and row[0] == name][number]


def told(rows: list[list[str]], text: str) -> bool:
    return any(text in cell for row in rows for cell in row)


def test_response_has_all_four_denominators_and_how_many_are_missing() -> None:
    rows = page(made.response_result())
    assert rows[1][2:] == ["Treated (primary)", "With baseline", "Evaluable", "Completers"]
    melasma = row_of(rows, "Melasma")
    assert [cell for cell in melasma if "/" in cell] == ["18/62", "18/59", "18/33", "18/12"]
    assert "29" in melasma  # 62 treated less 33 assessed
    assert told(rows, "Missing: courses due that could not be evaluated.")


def test_methods_for_the_missing_are_rows_with_what_they_suppose() -> None:
    rows = page(made.methods_result())
    assert told(rows, "84 due: 84 with a baseline, 36 assessed, 26 of these completed")
    assert row_of(rows, "Missing as non-response") == [
        "Missing as non-response",
        "6/84",
        f"7.1 (2.1{DASH}12.1)",
    ]
    assert row_of(rows, "Inverse probability weights")[1] == "6/36 + 48"
    assert row_of(rows, "Nothing supposed") == ["Nothing supposed", DASH, f"{DASH} (3.7{DASH}72.3)"]
    assert told(rows, "Missing as non-response; composite strategy. Wilson.")
    assert told(rows, "weights 0.47 to 7.47")
    assert not told(rows, "no single estimate")


def test_response_with_missing_outcomes_has_the_same_table() -> None:
    result = made.methods_result()
    spec = dict(result.spec) | {"analysis": "response"}
    own = type(result)(result.estimates, spec, result.explainer)
    assert row_of(page(own), "Inverse probability weights")[1] == "6/36 + 48"


def test_methods_of_many_groups_stand_in_blocks() -> None:
    rows = page(made.methods_result(5))
    heads = [row[0] for row in rows if row and row[0].startswith("Arm ")]
    assert [head.split(" (")[0] for head in heads] == [f"Arm {k}" for k in range(5)]
    assert sum(row[0] == "All missing respond" for row in rows if row) == 5


def test_a_tipping_point_is_a_grid_marked_where_the_conclusion_changes() -> None:
    rows = page(made.tipping_result())
    assert told(rows, "High dose: 48 of 84 not assessed")
    assert ["none", "40 % (as the assessed)", "all"] in rows
    up, down = "\N{BLACK UP-POINTING TRIANGLE}", "\N{BLACK DOWN-POINTING TRIANGLE}"
    assert row_of(rows, "none", number=1)[1:] == [
        "0.0 (p = 0.500)",
        "-12.0 (p = 0.500)",
        f"-30.0 (p = 0.010) {down}",
    ]
    assert row_of(rows, "all")[1:] == [f"30.0 (p = 0.010) {up}", f"18.0 (p = 0.010) {up}", "0.0 (p = 0.500)"]
    assert row_of(rows, "50 % (as the assessed)")[1] == "15.0 (p = 0.010)"
    assert told(
        rows, "The scale: High dose against Placebo. It changes if at least 19 of the 48 missing in High dose"
    )


def test_a_threshold_has_a_row_a_share_assumed_of_the_missing() -> None:
    rows = page(made.threshold_result())
    assert row_of(rows, "none")[1:3] == ["18/62", f"29.0 (24.0{DASH}34.0)"]
    assert row_of(rows, "55 % (as the assessed)")[1] == "34/62"
    assert row_of(rows, "all")[1] == "47/62"
    assert told(rows, "p, against 0.3")


def test_two_groups_stand_beside_one_another_and_those_not_compared_too() -> None:
    rows = page(made.compared_result())
    assert rows[1][:4] == ["Instrument", "B0", "A (reference)", "None"]
    scale = row_of(rows, "The scale")
    assert scale[1:6] == ["5/30 (16.7)", "5/12 (41.7)", "13/32 (40.6)", "13/21 (61.9)", "22/63 (34.9)"]
    assert scale[6:8] == ["-10.0 (-30.0 to 10.0)", f"0.50 (0.20{DASH}1.25)"]
    assert scale[8] == f"NNTH 10.0 (NNTH 2.5 to {INFINITY} to NNTB 10.0)"
    assert scale[9:] == ["0.030", "0.060"]
    assert told(rows, "p adjusted (Benjamini-Hochberg) within a family: all comparisons.")


def test_several_groups_have_a_row_each_the_reference_last() -> None:
    rows = page(made.compared_result(3, instruments=1))
    names = [row[0] for row in rows if len(row) > 5 and "/" in row[1]]
    assert names == ["B0", "B1", "B2", "None", "A (reference)"]
    assert told(rows, "Against A")
    assert row_of(rows, "A (reference)")[3:] == [DASH] * 5


def test_pairs_have_a_row_each_with_both_groups() -> None:
    rows = page(made.pairwise_result())
    assert row_of(rows, "C against B")[1:5] == ["5/30 (16.7)", "5/12 (41.7)"] * 2
    assert [row[0] for row in rows if row and " against " in row[0]] == [
        "B against A",
        "C against A",
        "C against B",
    ]


def test_subgroups_stand_under_their_column_with_its_test_of_interaction() -> None:
    rows = page(made.subgroup_result())
    assert row_of(rows, "Sex")[-2:] == ["0.218", "0.598"]
    assert set(row_of(rows, "Sex")[1:-2]) == {""}
    female = row_of(rows, "Female")
    assert female[1:5] == ["5/30 (16.7)", "5/12 (41.7)", "13/32 (40.6)", "13/21 (61.9)"]
    assert female[-2:] == ["", ""]
    assert [row[0] for row in rows].index("Overall") < [row[0] for row in rows].index("Sex")
    assert told(rows, "Subgroups are exploratory.")


def test_grades_are_rows_with_their_comparison_beneath() -> None:
    rows = page(made.grades_result())
    assert row_of(rows, "-1")[1:] == ["2/20 (10.0)", "2/20 (10.0)"]
    assert row_of(rows, "Not assessed")[1:] == ["8/20 (40.0)", "8/20 (40.0)"]
    assert row_of(rows, "Common odds ratio (95 % CI)")[1:] == [f"1.24 (0.61{DASH}2.52)", ""]
    assert row_of(rows, "Win probability, % (95 % CI)")[1] == f"53.7 (41.9{DASH}65.1)"
    assert row_of(rows, "p, common odds ratio")[1] == "0.545 (adjusted 0.600)"
    assert row_of(rows, "p, ranks")[1] == "0.301"


def test_many_sizes_of_change_are_summed_as_better_and_worse() -> None:
    rows = page(made.grades_result(many=True))
    # changes -7.5, -6.5 ... 7.5, one course each: 8 worse, 8 better, none unchanged
    assert row_of(rows, "Better")[1] == "8/20 (40.0)"
    assert row_of(rows, "Worse")[1] == "8/20 (40.0)"
    assert row_of(rows, "Not assessed")[1] == "4/20 (20.0)"
    assert not any(row and row[0] == "-7.5" for row in rows)


def test_change_has_means_of_those_assessed_and_the_model_beside_them() -> None:
    rows = page(made.change_result())
    group = row_of(rows, "B")
    assert group[1:3] == ["36/84", f"20.0 (19.0{DASH}21.0)"]
    assert group[4:] == ["-5.00 (-6.00 to -4.00)", "-4.00 (0.91)", "-2.00 (-3.00 to -1.00)", "0.020", "0.040"]
    assert row_of(rows, "A (reference)")[6] == DASH
    assert not told(rows, "against 'A'")
    assert told(rows, "Lower is better, so that an improvement is negative: The scale.")


def test_change_without_groups_has_a_row_an_instrument() -> None:
    rows = page(made.change_result(grouped=False))
    assert row_of(rows, "The score")[1] == "36/84"
    assert not told(rows, "LS mean")


def test_visits_are_blocks_with_arms_as_rows() -> None:
    rows = page(made.visits_result())
    assert [row[0] for row in rows if row[0] in {"Baseline", "Day 56", "Day 168"}] == [
        "Baseline",
        "Day 56",
        "Day 168",
    ]
    last = row_of(rows, "B", number=2)
    assert last[1] == "40/84"
    assert last[4:] == ["-2.00 (0.50)", "-2.00 (-3.00 to -1.00)", "0.040"]


def test_a_model_that_could_not_be_fitted_says_why() -> None:
    rows = page(made.visits_result(fitted=False))
    assert told(rows, "LS mean change (SE)")
    assert told(rows, "the covariance is not positive definite")


def test_change_beyond_error_has_better_within_and_worse() -> None:
    rows = page(made.error_result())
    group = row_of(rows, "B")
    assert group[1:3] == ["2 points", "36/84"]
    assert [cell for cell in group if "/36" in cell] == ["6/36", "15/36", "15/36"]
    assert told(rows, "Of those with a baseline worse than the mean")
    unknown = page(made.error_result(known=False))
    assert row_of(unknown, "B")[1] == "not known"
    assert told(unknown, "no measurement error of the instrument is in the vocabulary")


def test_times_have_the_range_of_the_median_and_shares_by_round_days() -> None:
    rows = page(later.times_result())
    group = row_of(rows, "Arm 0")
    assert group[1:3] == ["6/10", f"30{DASH}90 (30 to not reached)"]
    assert ["30", "90"] in rows
    assert f"60.0 (55.0{DASH}65.0)" in group  # 6 of 10 by day 90
    assert "50.0" in group  # dropped out without a response
    assert group[-1] == "not reached (100 to not reached)"
    assert told(rows, "Left out: 4 treated courses")


def test_lasting_response_stands_between_its_bounds() -> None:
    group = row_of(page(later.lasting_result()), "B")
    assert group[1:5] == ["10/20", "3/10", f"30.0 (25.0{DASH}35.0)", f"15.0{DASH}65.0"]
    assert group[5:8] == ["18", "7 lost, 0 gained", "-38.9 (-59.0 to -11.7)"]
    assert group[8:] == ["0.016", f"74{DASH}97 (74 to not reached)"]


def test_doses_are_rows_in_order_under_their_trend() -> None:
    rows = page(later.doses_result(naive=True))
    head = "All courses: 2.3 (-11.8 to 16.4) points for each further session; trend p = 0.780"
    assert [head] in rows
    names = [row[0] for row in rows]
    assert names.index("4") < names.index("10")  # as numbers, not as words
    assert row_of(rows, "4")[1] == "2/14"
    assert told(rows, "Naive: misleads")


def test_the_baseline_table_has_numbers_and_levels_under_their_variable() -> None:
    rows = page(later.baseline_result())
    assert rows[1] == ["", "Arm 0 (N = 20)", "Arm 1 (N = 20)", "All (N = 20)", "Standardized difference"]
    assert row_of(rows, "Age") == ["Age", "", "", "", "0.05"]
    assert row_of(rows, "Mean (SD)")[1] == "50.0 (10.0)"
    assert row_of(rows, "Median [Q1, Q3]")[1] == "49.5 [43.0, 58.0]"
    assert row_of(rows, "Female")[1] == "15 (75.0)"
    assert row_of(rows, "Missing, n (%)")[1] == "1 (5.0)"  # of the skin type only
    names = [row[0] for row in rows]
    assert names.index("2") < names.index("10")
    assert names.count("Missing, n (%)") == 1
    assert told(rows, "no variation within the groups")


def test_many_groups_of_a_baseline_table_are_limited_and_counted() -> None:
    rows = page(later.baseline_result(11))
    assert sum(cell.startswith("Arm ") for cell in rows[1]) == 8
    assert told(rows, "The 8 largest groups; 3 more are in the result's estimates.")


@pytest.mark.parametrize("name", ["response", "compared", "change", "times", "baseline"])
def test_tables_leave_the_result_as_it_was(name: str) -> None:
    result = getattr(later if name in {"times", "baseline"} else made, f"{name}_result")()
    before = result.estimates.copy()
    table(result)
    assert before.equals(result.estimates)
    assert np.array_equal(before.columns, result.estimates.columns)
