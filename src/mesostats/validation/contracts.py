"""pandera without the warnings of a Spark that it finds installed: it tries to import it, whether it is used or not."""

from __future__ import annotations

import warnings
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pandas as pd


@contextmanager
def _quiet() -> Iterator[None]:
    with warnings.catch_warnings():
        text = "PySpark does not yet fully support pandas"
        warnings.filterwarnings("ignore", message=text, category=FutureWarning)
        yield


with _quiet():
    import pandera.pandas as pandera
    from pandera.errors import SchemaErrors
    from pandera.io import pandas_io

__all__ = ["broken", "pandera", "schema_from"]


def schema_from(text: str) -> pandera.DataFrameSchema:
    """Build a pandera schema from its YAML."""
    with _quiet():
        schema: pandera.DataFrameSchema = pandas_io.from_yaml(text)  # type: ignore[no-untyped-call]
    return schema


def broken(schema: pandera.DataFrameSchema, frame: pd.DataFrame) -> pd.DataFrame | None:
    """Return the cells of a frame that break a schema, None where none does.

    pandera's exception holds the values and ends here.
    """
    try:
        with _quiet():
            schema.validate(frame, lazy=True)
    except SchemaErrors as error:
        cases: pd.DataFrame = error.failure_cases
        return cases
    return None
