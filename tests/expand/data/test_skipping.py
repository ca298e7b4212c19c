"""What is read without decoding all of a video is what decoding all of it gives."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import av
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from expand.data.skipping import frames_at, read_skipping
from expand.data.video import read, read_all
from tests.expand.data.videos import Pixels, at_rate, turn, write_noise, write_video

# Frames that nothing refers to, and some that others do, in another order than they are shown in.
B_FRAMES = {
    "preset": "medium",
    "bf": "3",
    "b_strategy": "0",
    "x264-params": "b-pyramid=normal",
    "threads": "1",
}


def drifting(time: float, size: tuple[int, int]) -> Pixels:
    """Other pixels in every frame, which motion predicts."""
    x, y = np.meshgrid(np.arange(size[0]), np.arange(size[1]))
    waves = [np.sin(x / 7 + 9 * time), np.cos(y / 5 - 7 * time), np.sin((x + y) / 9 + 5 * time)]
    return (128 + 100 * np.stack(waves, axis=-1)).astype(np.uint8)


def write_drifting(path: Path, times: Sequence[float], **options: object) -> Path:
    return write_video(path, times, paint=drifting, encoding=B_FRAMES, **options)  # type: ignore[arg-type]


def check_the_same(path: Path, *, fps: float, short_side: int = 24) -> None:
    found = read_skipping(path, fps=fps, short_side=short_side)
    assert found is not None
    info, frames = read_all(path, fps=fps, short_side=short_side)
    assert found[0] == info
    assert np.array_equal(found[1], frames)


@pytest.mark.parametrize("suffix", ["mp4", "mkv", "mov"])
@pytest.mark.parametrize("fps", [0.1, 4.0, 10.0, 12.5, 30.0, 50.0])
def test_frames_are_those_of_decoding_all(tmp_path: Path, suffix: str, fps: float) -> None:
    path = write_drifting(tmp_path / f"a.{suffix}", at_rate(30, 47))
    with av.open(str(path)) as container:
        kinds = {int(frame.pict_type) for frame in container.decode(video=0)}
    assert kinds == {1, 2, 3}  # intra, predicted, and from both sides
    check_the_same(path, fps=fps)


def test_a_variable_rate(tmp_path: Path) -> None:
    path = write_drifting(tmp_path / "a.mp4", [*np.arange(0, 1, 1 / 30), *np.arange(1, 3, 1 / 5)])
    check_the_same(path, fps=10)


def test_a_late_start(tmp_path: Path) -> None:
    check_the_same(write_drifting(tmp_path / "a.mkv", at_rate(30, 30), start=5.0), fps=10)


@pytest.mark.parametrize("degrees", [90, 180, 270])
def test_rotation(tmp_path: Path, degrees: int) -> None:
    check_the_same(turn(write_drifting(tmp_path / "a.mp4", at_rate(30, 20)), degrees), fps=10, short_side=32)


def test_one_frame(tmp_path: Path) -> None:
    check_the_same(write_drifting(tmp_path / "a.mp4", [0.0]), fps=10)


def test_another_codec_is_left_to_decoding_all(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.avi", at_rate(30, 20), codec="mpeg4")
    assert read_skipping(path, fps=10, short_side=24) is None
    assert len(read(path, fps=10, short_side=24)[1]) == 6


def test_a_broken_frame_is_left_to_decoding_all(tmp_path: Path) -> None:
    path = write_noise(tmp_path / "a.mp4")
    content = bytearray(path.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 20_000] = bytes(20_000)
    path.write_bytes(content)
    assert read_skipping(path, fps=30, short_side=24) is None


@given(
    steps=st.lists(st.floats(0.01, 0.6), min_size=0, max_size=30),
    fps=st.floats(0.5, 60),
    count=st.integers(1, 60),
)
def test_the_frame_shown_is_the_last_that_has_begun(steps: list[float], fps: float, count: int) -> None:
    times = np.concatenate(([0.0], np.cumsum(steps)))
    shown = frames_at(times, count, fps, 1e-6)
    wanted = [max(frame for frame, time in enumerate(times) if time <= k / fps + 1e-6) for k in range(count)]
    assert shown.tolist() == wanted
