"""What a batch and a cache cost, at sizes that take no time."""

from __future__ import annotations

from pathlib import Path

import pytest

from expand.bench import data
from expand.config.data import SyntheticConfig
from search_spaces.x3d.factors import Factors
from tests.expand.data.videos import write_classes


@pytest.mark.slow
def test_a_batch_is_measured_beside_its_step(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(data, "TRAJECTORY", {"small": Factors(size=32 / 112)})
    monkeypatch.setattr(data, "VIDEOS", 12)
    figures = data.measure_batches(rounds=1)
    assert [row.name for row in figures.rows] == ["32², 1 frame", "32², 2 frames", "32², 4 frames", "small"]
    assert [row.facts["sampling"] for row in figures.rows[:2]] == ["1×48, 32²", "2×24, 32²"]
    for row in figures.rows:
        batch, step = row.timings["batch"].fastest, row.timings["step"].fastest
        assert row.facts["share"] == pytest.approx(100 * batch / step)
        assert row.ratio == pytest.approx(step / batch)


def test_a_cache_is_measured_beside_decoding(tmp_path: Path) -> None:
    folder = write_classes(tmp_path / "motions", {"left": 2, "right": 2})
    (row,) = data.measure_cache(folder, rounds=1).rows
    assert (row.name, row.facts["videos"], list(row.timings)) == ("motions", 4, ["xpand", "pyav"])
    assert row.ratio > 0


def test_videos_are_rendered_where_none_are_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(data, "RENDERED", SyntheticConfig(train=24, val=12, size=32))
    (row,) = data.measure_cache(rounds=1).rows
    assert (row.name, row.facts["videos"]) == ("rendered videos", 24)
