"""Reads a video that is a folder of pictures: a JPEG or PNG for each frame, with its number in its name."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import av
import numpy as np
from av.video.codeccontext import VideoCodecContext
from av.video.frame import VideoFrame

from expand.data.base import BadVideo, VideoInfo
from expand.data.container import blaming
from expand.data.decoding import Choose, ReadFrames
from expand.data.orientation import Orientation
from expand.data.shrinking import Shrinker
from expand.data.timeline import Timeline

_CODECS = {".jpg": "mjpeg", ".jpeg": "mjpeg", ".png": "png"}
_NUMBERED = re.compile(r"(.*?)(\d+)")


def read_pictures(folder: Path, choose: Choose, *, fps: float | None, short_side: int) -> ReadFrames:
    """Read frames as `expand.data.decoding.read_frames` does; frame k is shown at k / fps.

    Raises:
        BadVideo: the folder holds no pictures, a picture cannot be read, or `fps` is None.
    """
    pictures = list_pictures(folder)
    timeline = _timeline([number for number, _ in pictures], fps)
    choice = choose(timeline)
    keep = choice.keep.tolist()
    first = _decode(pictures[0][1])
    shrink = Shrinker(first, short_side=short_side)
    frames = np.empty((len(keep), *shrink.shape), np.uint8)
    sizes = {(first.width, first.height): None}
    kept_index = {at: index for index, at in enumerate(keep)}
    decoded = range(len(pictures)) if choice.decode is None else {*choice.decode.tolist(), *keep}
    for at in sorted(decoded):
        picture = _decode(pictures[at][1])
        sizes[picture.width, picture.height] = None
        if at in kept_index:
            shrink(picture, frames[kept_index[at]])
    remarks = []
    if len(sizes) > 1:
        remarks.append(f"frames of {len(sizes)} sizes: all are scaled to {first.width}×{first.height}")
    info = timeline.describe(
        width=first.width, height=first.height, orientation=Orientation.of(first), remarks=remarks
    )
    return ReadFrames(timeline, info, choice.keep, frames)


def probe_pictures(folder: Path, *, fps: float | None) -> VideoInfo:
    """Return the video's properties by the pictures' names and the first picture.

    Raises:
        BadVideo: the folder holds no pictures, the first cannot be read, or `fps` is None.
    """
    pictures = list_pictures(folder)
    first = _decode(pictures[0][1])
    timeline = _timeline([number for number, _ in pictures], fps)
    return timeline.describe(width=first.width, height=first.height, orientation=Orientation.of(first))


def list_pictures(folder: Path) -> list[tuple[int, Path]]:
    """Return the frames' numbers and files in rising order.

    Where names have several prefixes, as with optical flow beside colour, only one kind is returned: the one
    with the most pictures among those that are not called flow.

    Raises:
        BadVideo: the folder holds no numbered JPEG or PNG pictures.
    """
    pictures: list[tuple[str, int, Path]] = []
    with blaming():
        for path in sorted(folder.iterdir()):
            parts = _NUMBERED.fullmatch(path.stem)
            if parts and path.suffix.lower() in _CODECS and not path.name.startswith("."):
                pictures.append((parts[1], int(parts[2]), path))
    kinds = Counter(kind for kind, _, _ in pictures)
    if not kinds:
        raise BadVideo("no frames", "a folder without numbered JPEG or PNG pictures")
    chosen = min(kinds, key=lambda kind: ("flow" in kind.lower(), -kinds[kind], kind))
    numbered = {number: path for kind, number, path in reversed(pictures) if kind == chosen}
    return sorted(numbered.items())


def _timeline(numbers: list[int], fps: float | None) -> Timeline:
    if fps is None:
        raise BadVideo("unreadable", "a folder, and no frame rate is stated for folders of pictures")
    times = (np.array(numbers, np.float64) - numbers[0]) / fps
    return Timeline(times=times, seconds=float(times[-1]) + 1 / fps, tolerance=1e-6)


def _decode(path: Path) -> VideoFrame:
    with blaming():
        codec = av.CodecContext.create(_CODECS[path.suffix.lower()], "r")
        assert isinstance(codec, VideoCodecContext)
        codec.thread_count = 1
        for data in (av.Packet(path.read_bytes()), None):
            for frame in codec.decode(data):
                return frame
        raise BadVideo("unreadable", f"{path.name} holds no picture")
