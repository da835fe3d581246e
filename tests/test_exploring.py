"""The explorer without a browser: what is chosen, the call that it makes, and what it shows."""

from __future__ import annotations

import asyncio
import datetime as dt
import html
import re
from inspect import signature
from typing import TYPE_CHECKING, Any, get_args

import pandas as pd
import pytest

import mesostats as ms
from mesostats.adverse_events.counted import Events, Per
from mesostats.adverse_events.lots import Against
from mesostats.adverse_events.safety_signals import By
from mesostats.adverse_events.safety_signals import Per as WatchedPer
from mesostats.dropout.incidence import Completion
from mesostats.dropout.stopping import Since
from mesostats.dropout.times import DropoutDate, TimeScale
from mesostats.estimators.differences import RiskDifferenceMethod
from mesostats.estimators.hazard_fits import Link
from mesostats.estimators.proportions import ProportionMethod
from mesostats.estimators.repeated_measures import SmallSample
from mesostats.exploring import settings
from mesostats.exploring.calls import Asked
from mesostats.exploring.choices import Offers, filter_options
from mesostats.exploring.controls import Controls
from mesostats.exploring.questions import NEEDED, QUESTIONS, TOPICS, Question
from mesostats.follow_up import FollowUp
from mesostats.handover import VARIABLE, Opened, hand_over
from mesostats.outcomes.baseline_units import Unit
from mesostats.outcomes.denominators import Denominator
from mesostats.outcomes.grades import Scale
from mesostats.outcomes.missing_methods import Missing
from mesostats.results import Multiplicity
from mesostats.slots import Anchor
from mesostats.visits.received import Courses

if TYPE_CHECKING:
    from pathlib import Path

    from mesostats.dataset import Dataset
    from mesostats.exploring import Explorer
    from mesostats.exploring.settings import Setting

BY_NAME = {each.analysis.__name__: each for each in QUESTIONS}
CLOSED = {
    "time": TimeScale,
    "dropout_date": DropoutDate,
    "follow_up": FollowUp,
    "completion": Completion,
    "since": Since,
    "link": Link,
    "anchor": Anchor,
    "courses": Courses,
    "method": ProportionMethod,
    "per": Per,
    "events": Events,
    "against": Against,
    "primary": Denominator,
    "denominator": Denominator,
    "multiplicity": Multiplicity,
    "missing": Missing,
    "scale": Scale,
    "small_sample": SmallSample,
    "unit": Unit,
}
OWN_CLOSED = {
    (ms.signals, "by"): By,
    (ms.signals, "per"): WatchedPer,
    (ms.compare_response, "method"): RiskDifferenceMethod,
    (ms.subgroup_response, "method"): RiskDifferenceMethod,
}
FIRST_WITH = {
    setting: question
    for question in reversed(QUESTIONS)
    for setting in question.settings
    if setting.argument not in CLOSED and (question.analysis, setting.argument) not in OWN_CLOSED
}
"""Settings whose values no list of the code names, and the first question that has each."""


@pytest.fixture(scope="module")
def clinic() -> Dataset:
    return ms.simulate(150, seed=1)


@pytest.fixture
def panel(clinic: Dataset) -> Explorer:
    panel = ms.explore(clinic)
    panel.controls.ask(BY_NAME["retention"])
    return panel


def run(call: str, clinic: Dataset) -> ms.Result:
    """Run the line that the panel shows, as a reader who copied it would."""
    result = eval(call, {"ms": ms, "clinic": clinic})  # noqa: S307 - the line is the panel's own
    assert isinstance(result, ms.Result)
    return result


def text(widget: Any) -> str:
    return " ".join(
        html.unescape(re.sub(r"<style.*?</style>|<[^>]+>", " ", widget.value, flags=re.DOTALL)).split()
    )


def shown_call(panel: Explorer) -> str:
    return html.unescape(re.findall(r"<code>(.*?)</code>", panel.code.value)[0])


def test_the_panel_opens_with_a_table_a_figure_and_the_call(clinic: Dataset) -> None:
    panel = ms.explore(clinic)
    assert shown_call(panel) == panel.call == "ms.response(clinic)"
    assert "share of courses that met the responder rule" in text(panel.table)
    assert panel.figure.value.startswith('<img src="data:image/png;base64,')
    assert text(panel.message).endswith("data cut 2025-06-30")


