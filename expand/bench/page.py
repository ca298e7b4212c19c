"""Writes the page of speeds from results/speed: `python -m expand.bench.page > docs/speed.md`."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from expand.bench.harness import Comparison, Figures, Timing
from expand.bench.show import cells, columns, conclusion

RESULTS = Path(__file__).parents[2] / "results" / "speed"
# The title of each benchmark's section, in the order of the page.
TITLES = {
    "step": "A training step",
    "search": "A whole search",
    "workers round": "Several candidates at once",
    "workers search": "The same search by each kind of workers",
    "data batches": "Loading a batch",
    "data cache": "Decoding a data set",
    "count": "Counting a network",
    "plan": "Planning a round",
    "start": "Starting the command",
    "driver": "What a search costs around its trainings",
}
_INTRODUCTION = """# Speed

Made by `python -m expand.bench.page > docs/speed.md` from the files in results/speed, each of which is
what the command over its table wrote with `--out`. Every row is measured in one run, its ways in turn; a cell
has the fastest turn and the slowest, a ratio is of the two fastest. The machines are shared with other work,
so ratios mean more than times. What was tried and lost is in [the log](../results/LOG.md).
"""


def page(folder: Path = RESULTS) -> str:
    """Write the page in Markdown."""
    results = {
        path.stem: json.loads(path.read_text(encoding="utf-8")) for path in sorted(folder.glob("*.json"))
    }
    ordered = sorted(results, key=lambda name: [*TITLES].index(results[name]["benchmark"]))
    return "\n".join([_INTRODUCTION, *(line for name in ordered for line in _section(results[name]))])


def _section(values: Mapping[str, Any]) -> Iterator[str]:
    figures = read(values)
    machine = values["machine"]
    yield f"## {TITLES[figures.benchmark]}"
    yield ""
    yield f"`{figures.command}`"
    yield ""
    yield (
        f"{machine['cores']} cores, {machine['processor']}, torch {machine['torch']}, {machine['date']}, "
        f"commit {machine['commit']}"
    )
    yield ""
    yield "| " + " | ".join(columns(figures)) + " |"
    yield "| --- |" + " ---: |" * (len(columns(figures)) - 1)
    yield from ("| " + " | ".join(cells(row)) + " |" for row in figures.rows)
    yield ""
    yield from (f"- {line}" for line in conclusion(figures))
    yield ""


def read(values: Mapping[str, Any]) -> Figures:
    """Read Figures from the JSON of `Figures.to_json`."""
    rows = []
    for row in values["rows"]:
        timings = {key: Timing(**value) for key, value in row.items() if _is_timing(value)}
        facts = {key: value for key, value in row.items() if key not in {*timings, "name", "ratio"}}
        rows.append(Comparison(name=row["name"], timings=timings, baseline=values["baseline"], facts=facts))
    return Figures(
        benchmark=values["benchmark"],
        unit=values["unit"],
        rows=rows,
        settings=values["settings"],
        limit=values["limit"],
        notes=tuple(values["notes"]),
    )


def _is_timing(value: object) -> bool:
    return isinstance(value, dict) and value.keys() == {"fastest", "median", "slowest"}


if __name__ == "__main__":
    sys.stdout.write(page())
