"""Figures of a run, drawn with matplotlib.

Other packages call `figures.draw`, `figures.write_figures` and `figures.to_bytes`:

figure = draw("trace", [read_run(Path("results/motion"))])       # a matplotlib Figure
write_figures([Path("results/motion")], Path("figures"))         # PNG, SVG and PDF of each kind
"""

from __future__ import annotations

from expand.plots.figures import FORMATS, KINDS, Kind, draw, styled, write_drawn, write_figures

__all__ = ["FORMATS", "KINDS", "Kind", "draw", "styled", "write_drawn", "write_figures"]
