"""A result → what a methods section says of it: whom it counts, what is meant, and what was computed."""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final

from mesostats.layout import label, readable
from mesostats.methods.bibliography import WORKS, key_of
from mesostats.methods.procedures import sentences_of
from mesostats.methods.questions import question_of
from mesostats.methods.rules import past, responder_rule, sentence_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from mesostats.results import Result

CITATION: Final = re.compile(r"\[@([^\]]+)\]")
"""Citations in a sentence: ``[@key; @key]``."""

_UNITS: Final = frozenset(
    {"patients", "courses", "sessions", "slots", "visits", "events", "gaps", "patient-months"}
)
_SETTLED: Final = {
    "; without an assessment at the endpoint: a non-responder": ", those without an assessment at the endpoint as non-responders",
    "; missing endpoint: a non-responder": ", those with a missing endpoint as non-responders",
    "; missing: no ": "; an outcome was missing where there was no ",
    " as mean_baseline_evaluable": "",
    "; the reference's are in its own row": "",
    ": the mean change that": ", the mean change that",
}
_BEFORE: Final = {"events": "side effects, ", "gaps": "times "}
_TERMS: Final = {
    "mean_baseline": "baseline",
    "mean_baseline_evaluable": "baseline of the evaluable",
    "mean_value": "mean value",
    "ls_mean_change": "adjusted mean change",
    "ls_mean_difference": "difference of adjusted means",
    "mean_change_chosen": "change of those worse than the mean",
    "regression_to_mean": "expected change",
    "mee_chua_effect": "effect by Mee and Chua",
    "still_responding_lower": "lower bound",
    "still_responding_upper": "upper bound",
}
"""What a denominator is called where its code says too little."""
_CORRECTIONS: Final = {
    "benjamini_hochberg": "by the procedure of Benjamini and Hochberg [@benjamini1995]",
    "holm": "by Holm's procedure [@holm1979]",
}
_DROPOUT_DAYS: Final = {
    "last_attended": "A dropout was dated to the last attended session.",
    "first_missed": "A dropout was dated to the first missed session.",
}


@dataclass(frozen=True)
class Part:
    """What is said of one result.

    Parameters
    ----------
    analysis, title
        As of the result's ``spec``.
    cutoff
        The data cut, an ISO date.
    levels
        The confidence levels of its intervals.
    question
        What it asks, a sentence.
    definitions
        Sentences: whom it counts, by which groups, and the rules.
    procedures
        Sentences: estimators, intervals and tests.
    """

    analysis: str
    title: str
    cutoff: str
    levels: tuple[float, ...]
    question: str
    definitions: tuple[str, ...]
    procedures: tuple[str, ...]

    @classmethod
    def of(cls, result: Result) -> Part:
        """Return what is said of a result."""
        spec = result.spec
        asked = question_of(spec["analysis"])
        definitions = (*_population(spec), *_asked(result), *_rules(spec), *_strategies(result))
        procedures = (*_procedures(result), *_adjustment(result))
        levels = tuple(float(level) for level in sorted(result.estimates["conf_level"].dropna().unique()))
        return cls(
            *(spec["analysis"], spec["title"], spec["cutoff"], levels, asked, _once(definitions)),
            _once((*procedures, *_further(spec))),
        )

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Part:
        """Return what `to_json` told."""
        names = ("analysis", "title", "cutoff", "levels", "question", "definitions", "procedures")
        given: Any = [tuple(each) if isinstance(each, list) else each for each in map(content.get, names)]
        return cls(*given)

    def to_json(self) -> dict[str, Any]:
        """Return the part as JSON can hold it."""
        return {name: list(each) if isinstance(each, tuple) else each for name, each in asdict(self).items()}


def keys_of(sentences: Iterable[str]) -> list[str]:
    """Return the keys that sentences cite, in their order, each once."""
    found = (key for text in sentences for group in CITATION.findall(text) for key in group.split("; "))
    return list(dict.fromkeys(key.removeprefix("@") for key in found))


def listed(words: Sequence[str]) -> str:
    """Return words in a row.

    Examples
    --------
    >>> listed(["a"]), listed(["a", "b", "c"])
    ('a', 'a, b and c')
    """
    return " and ".join([", ".join(words[:-1]), words[-1]]) if len(words) > 1 else "".join(words)


def _once(sentences: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(sentence for sentence in sentences if sentence))


