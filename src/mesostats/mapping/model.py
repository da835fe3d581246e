"""What a mapping file says: which columns of a foreign export become which canonical ones, and how.

Every scalar of the file is a text, so that ``no``, ``1.0`` and ``2024-01-01`` mean what they say; an empty one means missing.
"""

from __future__ import annotations

import datetime as dt
import re
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PositiveFloat,
    PositiveInt,
    model_validator,
)

from mesostats.errors import did_you_mean
from mesostats.schemas import TABLES, table_schema

if TYPE_CHECKING:
    from collections.abc import Iterator

PLACE = re.compile(r"\{([^{}]+)\}")
"""A source column in a template."""

_DIRECTIVE = re.compile(r"%(-?.|$)")
_DIRECTIVES = frozenset("YymbBdHIMSfp%") | {"-m", "-d", "-H", "-I", "-M", "-S", "-y"}


def _date_format(text: str) -> str:
    found = set(_DIRECTIVE.findall(text))
    has_date = (
        {each[-1:] for each in found} >= {"d"} and found & {"Y", "y", "-y"} and found & {"m", "-m", "b", "B"}
    )
    if text != "excel" and not (found <= _DIRECTIVES and has_date):
        msg = f"a date format names day, month and year (%d/%m/%Y), or is excel, found '{text}'"
        raise ValueError(msg)
    return text


def _encoding(text: str) -> str:
    try:
        "a".encode(text)
    except (LookupError, ValueError):
        msg = f"'{text}' is not a text encoding; examples are utf-8, cp1252, latin-1"
        raise ValueError(msg) from None
    return text


def _iso_date(text: str) -> str:
    dt.date.fromisoformat(text)
    return text


def _named(value: Any) -> Any:
    """Read a list of columns as columns that keep their names."""
    return {each: each for each in value} if _are_texts(value) else value


def _are_texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(each, str) for each in value)


DateFormat = Annotated[str, AfterValidator(_date_format)]
Decimal = Literal[",", "."]
Named = Annotated[dict[str, str], BeforeValidator(_named)]
Name = Annotated[str, Field(min_length=1)]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Column(_Part):
    """Where the values of one column come from; a bare name is short for ``from``.

    The steps are taken in the order of the parameters.

    Parameters
    ----------
    source
        In the file ``from``: the source column.
    template
        Instead of ``from``: a text with source columns in braces, ``"{USUBJID}-{VISITNUM}"``; missing where one of them is.
    recode
        Raw value → value. A raw value that it does not list stays as it is, so that validation reports it.
    otherwise
        The value of what ``recode`` does not list.
    transform
        ``lower``, or ``slug`` (lower case, words joined by ``_``), of what ``recode`` does not list.
    default
        The value of an empty cell.
    date_format
        As strptime writes it, or ``excel`` for serial numbers; that of the whole mapping by default.
    study_day_from
        The source column with the date of day 1: the cells then hold a CDISC study day, which has no day 0.
    decimal
        ``,`` or ``.``; that of the whole mapping by default.
    unit_factor
        What a number is multiplied by to reach the canonical unit: 25.4 from inch to mm.

    Examples
    --------
    >>> Column.model_validate({"from": "SEX", "recode": {"F": "female", "M": "male"}}).source
    'SEX'
    """

    source: Name | None = Field(default=None, alias="from")
    template: Name | None = None
    recode: dict[str, str] = Field(default_factory=dict)
    otherwise: str | None = None
    transform: Literal["lower", "slug"] | None = None
    default: str | None = None
    date_format: DateFormat | None = None
    study_day_from: Name | None = None
    decimal: Decimal | None = None
    unit_factor: PositiveFloat | None = Field(default=None, allow_inf_nan=False)

    @model_validator(mode="before")
    @classmethod
    def _short(cls, value: Any) -> Any:
        return {"from": value} if isinstance(value, str) else value

    @model_validator(mode="after")
    def _one_origin(self) -> Self:
        if (self.source is None) == (self.template is None):
            msg = "give either from (a source column) or template"
            raise ValueError(msg)
        if self.template is not None and not PLACE.search(self.template):
            msg = f"a template names source columns in braces, found '{self.template}'"
            raise ValueError(msg)
        if self.otherwise is not None and self.transform is not None:
            msg = "give either otherwise or transform: both say what becomes of a value that recode does not list"
            raise ValueError(msg)
        return self

    @property
    def plain(self) -> bool:
        """Whether the cells are taken as they are."""
        return not self.model_fields_set - {"source"}


class Condition(_Part):
    """Which rows to keep: one test of one source column.

    Parameters
    ----------
    column
        The source column; its cells are compared as text, whole numbers without a decimal point.
    equals, one_of, not_in
        The value, or the list of them (``in`` in the file). An empty cell is in no list.
    null, not_null
        ``true``: the cell is empty; the cell is not empty.
    """

    column: Name
    equals: str | None = None
    one_of: list[str] | None = Field(default=None, alias="in")
    not_in: list[str] | None = None
    null: Literal[True] | None = None
    not_null: Literal[True] | None = None

    @model_validator(mode="before")
    @classmethod
    def _flags(cls, value: Any) -> Any:
        # Scalars are texts here, and a literal does not convert.
        flags = {"null", "not_null"}
        if not isinstance(value, dict):
            return value
        return {key: True if key in flags and each == "true" else each for key, each in value.items()}

    @model_validator(mode="after")
    def _one_test(self) -> Self:
        tests = (self.equals, self.one_of, self.not_in, self.null, self.not_null)
        if sum(test is not None for test in tests) != 1:
            msg = "give one of equals, in, not_in, null: true, not_null: true"
            raise ValueError(msg)
        return self


