"""The training loop of short and full trainings, which can be interrupted and resumed after any step.

The clips, the learning rate and the random numbers of a step depend on the recipe and the step's number
alone. So checkpoints hold no random state, and a resumed training gives the same weights as one without an
interruption.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from torch import Tensor, nn

from expand.config.full import FullConfig
from expand.config.training import TrainingConfig
from expand.data.base import Split
from expand.data.clips import Augment, planned_batches
from expand.data.labels import ClipTargets, SeveralLabels
from expand.training.checkpoints import TrainingState
from expand.training.devices import Precision, place_network, seed_step
from expand.training.footprint import FEWEST
from expand.training.losses import Losses, OnStep, TrainingLoss
from expand.training.memory import out_of_memory
from expand.training.processes import ALONE, Processes
from expand.training.schedule import Phase, Schedule, Shape, exact, learning_rate_factor
from expand.training.trainer import Step, choose_loss, make_optimizer, make_step, set_learning_rate
from search_spaces.base import ClipSampling
from search_spaces.x3d.split_norm import set_splits


@dataclass(frozen=True, kw_only=True)
class Course:
    """The data and the recipe of a training.

    Attributes:
        train: the training videos.
        targets: gives the training targets of clips; None: the one label of each clip's video.
        augment: the augmentation of clips.
        loss: a module that maps logits and targets to the loss.
        recipe: the settings of the optimizer and of the order of clips.
        seed: seeds the clips and the random numbers in the network, such as dropout.
        schedule: the number and kind of clips in each step.
        rate: maps the number of steps done to the learning rate of the next step.
        device: the device.
        precision: the precision of products and convolutions.
        processes: the processes that share each step.
        micro_batch: clips in a forward pass of a process; None: all clips of its share of a step.
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
        loop.restore(state)                 # to resume from a checkpoint
        for step in loop.steps(report):     # `step` is the number of steps done
            loop.state()                    # for a checkpoint
        loop.losses.read()                  # the last step's loss too

    Args:
        course: the data and the recipe.
        network: with its initial weights; trained in place.

    Attributes:
        network: the network, on the device.
        step: steps done.
        micro_batch: clips in a forward pass of a process; None: all clips of its share of a step.
        losses: the losses of the steps.
    """

    def __init__(self, course: Course, network: nn.Module) -> None:
        self._course = course
        self.network = place_network(network, course.device)
        self._optimizer = make_optimizer(network, course.recipe)
        self.step = 0
        self._splits = 1
        self.micro_batch = course.micro_batch
        self.losses = Losses(
            total=course.schedule.clips,
            behind=1 if course.device == "cuda" else 0,
            alone=course.processes.count == 1,
        )

    def state(self) -> TrainingState:
        """The state for a checkpoint, from which `restore` resumes: tensors on the CPU and plain values.

        Reads all losses, and so waits for the device.
        """
        self.losses.read()
        return {
            "step": self.step,
            "clips": self._course.schedule.clips_before(self.step),
            "losses": list(self.losses.kept),
            "splits": self._splits,
            "micro_batch": self.micro_batch,
            "model_state": on_cpu(self.network.state_dict()),
            "optimizer": on_cpu(self._optimizer.state_dict()),
        }

    def restore(self, state: TrainingState) -> None:
        """Resume from a state that `state` gave."""
        self.step = state["step"]
        self.losses.restore(step=state["step"], clips=state["clips"], kept=state["losses"])
        self._set_splits(state["splits"])
        parts = [part for part in (state["micro_batch"], self.micro_batch) if part is not None]
        self.micro_batch = min(parts, default=None)  # kept even with more memory, so that steps stay the same
        self.network.load_state_dict(state["model_state"])
        rates = [group["lr"] for group in self._optimizer.param_groups]
        self._optimizer.load_state_dict(state["optimizer"])
        for group, rate in zip(self._optimizer.param_groups, rates, strict=True):
            group["lr"] = rate  # the tensor from before: on CUDA it is on the device, in the state on the CPU

    def steps(self, report: OnStep, halved: Callable[[int], None] | None = None) -> Iterator[int]:
        """Do the remaining steps; yields the number of steps done after each of them.

        Args:
            report: called with a TrainingProgress when the loss of a step is read.
            halved: called with the new micro-batch if memory ran out and the step is done again with half as
                many clips in a forward pass; None: the error ends the training.

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
            if phase is not current:  # CUDA graphs of the previous phase's steps are not valid any more
                self._set_splits(phase.splits)
                current, made = phase, {}
            set_learning_rate(self._optimizer, course.rate(self.step))
            while not self._try_step(made, shape, network, clips, targets, halved):
                made = {}
            self.step += 1
            yield self.step

    def _try_step(
        self,
        made: dict[Shape, Step],
        shape: Shape,
        network: nn.Module,
        clips: Tensor,
        targets: Tensor,
        halved: Callable[[int], None] | None,
    ) -> bool:
        """Do a step; False if memory ran out, and the step can be done again with a smaller micro-batch.

        It can on a CPU, where an error is raised during the step's own call; in a training by a single
        process, since no other waits for the step; and without BatchNorm splits, which need the whole batch.
        The buffers of the network and of the loss are then restored, and the gradients removed.
        """
        course, buffers = self._course, [*self.network.buffers(), *self._course.loss.buffers()]
        if shape not in made:
            made[shape] = self._make_step(network, shape)
        seed_step(course.device, step_seed(course.seed, self.step, course.processes.share.rank))
        alone_on_cpu = course.device == "cpu" and course.processes.count == 1 and self._splits == 1
        again = halved if alone_on_cpu else None
        before = [value.clone() for value in buffers] if again else []
        part = self._clips_at_a_time(shape)
        try:
            self.losses.add(shape.clips, made[shape](clips, targets))
        except (MemoryError, RuntimeError) as error:
            if again is None or part < 2 * FEWEST or not out_of_memory(error):
                raise
        else:
            return True
        self._optimizer.zero_grad(set_to_none=True)
        for value, saved in zip(buffers, before, strict=True):
            value.copy_(saved)
        self.micro_batch = part // 2
        again(self.micro_batch)
        return False

    def _clips_at_a_time(self, shape: Shape) -> int:
        """The clips in a forward pass of a step with this shape, in one process."""
        share = shape.clips // self._course.processes.count
        return min(self.micro_batch or share, share)

    def _batches(self) -> Iterator[tuple[Tensor, Tensor]]:
        """The batches of this process for the remaining steps: clips and targets."""
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
        """Set the number of parts of a batch that BatchNorm normalises separately."""
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
) -> TrainingLoss:
    """Train a network by the recipe of a short training, in place.

    Args:
        network: with its initial weights; stays on the device.
        split: the training videos.
        sampling: the network's clips.
        recipe: the optimizer, its schedule and the budget.
        augment: the augmentation of clips.
        seed: seeds the clips and the random numbers in the network.
        device: the device.
        micro_batch: clips in a forward pass.
        report: called with a TrainingProgress when the loss of a step is read.
        targets: gives the training targets of clips; None: the one label of each clip's video.
        state: a state that `save` got in an earlier attempt; None: train from the beginning.
        save: called after every epoch except the last, with a state from which the training can be resumed.

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
    loop = Loop(course, network)
    if state is not None:
        loop.restore(state)
    for step in loop.steps(report):
        if save is not None and step < schedule.steps and schedule.ended(step, epoch):
            save(loop.state())
    loop.losses.read()
    seen = [schedule.clips_before(step + 1) for step in range(schedule.steps)]
    return TrainingLoss.of(loop.losses.kept, seen, epoch)


def step_seed(*numbers: int) -> int:
    """The seed of a step's random numbers, from the training's seed, the step and the process's rank."""
    return int(np.random.SeedSequence(numbers).generate_state(1, np.uint64)[0])


def on_cpu(values: Any) -> Any:
    """A copy, on the CPU, of nested plain values and tensors, which later steps do not change."""
    if isinstance(values, Tensor):
        return values.detach().to("cpu", copy=True)
    if isinstance(values, dict):
        return {key: on_cpu(value) for key, value in values.items()}
    if isinstance(values, list):
        return [on_cpu(value) for value in values]
    return values
