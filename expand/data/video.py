"""One video file: what it is, and its frames at a given rate and size.

Frames are chosen by their time stamps, counted from the first frame, so that a variable frame rate and a
late start come out right. N frames kept of a video, H × W pixels, 3 channels in the order RGB.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

import av
import av.error
import av.logging
import numpy as np
from av.container import InputContainer
from av.stream import Disposition
from av.video.frame import VideoFrame
from av.video.reformatter import Interpolation, VideoReformatter
from av.video.stream import VideoStream

from expand.data.base import BadVideo, Frames, VideoInfo

av.logging.set_level(av.logging.PANIC)  # what is wrong with a file is said by BadVideo

# Exact colours, the same on every machine; without them swscale is up to 2 of 255 too dark.
EXACT = (
    Interpolation.ACCURATE_RND
    | Interpolation.BITEXACT
    | Interpolation.FULL_CHR_H_INT
    | Interpolation.FULL_CHR_H_INP
)
_SCALING = Interpolation.AREA | EXACT  # averages all pixels that fall into one, so shrinking does not alias

# Containers that state how long a video is, so that less than that means a truncated file.
_STATES_DURATION = {"mov", "mp4", "matroska", "webm", "avi", "flv", "asf"}
_MISSING_SHARE = 0.1
_MISSING_FRAMES = 3
_VARIES = 0.25  # of the median distance between two frames
_DEFAULT_FPS = 30.0


def frame_count(seconds: float, fps: float) -> int:
    """N: how many frames are kept of a video of that duration."""
    return max(1, math.floor(seconds * fps + 1e-6))


def scaled(width: int, height: int, short_side: int) -> tuple[int, int]:
    """Width and height with the shorter side at `short_side`; never enlarged."""
    short = min(width, height)
    if short <= short_side:
        return width, height
    return round(width * short_side / short), round(height * short_side / short)


def probe(path: Path) -> VideoInfo:
    """What the file's header says: quick, but the header may be wrong, and bad frames go unseen.

    Raises:
        BadVideo: missing, empty, unreadable or without a video stream.
    """
    with _open(path) as container:
        stream = _video_stream(container)
        fps = float(stream.average_rate or 0) or _DEFAULT_FPS
        seconds = _stated_seconds(container, stream) or (container.duration or 0) / av.time_base
        return VideoInfo(
            seconds=seconds,
            frames=stream.frames or max(1, round(seconds * fps)),
            fps=fps,
            width=stream.codec_context.width,
            height=stream.codec_context.height,
        )


def inspect(path: Path) -> VideoInfo:
    """Decodes the whole video and says what it is.

    Raises:
        BadVideo: it cannot be used.
    """
    timeline = _Timeline(path)
    for _ in timeline:
        pass
    return timeline.info()


def decode(path: Path, *, fps: float, short_side: int) -> Frames:
    """The video's frames at k / fps seconds, (N, H, W, 3); see `expand.data.base.Source.decode`.

    Raises:
        BadVideo: it cannot be used.
    """
    return read(path, fps=fps, short_side=short_side)[1]


def read(path: Path, *, fps: float, short_side: int) -> tuple[VideoInfo, Frames]:
    """`inspect` and `decode` in one pass; full-size frames are held one at a time.

    Raises:
        BadVideo: it cannot be used.
    """
    timeline = _Timeline(path)
    shrink = _Shrinker(short_side)
    kept: list[Frames] = []
    shown: VideoFrame | None = None
    for frame in timeline:
        if shown is not None:
            due = timeline.times[-1] - timeline.tolerance
            if len(kept) / fps < due:
                small = shrink(shown)
                while len(kept) / fps < due:
                    kept.append(small)
        shown = frame
    assert shown is not None  # a timeline without frames raises
    info = timeline.info()
    count = frame_count(info.seconds, fps)
    if len(kept) < count:
        kept += [shrink(shown)] * (count - len(kept))
    return info, np.stack(kept[:count])


class _Timeline:
    """The frames of a file in the order in which they are shown, and when that is."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.times: list[float] = []  # seconds since the first frame
        self.tolerance = 0.0  # time stamps are rounded to their unit: as much is no difference
        self._first = 0.0
        self._last_seconds = 0.0
        self._width = self._height = 0
        self._rotation = 0

    def __iter__(self) -> Iterator[VideoFrame]:
        with _open(self._path) as container:
            stream = _video_stream(container)
            stream.codec_context.thread_count = 1
            unit = float(stream.time_base or 1e-3)  # a Fraction is slow, a frame at a time
            nominal = 1 / (float(stream.average_rate or 0) or _DEFAULT_FPS)
            self.tolerance = min(unit, 1e-3) + 1e-6
            try:
                for frame in container.decode(stream):
                    time = self._time(frame, unit, nominal)
                    if not self.times:
                        self._first = time
                        self._width, self._height = frame.width, frame.height
                        self._rotation = frame.rotation
                    self.times.append(max(time - self._first, self.times[-1] if self.times else 0.0))
                    self._last_seconds = (frame.duration or 0) * unit
                    yield frame
            except av.error.FFmpegError as error:
                raise BadVideo("truncated" if self.times else "unreadable", _words(error)) from None
            self._check_complete(container, stream)

    def _time(self, frame: VideoFrame, unit: float, nominal: float) -> float:
        if frame.pts is not None:
            return frame.pts * unit
        return self._first + self.times[-1] + nominal if self.times else 0.0

    def _check_complete(self, container: InputContainer, stream: VideoStream) -> None:
        if not self.times:
            raise BadVideo("no frames")
        stated = _stated_seconds(container, stream)
        if stated is None:
            return
        info = self.info()
        end = info.seconds + max(
            0.0, self._first
        )  # Matroska states when the video ends, others how long it is
        if stated - end > max(_MISSING_SHARE * stated, _MISSING_FRAMES / info.fps):
            raise BadVideo("truncated", f"{info.seconds:.2f} s of {stated:.2f} s")

    def info(self) -> VideoInfo:
        between = np.diff(self.times)
        typical = float(np.median(between)) if len(between) else 0.0
        # Some containers do not tell the last frame's duration, or give one tick.
        last = self._last_seconds if self._last_seconds > typical / 2 else typical or 1 / _DEFAULT_FPS
        seconds = self.times[-1] + last
        turned = self._rotation % 180 != 0
        return VideoInfo(
            seconds=seconds,
            frames=len(self.times),
            fps=len(self.times) / seconds,
            width=self._height if turned else self._width,
            height=self._width if turned else self._height,
            variable_rate=bool(len(between)) and float(np.abs(between - typical).max()) > _VARIES * typical,
            rotation=self._rotation % 360,
        )