class Rows(_Part):
    """Rows of one file.

    Parameters
    ----------
    file
        Its name, with ``*`` and ``?`` as in a shell; exactly one file of the source may fit.
    sheet
        The sheet of a workbook; its first one by default.
    keep
        Conditions that all hold.
    """

    file: Name = "*"
    sheet: str | None = None
    keep: list[Condition] = Field(default_factory=list)


class Join(Rows):
    """Columns of another file, one row a key.

    Parameters
    ----------
    on
        Key columns: column of this table's file → column of the other; a list where both have the same names.
    columns
        New name → column of the other file; a list keeps the names.
    """

    on: Named = Field(min_length=1)
    columns: Named = Field(min_length=1)


class Checkboxes(_Part):
    """Check boxes as rows: a record with two boxes checked becomes two rows, one with none vanishes.

    Parameters
    ----------
    column
        The new source column that holds the code of the box.
    boxes
        Column of the box → code.
    checked
        What stands in a checked box.
    """

    column: Name
    boxes: dict[str, Name] = Field(min_length=1)
    checked: list[str] = Field(default=["1", "Checked"])


class TableMapping(Rows):
    """How one canonical table is made; the steps are taken in the order of the parameters.

    Parameters
    ----------
    file, sheet
        See `Rows`.
    join
        Columns of other files.
    checkboxes
        Check boxes as rows.
    keep
        Conditions that all hold; they may name joined columns and that of the check boxes.
    columns
        Canonical column → `Column`.
    constants
        Canonical column → the value that all rows have.
    extra
        Further columns to carry: ``true`` for all that are not mapped, a list, or new name → `Column`.
    unique
        ``true``: rows that are equal in all mapped columns count once. Rows that differ stay, and validation reports the
        key that they share.
    earliest, latest
        With ``unique``: columns that need not be equal, of which the first or the last date is taken.
    """

    join: list[Join] = Field(default_factory=list)
    checkboxes: Checkboxes | None = None
    columns: dict[str, Column] = Field(default_factory=dict)
    constants: dict[str, str] = Field(default_factory=dict)
    extra: bool | Annotated[dict[str, Column], BeforeValidator(_named)] = False
    unique: bool = False
    earliest: list[str] = Field(default_factory=list)
    latest: list[str] = Field(default_factory=list)

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        both = sorted(self.columns.keys() & self.constants.keys())
        if both:
            msg = f"'{both[0]}' stands in both columns and constants"
            raise ValueError(msg)
        if (self.earliest or self.latest) and not self.unique:
            msg = "earliest and latest need unique: true"
            raise ValueError(msg)
        for name in self.earliest + self.latest:
            if name not in self.columns or (name in self.earliest and name in self.latest):
                msg = f"'{name}' of earliest and latest must be one of columns, in one of the two"
                raise ValueError(msg)
        return self


class Mapping(_Part):
    """A whole mapping file.

    Parameters
    ----------
    description
        For the reader.
    encoding, delimiter
        Of the text files, see `mesostats.files.read_file`.
    decimal, date_format
        Of all number and date columns that do not say otherwise.
    vocabulary
        A folder beside the mapping file, or the name of a shipped overlay.
    cutoff
        The data-cut date, YYYY-MM-DD.
    endpoint
        The day after the first session on which reports read response; at the end of the course where it is not given.
    tables
        Canonical table → `TableMapping`.
    """

    description: str = ""
    encoding: Annotated[str, AfterValidator(_encoding)] = "utf-8"
    delimiter: Annotated[str, Field(min_length=1, max_length=1, pattern=r'[^"\s]|\t')] | None = None
    decimal: Decimal = "."
    date_format: DateFormat | None = None
    vocabulary: Name | None = None
    cutoff: Annotated[str, AfterValidator(_iso_date)] | None = None
    endpoint: PositiveInt | None = None
    tables: dict[str, TableMapping] = Field(min_length=1)

    @model_validator(mode="after")
    def _fits_the_schemas(self) -> Self:
        faults = next((fault for name, table in self.tables.items() for fault in _faults(name, table)), None)
        if faults is not None:
            raise ValueError(faults)
        return self


def _faults(name: str, table: TableMapping) -> Iterator[str]:
    """Say where a table's mapping and the table's contract differ."""
    if name not in TABLES:
        yield f"there is no table '{name}'{did_you_mean(name, TABLES)}"
        return
    kinds = table_schema(name).kinds
    for column in [*table.columns, *table.constants]:
        if column not in kinds:
            yield f"table '{name}' has no column '{column}'{did_you_mean(column, kinds)} (put columns of your own under extra)"
    for column in table_schema(name).required:
        if column not in table.columns and column not in table.constants:
            yield f"table '{name}' needs the column '{column}'; give it under columns or constants"
    extra = table.extra if isinstance(table.extra, dict) else {}
    for column, spec in (*table.columns.items(), *extra.items()):
        kind = kinds.get(column, "string")
        if kind != "date" and (spec.date_format or spec.study_day_from):
            yield f"table '{name}', column '{column}': date_format and study_day_from belong to dates"
        if kind not in {"number", "integer"} and (spec.decimal or spec.unit_factor):
            yield f"table '{name}', column '{column}': decimal and unit_factor belong to numbers"
