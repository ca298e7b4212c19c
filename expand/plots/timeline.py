"""The figure of the timeline: every training of each worker, with failures, interruptions and resumes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from expand.plots import captions
from expand.plots.marks import mark_of
from expand.plots.style import FAINT, INK, look_of, looks_of, new_figure
from expand.run.record import RunRecord
from expand.run.rows import AttemptRow
from expand.system.units import show_seconds

_TITLE = "Where the time went"
_PAUSE = 60.0  # seconds that a pause between two drivers is shortened to, if it is longer
_IDLE = 1_800.0  # seconds without any training that count as a pause, as where another run's are taken over
_FAILED = "#b02a2a"
_HATCH = {"failed": "xxxx", "cut off": "////", "running": "...."}


@dataclass(frozen=True, slots=True)
class Bar:
    """An attempt at a training: begin and end in seconds since the first, with pauses shortened; its lane."""

    row: AttemptRow
    begin: float
    end: float
    lane: int


def timeline(records: Sequence[RunRecord]) -> Figure:
    """Draw a lane for each worker, with a bar for each attempt."""
    (record,) = records
    title = captions.title(record, _TITLE)
    if not record.attempts:
        return captions.nothing(records, title, "Nothing was trained yet.")
    bars, resumed, lanes = lay_out(record.attempts, record.starts)
    figure = new_figure(1.5 + 0.42 * len(lanes), title)
    axes = figure.subplots()
    axes.grid(visible=False, axis="y")
    whole = max(bar.end for bar in bars)
    unit, name = (60.0, "minutes") if whole < 3 * 3600 else (3600.0, "hours")
    for bar in bars:
        _draw(axes, record, bar, unit)
    _rounds(axes, bars, unit)
    for time in resumed:
        axes.axvline(time / unit, color=INK, linewidth=1.1, linestyle=(0, (3, 2)), zorder=4)
    axes.set_yticks(range(len(lanes)), lanes)
    axes.set_ylim(len(lanes) - 0.5, -0.85)
    axes.set_xlim(0, whole / unit)
    axes.set_xlabel(
        f"{name} since the first training" + (", pauses cut down to one minute" if resumed else "")
    )
    _legend(figure, record, bars, bool(resumed))
    captions.caption(figure, captions.state(records), _sums(record), captions.about(record))
    return figure


def lay_out(
    attempts: Sequence[AttemptRow], starts: Sequence[float]
) -> tuple[list[Bar], list[float], list[str]]:
    """Return the bars, the times at which the run was resumed, and the names of the lanes.

    A lane is a worker of a host; a process that starts after another has ended may take its lane.

    Args:
        attempts: the attempts at trainings.
        starts: when each driver of the run started, in seconds.
    """
    rows = sorted(attempts, key=lambda row: row.attempt.started)
    now = max(row.attempt.started + (row.attempt.seconds or 0.0) for row in rows)
    spans = []
    for row in rows:
        begin = row.attempt.started
        spans.append((row, begin, begin + (row.attempt.seconds or max(0.0, now - begin))))
    origin, cut, resumed = spans[0][1], 0.0, []
    pauses: list[tuple[float, float]] = []  # (end of the pause, seconds cut away up to then)
    for start in sorted([*starts, *_after_idling(spans, starts)]):
        ended = [end for _, begin, end in spans if begin < start]
        later = [begin for _, begin, _ in spans if begin >= start]
        if not ended or not later:
            continue
        if pauses and pauses[-1][0] == min(later):
            continue  # a driver before this one started, too, and trained nothing
        pause = min(later) - max(ended)
        if pause > _PAUSE:
            cut += pause - _PAUSE
        pauses.append((min(later), cut))
        resumed.append(min(later) - origin - cut)

    def shortened(time: float) -> float:
        return time - float(origin) - max((away for since, away in pauses if time >= since), default=0.0)

    lanes: list[tuple[str, int, float]] = []  # host, process, busy until
    bars = []
    for row, begin, end in spans:
        lane = _lane(lanes, row, begin)
        lanes[lane : lane + 1] = [(row.attempt.host, row.attempt.process, end)]
        bars.append(Bar(row, shortened(begin), shortened(begin) + (end - begin), lane))
    hosts = [host for host, _, _ in lanes]
    names = [f"{host} {hosts[:lane].count(host) + 1}" for lane, host in enumerate(hosts)]
    return bars, resumed, names


def _after_idling(
    spans: Sequence[tuple[AttemptRow, float, float]], starts: Sequence[float]
) -> Iterator[float]:
    """Yield when trainings went on after a long time without any, though no driver started meanwhile."""
    busy = spans[0][2]
    for _, begin, end in spans:
        if begin - busy > _IDLE and not any(busy < start <= begin for start in starts):
            yield begin
        busy = max(busy, end)


def _lane(lanes: list[tuple[str, int, float]], row: AttemptRow, begin: float) -> int:
    """Return the lane of a worker: its own, else a free one of the same host, else a new one."""
    for lane, (host, process, _) in enumerate(lanes):
        if (host, process) == (row.attempt.host, row.attempt.process):
            return lane
    for lane, (host, _, until) in enumerate(lanes):
        if host == row.attempt.host and until <= begin:
            return lane
    lanes.append((row.attempt.host, row.attempt.process, 0.0))
    return len(lanes) - 1


def _draw(axes: Axes, record: RunRecord, bar: Bar, unit: float) -> None:
    look = look_of(bar.row, record)
    ended = bar.row.state
    axes.barh(
        bar.lane,
        (bar.end - bar.begin) / unit,
        left=bar.begin / unit,
        height=0.6,
        color=look.colour if ended == "done" else "white",
        edgecolor="white" if ended == "done" else _FAILED if ended == "failed" else look.colour,
        linewidth=0.8,
        hatch=_HATCH.get(ended),
        gid=mark_of("timeline", bar.row, part=f"-{bar.row.seed}-{bar.row.attempt.started:.3f}"),
        zorder=2,
    )


def _rounds(axes: Axes, bars: Sequence[Bar], unit: float) -> None:
    """Write the number of each round over its bars, if there is room for it."""
    whole = max(bar.end for bar in bars)
    for number in dict.fromkeys(bar.row.round for bar in bars):
        ones = [bar for bar in bars if bar.row.round == number]
        begin = min(bar.begin for bar in ones)
        others = (bar.begin for bar in bars if bar.row.round != number and bar.begin > begin)
        until = min(others, default=whole)  # a round that was extended later has bars elsewhere, too
        end = max(bar.end for bar in ones if bar.begin <= until)
        if begin > 0:
            axes.axvline(begin / unit, color=FAINT, linewidth=0.7, zorder=1)
        if end - begin > 0.012 * whole * len(f"round {number}"):
            axes.text((begin + end) / 2 / unit, -0.58, f"round {number}", ha="center", fontsize=7, color=INK)
        elif end - begin > 0.015 * whole:
            axes.text((begin + end) / 2 / unit, -0.58, f"{number}", ha="center", fontsize=7, color=INK)


def _legend(figure: Figure, record: RunRecord, bars: Sequence[Bar], resumed: bool) -> None:
    looks = looks_of({bar.row.key for bar in bars}, record)
    handles: list[Patch | Line2D] = [Patch(color=look.colour, label=label) for label, look in looks.items()]
    for state, hatch in _HATCH.items():
        if any(bar.row.state == state for bar in bars):
            handles.append(
                Patch(
                    facecolor="white",
                    edgecolor=_FAILED if state == "failed" else FAINT,
                    hatch=hatch,
                    label=state,
                )
            )
    if resumed:
        handles.append(Line2D([], [], color=INK, linewidth=1.1, linestyle=(0, (3, 2)), label="went on"))
    figure.legend(handles=handles, loc="outside right upper")


def _sums(record: RunRecord) -> str:
    """Sum up how long workers trained, and how much of that was cut off."""
    spent = sum(row.attempt.seconds or 0.0 for row in record.attempts)
    lost = sum(row.attempt.seconds or 0.0 for row in record.attempts if row.state == "cut off")
    failed = sum(row.state == "failed" for row in record.attempts)
    words = f"{len(record.attempts)} trainings, {show_seconds(spent)} of workers' time in all"
    words += f", {show_seconds(lost)} of it cut off" if lost else ""
    return f"{words}; {failed} failed." if failed else f"{words}."
