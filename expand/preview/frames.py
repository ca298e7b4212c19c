"""`xpand frames`: writes the decoded frames of a video, or the clips that a network sees of it, as pictures.

Shapes: T frames in a clip, S the side of the square crop, H × W a decoded frame, F frames in a video.
"""

from __future__ import annotations

import csv
import io
import os
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NoReturn

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from expand.config.data import CacheConfig, DataConfig
from expand.data import video
from expand.data.base import BadVideo, Item, VideoInfo
from expand.data.cache import open_cache
from expand.data.cache_needs import EvenClips, cache_needs
from expand.data.cache_reader import Cached
from expand.data.clips import ViewGrid, view_batches
from expand.data.file_source import FileSource
from expand.data.frame_folder import list_pictures
from expand.data.progress import OnProgress, StageProgress
from expand.preview.feed import pixels_of
from expand.system.errors import UserError, cannot_write
from expand.system.files import disk_failed, write_atomic, writing
from expand.weights.models import find_model
from search_spaces.base import ClipSampling, Json

LIST = "frames.csv"
PART = 256 << 20  # the most bytes of frames in memory at a time
_CLIP = re.compile(r"(\d{1,4})[x×](\d{1,4})", re.IGNORECASE)
_SIDES = (8, 1024)  # the smallest and largest side of a crop, in pixels
_AGAIN = "start again"


@dataclass(frozen=True, kw_only=True, slots=True)
class WrittenPictures:
    """The written pictures.

    Attributes:
        folder: their folder.
        pictures: the number of pictures.
        listed: a CSV file that describes each of them.
    """

    folder: Path
    pictures: int
    listed: Path

    def to_json(self) -> Json:
        return {"folder": str(self.folder), "pictures": self.pictures, "list": str(self.listed)}


@dataclass(frozen=True, kw_only=True, slots=True)
class Clips:
    """The sampling and cropping of clips.

    Attributes:
        sampling: frames, stride and size.
        jitter: range of the short side of a training clip before its crop, as multiples of the crop's size.
        scale: short side of a validation clip before its crop, as a multiple of the crop's size.
    """

    sampling: ClipSampling
    jitter: tuple[float, float] = DataConfig().jitter
    scale: float = 1.0


def parse_clip(text: str, size: int) -> ClipSampling:
    """Parse the sampling of clips from FRAMESxSTRIDE, such as `13x6`, and a size in pixels.

    Raises:
        UserError: the text is not of that form, or a number is out of range.
    """
    match = _CLIP.fullmatch(text.strip())
    frames, stride = (int(match[1]), int(match[2])) if match else (0, 0)
    if not frames or not stride:
        raise UserError(
            f"--clip must be FRAMESxSTRIDE such as 13x6, both from 1 to 9999, got {text!r}: the stride is in "
            "frames of a video with 30 a second."
        )
    low, high = _SIDES
    if not low <= size <= high:
        raise UserError(
            f"--size must be from {low} to {high} pixels, got {size}: it is the side of the crop."
        )
    return ClipSampling(frames=frames, stride=stride, size=size)


def choose_clips(clip: str | None, size: int | None, model: str | None) -> Clips | None:
    """Return the clips of the command's options: --clip and --size, or those of a model; None without any.

    Raises:
        UserError: the options contradict each other, or one is missing.
    """
    if clip is not None and model is not None:
        raise UserError("--clip must be left out where --model says which clips its network sees.")
    if model is not None:
        if size is not None:
            raise UserError("--size must be left out where --model says how large its network's clips are.")
        found = find_model(model)
        return Clips(sampling=found.sampling, jitter=found.jitter, scale=found.jitter[0])
    if (clip is None) != (size is None):
        missing = (
            "--size, the side of its crop in pixels such as 160" if size is None else "--clip, such as 13x6"
        )
        raise UserError(f"{'--clip' if size is None else '--size'} must come with {missing}: add it.")
    return None if clip is None or size is None else Clips(sampling=parse_clip(clip, size))


def is_video(path: Path) -> bool:
    """Whether a path is one video: a file, or a folder of pictures without subfolders."""
    if not path.is_dir():
        return True
    try:
        list_pictures(path)
    except BadVideo:
        return False
    return not any(entry.is_dir() for entry in path.iterdir())


