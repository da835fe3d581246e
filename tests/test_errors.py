from __future__ import annotations

import pytest

from mesostats.errors import (
    DataError,
    MappingError,
    MesostatsError,
    SchemaError,
    VocabularyError,
    did_you_mean,
)

KNOWN = ["pull_test", "masi", "mmasi", "gais"]


@pytest.mark.parametrize("error", [DataError, MappingError, SchemaError, VocabularyError])
def test_errors_are_caught_by_their_parent(error: type[MesostatsError]) -> None:
    message = "what was wrong"
    with pytest.raises(MesostatsError, match=message):
        raise error(message)


@pytest.mark.parametrize("argument_error", [ValueError, TypeError])
def test_errors_of_the_data_are_not_errors_of_arguments(argument_error: type[Exception]) -> None:
    assert not issubclass(MesostatsError, argument_error)


@pytest.mark.parametrize(
    ("found", "nearest"),
    [("masii", "masi"), ("mmassi", "mmasi"), ("pulltest", "pull_test"), ("gias", "gais")],
)
def test_did_you_mean_names_the_nearest(found: str, nearest: str) -> None:
    assert did_you_mean(found, KNOWN) == f"; did you mean '{nearest}'?"


def test_did_you_mean_lists_all_in_order_where_nothing_is_near() -> None:
    assert did_you_mean("zzz", KNOWN) == "; known are 'gais', 'masi', 'mmasi', 'pull_test'"


def test_did_you_mean_is_silent_where_nothing_is_known() -> None:
    assert did_you_mean("masi", []) == ""


def test_did_you_mean_takes_any_iterable() -> None:
    assert did_you_mean("masii", (name for name in KNOWN)) == did_you_mean("masii", dict.fromkeys(KNOWN))
