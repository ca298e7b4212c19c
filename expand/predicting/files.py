"""Predicts many videos, and writes what is predicted as CSV, JSON or parquet."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from expand.data.base import BadVideo
from expand.data.readers.videos import SUFFIX_NAMES, videos_below
from expand.predicting.predictor import Predictor
from expand.predicting.video import Prediction, predicted
from expand.system.errors import UserError, cannot_write
from expand.system.files import disk_failed, replacing
from search_spaces.base import Json

SUFFIXES = (".csv", ".json", ".parquet")
Row = dict[str, object]


@dataclass(frozen=True, kw_only=True, slots=True)
class Unpredicted:
    """A video that cannot be used.

    Attributes:
        video: the file, or a folder of pictures.
        reason: why.
    """

    video: Path
    reason: str

    def to_json(self, count: int) -> Json:  # noqa: ARG002 - as that of Prediction
        """The video and the reason, as JSON."""
        return {"video": str(self.video), "problem": self.reason}


Outcome = Prediction | Unpredicted


def find_videos(paths: Sequence[Path], *, pictures: bool = False) -> list[Path]:
    """The videos of the command's arguments: files, and all videos below folders.

    Args:
        paths: files and folders.
        pictures: whether folders of numbered pictures are videos, which then lie below a folder or are given.

    Raises:
        UserError: nothing is there, or a folder has no video.
    """
    found: list[Path] = []
    for path in paths:
        if not path.exists():
            raise UserError(f"a video must be a file or a folder that exists, got {path}: look at the path.")
        if not path.is_dir():
            found.append(path)
            continue
        below = videos_below(path)
        own = sorted({*below.files, *(below.pictures if pictures else ())})
        if not own and pictures and any(path.iterdir()):
            own = [path]
        if not own:
            more = "" if pictures else ", or give --fps for folders of pictures"
            raise UserError(
                f"{path} must have videos ({SUFFIX_NAMES}), but it has none: give another folder{more}."
            )
        found += own
    return list(dict.fromkeys(found))


def predict_all(
    predictor: Predictor,
    videos: Sequence[Path],
    *,
    views: tuple[int, int],
    every: float | None,
    fps: float | None,
    on_done: Callable[[int, int], None],
) -> Iterator[Outcome]:
    """Predict videos one after the other; those that cannot be used are told with the reason.

    Args:
        predictor: the network.
        videos: the files.
        views, every, fps: as in `predict`.
        on_done: called with how many are done, of how many.
    """
    on_done(0, len(videos))
    for number, path in enumerate(videos, 1):
        found = predicted(predictor, path, views=views, every=every, fps=fps if path.is_dir() else None)
        on_done(number, len(videos))
        yield Unpredicted(video=path, reason=str(found)) if isinstance(found, BadVideo) else found


def rows_of(outcomes: Sequence[Outcome], count: int) -> list[Row]:
    """The rows of a table: one for each video, or for each moment of it.

    The most likely classes are in the columns label, label_2, … with their probability, probability_2, …; a
    video that cannot be used has a `problem`.
    """
    timed = any(isinstance(one, Prediction) and len(one.times) > 1 for one in outcomes)
    failed = any(isinstance(one, Unpredicted) for one in outcomes)
    marks = ["", *(f"_{number}" for number in range(2, count + 1))]
    names = ["video", "seconds", *(["time"] if timed else [])]
    names += [f"{name}{mark}" for mark in marks for name in ("label", "probability")]
    names += ["problem"] if failed else []
    rows: list[Row] = []
    for one in outcomes:
        if isinstance(one, Unpredicted):
            rows.append(dict.fromkeys(names) | {"video": str(one.video), "problem": one.reason})
            continue
        for moment, time in enumerate(one.times.tolist()):
            row: Row = dict.fromkeys(names) | {"video": str(one.video), "seconds": round(one.seconds, 4)}
            if timed:
                row["time"] = round(time, 4)
            for mark, (label, share) in zip(marks, one.top(count, moment), strict=False):
                row[f"label{mark}"], row[f"probability{mark}"] = label, round(share, 6)
            rows.append(row)
    return rows


def check_table(path: Path) -> None:
    """Raises UserError if a table cannot be written to `path`: by its suffix, or as its folder is missing."""
    if path.suffix not in SUFFIXES:
        raise UserError(f"--out must end in one of {', '.join(SUFFIXES)}, got {path}: choose one of them.")
    if not path.absolute().parent.is_dir():
        raise UserError(
            f"--out must be in a folder that exists, got {path}: make the folder, or choose another."
        )


def write_table(path: Path, outcomes: Sequence[Outcome], count: int) -> None:
    """Write what is predicted, in the format of the file's suffix, in one step.

    Raises:
        UserError: the file cannot be written.
    """
    try:
        with replacing(path, "predict again") as partial:
            _write(partial, path.suffix, outcomes, count)
    except OSError as error:
        if disk_failed(error):
            raise
        raise cannot_write(path, error) from None


def _write(path: Path, suffix: str, outcomes: Sequence[Outcome], count: int) -> None:
    if suffix == ".json":
        path.write_text(json.dumps([one.to_json(count) for one in outcomes], indent=1), encoding="utf-8")
        return
    rows = rows_of(outcomes, count)
    names = list(rows[0])
    if suffix == ".csv":
        text = io.StringIO()
        table = csv.DictWriter(text, names, lineterminator="\n")
        table.writeheader()
        table.writerows(rows)
        path.write_text(text.getvalue(), encoding="utf-8")
        return
    import pandas as pd

    pd.DataFrame(rows, columns=names).to_parquet(path, index=False)
