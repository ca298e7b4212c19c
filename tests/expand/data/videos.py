"""Small real videos for tests. Where nothing else is said, brightness tells the time: see `brightness`."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.audio.frame import AudioFrame
from av.packet import Packet
from av.video.frame import VideoFrame
from av.video.stream import VideoStream
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]
_TICKS = 15_360  # a second; a multiple of the usual frame rates


def brightness(seconds: float) -> int:
    """Grey value of the frame that starts then; good for 4 s."""
    return round(20 + 50 * seconds)


def seconds_of(frames: Pixels) -> NDArray[np.float64]:
    """When frames (N, H, W, 3) started, told by their brightness; good to about 0.03 s."""
    return np.asarray((frames.mean(axis=(1, 2, 3)) - 20) / 50, dtype=np.float64)


def write_video(
    path: Path,
    times: Iterable[float],
    *,
    last: float | None = None,
    size: tuple[int, int] = (64, 48),
    paint: Callable[[float, tuple[int, int]], Pixels] | None = None,
    start: float = 0.0,
    options: dict[str, str] | None = None,
    codec: str = "libx264",
    encoding: dict[str, str] | None = None,
) -> Path:
    """A video whose frames start at `times`; `last` is how long the last one is shown."""
    times = list(times)
    width, height = size
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w", options=options or {}) as container:
        stream = container.add_stream(codec, rate=30)
        assert isinstance(stream, VideoStream)
        stream.width, stream.height = width, height
        stream.pix_fmt = "yuv420p" if width % 2 == height % 2 == 0 else "yuv444p"
        stream.codec_context.time_base = Fraction(1, _TICKS)
        if codec == "libx264":
            stream.options = {**(encoding or {"preset": "ultrafast", "crf": "8", "threads": "1"})}
        elif codec == "mpeg4":
            stream.bit_rate, stream.options = 4_000_000, {"qmax": "2"}
        packets: list[Packet[VideoStream]] = []
        for time in times:
            pixels = (paint or _grey)(time, size)
            frame = VideoFrame.from_ndarray(pixels, format="rgb24")
            frame.pts = round((start + time) * _TICKS)
            frame.time_base = Fraction(1, _TICKS)
            packets += stream.encode(frame)
        packets += stream.encode()
        packets[-1].duration = round(
            (last or 1 / 30) / packets[-1].time_base
        )  # no B-frames: it is the last shown
        container.mux(packets)
    return path


def at_rate(fps: float, count: int) -> list[float]:
    return [index / fps for index in range(count)]


def write_clip(path: Path, seconds: float = 1.0, fps: float = 15, size: tuple[int, int] = (64, 48)) -> Path:
    """A video with a constant frame rate."""
    return write_video(path, at_rate(fps, round(seconds * fps)), last=1 / fps, size=size)


def write_noise(path: Path, count: int = 30, seed: int = 0) -> Path:
    """One with its header first and plenty of bytes a frame, so that half the file is half the video."""
    rng = np.random.default_rng(seed)

    def paint(_: float, size: tuple[int, int]) -> Pixels:
        return rng.integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)

    return write_video(path, at_rate(30, count), paint=paint, options={"movflags": "faststart"})


def cut_in_half(path: Path) -> Path:
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    return path


def turn(path: Path, degrees: int) -> Path:
    """Sets the rotation of an MP4 in its header: players turn it clockwise by as much."""
    content = bytearray(path.read_bytes())
    at = content.index(b"tkhd") + 4 + 40
    one = 1 << 16
    a, b, c, d = {90: (0, one, -one, 0), 180: (-one, 0, 0, -one), 270: (0, -one, one, 0)}[degrees]
    content[at : at + 36] = struct.pack(">9i", a, b, 0, c, d, 0, 0, 0, 1 << 30)
    path.write_bytes(content)
    return path


def write_sound(path: Path) -> Path:
    """A file with sound and no video."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=16_000, layout="mono")
        frame = AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
        frame.sample_rate = 16_000
        for index in range(8):
            frame.pts = 1024 * index
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def write_without_frames(path: Path) -> Path:
    """An AVI file with a video stream and not one frame."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=30)
        assert isinstance(stream, VideoStream)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        container.start_encoding()
    return path


def write_classes(root: Path, counts: dict[str, int], seconds: float = 1.0) -> Path:
    """A folder of class folders; every file has other bytes."""
    number = 0
    for name, count in counts.items():
        for index in range(count):
            number += 1
            base = (7 * number) % 200

            def paint(time: float, size: tuple[int, int], base: int = base) -> Pixels:
                return np.full((size[1], size[0], 3), base + 20 * time, np.uint8)

            times = at_rate(15, round(15 * seconds))
            write_video(root / name / f"{index}.mp4", times, last=1 / 15, paint=paint)
    return root


def _grey(time: float, size: tuple[int, int]) -> Pixels:
    return np.full((size[1], size[0], 3), brightness(time), np.uint8)
