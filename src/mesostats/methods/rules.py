"""The rules of a result's ``spec`` in the words of a paper: whole sentences in the past tense, without codes."""

from __future__ import annotations

import re
from typing import Final

_SENTENCES: Final = {
    # Response and measurements.
    r"Baseline: (.*)": r"Baseline was the \1",
    r"Baseline scores: the last assessment (.*)": r"Baseline scores were those of the last assessment \1",
    r"Endpoint: (.*)": r"The endpoint was the \1",
    r"Later: (.*)": r"Later response was read at \1",
    r"Visits: the (.*)": r"The measurement of a visit was the \1",
    r"(Lower|Higher) is better, so that an improvement is (\w+): (.*)": r"An improvement is a \2 change on: \3",
    r"Groups compared (.*) \((analysis of covariance)\)\.": r"Groups were compared \1 by \2.",
    r"Model: .*, adjusted for (.*)": r"The model was adjusted for \1",
    r"Compared over: (.*)": r"Groups were compared over \1",
    r"Strata: the levels of (.*); those (.*), compare nothing\.": r"Strata were the levels of \1; those \2, contributed nothing.",
    r"Adjusted for nothing: .*": "Estimates were adjusted for nothing.",
    r"Adjusted for (.*)": r"Estimates were adjusted for \1",
    r"(\w)(\S+) strategy: (.*)": r"The strategy “\1\2” reads: \3",
    r"Models of missing outcomes are fitted within each group and instrument: (.*)": r"Models of missing outcomes were fitted within each group and instrument with these covariates: \1",
    r"These use what was known (.*)": r"They used what was known \1",
    r"Where fewer than a tenth of the courses were still followed, .*": "Curves end where fewer than a tenth of the courses were still followed [@pocock2002].",
    r"responded_before_dropout and .*": "In a further analysis dropout without a response competed with response; there courses never assessed counted too.",
    r"Sessions: days with an attended session (.*?); what came later is not used\.": r"Sessions received were counted as days with an attended session \1; what came later was not used.",
    r"In treatment at the landmark: a session was attended after it\. (.*)": r"A course was in treatment at the landmark if a session was attended after it. \1",
    r"Trend: by how much response differs (.*)\. It is adjusted for nothing\.": r"The trend was the difference in response \1, adjusted for nothing.",
    r"naive_.*": "Beside it courses were grouped by their final number of sessions, which misleads: those who respond may stay longer (immortal time).",
    r"Subgroups are exploratory.*": "Subgroup analyses were exploratory, to be read by their tests of interaction [@wang2007].",
    r"Numbers: (.*?) of those recorded\. Categories: share of those recorded\.": r"Numbers were summarized by their \1, and categories by shares, of those recorded.",
    r"Standardized difference: the largest between any two groups, in standard deviations.*": "The standardized difference is the largest between any two groups, in standard deviations; above 0.1 it is often called imbalance.",
    r"No p values: .*": "No p values were computed for differences at baseline.",
    r"A published error is taken .*?; (where a range is published, both ends are shown)\.": "A published measurement error was taken as the smallest detectable change.",
    # Side effects.
    r"Treatment-emergent: (.*)": r"Side effects were treatment-emergent \1",
    r"Serious is as recorded, (.*)": r"Seriousness was taken as recorded and \1",
    r"Units where nobody asked are left out of the estimate(?: \(n_missing\))?\.": "Patients or sessions where nobody had asked about side effects were left out of the estimate.",
    r"Day 1 is the day of the patient's first attended session in the group; .*": "Times to side effects count from day 1, the day of the patient's first attended session in the group.",
    r"Observation ends with (.*)": r"Observation for times to side effects ended with \1",
    r"The test takes groups as independent: .*": "Tests between curves took groups as independent, so that a patient of several groups counted in each.",
    r"A patient's events are alike: standard errors and intervals are by patients\.": "For onsets and durations, standard errors and intervals were by patients, whose events are alike.",
    r"Time at risk ends with the day of the first event; (.*)": r"For rates of first events, time at risk ended with the day of the first event; \1",
    r"Time at risk does not end with an event; (.*)": r"For rates of all events, time at risk did not end with an event; \1",
    r"Stopped because of side effects: .*": "Treatment counted as stopped because of side effects where a course was recorded as discontinued for that reason by the data cut.",
    r"incidence_proportion counts (.*?): if (.*)\.": r"The incidence proportion counts \1, and is if \2.",
    r"one_minus_kaplan_meier takes (.*?): if (.*)\.": r"One minus Kaplan-Meier takes \1, and is if \2.",
    r"aalen_johansen lets (.*?): the one to quote\.": r"The Aalen-Johansen estimate lets \1; it was the primary one.",
    r"rate_transform is .*": "The rate transform, 1 - exp(-rate x day), also takes the rate as constant.",
    r"rate_transform_competing takes .*": "The rate transform with competing ends takes the rates of the event and of the competing ends as constant.",
    r"A patient whose event has no known onset is left out.*": "A patient whose event had no known onset was left out.",
    r"Each event counts, several on one day too\. .*": "Each event counted, several on one day too; completion and dropout ended observation as censoring does.",
    r"Events unresolved when .*": "Events unresolved at the end of the patient's observation were censored there, and those that ended with death, at death.",
    r"Events of unknown onset .*": "Events of unknown onset could not be placed in time and were not counted.",
    r"Held against: (.*)": r"Each was held against \1",
    r"A signal: p value of at most (\S+) after Holm's correction for (.*)": r"A signal was a p value of at most \1 after Holm's correction [@holm1979] for \2",
    r"A signal: p value of at most (\S+) after Benjamini-Hochberg's correction for (.*)": r"A signal was a p value of at most \1 after the correction of Benjamini and Hochberg [@benjamini1995] for \2",
    r"Of a care rule, kept is yes where the patient kept it: .*": "A care rule counted as kept where the patient had kept it, so that a negative difference speaks for it.",
    r"What was not recorded cannot be adjusted for: .*": "Unmeasured confounding is not excluded.",
    # Schedule and dropout.
    r"With follow_up='\w+', a session counts (.*)": r"A session counted \1",
    r"States are those of `course_states`: .*?(?: A course that was recorded as discontinued (.*?); `retention` .*)?$": "The state of a course was as recorded by the data cut, or else followed from the schedule and its grace period.",
    r"States are those of `course_states`\.": "The state of a course was as recorded by the data cut, or else followed from the schedule and its grace period.",
    r"A reason is as recorded by the data cut; .*": "The reason of a dropout was as recorded by the data cut; courses overdue without a record, and those without a recorded reason, were kept apart.",
    r"Completion is censoring, as in `retention`: .*": "Completion was censoring, so that the incidences of all reasons and retention sum to 1.",
    r"Completion is an end of its own: .*": "Completion was an end of its own, so that the incidences of all reasons, completion and those still in treatment sum to 1.",
    r"p values of Gray's tests are adjusted \(Benjamini-Hochberg\) over the reasons\.": "P values of Gray's tests were adjusted over the reasons by the procedure of Benjamini and Hochberg [@benjamini1995].",
    r"A course is completed as in `course_states`; its end is .*": "The end of a completed course was its last attended session.",
    r"Base case: dropout at (.*), the protocols' grace, settled follow-up\.": r"In the base case dropout was at \1, with the protocols' grace and settled follow-up.",
    r"A session is due for a course that came to it, (.*); the first one is left out\.": r"For what precedes stopping, a session is due for a course that came to it, \1; the first session is left out.",
    r"All covariates are as they were at the last session held: .*": "Covariates are as they were at the last session held, so that nothing comes from the future.",
    r"A slot's window moves with .*": "The window of each planned session was counted from the session really held before it.",
    r"A slot's window stays .*": "The window of each planned session was counted from the start of the course.",
    r"A slot is due once .*": "A planned session was due once it was held, or its window had closed before the data cut.",
    r"The planned slots that follow a dropout .*": "Planned sessions after a dropout were due as their windows closed, and counted as missed.",
    r"Unscheduled visits hold no slot: .*": "Unscheduled visits were counted apart, among all attended visits.",
    r"A gap has the window of the slot .*": "A gap was judged by the window of the planned session that its later session held, where there was one.",
    r"Quantiles and lengths are of all gaps\.": "Quantiles were of all gaps.",
    r"Courses that go on are left out \(n_missing\): .*": "Courses that went on at the data cut were left out: short courses end early, so that the mean would be too low.",
    r"Courses that go on count with .*": "Courses that went on at the data cut counted with what they had received so far.",
    r"Due in a phase: .*": "A course was due in a phase if all sessions of the phases before had been attended and it had a session of the phase planned.",
    r"A course ends, or waits, in the phase .*": "A course ended, or waited, in the phase of its next session.",
    r"Recorded as discontinued after all planned sessions: .*": "Courses recorded as discontinued after all planned sessions counted as dropped out after the plan.",
    r"Whoever came to all planned sessions completed the course.*": "Whoever had come to all planned sessions had completed the course, even where it was recorded as discontinued afterwards.",
    r"Completed and ongoing courses are censored; (.*?ongoing)\. Whoever .*": r"Completed and ongoing courses are censored; \1, and whoever had come to all planned sessions had completed it.",
    r"A hazard is per due session: .*": "Hazards were per due session.",
    r"Side effect so far: any of the course (.*)": r"A side effect so far was any of the course \1",
    r"Response: any assessment (.*) met (.*)": r"Response so far was any assessment \1 that met \2",
}
_FOR_READERS: Final = (
    "p values adjusted",
    "p values of interaction tests adjusted",
    "Of a curve",
    "The denominator",
    "The numerator",
    "Denominators of",
    "Of a share",
    "Where few were assessed",
    "Due in a phase less",
    "In sessions the dropout date",
    "Above 1 (odds ratios)",
)
_PAST: Final = {
    "is": "was",
    "are": "were",
    "has": "had",
    "have": "had",
    "counts": "counted",
    "count": "counted",
    "takes": "took",
    "belongs": "belonged",
    "that ends": "that ended",
    "competes": "competed",
    "cannot": "could not",
    "needs": "needed",
    "closes": "closed",
    "goes on": "went on",
    "holds": "held",
}
_TENSE: Final = re.compile(r"\b(" + "|".join(sorted(_PAST, key=len, reverse=True)) + r")\b")
_CODE: Final = re.compile(r"\b[A-Za-z]+(?:_[A-Za-z]+)+\b")
_TIMELESS: Final = re.compile(
    r"^(?:An improvement is|The standardized difference is|The strategy |Unmeasured|.* takes? |The incidence proportion|The Aalen)"
)
_INSTRUMENT: Final = re.compile(
    r"^(?P<label>.*): (?P<rule>at least \S+(?: %)? better than baseline|\S+ or (?:better|less|more))(?: \((?:source: )?(?P<source>.*)\))?\.$"
)


