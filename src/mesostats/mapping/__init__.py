"""A foreign export → the canonical tables, described by a YAML file."""

from __future__ import annotations

from mesostats.mapping.draft import draft
from mesostats.mapping.loading import load_mapping, shipped_mappings
from mesostats.mapping.model import Mapping
from mesostats.mapping.reading import read

__all__ = ["Mapping", "draft", "load_mapping", "read", "shipped_mappings"]