def check_empty(folder: Path) -> None:
    """Check that pictures can be written to `folder`, which need not exist yet.

    Raises:
        UserError: the folder is not empty, or cannot be written.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UserError(
            f"--out must be a folder that is empty or not there yet, got {folder}: choose another, or "
            "empty it."
        )
    above = next(path for path in (folder.absolute(), *folder.absolute().parents) if path.exists())
    if not os.access(above, os.W_OK | os.X_OK):
        raise UserError(
            f"--out must be in a folder that can be written, got {folder}: {above} cannot be; choose another."
        )


def write_frames(
    path: Path,
    folder: Path,
    *,
    begin: float | None = None,
    end: float | None = None,
    fps: float | None = None,
    on_progress: OnProgress,
) -> WrittenPictures:
    """Write every decoded frame of a video, upright and in its own size, from `begin` until `end`.

    Args:
        path: a file or a folder of pictures.
        folder: the folder to write to.
        begin, end: times in seconds from the first frame; None for the video's start and end.
        fps: the frame rate of a folder of pictures.
        on_progress: called with the progress.

    Raises:
        UserError: the video cannot be read, has no frame between `begin` and `end`, or the folder is not
            empty.
    """
    check_empty(folder)
    info, times = _shown(path, fps, on_progress)
    low, high = begin or 0.0, info.seconds if end is None else end
    indices = np.flatnonzero((times >= low - 1e-6) & (times < high - 1e-6))
    if not len(indices):
        raise UserError(
            f"--from and --to must leave a frame of {path}, whose frames are from 0 to {times[-1]:.2f} s, "
            f"got {low:g} to {high:g}: take in more."
        )
    some = "" if len(indices) == len(times) else f" of {len(times):,}"
    note = f"{len(indices):,} frames{some}, {info.width}×{info.height}, {info.fps:.4g} a second"
    on_progress(StageProgress(what="writing pictures", done=0, total=len(indices), note=note))
    most = max(1, PART // (3 * info.width * info.height))
    digits = max(6, len(str(len(times))))
    rows: list[tuple[object, ...]] = []
    with filled(folder):
        for first in range(0, len(indices), most):
            part = indices[first : first + most]
            (decoded,) = video.read(
                path, [None], _at(times[part]), short_side=max(info.width, info.height), fps=fps
            )
            if isinstance(decoded, BadVideo):
                _refuse(path, decoded)
            kept = zip(part.tolist(), decoded.times.tolist(), decoded.frames, strict=True)
            for index, moment, pixels in kept:
                file = f"frame-{index + 1:0{digits}}.png"
                save_picture(folder / file, Image.fromarray(pixels))
                rows.append((index + 1, file, f"{moment:.6f}"))
                on_progress(StageProgress(what="writing pictures", done=len(rows), total=len(indices)))
        listed = write_list(folder / LIST, ("number", "file", "seconds"), rows)
    return WrittenPictures(folder=folder, pictures=len(rows), listed=listed)


def write_clips(
    path: Path,
    folder: Path,
    clips: Clips,
    *,
    count: int = 1,
    fps: float | None = None,
    on_progress: OnProgress,
) -> WrittenPictures:
    """Write the clips that a network sees of a video in validation: the centre one, or several spread evenly.

    They are made as in a training: decoded into a cache, cropped and resized.

    Args:
        path: a file or a folder of pictures.
        folder: the folder to write to.
        clips: sampling and cropping of the clips.
        count: number of clips.
        fps: the frame rate of a folder of pictures.
        on_progress: called with the progress.

    Raises:
        UserError: the video cannot be read, or the folder is not empty.
    """
    check_empty(folder)
    info, _ = _shown(path, fps, on_progress)
    sampling = clips.sampling
    views = EvenClips(sampling=sampling, clips=count)
    asked = views.times(info.seconds)  # (count · T,)
    own = _own_times(path, asked, fps)
    looped = ", looped: the video is shorter" if sampling.span_seconds >= info.seconds else ""
    note = (
        f"{count} clip{'s' * (count != 1)} of {sampling} from {info.seconds:.2f} s; a clip takes "
        f"{sampling.span_seconds:.2f} s{looped}"
    )
    on_progress(StageProgress(what="writing pictures", done=0, total=len(asked), note=note))
    rows: list[tuple[object, ...]] = []
    with TemporaryDirectory(prefix="xpand-frames-") as cache:
        split = _decoded(path, clips, views, fps, Path(cache)).val
        batches = view_batches(split, sampling, ViewGrid(clips=count, scale=clips.scale), batch_size=1)
        pictures = (picture for batch, _ in batches for picture in pixels_of(batch[0]))
        with filled(folder):
            for at, pixels in enumerate(pictures):
                clip, number = divmod(at, sampling.frames)
                of_clip = f"clip-{clip + 1:02}-" if count > 1 else ""
                file = f"{of_clip}frame-{number + 1:03}.png"
                save_picture(folder / file, Image.fromarray(pixels))
                rows.append((clip + 1, number + 1, file, f"{own[at]:.6f}", f"{asked[at]:.6f}"))
                on_progress(StageProgress(what="writing pictures", done=len(rows), total=len(asked)))
            listed = write_list(folder / LIST, ("clip", "number", "file", "seconds", "asked"), rows)
    return WrittenPictures(folder=folder, pictures=len(rows), listed=listed)


def save_picture(path: Path, picture: Image.Image) -> None:
    with writing(path, _AGAIN):
        picture.save(path, compress_level=3)


def write_list(path: Path, names: Sequence[str], rows: Iterable[Sequence[object]]) -> Path:
    """Write a CSV file with these columns and rows."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(names)
    writer.writerows(rows)
    write_atomic(path, text.getvalue(), _AGAIN)
    return path


