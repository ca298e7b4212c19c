"""Training one network in full: for longer than a short training, with validations, in several processes."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import repeat

import numpy as np
from torch import nn

from expand.config.full import FullConfig
from expand.data.clips import planned_batches
from expand.full.precise_norm import for_evaluation, measure_statistics
from expand.training.checkpoints import TrainingState
from expand.training.loop import Course, Loop
from expand.training.losses import Diverged, OnStep
from expand.training.schedule import Phase, released_factor
from search_spaces.base import ClipSampling

Validation = dict[str, float]  # a row of the history
_AGREE_EVERY = 4  # steps after which several processes look whether one is to stop, or has lost its way


@dataclass(frozen=True, kw_only=True)
class FullCourse(Course):
    """What a network is trained on in full, and how.

    Attributes:
        sampling: the network's clips.
        validate: scores by name of a network in evaluation mode; called in every process.
    """

    recipe: FullConfig
    sampling: ClipSampling
    validate: Callable[[nn.Module], dict[str, float]]


@dataclass(frozen=True, kw_only=True, slots=True)
class Hooks:
    """What a training calls as it goes.

    Attributes:
        progress: a step is done, and its loss read.
        validated: a validation is done.
        save: is given all that it takes to go on; called by the leading process.
        due: whether it is time for that.
        stopping: whether this process is to stop.
        halved: memory ran out, and a process takes so many clips at a time from now on.
    """

    progress: OnStep
    validated: Callable[[Validation], None]
    save: Callable[[TrainingState], None]
    due: Callable[[], bool]
    stopping: Callable[[], bool]
    halved: Callable[[int], None] = lambda _: None


def learning_rate(recipe: FullConfig, phase: Phase, done: float) -> float:
    """The learning rate in a phase, when such a share of the steps is done."""
    return recipe.peak * phase.rate * released_factor(done, recipe.warmup, recipe.warmup_start)


class Stopped(Exception):
    """The training was asked to stop; what it takes to go on is saved."""


class FullTraining:
    """A training under way.

        training = FullTraining(course, network)
        training.restore(state)                     # to go on
        network = training.run(hooks)               # ready for evaluation

    Args:
        course: what it is trained on, and how.
        network: with the weights that it starts from; trained in place.
    """

    def __init__(self, course: FullCourse, network: nn.Module) -> None:
        self._course = course
        self._loop = Loop(course, network)
        self._earlier = 0.0  # seconds before this process
        self._began = time.monotonic()
        self.history: list[Validation] = []

    @property
    def step(self) -> int:
        """Steps that are done."""
        return self._loop.step

    @property
    def seconds(self) -> float:
        """How long it has taken, by a clock that never goes back."""
        return self._earlier + time.monotonic() - self._began

    def state(self) -> TrainingState:
        """All that it takes to go on: tensors on the CPU and plain values."""
        return {**self._loop.state(), "seconds": self.seconds, "history": self.history}

    def restore(self, state: TrainingState) -> None:
        """Go on from there."""
        self._loop.restore(state)
        self._earlier, self.history = state["seconds"], list(state["history"])
        self._began = time.monotonic()

    def run(self, hooks: Hooks) -> nn.Module:
        """Train to the end; the network as it is evaluated, in evaluation mode.

        Raises:
            Diverged: the loss is not finite.
            Stopped: it was asked to stop.
        """
        course, schedule = self._course, self._course.schedule
        evaluated: nn.Module | None = None
        every = course.recipe.validate_epochs * len(course.train.labels)
        for step in self._loop.steps(hooks.progress, hooks.halved):
            if step == schedule.steps or schedule.ended(step, every):
                self._check(stopping=False)
                evaluated = self._validate(hooks)
            if evaluated is None or step < schedule.steps:
                stopping = self._stopping(hooks)
                if course.processes.leads and (stopping or hooks.due()):
                    self._check(stopping=False, alone=True)
                    hooks.save(self.state())
                if stopping:
                    raise Stopped
        return evaluated if evaluated is not None else self._evaluated()

    def _stopping(self, hooks: Hooks) -> bool:
        """Whether to stop now; all processes say the same."""
        if self._course.processes.count == 1:
            return hooks.stopping()
        return self.step % _AGREE_EVERY == 0 and self._check(stopping=hooks.stopping())

    def _check(self, *, stopping: bool, alone: bool = False) -> bool:
        """Look at all losses so far, in all processes; whether one of them is to stop.

        Raises:
            Diverged: a loss is not finite.
        """
        self._loop.losses.read()
        signs = np.array([float(not self._loop.losses.finite), float(stopping)])
        if not alone:
            signs = self._course.processes.summed(signs, self._course.device)
        if signs[0]:
            raise Diverged(f"the training loss is not finite by step {self.step}")
        return bool(signs[1])

    def _validate(self, hooks: Hooks) -> nn.Module:
        course = self._course
        evaluated = self._evaluated()
        scores = course.validate(evaluated)
        schedule, losses = course.schedule, self._loop.losses.kept
        phase, _ = schedule.at(self.step - 1)
        row: Validation = {
            "step": self.step,
            "epochs": schedule.clips_before(self.step) / len(course.train.labels),
            "learning_rate": learning_rate(course.recipe, phase, self.step / schedule.steps),
            "train_loss": sum(losses) / max(1, len(losses)),
            **{f"val_{name}": value for name, value in scores.items()},
            "seconds": self.seconds,
        }
        self.history.append(row)
        losses.clear()
        hooks.validated(row)
        if course.processes.leads:
            hooks.save(self.state())
        return evaluated

    def _evaluated(self) -> nn.Module:
        """A copy of the network with precise statistics; the training does not notice."""
        course, recipe = self._course, self._course.recipe
        twin = for_evaluation(self._loop.network)
        if recipe.precise_norm is None:
            return twin
        count = (
            self._loop.micro_batch or recipe.batch_size // course.processes.count
        ) * course.processes.count
        most = min(recipe.precise_norm, max(1, len(course.train.labels) // count))
        batches = planned_batches(
            course.train,
            repeat((count, course.sampling), most),
            augment=course.augment,
            seed=recipe.seed,
            share=course.processes.share,
            targets=course.targets,
            device=course.device,
        )
        measure_statistics(
            twin,
            (clips for clips, _ in batches),
            most=most,
            device=course.device,
            precision=course.precision,
            processes=course.processes,
        )
        return twin
