"""What is said of a round, against rounds whose truth is known."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pytest
from numpy.typing import NDArray

from expand.jobs.per_video import pack_scores
from expand.search.base import Failed, Outcome, Scored
from expand.search.beliefs import DRAWS, believe
from expand.search.decision import Belief, Beliefs, Noise

MARGIN = 0.01
KEY = (0, 1, 1)


def rows(*scores: Sequence[float | None]) -> list[list[Outcome | None]]:
    return [[None if one is None else Scored(score=one) for one in row] for row in scores]


def beliefs(outcomes: Sequence[Sequence[Outcome | None]], **changed: object) -> Beliefs | None:
    options = {"margin": MARGIN, "paired": True, "before": Noise(), "key": KEY, "draws": DRAWS, **changed}
    return believe(outcomes, **options)  # type: ignore[arg-type]


def told(outcomes: Sequence[Sequence[Outcome | None]], **changed: object) -> Beliefs:
    found = beliefs(outcomes, **changed)
    assert found is not None
    return found


def of_each(found: Beliefs) -> list[Belief]:
    return [one for one in found.of if one is not None]


def best(found: Beliefs) -> list[float]:
    return [one.best for one in of_each(found)]


def mean(found: Beliefs) -> list[float]:
    return [one.mean for one in of_each(found)]


def test_far_apart_is_sure_and_alike_is_not() -> None:
    sure = told(rows([0.60, 0.61], [0.40, 0.42], [0.30, 0.31]))
    assert sure.leader == 0
    assert sure.leading.within > 0.99
    assert best(sure)[0] > 0.99
    assert sure.leading.regret < 0.001
    alike = told(rows([0.60, 0.50], [0.51, 0.58], [0.55, 0.56]))
    assert max(best(alike)) < 0.6
    assert sum(best(alike)) == pytest.approx(1)
    assert sum(one.again for one in of_each(alike)) == pytest.approx(1)
    assert alike.leading.again < 0.6 < sure.leading.again
    assert alike.leading.regret > 0.005


def test_a_true_score_is_known_better_after_more_seeds() -> None:
    scatter = [0.02, -0.02]
    few, many = (
        told(rows(*([true + one for one in scatter * times] for true in (0.6, 0.4, 0.3))), paired=False)
        for times in (1, 4)
    )
    for one, other, true in zip(of_each(few), of_each(many), (0.6, 0.4, 0.3), strict=True):
        assert other.deviation == pytest.approx(0.02 / 8**0.5, rel=0.2)
        assert one.deviation > 1.6 * other.deviation  # twice, if the true scores did not draw together
        assert abs(other.mean - true) < other.deviation


def test_what_the_candidates_of_a_seed_share_is_no_noise() -> None:
    shared = rows([0.60, 0.40, 0.50], [0.57, 0.375, 0.47], [0.50, 0.30, 0.405])
    assert told(shared).leading.within > 0.95
    assert told(shared, paired=False).leading.within < 0.9
    assert told(shared).noise.freedom == 4  # 3 × 3 scores less 3 candidates and 2 seeds
    assert told(shared, paired=False).noise.freedom == 6


def test_what_did_not_learn_or_failed_says_nothing() -> None:
    outcomes = rows([0.60, 0.61, 0.60], [0.40, 0.42, 0.41], [0.14, 0.15, 0.14])
    stuck = Scored(score=0.14, learned=False)
    without: list[list[Outcome | None]] = [[stuck, *outcomes[0]], [Failed(reason="no memory"), *outcomes[1]]]
    found = told([*without, [stuck] * 4])
    assert found.of[2] is None
    assert mean(found)[0] == pytest.approx(0.603, abs=0.01)
    assert beliefs([[stuck, stuck], [stuck, stuck]]) is None


def test_one_seed_needs_the_noise_of_earlier_rounds() -> None:
    one = rows([0.6], [0.4])
    assert beliefs(one) is None
    quiet, loud = (told(one, before=Noise(squares=8 * sd**2, freedom=8)) for sd in (0.02, 0.2))
    assert best(quiet)[0] > 0.95
    assert best(loud)[0] < 0.8
    assert quiet.noise == Noise()


def test_equal_measurements_give_equal_beliefs_and_the_key_counts() -> None:
    outcomes = rows([0.6, 0.5], [0.55, 0.52])
    assert told(outcomes) == told(outcomes)
    assert best(told(outcomes)) != best(told(outcomes, key=(0, 1, 2)))


def test_candidates_that_dropped_out_have_fewer_seeds() -> None:
    found = told(rows([0.60, 0.62, 0.61], [0.58, 0.59, 0.60], [0.30, 0.31, None]))
    assert found.leader == 0
    assert best(found)[2] < 0.01


def test_a_candidate_of_which_some_trainings_got_stuck_makes_the_others_no_less_sure() -> None:
    others = [[0.871, 0.861, 0.879], [0.827, 0.821, 0.829], [0.802, 0.825, 0.847], [0.754, 0.772, 0.800]]
    steady = told(rows(*others), paired=False)
    beside = told(rows(*others, [0.208, 0.679, 0.228]), paired=False)
    assert steady.leader == beside.leader == 0
    assert best(beside)[0] > 0.9
    assert best(beside)[-1] < 0.1
    assert beside.noise == steady.noise
    loud = told(rows(*others, [0.70, 0.86, 0.78]), paired=False)  # wide, but as noise may be
    assert loud.noise.freedom == steady.noise.freedom + 2


def test_without_any_scatter_the_best_is_surely_the_best() -> None:
    found = told(rows([0.5, 0.5], [0.6, 0.6]))
    assert found.leader == 1
    assert found.leading.within > 0.98
    assert 0 < found.leading.regret < 0.001  # two seeds of each may be alike by chance


def test_few_videos_make_it_less_sure() -> None:
    def videos(count: int) -> list[list[Outcome | None]]:
        random = np.random.default_rng(3)
        found: list[list[Outcome | None]] = []
        for mean in (0.55, 0.5):  # the same two scores from any number of videos
            right = (random.permutation(count) < round(mean * count)).astype(np.float16)
            score = Scored(score=mean, video_scores=pack_scores(right))
            found.append([score, replace(score, score=mean + 0.002)])
        return found

    few, many = told(videos(100)), told(videos(20_000))
    assert best(few)[0] < 0.85
    assert best(many)[0] > 0.95


@dataclass(frozen=True)
class World:
    """Rounds whose truth is known: true scores, and how what is measured scatters around them."""

    seeds: float = 0.03  # of a training's score, as a standard deviation, in the middle of all candidates
    shared: float = 0.0  # of what all trainings of a seed have in common
    stuck: float = 0.06  # the share of trainings that learn nothing
    videos: int = 0  # in the validation split; 0: scores of single videos are not known
    apart: float = 0.3  # how far a candidate's chance on a video is from its score, as a standard deviation

    def truth(self, random: np.random.Generator) -> NDArray[np.floating]:
        return 0.5 + random.normal(0, np.exp(random.uniform(np.log(0.005), np.log(0.2))), size=6)

    def measure(
        self, truth: NDArray[np.floating], seeds: int, random: np.random.Generator
    ) -> list[list[Outcome | None]]:
        shared = random.normal(0, self.shared, size=seeds)
        noise = self.seeds * np.exp(
            random.normal(0, 0.35, size=(len(truth), 1))
        )  # some scatter more than others
        scores = truth[:, None] + shared + noise * random.normal(size=(len(truth), seeds))
        luck = random.normal(0, self.apart, size=(len(truth), self.videos)) if self.videos else None
        found: list[list[Outcome | None]] = []
        for i, row in enumerate(scores):
            found.append([])
            for score in row:
                packed = None
                if (
                    luck is not None
                ):  # a score between 0 and 1 for each video, as of an objective of one's own
                    each = score + luck[i] + random.normal(0, 0.3, size=self.videos)
                    score, packed = float(each.mean()), pack_scores(each.astype(np.float16))
                learned = random.random() >= self.stuck
                found[-1].append(Scored(score=float(score), learned=learned, video_scores=packed))
        return found


WORLDS = {
    "quiet": World(seeds=0.015),
    "as on motion": World(seeds=0.035),
    "loud": World(seeds=0.06),
    "one parent": World(seeds=0.02, shared=0.05),
    "many are stuck": World(stuck=0.3),
    "few videos": World(seeds=0.02, videos=100),
}


def calibration(world: World, rounds: int, seeds: int = 3) -> dict[str, tuple[float, float]]:
    """What is said on average, and what is so: of being within the margin, of being best, and the regret."""
    random = np.random.default_rng(0)
    said, so = list[tuple[float, ...]](), list[tuple[float, ...]]()
    for number in range(rounds):
        truth = world.truth(random)
        found = believe(
            world.measure(truth, seeds, random),
            margin=MARGIN,
            paired=True,
            before=Noise(),
            key=(number,),
            draws=256,
        )
        if found is None:
            continue
        measured = [i for i, belief in enumerate(found.of) if belief is not None]
        behind = truth[measured].max() - truth[found.leader]
        said.append((found.leading.within, found.leading.best, found.leading.regret))
        so.append((behind <= MARGIN, behind == 0, behind))
    pairs = zip(np.mean(said, axis=0).tolist(), np.mean(so, axis=0).tolist(), strict=True)
    return dict(zip(("within", "best", "regret"), pairs, strict=True))


@pytest.mark.slow
@pytest.mark.parametrize("name", WORLDS)
def test_what_is_said_is_so(name: str) -> None:
    found = calibration(WORLDS[name], rounds=2_000)
    for said, so in (found["within"], found["best"]):
        assert said == pytest.approx(so, abs=0.03)
    assert found["regret"][0] == pytest.approx(found["regret"][1], abs=0.002)
