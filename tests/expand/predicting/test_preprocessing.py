from __future__ import annotations

from dataclasses import replace

import pytest

from expand.config.full import released_jitter
from expand.predicting.preprocessing import Preprocessing, metadata
from search_spaces.base import ClipSampling
from tests.expand.export.points import model_at

CLIPS = ClipSampling(frames=4, stride=12, size=40)
GIVEN = Preprocessing(clips=CLIPS, short_side=50, scale=8 / 7, activation="sigmoid", head="frame")


def test_it_is_that_of_the_models_training() -> None:
    model = model_at()
    size = model.sampling.size
    low, high = released_jitter(model.sampling)
    unknown = Preprocessing.of(replace(model, values={}))
    assert (unknown.short_side, unknown.scale) == (round(size * high), low)
    searched = Preprocessing.of(replace(model, values={"measured": {}}))
    assert (searched.short_side, searched.scale) == (round(1.25 * size), 1.0)
    changed = Preprocessing.of(replace(model, values={"measured": {"jitter": [1.0, 1.5]}}))
    assert (changed.short_side, changed.scale) == (round(1.5 * size), 1.0)
    trained = Preprocessing.of(
        replace(model, values={"trained": {"jitter": [1.25, 1.5]}, "measured": {}, "labels": "several"})
    )
    assert (trained.short_side, trained.scale, trained.activation) == (round(1.5 * size), 1.25, "sigmoid")


def test_metadata_say_all_of_it() -> None:
    told = metadata("net", ("a", "b"), GIVEN, "1.0")
    assert all(isinstance(value, str) for value in told.values())
    assert Preprocessing.read(told) == GIVEN
    assert (told["name"], told["xpand"], told["classes"]) == ("net", "1.0", '["a", "b"]')


@pytest.mark.parametrize(
    ("key", "value"), [("frames", "two"), ("activation", "relu"), ("head", "both"), ("mean", "0.5")]
)
def test_values_that_are_wrong(key: str, value: str) -> None:
    with pytest.raises(ValueError, match=value):
        Preprocessing.read(metadata("net", (), GIVEN, "1.0") | {key: value})


def test_its_words() -> None:
    times, frames, values, probabilities = GIVEN.words()
    assert times.startswith(
        "Times: 4 frames, 0.4 s apart (stride / fps), whatever the video's own frame rate;"
    )
    assert frames == (
        "Frames: RGB, scaled down by area averaging to a short side of 50 pixels; smaller ones stay as they "
        "are. Of them the centre square is taken, 1/1.14286 of the short side, and scaled bilinearly, with "
        "antialiasing, to 40×40."
    )
    assert values == "Values: from 0 to 1, then minus 0.45 and divided by 0.225, in every channel."
    assert probabilities == "Probabilities are the sigmoid of the logits; over several clips, their mean."
    one, *_ = replace(GIVEN, clips=replace(CLIPS, frames=1)).words()
    assert one == "Time: one frame, from the middle of the video."
