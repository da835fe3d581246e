"""Which assessment is the baseline, which the endpoint, and what counts as a response."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pytest

from mesostats.assessments import Endpoint, rules, scored_courses
from mesostats.dataset import Dataset
from mesostats.engine import collect
from mesostats.vocabulary import ResponderRule, Vocabulary, load_vocabulary

Assessed = tuple[str, float | None]  # date, value
FIRST, LAST = "2024-01-10", "2024-03-10"
END = Endpoint(None, 60)
OVERLAY = """
entries:
  pain: {label: pain, source: test, minimum: 0, maximum: 10, direction: lower_is_better}
  density: {label: density, source: test, minimum: 0, direction: higher_is_better}
  change: {label: change, source: test, minimum: -3, maximum: 3, direction: higher_is_better}
"""


@pytest.fixture(scope="module")
def vocabulary(tmp_path_factory: pytest.TempPathFactory) -> Vocabulary:
    folder = tmp_path_factory.mktemp("overlay")
    (folder / "instruments.yaml").write_text(OVERLAY, encoding="utf-8")
    return load_vocabulary(folder)


def scored(
    vocabulary: Vocabulary,
    assessed: dict[str, list[Assessed]],
    *,
    instrument: str = "pain",
    rule: ResponderRule | None = None,
    endpoint: Endpoint = END,
    **course: Any,
) -> pd.DataFrame:
    """Score courses with sessions on FIRST and LAST, each with its assessments; ids of outcomes go up with their order."""
    names = list(assessed)
    outcomes = [(name, *each) for name in names for each in assessed[name]]
    cutoff = course.pop("cutoff", "2024-12-31")
    days = course.pop("sessions", (FIRST, LAST))
    clinic = Dataset(
        patients=pd.DataFrame({"patient_id": names}),
        courses=pd.DataFrame({"course_id": names, "patient_id": names}).assign(
            **({"indication": "other", "start_date": FIRST, "status": "completed"} | course)
        ),
        sessions=pd.DataFrame(
            [(f"{name}-{day}", name, day, "attended") for name in names for day in days],
            columns=["session_id", "course_id", "date", "status"],
        ),
        outcomes=pd.DataFrame(outcomes, columns=["course_id", "date", "value"]).assign(
            instrument=instrument, outcome_id=[f"O{place:03}" for place in range(len(outcomes))]
        ),
        vocabulary=vocabulary,
        cutoff=cutoff,
    )
    rule = rule or ResponderRule(kind="absolute", threshold=2)
    found = collect(scored_courses(clinic, (), rules(clinic, [instrument], rule), endpoint))
    return found.set_index("course_id").loc[names]


def test_baseline_is_the_last_on_or_before_the_first_session(vocabulary: Vocabulary) -> None:
    found = scored(
        vocabulary,
        {
            "before": [("2023-12-01", 9), ("2024-01-05", 8)],
            "same_day": [("2024-01-05", 8), (FIRST, 7)],
            "twice_a_day": [(FIRST, 7), (FIRST, 6)],  # the later outcome_id
            "after": [("2024-01-11", 5)],
            "not_in_order": [("2024-01-08", 4), ("2023-12-01", 9)],
            "no_value": [("2024-01-05", 8), (FIRST, None)],
        },
    )
    assert found["baseline"].fillna(-1).tolist() == [8, 7, 6, -1, 4, 8]
    assert found["with_baseline"].tolist() == [1, 1, 1, 0, 1, 1]


def test_end_of_course_is_the_last_within_the_window(vocabulary: Vocabulary) -> None:
    found = scored(
        vocabulary,
        {
            "last_day": [(LAST, 1)],
            "day_before": [("2024-03-09", 1)],
            "later": [("2024-03-20", 1), ("2024-04-20", 2)],
            "window": [("2024-05-09", 3)],  # 21 + 30 + 9 = 60 days after 10 March
            "past_it": [("2024-05-10", 3)],
            "twice_a_day": [("2024-03-20", 4), ("2024-03-20", 5)],
        },
    )
    assert found["value"].fillna(-1).tolist() == [1, -1, 2, 3, -1, 5]


def test_a_day_takes_the_nearest_and_of_two_the_later(vocabulary: Vocabulary) -> None:
    # Day 60 after 10 January is 10 March (21 days left of January, 29 of February, 10 of March).
    found = scored(
        vocabulary,
        {
            "nearest": [("2024-03-01", 1), ("2024-03-12", 2)],
            "tie": [("2024-03-08", 1), ("2024-03-12", 2)],
            "tie_not_in_order": [("2024-03-12", 1), ("2024-03-08", 2)],
            "first_edge": [("2024-02-25", 3)],  # day 46
            "too_early": [("2024-02-24", 3)],
            "last_edge": [("2024-03-24", 4)],  # day 74
            "too_late": [("2024-03-25", 4)],
            "twice_a_day": [("2024-03-10", 5), ("2024-03-10", 6)],
        },
        endpoint=Endpoint(60, 14),
    )
    assert found["value"].fillna(-1).tolist() == [2, 2, 1, 3, -1, 4, -1, 6]


def test_an_assessment_is_baseline_or_endpoint_never_both(vocabulary: Vocabulary) -> None:
    found = scored(vocabulary, {"C": [(FIRST, 7)]}, sessions=(FIRST,))
    assert found["baseline"].item() == 7
    assert found["evaluable"].item() == 0


def test_values_outside_the_range_are_not_used(vocabulary: Vocabulary) -> None:
    found = scored(
        vocabulary,
        {
            "too_high": [("2024-01-05", 8), (FIRST, 10.5), (LAST, 3)],
            "too_low": [(FIRST, 8), (LAST, 4), ("2024-03-20", -1)],
            "limits": [(FIRST, 10), (LAST, 0)],
        },
    )
    assert found[["baseline", "value"]].to_numpy().tolist() == [[8, 3], [8, 4], [10, 0]]


@pytest.mark.parametrize(
    ("instrument", "rule", "courses"),
    [  # baseline, endpoint, whether it is a response (None: it cannot be told)
        ("pain", ("absolute", 2), [(6, 4, True), (6, 4.1, False), (4, 6, False), (None, 1, None)]),
        # There is no per cent of nothing.
        ("pain", ("percent", 50), [(6, 3, True), (6, 3.1, False), (6, 9, False), (0, 0, None)]),
        ("pain", ("level", 2), [(9, 2, True), (9, 2.1, False), (None, 2, True)]),  # needs no baseline
        ("density", ("absolute", 10), [(100, 110, True), (100, 109, False), (110, 100, False)]),
        ("density", ("percent", 10), [(80, 88, True), (80, 87.9, False), (0, 50, None)]),
        ("change", ("level", 1), [(None, 1, True), (None, 0, False), (2, 1, True)]),
        ("change", ("percent", 10), [(-1, 2, None)]),  # nor is there a per cent of a negative baseline
    ],
)
def test_rules_of_all_kinds_and_directions(
    vocabulary: Vocabulary,
    instrument: str,
    rule: tuple[Any, float],
    courses: list[tuple[float | None, float, bool | None]],
) -> None:
    found = scored(
        vocabulary,
        {f"C{place}": [(FIRST, each[0]), (LAST, each[1])] for place, each in enumerate(courses)},
        instrument=instrument,
        rule=ResponderRule(kind=rule[0], threshold=rule[1]),
    )
    assert found["evaluable"].tolist() == [each[2] is not None for each in courses]
    assert found["responder"].tolist() == [each[2] is True for each in courses]


@pytest.mark.parametrize("kind", ["absolute", "percent"])
def test_every_value_on_a_grid_is_scored_as_in_whole_numbers(vocabulary: Vocabulary, kind: Any) -> None:
    # 4.1 - 2.1 is 1.9999999999999996 in binary numbers. Tenths from 0.1 to 10: in whole tenths, 2 points are 20, and half is a comparison of 2·value with the baseline.
    pairs = [(b, v) for b in range(1, 101, 3) for v in range(0, b + 1, 2)]
    threshold = {"absolute": 2, "percent": 50}[kind]
    found = scored(
        vocabulary,
        {f"{b}/{v}": [(FIRST, b / 10), (LAST, v / 10)] for b, v in pairs},
        rule=ResponderRule(kind=kind, threshold=threshold),
    )
    expected = [b - v >= 20 if kind == "absolute" else 2 * v <= b for b, v in pairs]
    assert found["responder"].astype(bool).tolist() == expected


@pytest.mark.parametrize(
    ("status", "cutoff", "endpoint", "due"),
    [
        ("completed", "2024-05-09", END, 1),  # the window closes 60 days after 10 March
        ("completed", "2024-05-08", END, 0),
        ("ongoing", "2024-12-31", END, 0),
        ("discontinued", "2024-05-09", END, 1),
        ("ongoing", "2024-03-24", Endpoint(60, 14), 1),  # day 74
        ("ongoing", "2024-03-23", Endpoint(60, 14), 0),
    ],
)
def test_an_endpoint_is_due_once_its_window_has_closed(
    vocabulary: Vocabulary, status: str, cutoff: str, endpoint: Endpoint, due: int
) -> None:
    row = scored(
        vocabulary,
        {"C": [(FIRST, 8), (LAST, 3)]},
        endpoint=endpoint,
        status=status,
        cutoff=cutoff,
    ).iloc[0]
    # What is not due is in no denominator, though it was assessed.
    assert row[["due", "with_baseline", "evaluable", "responder"]].tolist() == [due] * 4
    assert row["completer"] == (due if status == "completed" else 0)


def test_without_a_record_the_schedule_decides_whether_the_course_is_over(vocabulary: Vocabulary) -> None:
    assessed: dict[str, list[Assessed]] = {"C": [(FIRST, 8), (LAST, 3)]}
    own = {"status": None, "protocol": "short_course"}
    ended = scored(vocabulary, assessed, planned_sessions=2, **own).iloc[0]
    assert (ended["ended"], ended["completer"]) == ("completed", 1)
    # Five planned, two held, and months without a third.
    lost = scored(vocabulary, assessed, planned_sessions=5, **own).iloc[0]
    assert (lost["ended"], lost["evaluable"], lost["completer"]) == ("dropped_out", 1, 0)


def test_a_course_without_session_is_not_scored(vocabulary: Vocabulary) -> None:
    with pytest.raises(KeyError):
        scored(vocabulary, {"C": [(FIRST, 8)]}, sessions=())


def test_endpoints_are_described() -> None:
    assert Endpoint(None, 60).describe() == (
        "last assessment from the last attended session to 60 days after it"
    )
    assert (
        Endpoint(90, 14).describe() == "assessment nearest to day 90 after the first session, within 14 days"
    )


def test_last_observation_is_read_however_early(vocabulary: Vocabulary) -> None:
    """The end of the course was not assessed; the last value after the first session stands for it, of later ones none."""
    assessed: dict[str, list[Assessed]] = {
        "early": [(FIRST, 8), ("2024-01-20", 5), ("2024-02-01", 6)],
        "at the end": [(FIRST, 8), ("2024-01-20", 5), ("2024-03-12", 2)],
        "after the window": [(FIRST, 8), ("2024-01-20", 5), ("2024-08-01", 1)],
        "baseline alone": [(FIRST, 8)],
    }
    found = scored(vocabulary, assessed, endpoint=Endpoint(None, 60, carried=True))
    assert found["value"].dropna().to_dict() == {"early": 6, "at the end": 2, "after the window": 5}
    assert scored(vocabulary, assessed)["value"].dropna().tolist() == [2]
