"""The style of figures: fonts, colours and markers; every colour goes with a shape, for the colour-blind."""

from __future__ import annotations

from collections.abc import Container
from dataclasses import dataclass
from typing import Any, Protocol

from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from expand.run.record import RunRecord
from expand.run.rows import Network
from expand.search.base import CONTROL, START
from search_spaces.base import presentation_of

DPI = 300
WIDTH = 7.0  # inches, the width of a page's text
INK, FAINT, GRID = "#222222", "#767676", "#e4e4e4"

RC: Any = {  # Any, as matplotlib's own type is a union of 300 names
    "font.family": "DejaVu Sans",  # part of matplotlib, so that figures are the same on every machine
    "font.size": 8,
    "text.parse_math": False,  # a $ in a name is a $
    "axes.titlesize": 8.5,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.edgecolor": FAINT,
    "axes.labelcolor": INK,
    "axes.linewidth": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.grid": True,
    "grid.color": GRID,
    "grid.linewidth": 0.6,
    "xtick.color": FAINT,
    "ytick.color": FAINT,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "xtick.labelsize": 7.5,
    "ytick.labelsize": 7.5,
    "legend.fontsize": 7,
    "legend.frameon": False,
    "figure.facecolor": "white",
    "figure.constrained_layout.use": False,  # new_figure asks for it, and settle takes it away again
    "figure.autolayout": False,
    "savefig.dpi": DPI,
    "svg.fonttype": "path",  # letters as outlines, which need no font
    "pdf.fonttype": 42,
    "hatch.linewidth": 0.6,
}


@dataclass(frozen=True, slots=True)
class Look:
    """The colour and marker of one of the space's axes."""

    colour: str
    marker: str


# Colours as in the concept figure of X3D (γs blue, γt teal, γτ green, γb plum, γw purple, γd brown), but with
# lightnesses that the colour-blind can distinguish; a test checks how far they are apart.
_LOOKS = {
    "fast": Look("#669f3c", "^"),
    "temporal": Look("#05aaba", "o"),
    "spatial": Look("#3c67ae", "s"),
    "depth": Look("#814b2c", "v"),
    "width": Look("#700fc4", "P"),
    "bottleneck": Look("#8f0b67", "X"),
}
_OTHERS = (Look("#d98c00", "p"), Look("#b02a2a", "h"), Look("#5f6b74", "8"), Look("#9a9a00", "<"))
_START, _CONTROL = Look(INK, "o"), Look(FAINT, "d")

RUN_COLOURS = ("#222222", "#c2410c", "#2f6fc2", "#12806a", "#8a3ea8", "#8a6d00")


class Named(Protocol):
    """What has a candidate's name and its axis: a network, or an attempt at one."""

    @property
    def candidate(self) -> str: ...

    @property
    def axis(self) -> str | None: ...


def look_of(row: Named, record: RunRecord) -> Look:
    """Return the look of a candidate: that of its axis, if it has one."""
    if row.axis is not None:
        return axis_look(row.axis, record)
    return _CONTROL if is_control(row) else _START


def axis_look(axis: str, record: RunRecord) -> Look:
    """Return the look of an axis; the user's own axes get further looks, in the order of the run's axes."""
    if axis in _LOOKS:
        return _LOOKS[axis]
    own = [name for name in record.setup.axes if name not in _LOOKS]
    return _OTHERS[own.index(axis) % len(_OTHERS)]


def start_name(record: RunRecord) -> str:
    given = record.config.search.start
    return presentation_of(record.setup.space).start if given is None else given.name


def name_of(network: Network, record: RunRecord) -> str:
    """Return the name of a candidate in figures: that of its axis if it is called after it, else its own."""
    if is_start(network):
        return start_name(record)
    if network.axis is not None and is_growth(network):
        return record.setup.axes[network.axis].label
    return network.candidate


def is_start(network: Named) -> bool:
    """Whether a candidate is the start of its space, by its first training or a later one."""
    return network.axis is None and network.candidate.split("-")[0] == START


def is_control(network: Named) -> bool:
    """Whether a candidate is a round's control: the grown network itself, trained on."""
    return network.axis is None and network.candidate == CONTROL


def is_growth(network: Network) -> bool:
    """Whether a candidate is called after its axis, as strategies do that grow a network along each axis."""
    return network.candidate == network.axis


def looks_of(keys: Container[str], record: RunRecord) -> dict[str, Look]:
    """Return the labels of a legend with their looks: only of what the candidates with these keys are.

    The start comes first, then the axes in the order of the run; candidates of no axis, such as networks
    drawn at random, have the word for the kind of their round.
    """
    rows = [row for row in record.rounds if row.key in keys]
    found = {start_name(record): _START} if any(is_start(row.network) for row in rows) else {}
    used = {row.network.axis for row in rows}
    found |= {axis.label: axis_look(name, record) for name, axis in record.setup.axes.items() if name in used}
    others = [row for row in rows if row.network.axis is None and not is_start(row.network)]
    return found | {
        CONTROL if is_control(row.network) else row.kind: look_of(row.network, record) for row in others
    }


def axis_handles(keys: Container[str], record: RunRecord, size: float) -> list[Line2D]:
    """Make legend entries for what the candidates with these keys are, as `looks_of` has them."""
    return [
        Line2D([], [], color=look.colour, marker=look.marker, ls="", ms=size, label=label)
        for label, look in looks_of(keys, record).items()
    ]


def new_figure(height: float, title: str, width: float = WIDTH) -> Figure:
    """Make an empty figure with a title at the left; sizes in inches."""
    figure = Figure(figsize=(width, height), layout="constrained")
    figure.suptitle(title, x=0.01, ha="left", fontsize=10, fontweight="bold", color=INK)
    return figure


def settle(figure: Figure) -> None:
    """Lay a figure out, once: its parts stay where they are now, whatever it is drawn as and written to.

    What is placed after that, such as labels, is then as near to its point in every file. And matplotlib no
    longer lays the figure out anew for each file, twice, which takes longer than to draw it.
    """
    engine = figure.get_layout_engine()
    assert engine is not None, "a figure is settled once"
    drawn_at = figure.dpi
    figure.dpi = DPI  # at fewer dots bold letters are narrower, and long names would be cut off in files
    engine.execute(figure)
    figure.dpi = drawn_at
    figure.set_layout_engine(None)


def empty_figure(title: str, message: str) -> Figure:
    """Make a figure with a message instead of data."""
    figure = new_figure(1.6, title)
    axes = figure.subplots()
    axes.set_axis_off()
    axes.text(0.5, 0.5, message, ha="center", va="center", color=INK, wrap=True)
    return figure
