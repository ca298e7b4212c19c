"""The figure of decisions: what is believed of each round's candidates, and how surely one was chosen."""

from __future__ import annotations

import math
from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from expand.plots import captions
from expand.plots.marks import mark_of
from expand.plots.scales import in_percent
from expand.plots.style import FAINT, INK, is_control, look_of, name_of, new_figure
from expand.run.record import RunRecord
from expand.run.rows import CandidateRow
from expand.search.decision import Belief, Decision

_TITLE = "How sure each decision is"
_COLUMNS = 2
_LONGEST = 18  # the most characters of a name that leave room for two columns
_WIDTHS = (2.2, 1.05)  # of a panel's scores and of its probabilities
_ROW = 0.28  # inches between two candidates
_BELOW = 0.24  # how far the dots of single trainings lie below the mark of their candidate, in rows
_NARROWEST = 4  # the least width of a panel, in margins
_WORDS = 1.1  # where what is said of a probability begins; a bar of that length would be a probability of 1.1
_WHOLE = 2.35  # the width of a panel of probabilities, likewise


def decisions(records: Sequence[RunRecord]) -> Figure:
    """Draw a panel for each decided round, with a row for each candidate."""
    (record,) = records
    title = captions.title(record, _TITLE)
    if not record.decisions:
        why = "No round decides between candidates." if record.ended else "No round is decided yet."
        return captions.nothing(records, title, why)
    decided = record.decisions
    names = [name_of(row.network, record) for one in decided for row in _rows(record, one)]
    columns = min(_COLUMNS if max(map(len, names)) <= _LONGEST else 1, len(decided))
    lines = math.ceil(len(decided) / columns)
    tallest = max(len(one.names) for one in decided)
    widths = _WIDTHS if any(one.beliefs is not None or one.blind for one in decided) else (1.0, 0.05)
    figure = new_figure(0.9 + lines * (0.6 + _ROW * tallest), title)
    grid = figure.subplots(lines, 2 * columns, squeeze=False, width_ratios=widths * columns)
    panels = grid.reshape(-1, 2)  # (scores, probabilities) of each round
    for (scores, chances), one in zip(panels, decided, strict=False):
        _scores(scores, record, one)
        _chances(chances, record, one)
        scores.set_ylim(tallest - 0.3, -0.5)
        chances.set_ylim(scores.get_ylim())
    for axes in panels[len(decided) :].flat:
        axes.set_visible(False)
    for scores, _ in panels[max(0, len(decided) - columns) : len(decided)]:
        scores.set_xlabel(f"{record.objective.words} on validation")
    captions.caption(figure, captions.state(records), *_legend(record), captions.about(record))
    return figure


def _scores(axes: Axes, record: RunRecord, decision: Decision) -> None:
    """Draw the trainings of each candidate, and where its true score is expected."""
    rows, control = _rows(record, decision), _control(record, decision)
    axes.set_title(f"round {decision.round}: {_verdict(record, decision)}")
    axes.grid(visible=False, axis="y")
    axes.tick_params(axis="y", length=0)
    axes.set_yticks(range(len(rows)), [name_of(row.network, record) for row in rows])
    low, high = _span(record, decision, rows, control)
    axes.set_xlim(low, high)
    axes.xaxis.set_major_locator(MaxNLocator(4, steps=[1, 2, 2.5, 4, 5, 10]))
    in_percent(axes.xaxis, digits=6)
    if decision.beliefs is not None:
        best = decision.beliefs.leading.mean
        axes.axvspan(best - record.config.search.margin, best, color=FAINT, alpha=0.2, linewidth=0, zorder=0)
    if control is not None:
        axes.axvline(control, color=INK, linewidth=0.9, linestyle=(0, (4, 2)), zorder=1)
    for place, (row, label) in enumerate(zip(rows, axes.get_yticklabels(), strict=True)):
        if row.network.candidate == decision.chosen:
            label.set_fontweight("bold")
        _trainings(axes, record, decision, row, place, low)
        if (belief := decision.belief_in(row.network.candidate)) is not None:
            _expected(axes, record, decision, row, belief, place)


