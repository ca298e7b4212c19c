"""Training one network in full: as the proxy does, for longer, and so that it can be cut off at any step.

What decides a step is the recipe and the step's number: which clips it sees, its learning rate, its random
numbers. So there is no random state to keep, and a training that goes on gives the weights of one that was
never cut off.

Shapes: B clips in a batch, T frames, S × S pixels.
"""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import repeat
from typing import Literal

import numpy as np
from torch import Tensor, nn

from expand.config.full import FullConfig
from expand.data.base import Split
from expand.data.clips import Augment, planned_batches
from expand.data.labels import Targets
from expand.full.multigrid import Phase, Schedule, Shape
from expand.full.precise_norm import for_evaluation, measure_statistics
from expand.training.checkpoints import State
from expand.training.devices import Precision, place_network, seed_step
from expand.training.losses import Diverged, Read
from expand.training.memory import out_of_memory
from expand.training.processes import Processes
from expand.training.schedule import released_factor
from expand.training.trainer import (
    Step,
    choose_loss,
    make_optimizer,
    make_step,
    restore,
    set_learning_rate,
    snapshot,
    step_seed,
)
from search_spaces.base import ClipSampling
from search_spaces.x3d.split_norm import set_splits

Row = dict[str, float]  # of the history: a validation
FEWEST = 2  # clips that a BatchNorm wants at a time
_AGREE_EVERY = 4  # steps after which several processes look whether one is to stop, or has lost its way


@dataclass(frozen=True, kw_only=True)
class Task:
    """What is trained, on what, and how.

    Attributes:
        train: the videos.
        targets: what the network is to say of their clips.
        labels: whether a clip has one label or several.
        sampling: the network's clips.
        augment: how they are varied.
        recipe: how it is trained.
        schedule: what each step sees.
        device: where.
        precision: of products and convolutions.
        processes: who takes part.
        micro_batch: clips that a process takes at a time; None: all of its share of a step.
        validate: scores by name of a network in evaluation mode; called in every process.
    """

    train: Split
    targets: Targets
    labels: Literal["one", "several"]
    sampling: ClipSampling
    augment: Augment
    recipe: FullConfig
    schedule: Schedule
    device: str
    precision: Precision
    processes: Processes
    validate: Callable[[nn.Module], dict[str, float]]
    micro_batch: int | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Hooks:
    """What a training calls as it goes.

    Attributes:
        progress: so many steps are done; the loss of the last one, or of the one before it.
        validated: a validation is done.
        save: is given all that it takes to go on; called by the leading process.
        due: whether it is time for that.
        stopping: whether this process is to stop.
        halved: memory ran out, and a process takes so many clips at a time from now on.
    """

    progress: Callable[[int, float], None]
    validated: Callable[[Row], None]
    save: Callable[[State], None]
    due: Callable[[], bool]
    stopping: Callable[[], bool]
    halved: Callable[[int], None] = lambda _: None


class Stopped(Exception):
    """The training was asked to stop; what it takes to go on is saved."""


