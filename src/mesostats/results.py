"""The result contract: every analysis answers with a `Result`, one row an estimate, one estimate a row."""

from __future__ import annotations

import html
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import pandas as pd

from mesostats.errors import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

_KINDS = {
    "estimand": "text",
    "time": "number",
    "estimate": "number",
    "std_error": "number",
    "conf_low": "number",
    "conf_high": "number",
    "conf_level": "number",
    "statistic": "number",
    "df": "number",
    "p_value": "number",
    "p_adjusted": "number",
    "numerator": "number",
    "denominator": "number",
    "unit": "text",
    "n_missing": "number",
    "method": "text",
    "note": "text",
}

ALL_GROUPS = "all groups"
"""What a test across groups bears in the grouping columns."""

ESTIMATE_COLUMNS = tuple(_KINDS)
"""The columns that follow the grouping columns in every `Result.estimates`, in this order."""


def check_groups(groups: Sequence[str]) -> None:
    """Refuse grouping columns that bear the name of a contract column.

    Raises
    ------
    ValueError
        If one does.
    """
    clash = [name for name in groups if name in _KINDS]
    if clash:
        msg = f"cannot group by '{clash[0]}': the result contract has a column of that name; rename yours"
        raise ValueError(msg)


def contract(frame: pd.DataFrame, groups: Sequence[str]) -> pd.DataFrame:
    """Bring a frame of estimates into the contract's columns and types.

    Parameters
    ----------
    frame
        Any of the contract's columns, and the grouping columns; others are left out.
    groups
        The grouping columns.

    Returns
    -------
    pandas.DataFrame
        Grouping columns, then `ESTIMATE_COLUMNS`: numbers as float (NaN where not given), texts as str (empty where
        not given), in a fresh index.

    Raises
    ------
    ValueError
        If a grouping column has the name of a contract column, or two rows estimate the same thing.

    Examples
    --------
    >>> frame = contract(pd.DataFrame({"arm": ["A"], "estimand": ["response"], "estimate": [0.5]}), ["arm"])
    >>> frame[["arm", "estimand", "estimate", "std_error"]]
      arm  estimand  estimate  std_error
    0   A  response       0.5        NaN
    """
    check_groups(groups)
    if frame.empty:
        frame = pd.DataFrame(columns=[*groups])
    columns = {name: frame[name].reset_index(drop=True) for name in groups}
    for name, kind in _KINDS.items():
        given = frame.get(name, pd.Series([None] * len(frame), dtype=object)).reset_index(drop=True)
        columns[name] = (
            given.astype(float) if kind == "number" else given.astype("string").fillna("").astype("str")
        )
    estimates = pd.DataFrame(columns)
    if estimates.duplicated([*groups, "estimand", "time"]).any():
        msg = "two rows estimate the same thing; one row is one estimate"
        raise ValueError(msg)
    return estimates


Multiplicity = Literal["benjamini_hochberg", "holm"]
_MULTIPLICITY = {"benjamini_hochberg": "fdr_bh", "holm": "holm"}


def adjusted_p_values(
    p_values: pd.Series[Any], family: pd.Series[Any], *, method: Multiplicity = "benjamini_hochberg"
) -> pd.Series[Any]:
    """Adjust p values for their number, each family by itself.

    Parameters
    ----------
    p_values
        Raw p values, shape (m,); a missing one belongs to no family and stays missing.
    family
        The family of each, shape (m,), with the same index.
    method
        ``"benjamini_hochberg"`` (the false discovery rate) or ``"holm"`` (the family-wise error rate).

    Returns
    -------
    pandas.Series
        The adjusted p values: the smallest level at which each would be called significant.

    Raises
    ------
    ValueError
        If the method is unknown.

    References
    ----------
    Benjamini Y, Hochberg Y (1995). Controlling the false discovery rate. doi:10.1111/j.2517-6161.1995.tb02031.x

    Holm S (1979). A simple sequentially rejective multiple test procedure. Scandinavian Journal of Statistics 6, 65-70.

    Examples
    --------
    Three values: 3·0.01/1, 3·0.02/2 and 3·0.5/3, made monotone.

    >>> adjusted_p_values(pd.Series([0.02, 0.5, 0.01]), pd.Series(["a", "a", "a"])).round(9).tolist()
    [0.03, 0.5, 0.03]
    """
    if method not in _MULTIPLICITY:
        msg = f"multiplicity '{method}' is unknown{did_you_mean(method, _MULTIPLICITY)}"
        raise ValueError(msg)
    from statsmodels.stats.multitest import multipletests  # noqa: PLC0415 - slow to import, seldom needed

    known = p_values.dropna()
    return (
        known.groupby(family.loc[known.index], group_keys=False)
        .transform(lambda values: multipletests(values, method=_MULTIPLICITY[method])[1])
        .reindex(p_values.index)
        .astype(float)
    )


