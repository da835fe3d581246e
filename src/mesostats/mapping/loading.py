"""Mapping files: found, loaded and checked.

Whatever is wrong is a `MappingError` that names the file and the place.
"""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml
from pydantic import ValidationError

from mesostats.errors import MappingError, did_you_mean
from mesostats.mapping.model import Checkboxes, Column, Condition, Join, Mapping, TableMapping

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable, Iterator

    from pydantic_core import ErrorDetails


class _Loader(yaml.BaseLoader):
    """All scalars as text; a key that stands twice is an error, where YAML would silently keep the last."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:  # noqa: FBT001, FBT002
        seen: set[str] = set()
        for key in (key for key, _ in node.value if isinstance(key, yaml.ScalarNode)):
            if key.value in seen:
                raise yaml.constructor.ConstructorError(
                    problem=f"'{key.value}' stands twice", problem_mark=key.start_mark
                )
            seen.add(key.value)
        return super().construct_mapping(node, deep=deep)


def shipped_mappings() -> list[str]:
    """Return the names of the shipped mappings.

    Examples
    --------
    >>> shipped_mappings()
    ['cdisc_pilot', 'redcap_example']
    """
    folder = files("mesostats.data") / "mappings"
    return sorted(each.name.removesuffix(".yaml") for each in folder.iterdir() if each.name.endswith(".yaml"))


def mapping_path(mapping: str | Path) -> Path:
    """Return the file of a mapping: a path, or the name of a shipped one.

    Raises
    ------
    MappingError
        If there is no such file.
    """
    path = Path(mapping)
    if path.is_file():
        return path
    shipped = shipped_mappings()
    if str(mapping) in shipped:
        return Path(str(files("mesostats.data") / "mappings" / f"{mapping}.yaml"))
    msg = f"mapping '{mapping}' is neither a YAML file nor shipped{did_you_mean(str(mapping), shipped)}"
    raise MappingError(msg)


def load_mapping(mapping: str | Path) -> Mapping:
    """Load a mapping file.

    Parameters
    ----------
    mapping
        A path, or the name of a shipped mapping.

    Returns
    -------
    Mapping

    Raises
    ------
    MappingError
        If the file is not there, is not YAML, or says something that a mapping cannot.

    Examples
    --------
    >>> load_mapping("cdisc_pilot").vocabulary
    'cdisc_pilot'
    """
    path = mapping_path(mapping)
    try:
        content = _Loader(path.read_text(encoding="utf-8-sig")).get_single_data()
    except (yaml.YAMLError, UnicodeDecodeError, OSError) as error:
        msg = f"mapping file '{path.name}' cannot be read as YAML: {error}"
        raise MappingError(msg) from error
    except RecursionError:
        msg = f"mapping file '{path.name}' is nested too deeply"
        raise MappingError(msg) from None
    try:
        return Mapping.model_validate(content)
    except ValidationError as error:
        msg = f"mapping file '{path.name}': {'; '.join(_described(error.errors()))}"
        raise MappingError(msg) from error


def _described(faults: Iterable[ErrorDetails]) -> Iterator[str]:
    for fault in faults:
        place = ".".join(str(part) for part in fault["loc"])
        message = fault["msg"].removeprefix("Value error, ")
        if fault["type"] == "extra_forbidden":
            message = f"there is no such key{did_you_mean(str(fault['loc'][-1]), _keys())}"
        yield f"{place}: {message}" if place else message


def _keys() -> set[str]:
    models = (Mapping, TableMapping, Column, Condition, Join, Checkboxes)
    return {field.alias or name for model in models for name, field in model.model_fields.items()}
