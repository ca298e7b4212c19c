"""Opens a video file, chooses its video stream and reads its header."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import av
import av.error
import av.logging
from av.container import InputContainer
from av.stream import Disposition
from av.video.stream import VideoStream

from expand.data.base import BadReason, BadVideo

av.logging.set_level(av.logging.PANIC)  # errors are reported as BadVideo, not printed

# Containers that state a video's duration, so that a file that ends earlier is truncated.
_STATES_DURATION = {"mov", "mp4", "matroska", "webm", "avi", "flv", "asf"}
# All formats but those that refer to other files or hosts, as only the file itself may be read.
_FORMATS = ",".join(sorted(av.formats_available - {"concat", "dash", "hls", "sdp", "webm_dash_manifest"}))
_DURATION = re.compile(r"(\d+):(\d\d?):(\d\d?(?:\.\d+)?)")  # Matroska's tag, as 00:00:02.066000000


@contextmanager
def blaming(reason: BadReason = "unreadable") -> Iterator[None]:
    """Turn any error of reading a file inside the block into BadVideo, so that one video can't end a run."""
    try:
        yield
    except BadVideo:
        raise
    except MemoryError:
        raise BadVideo(reason, "its frames do not fit into memory") from None
    except (OSError, ValueError, ArithmeticError, LookupError, EOFError, RuntimeError) as error:
        # libav's own errors are subclasses of these.
        raise BadVideo(reason, words(error)) from None


def words(error: Exception) -> str:
    """Return an error's message on one line."""
    return " ".join((getattr(error, "strerror", None) or str(error) or type(error).__name__).split())


def open_video(path: Path) -> InputContainer:
    """Open a video file.

    Raises:
        BadVideo: the file is missing, empty or unreadable.
    """
    try:
        if path.stat().st_size == 0:
            raise BadVideo("empty")
    except (OSError, ValueError) as error:
        missing = isinstance(error, FileNotFoundError | NotADirectoryError)
        raise BadVideo("missing" if missing else "unreadable", "" if missing else words(error)) from None
    with blaming():
        try:
            # `file:`, so that names such as `http:a.mp4` and `%03d.jpg` are taken as files too.
            return av.open(
                f"file:{path}",
                metadata_errors="replace",
                options={"format_whitelist": _FORMATS, "pattern_type": "none"},
            )
        except av.error.ArgumentError as error:
            raise BadVideo("unreadable", f"{words(error)}, or a playlist of other files") from None


def video_stream(container: InputContainer) -> VideoStream:
    """Return the video stream with the most pixels, the first of equal ones; cover pictures don't count.

    Raises:
        BadVideo: there is no video stream, or its codec is not known.
    """
    streams = _videos(container)
    if not streams:
        raise BadVideo("no video stream")
    streams = [
        stream for stream in streams if stream.codec_context is not None
    ]  # may be None in spite of its type
    if not streams:
        raise BadVideo("unreadable", "its codec is not known")
    return max(streams, key=lambda stream: stream.codec_context.width * stream.codec_context.height)


def stream_remarks(container: InputContainer, stream: VideoStream) -> tuple[str, ...]:
    """Return remarks on a choice among several streams, and on pixels that are not square."""
    remarks = []
    if (count := len(_videos(container))) > 1:
        size = f"{stream.codec_context.width}×{stream.codec_context.height}"
        remarks.append(f"{count} video streams: the one of {size} is read")
    ratio = stream.sample_aspect_ratio
    if ratio and ratio != 1:
        remarks.append(f"pixels of {ratio.numerator}:{ratio.denominator}: read as if they were square")
    return tuple(remarks)


def _videos(container: InputContainer) -> list[VideoStream]:
    covers = Disposition.attached_pic | Disposition.timed_thumbnails
    return [stream for stream in container.streams.video if not stream.disposition & covers]


def stated_seconds(container: InputContainer, stream: VideoStream) -> float | None:
    """Return the duration in seconds that the header states, or None where it can't be relied on."""
    if not formats(container) & _STATES_DURATION:
        return None
    if stream.duration and stream.time_base:
        return float(stream.duration * stream.time_base)
    if tag := _DURATION.fullmatch(stream.metadata.get("DURATION", "")):
        hours, minutes, seconds = tag.groups()
        return int(hours) * 3600 + int(minutes) * 60 + float(seconds)
    if container.duration and len(container.streams) == 1:
        return container.duration / av.time_base
    return None


def formats(container: InputContainer) -> set[str]:
    """Return the names of a container's format."""
    return set(container.format.name.split(","))
