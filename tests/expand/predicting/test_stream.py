"""Streams: where there is no camera, a file played at its own rate stands in for it."""

from __future__ import annotations

import io
import threading
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from expand.predicting import stream
from expand.predicting.stream import Arrived, Ring, is_live, is_stream, newest_clip, predict_stream
from expand.predicting.video import predict
from expand.system.errors import RunFailed, UserError
from search_spaces.base import ClipSampling
from tests.expand.data.videos import write_clip
from tests.expand.predicting.networks import brightness


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three seconds, from grey 20 to 170, in a format that can be read from front to back."""
    return write_clip(tmp_path_factory.mktemp("videos") / "brighter.mkv", seconds=3, fps=30)


def piped(monkeypatch: pytest.MonkeyPatch, content: bytes) -> None:
    monkeypatch.setattr("sys.stdin", SimpleNamespace(buffer=io.BytesIO(content)))


def test_what_is_a_stream() -> None:
    assert [
        is_stream(text) for text in ("0", "rtsp://host/a", "http://host/a.m3u8", "-", "a.mp4", "0.mp4")
    ] == [*(True, True, True, True, False, False)]
    assert [is_live(text) for text in ("0", "rtsp://host/a", "-", "c:/a.mp4")] == [True, True, False, False]


def test_a_pipe_is_predicted_each_stride(clip: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    piped(monkeypatch, clip.read_bytes())
    found = list(predict_stream(brightness(frames=3), "-"))
    # A clip spans 0.4 s, its frames are 0.2 s apart.
    assert [one.time for one in found] == pytest.approx(np.arange(0.4, 2.99, 0.2).tolist(), abs=0.002)
    labels = [one.labels[0][0] for one in found]
    assert labels == sorted(labels, key=("dark", "medium", "bright").index)
    assert set(labels) == {"dark", "medium", "bright"}
    assert all(one.latency >= 0 for one in found)


def test_a_clip_ends_with_the_newest_frame(clip: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The last prediction is that of a file which has only the clip's frames."""
    piped(monkeypatch, clip.read_bytes())
    *_, last = predict_stream(brightness(), "-", every=1 / 30)
    (moment,) = predict(brightness(), clip, every=2.9 - 1 / 60).probabilities[1:]
    assert last.time == pytest.approx(89 / 30, abs=0.002)
    assert last.labels[0][1] == pytest.approx(moment.max(), abs=0.02)


@pytest.mark.parametrize("slow", [False, True])
def test_a_file_played_at_its_own_rate(clip: Path, monkeypatch: pytest.MonkeyPatch, slow: bool) -> None:
    """A network that is slower than the stream leaves out predictions, not frames."""
    now, waited = [100.0], threading.Semaphore(0)

    def sleep(seconds: float) -> None:
        now[0] += seconds
        if slow:
            waited.acquire(timeout=0.2)  # 15 frames arrive while the network computes

    monkeypatch.setattr(stream, "time", SimpleNamespace(monotonic=lambda: now[0], sleep=sleep))
    times = []
    for one in predict_stream(brightness(), str(clip), live=True, every=1 / 30):
        times.append(one.time)
        for _ in range(15):
            waited.release()
    assert times == sorted(times)
    assert times[-1] == pytest.approx(89 / 30, abs=0.002)
    if slow:
        assert 2 <= len(times) < 80
    assert now[0] >= 100 + 2.9


def test_a_stream_shorter_than_a_clip_is_looped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    piped(monkeypatch, write_clip(tmp_path / "short.mkv", seconds=0.2, fps=30).read_bytes())
    (only,) = predict_stream(brightness(frames=8), "-", count=1)
    assert only.labels[0][0] == "dark"
    assert len(only.labels) == 1


def test_a_reader_that_leaves_ends_the_thread(clip: Path) -> None:
    predictions = predict_stream(brightness(), str(clip), live=True)
    next(predictions)
    predictions.close()  # type: ignore[attr-defined]
    assert not [one for one in threading.enumerate() if one.name == "stream"]


def test_the_ring_keeps_what_a_clip_spans() -> None:
    ring = Ring(1.0)
    for number in range(40):
        ring.add(arrived(number / 10))
    times = [frame.time for frame in ring.newest()]
    assert times[0] <= times[-1] - 1.0 < times[1]
    assert all(later > sooner for sooner, later in pairwise(times))


def arrived(time: float) -> Arrived:
    return Arrived(time=time, pixels=np.zeros((4, 6, 3), np.uint8), arrival=0.0)


def test_the_newest_clip_of_frames() -> None:
    clips = ClipSampling(frames=3, stride=3, size=4)  # 0.1 s apart
    decoded = newest_clip(tuple(arrived(number / 10) for number in range(10)), clips)
    assert decoded.info.seconds == pytest.approx(0.3)
    centre = 0.05 + np.arange(3) / 10  # the centre clip of a video of 0.3 s
    assert decoded.times[np.searchsorted(decoded.spans[1:, 0], centre, side="right")] == pytest.approx(centre)
    short = newest_clip((arrived(0.0), arrived(0.1)), clips)
    assert short.info.seconds == pytest.approx(0.2)


def test_sources_that_cannot_be_opened(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    piped(monkeypatch, b"no video")
    with pytest.raises(UserError) as told:
        next(predict_stream(brightness(), "-"))
    assert str(told.value) == (
        "- must be a video that can be opened, but: unreadable: Invalid data found when processing input; a "
        "pipe needs a format that can be read from front to back, such as Matroska or MPEG-TS."
    )
    with pytest.raises(UserError, match="look at the number, the address or the path"):
        next(predict_stream(brightness(), str(tmp_path / "none.mp4"), live=True))
    monkeypatch.setattr("sys.platform", "plan9")
    with pytest.raises(UserError) as told:
        next(predict_stream(brightness(), "0"))
    assert str(told.value) == (
        "a camera by its number is known on linux and darwin, not on plan9: give an address, or a pipe."
    )


def test_a_stream_that_breaks_off(clip: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(frames: Iterator[Arrived]) -> Iterator[Arrived]:
        yield next(frames)
        raise RunFailed("rtsp://host cannot be read any further: unreadable.")

    monkeypatch.setattr(stream, "_paced", broken)
    with pytest.raises(RunFailed, match="cannot be read any further"):
        list(predict_stream(brightness(), str(clip), live=True))
