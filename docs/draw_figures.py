"""Draw the README's figures anew: ``python docs/draw_figures.py``."""

from __future__ import annotations

from pathlib import Path

import mesostats as ms

HERE = Path(__file__).parent

if __name__ == "__main__":
    clinic = ms.simulate(500, seed=1)
    ms.save_plot(ms.retention(clinic, by="protocol"), HERE / "retention.png", dpi=100)
    ms.save_plot(ms.response(clinic, by="indication"), HERE / "response.png", dpi=90)
