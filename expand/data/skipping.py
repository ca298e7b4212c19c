"""Reading a video without decoding all of it: frames that are neither kept nor referred to are passed over.

The packets tell when each frame is shown, so which of them are kept is known before anything is decoded, and
H.264 says of each frame whether others need it. What comes out is what decoding all of it gives, bit for bit.

N frames kept of a video, F frames in it, H × W pixels, 3 channels in the order RGB.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import av.error
import numpy as np
from av.container import InputContainer
from av.packet import Packet
from av.video.stream import VideoStream
from numpy.typing import NDArray

from expand.data.base import Frames, VideoInfo
from expand.data.shrinking import Shrinker
from expand.data.timeline import (
    check_complete,
    describe,
    duration,
    frame_count,
    open_video,
    stated_seconds,
    tolerance,
    video_stream,
)

_CODECS = {"h264"}
_MOST_BYTES = 64 << 20  # all packets of a file are held at once

VideoPacket: TypeAlias = "Packet[VideoStream]"


def read_skipping(path: Path, *, fps: float, short_side: int) -> tuple[VideoInfo, Frames] | None:
    """A video and its frames at k / fps seconds, (N, H, W, 3), as `expand.data.video.read` gives them.

    None: it has to be read frame by frame, for it has another codec, is long, or something is wrong with it.

    Raises:
        BadVideo: it cannot be used.
    """
    with open_video(path) as container:
        stream = video_stream(container)
        if stream.codec_context.name not in _CODECS or container.size > _MOST_BYTES:
            return None
        try:
            return _read(container, stream, fps, short_side)
        except av.error.FFmpegError:
            return None  # what is wrong is found, and said, frame by frame


def frames_at(times: NDArray[np.float64], count: int, fps: float, tolerance: float) -> NDArray[np.int64]:
    """(N,) which of the frames that appear at `times` (F,) are shown at k / fps seconds, k below `count`."""
    return np.searchsorted(times[1:] - tolerance, np.arange(count) / fps, side="right")


@dataclass(frozen=True, kw_only=True, slots=True)
class _Shown:
    """When frames are shown, by their packets.

    Attributes:
        stamps: (F,) in order, in the stream's unit.
        last: how long the last one is shown, in that unit.
    """

    stamps: NDArray[np.int64]
    last: int

    @classmethod
    def of(cls, packets: Sequence[VideoPacket]) -> _Shown | None:
        """None where packets do not tell, or not every packet is a frame."""
        durations: dict[int, int] = {}
        for packet in packets:
            if packet.pts is None or packet.is_corrupt or packet.is_discard or packet.pts in durations:
                return None
            durations[packet.pts] = packet.duration or 0
        if not durations:
            return None
        stamps = np.array(sorted(durations), np.int64)
        return cls(stamps=stamps, last=durations[int(stamps[-1])])


def _read(
    container: InputContainer, stream: VideoStream, fps: float, short_side: int
) -> tuple[VideoInfo, Frames] | None:
    *packets, flush = container.demux(stream)
    shown = _Shown.of(packets)
    if shown is None:
        return None
    unit = float(stream.time_base or 1e-3)
    first = float(shown.stamps[0] * unit)
    times = np.maximum.accumulate(shown.stamps * unit - first)  # (F,)
    last_seconds = shown.last * unit
    count = frame_count(duration(times.tolist(), last_seconds), fps)
    kept = frames_at(times, count, fps, tolerance(unit))  # (N,)
    begins = {int(shown.stamps[frame]): place for place, frame in reversed(list(enumerate(kept.tolist())))}

    codec = stream.codec_context
    codec.thread_count = 1
    shrink: Shrinker | None = None
    skipping, filled = False, 0
    for packet in (*packets, flush):
        skip = packet.pts is not None and packet.pts not in begins
        if skip != skipping:
            codec.skip_frame = "NONREF" if skip else "DEFAULT"
            skipping = skip
        for frame in codec.decode(packet):
            place = begins.get(frame.pts) if frame.pts is not None else None
            if place is None:
                continue
            if shrink is None:
                shrink = Shrinker(frame, short_side=short_side)
                pixels = np.empty((count, *shrink.shape), np.uint8)
                width, height, rotation = frame.width, frame.height, frame.rotation
            shrink(frame, pixels[place])
            filled += 1
    if filled < len(begins) or shrink is None:
        return None
    repeated = np.flatnonzero(np.diff(kept, prepend=-1) == 0)
    for place in repeated.tolist():
        pixels[place] = pixels[place - 1]
    info = describe(times.tolist(), last_seconds=last_seconds, width=width, height=height, rotation=rotation)
    check_complete(info, first=first, stated=stated_seconds(container, stream))
    return info, pixels
