"""The tables of coverage: what each shows, and how it is printed as Markdown."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import clustered_groups
import curves
import numpy as np
import one_group
import responses
import shared_patients
import stratified_groups
import two_groups
from tally import FLOOR, Coverage

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    Row = dict[str, float | Coverage]

SEED = 20260101

LEGEND = f"""\
How many of the 95 % intervals hold the true value. **Bold**: less than {FLOOR}, and wrong in more than
{1 - FLOOR:.2f} of all runs. *Italic*: less than {FLOOR} of the intervals that were given, but wrong in no more than
{1 - FLOOR:.2f} of all runs, since the others gave none. In brackets, the share of runs that gave no interval (most often
without an event). Under each table stand its marked cells of the package's own methods, with the sides on which their
intervals miss.

The standard error of a simulated coverage near 0.95 is 0.003 with 4,000 draws, 0.005 with 2,000, 0.007 with 1,000, 0.010 with
500 and 0.013 with 300: with few draws a mark may be chance."""


@dataclass(frozen=True)
class Experiment:
    """One table.

    Parameters
    ----------
    title, text
        What it shows, and how it came about.
    rows
        Returns its rows: the scenario's numbers, then a `Coverage` each method.
    others
        The methods that stand beside the package's own for comparison.
    """

    title: str
    text: str
    rows: Callable[[np.random.Generator], Iterable[Row]]
    others: tuple[str, ...] = ()


EXPERIMENTS = (
    Experiment("Proportions", "Exact.", one_group.proportions, ("Wald",)),
    Experiment("Rates", "Exact. Events per unit of exposure.", one_group.rates, ("Wald",)),
    Experiment(
        "Proportions of sessions",
        f"{one_group.REPLICATES:,} draws. n patients with 2 to 9 sessions each, beta-binomial.",
        one_group.clustered_proportions,
        ("naive Wilson",),
    ),
    Experiment(
        "Rates of repeated events",
        f"{one_group.REPLICATES:,} draws. Events per session of n patients with 2 to 9 sessions each, Poisson with a gamma "
        "frailty of the given variance.",
        one_group.clustered_rates,
        ("naive Garwood",),
    ),
    Experiment(
        "Two proportions",
        "Exact. n patients in each group.",
        two_groups.risks,
        ("Wald", "log Wald", "Woolf"),
    ),
    Experiment(
        "Two rates", "Exact. The given exposure in each group.", two_groups.rates, ("Wald", "log Wald")
    ),
    Experiment(
        "Two proportions of sessions",
        f"{clustered_groups.REPLICATES:,} draws. n patients in each group, as above.",
        clustered_groups.risks,
        ("naive Miettinen-Nurminen", "naive Koopman"),
    ),
    Experiment(
        "Two rates of repeated events",
        f"{clustered_groups.REPLICATES:,} draws, {clustered_groups.FITS:,} of the negative binomial and the naive one. "
        "n patients in each group, as above.",
        clustered_groups.rates,
        ("naive exact",),
    ),
    Experiment(
        "Two groups with sessions of the same patients",
        f"{shared_patients.REPLICATES:,} draws. n patients with 2 to 9 sessions, half of them, at random, in the group.",
        shared_patients.unadjusted,
        ("naive Miettinen-Nurminen",),
    ),
    Experiment(
        "Adjusted for two covariates",
        f"{shared_patients.REPLICATES:,} draws. n patients with 2 to 9 sessions; an odds ratio of "
        f"{np.exp(shared_patients.EFFECT):.1f}, confounded by a trait of the patient and the area of the session.",
        shared_patients.adjusted,
    ),
    Experiment(
        "Strata",
        f"{stratified_groups.REPLICATES:,} draws. Four strata with n/4 patients "
        "in each group, with reference risks of 0.4, 0.8, 1.2 and 1.6 times p. Effect 1.5: the difference p/2, "
        "the ratio and the odds ratio 1.5.",
        stratified_groups.risks,
        ("difference: stratified Miettinen-Nurminen",),
    ),
    Experiment(
        "Retention",
        f"{curves.REPLICATES:,} draws. At session {curves.HORIZON}, with a fifth censored before.",
        curves.retention,
        ("plain Greenwood",),
    ),
    Experiment(
        "Retention with several courses a patient",
        f"{curves.CLUSTERED:,} draws. n patients with one to three courses; otherwise as above.",
        curves.clustered_retention,
        ("naive Kaplan-Meier",),
    ),
    Experiment(
        "Quantiles and restricted mean of a time",
        f"{curves.TIMES:,} draws. Exponential times of mean 1; the restricted mean up to 1.",
        curves.times,
    ),
    Experiment(
        "Competing ends",
        f"{curves.REPLICATES:,} draws. The probability by session {curves.HORIZON} of one end, with another of probability "
        f"{curves.COMPETING} and a fifth censored before.",
        curves.competing,
        ("Kaplan-Meier, other ends censored",),
    ),
    Experiment(
        "Mean number of repeated events",
        f"{curves.REPLICATES:,} draws. By month {curves.HORIZON}, of patients observed for 2 to 10 months; events a month.",
        curves.repeated,
        ("naive Poisson variance",),
    ),
    Experiment(
        "Responses of the same courses twice",
        f"Exact up to n = {responses.EXACT}, {responses.PAIRS:,} draws above. Later less first; the two responses of a course "
        f"correlate by {responses.ALIKE} where their shares let them.",
        responses.pairs,
        ("Wald",),
    ),
    Experiment(
        "Trend of response over sessions",
        f"{responses.TRENDS:,} draws. n patients with one to three courses of one to eight sessions; the slope is the change of the "
        "probability to respond with each session.",
        responses.trends,
        ("slope, courses",),
    ),
    Experiment(
        "Median of a time seen at visits only",
        f"{responses.MEDIANS:,} draws (standard error 0.022). Exponential times of mean 1, about {responses.PLANNED} visits planned a unit of time, of which "
        "a share is kept; followed for 1 to 3 units.",
        responses.medians,
        ("Kaplan-Meier at the visit",),
    ),
)


def section(place: int) -> str:
    """Return one experiment as Markdown; its random numbers do not depend on the others."""
    experiment = EXPERIMENTS[place]
    rng = np.random.default_rng(np.random.SeedSequence(SEED).spawn(len(EXPERIMENTS))[place])
    rows = list(experiment.rows(rng))
    parts = [f"## {experiment.title}", experiment.text, _table(rows)]
    return "\n\n".join([*parts, *_shortfalls(rows, experiment.others)]) + "\n"


def _table(rows: Sequence[Row]) -> str:
    heads = list(rows[0])
    lines = [heads, ["---:"] * len(heads), *([_cell(value) for value in row.values()] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _cell(value: float | Coverage) -> str:
    if not isinstance(value, Coverage):
        return f"{value:g}"
    mark = ("**" if value.often_wrong else "*") if value.falls_short else ""
    absent = f" ({1 - value.given:.2f})" if value.given < 0.995 else ""
    return f"{mark}{value.among_given:.3f}{mark}{absent}"


def _shortfalls(rows: Sequence[Row], others: Sequence[str]) -> list[str]:
    """List the marked cells of the package's own methods, a text if there are any."""
    lines = []
    for row in rows:
        scenario = ", ".join(
            f"{name} {value:g}" for name, value in row.items() if not isinstance(value, Coverage)
        )
        lines += [
            f"- {name}; {scenario}: {_cell(value)}, {value.low:.3f} too low, {value.high:.3f} too high"
            for name, value in row.items()
            if isinstance(value, Coverage) and value.falls_short and name not in others
        ]
    return ["\n".join(lines)] if lines else []
