"""A run's tables with each cell as text, for terminals and the HTML page."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from expand.config.profile import ProfileConfig
from expand.run.comparison import Comparison, Entrant
from expand.run.record import RunRecord
from expand.run.rows import CandidateRow, TargetRow, key_of
from expand.search.decision import Decision
from expand.system.units import show_count, show_milliseconds, show_points, show_seconds

Emphasis = Literal["", "bold", "dim"]


@dataclass(frozen=True, slots=True)
class Line:
    """A row of a table.

    Attributes:
        key: the candidate that the row belongs to, as in `rows.key_of`.
        cells: a text for each column.
        emphasis: how the row stands out.
    """

    key: str
    cells: tuple[str, ...]
    emphasis: Emphasis = ""


@dataclass(frozen=True, slots=True)
class Sheet:
    """A table.

    Attributes:
        headings: the headings of the columns.
        right: for each column, whether it is aligned at the right, as numbers are.
        lines: the rows.
        spare: headings of columns that are left out, in this order, where the table is too wide.
    """

    headings: tuple[str, ...]
    right: tuple[bool, ...]
    lines: tuple[Line, ...]
    spare: tuple[str, ...] = ()


def plain_sheet(
    headings: Sequence[str], rows: Iterable[Sequence[str]], *, left: Sequence[str], spare: Sequence[str] = ()
) -> Sheet:
    """A table whose rows belong to no candidate; `left` are the headings of columns of words."""
    return Sheet(
        headings=tuple(headings),
        right=tuple(heading not in left for heading in headings),
        lines=tuple(Line(row[0], tuple(row)) for row in rows),
        spare=tuple(spare),
    )


def trajectory_sheet(record: RunRecord) -> Sheet:
    """Return the table of the accepted states, then of the targets' networks, which are bold."""
    rows, words = record.trajectory, record.objective.words
    several = any(len(row.seeds.measurements) > 1 for row in rows)
    spread = ("± seeds",) if several else ()
    fresh = ("fresh seeds",) if any(row.fresh is not None for row in rows) else ()
    tested = ("test",) if any(row.test is not None for row in rows) else ()
    beside = () if record.data.several_labels else (_beside(record),)
    cost = () if record.setup.cost.name == "params" else _cost(record)
    timed = ("timed",) if any(row.timed is not None for row in rows) else ()
    headings = ("model", *cost, *timed, "MACs", "params", "clip", words, *spread, *fresh, *tested, *beside)
    lines = []
    for row in rows:
        network, seeds = row.network, row.seeds
        score = "failed" if row.state == "failed" else share(seeds.mean)
        cells = [row.name, *(record.setup.cost.show(network.cost) for _ in cost)]
        cells += ["" if row.timed is None else show_milliseconds(row.timed / 1e9) for _ in timed]
        cells += [show_count(network.macs), show_count(network.params), str(network.clips), score]
        cells += [share(seeds.deviation)] if several else []
        cells += [share(None if row.fresh is None else row.fresh.mean) for _ in fresh]
        cells += [share(row.test) for _ in tested]
        cells += [share(seeds.mean_class_accuracy if heading == "mean class" else seeds.top1)
                  for heading in beside]  # fmt: skip
        lines.append(Line(row.key, tuple(cells), "bold" if isinstance(row, TargetRow) else ""))
    right = tuple(heading not in ("model", "clip") for heading in headings)
    return Sheet(headings, right, tuple(lines), spare=("params", *beside, "clip", *spread))


def _beside(record: RunRecord) -> str:
    """Return the heading of the second score: mean class accuracy if the objective is top-1, else top-1."""
    return "mean class" if record.config.search.objective == "top1" else "top-1"


def _cost(record: RunRecord) -> tuple[str, ...]:
    """Return the heading of the column of costs; none where the cost is MACs, which have a column anyway."""
    return () if record.setup.cost.name == "macs" else (record.setup.cost.unit,)


