"""Predictions of videos whose brightness tells the time (tests/expand/data/videos.py)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import expand
from expand.config.data import CacheConfig, DataConfig
from expand.data.base import BadVideo, Item
from expand.data.cache import open_cache
from expand.data.cache_needs import EvenClips, cache_needs
from expand.data.file_source import FileSource
from expand.predicting import video
from expand.predicting.predictor import load_predictor
from expand.predicting.video import around, consecutive, parse_every, pictures, predict, predicted
from expand.system.errors import UserError
from expand.training.prediction import view_means
from tests.expand.data.videos import brightness as grey
from tests.expand.data.videos import write_clip
from tests.expand.models import write_tiny
from tests.expand.predicting.networks import brightness


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three seconds, from grey 20 to 170: dark until 1.1 s, bright from 2.1 s on."""
    return write_clip(tmp_path_factory.mktemp("videos") / "brighter.mp4", seconds=3, fps=30)


@pytest.mark.parametrize("views", [(1, 1), (3, 1), (2, 3)])
def test_probabilities_are_those_of_a_validation(tmp_path: Path, clip: Path, views: tuple[int, int]) -> None:
    """The cache and the split of a test give the same, bit for bit."""
    model = write_tiny(tmp_path / "tiny.yaml", ["a", "b", "c"], weights=True)
    predictor = load_predictor(model)
    source = FileSource(
        name="one",
        root=clip.parent,
        classes=("a",),
        splits={"train": (), "val": (Item(key=clip.name, label=0),), "test": ()},
    )
    config = DataConfig(
        jitter=expand.weights.models.read_model(model).jitter,
        cache=CacheConfig(folder=tmp_path / "cache"),
    )
    sampling = predictor.preprocessing.clips
    needs = cache_needs(config, (sampling,), (EvenClips(sampling=sampling, clips=views[0]),))
    cached = open_cache(source, needs, config)
    expected = view_means(predictor.network, cached.val, predictor.viewing(*views))
    found = predict(predictor, clip, views=views)
    assert np.array_equal(found.probabilities, expected)
    assert found.seconds == pytest.approx(3.0)


def test_of_the_whole_video(clip: Path) -> None:
    found = predict(brightness(), clip, views=1)
    assert (found.label, found.classes) == ("medium", ("dark", "medium", "bright"))
    assert found.probability == found.probabilities.max()
    assert found.probabilities.sum() == pytest.approx(1)
    assert [name for name, _ in found.top(3)] == ["medium", "dark", "bright"]
    assert repr(found).startswith("Prediction(brighter.mp4: medium ")
    assert found.to_json(1) == {
        "video": str(clip),
        "seconds": 3.0,
        "labels": [{"label": "medium", "probability": round(found.probability, 6)}],
    }


def test_over_time(clip: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = predict(brightness(), clip, every=0.5)
    assert found.times.tolist() == [0.0, 0.5, 1.0, 1.5, 2.0, 2.5]
    # A clip spans 0.2 s and lies around its moment: brightness at the moment decides.
    expected = [int(np.abs(grey(time) - np.array([50, 100, 150])).argmin()) for time in found.times]
    assert found.probabilities.argmax(axis=1).tolist() == expected
    moments = found.to_json(2)["moments"]
    assert [moment["labels"][0]["label"] for moment in moments] == [
        *("dark", "dark", "dark", "medium", "medium", "bright")
    ]
    monkeypatch.setattr(video, "PART", 1)  # a clip at a time
    assert np.array_equal(predict(brightness(), clip, every=0.5).probabilities, found.probabilities)


def test_a_head_for_each_frame_is_asked_over_time(clip: Path) -> None:
    found = predict(brightness(per_frame=True, frames=4), clip)
    assert np.allclose(found.times, np.arange(25) * 3 / 25)
    likeliest = found.probabilities.argmax(axis=1)
    assert likeliest.tolist() == sorted(likeliest.tolist())
    assert set(likeliest.tolist()) == {0, 1, 2}
    assert len(predict(brightness(per_frame=True, frames=4), clip, every=1.0).times) == 3


def test_a_video_shorter_than_a_clip_is_looped(tmp_path: Path) -> None:
    short = write_clip(tmp_path / "short.mp4", seconds=0.1, fps=30)
    for every in (None, 0.05):
        assert predict(brightness(frames=8), short, every=every).label == "dark"


def test_parts_around_moments_and_one_after_the_other() -> None:
    path = Path("a.mp4")
    parts = [around(path, moment, 10.0, 2.0) for moment in (0.0, 5.0, 9.9)]
    assert [(part.start, part.end) for part in parts] == [(0.0, 2.0), (4.0, 6.0), (8.0, 10.0)]
    assert around(path, 0.5, 1.0, 2.0).start == 0.0
    assert [(part.start, part.end) for part in consecutive(path, 5.0, 2.4)] == [(0.0, 2.5), (2.5, 5.0)]
    assert len(consecutive(path, 1.0, 2.4)) == 1


def test_videos_that_cannot_be_used(tmp_path: Path) -> None:
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(b"no video")
    for every in (None, 1.0):
        assert isinstance(predicted(brightness(), broken, every=every), BadVideo)
    with pytest.raises(UserError) as told:
        predict(brightness(), tmp_path / "none.mp4")
    assert str(told.value) == (
        f"{tmp_path / 'none.mp4'} must be a video that can be read, but: missing; give another."
    )
    with pytest.raises(UserError, match="must be a video that can be read"):
        pictures(broken)


def test_pictures_of_a_video(clip: Path) -> None:
    shown = pictures(clip, 3)
    assert [round(float(picture.mean())) for picture in shown] == [
        pytest.approx(grey(time), abs=3) for time in (0.5, 1.5, 2.5)
    ]


def test_the_time_between_moments() -> None:
    assert [parse_every(text) for text in ("1s", "500ms", "0.25 s")] == [1.0, 0.5, 0.25]
    with pytest.raises(UserError) as told:
        parse_every("often")
    assert str(told.value) == "--every must be a time such as 1s or 500ms, got 'often'."


def test_from_python(tmp_path: Path, clip: Path) -> None:
    model = write_tiny(tmp_path / "tiny.yaml", ["a", "b"], weights=True)
    found = expand.predict(model, clip, views=2)
    assert np.array_equal(found.probabilities, expand.predict(str(model), str(clip), views=2).probabilities)
    again = expand.predict(expand.load_predictor(model), clip, views=2)
    assert np.array_equal(found.probabilities, again.probabilities)
