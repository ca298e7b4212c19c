"""The packets of a video file, and what they tell of when its frames are shown.

Stamps are in ticks of the file's clock: pts says when a frame is shown, dts when it is decoded.
P packets, F frames.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

from av.container import InputContainer
from av.packet import Packet
from av.video.stream import VideoStream

from expand.data.opening import formats
from expand.data.timeline import DEFAULT_FPS, Clock, Timeline

VideoPacket: TypeAlias = "Packet[VideoStream]"

# Containers whose stamps say when frames are shown; others say when they are decoded, or nothing.
_SAYS_WHEN_SHOWN = {"mov", "mp4", "matroska", "webm", "mpegts", "mpeg", "flv", "nut", "mxf", "ivf", "gif"}
# Each packet is a frame on its own, shown when it is decoded.
_INTRA = {"mjpeg", "rawvideo", "prores", "dnxhd", "huffyuv", "ffvhuff", "png", "v210"}
# Each packet is a frame, and what comes after a key frame does not depend on what was before.
_STARTS_AFRESH = {"h264", "hevc", "vp9", "av1", "libdav1d"} | _INTRA
_TS_WRAPS = 1 << 33  # ticks, of MPEG's clocks
_IDR = 5  # the kind of H.264 picture that nothing refers over


class Stamp(NamedTuple):
    """Of one packet, or of one frame that came out of the decoder.

    Attributes:
        pts: when it is shown, None where the file does not say.
        dts: when it is decoded, likewise.
    """

    pts: int | None
    dts: int | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Shown:
    """When frames are shown, and how they are told from each other as they come out of the decoder.

    Attributes:
        timeline: of F frames.
        by_pts: whether frames are told by their pts; else by how many came out before them.
        names: (F,) of each frame the one or the other.
    """

    timeline: Timeline
    by_pts: bool
    names: tuple[int, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Stamps:
    """What a file's packets say, in their order.

    Attributes:
        packets: (P,) the stamps.
        durations: (P,) in ticks, 0 where the file does not say.
        hidden: (P,) whether the packet is decoded, but not shown: an edit list cuts it off.
        fresh: (P,) whether what is shown after this packet needs none of those before it.
        clock: the file's.
        trusted: whether pts, where the container states them, say when frames are shown.
        distinct: whether each packet has another one besides, by one clock.
        by_pts: whether they also tell frames from each other, in whatever order these come out.
        whole: whether each packet is one frame, as far as the codec and the packets tell.
    """

    packets: tuple[Stamp, ...]
    durations: tuple[int, ...]
    hidden: tuple[bool, ...]
    fresh: tuple[bool, ...]
    clock: Clock
    trusted: bool
    distinct: bool
    by_pts: bool
    whole: bool

    @classmethod
    def of(cls, container: InputContainer, stream: VideoStream, packets: Iterable[VideoPacket]) -> Stamps:
        """Reads the packets of the stream, the last and empty one too."""
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
        trusted = codec.name in _INTRA or _says_when_shown(container, stream)
        distinct = trusted and None not in pts and len(set(pts)) == len(pts) and _never_falls(stamps)
        return cls(
            packets=tuple(stamps),
            durations=tuple(durations),
            hidden=tuple(hidden),
            fresh=tuple(fresh),
            clock=_clock(container, stream),
            trusted=trusted,
            distinct=distinct,
            # Pts that rise although the codec may show frames in another order can be dts by another name.
            by_pts=distinct and not (codec.has_b_frames and _rises(pts)),
            whole=whole,
        )

    def expected(self) -> Shown | None:
        """What will come out of the decoder, if every packet that is shown is one frame; None: unclear."""
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
        return Shown(
            timeline=timeline, by_pts=self.by_pts, names=tuple(stamps if self.by_pts else range(len(stamps)))
        )

    def told(self, frames: Sequence[Stamp], *, last: int) -> Shown:
        """When the frames that came out, in that order, are shown; the last for `last` ticks."""
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
        return Shown(timeline=timeline, by_pts=False, names=tuple(order))

    def last_of(self, frames: Sequence[Stamp], last: int) -> int:
        """How long the frame that is shown last is shown, in ticks; `last`: as the decoder says."""
        if self.by_pts and frames:
            durations = {stamp.pts: long for stamp, long in zip(self.packets, self.durations, strict=True)}
            return durations.get(max(frame.pts or 0 for frame in frames), last)
        return last or (self.durations[-1] if self.durations else 0)

    def _in_order(self, count: int) -> list[int] | None:
        """The stamps of frames that come out in the order in which they are shown, where packets tell."""
        kept = [stamp for stamp, hidden in zip(self.packets, self.hidden, strict=True) if not hidden]
        pts, dts = [stamp.pts for stamp in kept], [stamp.dts for stamp in kept]
        for stamps in (pts, dts) if self.trusted else (dts, pts):
            rising = sorted({stamp for stamp in stamps if stamp is not None})
            if len(rising) == len(kept) == count:
                return rising
        return None


def _says_when_shown(container: InputContainer, stream: VideoStream) -> bool:
    names = formats(container)
    as_in_avi = "matroska" in names and stream.codec_tag.strip("\0") != ""  # its mode for AVI's codecs
    return bool(names & _SAYS_WHEN_SHOWN) and not as_in_avi


def _clock(container: InputContainer, stream: VideoStream) -> Clock:
    rate = float(stream.average_rate or stream.guessed_rate or 0)
    return Clock(
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
    """Whether dts do not fall, as they do where recordings were joined."""
    known = [stamp.dts for stamp in stamps if stamp.dts is not None]
    return all(sooner <= later for sooner, later in itertools.pairwise(known))


def _continued(frames: Sequence[Stamp], clock: Clock) -> list[int]:
    """Of frames in the order shown: their pts, else their dts, where those rise; else a steady clock."""
    steady = [at * clock.nominal for at in range(len(frames))]
    for stamps in ([frame.pts for frame in frames], [frame.dts for frame in frames]):
        filled: list[int] = []
        for stamp in stamps:
            filled.append(stamp if stamp is not None else filled[-1] + clock.nominal if filled else 0)
        if any(stamp is not None for stamp in stamps) and _rises(filled):
            return filled
    return steady


def _is_idr(packet: bytes, extradata: bytes) -> bool:
    """Whether the first picture of an H.264 packet is one that nothing refers over."""
    if extradata[:1] == b"\1" and len(extradata) > 4:  # each unit is led by its length
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
