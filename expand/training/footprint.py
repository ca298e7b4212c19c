"""What training and testing a network will hold in memory, in closed form, and how much of a batch fits.

Bytes throughout, where nothing else is said. Nothing here needs torch until somebody asks which way a device
goes.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Self

from search_spaces.base import ClipSampling, Complexity

FEWEST = 2  # clips that a BatchNorm wants at a time
_NUMBER = 4  # bytes of a float32
_BATCHES = 5  # in use, in the network's layout, waiting twice, and being made (data/ahead.py)
_LEARNED = 3  # weights, gradient, momentum
_SAVED = 5  # of each parameter in a checkpoint: weights and momentum, both again as bytes, and a copy to test


@dataclass(frozen=True, kw_only=True, slots=True)
class Way:
    """How a device holds activations.

    Attributes:
        kept: float32 numbers in training, for each activation of the network.
        passing: the same in evaluation, for each activation of its largest stage.
    """

    kept: float
    passing: float


# Measured with one thread; see `Footprint`.
KERNELS = Way(kept=1.8, passing=1.5)  # 1.3 to 1.8 kept, the deeper the fewer
PLAIN = Way(kept=3.0, passing=2.5)  # 2.4 to 3.0 kept
CUDA = Way(kept=1.5, passing=1.25)  # three bfloat16 numbers, by count: see machine.py


def way_of(device: str) -> Way:
    """The way of a device: on the CPU that of the compiled kernels, where they are used."""
    if device == "cuda":
        return CUDA
    if device == "cpu":
        from search_spaces.x3d.kernels import plain_chosen
        from search_spaces.x3d.kernels.build import load_kernels

        if not plain_chosen() and load_kernels() is None:
            return KERNELS
    return PLAIN


@dataclass(frozen=True, kw_only=True, slots=True)
class Footprint:
    """The memory that a network's training and testing will hold besides the process itself.

        found = Footprint.of(space.complexity(architecture, 10), sampling, way_of("cpu"))
        found.training(16, 4)        # bytes of a step on 16 clips, four at a time
        found.largest_part(16, room)  # 16, 8, 4, 2 or 1: as many at a time as `room` holds; None: not even 1

    Known error, of what the activations take, against the peak of the resident set over two steps on 4 to 16
    clips (X2D, and from it up to 16 frames, depth 20, width 2 and 168 pixels): in training 1 to 42 % too high
    with the compiled kernels and 1 to 27 % with plain modules, most for deep networks. In a test, 0 to 50 %
    too high for shallow networks, and several times for deep ones, whose stages are not in memory as a whole.
    On CUDA it is a count, not measured. Left out: the process and its libraries, what networks of one's own
    do besides convolutions, and the decoded videos, which are files.

    Attributes:
        activations: of the network, for one clip (Complexity).
        widest: those of the stage that has most.
        params: learned parameters.
        inputs: numbers in a clip.
        way: how the device holds activations.
    """

    activations: int
    widest: int
    params: int
    inputs: int
    way: Way

    @classmethod
    def of(cls, complexity: Complexity, sampling: ClipSampling, way: Way) -> Self:
        return cls(
            activations=complexity.activations,
            widest=max((stage.activations for stage in complexity.stages), default=complexity.activations),
            params=complexity.params,
            inputs=3 * sampling.frames * sampling.size**2,
            way=way,
        )

    def training(self, batch: int, part: int) -> int:
        """Of training on batches of so many clips, `part` at a time."""
        step = part * self.way.kept * self.activations
        numbers = _BATCHES * batch * self.inputs + _LEARNED * self.params + max(step, _SAVED * self.params)
        return round(_NUMBER * numbers)

    def testing(self, batch: int) -> int:
        """Of evaluating batches of so many clips."""
        numbers = _BATCHES * batch * self.inputs + self.params + batch * self.way.passing * self.widest
        return round(_NUMBER * numbers)

    def largest_part(
        self, most: int, room: int | None, least: int = 1, *, batch: int | None = None
    ) -> int | None:
        """Clips at a time of a training: `most`, or the first of its halves that `room` holds; None: none.

        Args:
            most: to begin with.
            room: bytes; None: without end.
            least: the fewest to consider.
            batch: clips in a step; None: `most`.
        """
        step, parts = batch or most, halves(most, least)
        return next((part for part in parts if room is None or self.training(step, part) <= room), None)

    def largest_batch(self, batch: int, room: int | None) -> int:
        """Clips in a batch of an evaluation: so many, or the first of its halves that `room` holds, or 1."""
        parts = halves(batch)
        return next((part for part in parts if room is None or self.testing(part) <= room), 1)


def halves(batch: int, least: int = 1) -> Iterator[int]:
    """A batch, its half, … : what to take at a time in turn when memory is short."""
    yield batch
    while (batch := batch // 2) >= least:
        yield batch
