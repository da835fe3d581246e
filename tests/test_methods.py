"""The methods section: of the analyses that were run, in whole sentences, with references that are numbered as they are cited."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import mesostats as ms
from mesostats import estimators, methods
from mesostats.methods.bibliography import WORKS, key_of
from mesostats.methods.parts import Part, keys_of
from mesostats.methods.procedures import sentences_of
from mesostats.methods.questions import QUESTIONS
from mesostats.methods.rules import sentence_of
from mesostats.methods.text import MIME, MethodsText, collected

if TYPE_CHECKING:
    from collections.abc import Callable

    from mesostats import Result

ANALYSES: dict[str, Callable[[Any], Result]] = {
    "adherence": ms.adherence,
    "adherence to the plan": lambda c: ms.adherence(c, anchor="plan", by="indication"),
    "estimators": ms.adverse_event_estimators,
    "overview": ms.adverse_event_overview,
    "profile": ms.adverse_event_profile,
    "rates": lambda c: ms.adverse_event_rates(c, by="indication", method="jeffreys"),
    "rates a session": lambda c: ms.adverse_event_rates(c, of="class", per="session"),
    "rates a month": lambda c: ms.adverse_event_rates(c, per="patient_month"),
    "all events a month": lambda c: ms.adverse_event_rates(c, per="patient_month", events="all"),
    "baseline": lambda c: ms.baseline_table(c, by="arm"),
    "before stopping": ms.before_stopping,
    "care rules": lambda c: ms.care_rule_effects(c, method="iptw"),
    "error": lambda c: ms.change_beyond_error(c, reliability=0.8, population_mean=5),
    "visits": lambda c: ms.change_by_visit(c, by=None, group="arm", visits=[30, 90], window="nearest"),
    "change": ms.change_from_baseline,
    "change compared": lambda c: ms.change_from_baseline(c, by=None, group="arm", endpoint=84),
    "side effects compared": lambda c: ms.compare_adverse_events(c, group="arm"),
    "in sessions": lambda c: ms.compare_adverse_events(c, group="arm", of="class", per="session"),
    "in months": lambda c: ms.compare_adverse_events(
        c, group="arm", of="any", per="patient_month", events="all", multiplicity="holm"
    ),
    "in a model": lambda c: ms.compare_adverse_events(
        c, group="arm", of="any", per="patient_month", events="all", model="negative_binomial"
    ),
    "visits of few": lambda c: ms.change_by_visit(
        c, by=None, group="arm", visits=[30, 90], instrument="masi", small_sample="kenward_roger"
    ),
    "in strata": lambda c: ms.compare_adverse_events(c, group="arm", of="any", strata="sex"),
    "grades": lambda c: ms.compare_grades(c, instrument="fine_lines", strata="sex"),
    "response compared": lambda c: ms.compare_response(c, method="newcombe"),
    "response in strata": lambda c: ms.compare_response(c, strata="sex"),
    "response adjusted": lambda c: ms.compare_response(c, adjust="sex"),
    "response weighted": lambda c: ms.compare_response(c, adjust="sex", adjustment="iptw"),
    "histories": ms.course_histories,
    "incidence": lambda c: ms.cumulative_incidence(c, by="indication"),
    "disposition": ms.disposition,
    "steps": lambda c: ms.dropout_by_session(c, by="protocol"),
    "model": lambda c: ms.dropout_model(c, covariates=["phase", "response"], link="logit", robust="hc1"),
    "reasons": lambda c: ms.dropout_reasons(c, by="arm", completion="competing"),
    "choices": lambda c: ms.dropout_sensitivity(c, at=4),
    "durability": ms.durability,
    "durations": lambda c: ms.event_durations(c, of="class"),
    "exposure": lambda c: ms.exposure_effect(
        c, outcome="bruising", exposure="technique", reference="manual_needle", adjust="indication"
    ),
    "phases": lambda c: ms.hazard_by_phase(c, by="indication"),
    "mean events": lambda c: ms.mean_cumulative_events(c, by="indication"),
    "onset": ms.onset_after_session,
    "flow": ms.patient_flow,
    "prediction": lambda c: ms.predicted_retention(
        c,
        {"usual": {"side_effect_so_far": "no"}},
        protocol="short_course",
        covariates=["session", "side_effect_so_far"],
    ),
    "response": lambda c: ms.response(c, endpoint=84),
    "last observation": lambda c: ms.response(c, endpoint="last_observation", method="agresti_coull"),
    "sessions and response": lambda c: ms.response_by_sessions(c, naive=True),
    "missing": lambda c: ms.response_scenarios(c, by=None, instrument="fine_lines"),
    "imputed measurement": lambda c: ms.response_scenarios(
        c, by=None, instrument="fine_lines", imputation=ms.Imputation(number=5, of="measurement")
    ),
    "retention": lambda c: ms.retention(c, by="indication", strata="sex"),
    "retention in days": lambda c: ms.retention(c, time="day", dropout_date="first_missed"),
    "repeat": ms.return_for_repeat,
    "gaps": ms.session_gaps,
    "received": lambda c: ms.sessions_received(c, courses="started"),
    "clinics": lambda c: ms.signals(c, by="clinic_id", of="any"),
    "lots": lambda c: ms.signals(c, by="lot", of="class", multiplicity="benjamini_hochberg"),
    "subgroups": lambda c: ms.subgroup_response(c, subgroups="sex"),
    "first events": lambda c: ms.time_to_first_event(c, by="indication"),
    "time to response": ms.time_to_response,
    "tipping": lambda c: ms.tipping_point(c, group="arm", steps=3),
    "threshold": lambda c: ms.tipping_point(c, threshold=0.3, steps=3),
}
_CODE = re.compile(r"\b[A-Za-z]+_[A-Za-z]+")


@pytest.fixture(scope="module")
def results() -> dict[str, Result]:
    clinic = ms.simulate(300, seed=1)
    return {name: analysis(clinic) for name, analysis in ANALYSES.items()}


def body(text: MethodsText) -> str:
    return "\n".join(f"{each.lead} {each.text}" for each in text.paragraphs)


def test_every_public_analysis_has_a_question_and_is_tried(results: dict[str, Result]) -> None:
    asked = {analysis for chapter in QUESTIONS.values() for analysis in chapter}
    tried = {result.spec["analysis"] for result in results.values()}
    assert tried == asked
    assert asked <= set(ms.__all__)


@pytest.mark.parametrize("name", ANALYSES)
def test_every_method_has_its_sentence_and_every_text_is_well_formed(
    name: str, results: dict[str, Result]
) -> None:
    text = ms.methods_text(results[name])
    written = body(text)
    assert "The method was" not in written
    assert not _CODE.findall(written)
    assert not re.search(r"\.\.|;\.|  |n/N|nan|None|`|@|\( |\bn_", written)
    assert not re.search(
        r"(?<=[.!?] )[a-z]", written.replace("e.g. ", "")
    )  # a sentence begins with a capital
    assert all(each.text.endswith(".") and each.text[0].isupper() for each in text.paragraphs if each.text)


@pytest.mark.parametrize("name", ANALYSES)
def test_references_are_numbered_as_they_come_each_once(name: str, results: dict[str, Result]) -> None:
    text = ms.methods_text(results[name])
    cited = [int(n) for found in re.findall(r"\[([\d,]+)\]", body(text)) for n in found.split(",")]
    assert list(dict.fromkeys(cited)) == list(range(1, len(text.references) + 1))
    assert len(set(text.references)) == len(text.references)


def test_every_reference_of_a_spec_is_known(results: dict[str, Result]) -> None:
    named = {each for result in results.values() for each in result.spec.get("references", [])}
    assert {each for each in named if key_of(each) is None} == set()


@pytest.mark.parametrize(
    ("estimates", "work"),
    [
        (estimators.proportion(1, 10, method="clopper_pearson"), "clopper1934"),
        (estimators.rate(1, 10.0, method="mid_p"), "cohen1994"),
        (estimators.rate_ratio(1, 10.0, 2, 10.0, method="mid_p"), "berry1995"),
        (estimators.discrete_hazard([5, 9, 0], [50, 45, 20]), "cutler1958"),
    ],
)
def test_methods_that_no_analysis_uses_by_default_have_their_reference(estimates: Any, work: str) -> None:
    said = sentences_of(estimates["method"].iloc[0])
    assert work in keys_of(said)
    assert not any(text.startswith("The method was") for text in said)


def test_unknown_method_is_quoted() -> None:
    assert sentences_of("Wilson score interval; by moonlight") == [
        "Proportions of independent observations were given Wilson score intervals [@wilson1927].",
        "The method was: by moonlight.",
    ]


def test_strategy_for_missing_outcomes_is_told_in_its_own_words() -> None:
    said = sentences_of(
        "Wilson score interval; read as seen last (ICH E9(R1) while-on-treatment strategy; bound)"
    )
    assert (
        said[1]
        == "Of the outcomes: read as seen last (ICH E9(R1) while-on-treatment strategy; bound) [@e9r1]."
    )


def test_bibliography_holds_no_work_twice_and_none_that_nothing_cites() -> None:
    source = "".join(path.read_text(encoding="utf-8") for path in Path(methods.__file__).parent.glob("*.py"))
    assert set(WORKS) == set(re.findall(r"@(\w+)(?=[\];])", source)) - {"key"}
    dois = [work.partition("doi:")[2] for work in WORKS.values() if "doi:" in work]
    assert len(dois) == len(set(dois))
    assert all(key_of(work) == key for key, work in WORKS.items() if "doi:" in work)


def test_shared_things_are_said_once(results: dict[str, Result]) -> None:
    several = [results[name] for name in ("overview", "profile", "rates a session", "retention")]
    written = body(ms.methods_text(*several))
    for once in ("Data were cut on", "Seriousness was taken", "two-sided", "Analyses were run with"):
        assert written.count(once) == 1


def test_the_same_result_twice_is_told_once(results: dict[str, Result]) -> None:
    one = results["retention"]
    assert str(ms.methods_text(one, one)) == str(ms.methods_text(one))


def test_what_two_results_do_in_two_ways_stays_with_each(results: dict[str, Result]) -> None:
    """Wilson in two analyses and Jeffreys in one: the common part must not claim either for all."""
    text = ms.methods_text(results["overview"], results["profile"], results["rates"])
    common = next(each.text for each in text.paragraphs if each.chapter == "Statistical analysis")
    assert "Wilson" not in common
    assert "Jeffreys" not in common
    assert body(text).count("Wilson score intervals") == 2


def test_endpoints_that_differ_stay_with_their_analyses(results: dict[str, Result]) -> None:
    text = ms.methods_text(
        *(results[name] for name in ("response", "change compared", "durability", "error"))
    )
    lines = {each.lead: each.text for each in text.paragraphs}
    assert lines["Response: share of courses that met the responder rule."].count("nearest to day 84") == 1
    assert "60 days after it" in lines["Change beyond measurement error and regression to the mean."]


def test_responder_rules_have_their_sources(results: dict[str, Result]) -> None:
    written = body(ms.methods_text(results["response"]))
    assert "Hair pull test, hairs out of 60, 2 or less (McDonald 2017)" in written
    own = ms.response(
        ms.simulate(40, seed=1), instrument="masi", rule=ms.ResponderRule(kind="percent", threshold=30)
    )
    assert "at least 30 % better than baseline (given for this analysis)" in body(ms.methods_text(own))


def test_texts_of_several_notebooks_are_joined(results: dict[str, Result]) -> None:
    first, second = results["response"], results["retention"]
    outputs = [ms.methods_text(each)._repr_mimebundle_()[MIME] for each in (first, second)]
    assert str(collected(outputs)) == str(ms.methods_text(first, second))


def test_html_has_the_same_text_and_escapes(results: dict[str, Result]) -> None:
    html = ms.methods_text(results["durability"]).to_html()
    assert html.count("<ol>") == 1
    assert "&#x27;" in html
    assert "<script" not in html


def test_nothing_to_write_about_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one result"):
        ms.methods_text()


def test_unknown_references_and_rules_are_kept_in_their_own_words(results: dict[str, Result]) -> None:
    given = results["received"]
    spec = {
        **given.spec,
        "rules": ["A new rule is as it stands."],
        "references": ["Somebody X. A journal 2024;1:1."],
    }
    written = body(ms.methods_text(ms.Result(given.estimates, spec, given.explainer)))
    assert "A new rule was as it stands." in written
    assert "See also: Somebody X. A journal 2024;1:1." in written


def test_rules_that_only_help_to_read_a_table_are_left_out() -> None:
    assert sentence_of("Of a curve, the denominator counts those at risk just before the day.") == ""
    assert Part.from_json(Part("a", "t", "2025-01-01", (0.95,), "", ("x.",), ()).to_json()).definitions == (
        "x.",
    )


def test_interval_and_factors_are_told_only_where_they_were_used() -> None:
    curve = estimators.kaplan_meier([1, 2, 3], [1, 1, 0], conf_type="log")["method"].iloc[0]
    assert not any("log-log" in text for text in sentences_of(curve))
    plain, *more = sentences_of("exact binomial test against the overall proportion")
    assert "design effect" not in plain
    assert more == []
    allowed = sentences_of(
        "exact binomial test against the overall proportion, design effect 1.31, over-dispersion 2.10 (Spiegelhalter)"
    )
    assert allowed[0] == plain
    assert len(allowed) == 3
    assert sum("design effect" in text for text in allowed) == 1
    assert sum("over-dispersion" in text for text in allowed) == 1