def rounds_sheet(record: RunRecord) -> Sheet:
    """Return the table of every round: its candidates, then the axes without a candidate."""
    cost = _cost(record)
    gains = ("gain",) if record.compared else ()
    lines: list[Line] = []
    for number in record.numbers:
        first = len(lines)
        for row in (row for row in record.rounds if row.round == number):
            seeds = row.seeds
            spread = f"{share(seeds.lowest)} … {share(seeds.highest)}" if len(seeds.scores) > 1 else ""
            cells = (
                str(number) if len(lines) == first else "",
                row.network.candidate,
                *(record.setup.cost.show(row.network.cost) for _ in cost),
                show_count(row.network.macs),
                str(row.network.clips),
                share(seeds.mean),
                *("" if row.gain is None else show_points(row.gain) for _ in gains),
                spread,
                state_of(row),
            )
            lines.append(Line(row.key, cells, "bold" if state_of(row) == "accepted" else ""))
        lines += [
            Line(axis.key, ("", axis.axis, *("" for _ in (*cost, *gains)), "", "", "", "", axis.why), "dim")
            for axis in record.ungrown
            if axis.round == number
        ]
    words = record.objective.words
    headings = ("round", "candidate", *cost, "MACs", "clip", words, *gains, "min … max", "state")
    right = tuple(heading not in ("candidate", "clip", "min … max", "state") for heading in headings)
    return Sheet(headings, right, tuple(lines), spare=("min … max", "clip", "MACs"))


def decisions_sheet(record: RunRecord) -> Sheet:
    """Return the table of how each round was decided, and how surely."""
    lines = []
    for one in record.decisions:
        sure = ["", "", "", ""]
        if (belief := one.belief) is not None:
            sure = [
                f"{belief.best:.0%}",
                f"{belief.within:.0%}",
                f"{100 * belief.regret:.1f}",
                f"{belief.again:.0%}",
            ]
        cells = (str(one.round), one.chosen, verdict_of(one), *sure, str(one.trainings), _settling(one))
        lines.append(Line(key_of(one.round, one.chosen), cells))
    margin = f"within {100 * record.config.search.margin:g}"
    headings = ("round", "chosen", "decision", "P(best)", margin, "regret", "again", "trainings", "to settle")
    right = tuple(heading not in ("chosen", "decision") for heading in headings)
    return Sheet(headings, right, tuple(lines), spare=("to settle", "trainings", "again", "regret", margin))


def stability_sheet(record: RunRecord) -> Sheet:
    """Return the table of what comes out of the search, done again; without rows if that cannot be said."""
    found, cost = record.stability, record.setup.cost
    lines: list[Line] = []
    if found is not None:
        lines += _shares(
            "sequence",
            [(one.sequence.words, "", "", one.share, one.own) for one in found.sequences],
        )
        for target, networks in found.networks.items():
            rows = []
            for one in networks:
                if (candidate := one.candidate) is None:
                    rows.append(("unknown", "", "", one.share, False))
                    continue
                clip = str(record.setup.space.sampling(candidate.point))
                axes = ", ".join(one.axes) or candidate.name
                rows.append((axes, cost.show(candidate.cost), clip, one.share, one.own))
            lines += _shares(target, rows)
    headings = ("of", "axes", cost.unit, "clip", "cases", "found")
    return Sheet(headings, (False, False, True, False, True, False), tuple(lines), spare=("clip", cost.unit))


_RARE = 0.01  # the share of replays below which what comes out is not shown by itself


def _shares(of: str, rows: Sequence[tuple[str, str, str, float, bool]]) -> Iterator[Line]:
    """Yield the lines of what comes out, rare ones as one.

    Args:
        of: what it is that comes out.
        rows: the axes, the cost, the clip, the share and whether it is the search's own.
    """
    rare = [row for row in rows if row[3] < _RARE and not row[4]]
    shown = [row for row in rows if len(rare) < 2 or row not in rare]
    for number, (axes, cost, clip, frequency, own) in enumerate(shown):
        cells = ("" if number else of, axes, cost, clip, f"{frequency:.0%}", "here" if own else "")
        yield Line("", cells, "bold" if own else "")
    if len(rare) > 1:
        yield Line("", ("", f"{len(rare)} others", "", "", f"{sum(row[3] for row in rare):.0%}", ""), "dim")


