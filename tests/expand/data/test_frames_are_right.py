"""File by file: which frames come out, at which times, laid how, in which colours.

    python -m pytest tests/expand/data/test_frames_are_right.py -v

Frames carry their number as bars. Where a container says when frames are shown, numbers and times are also
those of PyAV alone, in the order of time.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from expand.data.base import BadVideo, Decoded, Frames
from expand.data.video import inspect, read
from tests.expand.data import numbered
from tests.expand.data.numbered import bitstream, numbers, packed, set_matrix, write_numbered

STEADY = [at / 25 for at in range(24)]
UNEVEN = np.cumsum(np.random.default_rng(0).uniform(0.01, 0.15, 24)).tolist()
B_FRAMES = {"crf": "10", "x264-params": "bframes=3:b-adapt=0:b-pyramid=normal:scenecut=0"}
FINE = {"qmin": "1", "qmax": "3"}


def read_whole(path: Path, step: float = 0.005) -> Decoded:
    (found,) = read(path, [None], lambda seconds: np.arange(0, seconds, step), short_side=64)
    assert isinstance(found, Decoded), found
    return found


def pyav_alone(path: Path) -> list[tuple[int, float]]:
    """Number and time of each frame, in the order of time."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        decoded = [
            (frame.pts or 0, numbers(np.asarray(frame.to_ndarray(format="rgb24"), np.uint8)[None])[0])
            for frame in container.decode(stream)
        ]
        unit = float(stream.time_base or 0)
    decoded.sort()
    return [(number, (pts - decoded[0][0]) * unit) for pts, number in decoded]


@dataclass(frozen=True, kw_only=True, slots=True)
class Made:
    """A file that can be written here, and what it shows.

    Attributes:
        name: its name.
        codec: PyAV's name of the encoder.
        how: how it is written.
        times: of its frames, in seconds from the first.
        first: the number of the first that is shown.
        seconds: until the end of the last.
    """

    name: str
    codec: str = "libx264"
    how: dict[str, object] = field(default_factory=dict)
    times: list[float] = field(default_factory=lambda: STEADY)
    first: int = 1
    seconds: float = 0.96


def made(name: str, codec: str = "libx264", **how: object) -> Made:
    return Made(name=name, codec=codec, how=how)


def uneven(name: str, codec: str = "libx264", **how: object) -> Made:
    times = [time - UNEVEN[0] for time in UNEVEN]
    # The last frame is shown for the usual time, which the container does not say.
    usual = float(np.median(np.diff(UNEVEN)))
    return Made(name=name, codec=codec, how={**how, "times": UNEVEN}, times=times, seconds=times[-1] + usual)


FILES = [
    made("h264.mp4"),
    made("h264-b.mp4", options=B_FRAMES),
    made("h264-b.mov", options=B_FRAMES),
    made("h264-b.mkv", options=B_FRAMES),
    made("h264-b.ts", options=B_FRAMES),
    made("h264-b.m2ts", options=B_FRAMES),
    made("h264-b.flv", options=B_FRAMES),
    made("h264-b.nut", options=B_FRAMES),
    made("h264-b.avi", options=B_FRAMES),
    made("h264-b.h264", options=B_FRAMES),
    made("h264-open.mp4", options={"x264-params": "bframes=3:open-gop=1:keyint=8:min-keyint=8:scenecut=0"}),
    made("h264-interlaced.mp4", options={"crf": "10", "x264-params": "interlaced=1:bframes=2"}),
    made("h264-fragments.mp4", options=B_FRAMES, muxing={"movflags": "frag_keyframe"}, group=8),
    made("h264-late.mp4", options=B_FRAMES, shift=3.0),
    made("h264-late.ts", options=B_FRAMES, shift=3.0),
    made("hevc-b.mp4", "libx265", options={"x265-params": "log-level=none:bframes=3"}),
    made("hevc-b.hevc", "libx265", options={"x265-params": "log-level=none:bframes=3"}),
    made("vp8.webm", "libvpx"),
    made("vp8.ivf", "libvpx"),
    made(
        "vp8-hidden.webm",
        "libvpx",
        options={"auto-alt-ref": "1", "lag-in-frames": "12", "arnr-maxframes": "3"},
    ),
    made("vp9-hidden.webm", "libvpx-vp9", options={"auto-alt-ref": "1", "lag-in-frames": "12"}),
    made("mpeg4-b.mp4", "mpeg4", options=FINE, b_frames=2),
    made("mpeg4-b.avi", "mpeg4", options=FINE, b_frames=2),
    made("mpeg4-b.mkv", "mpeg4", options=FINE, b_frames=2),
    made("h263.3gp", "h263", size=(176, 144)),
    made("wmv2.wmv", "wmv2"),
    made("flv1.flv", "flv"),
    made("mjpeg.avi", "mjpeg", pixels="yuvj420p"),
    made("mjpeg.mov", "mjpeg", pixels="yuvj420p"),
    made("mjpeg.mjpeg", "mjpeg", pixels="yuvj420p"),
    made("prores.mov", "prores_ks", pixels="yuv422p10le"),
    made("rle.mov", "qtrle", pixels="rgb24"),
    made("ffv1.mkv", "ffv1"),
    made("raw.avi", "rawvideo"),
    made("palette.gif", "gif", pixels="rgb8"),
    made("animated.apng", "apng", pixels="rgb24"),
    uneven("uneven-b.mkv", options=B_FRAMES),
    uneven("uneven.ts"),
    uneven("uneven.webm", "libvpx"),
    Made(name="one.mp4", how={"count": 1}, times=[0.0], seconds=0.04),
    # An edit list that hides the first half second.
    Made(name="cut.mp4", how={"options": B_FRAMES, "shift": -0.5}, times=STEADY[:11], first=14, seconds=0.44),
    Made(
        name="slides.mp4",
        how={"count": 3, "times": [0.0, 4.0, 10.0], "last": 6.0},
        times=[0.0, 4.0, 10.0],
        seconds=16.0,
    ),
    # Nothing can be decoded before the first key frame.
    Made(
        name="headless.ts",
        how={"options": {"x264-params": "keyint=8:min-keyint=8:scenecut=0:bframes=0"}, "drop": range(5)},
        times=STEADY[:16],
        first=9,
        seconds=0.64,
    ),
]
# There a frame is shown when the packet before it was decoded, or its stamps are none.
_SAYS_NO_TIMES = {"h264-b.avi", "mpeg4-b.avi", "h264-b.h264", "hevc-b.hevc"}