def _trainings(
    axes: Axes, record: RunRecord, decision: Decision, row: CandidateRow, place: int, low: float
) -> None:
    """Draw a dot for each training, and a cross for one that learned nothing, at the edge if it is beyond."""
    look, alone = look_of(row.network, record), decision.beliefs is None  # then nothing stands above the dots
    told = [one.score for one in row.seeds.measurements if one.learned]
    stuck = [max(low, one.score) for one in row.seeds.measurements if not one.learned]
    for scores, marker, colour in ((told, "o", look.colour), (stuck, "x", FAINT)):
        if not scores:
            continue
        axes.plot(
            scores,
            [place + (0.0 if alone else _BELOW)] * len(scores),
            marker,
            color=colour,
            alpha=0.65,
            markersize=4.5 if alone else 3,
            markeredgewidth=0 if marker == "o" else 0.9,
            clip_on=False,
            gid=mark_of("decisions", row, part=f"-{'seeds' if marker == 'o' else 'stuck'}"),
            zorder=3,
        )


def _expected(
    axes: Axes, record: RunRecord, decision: Decision, row: CandidateRow, belief: Belief, place: int
) -> None:
    """Draw the expected true score: outlined if it was chosen, hollow if it is tied with that, else faint."""
    look, name = look_of(row.network, record), row.network.candidate
    chosen, tied = name == decision.chosen, name in decision.tied
    axes.errorbar(
        belief.mean,
        place,
        xerr=belief.deviation,
        color=look.colour,
        alpha=1.0 if chosen or tied else 0.55,
        linewidth=1.3,
        capsize=2,
        zorder=3,
    )
    axes.plot(
        belief.mean,
        place,
        look.marker,
        color=look.colour,
        alpha=1.0 if chosen or tied else 0.55,
        markersize=6.5 if chosen else 5.5,
        markerfacecolor="white" if tied and not chosen else look.colour,
        markeredgecolor=INK if chosen else look.colour,
        markeredgewidth=0.9 if chosen else 1.2 if tied else 0.0,
        gid=mark_of("decisions", row),
        zorder=4,
    )


def _chances(axes: Axes, record: RunRecord, decision: Decision) -> None:
    """Draw how probably each candidate is the best, beside the probability from which a round is clear."""
    rows = _rows(record, decision)
    axes.set_axis_off()
    axes.set_xlim(0, _WHOLE)
    if decision.beliefs is not None:
        heading = axes.annotate(
            "P(best)",
            (_WORDS / _WHOLE, 0),
            (0, -7),
            xycoords="axes fraction",
            textcoords="offset points",
            va="top",
            fontsize=7,
            color=FAINT,
        )
        heading.set_in_layout(False)  # it stands beside the ticks of the scores
        for at, line in ((0.0, "-"), (record.config.search.confidence, (0, (1, 2)))):
            axes.plot([at, at], [-0.5, len(rows) - 0.5], color=FAINT, linewidth=0.8, linestyle=line)
    for place, row in enumerate(rows):
        _chance(axes, record, decision, row, place)


def _chance(axes: Axes, record: RunRecord, decision: Decision, row: CandidateRow, place: int) -> None:
    """Draw the probability that a candidate is the best, and, pale, that it is within the margin."""
    belief = decision.belief_in(row.network.candidate)
    if belief is not None:
        for length, alpha, part in ((belief.within, 0.3, "-within"), (belief.best, 1.0, "-best")):
            axes.barh(
                place,
                length,
                height=0.6,
                color=look_of(row.network, record).colour,
                alpha=alpha,
                gid=mark_of("decisions", row, part=part),
                zorder=2,
            )
    chosen = row.network.candidate == decision.chosen
    words = axes.text(
        0.04 if belief is None else _WORDS,
        place,
        _said(decision, row, belief),
        va="center",
        fontsize=7,
        color=FAINT if belief is None else INK,
        fontweight="bold" if chosen and belief is not None else "normal",
        bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.5} if belief is None else None,
    )
    words.set_in_layout(False)  # there is room for it


