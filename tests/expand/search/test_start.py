"""Searches that start elsewhere than at their space's own start."""

from __future__ import annotations

from typing import Any

import pytest

from expand.search.base import Problem
from expand.search.forecast import furthest_clips
from expand.search.random_networks import RandomNetworks
from expand.search.replay import Replay
from expand.search.setup import Setup, problem_of
from expand.system.errors import UserError
from tests.expand.runs import toy_config, toy_setup
from tests.expand.search.test_replay import answer, measurement
from tests.expand.toy import Point, ToySpace

GROWING = {"name": "tests.expand.toy:GrowingToySpace"}


def growing(start: object, **training: Any) -> Setup:
    return toy_setup(space=GROWING, search={"start": start}, training=training)


def with_weights(checksum: str | None) -> dict[str, Any]:
    return {"network": "a.yaml", "factors": {"width": 5}, "checksum": checksum}


def test_the_first_network_is_the_one_at_the_factors() -> None:
    replay = Replay(toy_setup(space={"settings": {"width": 3}}, search={"start": {"frames": 2}}))
    assert replay.current is not None
    (candidate,) = replay.current.round.candidates
    assert candidate.point == Point(frames=2, width=3)  # what is left out is the space's
    answer(replay, {}, 0.5)
    assert {one.point for one in replay.current.round.candidates} == {
        Point(frames=4, width=3),
        Point(frames=2, width=4),
    }


def test_a_start_that_is_the_own_one_changes_no_job() -> None:
    def keys(**search: Any) -> list[str]:
        return [job.key for job in Replay(toy_setup(search=search)).rounds[0].jobs]

    assert keys() == keys(start={"width": 4}) != keys(start={"width": 5})


def test_the_weights_are_the_parent_of_the_start_and_so_in_its_key() -> None:
    setups = {name: growing(with_weights(name)) for name in ("ab", "cd")}
    starts = {name: Replay(setup).rounds[0].jobs[0] for name, setup in setups.items()}
    for name, setup in setups.items():
        assert setup.given is not None
        assert starts[name].parent == setup.given.key
        assert setup.given.architecture == starts[name].architecture
    assert starts["ab"].key != starts["cd"].key
    assert Replay(growing(with_weights(None))).rounds[0].jobs[0].parent is None


def test_longer_trainings_of_the_start_grow_from_its_weights_too() -> None:
    setup = growing(with_weights("ab"))
    replay = Replay(setup)
    assert replay.current is not None
    assert setup.given is not None
    (first,) = replay.current.jobs
    replay.send({first.key: measurement(0.1, train_loss=2.0, guess_loss=2.0)})
    (longer,) = replay.current.jobs
    assert replay.current.round.candidates[0].name == "start-longer"
    assert longer.parent == setup.given.key


def test_from_scratch_the_weights_decide_nothing() -> None:
    assert growing(with_weights("ab"), init="scratch").given is None


@pytest.mark.parametrize(
    ("space", "factors", "message"),
    [
        (
            {"name": "x3d", "settings": {}},
            {"depht": 2},
            "search.start must have factors of the space, got depht 2: factors must be among frames, rate, "
            "size, width, bottleneck, depth, got depht.",
        ),
        (
            {"name": "x3d", "settings": {}},
            {"depth": "deep"},
            "search.start must have factors of the space, got depth 'deep': factor depth must be a finite "
            "number above 0, got 'deep'.",
        ),
        (
            {"name": "x3d", "settings": {}},
            {"frames": 0.1},
            "search.start must have factors of the space, got frames 0.1: frames must be above 0, got 0.",
        ),
        (
            {"name": "tests.expand.toy:ToySpace"},
            {"high": 3},
            "search.start must have factors of the space, got high 3: Point.__init__() got an unexpected "
            "keyword argument 'high'.",
        ),
    ],
)
def test_factors_that_give_no_network_are_one_line(
    space: dict[str, Any], factors: dict[str, Any], message: str
) -> None:
    with pytest.raises(UserError) as caught:
        problem_of(toy_config(space=space, search={"start": factors}))
    assert str(caught.value) == message


def test_a_target_below_the_start_names_the_start() -> None:
    with pytest.raises(UserError) as caught:
        problem_of(toy_config(search={"start": {"width": 40}})).check_targets()
    assert str(caught.value) == (
        "target must be at least the start network's 9.6 K MACs, got 4 K: raise --target, or start from a "
        "smaller network (search.start)."
    )


def test_random_networks_and_the_clips_of_the_cache_begin_at_it_too() -> None:
    space = ToySpace()
    problem = Problem(
        space=space, axes=space.axes, targets=[9_000], num_classes=12, start_point=Point(frames=3, width=8)
    )
    drawn = next(RandomNetworks(networks=2, within=0.5).search(problem)).candidates
    assert all(one.point.frames >= 3 and one.point.width >= 8 for one in drawn)
    assert min(clip.frames for clip in furthest_clips(problem, 9_000)) == 3
