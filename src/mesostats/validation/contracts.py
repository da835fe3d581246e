"""pandera, imported without the warning of a Spark that it finds installed and imports, whether it is used or not."""

from __future__ import annotations

import warnings

with warnings.catch_warnings():
    warnings.filterwarnings(
        "ignore", message="PySpark does not yet fully support pandas", category=FutureWarning
    )
    import pandera.pandas as pandera
    from pandera.errors import SchemaErrors
    from pandera.io import pandas_io

__all__ = ["SchemaErrors", "pandas_io", "pandera"]
