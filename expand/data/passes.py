"""Reading those frames of a video file that are wanted, and no more than they need.

The packets tell when each frame is shown, so which are wanted is known before anything is decoded. Where
the file can be relied on, frames that are neither wanted nor referred to are passed over, and so are whole
groups of pictures: what comes out is what decoding all of it gives, bit for bit. Everywhere else all is
decoded; where something else comes out than the packets said, that decides, and the file is read again.

N frames kept of a video, F frames in it, H × W pixels, 3 channels in the order RGB.
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
from expand.data.opening import open_video, stated_seconds, stream_remarks, video_stream, words
from expand.data.orientation import Orientation
from expand.data.shrinking import Shrinker
from expand.data.stamps import Shown, Stamp, Stamps, VideoPacket
from expand.data.timeline import Timeline

_TELLS_REFERENCES = {"h264"}  # codecs that say of each frame whether others need it
_MOST_BYTES = 64 << 20  # of a file whose packets are all held at once


class Choice(NamedTuple):
    """Which of F frames are wanted.

    Attributes:
        keep: (N,) those to return, rising, at least one.
        decode: those to decode; None: every one.
    """

    keep: NDArray[np.int64]
    decode: NDArray[np.int64] | None


_FIRST = Choice(np.zeros(1, np.int64), None)
Choose = Callable[[Timeline], Choice]


class Found(NamedTuple):
    """What was read.

    Attributes:
        timeline: of F frames.
        info: of the video.
        keep: (N,) which frames they are.
        frames: (N, H, W, 3).
    """

    timeline: Timeline
    info: VideoInfo
    keep: NDArray[np.int64]
    frames: Frames


class _Disagrees(Exception):
    """The decoder gives something else than the packets said."""


def read_frames(path: Path, choose: Choose, *, short_side: int) -> Found:
    """The frames that `choose` picks of a video file, once it is told when they are shown.

    It is asked again where that turns out to be different.

    Raises:
        BadVideo: the file cannot be used.
    """
    with ExitStack() as opened:
        container = opened.enter_context(open_video(path))
        stream = video_stream(container)
        held = list(container.demux(stream)) if container.size <= _MOST_BYTES else None
        stamps = Stamps.of(container, stream, container.demux(stream) if held is None else held)
        stated = stated_seconds(container, stream)
        remarks = stream_remarks(container, stream)

        def again() -> tuple[VideoStream, Iterable[VideoPacket]]:
            nonlocal held
            if held is not None:
                packets, held = held, None
                return stream, packets
            other = opened.enter_context(open_video(path))
            return (found := video_stream(other)), other.demux(found)

        def found(shown: Shown, choice: Choice, decoded: _Pass) -> Found:
            shown.timeline.check_complete(stated)
            return Found(
                shown.timeline, decoded.describe(shown.timeline, remarks), choice.keep, decoded.frames
            )

        expected = stamps.expected()
        choice = choose(expected.timeline) if expected else _FIRST
        if expected and (feed := _feed(stamps, expected, choice, stream)) is not None:
            quick = _Pass(stream, choice, expected, short_side)
            try:
                quick.pass_over(again(), feed)
                return found(expected, choice, quick)
            except (_Disagrees, av.error.FFmpegError):
                pass  # what is wrong is found, and said, by decoding everything
        whole = _Pass(stream, choice, expected, short_side)
        whole.decode_all(again())
        told = stamps.told(whole.seen, last=stamps.last_of(whole.seen, whole.last))
        if expected and np.array_equal(told.timeline.times, expected.timeline.times) and whole.is_full:
            return found(replace(expected, timeline=told.timeline), choice, whole)
        choice = choose(told.timeline)
        second = _Pass(stream, choice, told, short_side)
        second.decode_all(again())
        return found(told, choice, second)


def _feed(stamps: Stamps, expected: Shown, choice: Choice, stream: VideoStream) -> list[bool] | None:
    """(P,) which packets to decode; None: all, and every frame must be looked at."""
    if choice.decode is None or not (stamps.whole and expected.by_pts and stamps.fresh[:1] == (True,)):
        return None
    first = expected.names[0]
    if stamps.packets[0].pts != min(stamp.pts or 0 for stamp in stamps.packets) or first is None:
        return None  # frames before the first key frame, that may not come out
    wanted = {expected.names[at] for at in choice.decode.tolist()}
    feed = [False] * len(stamps.packets)
    starts = [at for at, fresh in enumerate(stamps.fresh) if fresh]
    ends = [*starts[1:], len(feed)]
    for place, (start, end) in enumerate(zip(starts, ends, strict=True)):
        needed = [stamps.packets[at].pts or 0 for at in range(start, end) if stamps.packets[at].pts in wanted]
        if needed:
            feed[start:end] = [True] * (end - start)
            if place and min(needed) < (stamps.packets[start].pts or 0):  # shown before it, and refers back
                feed[starts[place - 1] : start] = [True] * (start - starts[place - 1])
    return feed if stream.codec_context.name in _TELLS_REFERENCES or not all(feed) else None


class _Pass:
    """Decoding a file once, and keeping what is wanted.

    Attributes:
        seen: the stamps of every frame that came out, in that order.
        last: how long the last one is shown, in ticks, as the decoder says.
        frames: (N, H, W, 3) those kept.
    """

    def __init__(self, stream: VideoStream, choice: Choice, shown: Shown | None, short_side: int) -> None:
        names = shown.names if shown else (0,)
        self._by_pts = shown.by_pts if shown else False
        self._places = {names[at]: place for place, at in enumerate(choice.keep.tolist())}
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
        """Whether all that was wanted came out."""
        return len(self._kept) == len(self._places)

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
        """Every packet of the file.

        Raises:
            BadVideo: it cannot be decoded to its end, or nothing comes out.
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
        """The packets in `feed`, of files where that gives what decoding all of them gives.

        Raises:
            _Disagrees: it does not, after all.
        """
        stream, packets = source
        codec = stream.codec_context
        codec.thread_count = 1
        tells = codec.name in _TELLS_REFERENCES
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
            skip = tells and packet.pts not in self._needed
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
                raise _Disagrees  # the first frame's size decides
            self._take(frame)

    def _take(self, frame: VideoFrame) -> None:
        """Keeps a frame that came out, if it is wanted."""
        if not self.seen:
            self._shrink = Shrinker(frame, short_side=self._short_side)
            self._orientation = Orientation.of(frame)
            self.frames = np.empty((len(self._places), *self._shrink.shape), np.uint8)
        self._sizes[frame.width, frame.height] = None
        name = frame.pts if self._by_pts else len(self.seen)
        place = self._places.get(name) if name is not None else None
        if place is not None and self._shrink is not None:
            self._shrink(frame, self.frames[place])
            self._kept.add(place)
        self.seen.append(Stamp(frame.pts, frame.dts))
        self.last = frame.duration or 0