@pytest.mark.parametrize("file", FILES, ids=[file.name for file in FILES])
def test_numbers_and_times(tmp_path: Path, file: Made) -> None:
    path = write_numbered(tmp_path / file.name, file.codec, **file.how)  # type: ignore[arg-type]
    found = read_whole(path)
    assert numbers(found.frames) == list(range(file.first, file.first + len(file.times)))
    assert np.allclose(found.times, file.times, atol=2e-3)  # Matroska counts in milliseconds
    assert found.info.seconds == pytest.approx(file.seconds, abs=2e-3)
    assert found.info == inspect(path)
    if file.name not in _SAYS_NO_TIMES:
        alone = pyav_alone(path)
        assert numbers(found.frames) == [number for number, _ in alone]
        assert np.allclose(found.times, [time for _, time in alone])


def _write_h264(path: Path) -> Path:
    return numbered.write_avi(path, "libx264", bitstream("libx264", b_frames=3))


def _write_mpeg4(path: Path) -> Path:
    return numbered.write_avi(path, "mpeg4", bitstream("mpeg4", b_frames=1))


def _write_packed(path: Path) -> Path:
    return numbered.write_avi(path, "mpeg4", packed(bitstream("mpeg4", b_frames=1)))


def _write_matroska(path: Path) -> Path:
    return numbered.write_matroska_as_avi(path, bitstream("mpeg4", b_frames=1))


def _write_matroska_packed(path: Path) -> Path:
    return numbered.write_matroska_as_avi(path, packed(bitstream("mpeg4", b_frames=1)))


@pytest.mark.parametrize(
    "write", [_write_h264, _write_mpeg4, _write_packed, _write_matroska, _write_matroska_packed]
)
def test_where_packets_say_only_when_they_are_decoded_the_decoder_gives_the_order(
    tmp_path: Path, write: Callable[[Path], Path]
) -> None:
    suffix = "mkv" if "matroska" in write.__name__ else "avi"
    found = read_whole(write(tmp_path / f"a.{suffix}"))
    assert numbers(found.frames) == list(range(1, 25))
    assert np.allclose(found.times, STEADY)


@pytest.mark.parametrize("starts", [(5000.0, 0.0), (0.0, 0.0), (0.0, 0.02)], ids=["back", "again", "between"])
def test_joined_recordings_go_on(tmp_path: Path, starts: tuple[float, float]) -> None:
    parts = [write_numbered(tmp_path / f"{start}.ts", count=12, shift=start) for start in starts]
    joined = tmp_path / "joined.ts"
    joined.write_bytes(b"".join(part.read_bytes() for part in parts))
    found = read_whole(joined, step=0.001)
    assert numbers(found.frames) == [*range(1, 13), *range(1, 13)]
    assert np.allclose(found.times, STEADY)


