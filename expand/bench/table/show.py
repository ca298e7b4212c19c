"""What a table has so far, and how ways of searching fare on it, for a terminal."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from expand.bench.table.contenders import CONTENDERS
from expand.bench.table.verdict import Verdict
from expand.report.sheets import Sheet, plain_sheet
from expand.system.units import show_count, show_points, show_seconds
from search_spaces.base import Json

_ENOUGH = 0.75  # of what a contender spends, which a rival must have spent to be compared with it


def summary(rows: pd.DataFrame, facts: Json) -> list[Json]:
    """For each way and kind of network: how many trainings there are of how many, and what they took."""
    found = []
    for way, planned in facts["planned"].items():
        for kind, all_ in planned.items():
            own = rows[(rows["way"] == way) & (rows["kind"] == kind)]
            scored = own[own["failed"].isna()]
            found.append(
                {
                    "way": way,
                    "kind": kind,
                    "networks": int(own["name"].nunique()),
                    "trainings": len(own),
                    "planned": all_,
                    "failed": len(own) - len(scored),
                    "learned_nothing": int((scored["learned"] == False).sum()),  # noqa: E712  # a column
                    "score": float(scored["score"].mean()) if len(scored) else None,
                    "spent": float(scored["spent"].sum()),
                    "seconds": float(scored["seconds"].sum()),
                }
            )
    return found


def summary_sheet(rows: pd.DataFrame, facts: Json) -> Sheet:
    """`summary` as a table; the time is that of all trainings, one after the other."""
    headings = ("way", "networks", "trainings", "of", "learned nothing", "failed", "mean", "MACs", "time")
    cells = [
        (
            row["way"],
            f"{row['networks']} {row['kind']}",
            f"{row['trainings']:,}",
            f"{row['planned']:,}",
            f"{row['learned_nothing']:,}",
            f"{row['failed']:,}",
            "" if row["score"] is None else f"{row['score']:.1%}",
            show_count(round(row["spent"])),
            show_seconds(row["seconds"]),
        )
        for row in summary(rows, facts)
    ]
    return plain_sheet(headings, cells, left=("way", "networks"), spare=("failed", "mean"))


def contenders(verdict: Verdict) -> list[Json]:
    """For each contender: what it spends, how good what it finds is, and how it stands against its rivals.

    A rival is compared after it has spent as much as the contender; not if its budget was smaller.
    """
    rows = []
    for name in verdict.climbs:
        found, regret = verdict.found(name), verdict.regret(name)
        assert found is not None, "every replay has found something in the end"
        assert regret is not None, "every replay has found something in the end"
        spent, long = verdict.spent(name), verdict.at_length(found)
        long_regret = verdict.regret(name, at_length=True)
        against = {}
        for rival in verdict.climbs:
            ended = CONTENDERS[rival].budgeted and verdict.spent(rival) < _ENOUGH * spent
            theirs = None if rival == name or ended else verdict.found(rival, spent)
            if theirs is not None:
                gap, long_theirs = verdict.difference(found, theirs), verdict.at_length(theirs)
                long_gap = None
                if long is not None and long_theirs is not None:
                    long_gap = verdict.difference(long, long_theirs)
                against[rival] = {
                    "by": gap.mean,
                    "error": gap.error,
                    "better_on_average": gap.above,
                    "beats": verdict.beats(found, theirs),
                    "long_by": None if long_gap is None else long_gap.mean,
                    "long_error": None if long_gap is None else long_gap.error,
                }
        rows.append(
            {
                "contender": name,
                "spent": spent,
                "score": float(np.mean(found.truths)),
                "regret": regret.mean,
                "error": regret.error,
                "long": None if long is None else float(np.mean(long.truths)),
                "long_regret": None if long_regret is None else long_regret.mean,
                "long_error": None if long_regret is None else long_regret.error,
                "networks": len(set(found.networks)),
                "against": against,
            }
        )
    return rows


def contenders_sheet(rows: Sequence[Json]) -> Sheet:
    """`contenders` as a table; regrets are in points, by seeds unseen, and then by long trainings."""
    headings = ("search", "spends", "score", "regret", "±", "at length", "regret", "±", "networks")
    cells = [
        (
            row["contender"],
            show_count(round(row["spent"])),
            f"{row['score']:.1%}",
            f"{100 * row['regret']:.1f}",
            f"{100 * row['error']:.1f}",
            "" if row["long"] is None else f"{row['long']:.1%}",
            "" if row["long_regret"] is None else f"{100 * row['long_regret']:.1f}",
            "" if row["long_error"] is None else f"{100 * row['long_error']:.1f}",
            f"{row['networks']}",
        )
        for row in rows
    ]
    return plain_sheet(headings, cells, left=("search",), spare=("networks",))


def ahead_sheet(rows: Sequence[Json], *, at_length: bool = False) -> Sheet:
    """By how many points expansions are ahead of what others have found for the same spending.

    Each with its standard error, and the probability that a single search by it finds a better network. An
    expansion that is compared with none is left out: the table has too few networks for what it spends.

    Args:
        rows: of `contenders`.
        at_length: whether networks are judged by long trainings; there is no such probability then.
    """
    rivals = [row["contender"] for row in rows if CONTENDERS[row["contender"]].budgeted]
    cells = [
        (row["contender"], *(_ahead(row["against"].get(rival), at_length) for rival in rivals))
        for row in rows
        if not CONTENDERS[row["contender"]].budgeted
    ]
    compared = [(name, *ahead) for name, *ahead in cells if any(ahead)]
    return plain_sheet(("ahead of", *rivals), compared, left=("ahead of",), spare=("hand-scaled",))


def _ahead(duel: Json | None, at_length: bool) -> str:
    """Such as `+14.3 ± 4.1, 83%`; empty where two are not compared."""
    if duel is None:
        return ""
    if not at_length:
        return f"{show_points(duel['by'])} ± {100 * duel['error']:.1f}, {duel['beats']:.0%}"
    if duel["long_by"] is None:
        return ""
    return f"{show_points(duel['long_by'])} ± {100 * duel['long_error']:.1f}"