def _population(spec: Mapping[str, Any]) -> list[str]:
    meant = {name: _settled(text) for name, text in spec.get("population", {}).items()}
    units = [name for name in meant if name in _UNITS]
    counted = [_BEFORE.get(name, "") + meant[name] for name in units if name in _counted(units)]
    inner = [
        f"{_TERMS.get(name, readable(name).lower())} ({text.replace('; ', ', ')})"
        for name, text in meant.items()
        if name not in _UNITS
    ]
    of = " of response" if "completers" in meant else ""
    sentences = [f"Counted were {listed(counted)}."] if counted else []
    return sentences + ([f"Denominators{of} were: {'; '.join(inner)}."] if inner else [])


def _counted(units: Sequence[str]) -> set[str]:
    """Return the units to tell: the first; visits beside slots, patients beside their courses."""
    beside = {"slots": "visits", "courses": "patients"}
    return {*units[:1], *(beside.get(unit, "") for unit in units[:1])}


def _settled(text: str) -> str:
    return past(_spoken(text))


def _spoken(text: str) -> str:
    for told, said in _SETTLED.items():
        text = text.replace(told, said)
    return text


def _asked(result: Result) -> list[str]:
    """Return by what the estimates are given, and against whom groups are compared."""
    arguments = result.spec.get("arguments", {})
    by = arguments.get("by") or []
    columns = [readable(name.removesuffix("_id")).lower() for name in ([by] if isinstance(by, str) else by)]
    sentences = [f"Estimates were by {listed(columns)}."] if columns else []
    if arguments.get("group"):
        sentences.append(_compared(result, arguments["group"]))
    if arguments.get("covariates") and result.spec["analysis"] == "dropout_model":
        names = [readable(name).lower() for name in arguments["covariates"]]
        sentences.append(f"Covariates were {listed(names)}.")
    if result.spec["analysis"] == "response":
        primary = str(result.spec["primary"]).removeprefix("response_").replace("_", " ")
        sentences.append(
            f"The primary denominator was that of the {primary}." if primary in _PRIMARIES else ""
        )
    if arguments.get("time") == "day" and arguments.get("dropout_date") in _DROPOUT_DAYS:
        sentences.append(_DROPOUT_DAYS[arguments["dropout_date"]])
    return sentences


_PRIMARIES: Final = ("treated", "evaluable", "completers")


def _compared(result: Result, group: str) -> str:
    named = f"Groups by {readable(group).lower()} were"
    reference = result.spec["arguments"].get("reference")
    if result.spec["arguments"].get("pairwise"):
        return f"{named} compared pair by pair."
    if reference is None and "reference" in result.estimates:
        found = [each for each in result.estimates["reference"].unique() if each]
        reference = found[0] if len(found) == 1 else None
    if reference is None:
        return f"{named} compared."
    return f"{named} compared with {label(result, group, reference)}."


def _rules(spec: Mapping[str, Any]) -> list[str]:
    """Return the rules in sentences; those of instruments in one, with their sources."""
    rules = list(spec.get("rules", []))
    scored = [found for found in map(responder_rule, rules) if found]
    told = [f"{name}, {rule}" + (f" ({source})" if source else "") for name, rule, source in scored]
    sentences = [sentence_of(_spoken(rule)) for rule in rules if responder_rule(rule) is None]
    return [*sentences, *([f"A course responded by these rules: {'; '.join(told)}."] if told else [])]


def _strategies(result: Result) -> list[str]:
    """Return how missing outcomes are dealt with, where the result names several ways."""
    found = result.spec.get("strategies", {})
    ways = [_way(label(result, "estimand", name).lower(), text) for name, text in found.items()]
    return (
        [f"The ways, with the strategy of ICH E9(R1) [@e9r1] that each serves, were: {'; '.join(ways)}."]
        if ways
        else []
    )


def _way(name: str, text: str) -> str:
    told = text.removeprefix(f"{name}; ").replace("; ", ", ")
    return f"{name}: {told}"


def _procedures(result: Result) -> list[str]:
    strategies = sorted(result.spec.get("strategies", {}).values(), key=len, reverse=True)
    sentences: list[str] = []
    for method in result.estimates["method"].unique():
        own = next((text for text in strategies if method.endswith(text)), "")
        sentences += sentences_of(method.removesuffix(own))
    return sentences


def _adjustment(result: Result) -> list[str]:
    """Return how p values were adjusted for their number."""
    family, asked = result.spec.get("family"), result.spec.get("arguments", {}).get("multiplicity")
    if asked not in _CORRECTIONS or not family or result.estimates["p_adjusted"].isna().all():
        return []
    return [f"P values were adjusted {_CORRECTIONS[asked]} within a family ({family})."]


def _further(spec: Mapping[str, Any]) -> list[str]:
    """Name the references of the ``spec`` that the bibliography does not know."""
    others = [each.rstrip(".") for each in spec.get("references", []) if key_of(each) not in WORKS]
    return [f"See also: {'; '.join(others)}."] if others else []
