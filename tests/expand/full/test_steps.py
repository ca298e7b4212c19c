from __future__ import annotations

import copy
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from expand.config.full import FullConfig
from expand.data.clips import Augment
from expand.data.labels import OneLabel
from expand.full.best import Validation
from expand.full.multigrid import multigrid
from expand.full.steps import FullCourse, FullTraining, Hooks, Stopped, learning_rate
from expand.jobs.job import TrainingProgress
from expand.training.checkpoints import TrainingState
from expand.training.losses import Diverged
from expand.training.schedule import plain
from search_spaces.base import ClipSampling
from search_spaces.x3d import X3DSpace
from search_spaces.x3d.split_norm import SplitBatchNorm
from tests.expand.data.splits import ArraySplit

SAMPLING = ClipSampling(frames=4, stride=6, size=32)
RECIPE = FullConfig(
    epochs=4,
    batch_size=8,
    learning_rate=0.8,
    validate_epochs=1,
    precise_norm=2,
    dropout=0.5,
    residual_start=1.0,
)


def split(count: int = 24) -> ArraySplit:
    generator = np.random.default_rng(0)
    videos = tuple(
        generator.integers(0, 128 if label % 2 else 256, (80, 44, 48, 3), dtype=np.uint8)
        for label in range(count)
    )
    return ArraySplit(videos=videos, labels=np.arange(count, dtype=np.int64) % 2)


SPLIT = split()


def network() -> nn.Module:
    torch.manual_seed(0)
    space = X3DSpace(size=32, frames=2)
    return space.build(space.architecture(space.start), 2, dropout=0.5, residual_start=1.0)


def course(recipe: FullConfig = RECIPE, **changes: Any) -> FullCourse:
    clips = round(recipe.epochs * len(SPLIT.labels))
    plan = multigrid if recipe.multigrid else plain
    schedule = plan(SAMPLING, batch_size=recipe.batch_size, clips=clips)
    values: dict[str, Any] = {
        "train": SPLIT,
        "targets": OneLabel(labels=SPLIT.labels),
        "loss": nn.CrossEntropyLoss(label_smoothing=recipe.label_smoothing),
        "sampling": SAMPLING,
        "augment": Augment(swaps=None, jitter=(1.0, 1.3)),
        "recipe": recipe,
        "seed": recipe.seed,
        "schedule": schedule,
        "rate": lambda step: learning_rate(recipe, schedule.at(step)[0], step / schedule.steps),
        "device": "cpu",
        "micro_batch": recipe.micro_batch,
        "validate": lambda _: {"top1": 0.5},
    }
    return FullCourse(**values | changes)


@dataclass
class Kept:
    """What a training called."""

    stop_at: int | None = None
    save_at: tuple[int, ...] = ()
    states: list[TrainingState] = field(default_factory=list)
    rows: list[Validation] = field(default_factory=list)
    losses: list[float] = field(default_factory=list)
    step: int = 0

    def hooks(self) -> Hooks:
        def progress(done: TrainingProgress) -> None:
            self.step = done.step
            self.losses.append(done.loss)

        return Hooks(
            progress=progress,
            validated=self.rows.append,
            save=lambda state: self.states.append(copy.deepcopy(state)),
            due=lambda: self.step in self.save_at,
            stopping=lambda: self.step == self.stop_at,
        )


def weights(one: nn.Module) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in one.state_dict().items()}


