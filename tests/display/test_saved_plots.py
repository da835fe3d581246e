"""Figures as files: what stands in them, and that the same figure gives the same bytes."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

import matplotlib as mpl
import outcome_results as made
import pytest
from matplotlib import pyplot as plt
from PIL import Image

from mesostats.exports import save_plot
from mesostats.plots import alt_text, plot

if TYPE_CHECKING:
    from pathlib import Path

SVG = "{http://www.w3.org/2000/svg}"
ENDINGS = ("png", "svg", "pdf")


@pytest.mark.parametrize("ending", ENDINGS)
def test_same_result_gives_the_same_bytes_and_leaves_no_trace(ending: str, tmp_path: Path) -> None:
    before, opened = dict(mpl.rcParams), plt.get_fignums()
    first = save_plot(made.response_result(), tmp_path / f"a.{ending}").read_bytes()
    assert save_plot(made.response_result(), tmp_path / f"b.{ending}").read_bytes() == first
    assert dict(mpl.rcParams) == before
    assert plt.get_fignums() == opened
    assert sorted(each.name for each in tmp_path.iterdir()) == [f"a.{ending}", f"b.{ending}"]


def test_another_process_gives_the_same_bytes(tmp_path: Path) -> None:
    code = (
        "import sys; sys.path.insert(0, sys.argv[1])\n"
        "import outcome_results as made; from mesostats.exports import save_plot\n"
        "for ending in ('png', 'svg', 'pdf'): save_plot(made.tipping_result(), f'{sys.argv[2]}/plot.{ending}')"
    )
    found = []
    for seed in ("1", "2"):
        folder = tmp_path / seed
        folder.mkdir()
        command = [sys.executable, "-c", code, os.path.dirname(made.__file__), str(folder)]  # noqa: PTH120 - a text
        subprocess.run(command, check=True, env=os.environ | {"PYTHONHASHSEED": seed})
        found.append([(folder / f"plot.{ending}").read_bytes() for ending in ENDINGS])
    assert found[0] == found[1]


def test_png_has_300_dots_an_inch_and_its_description(tmp_path: Path) -> None:
    with Image.open(save_plot(made.response_result(), tmp_path / "a.png")) as picture:
        assert picture.info["Description"] == alt_text(made.response_result())
        assert round(picture.info["dpi"][0]) == 300
        large = picture.width
    with Image.open(save_plot(made.response_result(), tmp_path / "b.png", dpi=100)) as picture:
        assert picture.width == pytest.approx(large / 3, abs=2)


def test_svg_keeps_texts_and_is_described_for_screen_readers(tmp_path: Path) -> None:
    root = ET.parse(save_plot(made.response_result(), tmp_path / "a.svg")).getroot()  # noqa: S314 - written just now
    assert [each.tag.removeprefix(SVG) for each in root][:2] == ["title", "desc"]
    assert root.findtext(f"{SVG}desc") == alt_text(made.response_result())
    assert root.get("role") == "img"
    texts = {"".join(each.itertext()).strip() for each in root.iter(f"{SVG}text")}
    assert {"18/62", "A question"} <= texts
    assert not re.search(r"date>", (tmp_path / "a.svg").read_text(encoding="utf-8"))


def test_svg_escapes_what_the_picture_says(tmp_path: Path) -> None:
    axes = plt.figure().subplots()
    axes.set_title("a < b & c")
    root = ET.parse(save_plot(axes, tmp_path / "a.svg")).getroot()  # noqa: S314 - as above
    plt.close()
    assert root.findtext(f"{SVG}desc") == "a < b & c"


def test_pdf_holds_its_fonts_and_no_date(tmp_path: Path) -> None:
    content = save_plot(made.response_result(), tmp_path / "a.pdf").read_bytes()
    assert b"/FontFile2" in content
    assert b"/Type3" not in content
    assert b"/CreationDate" not in content
    assert b"/Subject" in content


def test_axes_are_saved_as_they_were_changed(tmp_path: Path) -> None:
    axes = plot(made.response_result())
    axes.set_title("Mine", loc="left")
    text = save_plot(axes, tmp_path / "a.svg").read_text(encoding="utf-8")
    assert ">Mine<" in text
    assert "A question</text>" not in text
    assert alt_text(made.response_result()) in text
    assert plt.get_fignums()  # the figure is the caller's: it stays
    plt.close()


def test_kind_and_most_belong_to_a_result(tmp_path: Path) -> None:
    assert b"Forest plot" in save_plot(made.response_result(), tmp_path / "a.png", kind="forest").read_bytes()
    axes = plot(made.response_result())
    with pytest.raises(ValueError, match="drawn already"):
        save_plot(axes, tmp_path / "b.png", most=3)
    plt.close()
    with pytest.raises(ValueError, match="cannot be drawn as 'map'"):
        save_plot(made.response_result(), tmp_path / "b.png", kind="map")
    assert [each.name for each in tmp_path.iterdir()] == ["a.png"]


def test_unknown_endings_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"\.png, \.svg, \.pdf are known"):
        save_plot(made.response_result(), tmp_path / "a.gif")
    assert not list(tmp_path.iterdir())
