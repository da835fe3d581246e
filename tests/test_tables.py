"""Display tables: what a reader sees of a result."""

from __future__ import annotations

import re
from html import unescape
from typing import Any

import numpy as np
import pandas as pd
import pytest

from mesostats.results import Result, contract
from mesostats.tables import table


def made(rows: list[dict[str, Any]], groups: list[str], **spec: Any) -> Result:
    base = {"analysis": "made", "title": "A question", "cutoff": "2025-06-30", "primary": rows[0]["estimand"]}
    return Result(contract(pd.DataFrame(rows), groups), base | spec, lambda _: pd.DataFrame())


def share(n: float, of: float, **more: Any) -> dict[str, Any]:
    row = {"estimand": "share", "estimate": n / of, "conf_low": 0.1, "conf_high": 0.9, "conf_level": 0.95}
    return row | {"numerator": n, "denominator": of, "unit": "courses", "method": "Wilson"} | more


def texts(result: Result) -> list[list[str]]:
    """Return the texts of the table's body, row by row."""
    html = table(result).as_raw_html()
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
    assert texts(made([rate], ["arm"]))[0][2].startswith("1.50 (0.100")
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