def stack(frames: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """Put frames of estimates under one another; an empty population gives an empty frame."""
    return pd.concat(frames, ignore_index=True) if frames else pd.DataFrame()


@dataclass(frozen=True)
class Result:
    """What an analysis found, and how to defend it.

    Parameters
    ----------
    estimates
        The grouping columns under their own names, then `ESTIMATE_COLUMNS`. Unrounded. The standard error of a ratio is that
        of its logarithm. What could not be estimated is NaN
        with a note.
    spec
        What was asked and what was counted: ``analysis`` (the function's name), ``title`` (the question in words),
        ``arguments``, ``cutoff`` (ISO date), ``population`` (name → definition), ``rules`` (sentences), ``primary`` (the
        estimand to quote, where several are reported), ``references``.
    explainer
        Returns the rows behind one cell; called by `explain`.
    """

    estimates: pd.DataFrame
    spec: Mapping[str, Any]
    explainer: Callable[[Mapping[str, Any]], pd.DataFrame] = field(repr=False)

    @property
    def groups(self) -> list[str]:
        """The grouping columns."""
        columns = list(self.estimates.columns)
        return columns[: columns.index("estimand")]

    def explain(self, **cell: Any) -> pd.DataFrame:
        """Return the rows of the data set behind one cell's numbers.

        Parameters
        ----------
        **cell
            A value for each grouping column (all groups where one is left out), and ``estimand`` or ``time`` where the
            analysis has several.

        Returns
        -------
        pandas.DataFrame
            One row a unit (patient, course or session) with its ids and the grouping columns, then ``in_denominator``,
            ``in_numerator`` and ``excluded`` (why it is not in the denominator; empty where it is). Of a share, the sums of the two
            flags are the cell's denominator and numerator. Where units count more than once, the amounts stand in a column of
            their own, to be summed over the rows in the denominator: ``events`` where all events count, ``patient_months``
            where time at risk is the denominator. Of a comparison, a difference or an expected value, the rows are those
            of the group that the cell names.

        Raises
        ------
        ValueError
            If a name or a value is not in the result.
        """
        known = [*self.groups, "estimand", "time"]
        for name, value in cell.items():
            if name not in known:
                msg = f"this result has no '{name}'{did_you_mean(name, known)}"
                raise ValueError(msg)
            if not self.estimates[name].eq(value).any():
                shown = [str(each) for each in self.estimates[name].unique()]
                msg = f"no estimate has {name} = '{value}'{did_you_mean(str(value), shown)}"
                raise ValueError(msg)
        return self.explainer(cell)

    def cell(self, **cell: Any) -> pd.Series[Any]:
        """Return the one row of the estimates that the values of grouping columns, estimand and time name.

        Raises
        ------
        ValueError
            If no row or several rows have these values.
        """
        rows = self.estimates
        for name, value in cell.items():
            if name not in rows:
                msg = f"this result has no '{name}'{did_you_mean(name, rows.columns)}"
                raise ValueError(msg)
            rows = rows[rows[name].eq(value)]
        if len(rows) != 1:
            msg = f"{len(rows)} estimates fit {sorted(cell)}; name one value of each of {[*self.groups, 'estimand', 'time']}"
            raise ValueError(msg)
        return rows.iloc[0]

    def _repr_html_(self) -> str:
        """Return the unrounded estimates under what they are; `mesostats.table` makes the display table."""
        heading = html.escape(f"{self.spec['title']} (data cut {self.spec['cutoff']})")
        return f"<p><strong>{heading}</strong></p>{self.estimates.to_html(max_rows=60)}"
