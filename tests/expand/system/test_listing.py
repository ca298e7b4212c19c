from __future__ import annotations

import io

import pytest

from expand.system.console import Console
from expand.system.listing import Listing

LISTING = Listing(
    ["axis", "MACs", "clip", "state"], right=["MACs"], wrapped=["state"], spare=["clip", "missing", "MACs"]
)
LISTING.row("depth", "41.0 M", "1×48, 112²", "done")
LISTING.row("bottleneck", "820.5 K", "1×48, 112²", "failed: out of memory", style="bold")


def shown(width: int) -> str:
    file = io.StringIO()
    Console(file=file, width=width).print(LISTING)
    return "\n".join(line.rstrip() for line in file.getvalue().splitlines())


@pytest.mark.parametrize(
    ("width", "wanted"),
    [
        (
            80,
            " axis           MACs  clip        state\n"
            " depth        41.0 M  1×48, 112²  done\n"
            " bottleneck  820.5 K  1×48, 112²  failed: out of memory",
        ),
        (
            35,
            " axis           MACs  state\n"
            " depth        41.0 M  done\n"
            " bottleneck  820.5 K  failed: out\n"
            "                      of memory",
        ),
        (
            24,
            " axis        state\n"
            " depth       done\n"
            " bottleneck  failed:\n"
            "             out of\n"
            "             memory",
        ),
    ],
)  # fmt: skip
def test_columns_are_left_out_before_words_are_cut(width: int, wanted: str) -> None:
    assert shown(width) == wanted
