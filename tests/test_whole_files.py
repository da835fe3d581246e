"""Files are written whole or not at all, and hold no cell that a spreadsheet would run."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd
import pytest

from mesostats.whole_files import neutral, written_whole

if TYPE_CHECKING:
    from pathlib import Path


def test_a_failure_leaves_the_earlier_file_and_nothing_else(tmp_path: Path) -> None:
    target = tmp_path / "table.csv"
    target.write_text("earlier", encoding="utf-8")
    with pytest.raises(UnicodeEncodeError), written_whole(target) as scratch:
        scratch.write_text("half way \ud800", encoding="utf-8")
    assert target.read_text(encoding="utf-8") == "earlier"
    assert list(tmp_path.iterdir()) == [target]


def test_the_file_is_replaced_at_the_end(tmp_path: Path) -> None:
    target = tmp_path / "table.csv"
    target.write_text("earlier", encoding="utf-8")
    with written_whole(target) as scratch:
        scratch.write_text("new", encoding="utf-8")
        assert scratch.suffix == ".csv"
        assert target.read_text(encoding="utf-8") == "earlier"
    assert target.read_text(encoding="utf-8") == "new"
    assert target.stat().st_mode & 0o777 == 0o644


def test_a_private_file_is_its_owners(tmp_path: Path) -> None:
    with written_whole(tmp_path / "defects.csv", private=True) as scratch:
        scratch.write_text("a", encoding="utf-8")
    assert (tmp_path / "defects.csv").stat().st_mode & 0o777 == 0o600


def test_a_folder_that_is_not_there_is_said(tmp_path: Path) -> None:
    with (
        pytest.raises(FileNotFoundError, match="is not there; make it first"),
        written_whole(tmp_path / "no" / "a"),
    ):
        pass


def test_formulas_are_neutralised_and_numbers_and_missing_texts_stay() -> None:
    texts = pd.Series(["=A1", "+1", "@x", "\tx", "-A1", "-1e-3", "-", "7", "a=b", None])
    expected = ["'=A1", "'+1", "'@x", "'\tx", "'-A1", "-1e-3", "'-", "7", "a=b"]
    found = neutral(texts)
    assert found[:9].tolist() == expected
    assert found.isna().tolist() == [False] * 9 + [True]