class FullTraining:
    """A training under way.

        training = FullTraining(task, network)
        training.restore(state)                     # to go on
        network = training.run(hooks)               # ready for evaluation

    Args:
        task: what is trained.
        network: with the weights that it starts from; trained in place.
    """

    def __init__(self, task: Task, network: nn.Module) -> None:
        self._task = task
        self._network = place_network(network, task.device)
        self._optimizer = make_optimizer(network, task.recipe)
        self.step = 0  # that are done
        self._splits = 1
        self._part = task.micro_batch or task.recipe.micro_batch
        self._losses = _Losses()
        self._earlier = 0.0  # seconds before this process
        self._began = time.monotonic()
        self.history: list[Row] = []

    @property
    def seconds(self) -> float:
        """How long it has taken, by a clock that never goes back."""
        return self._earlier + time.monotonic() - self._began

    def state(self) -> State:
        """All that it takes to go on: tensors on the CPU and plain values."""
        return {
            "step": self.step,
            "seconds": self.seconds,
            "history": self.history,
            "losses": [self._losses.sum, self._losses.count],
            "splits": self._splits,
            "micro_batch": self._part,
            **snapshot(self._network, self._optimizer),
        }

    def restore(self, state: State) -> None:
        """Go on from there."""
        self.step, self._earlier, self.history = state["step"], state["seconds"], list(state["history"])
        self._losses = _Losses(sum=state["losses"][0], count=state["losses"][1])
        self._set_splits(state["splits"])
        parts = [part for part in (state.get("micro_batch"), self._part) if part is not None]
        self._part = min(parts, default=None)  # with more memory than before, too: steps go on as they were
        restore(self._network, self._optimizer, state)
        self._began = time.monotonic()

    def run(self, hooks: Hooks) -> nn.Module:
        """Train to the end; the network as it is evaluated, in evaluation mode.

        Raises:
            Diverged: the loss is not finite.
            Stopped: it was asked to stop.
        """
        task, schedule = self._task, self._task.schedule
        network = task.processes.parallel(self._network, task.device)
        evaluated: nn.Module | None = None
        steps: dict[Shape, Step] = {}
        current: Phase | None = None
        network.train()
        for clips, targets in self._batches():
            phase, shape = schedule.at(self.step)
            if phase is not current:  # what was recorded of the last phase's steps no longer holds
                self._set_splits(phase.splits)
                current, steps = phase, {}
            set_learning_rate(self._optimizer, self._learning_rate(phase))
            while not self._try(steps, shape, network, clips, targets):
                steps = {}
                hooks.halved(self._halve(shape))
            self.step += 1
            if task.processes.count == 1:
                self._losses.check()
            hooks.progress(self.step, self._losses.last)
            if self._validation_due():
                self._check(stopping=False)
                evaluated = self._validate(hooks)
                network.train()
            if evaluated is None or self.step < schedule.steps:
                stopping = self._stopping(hooks)
                if task.processes.leads and (stopping or hooks.due()):
                    self._check(stopping=False, alone=True)
                    hooks.save(self.state())
                if stopping:
                    raise Stopped
        return evaluated if evaluated is not None else self._evaluated()

    def _try(
        self,
        steps: dict[Shape, Step],
        shape: Shape,
        network: nn.Module,
        clips: Tensor,
        targets: Tensor,
    ) -> bool:
        """Make a step; False where memory ran out and it can be made again in smaller parts.

        That can be on a CPU, where the step is over when its call is, in one process, whose others do not
        wait for it, and where BatchNorm takes a batch as it comes. What it had changed is as before then.
        """
        task = self._task
        if shape not in steps:
            steps[shape] = self._make_step(network, shape)
        seed_step(task.device, step_seed(task.recipe.seed, self.step, task.processes.share.rank))
        again = task.device == "cpu" and task.processes.count == 1 and self._splits == 1
        statistics = [value.clone() for value in self._network.buffers()] if again else []
        try:
            self._losses.add(steps[shape](clips, targets))
        except (MemoryError, RuntimeError) as error:
            if not again or self._clips_at_a_time(shape) < 2 * FEWEST or not out_of_memory(error):
                raise
        else:
            return True
        self._optimizer.zero_grad(set_to_none=True)
        for value, kept in zip(self._network.buffers(), statistics, strict=True):
            value.copy_(kept)
        return False

    def _halve(self, shape: Shape) -> int:
        self._part = self._clips_at_a_time(shape) // 2
        return self._part

    def _clips_at_a_time(self, shape: Shape) -> int:
        share = shape.clips // self._task.processes.count
        return min(self._part or share, share)

    def _batches(self) -> Iterator[tuple[Tensor, Tensor]]:
        task = self._task
        shapes = ((shape.clips, shape.sampling) for shape in task.schedule.shapes(self.step))
        return planned_batches(
            task.train,
            shapes,
            augment=task.augment,
            seed=task.recipe.seed,
            balanced=task.recipe.sampling == "balanced",
            first=task.schedule.clips_before(self.step),
            share=task.processes.share,
            targets=task.targets,
            device=task.device,
        )

    def _make_step(self, network: nn.Module, shape: Shape) -> Step:
        task, recipe = self._task, self._task.recipe
        return make_step(
            network,
            self._optimizer,
            choose_loss(task.labels, recipe.label_smoothing),
            device=task.device,
            micro_batch=self._part or shape.clips // task.processes.count,
            gradient_clip=recipe.gradient_clip,
            precision=task.precision,
            graphs=task.processes.count == 1,
        )

    def _learning_rate(self, phase: Phase) -> float:
        recipe = self._task.recipe
        done = self.step / self._task.schedule.steps
        return recipe.peak * phase.rate * released_factor(done, recipe.warmup, recipe.warmup_start)

    def _set_splits(self, splits: int) -> None:
        if splits != self._splits:
            set_splits(self._network, splits)
            place_network(self._network, self._task.device)
            self._splits = splits

    def _validation_due(self) -> bool:
        """Whether the last step was the one that ends a validation's interval, or the whole."""
        schedule = self._task.schedule
        if self.step == schedule.steps:
            return True
        every = self._task.recipe.validate_epochs * len(self._task.train.labels)
        before, now = (schedule.clips_before(step) // every for step in (self.step - 1, self.step))
        return now > before

    def _stopping(self, hooks: Hooks) -> bool:
        """Whether to stop now; all processes say the same."""
        if self._task.processes.count == 1:
            return hooks.stopping()
        return self.step % _AGREE_EVERY == 0 and self._check(stopping=hooks.stopping())

    def _check(self, *, stopping: bool, alone: bool = False) -> bool:
        """Look at all losses so far, in all processes; whether one of them is to stop.

        Raises:
            Diverged: a loss is not finite.
        """
        self._losses.read()
        signs = np.array([self._losses.sum, float(stopping)])
        if not alone:
            signs = self._task.processes.summed(signs, self._task.device)
        if not math.isfinite(signs[0]):
            raise Diverged(f"the training loss is not finite by step {self.step}")
        return bool(signs[1])

    def _validate(self, hooks: Hooks) -> nn.Module:
        task = self._task
        evaluated = self._evaluated()
        scores = task.validate(evaluated)
        loss, rate = self._losses.mean(), self._learning_rate(task.schedule.at(self.step - 1)[0])
        clips = task.schedule.clips_before(self.step)
        row: Row = {
            "step": self.step,
            "epochs": clips / len(task.train.labels),
            "learning_rate": rate,
            "train_loss": loss,
            **{f"val_{name}": value for name, value in scores.items()},
            "seconds": self.seconds,
        }
        self.history.append(row)
        self._losses = _Losses(last=self._losses.last)
        hooks.validated(row)
        if task.processes.leads:
            hooks.save(self.state())
        return evaluated

    def _evaluated(self) -> nn.Module:
        """A copy of the network with precise statistics; the training does not notice."""
        task, recipe = self._task, self._task.recipe
        twin = for_evaluation(self._network)
        if recipe.precise_norm is None:
            return twin
        count = (self._part or recipe.batch_size // task.processes.count) * task.processes.count
        most = min(recipe.precise_norm, max(1, len(task.train.labels) // count))
        batches = planned_batches(
            task.train,
            repeat((count, task.sampling), most),
            augment=task.augment,
            seed=recipe.seed,
            share=task.processes.share,
            targets=task.targets,
            device=task.device,
        )
        measure_statistics(
            twin,
            (clips for clips, _ in batches),
            most=most,
            device=task.device,
            precision=task.precision,
            processes=task.processes,
        )
        return twin


@dataclass(kw_only=True, slots=True)
class _Losses:
    """The sum and the number of the losses since the last validation; the last one is read a step later."""

    sum: float = 0.0
    count: int = 0
    last: float = math.nan
    waiting: deque[Read] = field(default_factory=deque)

    def add(self, read: Read) -> None:
        self.waiting.append(read)
        if len(self.waiting) > 1:
            self._take()

    def check(self) -> None:
        if not math.isfinite(self.sum):
            raise Diverged(f"the training loss is {self.last}")

    def read(self) -> None:
        while self.waiting:
            self._take()

    def mean(self) -> float:
        return self.sum / max(1, self.count)

    def _take(self) -> None:
        self.last = self.waiting.popleft()()
        self.sum += self.last
        self.count += 1
