"""Parts of longer videos, and how little is decoded for them: what comes out is what decoding all gives."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import av
import numpy as np
import pytest
from av.video.frame import VideoFrame

from expand.data import decoding
from expand.data.base import BadVideo, Cut, Decoded
from expand.data.video import inspect, read
from tests.expand.data.numbered import numbers, write_numbered
from tests.expand.data.videos import Pixels, at_rate, write_noise, write_video

# Frames that nothing refers to, and some that others do, in another order than they are shown in.
B_FRAMES = {
    "preset": "medium",
    "bf": "3",
    "b_strategy": "0",
    "x264-params": "b-pyramid=normal:keyint=12:min-keyint=12:scenecut=0",
    "threads": "1",
}
OPEN = {**B_FRAMES, "x264-params": f"{B_FRAMES['x264-params']}:open-gop=1"}


def drifting(time: float, size: tuple[int, int]) -> Pixels:
    """Other pixels in every frame, which motion predicts."""
    x, y = np.meshgrid(np.arange(size[0]), np.arange(size[1]))
    waves = [np.sin(x / 7 + 9 * time), np.cos(y / 5 - 7 * time), np.sin((x + y) / 9 + 5 * time)]
    return (128 + 100 * np.stack(waves, axis=-1)).astype(np.uint8)


def write_drifting(path: Path, times: Sequence[float], **options: object) -> Path:
    return write_video(path, times, paint=drifting, **{"encoding": B_FRAMES, **options})  # type: ignore[arg-type]


def every(fps: float):  # type: ignore[no-untyped-def]
    return lambda seconds: np.arange(0, seconds - 1e-6, 1 / fps)


def check_the_same(
    path: Path, monkeypatch: pytest.MonkeyPatch, *, fps: float, cuts: Sequence[Cut | None] = (None,)
) -> list[Decoded]:
    """Reads with all that saves work, then without."""
    found = read(path, cuts, every(fps), short_side=24)
    monkeypatch.setattr(decoding, "_feed", lambda *_: None)
    alone = [read(path, [cut], every(fps), short_side=24)[0] for cut in cuts]
    good = []
    for one, other in zip(found, alone, strict=True):
        assert isinstance(one, Decoded)
        assert isinstance(other, Decoded)
        assert one.info == other.info
        for name in ("times", "spans", "frames"):
            assert np.array_equal(getattr(one, name), getattr(other, name)), name
        good.append(one)
    return good


@pytest.mark.parametrize("suffix", ["mp4", "mkv", "mov", "ts"])
@pytest.mark.parametrize("fps", [0.1, 4.0, 10.0, 12.5, 30.0])
def test_frames_are_those_of_decoding_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, suffix: str, fps: float
) -> None:
    path = write_drifting(tmp_path / f"a.{suffix}", at_rate(30, 47))
    with av.open(str(path)) as container:
        kinds = {int(frame.pict_type) for frame in container.decode(video=0)}
    assert kinds == {1, 2, 3}  # intra, predicted, and from both sides
    check_the_same(path, monkeypatch, fps=fps)


CUTS = [
    Cut(file="a", start=start, end=end) for start, end in [(2.1, 2.3), (0.0, 0.2), (0.85, 1.2), (2.2, 99.0)]
]


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("a.mp4", {}),
        ("a.mkv", {}),
        ("a.ts", {}),
        ("open.mp4", {"encoding": OPEN}),
        ("a.webm", {"codec": "libvpx-vp9"}),
        ("a.mov", {"codec": "mjpeg"}),
        ("a.avi", {"codec": "mpeg4"}),
    ],
)
def test_parts_are_those_of_decoding_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, options: dict[str, object]
) -> None:
    if options.get("codec") == "mjpeg":
        path = write_numbered(tmp_path / name, "mjpeg", count=75, pixels="yuvj420p")
    else:
        path = write_drifting(tmp_path / name, at_rate(30, 75), **options)
    found = check_the_same(path, monkeypatch, fps=10, cuts=[*CUTS, None])
    assert [part.info.seconds for part in found[:3]] == pytest.approx([0.2, 0.2, 0.35])


def test_parts_have_their_own_clock(tmp_path: Path) -> None:
    path = write_numbered(tmp_path / "a.mp4", count=100)
    cuts = [Cut(file="a", start=2.0, end=2.2), Cut(file="a", start=1.0, end=1.1), None]
    first, second, whole = read(path, cuts, every(25), short_side=16)
    assert isinstance(first, Decoded)
    assert isinstance(second, Decoded)
    assert isinstance(whole, Decoded)
    assert numbers(first.frames) == [51, 52, 53, 54, 55]
    assert np.allclose(first.times, [0, 0.04, 0.08, 0.12, 0.16])
    assert np.allclose(first.spans[:, 0], [0, 0.02, 0.06, 0.10, 0.14], atol=2e-3)
    assert [first.info.seconds, first.info.frames] == pytest.approx([0.2, 5])
    assert first.info == inspect(path, cuts[0])
    assert numbers(second.frames) == [26, 27, 28]
    assert numbers(whole.frames) == list(range(1, 101))


def test_a_part_decodes_no_more_than_it_needs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_drifting(tmp_path / "a.mp4", at_rate(30, 90))
    taken: list[int | None] = []
    take = decoding._Pass._take

    def count(self: decoding._Pass, frame: VideoFrame) -> None:
        taken.append(frame.pts)
        take(self, frame)

    monkeypatch.setattr(decoding._Pass, "_take", count)
    read(path, [Cut(file="a", start=2.45, end=2.55)], every(30), short_side=24)
    assert 0 < len(taken) <= 12  # of one group of pictures


def test_a_large_file_is_read_twice_instead_of_held(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_drifting(tmp_path / "a.mp4", at_rate(30, 75))
    held = read(path, CUTS[:2], every(10), short_side=24)
    monkeypatch.setattr(decoding, "MOST_BYTES", 0)
    for one, other in zip(held, read(path, CUTS[:2], every(10), short_side=24), strict=True):
        assert isinstance(one, Decoded)
        assert isinstance(other, Decoded)
        assert np.array_equal(one.frames, other.frames)


def test_a_part_outside_of_its_video_is_bad_alone(tmp_path: Path) -> None:
    path = write_numbered(tmp_path / "a.mp4")
    cuts = [Cut(file="a", start=3.0, end=4.0), Cut(file="a", start=0.0, end=0.2)]
    bad, good = read(path, cuts, every(25), short_side=16)
    assert isinstance(good, Decoded)
    assert str(bad) == "outside: it begins at 3.00 s of a video of 0.96 s"
    with pytest.raises(BadVideo) as caught:
        inspect(path, cuts[0])
    assert str(caught.value) == "outside: it begins at 3.00 s of a video of 0.96 s"


def test_a_part_within_one_slide_shows_it(tmp_path: Path) -> None:
    path = write_numbered(tmp_path / "a.mp4", count=3, times=[0.0, 4.0, 10.0], last=6.0)
    cut = Cut(file="a", start=5.0, end=6.0)
    (found,) = read(path, [cut], every(5), short_side=16)
    assert isinstance(found, Decoded)
    assert numbers(found.frames) == [2]
    assert found.times.tolist() == [-1.0]
    assert found.spans.tolist() == [[0.0, 1.0]]
    assert inspect(path, cut).frames == 1


def test_a_broken_frame_is_told_by_decoding_all(tmp_path: Path) -> None:
    path = write_noise(tmp_path / "a.mp4")
    content = bytearray(path.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 20_000] = bytes(20_000)
    path.write_bytes(content)
    (bad,) = read(path, [None], every(30), short_side=24)
    assert isinstance(bad, BadVideo)
    assert bad.reason == "truncated"


@pytest.mark.parametrize(
    "error", [OSError(5, "no\nluck"), MemoryError(), ValueError("odd"), OverflowError("much")]
)
def test_whatever_is_raised_is_one_bad_video(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    path = write_numbered(tmp_path / "a.mp4")

    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr(decoding._Pass, "_take", fail)
    (bad,) = read(path, [None], every(30), short_side=24)
    says = {OSError: "no luck", MemoryError: "its frames do not fit into memory", ValueError: "odd"}
    assert str(bad) == f"unreadable: {says.get(type(error), 'much')}"
    with pytest.raises(BadVideo):
        inspect(path)