def test_every_question_is_a_public_analysis() -> None:
    assert all(getattr(ms, name) is each.analysis for name, each in BY_NAME.items())
    assert len({each.text for each in QUESTIONS}) == len(QUESTIONS)
    assert max(len(each.text) for each in QUESTIONS) <= 38  # more would be cut off in the list
    assert TOPICS == ("Response", "Side effects", "Dropout and schedule", "Who was treated")


@pytest.mark.parametrize("question", QUESTIONS, ids=lambda each: each.analysis.__name__)
def test_settings_are_arguments_and_offer_all_their_values(question: Question, clinic: Dataset) -> None:
    controls = Controls(clinic, lambda: None)
    controls.ask(question)
    arguments = signature(question.analysis).parameters
    for setting in question.all_settings():
        assert setting.argument in arguments
        closed = OWN_CLOSED.get((question.analysis, setting.argument), CLOSED.get(setting.argument))
        if closed and not callable(setting.options):
            assert set(setting.options.values()) - {None} == set(get_args(closed))
        if setting.only_with:
            assert setting.only_with[0] in {each.argument for each in question.settings}
        default = question.default(setting.argument)
        if setting.argument in controls.settings and default is not NEEDED and not setting.start:
            assert default in controls.settings[setting.argument].values
    assert ("by" in arguments) == bool(question.by_tables) or question.analysis is ms.signals


@pytest.mark.parametrize("question", QUESTIONS, ids=lambda each: each.analysis.__name__)
def test_the_call_shown_runs_and_gives_the_numbers_shown(
    question: Question, panel: Explorer, clinic: Dataset
) -> None:
    with panel.controls.quietly():
        panel.controls.ask(question)
        panel.controls.filters["clinic_id"].choose(("K01",))
        if question.by_tables:
            panel.controls.by.choose("indication")
    panel.draw()
    assert panel.result is not None, text(panel.message)
    assert not question.by_tables or panel.result.groups[0] == "indication"
    pd.testing.assert_frame_equal(run(shown_call(panel), clinic).estimates, panel.result.estimates)


@pytest.mark.parametrize(
    ("setting", "question"), FIRST_WITH.items(), ids=lambda each: getattr(each, "label", "")
)
def test_every_value_of_a_setting_can_be_asked(setting: Setting, question: Question, clinic: Dataset) -> None:
    """Asked of the first question that has it, with all else as it starts."""
    controls = Controls(clinic, lambda: None)
    controls.ask(question)
    if setting.only_with:
        controls.settings[setting.only_with[0]].choose(setting.only_with[1])
    if setting is settings.REFERENCE:
        controls.settings["group"].choose("arm")
    choice = controls.settings[setting.argument]
    assert len(choice.values) > 1
    for value in choice.values:
        choice.choose(value)
        if value != choice.start and choice.values.index(value) < 6:
            asked = controls.asked
            assert asked.arguments[setting.argument] == value
            assert asked.question.analysis(clinic, **asked.arguments).spec["cutoff"] == "2025-06-30"


def test_a_filter_restricts_what_is_counted(panel: Explorer, clinic: Dataset) -> None:
    panel.controls.ask(BY_NAME["disposition"])
    panel.controls.filters["indication"].choose(("melasma",))
    courses = clinic.table("courses")
    kept = courses[courses["indication"] == "melasma"]
    assert text(panel.message).startswith(f"{len(kept)} courses of {kept['patient_id'].nunique()} patients")
    assert panel.call == 'ms.disposition(clinic.where(indication="melasma"))'
    assert panel.result is not None
    assert set(panel.result.estimates["denominator"].dropna()) == {len(kept)}


def test_several_filters_and_a_period_stand_in_the_call(panel: Explorer) -> None:
    panel.controls.filters["indication"].choose(("melasma",))
    panel.controls.filters["clinic_id"].choose(("K01",))
    panel.controls.first.value = dt.date(2024, 1, 1)
    expected = 'clinic.where(indication="melasma", clinic_id="K01", started=("2024-01-01", None))'
    assert panel.call == f"ms.retention({expected})"
    panel.controls.first.value = None
    panel.controls.filters["clinic_id"].choose("all")
    assert panel.call == 'ms.retention(clinic.where(indication="melasma"))'