@contextmanager
def filled(folder: Path) -> Iterator[None]:
    """Create a folder that the block writes to.

    Raises:
        UserError: the folder cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        yield
    except OSError as error:
        if disk_failed(error):
            raise
        raise cannot_write(folder, error) from None


def _shown(path: Path, fps: float | None, on_progress: OnProgress) -> tuple[VideoInfo, NDArray[np.float64]]:
    """Decode a whole video; return its properties, and the distinct times of its frames, (F,).

    Raises:
        UserError: the video cannot be read, or --fps is missing or does not apply.
    """
    if path.is_dir() and fps is None:
        raise UserError(
            f"--fps must say how many pictures make a second, as {path} is a folder of them: add it, such as "
            "--fps 30."
        )
    if fps is not None and not path.is_dir():
        raise UserError(
            f"--fps must be left out where a video says when its frames are shown, as {path} does."
        )
    on_progress(StageProgress(what="reading the video", done=0, total=1))
    try:
        info, times = video.shown(path, fps=fps)
    except BadVideo as bad:
        _refuse(path, bad)
    return info, np.unique(times)


def _refuse(path: Path, bad: BadVideo) -> NoReturn:
    raise UserError(
        f"{path} must be a video that can be read, but: {bad}; give a video, a folder of pictures, or a "
        "folder of labelled videos."
    ) from None


def _at(moments: NDArray[np.float64]) -> Callable[[float], NDArray[np.float64]]:
    return lambda _: moments


def _own_times(path: Path, asked: NDArray[np.float64], fps: float | None) -> NDArray[np.float64]:
    """Return the times of the frames that are nearest to the requested moments, both (M,)."""
    (decoded,) = video.read(path, [None], _at(np.unique(asked)), short_side=8, fps=fps)
    if isinstance(decoded, BadVideo):
        _refuse(path, decoded)
    own: NDArray[np.float64] = decoded.times[decoded.nearest(asked)]
    return own


def _decoded(path: Path, clips: Clips, views: EvenClips, fps: float | None, folder: Path) -> Cached:
    """Build a cache of this video alone in `folder`."""
    whole = path.absolute()
    source = FileSource(
        name=whole.name,
        root=whole.parent,
        classes=("video",),
        splits={"train": (), "val": (Item(key=whole.name, label=0),), "test": ()},
        frames_fps=fps,
    )
    config = DataConfig(jitter=clips.jitter, cache=CacheConfig(folder=folder))
    return open_cache(source, cache_needs(config, (clips.sampling,), (views,)), config)
