from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from expand.data.base import BadVideo, Frames, VideoInfo
from expand.data.shrinking import scaled
from expand.data.video import inspect, probe, read
from tests.expand.data.videos import (
    Pixels,
    at_rate,
    cut_in_half,
    seconds_of,
    write_clip,
    write_noise,
    write_sound,
    write_video,
    write_without_frames,
)

NEAR = 0.035  # seconds that brightness is good to


def read_at(path: Path, *, fps: float, short_side: int) -> tuple[VideoInfo, Frames]:
    """What a video is, and its frames nearest to k / fps seconds, repeated for each."""
    (found,) = read(
        path, [None], lambda seconds: np.arange(0, seconds - 1e-6, 1 / fps), short_side=short_side
    )
    if isinstance(found, BadVideo):
        raise found
    wanted = np.arange(0, found.info.seconds - 1e-6, 1 / fps)
    assert found.spans[0, 0] == 0
    assert found.spans[-1, 1] <= found.info.seconds
    return found.info, found.frames[np.searchsorted(found.spans[1:, 0], wanted, side="right")]


def decode(path: Path, *, fps: float, short_side: int) -> Frames:
    return read_at(path, fps=fps, short_side=short_side)[1]


@pytest.mark.parametrize("source_fps", [10, 15, 30, 60])
@pytest.mark.parametrize("fps", [5.0, 10.0, 12.5, 30.0])
def test_frames_are_the_nearest(tmp_path: Path, source_fps: int, fps: float) -> None:
    frames = decode(write_clip(tmp_path / "a.mp4", 2.0, source_fps), fps=fps, short_side=24)
    assert len(frames) == 2 * fps
    assert np.abs(seconds_of(frames) - np.arange(len(frames)) / fps).max() < NEAR + 0.5 / source_fps


@pytest.mark.parametrize("suffix", ["mp4", "mkv", "webm", "avi", "mov", "ts"])
def test_every_container_keeps_the_times(tmp_path: Path, suffix: str) -> None:
    codec = "libvpx" if suffix == "webm" else "mpeg4" if suffix == "avi" else "libx264"
    path = write_video(tmp_path / f"a.{suffix}", at_rate(30, 60), codec=codec)
    info, frames = read_at(path, fps=10, short_side=24)
    assert info.seconds == pytest.approx(2, abs=0.05)
    assert info.fps == pytest.approx(30, rel=0.03)
    assert not info.variable_rate
    assert np.abs(seconds_of(frames) - np.arange(len(frames)) / 10).max() < NEAR + 1 / 30


def test_a_variable_rate_is_sampled_by_time_stamps(tmp_path: Path) -> None:
    times = [*np.arange(0, 1, 1 / 30), *np.arange(1, 3, 1 / 5)]  # fast, then slow
    path = write_video(tmp_path / "a.mp4", times, last=1 / 5)
    info, frames = read_at(path, fps=10, short_side=24)
    # In the slow part a frame's successor counts from half of the usual distance, 1/30 s, before it appears.
    wanted = [max(time for time in times if time <= k / 10 + 1 / 60 + 1e-3) for k in range(30)]
    assert info.variable_rate
    assert info.seconds == pytest.approx(3, abs=1e-3)
    assert len(frames) == 30
    assert np.abs(seconds_of(frames) - wanted).max() < NEAR


def test_time_counts_from_the_first_frame(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mkv", at_rate(30, 30), start=5.0)
    info, frames = read_at(path, fps=10, short_side=24)
    assert info.seconds == pytest.approx(1, abs=0.01)
    assert np.abs(seconds_of(frames) - np.arange(len(frames)) / 10).max() < NEAR


@pytest.mark.parametrize(
    ("size", "short_side", "shape"),
    [((64, 48), 24, (24, 32)), ((48, 64), 24, (32, 24)), ((64, 48), 100, (48, 64)), ((65, 49), 30, (30, 40))],
)
def test_the_short_side_shrinks_and_never_grows(
    tmp_path: Path, size: tuple[int, int], short_side: int, shape: tuple[int, int]
) -> None:
    frames = decode(write_clip(tmp_path / "a.mp4", size=size), fps=5, short_side=short_side)
    assert frames.shape == (5, *shape, 3)
    assert frames.dtype == np.uint8
    assert scaled(*size, short_side) == shape[::-1]


def test_shrinking_averages(tmp_path: Path) -> None:
    def stripes(_: float, size: tuple[int, int]) -> Pixels:
        return np.tile(np.array([0, 255], np.uint8)[None, :, None], (size[1], size[0] // 2, 3))

    frames = decode(
        write_video(tmp_path / "a.mp4", at_rate(30, 3), size=(128, 96), paint=stripes), fps=30, short_side=24
    )
    assert frames.std() < 5
    assert frames.mean() == pytest.approx(127, abs=6)


def test_a_video_of_one_frame(tmp_path: Path) -> None:
    info, frames = read_at(write_video(tmp_path / "a.mp4", [0.0]), fps=10, short_side=24)
    assert (info.frames, len(frames), info.variable_rate) == (1, 1, False)
    assert info.seconds > 0


def test_inspect_and_the_header_agree(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "a.mp4", 2.0, 15)
    assert probe(path) == inspect(path)
    assert inspect(path).frames == 30


def _missing(path: Path) -> Path:
    return path


def _empty(path: Path) -> Path:
    path.touch()
    return path


def _garbage(path: Path) -> Path:
    path.write_bytes(np.random.default_rng(0).bytes(5000))
    return path


def _half(path: Path) -> Path:
    return cut_in_half(write_noise(path))


def _headless(path: Path) -> Path:
    return cut_in_half(write_clip(path))  # an MP4's header comes last where not told otherwise


def _no_frames(path: Path) -> Path:
    return write_without_frames(path.with_suffix(".avi"))


BAD = [
    (_missing, "missing"),
    (_empty, "empty"),
    (_garbage, "unreadable"),
    (_headless, "unreadable"),
    (write_sound, "no video stream"),
    (_no_frames, "no frames"),
    (_half, "truncated"),
]


@pytest.mark.parametrize(("write", "reason"), BAD, ids=[write.__name__ for write, _ in BAD])
def test_a_bad_file_says_why(tmp_path: Path, write, reason: str, capfd: pytest.CaptureFixture[str]) -> None:  # type: ignore[no-untyped-def]
    path = write(tmp_path / "a.mp4")
    for attempt in (inspect, lambda path: decode(path, fps=10, short_side=24)):
        with pytest.raises(BadVideo) as caught:
            attempt(path)
        assert caught.value.reason == reason
        assert "\n" not in str(caught.value)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("share", [0.3, 0.6, 0.85])
def test_a_file_cut_anywhere_is_truncated(tmp_path: Path, share: float) -> None:
    path = write_noise(tmp_path / "a.mp4")
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    with pytest.raises(BadVideo) as caught:
        inspect(path)
    assert caught.value.reason == "truncated"
