"""How a round is decided: when it stops, who drops out, what a tie is; by made-up scores."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from dataclasses import replace

import numpy as np
import pytest

from expand.jobs.per_video import pack_scores
from expand.search.base import Candidate, Failed, Outcome, Problem, Round, Scored
from expand.search.budget import Purse
from expand.search.decision import Noise
from expand.search.race import Raced, race
from expand.system.errors import RunFailed
from tests.expand.search.calibration import calibration
from tests.expand.search.test_beliefs import WORLDS
from tests.expand.toy import ToySpace

SPACE = ToySpace()
PARENT = Candidate(name="step-1", axis=None, point=None, macs=100, cost=100)
COSTS = {"fast": 200, "depth": 190, "width": 180}

Table = Callable[[str, int], Outcome]  # the outcome of a candidate's training by its name and seed


def problem(least: int, most: int, *, grown: bool = True, margin: float = 0.01) -> Problem:
    return Problem(
        space=SPACE, axes=SPACE.axes, targets=(), seeds=range(most), least=least, grown=grown, margin=margin
    )


def round_of(problem: Problem, costs: dict[str, int], *, control: bool = True) -> Round:
    candidates = [
        Candidate(name=name, axis=name, point=None, macs=cost, cost=cost, parent=PARENT)
        for name, cost in costs.items()
    ]
    beside = replace(PARENT, name="control", parent=PARENT) if control else None
    return Round(
        number=2,
        kind="expansion",
        trainings=problem.trainings([*candidates, *([beside] if beside else [])]),
        control=beside,
    )


def run(
    table: Table,
    *,
    seeds: tuple[int, int] = (2, 8),
    costs: dict[str, int] = COSTS,
    control: bool = True,
    grown: bool = True,
    margin: float = 0.01,
    before: Noise = Noise(),  # noqa: B008  # a frozen value
) -> tuple[list[list[tuple[str, int]]], Raced]:
    """The trainings of each stage, as names and seeds, and the end of a race."""
    asked = problem(*seeds, grown=grown, margin=margin)
    going: Generator[Round, Sequence[Outcome], Raced] = race(
        asked, round_of(asked, costs, control=control), 0.3, before, Purse(asked)
    )
    stages, stage = list[list[tuple[str, int]]](), next(going)
    while True:
        assert stage.number == 2
        stages.append([(one.candidate.name, one.seed) for one in stage.trainings])
        try:
            stage = going.send([table(one.candidate.name, one.seed) for one in stage.trainings])
        except StopIteration as end:
            return stages, end.value


def around(noise: float = 0.01, seed: int = 0, **means: float) -> Table:
    """Scores that scatter around the means of the candidates; the control's is 0.3."""

    def table(name: str, number: int) -> Outcome:
        random = np.random.default_rng([seed, number, *name.encode()])
        return Scored(score=means.get(name, 0.3) + float(random.normal(0, noise)))

    return table


def alike(name: str, seed: int) -> Outcome:
    """Two candidates of which now one and now the other is better, and two that are worse."""
    scores = {
        "fast": (0.60, 0.50, 0.58, 0.52, 0.59, 0.51, 0.58, 0.53),
        "depth": (0.52, 0.60, 0.55, 0.57, 0.51, 0.60, 0.53, 0.58),
    }
    return Scored(score=scores[name][seed] if name in scores else 0.2 + 0.01 * seed)


def test_what_is_clear_after_the_first_seeds_takes_no_more() -> None:
    stages, raced = run(around(fast=0.6, depth=0.4, width=0.3))
    assert stages == [[(name, seed) for name in (*COSTS, "control") for seed in (0, 1)]]
    assert (raced.chosen.name, raced.decision.verdict, raced.decision.tied) == ("fast", "clear", ())
    assert raced.decision.trainings == 8
    assert raced.score == pytest.approx(0.6, abs=0.02)
    assert raced.gain == pytest.approx(0.3, abs=0.03)
    belief = raced.decision.belief
    assert belief is not None
    assert belief.best > 0.99


def test_those_that_may_be_best_train_on_and_the_hopeless_do_not() -> None:
    stages, raced = run(alike)
    assert len(stages) > 2
    for number, stage in enumerate(stages[1:], start=2):
        assert stage == [("fast", number), ("depth", number), ("control", number)]
    assert raced.decision.trainings == sum(map(len, stages))


def test_seeds_that_run_out_make_a_tie_that_the_cost_decides() -> None:
    stages, raced = run(alike, seeds=(2, 3), costs={"fast": 200, "depth": 130, "width": 180})
    assert len(stages) == 2
    assert (raced.chosen.name, raced.decision.verdict) == (
        "depth",
        "tie",
    )  # as good for half of what is added
    assert set(raced.decision.tied) == {"fast", "depth"}


def test_few_videos_are_no_matter_of_more_trainings() -> None:
    def table(name: str, seed: int, videos: int) -> Outcome:
        outcome = alike(name, seed)
        assert isinstance(outcome, Scored)
        random = np.random.default_rng([*name.encode()])
        right = (random.permutation(videos) < round(outcome.score * videos)).astype(np.float16)
        return replace(outcome, video_scores=pack_scores(right))

    _, few = run(lambda name, seed: table(name, seed, 100), seeds=(3, 3))
    assert (few.decision.verdict, few.decision.settling) == ("tie", None)
    _, many = run(lambda name, seed: table(name, seed, 100_000), seeds=(3, 3))
    assert many.decision.settling is not None


