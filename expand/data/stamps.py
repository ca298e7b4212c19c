"""The time stamps of a video file's packets, and the times of its frames that follow from them.

Stamps are in ticks of the file's clock: a presentation time stamp (pts) says when a frame is shown, a
decoding time stamp (dts) when it is decoded.

Shapes: P packets, F frames.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

from av.container import InputContainer
from av.packet import Packet
from av.video.stream import VideoStream

from expand.data.container import formats
from expand.data.timeline import DEFAULT_FPS, StampClock, Timeline

VideoPacket: TypeAlias = "Packet[VideoStream]"

# Containers with reliable pts; others only have dts, or no stamps.
_HAS_PTS = {"mov", "mp4", "matroska", "webm", "mpegts", "mpeg", "flv", "nut", "mxf", "ivf", "gif"}
# Codecs in which each packet is an independent frame, shown when it is decoded.
_INTRA = {"mjpeg", "rawvideo", "prores", "dnxhd", "huffyuv", "ffvhuff", "png", "v210"}
# Codecs in which each packet is a frame, and nothing after a key frame depends on anything before it.
_STARTS_AFRESH = {"h264", "hevc", "vp9", "av1", "libdav1d"} | _INTRA
_TS_WRAPS = 1 << 33  # ticks after which MPEG's clocks start again
_IDR = 5  # H.264's unit type of an IDR picture, which no later frame refers past


class Stamp(NamedTuple):
    """The stamps of a packet or of a decoded frame, in ticks; None where the file has none.

    Attributes:
        pts: when it is shown.
        dts: when it is decoded.
    """

    pts: int | None
    dts: int | None


@dataclass(frozen=True, kw_only=True, slots=True)
class FrameIndex:
    """The times of a video's frames, and how to recognise each among the decoder's frames.

    Attributes:
        timeline: times of F frames.
        by_pts: whether frames are recognised by their pts; else by their number in the decoder's order.
        names: (F,) the pts or the number of each frame.
    """

    timeline: Timeline
    by_pts: bool
    names: tuple[int, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Stamps:
    """The time stamps and properties of a file's packets, in the file's order.

    Attributes:
        packets: (P,) stamps of the packets.
        durations: (P,) durations in ticks, 0 where the file does not state them.
        hidden: (P,) whether the packet is decoded but not shown, as an edit list cuts it off.
        fresh: (P,) whether frames shown after this packet depend on none of the packets before it.
        clock: the file's clock.
        trusted: whether pts, if present, are reliable in this container.
        distinct: whether pts are trusted, every packet has one, no two are equal, and the clock never
            goes back.
        by_pts: whether frames can also be recognised by their pts, in whatever order they are decoded.
        whole: whether each packet is one frame, as far as the codec and the packets say.
    """

    packets: tuple[Stamp, ...]
    durations: tuple[int, ...]
    hidden: tuple[bool, ...]
    fresh: tuple[bool, ...]
    clock: StampClock
    trusted: bool
    distinct: bool
    by_pts: bool
    whole: bool

    @classmethod
    def of(cls, container: InputContainer, stream: VideoStream, packets: Iterable[VideoPacket]) -> Stamps:
        """Read the stamps of the stream's packets; empty packets are ignored."""
        codec = stream.codec_context
        extradata = codec.extradata
        stamps: list[Stamp] = []
        durations: list[int] = []
        hidden: list[bool] = []
        fresh: list[bool] = []
        whole = codec.name in _STARTS_AFRESH
        for packet in packets:
            if not packet.size:
                continue
            stamps.append(Stamp(packet.pts, packet.dts))
            durations.append(packet.duration or 0)
            hidden.append(packet.is_discard)
            whole &= not packet.is_corrupt
            fresh.append(
                packet.is_keyframe and (codec.name != "h264" or _is_idr(bytes(packet), extradata or b""))
            )
        pts = [stamp.pts for stamp in stamps]
        trusted = codec.name in _INTRA or _has_pts(container, stream)
        distinct = trusted and None not in pts and len(set(pts)) == len(pts) and _never_falls(stamps)
        return cls(
            packets=tuple(stamps),
            durations=tuple(durations),
            hidden=tuple(hidden),
            fresh=tuple(fresh),
            clock=_clock(container, stream),
            trusted=trusted,
            distinct=distinct,
            # With B-frames, pts that rise in the file's order are probably dts.
            by_pts=distinct and not (codec.has_b_frames and _rises(pts)),
            whole=whole,
        )

    def expected(self) -> FrameIndex | None:
        """Return the frames to expect of the decoder if every shown packet is one frame; None if unclear."""
        shown = [at for at, hidden in enumerate(self.hidden) if not hidden]
        if not shown:
            return None
        if self.by_pts:
            shown.sort(key=lambda at: self.packets[at].pts or 0)
        pts = [self.packets[at].pts or 0 for at in shown]
        stamps = pts if self.by_pts else self._in_order(len(shown))
        if stamps is None:
            return None
        timeline = Timeline.of(stamps, last=self.durations[shown[-1]], clock=self.clock)
        return FrameIndex(
            timeline=timeline, by_pts=self.by_pts, names=tuple(stamps if self.by_pts else range(len(stamps)))
        )

    def actual(self, frames: Sequence[Stamp], *, last: int) -> FrameIndex:
        """Return when decoded frames are shown, by their stamps in the decoder's order.

        Args:
            frames: the stamps.
            last: duration of the frame that is shown last, in ticks.
        """
        order = list(range(len(frames)))
        pts = [frame.pts for frame in frames]
        if self.by_pts and None not in pts:
            order.sort(key=lambda at: pts[at] or 0)
            stamps: Sequence[int] = [pts[at] or 0 for at in order]
        elif self.trusted and not self.distinct and None not in pts:
            stamps = [stamp or 0 for stamp in pts]
        else:
            stamps = self._in_order(len(frames)) or _continued(frames, self.clock)
        timeline = Timeline.of(stamps, last=last, clock=self.clock)
        return FrameIndex(timeline=timeline, by_pts=False, names=tuple(order))

    def last_of(self, frames: Sequence[Stamp], last: int) -> int:
        """Return the duration of the frame that is shown last, in ticks; `last` is the decoder's value."""
        if self.by_pts and frames:
            durations = {stamp.pts: long for stamp, long in zip(self.packets, self.durations, strict=True)}
            return durations.get(max(frame.pts or 0 for frame in frames), last)
        return last or (self.durations[-1] if self.durations else 0)

    def _in_order(self, count: int) -> list[int] | None:
        """Return the stamps of `count` frames decoded in the order shown; None if packets don't have them."""
        kept = [stamp for stamp, hidden in zip(self.packets, self.hidden, strict=True) if not hidden]
        pts, dts = [stamp.pts for stamp in kept], [stamp.dts for stamp in kept]
        for stamps in (pts, dts) if self.trusted else (dts, pts):
            rising = sorted({stamp for stamp in stamps if stamp is not None})
            if len(rising) == len(kept) == count:
                return rising
        return None