def test_two_groups_and_settings_stand_in_the_call(panel: Explorer, clinic: Dataset) -> None:
    controls = panel.controls
    controls.ask(BY_NAME["adverse_event_rates"])
    controls.by.choose("sex")
    controls.then_by.choose("phase")
    controls.settings["per"].choose("session")
    controls.settings["conf_level"].choose(0.9)
    assert panel.call == 'ms.adverse_event_rates(clinic, by=["sex", "phase"], per="session", conf_level=0.9)'
    assert panel.result is not None
    assert panel.result.spec["arguments"]["conf_level"] == 0.9
    pd.testing.assert_frame_equal(run(panel.call, clinic).estimates, panel.result.estimates)


def test_what_is_not_recorded_can_be_chosen(panel: Explorer, clinic: Dataset) -> None:
    panel.controls.filters["arm"].choose((None,))
    assert panel.call == "ms.retention(clinic.where(arm=None))"
    assert text(panel.message).startswith(f"{clinic.table('courses')['arm'].isna().sum()} courses")


def test_a_default_is_left_out_and_no_groups_is_said_where_it_is_none(panel: Explorer) -> None:
    panel.controls.ask(BY_NAME["adherence"])
    assert panel.call == "ms.adherence(clinic)"  # its own default is by phase
    panel.controls.by.choose(None)
    assert panel.call == "ms.adherence(clinic, by=None)"


def test_another_question_keeps_what_it_can(panel: Explorer) -> None:
    panel.controls.ask(BY_NAME["adherence"])
    panel.controls.by.choose("phase")
    panel.controls.filters["indication"].choose(("melasma",))
    panel.controls.settings["conf_level"].choose(0.99)
    panel.controls.ask(BY_NAME["hazard_by_phase"])  # it has no grouping by phase
    assert panel.call == 'ms.hazard_by_phase(clinic.where(indication="melasma"), conf_level=0.99)'


def test_the_day_of_dropout_is_asked_of_days_only(panel: Explorer) -> None:
    controls = panel.controls
    assert "dropout_date" not in controls.settings
    controls.settings["time"].choose("day")
    controls.settings["dropout_date"].choose("first_missed")
    assert panel.call == 'ms.retention(clinic, time="day", dropout_date="first_missed")'
    controls.settings["time"].choose("session")
    assert panel.call == "ms.retention(clinic)"


def test_the_groups_to_compare_with_are_those_of_the_column(panel: Explorer, clinic: Dataset) -> None:
    controls = panel.controls
    controls.ask(BY_NAME["compare_response"])
    controls.settings["reference"].choose("B")
    assert panel.call == 'ms.compare_response(clinic, reference="B")'
    controls.settings["group"].choose("clinic_id")
    clinics = set(clinic.table("courses")["clinic_id"].dropna())
    assert set(controls.settings["reference"].values) == clinics | {None}
    assert panel.call == 'ms.compare_response(clinic, group="clinic_id")'


def test_a_question_without_groups_hides_them_and_keeps_them_for_the_next(panel: Explorer) -> None:
    panel.controls.by.choose("sex")
    panel.controls.ask(BY_NAME["signals"])
    assert panel.controls._groups.layout.display == "none"
    assert panel.call == 'ms.signals(clinic, by="practitioner_id")'
    panel.controls.ask(BY_NAME["disposition"])
    assert panel.controls._groups.layout.display is None
    assert panel.call == 'ms.disposition(clinic, by="sex")'


def test_a_default_is_not_carried_to_another_question(panel: Explorer) -> None:
    """Retention counts in sessions unless told otherwise, time to response in days: neither was the reader's choice."""
    panel.controls.ask(BY_NAME["time_to_response"])
    assert panel.call == "ms.time_to_response(clinic)"
    panel.controls.settings["time"].choose("session")
    panel.controls.ask(BY_NAME["dropout_reasons"])
    assert panel.call == "ms.dropout_reasons(clinic)"


def test_a_topic_offers_its_questions(panel: Explorer) -> None:
    panel.controls.topic.choose("Side effects")
    assert [each.topic for each in panel.controls.question.values] == ["Side effects"] * 12
    assert panel.call == "ms.adverse_event_overview(clinic)"


def test_it_starts_with_the_declared_endpoint(clinic: Dataset) -> None:
    declared = clinic.where()
    declared.endpoint = 100
    panel = ms.explore(declared)
    assert panel.call == "ms.response(clinic, endpoint=100)"
    panel.controls.settings["endpoint"].choose("end_of_course")
    assert panel.call == "ms.response(clinic)"
    panel.controls.ask(BY_NAME["change_by_visit"])
    assert panel.controls.settings["visits"].value == (33, 66, 100)


