"""Decodes the requested frames of a video file, and as few others as possible.

The packets' time stamps say when each frame is shown, so the requested frames are known before anything is
decoded. In files whose stamps are reliable, the decoder skips frames that are neither requested nor
referred to, and whole groups of pictures; the result is, bit for bit, that of decoding everything. In all
other files everything is decoded; if the decoder then gives other frames than the packets announced, the
frames are chosen again by the decoder's time stamps, and the file is decoded a second time.

Shapes: N frames kept of a video, F frames in it, H × W pixels, 3 channels in the order RGB.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import ExitStack
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import av.error
import numpy as np
from av.video.frame import VideoFrame
from av.video.stream import VideoStream
from numpy.typing import NDArray

from expand.data.base import BadVideo, Frames, VideoInfo
from expand.data.container import open_video, stated_seconds, stream_remarks, video_stream, words
from expand.data.orientation import Orientation
from expand.data.shrinking import Shrinker
from expand.data.stamps import FrameIndex, Stamp, Stamps, VideoPacket
from expand.data.timeline import Timeline

_MARKS_REFERENCES = {"h264"}  # codecs that mark the frames that no other frame refers to
MOST_BYTES = 64 << 20  # of larger files, the packets are read twice instead of kept in memory


class Choice(NamedTuple):
    """The requested ones of a video's F frames.

    Attributes:
        keep: (N,) indices of the frames to return, rising, at least one.
        decode: indices of the frames to decode; None for all.
    """

    keep: NDArray[np.int64]
    decode: NDArray[np.int64] | None


_FIRST = Choice(np.zeros(1, np.int64), None)
Choose = Callable[[Timeline], Choice]


class ReadFrames(NamedTuple):
    """The frames that were read of a video.

    Attributes:
        timeline: the times of all F frames.
        info: properties of the video.
        keep: (N,) indices of the frames that were kept.
        frames: (N, H, W, 3) their pixels.
    """

    timeline: Timeline
    info: VideoInfo
    keep: NDArray[np.int64]
    frames: Frames


class _Disagrees(Exception):
    """The decoder gives other frames than the packets announced."""


def read_frames(path: Path, choose: Choose, *, short_side: int) -> ReadFrames:
    """Read the frames of a video file that `choose` picks by their times.

    `choose` may be called twice: by the packets' time stamps, and by the decoder's where these differ.

    Raises:
        BadVideo: the file cannot be used.
    """
    with ExitStack() as opened:
        container = opened.enter_context(open_video(path))
        stream = video_stream(container)
        held = list(container.demux(stream)) if container.size <= MOST_BYTES else None
        stamps = Stamps.of(container, stream, container.demux(stream) if held is None else held)
        stated = stated_seconds(container, stream)
        remarks = stream_remarks(container, stream)

        def again() -> tuple[VideoStream, Iterable[VideoPacket]]:
            nonlocal held
            if held is not None:
                packets, held = held, None
                return stream, packets
            other = opened.enter_context(open_video(path))
            return (video := video_stream(other)), other.demux(video)

        def result(shown: FrameIndex, choice: Choice, decoded: _Pass) -> ReadFrames:
            shown.timeline.check_complete(stated)
            return ReadFrames(
                shown.timeline, decoded.describe(shown.timeline, remarks), choice.keep, decoded.frames
            )

        expected = stamps.expected()
        choice = choose(expected.timeline) if expected else _FIRST
        if expected and (feed := _feed(stamps, expected, choice, stream)) is not None:
            quick = _Pass(stream, choice, expected, short_side)
            try:
                quick.pass_over(again(), feed)
                return result(expected, choice, quick)
            except (_Disagrees, av.error.FFmpegError):
                pass  # decoding everything, below, raises what is wrong
        whole = _Pass(stream, choice, expected, short_side)
        whole.decode_all(again())
        actual = stamps.actual(whole.seen, last=stamps.last_of(whole.seen, whole.last))
        if expected and np.array_equal(actual.timeline.times, expected.timeline.times) and whole.is_full:
            return result(replace(expected, timeline=actual.timeline), choice, whole)
        choice = choose(actual.timeline)
        second = _Pass(stream, choice, actual, short_side)
        second.decode_all(again())
        return result(actual, choice, second)


def _feed(stamps: Stamps, expected: FrameIndex, choice: Choice, stream: VideoStream) -> list[bool] | None:
    """Return which packets to decode, (P,); None where everything must be decoded."""
    if choice.decode is None or not (stamps.whole and expected.by_pts and stamps.fresh[:1] == (True,)):
        return None
    first = expected.names[0]
    if stamps.packets[0].pts != min(stamp.pts or 0 for stamp in stamps.packets) or first is None:
        return None  # frames before the first key frame may be undecodable
    wanted = {expected.names[at] for at in choice.decode.tolist()}
    feed = [False] * len(stamps.packets)
    starts = [at for at, fresh in enumerate(stamps.fresh) if fresh]
    ends = [*starts[1:], len(feed)]
    for group, (start, end) in enumerate(zip(starts, ends, strict=True)):
        needed = [stamps.packets[at].pts or 0 for at in range(start, end) if stamps.packets[at].pts in wanted]
        if needed:
            feed[start:end] = [True] * (end - start)
            # A frame that is shown before its group's key frame refers to the previous group.
            if group and min(needed) < (stamps.packets[start].pts or 0):
                feed[starts[group - 1] : start] = [True] * (start - starts[group - 1])
    return feed if stream.codec_context.name in _MARKS_REFERENCES or not all(feed) else None


class _Pass:
    """One pass over a file, which decodes it and keeps the requested frames.

    Attributes:
        seen: the stamps of every decoded frame, in the decoder's order.
        last: duration of the last of them in ticks, as the decoder reports it.
        frames: (N, H, W, 3) the kept frames.
    """

    def __init__(
        self, stream: VideoStream, choice: Choice, shown: FrameIndex | None, short_side: int
    ) -> None:
        names = shown.names if shown else (0,)
        self._by_pts = shown.by_pts if shown else False
        self._index_of = {names[at]: index for index, at in enumerate(choice.keep.tolist())}
        self._needed = {names[at] for at in choice.decode.tolist()} if choice.decode is not None else set()
        self._short_side = short_side
        self._header = (stream.codec_context.width, stream.codec_context.height)
        self._shrink: Shrinker | None = None
        self._orientation = Orientation()
        self._sizes: dict[tuple[int, int], None] = {}
        self._kept: set[int] = set()
        self.seen: list[Stamp] = []
        self.last = 0
        self.frames: Frames = np.empty((0, 0, 0, 3), np.uint8)

    @property
    def is_full(self) -> bool:
        """Whether all requested frames were decoded."""
        return len(self._kept) == len(self._index_of)

    def describe(self, timeline: Timeline, remarks: tuple[str, ...]) -> VideoInfo:
        first, *others = self._sizes
        if others:
            remarks += (f"frames of {len(others) + 1} sizes: all are scaled to {first[0]}×{first[1]}",)
        if self._shrink and self._shrink.unknown_matrix is not None:
            remarks += (
                f"colour matrix {self._shrink.unknown_matrix} is not known: read as if none was stated",
            )
        return timeline.describe(
            width=first[0], height=first[1], orientation=self._orientation, remarks=remarks
        )

    def decode_all(self, source: tuple[VideoStream, Iterable[VideoPacket]]) -> None:
        """Decode every packet of the file.

        Raises:
            BadVideo: the file cannot be decoded to its end, or gives no frame.
        """
        stream, packets = source
        codec = stream.codec_context
        codec.thread_count = 1
        try:
            for packet in packets:
                for frame in codec.decode(packet):
                    self._take(frame)
        except av.error.FFmpegError as error:
            raise BadVideo("truncated" if self.seen else "unreadable", words(error)) from None
        if not self.seen:
            raise BadVideo("no frames")

    def pass_over(self, source: tuple[VideoStream, Iterable[VideoPacket]], feed: list[bool]) -> None:
        """Decode only the packets in `feed`, and of these skip frames that are not needed, if possible.

        Raises:
            _Disagrees: not all requested frames came out, or one has another size than the header states.
        """
        stream, packets = source
        codec = stream.codec_context
        codec.thread_count = 1
        marks = codec.name in _MARKS_REFERENCES
        last = max(at for at, needed in enumerate(feed) if needed)
        skipping = broken = False
        begun = False
        real = (packet for packet in packets if packet.size)
        for at, packet in enumerate(islice(real, last + 1)):
            if not feed[at]:
                broken = begun
                continue
            if broken:
                self._take_wanted(codec.decode(None))
                codec.flush_buffers()
                broken = False
            begun = True
            skip = marks and packet.pts not in self._needed
            if skip != skipping:
                codec.skip_frame = "NONREF" if skip else "DEFAULT"
                skipping = skip
            self._take_wanted(codec.decode(packet))
        self._take_wanted(codec.decode(None))
        if not self.is_full or not self._needed <= {stamp.pts for stamp in self.seen}:
            raise _Disagrees

    def _take_wanted(self, frames: list[VideoFrame]) -> None:
        for frame in frames:
            if (frame.width, frame.height) != self._header:
                raise _Disagrees  # frames are scaled to the size of the first, which may have been skipped
            self._take(frame)

    def _take(self, frame: VideoFrame) -> None:
        """Note a decoded frame, and keep its pixels if it is requested."""
        if not self.seen:
            self._shrink = Shrinker(frame, short_side=self._short_side)
            self._orientation = Orientation.of(frame)
            self.frames = np.empty((len(self._index_of), *self._shrink.shape), np.uint8)
        self._sizes[frame.width, frame.height] = None
        name = frame.pts if self._by_pts else len(self.seen)
        index = self._index_of.get(name) if name is not None else None
        if index is not None and self._shrink is not None:
            self._shrink(frame, self.frames[index])
            self._kept.add(index)
        self.seen.append(Stamp(frame.pts, frame.dts))
        self.last = frame.duration or 0
