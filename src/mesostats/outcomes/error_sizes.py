"""What is known of each instrument's measurement error, and the change that a baseline leads to expect without treatment."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import narwhals as nw
import numpy as np
import pandas as pd

from mesostats.engine import collect
from mesostats.errors import did_you_mean

if TYPE_CHECKING:
    from mesostats.dataset import Dataset
    from mesostats.outcomes.questions import Question

ErrorSize = float | tuple[float, float]

UNKNOWN: Final = "not known"
"""The size of an error that nobody has told."""
OWN: Final = frozenset(
    {"error", "size", "change", "reason", "spread", "centre", "reliability", "expected", "beyond", "own"}
)
"""Names of columns of `expected_changes`: none of them can be grouped by."""
_REPEATABILITY: Final = 1.959963984540054 * np.sqrt(
    2
)  # standard errors of measurement in a smallest detectable change


@dataclass(frozen=True)
class KnownErrors:
    """What is known of each instrument.

    Parameters
    ----------
    errors
        The sizes of its error: none, one, or the lowest and the highest published one.
    reliability, population_mean
        As the caller gave them; instruments without one are not there.
    """

    errors: Mapping[str, tuple[float, ...]]
    reliability: Mapping[str, float]
    population_mean: Mapping[str, float]

    def table(self, asked: Question) -> pd.DataFrame:
        """Return one row an instrument and size of error; the size is null where none is known."""
        rows = []
        for each in asked.scorings:
            code, unit = each.instrument.code, each.instrument.unit
            known = (self.reliability.get(code, np.nan), self.population_mean.get(code, np.nan))
            sizes = self.errors[code]
            rows += [(code, f"{size:g} {unit}", size, *known) for size in sizes] or [
                (code, UNKNOWN, np.nan, *known)
            ]
        frame = pd.DataFrame(rows, columns=["instrument", "error", "size", "given", "population"])
        return frame.astype({"instrument": "str", "error": "str"} | dict.fromkeys(frame.columns[2:], "float"))


def known_errors(
    asked: Question,
    error: ErrorSize | Mapping[str, ErrorSize] | None,
    reliability: float | Mapping[str, float] | None,
    population_mean: float | Mapping[str, float] | None,
) -> KnownErrors:
    """Check what the caller knows of the instruments, and fill in what the vocabulary does.

    Raises
    ------
    ValueError
        If an instrument is not analysed, an error is negative, a reliability not above 0 and at most 1, or a mean not finite.
    """
    codes = [each.instrument.code for each in asked.scorings]
    alike = _by_instrument(reliability, codes, "reliability")
    means = _by_instrument(population_mean, codes, "population_mean")
    for name, values, fits in (
        ("reliability is above 0 and at most 1", alike, lambda value: 0 < value <= 1),
        ("population_mean is a finite number", means, np.isfinite),
    ):
        wrong = [value for value in values.values() if not fits(value)]
        if wrong:
            msg = f"{name}, found {wrong[0]}"
            raise ValueError(msg)
    return KnownErrors(_sizes(asked, error), alike, means)


def _sizes(
    asked: Question, error: ErrorSize | Mapping[str, ErrorSize] | None
) -> dict[str, tuple[float, ...]]:
    """Return the sizes of each instrument's error, the caller's before the vocabulary's."""
    codes = [each.instrument.code for each in asked.scorings]
    chosen = _by_instrument(error, codes, "error")
    found = {}
    for each in asked.scorings:
        size = chosen.get(each.instrument.code, each.instrument.measurement_error)
        pair = () if size is None else tuple(size) if isinstance(size, tuple | list) else (size,)
        if any(not np.isfinite(value) or value < 0 for value in pair) or len(pair) > 2:  # noqa: PLR2004 - a range
            msg = f"error is a number that is not negative, or a lowest and a highest one, found {size!r}"
            raise ValueError(msg)
        found[each.instrument.code] = tuple(dict.fromkeys(float(value) for value in pair))
    return found


def _by_instrument(value: Any, codes: list[str], name: str) -> dict[str, Any]:
    """Return an argument by instrument."""
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        return dict.fromkeys(codes, value)
    unknown = sorted(set(value) - set(codes))
    if unknown:
        msg = f"{name}= names '{unknown[0]}', which is not analysed{did_you_mean(unknown[0], codes)}"
        raise ValueError(msg)
    return dict(value)


def expected_changes(clinic: Dataset, asked: Question, given: KnownErrors) -> nw.LazyFrame[Any]:
    """Return the courses that are due, once for each size of error.

    Returns
    -------
    nw.LazyFrame
        The columns of `scored_courses`, ``error`` and ``size``, ``change`` (value less baseline), ``reason`` (why there is none;
        empty where there is), ``_chosen`` (1 where the baseline is worse than the population's mean and there is a change), and of
        these ``expected``, (1 - reliability)·(population's mean - baseline), and ``beyond``, the change less that.
    """
    scored = asked.courses(clinic).filter(nw.col("due") == 1)
    keys = [*asked.columns, "instrument"]
    paired = ~nw.col("baseline").is_null() & ~nw.col("value").is_null()
    scored = scored.with_columns(
        change=nw.when(paired).then(nw.col("value") - nw.col("baseline")),
        reason=nw.when(nw.col("baseline").is_null())
        .then(nw.lit("no baseline"))
        .when(nw.col("value").is_null())
        .then(nw.lit("no assessment at the endpoint"))
        .otherwise(nw.lit("")),
    )
    cells = collect(
        scored.group_by(*keys).agg(
            nw.col("baseline").mean().alias("own"), nw.col("baseline").std(ddof=1).alias("spread")
        )
    )
    table = cells.merge(given.table(asked), on="instrument", how="inner")
    derived = 1 - (table["size"] / _REPEATABILITY / table["spread"].where(table["spread"] > 0)) ** 2
    table["reliability"] = table["given"].fillna(derived.where(derived > 0)).astype(float)
    table["centre"] = table["population"].fillna(table["own"]).astype(float)
    small = clinic.engine.small(table[[*keys, "error", "size", "reliability", "centre"]], scored)
    crossed = scored.join(small, on=keys, how="inner")
    worse = (nw.col("baseline") - nw.col("centre")) * nw.col("lower_is_better") > 0
    chosen = nw.when(worse & paired)
    expected = (1 - nw.col("reliability")) * (nw.col("centre") - nw.col("baseline"))
    return clinic.engine.materialise(
        crossed.with_columns(
            _chosen=chosen.then(nw.lit(1)).otherwise(nw.lit(0)),
            expected=chosen.then(expected),
            beyond=chosen.then(nw.col("change") - expected),
        )
    )
