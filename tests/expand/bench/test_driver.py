from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from expand.bench import driver, stairs
from expand.bench.driver import Sample, notes
from expand.search.base import Problem, Scored
from expand.search.expansion import Expansion


@pytest.mark.parametrize("count", [38, 60, 100, 1_000])
def test_a_search_comes_to_the_candidates_that_are_asked_for(count: int) -> None:
    space = stairs.Stairs()
    problem = Problem(space=space, axes=space.axes, targets=stairs.targets(count))
    search = Expansion(step=stairs.FLIGHT).search(problem)
    round_, found = next(search), []
    while True:
        found += [candidate.point for candidate in round_.candidates]
        try:
            round_ = search.send([Scored(score=hash(each.point) % 97 / 97) for each in round_.candidates])
        except StopIteration as end:
            trajectory = end.value
            break
    assert len(found) == len(set(found)) == count
    assert [model.candidate.macs for model in trajectory.targets] == [*stairs.targets(count)]


@pytest.mark.skipif(not Path("/proc").exists(), reason="reads open files from /proc")
@pytest.mark.slow
def test_a_search_leaves_no_file_open(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(driver, "CANDIDATES", 60)
    monkeypatch.setattr(driver, "WORKERS", 2)
    monkeypatch.setattr(driver, "SAMPLED_AT", (1 / 3, 1.0))
    watch = driver.search(driver.prepare(), tmp_path)
    early, late = watch.samples[20], watch.samples[60]
    assert early is not None
    assert late is not None
    assert late.files <= early.files


def test_jobs_of_the_stairs_are_done_without_torch() -> None:
    script = "import sys, expand.bench.stairs; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", script], check=True)


def test_what_is_held_is_told_with_its_limits() -> None:
    before = Sample(memory=300_000_000, workers=100_000_000, files=30)
    after = Sample(memory=315_000_000, workers=106_000_000, files=31)
    assert [*notes({100: before, 500: before, 1_000: after})] == [
        "the driver's memory 300 → 315 MB from candidate 100 to 1,000, limit +5%: kept",
        "its workers' memory 100 → 106 MB from candidate 100 to 1,000, limit +5%: exceeded",
        "open files 30 → 31 from candidate 100 to 1,000, limit +0: exceeded",
    ]


def test_what_is_held_where_the_system_does_not_tell() -> None:
    assert [*notes({100: None, 1_000: None})] == ["memory and open files are not known here"]