def test_frames_of_another_size_are_scaled_to_that_of_the_first(tmp_path: Path) -> None:
    parts = [
        write_numbered(tmp_path / f"{at}.ts", count=12, shift=0.48 * at, size=size)
        for at, size in enumerate([(64, 32), (32, 64)])
    ]
    joined = tmp_path / "joined.ts"
    joined.write_bytes(b"".join(part.read_bytes() for part in parts))
    found = read_whole(joined)
    assert numbers(found.frames) == [*range(1, 13), *range(1, 13)]
    assert found.frames.shape == (24, 32, 64, 3)
    assert found.info == inspect(joined)
    assert found.info.remarks == ("frames of 2 sizes: all are scaled to 64×32",)


def test_a_gap_in_the_clock_is_said(tmp_path: Path) -> None:
    times = [*STEADY[:20], *(9000 + time for time in STEADY[:4])]
    (bad,) = read(
        write_numbered(tmp_path / "a.mkv", times=times), [None], lambda _: np.zeros(1), short_side=16
    )
    assert isinstance(bad, BadVideo)
    assert str(bad) == "gap in time: 8999 s of 9000 s lie between two frames"


def test_a_last_frame_of_hours_is_shown_as_long_as_others(tmp_path: Path) -> None:
    found = read_whole(write_numbered(tmp_path / "a.mp4", last=9000.0))
    assert found.info.seconds == pytest.approx(0.96)


def _write_quarters(path: Path, codec: str = "libx264", matrix: int = 2, pixels: str = "yuv444p") -> Path:
    """Red and green over blue and black."""
    picture = np.zeros((32, 48, 3), np.uint8)
    picture[:16, :24], picture[:16, 24:], picture[16:, :24] = (220, 0, 0), (0, 220, 0), (0, 0, 220)
    with av.open(str(path), "w") as container:
        stream = container.add_stream(
            codec, rate=10, options={"qp": "0", "preset": "ultrafast"} if codec == "libx264" else {}
        )
        assert isinstance(stream, VideoStream)
        stream.width, stream.height, stream.pix_fmt = 48, 32, pixels
        stream.codec_context.colorspace = matrix
        for at in range(3):
            frame = VideoFrame.from_ndarray(picture, format="rgb24").reformat(format=pixels)
            frame.pts, frame.time_base, frame.colorspace = at, Fraction(1, 10), matrix
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def _quarters(frame: Frames) -> str:
    """Of R, G, B and black: top left, top right, bottom left, bottom right."""
    corners = [frame[row, column] for row, column in itertools.product((4, -5), repeat=2)]
    return "".join("RGB"[int(corner.argmax())] if corner.max() > 100 else "-" for corner in corners)


@pytest.mark.parametrize(
    ("matrix", "shown", "rotation", "mirrored"),
    [
        ((1, 0, 0, 1), "RGB-", 0, False),
        ((0, 1, -1, 0), "BR-G", 270, False),
        ((-1, 0, 0, -1), "-BGR", 180, False),
        ((0, -1, 1, 0), "G-RB", 90, False),
        ((-1, 0, 0, 1), "GR-B", 0, True),
        ((1, 0, 0, -1), "B-RG", 180, True),
        ((0, 1, 1, 0), "RBG-", 90, True),
        ((0, -1, -1, 0), "-GBR", 270, True),
    ],
    ids=["upright", "90", "180", "270", "left-right", "top-bottom", "transposed", "transposed back"],
)
def test_orientation(
    tmp_path: Path, matrix: tuple[int, int, int, int], shown: str, rotation: int, mirrored: bool
) -> None:
    path = set_matrix(_write_quarters(tmp_path / "a.mp4"), *matrix)
    found = read_whole(path)
    size = (32, 48) if rotation % 180 else (48, 32)
    assert _quarters(found.frames[0]) == shown
    assert (found.info.rotation, found.info.mirrored) == (rotation, mirrored)
    assert (found.info.width, found.info.height) == size
    assert found.frames.shape[1:3] == size[::-1]
    assert found.info == inspect(path)


@pytest.mark.parametrize("matrix", [0, 3, 8, 10, 14])
@pytest.mark.parametrize(("codec", "suffix"), [("libx264", "mp4"), ("ffv1", "mkv")])
def test_a_colour_matrix_that_is_not_known_counts_as_none(
    tmp_path: Path, matrix: int, codec: str, suffix: str
) -> None:
    pixels = "yuv420p" if codec == "libx264" else "yuv444p"  # H.264 of 4:4:4 with that tag is GBR
    path = _write_quarters(tmp_path / f"a.{suffix}", codec, matrix, pixels)
    plain = read_whole(_write_quarters(tmp_path / f"plain.{suffix}", codec, pixels=pixels))
    found = read_whole(path)
    assert np.array_equal(found.frames, plain.frames)
    assert np.abs(found.frames[0, 4, 4].astype(int) - (220, 0, 0)).max() <= 2
    # swscale takes the reserved one for none by itself.
    remarks = () if matrix == 3 else (f"colour matrix {matrix} is not known: read as if none was stated",)
    assert found.info.remarks == inspect(path).remarks == remarks


