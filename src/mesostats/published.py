"""Counts that studies of mesotherapy published, for recomputing what they report."""

from __future__ import annotations

from importlib.resources import files
from typing import Any, Final

import pandas as pd
import yaml

_OF_OUTCOME: Final = ("study", "treatment", "outcome", "kind", "unit")
_OF_ARM: Final = ("arm", "role", "count", "n", "started", "percent")
_OF_COMPARISON: Final = ("p_value", "source")


def published_studies() -> pd.DataFrame:
    """Return the published counts, one row an arm and outcome of a study.

    Returns
    -------
    pandas.DataFrame
        ``study, treatment, outcome, kind`` (response, side effect or dropout), ``unit`` (what n counts: patients or
        treatments), ``arm, role`` (treated or reference), ``count, n`` (as the paper divides them), ``started`` (how many were
        randomized or treated, where the paper divides by fewer; else n), ``percent, p_value`` (as printed, empty where it
        prints none or prints one for another comparison), ``source``.

    Notes
    -----
    A share without its denominator means nothing: `started` stands beside `n` because some papers divide by those who could
    be assessed.

    Examples
    --------
    >>> studies = published_studies()
    >>> studies.loc[studies["started"] > studies["n"], ["study", "arm", "count", "n", "started"]]
                     study              arm  count   n  started
    2  Saceda-Corralo 2022      dutasteride     33  86      541
    5    Budamakuntla 2013  microinjections      6  23       30
    6    Budamakuntla 2013    microneedling     12  29       30
    """
    text = (files("mesostats.data") / "published" / "studies.yaml").read_text(encoding="utf-8")
    entries: list[dict[str, Any]] = yaml.safe_load(text)
    rows = [entry | arm for entry in entries for arm in entry["arms"]]
    frame = pd.DataFrame(rows, columns=[*_OF_OUTCOME, *_OF_ARM, *_OF_COMPARISON])
    texts = [name for name in frame.columns if name not in ("count", "n", "started")]
    return (
        frame.assign(started=frame["started"].fillna(frame["n"]).astype("int64"))
        .astype(dict.fromkeys(texts, "string"))
        .fillna(dict.fromkeys(texts, ""))
        .astype(dict.fromkeys(texts, "str"))
    )
