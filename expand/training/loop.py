"""The steps of a training, short or full, which can be cut off after any of them.

What decides a step is the recipe and the step's number: which clips it sees, its learning rate, its random
numbers. So there is no random state to keep, and a training that goes on gives the weights of one that was
never cut off.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from torch import Tensor, nn

from expand.config.full import FullConfig
from expand.config.search import TrainingConfig
from expand.data.base import Split
from expand.data.clips import Augment, planned_batches
from expand.data.labels import ClipTargets, SeveralLabels
from expand.training.checkpoints import TrainingState
from expand.training.devices import Precision, place_network, seed_step
from expand.training.footprint import FEWEST
from expand.training.losses import Losses, OnStep
from expand.training.memory import out_of_memory
from expand.training.processes import ALONE, Processes
from expand.training.schedule import Phase, Schedule, Shape, exact, learning_rate_factor
from expand.training.trainer import Step, choose_loss, make_optimizer, make_step, set_learning_rate
from search_spaces.base import ClipSampling
from search_spaces.x3d.split_norm import set_splits


@dataclass(frozen=True, kw_only=True)
class Course:
    """What a network is trained on, and how.

    Attributes:
        train: the videos.
        targets: what the network is to say of their clips; None: the one label of their video.
        augment: how the clips are varied.
        loss: of logits and targets.
        recipe: how the optimizer is made, and clips are drawn.
        seed: of the clips, and of random numbers in the network.
        schedule: what each step sees.
        rate: the learning rate of the step that comes after so many.
        device: where.
        precision: of products and convolutions.
        processes: who takes part.
        micro_batch: clips that a process takes at a time; None: all of its share of a step.
    """

    train: Split
    targets: ClipTargets | None = None
    augment: Augment
    loss: nn.Module
    recipe: TrainingConfig | FullConfig
    seed: int
    schedule: Schedule
    rate: Callable[[int], float]
    device: str
    precision: Precision = "auto"
    processes: Processes = ALONE
    micro_batch: int | None = None


class Loop:
    """A training under way.

        loop = Loop(course, network)
        loop.restore(state)                 # to go on
        for step in loop.steps(report):     # so many are done
            loop.state()
        loop.losses.read()                  # also of the last step

    Args:
        course: what it is trained on, and how.
        network: with the weights that it starts from; trained in place.
        keep_from: as of Losses.
    """

    def __init__(self, course: Course, network: nn.Module, *, keep_from: float = 0.0) -> None:
        self._course = course
        self.network = place_network(network, course.device)
        self._optimizer = make_optimizer(network, course.recipe)
        self.step = 0  # that are done
        self._splits = 1
        self.micro_batch = course.micro_batch
        self.losses = Losses(
            total=course.schedule.clips,
            behind=1 if course.device == "cuda" else 0,
            keep_from=keep_from,
            alone=course.processes.count == 1,
        )

    def state(self) -> TrainingState:
        """All that it takes to go on: tensors on the CPU and plain values. Every loss is read."""
        self.losses.read()
        return {
            "step": self.step,
            "clips": self._course.schedule.clips_before(self.step),
            "losses": list(self.losses.kept),
            "splits": self._splits,
            "micro_batch": self.micro_batch,
            "model_state": _on_cpu(self.network.state_dict()),
            "optimizer": _on_cpu(self._optimizer.state_dict()),
        }

    def restore(self, state: TrainingState) -> None:
        """Go on from there."""
        self.step = state["step"]
        self.losses.restore(step=state["step"], clips=state["clips"], kept=state["losses"])
        self._set_splits(state["splits"])
        parts = [part for part in (state["micro_batch"], self.micro_batch) if part is not None]
        self.micro_batch = min(parts, default=None)  # with more memory, too: steps go on as they were
        self.network.load_state_dict(state["model_state"])
        rates = [group["lr"] for group in self._optimizer.param_groups]
        self._optimizer.load_state_dict(state["optimizer"])
        for group, rate in zip(self._optimizer.param_groups, rates, strict=True):
            group["lr"] = rate  # where it was: on CUDA it lies on the device

    def steps(self, report: OnStep, halved: Callable[[int], None] | None = None) -> Iterator[int]:
        """Make the steps that are left, and give the number of those that are done after each.

        Args:
            report: is given a TrainingProgress for every step.
            halved: is told when memory ran out, and how many clips a process takes at a time from then on;
                None: that ends the training.

        Raises:
            Diverged: the loss is not finite.
        """
        course, self.losses.report = self._course, report
        network = course.processes.parallel(self.network, course.device)
        network.train()
        made: dict[Shape, Step] = {}
        current: Phase | None = None
        for clips, targets in self._batches():
            phase, shape = course.schedule.at(self.step)
            if phase is not current:  # what was recorded of the last phase's steps no longer holds
                self._set_splits(phase.splits)
                current, made = phase, {}
            set_learning_rate(self._optimizer, course.rate(self.step))
            while not self._try(made, shape, network, clips, targets, halved):
                made = {}
            self.step += 1
            yield self.step

    def _try(
        self,
        made: dict[Shape, Step],
        shape: Shape,
        network: nn.Module,
        clips: Tensor,
        targets: Tensor,
        halved: Callable[[int], None] | None,
    ) -> bool:
        """Make a step; False where memory ran out and it can be made again in smaller parts.

        That can be on a CPU, where the step is over when its call is, in one process, whose others do not
        wait for it, and where BatchNorm takes a batch as it comes. What it had changed is as before then.
        """
        course, buffers = self._course, list(self.network.buffers())
        if shape not in made:
            made[shape] = self._make_step(network, shape)
        seed_step(course.device, step_seed(course.seed, self.step, course.processes.share.rank))
        alone_on_cpu = course.device == "cpu" and course.processes.count == 1 and self._splits == 1
        again = halved if alone_on_cpu else None
        statistics = [value.clone() for value in buffers] if again else []
        part = self._clips_at_a_time(shape)
        try:
            self.losses.add(shape.clips, made[shape](clips, targets))
        except (MemoryError, RuntimeError) as error:
            if again is None or part < 2 * FEWEST or not out_of_memory(error):
                raise
        else:
            return True
        self._optimizer.zero_grad(set_to_none=True)
        for value, kept in zip(buffers, statistics, strict=True):
            value.copy_(kept)
        self.micro_batch = part // 2
        again(self.micro_batch)
        return False

    def _clips_at_a_time(self, shape: Shape) -> int:
        share = shape.clips // self._course.processes.count
        return min(self.micro_batch or share, share)

    def _batches(self) -> Iterator[tuple[Tensor, Tensor]]:
        course = self._course
        return planned_batches(
            course.train,
            ((shape.clips, shape.sampling) for shape in course.schedule.shapes(self.step)),
            augment=course.augment,
            seed=course.seed,
            balanced=course.recipe.sampling == "balanced",
            first=course.schedule.clips_before(self.step),
            share=course.processes.share,
            targets=course.targets,
            device=course.device,
        )

    def _make_step(self, network: nn.Module, shape: Shape) -> Step:
        course = self._course
        return make_step(
            network,
            self._optimizer,
            course.loss,
            device=course.device,
            micro_batch=self.micro_batch or shape.clips // course.processes.count,
            gradient_clip=course.recipe.gradient_clip,
            precision=course.precision,
            graphs=course.processes.count == 1,
        )

    def _set_splits(self, splits: int) -> None:
        if splits != self._splits:
            set_splits(self.network, splits)
            place_network(self.network, self._course.device)
            self._splits = splits


def train(
    network: nn.Module,
    split: Split,
    sampling: ClipSampling,
    recipe: TrainingConfig,
    augment: Augment,
    *,
    seed: int,
    device: str,
    micro_batch: int,
    report: OnStep,
    targets: ClipTargets | None = None,
    state: TrainingState | None = None,
    save: Callable[[TrainingState], object] | None = None,
) -> float:
    """Spend a short training's budget on `network`, in place; the mean loss of the last tenth of the clips.

    Args:
        network: is left on the device.
        split: the videos.
        sampling: the network's clips.
        recipe: how it is trained.
        augment: how the clips are varied.
        seed: of the clips, and of random numbers in the network.
        device: where.
        micro_batch: clips in a forward pass.
        report: is given a TrainingProgress for every step.
        targets: what the network is to say of the clips; None: the one label of their video.
        state: what `save` was given when an earlier attempt ended an epoch; None: train from the start.
        save: is given all that it takes to go on, after every epoch but the last.

    Raises:
        Diverged: the loss is not finite.
    """
    epoch = len(split.labels)
    schedule = exact(sampling, batch_size=recipe.batch_size, clips=recipe.clips_of(epoch))

    def rate(step: int) -> float:
        done = schedule.clips_before(step + 1) / schedule.clips
        return recipe.learning_rate * learning_rate_factor(done, recipe.warmup)

    course = Course(
        train=split,
        augment=augment,
        targets=targets,
        loss=choose_loss("several" if isinstance(targets, SeveralLabels) else "one", recipe.label_smoothing),
        recipe=recipe,
        seed=seed,
        schedule=schedule,
        rate=rate,
        device=device,
        micro_batch=micro_batch,
    )
    loop = Loop(course, network, keep_from=0.9)
    if state is not None:
        loop.restore(state)
    for step in loop.steps(report):
        if save is not None and step < schedule.steps and schedule.ended(step, epoch):
            save(loop.state())
    loop.losses.read()
    return float(np.mean(loop.losses.kept))


def step_seed(*place: int) -> int:
    """Of a step's random numbers: a function of the training's seed, the step's number and the process's."""
    return int(np.random.SeedSequence(place).generate_state(1, np.uint64)[0])


def _on_cpu(values: Any) -> Any:
    """A copy of nested plain values and tensors that later steps leave alone."""
    if isinstance(values, Tensor):
        return values.detach().to("cpu", copy=True)
    if isinstance(values, dict):
        return {key: _on_cpu(value) for key, value in values.items()}
    if isinstance(values, list):
        return [_on_cpu(value) for value in values]
    return values
