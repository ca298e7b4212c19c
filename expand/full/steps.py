"""Runs a full training: the training loop with validations and checkpoints, in one process or several."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import repeat

import numpy as np
from torch import Tensor, nn

from expand.config.full import FullConfig
from expand.data.clips import planned_batches
from expand.full.best import Validation, best_row, gives_up
from expand.full.counted_loss import CountedLoss
from expand.full.precise_norm import for_evaluation, measure_statistics
from expand.training.checkpoints import TrainingState
from expand.training.loop import Course, Loop, on_cpu
from expand.training.losses import Diverged, OnStep
from expand.training.schedule import Phase, released_factor
from search_spaces.base import ClipSampling

_AGREE_EVERY = 4  # steps after which several processes exchange whether one must stop, or its loss diverged


@dataclass(frozen=True, kw_only=True)
class FullCourse(Course):
    """The data and the recipe of a full training.

    Attributes:
        recipe: the settings of the full training.
        sampling: the network's clips.
        validate: gives the scores, by name, of a network in evaluation mode; called in every process.
    """

    recipe: FullConfig
    sampling: ClipSampling
    validate: Callable[[nn.Module], dict[str, float]]


@dataclass(frozen=True, kw_only=True, slots=True)
class Hooks:
    """Functions that a training calls.

    Attributes:
        progress: called when the loss of a step is read.
        validated: called after each validation, with its row.
        save: called in the leading process with a state for a checkpoint.
        due: whether a checkpoint is due.
        stopping: whether this process must stop.
        halved: called with the new micro-batch if memory ran out and it was halved.
    """

    progress: OnStep
    validated: Callable[[Validation], None]
    save: Callable[[TrainingState], None]
    due: Callable[[], bool]
    stopping: Callable[[], bool]
    halved: Callable[[int], None] = lambda _: None


def learning_rate(recipe: FullConfig, phase: Phase, done: float) -> float:
    """The learning rate in a phase of the schedule, when the share `done` of all steps is done."""
    return recipe.peak * phase.rate * released_factor(done, recipe.warmup, recipe.warmup_start)


class Stopped(Exception):
    """The training was asked to stop, and has written a checkpoint."""


class FullTraining:
    """A full training.

        training = FullTraining(course, network)
        training.restore(state)                     # to resume from a checkpoint
        network = training.run(hooks)               # the trained network, ready for evaluation

    Args:
        course: the data and the recipe.
        network: with its initial weights; trained in place.

    Attributes:
        history: a row for each validation so far.
    """

    def __init__(self, course: FullCourse, network: nn.Module) -> None:
        self._course = course
        self._counted = CountedLoss(course.loss).to(course.device)
        self._loop = Loop(replace(course, loss=self._counted), network)
        self._best: dict[str, Tensor] | None = None  # the weights of the best validation, if they are kept
        self._earlier = 0.0  # seconds of training in earlier processes
        self._began = time.monotonic()
        self.history: list[Validation] = []

    @property
    def step(self) -> int:
        """Steps that are done."""
        return self._loop.step

    @property
    def seconds(self) -> float:
        """The seconds of training so far, also in earlier processes, by a monotonic clock."""
        return self._earlier + time.monotonic() - self._began

    def state(self) -> TrainingState:
        """The state for a checkpoint, from which `restore` resumes: tensors on the CPU and plain values."""
        return {
            **self._loop.state(),
            "seconds": self.seconds,
            "history": self.history,
            "counts": self._counted.counts(),
            "best": self._best,
        }

    def restore(self, state: TrainingState) -> None:
        """Resume from a state that `state` gave."""
        self._loop.restore(state)
        self._earlier, self.history = state["seconds"], list(state["history"])
        self._counted.restore(state["counts"])
        self._best = state["best"]
        self._began = time.monotonic()

    @property
    def kept(self) -> Validation:
        """The row of the validation whose weights the trained network has."""
        return best_row(self.history) if self._course.recipe.keep == "best" else self.history[-1]

    def run(self, hooks: Hooks) -> nn.Module:
        """Train up to the last step, or until the validations have not become better for long enough.

        Returns:
            The network that the last validation evaluated, or the best one if the recipe keeps that: in
            evaluation mode, with precise statistics.

        Raises:
            Diverged: the loss is not finite.
            Stopped: `hooks.stopping` returned True in one of the processes.
        """
        course, schedule = self._course, self._course.schedule
        evaluated: nn.Module | None = None
        if self._gives_up():  # it was interrupted between its last validation and its end
            return self._trained(None)
        for step in self._loop.steps(hooks.progress, hooks.halved):
            if self._validates():
                self._check(stopping=False)
                evaluated = self._validate(hooks)
                if self._gives_up():
                    break
            if evaluated is None or step < schedule.steps:
                stopping = self._stopping(hooks)
                if course.processes.leads and (stopping or hooks.due()):
                    self._check(stopping=False, alone=True)
                    hooks.save(self.state())
                if stopping:
                    raise Stopped
        return self._trained(evaluated)

    def _validates(self) -> bool:
        """Whether a validation follows the last step: every few epochs, and after the last step of all."""
        course, schedule, recipe = self._course, self._course.schedule, self._course.recipe
        every = recipe.validate_epochs * len(course.train.labels)
        # The steps of multigrid may go on for some clips after the last epoch.
        return self.step == schedule.steps or (
            schedule.ended(self.step, every) and self._epochs < recipe.epochs
        )

    def _gives_up(self) -> bool:
        """Whether no better validation is waited for; the same in all processes, as the rows are."""
        return gives_up(self.history, self._course.recipe.patience)

    def _trained(self, evaluated: nn.Module | None) -> nn.Module:
        """The trained network; `evaluated` is that of the last validation, None: evaluate it now."""
        if self._best is None:
            return self._evaluated() if evaluated is None else evaluated
        twin = for_evaluation(self._loop.network)
        twin.load_state_dict(self._best)
        return twin

    def _stopping(self, hooks: Hooks) -> bool:
        """Whether to stop now; the same in all processes."""
        if self._course.processes.count == 1:
            return hooks.stopping()
        return self.step % _AGREE_EVERY == 0 and self._check(stopping=hooks.stopping())

    def _check(self, *, stopping: bool, alone: bool = False) -> bool:
        """Check all losses so far, of all processes.

        Args:
            stopping: whether this process must stop.
            alone: whether to check this process only.

        Returns:
            Whether any process must stop.

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
        """Validate the network, record and report the row, write a checkpoint; returns the evaluated copy."""
        course = self._course
        evaluated = self._evaluated()
        own = course.validate(evaluated)
        scores = course.processes.broadcast(lambda: own)  # to the last bit the same in all, as they decide
        share = self._counted.share()
        schedule, losses = course.schedule, self._loop.losses.kept
        phase, _ = schedule.at(self.step - 1)
        row: Validation = {
            "step": self.step,
            "epochs": self._epochs,
            "learning_rate": learning_rate(course.recipe, phase, self.step / schedule.steps),
            "train_loss": sum(losses) / max(1, len(losses)),
            **({} if share is None else {"train_top1": share}),
            **{f"val_{name}": value for name, value in scores.items()},
            "seconds": self.seconds,
        }
        self.history.append(row)
        losses.clear()
        self._counted.clear()
        if course.recipe.keep == "best" and best_row(self.history) is row:
            self._best = on_cpu(evaluated.state_dict())
        hooks.validated(row)
        if course.processes.leads:
            hooks.save(self.state())
        return evaluated

    @property
    def _epochs(self) -> float:
        """The epochs that are done, as they were asked for: a step may end a few clips after an epoch."""
        course, recipe = self._course, self._course.recipe
        if self.step == course.schedule.steps:
            return recipe.epochs
        seen = course.schedule.clips_before(self.step)
        return recipe.validate_epochs * (seen // (recipe.validate_epochs * len(course.train.labels)))

    def _evaluated(self) -> nn.Module:
        """A copy of the network with precise BatchNorm statistics; the trained network is unchanged."""
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
