from __future__ import annotations

import csv
import json
from pathlib import Path

import pandas as pd
import pytest

from expand.predicting.files import Unpredicted, check_table, find_videos, predict_all, rows_of, write_table
from expand.system.errors import UserError
from tests.expand.data.videos import write_clip
from tests.expand.predicting.networks import brightness


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two videos, one of them broken, in a folder and a folder in it."""
    folder = tmp_path_factory.mktemp("videos")
    write_clip(folder / "b" / "clip.mp4", seconds=2)
    (folder / "a.mp4").write_bytes(b"no video")
    (folder / "notes.txt").write_text("nothing")
    return folder


def test_videos_of_files_and_folders(videos: Path, tmp_path: Path) -> None:
    inside = videos / "b" / "clip.mp4"
    assert find_videos([videos]) == [videos / "a.mp4", inside]
    assert find_videos([inside, videos / "b"]) == [inside]
    with pytest.raises(UserError) as told:
        find_videos([tmp_path / "none"])
    assert str(told.value) == (
        f"a video must be a file or a folder that exists, got {tmp_path / 'none'}: look at the path."
    )
    with pytest.raises(
        UserError, match=r"must have videos .*, but it has none: give another folder, or give"
    ):
        find_videos([tmp_path])
    pictures = tmp_path / "clip"
    pictures.mkdir()
    (pictures / "frame-1.png").write_bytes(b"")
    assert find_videos([tmp_path], pictures=True) == [pictures]
    assert find_videos([pictures], pictures=True) == [pictures]


@pytest.mark.parametrize("every", [None, 0.5])
def test_tables_have_a_row_for_each_prediction(videos: Path, tmp_path: Path, every: float | None) -> None:
    done: list[tuple[int, int]] = []
    outcomes = list(
        predict_all(
            brightness(),
            find_videos([videos]),
            views=(1, 1),
            every=every,
            fps=None,
            on_done=lambda *counts: done.append(counts),
        )
    )
    assert done == [(0, 2), (1, 2), (2, 2)]
    rows = rows_of(outcomes, 2)
    times = [None] if every is None else [0.0, 0.5, 1.0, 1.5]
    assert [row["label"] for row in rows] == [
        None,
        *(["dark"] if every is None else ["dark"] * 3 + ["medium"]),
    ]
    assert [row.get("time") for row in rows[1:]] == times
    assert rows[0]["problem"] == "unreadable: Invalid data found when processing input"
    assert list(rows[1]) == [
        *("video", "seconds", *(["time"] if every else []), "label", "probability", "label_2"),
        *("probability_2", "problem"),
    ]
    for suffix in (".csv", ".json", ".parquet"):
        write_table(tmp_path / f"t{suffix}", outcomes, 2)
    with (tmp_path / "t.csv").open(newline="") as file:
        listed = list(csv.DictReader(file))
    assert [row["label"] for row in listed] == [row["label"] or "" for row in rows]
    frame = pd.read_parquet(tmp_path / "t.parquet")
    assert list(frame.columns) == list(rows[0])
    assert frame["probability"].tolist()[1:] == [row["probability"] for row in rows[1:]]
    broken, good = json.loads((tmp_path / "t.json").read_text())
    assert broken["problem"] == rows[0]["problem"]
    assert ("moments" in good) == (every is not None)


def test_tables_that_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(UserError) as told:
        check_table(tmp_path / "t.txt")
    assert str(told.value) == (
        f"--out must end in one of .csv, .json, .parquet, got {tmp_path / 't.txt'}: choose one of them."
    )
    with pytest.raises(UserError) as told:
        check_table(tmp_path / "none" / "t.csv")
    assert str(told.value) == (
        f"--out must be in a folder that exists, got {tmp_path / 'none' / 't.csv'}: make the folder, or "
        "choose another."
    )
    blocked = tmp_path / "t.csv"
    blocked.mkdir()
    with pytest.raises(UserError, match="cannot be written"):
        write_table(blocked, [Unpredicted(video=Path("a.mp4"), reason="empty")], 1)