def same(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


@pytest.mark.parametrize(
    ("stop_at", "multigrid"),
    [(1, False), *(pytest.param(*stop, marks=pytest.mark.slow) for stop in ((7, False), (4, True)))],
)
def test_a_training_that_was_cut_off_gives_the_weights_of_one_that_was_not(
    stop_at: int, multigrid: bool
) -> None:
    work = course(RECIPE.model_copy(update={"multigrid": multigrid, "epochs": 10 if multigrid else 4}))
    whole, kept = FullTraining(work, network()), Kept()
    wanted = weights(whole.run(kept.hooks()))

    first, cut = FullTraining(work, network()), Kept(stop_at=stop_at)
    with pytest.raises(Stopped):
        first.run(cut.hooks())
    assert cut.states[-1]["step"] == stop_at
    torch.manual_seed(99)  # another process has other random numbers
    second, rest = FullTraining(work, network()), Kept()
    second.restore(cut.states[-1])
    assert same(weights(second.run(rest.hooks())), wanted)
    assert [{**row, "seconds": 0} for row in second.history] == [
        {**row, "seconds": 0} for row in whole.history
    ]
    assert second.seconds > cut.states[-1]["seconds"]


@pytest.mark.slow
def test_validation_and_checkpoints_do_not_change_the_training() -> None:
    often, seldom = Kept(save_at=tuple(range(20))), Kept()
    many = FullTraining(course(), network()).run(often.hooks())
    rare = FullTraining(course(RECIPE.model_copy(update={"validate_epochs": 100})), network()).run(
        seldom.hooks()
    )
    assert len(often.rows) == 4
    assert len(seldom.rows) == 1
    assert same(weights(many), weights(rare))


@pytest.mark.slow
def test_what_is_given_back_is_ready_for_evaluation() -> None:
    seen: list[nn.Module] = []

    def validate(one: nn.Module) -> dict[str, float]:
        seen.append(one)
        assert not any(isinstance(module, SplitBatchNorm) for module in one.modules())
        return {"top1": 0.25}

    recipe = RECIPE.model_copy(update={"multigrid": True, "epochs": 12})
    training, kept = FullTraining(course(recipe, validate=validate), network()), Kept()
    done = training.run(kept.hooks())
    assert done is seen[-1]
    assert not done.training
    assert training.history[-1]["val_top1"] == 0.25
    assert training.history[-1]["step"] == training.step


def test_a_finished_training_is_evaluated_again_without_a_step() -> None:
    first, kept = FullTraining(course(), network()), Kept()
    wanted = weights(first.run(kept.hooks()))
    again, rest = FullTraining(course(), network()), Kept()
    again.restore(kept.states[-1])
    assert same(weights(again.run(rest.hooks())), wanted)
    assert rest.losses == []


def test_the_loss_falls_and_is_told() -> None:
    recipe = RECIPE.model_copy(update={"epochs": 6, "dropout": 0.0})
    training, kept = FullTraining(course(recipe), network()), Kept()
    training.run(kept.hooks())
    assert kept.rows[-1]["train_loss"] < 0.7 * kept.rows[0]["train_loss"]
    assert [row["epochs"] for row in kept.rows] == list(range(1, 7))


def scripted(scores: list[float], seen: list[dict[str, Tensor]] | None = None) -> Any:
    """A validation that gives these scores one after another, and notes the weights it got."""
    left = iter(scores)

    def validate(one: nn.Module) -> dict[str, float]:
        if seen is not None:
            seen.append(weights(one))
        return {"top1": next(left)}

    return validate


@pytest.mark.parametrize("stop_at", [1, 4, 10])
def test_the_best_weights_are_kept_also_over_an_interruption(stop_at: int) -> None:
    recipe = RECIPE.model_copy(update={"keep": "best"})
    scores, seen = [0.25, 0.75, 0.5, 0.75], list[dict[str, Tensor]]()
    whole = FullTraining(course(recipe, validate=scripted(scores, seen)), network())
    wanted = weights(whole.run(Kept().hooks()))
    assert same(wanted, seen[1])
    assert not same(wanted, seen[3])
    assert whole.kept["epochs"] == 2

    cut = Kept(stop_at=stop_at)
    first = FullTraining(course(recipe, validate=scripted(scores)), network())
    with pytest.raises(Stopped):
        first.run(cut.hooks())
    done = len(first.history)
    second = FullTraining(course(recipe, validate=scripted(scores[done:])), network())
    second.restore(cut.states[-1])
    assert same(weights(second.run(Kept().hooks())), wanted)
    assert second.kept["epochs"] == 2


def test_patience_ends_a_training_and_nothing_is_trained_after_it() -> None:
    recipe = RECIPE.model_copy(update={"keep": "best", "patience": 1.0})
    work, kept = course(recipe, validate=scripted([0.25, 0.75, 0.5])), Kept()
    training = FullTraining(work, network())
    wanted = weights(training.run(kept.hooks()))
    assert [row["epochs"] for row in training.history] == [1, 2, 3]
    assert kept.step == 9  # of 12

    again, rest = FullTraining(course(recipe, validate=scripted([])), network()), Kept()
    again.restore(kept.states[-1])
    assert same(weights(again.run(rest.hooks())), wanted)
    assert rest.losses == []


def test_clips_of_a_step_that_is_done_again_are_counted_once() -> None:
    crowded = FullTraining(course(micro_batch=4), Crowded(most=2, first=1))
    crowded.run(Kept().hooks())
    parts = FullTraining(course(micro_batch=2), Crowded(most=99))
    parts.run(Kept().hooks())
    shares = [[row["train_top1"] for row in one.history] for one in (crowded, parts)]
    assert shares[0] == shares[1]
    assert all(share * 24 == pytest.approx(round(share * 24)) for share in shares[0])


def test_epochs_are_counted_as_they_were_asked_for() -> None:
    recipe = RECIPE.model_copy(update={"batch_size": 7, "epochs": 2.5})  # 60 clips in 9 steps of 7
    training, kept = FullTraining(course(recipe), network()), Kept()
    training.run(kept.hooks())
    assert [(row["step"], row["epochs"]) for row in kept.rows] == [(4, 1), (7, 2), (9, 2.5)]


def test_the_last_epoch_is_validated_once_where_steps_go_on_after_it() -> None:
    recipe = RECIPE.model_copy(update={"epochs": 2})
    schedule = plain(SAMPLING, batch_size=8, clips=3 * 24)  # a whole epoch more
    training, kept = FullTraining(course(recipe, schedule=schedule, rate=lambda _: 0.1), network()), Kept()
    training.run(kept.hooks())
    assert [(row["step"], row["epochs"]) for row in kept.rows] == [(3, 1), (9, 2)]


def test_a_loss_that_is_no_number_ends_it_without_a_checkpoint_of_it() -> None:
    class Broken(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.linear, self.calls = nn.Linear(3, 2), 0

        def forward(self, clips: Tensor) -> Tensor:
            self.calls += 1
            logits: Tensor = self.linear(clips.mean(dim=(2, 3, 4)))
            return logits * (float("nan") if self.calls > 3 else 1.0)

    kept = Kept()
    with pytest.raises(Diverged, match="the training loss is"):
        FullTraining(course(RECIPE.model_copy(update={"validate_epochs": 100})), Broken()).run(kept.hooks())
    assert kept.states == []


def test_accumulated_gradients_are_those_of_a_step() -> None:
    """Without BatchNorm and dropout, parts of a batch give the weights of the whole."""

    def linear() -> nn.Module:
        torch.manual_seed(0)
        return nn.Sequential(nn.Flatten(), nn.Linear(3 * 4 * 32 * 32, 2))

    def trained(micro_batch: int | None) -> dict[str, Tensor]:
        recipe = RECIPE.model_copy(
            update={"micro_batch": micro_batch, "precise_norm": None, "learning_rate": 0.001}
        )
        return weights(FullTraining(course(recipe), linear()).run(Kept().hooks()))

    whole, parts = trained(None), trained(2)
    assert all(torch.allclose(whole[name], parts[name], atol=1e-5) for name in whole)


@pytest.mark.slow
def test_splits_follow_the_long_cycle() -> None:
    recipe = RECIPE.model_copy(update={"multigrid": True, "epochs": 12, "batch_size": 16})
    work = course(recipe)
    training = FullTraining(work, network())
    seen: list[int] = []
    hooks = Kept().hooks()

    def progress(_: TrainingProgress) -> None:
        norm = next(m for m in training._loop.network.modules() if isinstance(m, nn.BatchNorm3d))
        seen.append(norm.splits if isinstance(norm, SplitBatchNorm) else 1)

    training.run(replace(hooks, progress=progress))
    assert seen == [work.schedule.at(step)[0].splits for step in range(work.schedule.steps)]
    assert len(set(seen)) > 2


@pytest.mark.slow
def test_in_bfloat16_it_trains_alike() -> None:
    recipe = RECIPE.model_copy(update={"dropout": 0.0})
    exact, rounded = Kept(), Kept()
    FullTraining(course(recipe), network()).run(exact.hooks())
    FullTraining(course(recipe, precision="bfloat16"), network()).run(rounded.hooks())
    assert rounded.losses[0] == pytest.approx(exact.losses[0], abs=0.02)
    assert rounded.losses[:3] != exact.losses[:3]
    assert rounded.rows[-1]["train_loss"] == pytest.approx(exact.rows[-1]["train_loss"], abs=0.3)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA, and there is none here")
def test_on_cuda_a_training_goes_on_where_it_was() -> None:
    work = course(device="cuda")
    wanted = weights(FullTraining(work, network()).run(Kept().hooks()))
    cut = Kept(stop_at=5)
    with pytest.raises(Stopped):
        FullTraining(work, network()).run(cut.hooks())
    second = FullTraining(work, network())
    second.restore(cut.states[-1])
    found = weights(second.run(Kept().hooks()))
    assert all(torch.allclose(found[name].float(), wanted[name].float(), atol=1e-3) for name in wanted)


class Crowded(nn.Module):
    """A network that has memory for so many clips at a time of its training, and not before step `first`."""

    def __init__(self, most: int, first: int = 0) -> None:
        super().__init__()
        self.inner, self.most, self.first, self.passes = network(), most, first, 0

    def forward(self, clips: Tensor) -> Tensor:
        logits: Tensor = self.inner(clips)
        self.passes += torch.is_grad_enabled()
        if torch.is_grad_enabled() and len(clips) > self.most and self.passes > self.first:
            raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes")
        return logits


@pytest.mark.slow
def test_a_step_that_runs_out_of_memory_is_made_again_in_parts_as_if_it_had_not() -> None:
    halved: list[int] = []
    hooks = replace(Kept().hooks(), halved=halved.append)
    crowded = FullTraining(course(), Crowded(most=2))
    found = weights(crowded.run(hooks))
    assert halved == [4, 2]
    assert crowded.state()["micro_batch"] == 2

    parts = FullTraining(course(micro_batch=2), Crowded(most=99))
    assert same(weights(parts.run(Kept().hooks())), found)


@pytest.mark.slow
def test_parts_stay_as_small_when_a_training_goes_on() -> None:
    halved: list[int] = []
    first, cut = FullTraining(course(), Crowded(most=4, first=3)), Kept(stop_at=5)
    with pytest.raises(Stopped):
        first.run(replace(cut.hooks(), halved=halved.append))
    assert halved == [4]
    second = FullTraining(course(), Crowded(most=99))
    second.restore(cut.states[-1])
    whole = FullTraining(course(), Crowded(most=4, first=3))
    assert same(weights(second.run(Kept().hooks())), weights(whole.run(Kept().hooks())))


def test_a_step_of_which_two_clips_do_not_fit_ends_the_training() -> None:
    with pytest.raises(RuntimeError) as caught:
        FullTraining(course(), Crowded(most=1)).run(Kept().hooks())
    assert "can't allocate memory" in str(caught.value)
