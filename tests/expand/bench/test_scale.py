from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from expand.bench import scale
from expand.system.errors import UserError
from tests.expand.data.videos import write_classes


@pytest.mark.slow
def test_each_step_is_measured_with_links_to_videos(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    videos = write_classes(tmp_path / "videos", {"a": 2, "b": 2})
    monkeypatch.setattr(scale, "LISTED", ())
    monkeypatch.setattr(scale, "LINKED", (40,))
    monkeypatch.setattr(scale, "_commands", lambda _: {})
    (row,) = scale.measure_scale(videos)
    assert (row["what"], row["videos"]) == ("videos in folders", 40)
    assert [*row["steps"]] == ["open", "attach", "batch"]
    assert all(cost["seconds"] > 0 and cost["megabytes"] > 10 for cost in row["steps"].values())


def test_commands_are_measured_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scale, "LISTED", (30,))
    monkeypatch.setattr(scale, "LINKED", ())
    asked: list[list[str]] = []

    def cost(command: Sequence[str]) -> dict[str, float]:
        asked.append([*command])
        return {"seconds": 1.0}

    monkeypatch.setattr(scale, "_cost", cost)
    (row,) = scale.measure_scale(Path())
    assert row["steps"] == {"doctor --quick": {"seconds": 1.0}, "search --dry-run": {"seconds": 1.0}}
    assert [command[3:4] for command in asked] == [["doctor"], ["search"]]


def test_it_needs_videos() -> None:
    with pytest.raises(UserError) as caught:
        next(scale.measure_scale(None))
    assert str(caught.value) == ("--what scale must have --data, a folder of videos to link to.")