class _Shrinker:
    """Frames as small RGB arrays, upright; all of a video at the size of its first."""

    def __init__(self, short_side: int) -> None:
        self._short_side = short_side
        self._size: tuple[int, int] | None = None
        self._reformatter = VideoReformatter()

    def __call__(self, frame: VideoFrame) -> Frames:
        if self._size is None:
            self._size = scaled(frame.width, frame.height, self._short_side)
        width, height = self._size
        small = self._reformatter.reformat(
            frame, width=width, height=height, format="rgb24", interpolation=_SCALING, threads=1
        )
        pixels = small.to_ndarray().astype(np.uint8, copy=False)
        quarter_turns = round(frame.rotation / 90) % 4
        return np.ascontiguousarray(np.rot90(pixels, quarter_turns)) if quarter_turns else pixels


def _open(path: Path) -> InputContainer:
    try:
        if path.stat().st_size == 0:
            raise BadVideo("empty")
    except OSError as error:
        missing = isinstance(error, FileNotFoundError | NotADirectoryError)
        raise BadVideo("missing" if missing else "unreadable", "" if missing else _words(error)) from None
    try:
        return av.open(str(path), metadata_errors="replace")
    except (av.error.FFmpegError, OSError) as error:
        raise BadVideo("unreadable", _words(error)) from None


def _video_stream(container: InputContainer) -> VideoStream:
    for stream in container.streams.video:
        if not stream.disposition & Disposition.attached_pic:  # a sound file's cover is no video
            return stream
    raise BadVideo("no video stream")


def _stated_seconds(container: InputContainer, stream: VideoStream) -> float | None:
    if not _STATES_DURATION & set(container.format.name.split(",")):
        return None
    if stream.duration and stream.time_base:
        return float(stream.duration * stream.time_base)
    if tag := stream.metadata.get("DURATION"):  # Matroska, as 00:00:02.066000000
        hours, minutes, seconds = tag.split(":")
        return int(hours) * 3600 + int(minutes) * 60 + float(seconds)
    if container.duration and len(container.streams) == 1:
        return container.duration / av.time_base
    return None


def _words(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error)
