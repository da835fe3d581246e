"""What each analysis asks, in a sentence of a methods section, and the chapter that it belongs to."""

from __future__ import annotations

from typing import Final

RESPONSE: Final = "Response"
SIDE_EFFECTS: Final = "Side effects"
SCHEDULE: Final = "Dropout and visits"
OTHER: Final = "Further analyses"
CHAPTERS: Final = (RESPONSE, SIDE_EFFECTS, SCHEDULE, OTHER)

QUESTIONS: Final = {
    RESPONSE: {
        "baseline_table": "Groups were described at baseline, and differences between them by standardized differences [@austin2009].",
        "response": "Response was the share of courses that met the responder rule of their instrument.",
        "response_scenarios": "Response was estimated again under each way of dealing with outcomes that were not assessed.",
        "tipping_point": "The assumption about outcomes that were not assessed was varied over all that is possible, to find where the conclusion changes (tipping point) [@yan2009].",
        "compare_response": "Response was compared between groups.",
        "subgroup_response": "Response was compared between groups within subgroups [@wang2007].",
        "compare_grades": "Grades were compared between groups as ordered categories.",
        "change_from_baseline": "Change was the value at the endpoint less the value at baseline.",
        "change_by_visit": "Change from baseline was followed visit by visit.",
        "change_beyond_error": "Changes were held against the error of measurement [@bland1996] and against regression to the mean [@davis1976].",
        "time_to_response": "The time to the first response was analysed as interval-censored: it lies between two assessments.",
        "durability": "Of the responders at the end of the course, those still responding later were counted.",
        "response_by_sessions": "Response was related to the sessions received by a landmark [@anderson1983], so that the time needed to receive them could not bias it (immortal time) [@suissa2008].",
    },
    SIDE_EFFECTS: {
        "adverse_event_overview": "Patients with side effects of any kind, serious ones, and those leading to the end of treatment were counted as ICH E3 asks [@e3].",
        "adverse_event_profile": "Side effects were tabulated by class and term at the worst severity as ICH E3 asks [@e3].",
        "adverse_event_rates": "Side effects were counted over all who were treated, never over the list of events.",
        "compare_adverse_events": "Side effects were compared between groups.",
        "cumulative_incidence": "The time to the first side effect was analysed with completion and dropout as competing ends.",
        "time_to_first_event": "The time to the first side effect was analysed with completion and dropout as censoring.",
        "mean_cumulative_events": "The mean number of side effects by each day was estimated, repeated ones too.",
        "onset_after_session": "Days from the session to the onset of its side effects were counted.",
        "event_durations": "The days until side effects were over were analysed, those not over as censored.",
        "adverse_event_estimators": "Five estimators of the risk of a side effect were set side by side, as in the SAVVY project [@stegherr2021; @rufibach2023].",
        "signals": "Units with more events than chance explains were searched for.",
        "care_rule_effects": "Risks of side effects were compared between sessions where a care rule was kept and where it was not.",
        "exposure_effect": "Risks of side effects were compared between exposures, crude and adjusted.",
    },
    SCHEDULE: {
        "retention": "Retention was the probability of still being in treatment.",
        "dropout_by_session": "Dropout was the probability that a course, due for a session of its schedule, was given up before it.",
        "hazard_by_phase": "The hazard of dropout a session was averaged over the sessions of each phase.",
        "dropout_reasons": "Reasons of dropout were analysed as competing with one another.",
        "dropout_model": "Dropout at the next session was modelled by what was known at the last one held, so that nothing needs the future (immortal time) [@suissa2008].",
        "predicted_retention": "Retention was predicted from the model of dropout for chosen profiles.",
        "before_stopping": "What preceded stopping was compared with what preceded coming to the same sessions.",
        "dropout_sensitivity": "Retention was estimated again under other choices of counting.",
        "return_for_repeat": "The time from a completed course to the patient's next one was analysed.",
        "disposition": "The state of every course at the data cut was counted as CONSORT asks [@schulz2010].",
        "patient_flow": "The flow of courses through the schedule was counted as CONSORT asks [@schulz2010].",
        "adherence": "Sessions that were due were classed as held on time, early or late, or as missed.",
        "session_gaps": "Days between consecutive sessions of a course were counted.",
        "sessions_received": "Sessions received were counted against those planned.",
        "course_histories": "Courses were drawn one by one (swimmer plot) [@chia2016].",
    },
}
"""Chapter → analysis → what it asks. A new analysis needs a line here; without one its title stands in its place."""


def chapter_of(analysis: str) -> str:
    """Return the chapter that an analysis belongs to."""
    return next((chapter for chapter, asked in QUESTIONS.items() if analysis in asked), OTHER)


def question_of(analysis: str) -> str:
    """Return what an analysis asks; empty where nothing is known of it."""
    return QUESTIONS.get(chapter_of(analysis), {}).get(analysis, "")
