"""The tables of a page are those of the results."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path

from expand.bench.table.page import filled
from tests.expand.bench.test_rivals import rival

RIVAL = replace(rival("random", 0, 0.92), spent=2e13)
PAGE = """# Proof

Before.

<!-- rivals: rivals.json -->
what stood there
<!-- end -->

After.
"""


def test_what_stands_between_the_lines_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "rivals.json").write_text(json.dumps([asdict(RIVAL)]))
    page = filled(PAGE, tmp_path)
    assert page.splitlines()[4:9] == [
        "<!-- rivals: rivals.json -->",
        "| strategy | searches | spent | validation | test | ± | mean class |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: |",
        "| random | 1 | 20 T | 90.0% | 92.0% |  | 80.0% |",
        "<!-- end -->",
    ]
    assert page.startswith("# Proof\n\nBefore.\n")
    assert page.endswith("\nAfter.\n")
    assert filled(page, tmp_path) == page
