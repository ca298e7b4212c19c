"""Fills in the tables of a page from results: `python -m expand.bench.table.page docs/proof.md`.

A page says where a table goes, and from which file it is made:

    <!-- contenders: results/table-motion/strategies-20M.json -->
    <!-- end -->

What stands between the two lines is replaced. Paths are relative to the repository.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

from expand.bench.rivals import read_rivals, rivals_sheet
from expand.bench.table.rows import read_table
from expand.bench.table.show import ahead_sheet, contenders_sheet, summary_sheet
from expand.report.sheets import Sheet
from expand.system.files import write_atomic

ROOT = Path(__file__).parents[3]
_BLOCK = re.compile(r"(<!-- (\w+): (\S+) -->\n).*?(<!-- end -->)", re.DOTALL)


def _from_json(sheet: Callable[..., Sheet]) -> Callable[[Path], Sheet]:
    return lambda file: sheet(json.loads(file.read_text(encoding="utf-8")))


# What may stand between the lines, by the name in the first of them.
SHEETS: Mapping[str, Callable[[Path], Sheet]] = {
    "contenders": _from_json(contenders_sheet),
    "ahead": _from_json(ahead_sheet),
    "ahead_at_length": _from_json(partial(ahead_sheet, at_length=True)),
    "rivals": lambda file: rivals_sheet(read_rivals(file)),
    "table": lambda file: summary_sheet(*read_table(file)),
}


def filled(page: str, root: Path = ROOT) -> str:
    """The page, with its tables as the results are now."""
    return _BLOCK.sub(lambda found: found[1] + markdown(SHEETS[found[2]](root / found[3])) + found[4], page)


def markdown(sheet: Sheet) -> str:
    """A table in GitHub's Markdown."""
    rows = [sheet.headings, ["---:" if right else "---" for right in sheet.right]]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in (*rows, *(line.cells for line in sheet.lines)))


if __name__ == "__main__":
    for name in sys.argv[1:]:
        write_atomic(Path(name), filled(Path(name).read_text(encoding="utf-8")))
