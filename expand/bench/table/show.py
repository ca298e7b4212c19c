"""What a table has so far, by way and kind of network, for a terminal."""

from __future__ import annotations

import pandas as pd
from rich.table import Table

from expand.system.units import show_count, show_seconds
from search_spaces.base import Json

_LEFT = ("way", "networks")  # the columns of words


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


def summary_table(rows: pd.DataFrame, facts: Json) -> Table:
    """`summary` as a table; the time is that of all trainings, one after the other."""
    shown = Table(box=None, pad_edge=False, header_style="bold")
    headings = ("way", "networks", "trainings", "of", "learned nothing", "failed", "mean", "MACs", "time")
    for heading in headings:
        shown.add_column(heading, justify="left" if heading in _LEFT else "right", no_wrap=True)
    for row in summary(rows, facts):
        shown.add_row(
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
    return shown
