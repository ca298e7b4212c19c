"""Tiny videos whose frames carry their number, in any container that can be written here.

The number is written as eight bars, the first the lowest bit: white is 1.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.packet import Packet
from av.video.codeccontext import VideoCodecContext
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from expand.data.base import Frames

WIDTH, HEIGHT = 64, 32
FPS = 25
UNIT = Fraction(1, 12_800)
COUNT = 24


def bars(number: int, size: tuple[int, int] = (WIDTH, HEIGHT)) -> Frames:
    """A picture (H, W, 3) of a number below 256."""
    bits = np.array([number >> bit & 1 for bit in range(8)], np.uint8)
    row = np.repeat(bits * 230, size[0] // 8)
    return np.broadcast_to(row[None, :, None], (size[1], len(row), 3)).copy()


def numbers(frames: Frames) -> list[int]:
    """What the pictures (N, H, W, 3) say."""
    width = frames.shape[2]
    middles = ((np.arange(8) + 0.5) * width / 8).astype(int)
    white = frames[:, frames.shape[1] // 2, middles].mean(axis=-1) > 115  # (N, 8)
    return [int(number) for number in white @ (1 << np.arange(8))]


def pictures(count: int, times: Sequence[float] | None, size: tuple[int, int]) -> list[VideoFrame]:
    """Of the numbers from 1, at 25 frames a second or at `times`."""
    made = []
    for index in range(count):
        frame = VideoFrame.from_ndarray(bars(index + 1, size), format="rgb24")
        frame.pts = round((times[index] if times else index / FPS) / UNIT)
        frame.time_base = UNIT
        made.append(frame)
    return made


def write_numbered(
    path: Path,
    codec: str = "libx264",
    *,
    count: int = COUNT,
    times: Sequence[float] | None = None,
    size: tuple[int, int] = (WIDTH, HEIGHT),
    pixels: str = "yuv420p",
    options: dict[str, str] | None = None,
    muxing: dict[str, str] | None = None,
    b_frames: int | None = None,
    group: int | None = None,
    shift: float = 0.0,
    last: float | None = None,
    drop: Sequence[int] = (),
) -> Path:
    """A video; its packets' stamps are moved by `shift`, those in `drop` are left out."""
    with av.open(str(path), "w", options=muxing or {}) as container:
        stream = container.add_stream(codec, rate=FPS, options=options or {})
        assert isinstance(stream, VideoStream)
        stream.width, stream.height, stream.pix_fmt = *size, pixels
        stream.codec_context.time_base = UNIT
        stream.codec_context.thread_count = 1
        if b_frames is not None:
            stream.codec_context.max_b_frames = b_frames
        if group is not None:
            stream.codec_context.gop_size = group
        packets: list[Packet[VideoStream]] = []
        for frame in pictures(count, times, size):
            packets += stream.encode(frame)
        packets += stream.encode()
        for at, packet in enumerate(packets):
            moved = round(shift / packet.time_base)
            packet.pts = None if packet.pts is None else packet.pts + moved
            packet.dts = None if packet.dts is None else packet.dts + moved
            if last is not None and at == len(packets) - 1:
                packet.duration = round(last / packet.time_base)
            if at not in drop:
                container.mux(packet)
    return path


def bitstream(codec: str, *, count: int = COUNT, b_frames: int) -> list[bytes]:
    """Packets without a container, in the order in which they are decoded."""
    encoder = av.CodecContext.create(codec, "w")
    assert isinstance(encoder, VideoCodecContext)
    encoder.width, encoder.height, encoder.pix_fmt = WIDTH, HEIGHT, "yuv420p"
    encoder.framerate, encoder.time_base = Fraction(FPS), Fraction(1, FPS)
    encoder.options = {"crf": "10"} if codec == "libx264" else {"qmin": "1", "qmax": "3"}
    encoder.thread_count = 1
    encoder.max_b_frames = b_frames
    packets: list[bytes] = []
    for at, frame in enumerate([*pictures(count, None, (WIDTH, HEIGHT)), None]):
        if frame is not None:
            frame.pts, frame.time_base = at, Fraction(1, FPS)
        packets += [bytes(packet) for packet in encoder.encode(frame)]
    return packets


def packed(packets: Sequence[bytes]) -> list[bytes]:
    """MPEG-4 as DivX puts it into AVI: a picture and the one before it in a packet, then an empty one."""
    first = packets[0]
    start = first.index(b"\0\0\1\xb6")
    joined = [first[:start] + b"\0\0\1\xb2DivX503b1393p" + first[start:]]
    for at in range(1, len(packets), 2):
        pair = packets[at : at + 2]
        joined.append(b"".join(pair))
        if len(pair) == 2:
            joined.append(b"\0\0\1\xb6\x5a\xb0\x7f")
    return joined


def write_avi(path: Path, codec: str, packets: Sequence[bytes]) -> Path:
    """AVI of these packets, one a frame's time; it says when they are decoded, not when they are shown."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=FPS)
        assert isinstance(stream, VideoStream)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        stream.codec_context.time_base = Fraction(1, FPS)
        container.start_encoding()
        for at, data in enumerate(packets):
            container.mux(_packet(stream, data, at))
    return path


def write_matroska_as_avi(path: Path, packets: Sequence[bytes]) -> Path:
    """MPEG-4 in Matroska in the mode that is made for AVI's codecs, whose stamps are those of decoding."""
    with av.open(str(path), "w", format="matroska") as container:
        stream = container.add_stream("mpeg4", rate=FPS)
        assert isinstance(stream, VideoStream)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        container.start_encoding()
        for at, data in enumerate(packets):
            container.mux(_packet(stream, data, at))
    content = bytearray(path.read_bytes())
    mode = content.index(b"V_MPEG4/ISO/ASP")
    content[mode : mode + 15] = b"V_MS/VFW/FOURCC"
    private = content.index(b"\x63\xa2", mode)  # what the codec needs to know, led by its length
    length = content[private + 2] & 127
    header = struct.pack("<IiiHH4sIiiII", 40, WIDTH, HEIGHT, 1, 24, b"XVID", WIDTH * HEIGHT * 3, 0, 0, 0, 0)
    content[private + 3 : private + 3 + length] = header.ljust(length, b"\0")
    path.write_bytes(content)
    return path


def set_matrix(path: Path, a: int, b: int, c: int, d: int) -> Path:
    """Sets the display matrix in the header of an MP4."""
    content = bytearray(path.read_bytes())
    at = content.index(b"tkhd") + 4 + 40
    one = 1 << 16
    content[at : at + 36] = struct.pack(">9i", a * one, b * one, 0, c * one, d * one, 0, 0, 0, 1 << 30)
    path.write_bytes(content)
    return path


def _packet(stream: VideoStream, data: bytes, at: int) -> Packet[VideoStream]:
    packet: Packet[VideoStream] = Packet(data)  # type: ignore[assignment]
    packet.stream = stream
    packet.pts = packet.dts = at
    packet.time_base, packet.duration = Fraction(1, FPS), 1
    packet.is_keyframe = at == 0
    return packet
