"""Shows the report of `xpand doctor` on a terminal."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from expand.data.base import SPLITS
from expand.data.doctor import Count, Report
from expand.data.shards import Storage
from expand.system.escaping import visible_line
from expand.system.units import GB

_SHOWN = 10  # lines of a long list that are shown; the others are counted
_STORAGE: dict[Storage, str] = {"raw": "raw frames", "jpeg": "JPEG"}
_MOST_CLASSES = 30  # with more classes, only the largest and the smallest ones are shown


def render(report: Report) -> RenderableType:
    """Render the report for 80 columns; the console must not read markup, which names may look like."""
    parts: list[RenderableType] = [_class_table(report), Text(), _facts(report)]
    if report.notes:
        parts += [Text(), Text("How it was read", style="bold"), *_first(list(report.notes))]
    if report.bad:
        parts += [Text(), _bad_table(report)]
    if report.remarks:
        lines = [visible_line(f"{remark.key}: {remark.what}") for remark in report.remarks]
        parts += [Text(), Text("Odd, and read all the same", style="bold"), *_first(lines)]
    if report.leaks:
        lines = [
            visible_line(f"{leak.splits[1]} {leak.later} = {leak.splits[0]} {leak.earlier} ({leak.how})")
            for leak in report.leaks
        ]
        parts += [Text(), Text("In two splits", style="bold"), *_first(lines)]
    if report.two_labels:
        lines = [visible_line(one.words) for one in report.two_labels]
        parts += [Text(), Text("With two labels", style="bold"), *_first(lines)]
    if report.advice:
        bullets = Table.grid(padding=(0, 1))
        for line in report.advice:
            bullets.add_row("•", line)
        parts += [Text(), Text("What to do", style="bold"), bullets]
    elif report.looked:
        parts += [Text(), Text("Nothing wrong was found.", style="green")]
    else:
        parts += [Text(), Text("Nothing wrong was found in the lists; no video was opened.", style="green")]
    return Group(*parts)


def _class_table(report: Report) -> Table:
    table = Table(
        title=f"{report.name}: {len(report.classes):,} classes", title_justify="left", title_style="bold"
    )
    table.add_column("class", overflow="fold")
    shown = [split for split in SPLITS if split != "test" or report.listed["test"]]
    for split in shown:
        table.add_column(split, justify="right")
    by_size = sorted(report.classes, key=lambda count: (-count.train, count.name))
    rows = list(report.classes)
    if len(rows) > _MOST_CLASSES:
        rows = by_size[:_SHOWN] + by_size[-_SHOWN:]
    for place, row in enumerate(rows):
        table.add_row(visible_line(row.name), *(f"{getattr(row, split):,}" for split in shown))
        if len(rows) < len(report.classes) and place == _SHOWN - 1:
            table.add_row(f"… {len(report.classes) - len(rows):,} classes between …", *("" for _ in shown))
    table.add_section()
    table.add_row("all", *(f"{report.listed[split]:,}" for split in shown))
    return table


def _facts(report: Report) -> Table:
    table = Table.grid(padding=(0, 2))
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    if not report.looked:
        return table
    usable, listed = sum(report.usable.values()), sum(report.listed.values())
    sampled = f" that were looked at, of {listed:,}" if report.looked < listed else ""
    table.add_row("usable", f"{usable:,} of {report.looked:,} videos{sampled}")
    for split, largest in report.largest.items():
        table.add_row(f"guessing, {split}", f"{largest.share:.1%} (always {visible_line(largest.name)})")
    if report.seconds:
        spread = report.seconds
        table.add_row(
            "duration",
            f"{spread.low:.2f} to {spread.high:.2f} s, median {spread.median:.2f} s, "
            f"together {spread.total / 3600:.2f} h",
        )
    table.add_row("size", _list(report.sizes))
    table.add_row("frame rate", _list(report.frame_rates))
    table.add_row("variable rate", f"{report.variable_rate:,}")
    table.add_row("rotated", f"{report.rotated:,}")
    if report.mirrored:
        table.add_row("mirrored", f"{report.mirrored:,}")
    for short in report.too_short:
        if short.videos:
            videos = f"{short.videos:,} video{'s are' if short.videos > 1 else ' is'} shorter than"
            table.add_row("looped", f"{videos} a clip {short.clip} ({short.seconds:.2f} s)")
    if report.cache:
        cache = report.cache
        table.add_row(
            "cache",
            f"{cache.raw_bytes / GB:.2f} GB raw, about {cache.jpeg_bytes / GB:.2f} GB JPEG; "
            f"kept as {_STORAGE[cache.storage]} (short side {cache.short_side}, {cache.fps:g} fps)",
        )
    return table


def _list(counts: Sequence[Count], most: int = 5) -> str:
    shown = ", ".join(f"{count.what} ({count.videos:,})" for count in counts[:most])
    rest = sum(count.videos for count in counts[most:])
    return shown + (f", {len(counts) - most:,} more kinds ({rest:,})" if rest else "")


def _bad_table(report: Report) -> Table:
    table = Table(title=f"{len(report.bad):,} bad videos", title_justify="left", title_style="bold")
    table.add_column("video", overflow="fold")
    table.add_column("split")
    table.add_column("reason", overflow="fold")
    for bad in report.bad[:_SHOWN]:
        table.add_row(visible_line(bad.key), bad.split, bad.reason)
    if len(report.bad) > _SHOWN:
        reasons = Counter(bad.reason.partition(":")[0] for bad in report.bad[_SHOWN:])
        listed = ", ".join(f"{count:,} {reason}" for reason, count in reasons.most_common())
        table.add_row(f"… {len(report.bad) - _SHOWN:,} more", "", listed)
    return table


def _first(lines: Sequence[str]) -> list[Text]:
    more = [Text(f"… {len(lines) - _SHOWN:,} more")] if len(lines) > _SHOWN else []
    return [*(Text(line) for line in lines[:_SHOWN]), *more]