def test_the_declared_endpoint_reaches_the_page(
    clinic: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    declared = clinic.where()
    declared.endpoint = 100
    hand_over(Opened(declared, [], ms.validate(declared), 100), tmp_path)
    monkeypatch.setenv(VARIABLE, str(tmp_path))
    assert ms.open_clinic().clinic.endpoint == 100


def test_another_form_of_the_figure_does_not_compute_again(
    panel: Explorer, monkeypatch: pytest.MonkeyPatch
) -> None:
    panel.controls.ask(BY_NAME["adherence"])
    before, figure = panel.result, panel.figure.value
    monkeypatch.setattr(panel._desk, "_compute", None)
    assert panel.form.values == [None, "forest"]
    panel.form.choose("forest")
    assert panel.result is before
    assert panel.figure.value != figure
    assert shown_call(panel) == 'ms.plot(ms.adherence(clinic), kind="forest")'
    assert panel.call == "ms.adherence(clinic)"
    panel.form.choose(None)
    assert panel.figure.value == figure


def test_the_form_is_asked_only_where_there_are_several(panel: Explorer) -> None:
    assert panel.form.widget.layout.display == "none"
    panel.controls.ask(BY_NAME["disposition"])
    assert panel.form.widget.layout.display is None


def test_a_second_group_waits_for_the_first(panel: Explorer) -> None:
    controls = panel.controls
    assert controls.then_by.widget.layout.display == "none"
    controls.by.choose("sex")
    controls.then_by.choose("clinic_id")
    assert "sex" not in controls.then_by.values
    controls.by.choose("clinic_id")  # the second group must not be the first again
    assert panel.call == 'ms.retention(clinic, by="clinic_id")'
    assert text(panel.message)


def test_no_course_is_one_line_and_nothing_is_shown(panel: Explorer) -> None:
    panel.controls.first.value = dt.date(2090, 1, 1)
    assert text(panel.message) == "No course fits these filters: widen the period or choose “all”"
    assert 'role="alert"' in panel.message.value
    assert (panel.result, panel.table.value, panel.figure.value) == (None, "", "")
    panel.controls.first.value = None
    assert panel.result is not None
    assert 'role="alert"' not in panel.message.value


def test_a_reversed_period_is_one_line(panel: Explorer) -> None:
    panel.controls.first.value = dt.date(2024, 6, 1)
    panel.controls.last.value = dt.date(2024, 1, 1)
    assert text(panel.message) == "Started is from a day to a later one, found 2024-06-01 to 2024-01-01"


def test_what_an_analysis_refuses_is_one_line_without_markup(clinic: Dataset) -> None:
    courses = clinic.table("courses").assign(estimate="<b>high</b>")
    courses.loc[::2, "estimate"] = "low"
    tables = {name: clinic.table(name) for name in clinic.names} | {"courses": courses}
    panel = ms.explore(type(clinic)(**tables))
    panel.controls.by.choose("estimate")  # a name that the result needs for itself
    assert panel.result is None
    assert "estimate" in text(panel.message)
    panel.controls.by.choose(None)
    assert panel.result is not None


def test_an_unforeseen_error_is_shown_and_not_hidden(
    panel: Explorer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(_: Asked, __: str | None) -> None:
        msg = "secret of a patient"
        raise RuntimeError(msg)

    monkeypatch.setattr(panel._desk, "answer", broken)
    with pytest.raises(RuntimeError):
        panel.draw()
    assert text(panel.message) == "This could not be computed (RuntimeError)"


def test_values_of_the_data_are_escaped() -> None:
    demo = ms.simulate(60, seed=1)
    tables = {name: demo.table(name) for name in demo.names}
    odd = '<img src=x onerror="alert(1)">'
    changed = tables["courses"].assign(
        clinic_id=[odd, "K2"] * (len(tables["courses"]) // 2) + ["K2"] * (len(tables["courses"]) % 2)
    )
    clinic = type(demo)(**tables | {"courses": changed})
    panel = ms.explore(clinic)
    panel.controls.filters["clinic_id"].choose((odd,))
    panel.controls.by.choose("clinic_id")
    assert panel.result is not None
    for part in (panel.code, panel.message, panel.figure, panel.table):
        assert "<img src=x" not in part.value
    pd.testing.assert_frame_equal(run(shown_call(panel), clinic).estimates, panel.result.estimates)


def test_a_question_without_its_table_says_so(clinic: Dataset) -> None:
    tables = {name: clinic.table(name) for name in ("patients", "courses", "sessions")}
    panel = ms.explore(type(clinic)(**tables))
    assert panel.call == "ms.retention(clinic)"  # the first that can be answered
    for question in QUESTIONS:
        if question.needs:
            panel.controls.ask(question)
            assert panel.result is None
            assert text(panel.message).startswith(f"The table '{question.needs}' is absent")


def test_a_question_that_nothing_can_be_chosen_for_says_so(clinic: Dataset) -> None:
    tables = {name: clinic.table(name) for name in clinic.names}
    outcomes = tables["outcomes"].assign(instrument="gais")  # its direction is not declared
    panel = ms.explore(type(clinic)(**tables | {"outcomes": outcomes}))
    panel.controls.ask(BY_NAME["compare_grades"])
    assert text(panel.message).startswith("No assessment is by an instrument with at most 50 grades")
    courses = tables["courses"].drop(columns="protocol")
    panel = ms.explore(type(clinic)(**tables | {"courses": courses}))
    panel.controls.ask(BY_NAME["predicted_retention"])
    assert text(panel.message) == "No course has a protocol that the vocabulary knows"


def test_filters_are_of_columns_that_vary(clinic: Dataset) -> None:
    options = filter_options(clinic.where(arm="A"))
    assert "arm" not in options
    assert set(options["clinic_id"].values()) == set(clinic.table("courses")["clinic_id"])
    assert options["indication"]["Wrinkles and fine lines"] == "wrinkles"


def test_two_codes_of_one_label_stay_two(clinic: Dataset) -> None:
    tables = {name: clinic.table(name) for name in clinic.names}
    renamed = tables["courses"]["indication"].replace({"melasma": "Wrinkles and fine lines"})
    mixed = type(clinic)(**tables | {"courses": tables["courses"].assign(indication=renamed)})
    values = list(filter_options(mixed)["indication"].values())
    assert sorted(values) == sorted(set(renamed))


def test_groups_are_neither_keys_nor_what_came_out(clinic: Dataset) -> None:
    offered = set(Offers(clinic).groups(BY_NAME["adverse_event_rates"]).values())
    assert {None, "phase", "indication", "sex", "technique", "substance_class"} <= offered
    assert not offered & {
        "patient_id",
        "course_id",
        "session_id",
        "status",
        "end_reason",
        "birth_year",
        "date",
    }
    assert "technique" not in Offers(clinic).groups(BY_NAME["retention"]).values()


def test_a_choice_that_is_not_there_is_refused(panel: Explorer) -> None:
    with pytest.raises(ValueError, match="'Indication' cannot be 'melasm'"):
        panel.controls.filters["indication"].choose("melasm")


def test_a_column_that_is_no_word_still_makes_a_line_that_runs(clinic: Dataset) -> None:
    tables = {name: clinic.table(name) for name in clinic.names}
    courses = tables["courses"].assign(**{"day of week": tables["courses"]["start_date"].dt.day_name()})
    changed = type(clinic)(**tables | {"courses": courses})
    asked = Asked(BY_NAME["retention"], filters=(("arm", "A"), ("day of week", "Monday")))
    assert asked.call == 'ms.retention(clinic.where(arm="A", **{"day of week": "Monday"}))'
    assert run(asked.call, changed).spec["analysis"] == "retention"


def test_changes_in_quick_succession_draw_once(panel: Explorer, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[str] = []
    monkeypatch.setattr(panel, "draw", lambda: drawn.append(panel.call))

    async def hurry() -> None:
        for column in ("sex", "clinic_id", "indication"):
            panel.controls.by.choose(column)
        assert text(panel.message).startswith("Counting …")
        assert "mesostats-busy" in panel.message.value
        assert "mesostats-old" in panel.figure._dom_classes  # it does not answer what is chosen now
        await asyncio.sleep(0.5)

    asyncio.run(hurry())
    assert drawn == ['ms.retention(clinic, by="indication")']


def test_what_was_asked_before_is_not_computed_again(panel: Explorer) -> None:
    first = panel.result
    panel.controls.by.choose("sex")
    panel.controls.by.choose(None)
    assert panel.result is first


def test_the_panel_closes_its_figures(panel: Explorer) -> None:
    from matplotlib import pyplot as plt  # noqa: PLC0415 - for this test only

    before = plt.get_fignums()
    panel.controls.by.choose("sex")
    assert plt.get_fignums() == before


def test_a_cell_shows_the_panel(panel: Explorer) -> None:
    assert "application/vnd.jupyter.widget-view+json" in panel._repr_mimebundle_()
