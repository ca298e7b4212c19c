"""Opening a video file, and when its frames are shown.

Time stamps count from the first frame, so that a variable frame rate and a late start come out right.
N frames kept of a video.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from pathlib import Path

import av
import av.error
import av.logging
import numpy as np
from av.container import InputContainer
from av.stream import Disposition
from av.video.frame import VideoFrame
from av.video.stream import VideoStream
from numpy.typing import NDArray

from expand.data.base import BadVideo, VideoInfo

av.logging.set_level(av.logging.PANIC)  # what is wrong with a file is said by BadVideo

DEFAULT_FPS = 30.0

# Containers that state how long a video is, so that less than that means a truncated file.
_STATES_DURATION = {"mov", "mp4", "matroska", "webm", "avi", "flv", "asf"}
# All but those that name other files or hosts: a video is what is in its own file.
_FORMATS = ",".join(sorted(av.formats_available - {"concat", "dash", "hls", "sdp", "webm_dash_manifest"}))
_MISSING_SHARE = 0.1
_MISSING_FRAMES = 3
_VARIES = 0.25  # of the median distance between two frames


def frame_count(seconds: float, fps: float) -> int:
    """N: how many frames are kept of a video of that duration."""
    return max(1, math.floor(seconds * fps + 1e-6))


def open_video(path: Path) -> InputContainer:
    """Raises BadVideo: missing, empty or unreadable."""
    try:
        if path.stat().st_size == 0:
            raise BadVideo("empty")
    except OSError as error:
        missing = isinstance(error, FileNotFoundError | NotADirectoryError)
        raise BadVideo("missing" if missing else "unreadable", "" if missing else _words(error)) from None
    try:
        # As a file, whatever its name looks like: `http:a.mp4` is one.
        return av.open(f"file:{path}", metadata_errors="replace", options={"format_whitelist": _FORMATS})
    except av.error.ArgumentError as error:
        raise BadVideo("unreadable", f"{_words(error)}, or a playlist of other files") from None
    except (av.error.FFmpegError, OSError) as error:
        raise BadVideo("unreadable", _words(error)) from None


def video_stream(container: InputContainer) -> VideoStream:
    for stream in container.streams.video:
        if not stream.disposition & Disposition.attached_pic:  # a sound file's cover is no video
            return stream
    raise BadVideo("no video stream")


def stated_seconds(container: InputContainer, stream: VideoStream) -> float | None:
    """How long the header says that the video is, where that can be relied on."""
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


def tolerance(unit: float) -> float:
    """Time stamps are rounded to their unit: as much, in seconds, is no difference."""
    return min(unit, 1e-3) + 1e-6


def duration(times: Sequence[float], last_seconds: float) -> float:
    """Seconds from the first frame to the end of the last; arguments as in `describe`."""
    typical = _typical(np.diff(times))
    # Some containers do not tell the last frame's duration, or give one tick.
    return times[-1] + (last_seconds if last_seconds > typical / 2 else typical or 1 / DEFAULT_FPS)


def describe(
    times: Sequence[float], *, last_seconds: float, width: int, height: int, rotation: int
) -> VideoInfo:
    """What a video is whose frames are shown at `times`, in seconds since the first.

    Args:
        times: one a frame, never falling.
        last_seconds: how long the container says that the last frame is shown; 0 where it does not.
        width: in pixels, before rotation.
        height: likewise.
        rotation: degrees.
    """
    between = np.diff(times)
    typical = _typical(between)
    seconds = duration(times, last_seconds)
    turned = rotation % 180 != 0
    return VideoInfo(
        seconds=seconds,
        frames=len(times),
        fps=len(times) / seconds,
        width=height if turned else width,
        height=width if turned else height,
        variable_rate=bool(np.abs(between - typical).max(initial=0.0) > _VARIES * typical),
        rotation=rotation % 360,
    )


def _typical(between: NDArray[np.float64]) -> float:
    """The median distance between two frames; 0 where there is one frame."""
    if not len(between):
        return 0.0
    middle = np.sort(between)[
        (len(between) - 1) // 2 : len(between) // 2 + 1
    ]  # np.median takes 20 times as long
    return float(middle.mean())


def check_complete(info: VideoInfo, *, first: float, stated: float | None) -> None:
    """Raises BadVideo where a file has much less than its header states.

    Args:
        info: what was found.
        first: when the first frame is shown, in seconds of the file's own clock.
        stated: `stated_seconds`.
    """
    if stated is None:
        return
    end = info.seconds + max(0.0, first)  # Matroska states when the video ends, others how long it is
    if stated - end > max(_MISSING_SHARE * stated, _MISSING_FRAMES / info.fps):
        raise BadVideo("truncated", f"{info.seconds:.2f} s of {stated:.2f} s")


class Timeline:
    """The frames of a file in the order in which they are shown, and when that is; every one is decoded."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.times: list[float] = []  # seconds since the first frame
        self.tolerance = 0.0
        self._first = 0.0
        self._last_seconds = 0.0
        self._width = self._height = 0
        self._rotation = 0

    def __iter__(self) -> Iterator[VideoFrame]:
        with open_video(self._path) as container:
            stream = video_stream(container)
            stream.codec_context.thread_count = 1
            unit = float(stream.time_base or 1e-3)  # a Fraction is slow, a frame at a time
            nominal = 1 / (float(stream.average_rate or 0) or DEFAULT_FPS)
            self.tolerance = tolerance(unit)
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
            if not self.times:
                raise BadVideo("no frames")
            check_complete(self.info(), first=self._first, stated=stated_seconds(container, stream))

    def _time(self, frame: VideoFrame, unit: float, nominal: float) -> float:
        if frame.pts is not None:
            return frame.pts * unit
        return self._first + self.times[-1] + nominal if self.times else 0.0

    def info(self) -> VideoInfo:
        return describe(
            self.times,
            last_seconds=self._last_seconds,
            width=self._width,
            height=self._height,
            rotation=self._rotation,
        )


def _words(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error)
