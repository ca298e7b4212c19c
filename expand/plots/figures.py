"""Draws figures by kind, and writes them as PNG, SVG and PDF."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import Literal

import matplotlib as mpl
from matplotlib.figure import Figure
from matplotlib.text import Text

from expand.plots.comparison import comparison
from expand.plots.decisions import decisions
from expand.plots.factors import factors
from expand.plots.frontier import frontier
from expand.plots.rounds import rounds
from expand.plots.style import RC, settle
from expand.plots.timeline import timeline
from expand.plots.trace import trace
from expand.run.record import RunRecord, read_run
from expand.system.errors import UserError, cannot_write
from expand.system.escaping import visible
from expand.system.files import replacing

Kind = Literal["trace", "rounds", "decisions", "factors", "frontier", "timeline", "comparison"]


FORMATS = ("png", "svg", "pdf")
_DRAW: Mapping[Kind, Callable[[Sequence[RunRecord]], Figure]] = {
    "trace": trace,
    "rounds": rounds,
    "decisions": decisions,
    "factors": factors,
    "frontier": frontier,
    "timeline": timeline,
    "comparison": comparison,
}
SHARED: tuple[Kind, ...] = ("frontier", "comparison")  # what several runs may share
KINDS: tuple[Kind, ...] = tuple(kind for kind in _DRAW if kind != "comparison")  # of a single run


def draw(kind: Kind, records: Sequence[RunRecord]) -> Figure:
    """Draw a figure of one run, or of several for the kinds that runs may share (SHARED).

    Raises:
        UserError: the kind is unknown, or the runs cannot be drawn in one figure.
    """
    if kind not in _DRAW:
        raise UserError(f"a figure must be one of {', '.join(_DRAW)}, got {kind!r}.")
    if len(records) > 1 and kind not in SHARED:
        raise UserError(
            f"several runs share only the figures {' and '.join(SHARED)}, got {kind}: draw it of each run."
        )
    return styled(lambda: _DRAW[kind](records))


def styled(make: Callable[[], Figure]) -> Figure:
    """The figure that a function draws, in the style of all figures."""
    with _style():
        figure = make()
        for text in figure.findobj(Text):
            assert isinstance(text, Text)
            text.set_text(visible(text.get_text()))  # an SVG with control characters is none
        if figure.get_layout_engine() is not None:
            settle(figure)
    return figure


@contextmanager
def _style(salt: str = "xpand") -> Iterator[None]:
    """Apply the style of all figures, without warnings of letters that the font lacks."""
    with mpl.rc_context(RC | {"svg.hashsalt": salt}), warnings.catch_warnings():
        warnings.filterwarnings("ignore", r"Glyph \d+ .* missing from font")
        yield


def to_bytes(figure: Figure, form: str, salt: str = "xpand") -> bytes:
    """Encode a figure as PNG, SVG or PDF; the same figure gives the same bytes.

    Args:
        figure: the figure.
        form: png, svg or pdf.
        salt: salt of the hashed ids inside an SVG, which must differ between SVGs of one page.
    """
    file = BytesIO()
    metadata = {"svg": {"Date": None}, "pdf": {"CreationDate": None}}.get(form)
    with _style(salt):
        figure.savefig(file, format=form, metadata=metadata)
    return file.getvalue()


def write_figures(folders: Sequence[Path], folder: Path, kinds: Sequence[Kind] = ()) -> list[Path]:
    """Write all figures of a run, or the frontier of several runs, as PNG, SVG and PDF.

    Args:
        folders: the runs.
        folder: for the figures.
        kinds: other figures than these.

    Raises:
        UserError: a folder is not a run, the runs cannot be drawn in one figure, or the output folder cannot
            be written.
    """
    records = [read_run(run) for run in folders]
    kinds = kinds or (KINDS if len(records) == 1 else ("frontier",))
    figures: dict[str, Figure] = {kind: draw(kind, records) for kind in kinds}
    return write_drawn(figures, folder)


def write_drawn(figures: Mapping[str, Figure], folder: Path) -> list[Path]:
    """Write figures by their names, as PNG, SVG and PDF.

    Raises:
        UserError: the folder cannot be written.
    """
    written = []
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, figure in figures.items():
            for form in FORMATS:
                path = folder / f"{name}.{form}"
                with replacing(path) as partial:
                    partial.write_bytes(to_bytes(figure, form, name))
                written.append(path)
    except OSError as error:
        raise cannot_write(folder, error) from None
    return written