def responder_rule(rule: str) -> tuple[str, str, str] | None:
    """Return an instrument, what made a course a responder and where that comes from, if a rule says it.

    Examples
    --------
    >>> responder_rule("Hair pull test, hairs out of 60: 2 or less (source: McDonald 2017).")
    ('Hair pull test, hairs out of 60', '2 or less', 'McDonald 2017')
    >>> responder_rule("Endpoint: day 84.") is None
    True
    """
    match = _INSTRUMENT.match(rule)
    return None if match is None else (match["label"], match["rule"], match["source"] or "")


def sentence_of(rule: str) -> str:
    """Return a rule as a paper says it, in the past tense; empty where it only helps to read a table.

    Examples
    --------
    >>> sentence_of("Baseline: last assessment on or before the first attended session.")
    'Baseline was the last assessment on or before the first attended session.'
    >>> sentence_of("An event without a session is ascribed to the last one; its day_of_onset counts (n_missing).")
    'An event without a session was ascribed to the last one; its day of onset counted.'
    """
    if rule.startswith(_FOR_READERS):
        return ""
    for pattern, sentence in _SENTENCES.items():
        match = re.fullmatch(pattern, rule)
        if match is not None:
            return past(match.expand(sentence))
    return past(rule)


def past(text: str) -> str:
    """Return a definition or rule in the past tense, its codes as words."""
    words = _CODE.sub(
        lambda code: code[0].replace("_", " "), text.replace(" (n_missing)", "").replace("`", "")
    )
    return words if _TIMELESS.match(words) else _TENSE.sub(lambda verb: _PAST[verb[0]], words)