def _said(decision: Decision, row: CandidateRow, belief: Belief | None) -> str:
    """Return what stands beside a candidate: its probability, or why there is none."""
    name = row.network.candidate
    if row.state == "failed":
        return "failed"
    if belief is None:
        return "learned nothing" if name in decision.blind else ""
    return f"{belief.best:.0%}" + (" tied" if name in decision.tied and name != decision.chosen else "")


def _verdict(record: RunRecord, decision: Decision) -> str:
    """Return a decision in words, with the probability that it rests on: `clear, 91% within 1 point`."""
    if (belief := decision.belief) is None:
        return decision.words
    search = record.config.search
    sure = f"{belief.within:.0%}"
    if decision.verdict == "tie" and sure == f"{search.confidence:.0%}":
        sure = f"<{sure}"  # a tie is not as sure as that, by a hair
    return f"{decision.words}, {sure} within {_points(search.margin)}"


def _points(difference: float) -> str:
    return f"{100 * difference:g} point{'s' * (100 * difference != 1)}"


def _rows(record: RunRecord, decision: Decision) -> list[CandidateRow]:
    """Return the rows of a round's candidates, in the order of the decision, which is that of the axes."""
    rows = {row.network.candidate: row for row in record.rounds if row.round == decision.round}
    return [rows[name] for name in decision.names]


def _control(record: RunRecord, decision: Decision) -> float | None:
    """Return the mean score of a round's control; None where it has none."""
    ones = [row for row in record.rounds if row.round == decision.round and is_control(row.network)]
    return ones[0].seeds.mean if ones else None


def _span(
    record: RunRecord, decision: Decision, rows: Sequence[CandidateRow], control: float | None
) -> tuple[float, float]:
    """Return the scores that a panel shows: those of trainings that learned, all of them if none has."""
    measured = [one for row in rows for one in row.seeds.measurements]
    shown = [one.score for one in measured if one.learned] or [one.score for one in measured]
    beliefs = () if decision.beliefs is None else decision.beliefs.of
    for belief in beliefs:
        if belief is not None:
            shown += [belief.mean - belief.deviation, belief.mean + belief.deviation]
    shown += [] if control is None else [control]
    low, high = min(shown), max(shown)
    room = max(0.06 * (high - low), (_NARROWEST * record.config.search.margin - (high - low)) / 2, 0.002)
    return low - room, high + room


def _legend(record: RunRecord) -> list[str]:
    """Return what the marks mean, for the caption: only of those that the figure has."""
    search, decided, words = record.config.search, record.decisions, record.objective.words
    below = f"at most {_points(search.margin)} below the best"
    believed = any(one.beliefs is not None for one in decided)
    stuck = any(
        not one.learned for of in decided for row in _rows(record, of) for one in row.seeds.measurements
    )
    return [
        f"Dots: the {words} of single trainings.",
        "Bold: chosen.",
        "Crosses: trainings that learned nothing, at the edge where their score is beyond." if stuck else "",
        "Marks: the expected true score, ± one standard deviation; outlined: chosen." if believed else "",
        "Hollow: tied with it." if any(one.tied for one in decided) else "",
        f"Bars: the probability of being the best; pale: of being {below}, which decides: a round is clear "
        f"where that is {search.confidence:.0%} (dotted) or more for the chosen one. Shaded: {below} "
        "expected score."
        if believed
        else "",
        "Dashed line: the control." if any(_control(record, one) is not None for one in decided) else "",
        "With one training of each candidate there is no telling how sure a decision is."
        if any(one.verdict == "unknown" for one in decided)
        else "",
    ]