KNOWN = {"bt601": (5, 0.299, 0.114), "bt709": (1, 0.2126, 0.0722), "bt2020": (9, 0.2627, 0.0593)}


@pytest.mark.parametrize("full", [False, True], ids=["limited", "full"])
@pytest.mark.parametrize("matrix", KNOWN)
def test_colours(tmp_path: Path, matrix: str, full: bool) -> None:
    tag, red_share, blue_share = KNOWN[matrix]
    red, green, blue = (np.array([200, 40, 60]) / 255).tolist()
    luma = red_share * red + (1 - red_share - blue_share) * green + blue_share * blue
    chroma = [(blue - luma) / (2 * (1 - blue_share)), (red - luma) / (2 * (1 - red_share))]
    values = [255 * luma if full else 16 + 219 * luma, *(128 + (255 if full else 224) * c for c in chroma)]
    with av.open(str(tmp_path / "a.mkv"), "w") as container:
        stream = container.add_stream("ffv1", rate=10)
        assert isinstance(stream, VideoStream)
        stream.width, stream.height, stream.pix_fmt = 32, 16, "yuv444p"
        stream.codec_context.colorspace, stream.codec_context.color_range = tag, 2 if full else 1
        frame = VideoFrame(32, 16, "yuv444p")
        for plane, value in zip(frame.planes, values, strict=True):
            plane.update(bytes([round(value)]) * (plane.line_size * plane.height))
        frame.pts, frame.time_base = 0, Fraction(1, 10)
        frame.colorspace, frame.color_range = tag, 2 if full else 1
        container.mux(stream.encode(frame))
        container.mux(stream.encode())
    found = read_whole(tmp_path / "a.mkv")
    assert np.abs(found.frames.astype(int) - (200, 40, 60)).max() <= 2


def _write_streams(path: Path, sizes: list[tuple[int, int]], ratio: Fraction | None = None) -> Path:
    """A video stream for each size; the frames of the k-th all have the number k + 1."""
    with av.open(str(path), "w") as container:
        streams = []
        for size in sizes:
            stream = container.add_stream("libx264", rate=10, options={"crf": "10"})
            assert isinstance(stream, VideoStream)
            stream.width, stream.height, stream.pix_fmt = *size, "yuv420p"
            if ratio is not None:
                stream.codec_context.sample_aspect_ratio = ratio
            streams.append(stream)
        for at in range(5):
            for number, (stream, size) in enumerate(zip(streams, sizes, strict=True), 1):
                frame = VideoFrame.from_ndarray(numbered.bars(number, size), format="rgb24")
                frame.pts, frame.time_base = at, Fraction(1, 10)
                container.mux(stream.encode(frame))
        for stream in streams:
            container.mux(stream.encode())
    return path


@pytest.mark.parametrize("suffix", ["mp4", "mkv"])
@pytest.mark.parametrize(
    ("sizes", "number", "shown"),
    [
        ([(64, 32), (128, 64)], 2, "128×64"),
        ([(64, 32), (64, 32)], 1, "64×32"),
        ([(64, 64), (64, 32)], 1, "64×64"),
    ],
    ids=["second is larger", "equal", "first is larger"],
)
def test_of_several_streams_the_largest_is_read(
    tmp_path: Path, suffix: str, sizes: list[tuple[int, int]], number: int, shown: str
) -> None:
    found = read_whole(_write_streams(tmp_path / f"a.{suffix}", sizes))
    assert numbers(found.frames) == [number] * 5
    assert found.info.remarks == (f"2 video streams: the one of {shown} is read",)


def test_pixels_that_are_not_square_are_read_as_if_they_were(tmp_path: Path) -> None:
    found = read_whole(_write_streams(tmp_path / "a.mp4", [(64, 32)], Fraction(2)))
    assert found.frames.shape == (5, 32, 64, 3)
    assert found.info.remarks == ("pixels of 2:1: read as if they were square",)


def test_a_duration_that_cannot_be_read_is_none(tmp_path: Path) -> None:
    path = write_numbered(tmp_path / "a.mkv")
    content = path.read_bytes()
    assert content.count(b"00:00:00.960000000") == 1
    path.write_bytes(content.replace(b"00:00:00.960000000", b"about one second!!"))
    assert inspect(path).frames == 24