def _settling(decision: Decision) -> str:
    """Return what would settle a tie."""
    if decision.verdict != "tie":
        return ""
    return "more videos" if decision.settling is None else f"about {decision.settling:,}"


def verdict_of(decision: Decision) -> str:
    """Return a decision in words, such as `tie with fast`."""
    others = [name for name in decision.tied if name != decision.chosen]
    said = f"tie with {', '.join(others)}" if others else decision.words
    if decision.blind and decision.verdict != "blind":
        said += f"; {', '.join(decision.blind)} not measurable"
    return said


def trials_sheet(record: RunRecord) -> Sheet:
    """Return the table of trainings."""
    cost, words = _cost(record), record.objective.words
    lines = []
    for row in record.trials:
        found = row.measurement
        cells = (
            str(row.round),
            row.network.candidate,
            str(row.seed),
            *(record.setup.cost.show(row.network.cost) for _ in cost),
            show_count(row.network.macs),
            str(row.network.clips),
            "" if found is None else share(found.score),
            "" if found is None else f"{found.loss:.3f}",
            "" if found is None else show_seconds(found.seconds),
            f"failed: {row.reason}" if found is None else "done",
        )
        lines.append(Line(row.key, cells))
    headings = ("round", "candidate", "seed", *cost, "MACs", "clip", words, "loss", "time", "state")
    right = (True, False, True, *(True for _ in cost), True, False, True, True, True, False)
    return Sheet(headings, right, tuple(lines), spare=("loss", "clip", "time", "MACs"))


def state_of(row: CandidateRow) -> str:
    """Return the state of a candidate in words, with the reason where it failed."""
    state = "accepted" if row.accepted and row.state == "done" else row.state
    if row.state == "done" and row.seeds.learned is False:
        return f"{state}, learned nothing" if row.accepted else "learned nothing"
    return f"{state}: {row.reason}" if row.reason else state


def share(value: float | None) -> str:
    """Return a share from 0 to 1 in percent, such as `41.2%`; empty for None."""
    return "" if value is None else f"{value:.1%}"


def comparison_sheet(found: Comparison) -> Sheet:
    """Return the table of what is compared: what each spent and found, and of whom it is ahead."""
    tested = ("test",) if any(_tests(entrant) for entrant in found.entrants) else ()
    score = f"{found.words}, fresh seeds" if found.fresh else found.words
    headings = ("search", "runs", "trainings", "spent", score, *tested, "ahead of")
    lines = []
    for entrant in found.entrants:
        ahead = [
            other.name if chance is None else f"{other.name} ({chance:.0%})"
            for one, other, chance in found.pairs
            if one is entrant
        ]
        cells = [
            entrant.name,
            str(len(entrant.climbs)),
            f"{statistics.fmean(climb.trainings for climb in entrant.climbs):.3g}",
            show_count(entrant.spent),
            share(entrant.found),
            *(share(statistics.fmean(_tests(entrant)) if _tests(entrant) else None) for _ in tested),
            ", ".join(ahead),
        ]
        lines.append(Line(entrant.name, tuple(cells)))
    right = tuple(heading not in ("search", "ahead of") for heading in headings)
    return Sheet(headings, right, tuple(lines), spare=("trainings",))


def profile_sheet(found: ProfileConfig) -> Sheet:
    """Return the table of how far a profile's predictions are off, beside those by multiply-adds alone."""
    rows = [
        (name, share(errors.median), share(errors.percentile_95), f"{errors.rank:.3f}")
        for name, errors in (("the profile", found.errors), ("multiply-adds alone", found.errors_by_macs))
    ]
    headings = ("predicted by", "median error", "95 % are below", "rank correlation")
    return plain_sheet(headings, rows, left=headings[:1])


def _tests(entrant: Entrant) -> list[float]:
    """Return the scores on test videos of what the runs found."""
    return [climb.test for climb in entrant.climbs if climb.test is not None]
