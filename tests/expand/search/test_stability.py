"""How often a search, done again, finds the same; by made-up scores, and by searches whose truth is known."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest

from expand.search.base import Candidate, Failed, Outcome, Problem, Round, Scored, Training, Trajectory
from expand.search.expansion import Expansion
from expand.search.random_networks import RandomNetworks
from expand.search.stability import AxisSequence, Stability, stability
from expand.system.errors import RunFailed
from tests.expand.toy import Grow, Point, ToySpace

REPLAYS = 200

Answer = Callable[[Training], Outcome | None]  # None: not measured


class Doubling(ToySpace):
    """Two axes along which a step doubles the cost: so every sequence of two leads to a cost of four."""

    @property
    def axes(self) -> Mapping[str, Any]:
        return {name: Twice(name) for name in ("frames", "size")}


class Twice(Grow):
    """Doubles one field of a Point with every step."""

    def move(self, space: Any, point: Point, steps: int) -> Point | None:
        value = getattr(point, self.field) * 2.0**steps
        return replace(point, **{self.field: int(value)}) if value >= 1 else None


class Area:
    """The cost of a Point: its frames times its size."""

    name, unit = "area", "pixels"

    def value(self, space: Any, point: Point, num_classes: int) -> int:
        return point.frames * point.size

    def short(self, value: int) -> str:
        return str(value)

    def show(self, value: float) -> str:
        return str(value)


SPACE = Doubling()
SEARCH = Expansion()


def problem(
    least: int = 3, most: int = 3, *, targets: Sequence[int] = (128,), grown: bool = False
) -> Problem:
    return Problem(
        space=SPACE,
        axes=SPACE.axes,
        targets=targets,
        cost=Area(),
        seeds=range(most),
        least=least,
        grown=grown,
    )


def measure(asked: Problem, answer: Answer) -> tuple[dict[Training, Outcome], Trajectory | None]:
    """The outcomes of a search, until one is not measured or it fails, and its result."""
    search, measured = SEARCH.search(asked), dict[Training, Outcome]()
    round_ = next(search)
    try:
        while True:
            for training in round_.trainings:
                outcome = answer(training)
                if outcome is None:
                    return measured, None
                measured[training] = outcome
            round_ = search.send([measured[training] for training in round_.trainings])
    except StopIteration as end:
        return measured, end.value
    except RunFailed:
        return measured, None


def around(noise: float, seed: int = 0, **means: float) -> Answer:
    """Normal scores around a mean for each axis, in every round; the start and the control have 0.2."""
    random = np.random.default_rng(seed)
    return lambda training: Scored(score=means.get(training.candidate.name, 0.2) + random.normal(0, noise))


def stable(asked: Problem, answer: Answer, replays: int = REPLAYS) -> Stability | None:
    return stability(SEARCH, asked, measure(asked, answer)[0], replays=replays)


def shares(found: Stability | None) -> dict[str, float]:
    assert found is not None
    return {one.sequence.words: one.share for one in found.sequences}


def test_axes_that_are_far_apart_come_out_again() -> None:
    found = stable(problem(), around(0.01, frames=0.6, size=0.4))
    assert found is not None
    assert found.same_sequence is not None
    assert found.same_sequence > 0.97
    assert found.sequences[0].own
    assert found.sequences[0].sequence == AxisSequence(axes=("frames", "frames"), end="whole")
    assert found.same_networks["target-128"] > 0.97
    assert found.replays == REPLAYS


@pytest.mark.parametrize("seeds", [(4, 4), (2, 4)])
def test_axes_that_are_equal_come_out_in_half_of_the_cases(seeds: tuple[int, int]) -> None:
    def alternating(training: Training) -> Outcome:
        sign = {"frames": 1, "size": -1}.get(training.candidate.name, 0) * (-1) ** training.seed
        return Scored(score=0.5 + 0.02 * sign + (0.0001 if training.candidate.name == "frames" else 0))

    found = shares(stable(problem(*seeds, targets=(64,)), alternating))
    assert found["frames"] == pytest.approx(0.5, abs=0.15)
    assert found["frames"] + found["size"] == pytest.approx(1)


def test_what_comes_after_an_axis_that_was_not_grown_is_unknown() -> None:
    found = stable(problem(targets=(64, 100)), around(0.04, frames=0.52, size=0.5))
    assert found is not None
    said = shares(found)
    assert sum(said.values()) == pytest.approx(1)
    (own,) = (one.sequence for one in found.sequences if one.own)
    other = {"frames": "size", "size": "frames"}[own.axes[0]]
    assert 0 < said[f"{other}, then unknown"] < 1
    # The network for 64 is that of the first round, so it is known; that for 100 comes of the second.
    first, second = found.networks["target-64"], found.networks["target-100"]
    assert {one.axes for one in first} == {("frames",), ("size",)}
    assert {one.candidate is None for one in second} == {True, False}
    unknown = sum(one.share for one in second if one.candidate is None)
    assert unknown == said[f"{other}, then unknown"]


def test_networks_that_are_the_same_count_as_one_whatever_led_to_them() -> None:
    def equal(training: Training) -> Outcome:
        scores = (
            {"frames": 0.6, "size": 0.4} if training.candidate.cost == 64 else {"frames": 0.5, "size": 0.5}
        )
        return Scored(score=scores.get(training.candidate.name, 0.2) + 0.03 * (-1) ** training.seed)

    found = stable(problem(2, 2), equal)
    assert found is not None
    for networks in found.networks.values():
        known = [one for one in networks if one.candidate is not None]
        points = [one.candidate.point for one in known if one.candidate is not None]
        assert len(points) == len(set(points))
        assert sum(one.share for one in networks) == pytest.approx(1)


def test_one_training_each_says_nothing_and_so_does_a_search_without_a_decision() -> None:
    assert stable(problem(1, 1), around(0.01, frames=0.6, size=0.4)) is None
    answer = around(0.01, frames=0.6, size=0.4)
    unfinished = stable(
        problem(), lambda training: answer(training) if training.candidate.cost == 32 else None
    )
    assert unfinished is None
    assert stability(SEARCH, problem(), {}) is None


def test_an_unfinished_search_is_known_up_to_its_last_decision() -> None:
    answer = around(0.005, frames=0.6, size=0.4)

    def first_round(training: Training) -> Outcome | None:
        return answer(training) if training.candidate.cost <= 64 else None

    found = stable(problem(targets=(64, 128)), first_round)
    assert found is not None
    assert [one.sequence.words for one in found.sequences if one.own] == ["frames, then unknown"]
    assert found.same_sequence is not None
    assert found.same_sequence > 0.97
    assert found.same_networks.keys() == {"target-64"}
    assert [one.candidate for one in found.networks["target-128"]] == [None]

    def second_stage(training: Training) -> Outcome | None:  # a race of the second round has begun
        return None if training.candidate.cost > 64 and training.seed > 1 else alike(training)

    def alike(training: Training) -> Outcome:
        apart = training.candidate.cost == 64 and training.candidate.name == "frames"
        return Scored(score=0.5 + 0.3 * apart + 0.02 * (-1) ** training.seed)

    open_ = stable(problem(2, 4), second_stage)
    assert open_ is not None
    assert [one.sequence.words for one in open_.sequences if one.own] == ["frames, then unknown"]


def test_a_control_that_may_be_better_may_stop_it() -> None:
    answer = around(0.02, frames=0.21, size=0.1)
    said = shares(stable(problem(grown=True, targets=(64,)), answer))
    assert 0.05 < said["stop"] < 0.95
    assert 0.05 < said["frames"] < 0.95


def test_trainings_fail_and_learn_nothing_as_often_as_they_did() -> None:
    close = around(0.01, frames=0.6, size=0.59)

    def failing(training: Training) -> Outcome | None:
        name = training.candidate.name
        return Failed(reason="out of memory") if name == "frames" and training.seed == 1 else close(training)

    said = shares(stable(problem(targets=(64,)), failing))
    assert said["frames"] < 0.35  # all three of its trainings must be ones that do not fail
    assert said["size"] > 0.65

    def all_failing(training: Training) -> Outcome:
        return Scored(score=0.2) if training.candidate.name == "start" else Failed(reason="out of memory")

    assert stable(problem(targets=(64,)), all_failing) is None

    def stuck(training: Training) -> Outcome | None:
        stays = training.candidate.name == "size" and training.seed > 0
        return Scored(score=0.1, learned=False) if stays else close(training)

    said = shares(stable(problem(targets=(64,)), stuck))
    assert said["frames"] > 0.8


def test_a_search_that_failed_is_counted_as_far_as_it_came() -> None:
    answer = around(0.005, frames=0.6, size=0.4)

    def fails_later(training: Training) -> Outcome | None:
        return Failed(reason="out of memory") if training.candidate.cost > 64 else answer(training)

    found = stable(problem(), fails_later)
    assert shares(found)["frames, then failure"] > 0.9


def test_equal_measurements_give_equal_shares() -> None:
    asked = problem(2, 4)
    measured, _ = measure(asked, around(0.03, frames=0.6, size=0.57))
    first = stability(SEARCH, asked, measured, replays=300)
    assert first == stability(SEARCH, asked, measured, replays=300)
    other = replace(asked, seeds=range(5, 9))
    moved = {replace(training, seed=training.seed + 5): outcome for training, outcome in measured.items()}
    assert first != stability(SEARCH, other, moved, replays=300)


def test_random_networks_have_no_sequence_but_networks() -> None:
    space = ToySpace()
    asked = Problem(space=space, axes=space.axes, targets=(100_000,), seeds=range(3))
    search, measured = RandomNetworks(networks=3, within=0.5).search(asked), dict[Training, Outcome]()
    random = np.random.default_rng(0)
    for training in next(search).trainings:
        measured[training] = Scored(score=0.5 + random.normal(0, 0.02))
    found = stability(RandomNetworks(networks=3, within=0.5), asked, measured, replays=REPLAYS)
    assert found is not None
    assert found.sequences == ()
    (networks,) = found.networks.values()
    assert sum(one.share for one in networks) == pytest.approx(1)
    assert all(one.candidate is not None for one in networks)
    assert any(one.own for one in networks)


def test_words() -> None:
    assert AxisSequence(axes=("fast", "depth"), end="whole").words == "fast, depth"
    assert AxisSequence(axes=("fast",), end="unknown").words == "fast, then unknown"
    assert AxisSequence(axes=(), end="stopped").words == "stop"
    assert AxisSequence(axes=(), end="whole").words == "no growth"


@dataclass(frozen=True)
class Tree:
    """True scores of all networks of two rounds, by the axes that lead to them."""

    truth: Mapping[tuple[str, ...], float]
    noise: float

    @classmethod
    def of(cls, random: np.random.Generator) -> Tree:
        spread = np.exp(random.uniform(np.log(0.005), np.log(0.1)))
        nodes = [(one,) for one in SPACE.axes] + [(one, other) for one in SPACE.axes for other in SPACE.axes]
        return cls(truth={node: 0.5 + random.normal(0, spread) for node in nodes}, noise=0.03)

    def searched(
        self, asked: Problem, random: np.random.Generator
    ) -> tuple[dict[Training, Outcome], tuple[str, ...]]:
        """The outcomes of a search, and the axes that it grew."""

        def score(training: Training) -> Outcome:
            node = axes_of(training.candidate)
            return Scored(score=self.truth.get(node, 0.2) + random.normal(0, self.noise))

        measured, found = measure(asked, score)
        assert found is not None
        return measured, axes_of(found.states[-1].candidate)


def axes_of(candidate: Candidate) -> tuple[str, ...]:
    parents = () if candidate.parent is None else axes_of(candidate.parent)
    return parents if candidate.axis is None else (*parents, candidate.axis)


@pytest.mark.slow
@pytest.mark.parametrize("seeds", [(4, 4), (2, 4)])
def test_what_is_said_is_so(seeds: tuple[int, int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("expand.search.race.DRAWS", 256)
    random, asked = np.random.default_rng(2), problem(*seeds)
    said, so = list[tuple[float, float]](), list[tuple[bool, bool]]()
    for _ in range(300):
        tree = Tree.of(random)
        measured, own = tree.searched(asked, random)
        _, again = tree.searched(asked, random)
        found = stability(SEARCH, asked, measured, replays=20)
        assert found is not None
        assert found.same_sequence is not None
        first = sum(one.share for one in found.sequences if one.sequence.axes[0] == own[0])
        said.append((first, found.same_sequence))
        so.append((own[0] == again[0], own == again))
    assert np.mean(said, axis=0) == pytest.approx(np.mean(so, axis=0), abs=0.05 if asked.fixed else 0.07)


def test_a_round_is_asked_of_the_strategy_itself() -> None:
    """A strategy of one's own: its rounds are replayed through its own generator."""

    class Twofold:
        def search(self, problem: Problem) -> Any:
            rounds = yield from Expansion().search(problem)
            return rounds

    asked = problem()
    measured, _ = measure(asked, around(0.03, frames=0.6, size=0.57))
    assert stability(Twofold(), asked, measured, replays=300) == stability(
        SEARCH, asked, measured, replays=300
    )
    assert isinstance(next(Twofold().search(asked)), Round)
