from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from av.video.codeccontext import VideoCodecContext
from av.video.frame import VideoFrame

from expand.data.base import BadVideo, Cut, Decoded
from expand.data.video import inspect, probe, read
from tests.expand.data.numbered import bars, numbers


def write_picture(path: Path, number: int, size: tuple[int, int] = (64, 32)) -> None:
    codec, pixels = ("png", "rgb24") if path.suffix == ".png" else ("mjpeg", "yuvj420p")
    encoder = av.CodecContext.create(codec, "w")
    assert isinstance(encoder, VideoCodecContext)
    encoder.width, encoder.height, encoder.pix_fmt = *size, pixels
    encoder.time_base = Fraction(1, 25)
    frame = VideoFrame.from_ndarray(bars(number, size), format="rgb24").reformat(format=pixels)
    frame.pts = 0
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(b"".join(bytes(packet) for packet in [*encoder.encode(frame), *encoder.encode()]))


def read_all(folder: Path, cut: Cut | None = None) -> Decoded:
    (found,) = read(folder, [cut], lambda seconds: np.arange(0, seconds - 1e-6, 0.1), short_side=32, fps=10)
    assert isinstance(found, Decoded), found
    return found


@pytest.mark.parametrize("name", ["img_{:05}.jpg", "{:06}.png", "frame{}.JPEG", "{}.jpg"])
@pytest.mark.parametrize("first", [0, 1, 9])
def test_pictures_are_in_the_order_of_their_numbers(tmp_path: Path, name: str, first: int) -> None:
    for number in range(1, 13):
        write_picture(tmp_path / name.format(first + number - 1), number)
    found = read_all(tmp_path)
    assert numbers(found.frames) == list(range(1, 13))
    assert np.allclose(found.times, np.arange(12) / 10)
    assert found.info == inspect(tmp_path, fps=10) == probe(tmp_path, fps=10)
    assert [found.info.seconds, found.info.fps, found.info.frames] == pytest.approx([1.2, 10, 12])


def test_pictures_that_are_missing_keep_their_time(tmp_path: Path) -> None:
    for number in (1, 2, 3, 7, 8):
        write_picture(tmp_path / f"{number}.png", number)
    found = read_all(tmp_path)
    assert numbers(found.frames) == [1, 2, 3, 7, 8]
    assert np.allclose(found.times, [0, 0.1, 0.2, 0.6, 0.7])
    assert found.info.variable_rate


def test_a_part(tmp_path: Path) -> None:
    for number in range(1, 13):
        write_picture(tmp_path / f"{number}.png", number)
    cut = Cut(file="a", start=0.5, end=0.8)
    assert numbers(read_all(tmp_path, cut).frames) == [6, 7, 8]
    assert inspect(tmp_path, cut, fps=10).frames == 3


def test_optical_flow_beside_is_left_out(tmp_path: Path) -> None:
    for number in range(1, 5):
        write_picture(tmp_path / f"img_{number:05}.jpg", number)
        write_picture(tmp_path / f"flow_x_{number:05}.jpg", 99)
        write_picture(tmp_path / f"flow_y_{number:05}.jpg", 99)
    assert numbers(read_all(tmp_path).frames) == [1, 2, 3, 4]


def test_pictures_of_another_size_are_scaled(tmp_path: Path) -> None:
    for number in range(1, 4):
        write_picture(tmp_path / f"{number}.png", number, (64, 32) if number < 3 else (32, 64))
    found = read_all(tmp_path)
    assert numbers(found.frames) == [1, 2, 3]
    assert found.info.remarks == ("frames of 2 sizes: all are scaled to 64×32",)


def test_bad_folders(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty/notes.txt").touch()
    write_picture(tmp_path / "good/1.png", 1)
    write_picture(tmp_path / "broken/1.png", 1)
    (tmp_path / "broken/2.png").write_bytes(b"no picture")
    said = {}
    for name, fps in (("empty", 10.0), ("broken", 10.0), ("good", None)):
        (bad,) = read(
            tmp_path / name, [None], lambda seconds: np.arange(0, seconds, 0.1), short_side=8, fps=fps
        )
        assert isinstance(bad, BadVideo)
        said[name] = str(bad)
        with pytest.raises(BadVideo):
            inspect(tmp_path / name, fps=fps)
    assert said["empty"] == "no frames: a folder without numbered JPEG or PNG pictures"
    assert said["broken"].startswith("unreadable: ")
    assert said["good"] == "unreadable: a folder, and no frame rate is stated for folders of pictures"