def _has_pts(container: InputContainer, stream: VideoStream) -> bool:
    names = formats(container)
    as_in_avi = "matroska" in names and stream.codec_tag.strip("\0") != ""  # Matroska's mode for AVI's codecs
    return bool(names & _HAS_PTS) and not as_in_avi


def _clock(container: InputContainer, stream: VideoStream) -> StampClock:
    rate = float(stream.average_rate or stream.guessed_rate or 0)
    return StampClock(
        unit=float(stream.time_base or 1e-3),
        fps=rate or DEFAULT_FPS,
        wraps=_TS_WRAPS if formats(container) & {"mpegts", "mpeg"} else None,
    )


def _rises(stamps: Sequence[int | None]) -> bool:
    return all(
        later is not None and sooner is not None and later > sooner
        for sooner, later in itertools.pairwise(stamps)
    )


def _never_falls(stamps: Sequence[Stamp]) -> bool:
    """Whether dts never fall, as they do where recordings were joined."""
    known = [stamp.dts for stamp in stamps if stamp.dts is not None]
    return all(sooner <= later for sooner, later in itertools.pairwise(known))


def _continued(frames: Sequence[Stamp], clock: StampClock) -> list[int]:
    """Return stamps for frames in the order shown: their pts or else dts, if rising; else a constant rate."""
    steady = [at * clock.nominal for at in range(len(frames))]
    for stamps in ([frame.pts for frame in frames], [frame.dts for frame in frames]):
        filled: list[int] = []
        for stamp in stamps:
            filled.append(stamp if stamp is not None else filled[-1] + clock.nominal if filled else 0)
        if any(stamp is not None for stamp in stamps) and _rises(filled):
            return filled
    return steady


def _is_idr(packet: bytes, extradata: bytes) -> bool:
    """Whether the first picture of an H.264 packet is an IDR picture."""
    if extradata[:1] == b"\1" and len(extradata) > 4:  # each unit is preceded by its length
        size = (extradata[4] & 3) + 1
        at = 0
        while at + size < len(packet):
            kind = packet[at + size] & 31
            if 1 <= kind <= _IDR:
                return kind == _IDR
            at += size + int.from_bytes(packet[at : at + size], "big")
        return False
    at = packet.find(b"\0\0\1")
    while 0 <= at < len(packet) - 3:
        kind = packet[at + 3] & 31
        if 1 <= kind <= _IDR:
            return kind == _IDR
        at = packet.find(b"\0\0\1", at + 3)
    return False