def test_with_a_fixed_number_of_seeds_the_best_mean_decides_and_a_tie_is_said() -> None:
    stages, raced = run(alike, seeds=(3, 3), costs={"fast": 200, "depth": 130, "width": 180})
    assert len(stages) == 1
    assert len(stages[0]) == 3 * 4
    assert (raced.chosen.name, raced.decision.verdict) == ("fast", "tie")
    assert set(raced.decision.tied) == {"fast", "depth"}


def test_one_training_of_each_leaves_it_open_how_sure_it_is() -> None:
    stages, raced = run(around(fast=0.5, depth=0.6), seeds=(1, 1))
    assert len(stages) == 1
    assert (raced.chosen.name, raced.decision.verdict, raced.decision.beliefs) == ("depth", "unknown", None)


def test_a_race_may_begin_with_one_training_of_each() -> None:
    stages, raced = run(around(0.005, fast=0.6, depth=0.59, width=0.2), seeds=(1, 8))
    assert [{number for _, number in stage} for stage in stages] == [{n} for n in range(len(stages))]
    assert 1 < len(stages) < 8
    assert (raced.chosen.name, raced.decision.verdict) == ("fast", "clear")
    far, _ = run(around(0.005, fast=0.9, depth=0.3, width=0.2), seeds=(1, 8))
    assert len(far) == 1


def test_one_training_of_each_is_enough_where_the_noise_is_known() -> None:
    stages, raced = run(
        around(fast=0.6, depth=0.4, width=0.3), seeds=(1, 8), before=Noise(squares=20 * 0.01**2, freedom=20)
    )
    assert len(stages) == 1
    assert raced.decision.verdict == "clear"


def test_an_axis_that_learned_nothing_yet_goes_on_and_has_not_lost() -> None:
    clear = around(0.005, fast=0.6, depth=0.4, width=0.3)

    def table(name: str, seed: int) -> Outcome:
        return Scored(score=0.1, learned=False) if name == "width" else clear(name, seed)

    _, raced = run(table)
    assert raced.chosen.name == "fast"
    assert raced.decision.blind == ("width",)
    assert raced.decision.beliefs is not None
    assert raced.decision.beliefs.of[2] is None

    close = around(0.03, fast=0.6, depth=0.59, width=0.3)
    stages, _ = run(lambda name, seed: table(name, seed) if name == "width" else close(name, seed))
    assert all(("width", number) in stage for number, stage in enumerate(stages[1:], start=2))


def test_where_nothing_learns_the_best_score_is_taken_for_what_it_is() -> None:
    _, raced = run(lambda name, _: Scored(score={"depth": 0.12}.get(name, 0.1), learned=False), seeds=(2, 3))
    assert (raced.chosen.name, raced.decision.verdict) == ("depth", "blind")
    assert raced.decision.blind == tuple(COSTS)


def test_a_candidate_that_fails_is_out_and_all_that_fail_end_it() -> None:
    close = around(0.03, depth=0.6, width=0.59)
    stages, raced = run(
        lambda name, seed: (
            Failed(reason="out of memory") if (name, seed) == ("fast", 1) else close(name, seed)
        )
    )
    assert not any(name == "fast" for stage in stages[1:] for name, _ in stage)
    assert raced.chosen.name != "fast"
    with pytest.raises(RunFailed) as error:
        run(lambda name, _: Scored(score=0.5) if name == "control" else Failed(reason="out of memory"))
    assert str(error.value) == (
        "every candidate of round 2 failed: fast: out of memory; depth: out of memory; width: out of memory."
    )


def test_where_all_that_are_left_fail_the_best_of_those_that_dropped_out_wins() -> None:
    def table(name: str, seed: int) -> Outcome:
        return alike(name, seed) if name == "width" or seed < 2 else Failed(reason="out of memory")

    stages, raced = run(table)
    assert stages[1:] == [[("fast", 2), ("depth", 2), ("control", 2)]]
    assert raced.chosen.name == "width"


def test_a_control_that_fails_leaves_the_gain_open() -> None:
    clear = around(fast=0.6, depth=0.4, width=0.3)
    _, raced = run(
        lambda name, seed: Failed(reason="out of memory") if name == "control" else clear(name, seed)
    )
    assert (raced.chosen.name, raced.gain) == ("fast", None)


def test_what_is_believed_stands_with_the_stage_that_it_led_to() -> None:
    asked = problem(2, 8)
    going = race(asked, round_of(asked, COSTS), 0.3, Noise(), Purse(asked))
    first = next(going)
    assert first.so_far is None
    second = going.send([alike(one.candidate.name, one.seed) for one in first.trainings])
    assert second.so_far is not None
    assert second.so_far.verdict == "tie"
    assert set(second.so_far.tied) == {"fast", "depth"}
    assert second.so_far.settling is not None
    assert second.so_far.settling > 2


@pytest.mark.slow
@pytest.mark.parametrize("least", [1, 2])
@pytest.mark.parametrize("name", ["as on motion", "one parent", "many are stuck", "few videos"])
def test_a_race_is_as_sure_as_it_says(name: str, least: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("expand.search.race.DRAWS", 256)

    def race(table: Table, names: list[str]) -> Raced:
        return run(table, seeds=(least, 8), costs=dict.fromkeys(names, 200), control=False)[1]

    found = calibration(WORLDS[name], race, races=500, seeds=8, key=1)
    assert found.said == pytest.approx(found.so, abs=0.04)
