"""A search that is only planned: what it will cost, and what it will say of the videos."""

from __future__ import annotations

import json
from pathlib import Path

from tests.expand.commands import Xpand
from tests.expand.data.videos import write_clip


def test_a_dry_run_tells_what_the_lists_tell(xpand: Xpand, tmp_path: Path) -> None:
    (tmp_path / "train.txt").write_text("a.mp4 x\nb.mp4 y\n")
    (tmp_path / "val.txt").write_text("b.mp4 y\n")
    size = ("--set", "space.settings.size=32")
    done = xpand("search", "--data", tmp_path, "--dry-run", "--target", "3M", *size, cwd=tmp_path)
    assert (
        "1 of 1 videos of val are in an earlier split too, so accuracy on it will look too high: "
        "b.mp4 = b.mp4 (same file)"
    ) in " ".join(done.stderr.split())


def test_a_dry_run_refuses_bad_videos_as_the_search_does(xpand: Xpand, tmp_path: Path) -> None:
    for name in ("run", "walk"):
        write_clip(tmp_path / name / "good.mp4", seconds=1.0, fps=10)
        (tmp_path / name / "bad.mp4").touch()
    asked = ("search", "--data", tmp_path, "--target", "3M", "--set", "space.settings.size=32")
    dry = xpand(*asked, "--dry-run", cwd=tmp_path, cache=tmp_path / "cache")
    assert dry.returncode == 2
    assert dry.stderr.splitlines()[-1] == (
        "error: at most 5.0% of the videos may be bad (data.max_bad_share), but 2 of 4 are: run/bad.mp4 "
        "(empty), walk/bad.mp4 (empty): replace them, take them out, or raise the share."
    )
    (tmp_path / "walk/bad.mp4").unlink()
    few_bad = xpand(*asked, "--dry-run", "--set", "data.max_bad_share=0.5", cwd=tmp_path)
    assert few_bad.returncode == 0, few_bad.stderr
    assert few_bad.stderr.splitlines()[-2:] == [
        "cache     about 0.0922 MB of decoded videos, by their headers; `xpand doctor` decodes the videos, "
        "and finds all that are bad",
        "bad       1 of 3 videos whose headers were read: run/bad.mp4 (empty)",
    ]
    (tmp_path / "walk/bad.mp4").touch()
    found = xpand(*asked, "--out", tmp_path / "out", cwd=tmp_path, cache=tmp_path / "cache")
    assert found.stderr.splitlines()[-1] == dry.stderr.splitlines()[-1]


def test_a_dry_run_says_what_it_will_cost_and_writes_nothing(xpand: Xpand, tmp_path: Path) -> None:
    done = xpand("search", "--dry-run", "--target", "3M", cwd=tmp_path, cache=tmp_path / "cache")
    assert done.returncode == 0, done.stderr
    assert done.stdout == ""
    for text in (
        *(
            "start     433.9 K MACs, clip 1×34, 40²",
            "of 23 candidates (1, 7, 7, 7, 1 a round) with 1 to 2 seeds each, ",
            "time      about",
        ),
        "cache     about 193 MB of decoded videos\n",
    ):
        assert text in done.stderr
    assert list(tmp_path.iterdir()) == []
    forecast = json.loads(xpand("search", "--dry-run", "--target", "3M", "--json", cwd=tmp_path).stdout)
    assert (forecast["trainings"], forecast["rounds"]) == (29, [1, 13, 7, 7, 1])
    assert forecast["candidates"] == [1, 7, 7, 7, 1]
    assert forecast["seconds"] > 0


def test_it_is_said_where_a_single_round_chooses_an_axis(xpand: Xpand, tmp_path: Path) -> None:
    done = xpand("search", "--dry-run", "--target", "800K", cwd=tmp_path, cache=tmp_path / "cache")
    words = next(line for line in done.stderr.splitlines() if line.startswith("search"))
    assert words == (
        "search    expansion, targets in MACs, scored by top-1; one round only, as a step may grow the start "
        "2 times: --set search.step=1.23 makes about 3 of it"
    )
    more = xpand("search", "--dry-run", "--target", "800K", "--set", "search.step=1.23", cwd=tmp_path)
    assert "scored by top-1\n" in more.stderr
    one = xpand("search", "--dry-run", "--target", "440K", cwd=tmp_path)  # hardly more than the start
    assert "scored by top-1\n" in one.stderr
