"""The memory of training and testing a network, in closed form, and the largest part of a batch that fits.

Numbers are bytes unless stated otherwise. Only `way_of` imports torch.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Self

from search_spaces.base import ClipSampling, Complexity

FEWEST = 2  # clips that BatchNorm needs at least to compute statistics
_NUMBER = 4  # bytes of a float32
_BATCHES = (
    5  # batches in memory: in use, in the network's layout, two waiting, one being made (data/ahead.py)
)
_LEARNED = 3  # numbers of each parameter during a step: weight, gradient, momentum
# Numbers of each parameter while a checkpoint is written: weight and momentum, both a second time as bytes,
# and a copy of the network for validation.
_SAVED = 5


@dataclass(frozen=True, kw_only=True, slots=True)
class Way:
    """How many numbers a device holds for each activation, with its modules or kernels.

    Attributes:
        kept: float32 numbers in training, for each activation of the network.
        passing: float32 numbers in evaluation, for each activation of the network's largest stage.
    """

    kept: float
    passing: float


# Measured with one thread; see `Footprint`.
KERNELS = Way(kept=1.8, passing=1.5)  # compiled CPU kernels: 1.3 to 1.8 kept, fewer for deeper networks
PLAIN = Way(kept=3.0, passing=2.5)  # torch's plain modules: 2.4 to 3.0 kept
CUDA = Way(kept=1.5, passing=1.25)  # counted, not measured: three bfloat16 numbers, see run/resources.py


def way_of(device: str) -> Way:
    """How many numbers a device holds: on the CPU, with the compiled kernels if they are in use."""
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
    """The memory that training and testing a network takes, in bytes, besides the process itself.

        footprint = Footprint.of(space.complexity(architecture, 10), sampling, way_of("cpu"))
        footprint.training(16, 4)         # of a step on 16 clips, with 4 in a forward pass
        footprint.largest_part(16, room)  # 16, 8, 4, 2 or 1 clips, the first that fits; None: not even 1 does

    Known error of the activations' part, against the peak of the resident set over two steps on 4 to 16 clips
    (X2D, and networks grown from it up to 16 frames, γd 20, γw 2 and 168 pixels): in training 1 to 42 % too
    high with the compiled kernels and 1 to 27 % with plain modules, most for deep networks; in a test 0 to
    50 % too high for shallow networks, and several times too high for deep ones, whose stages are never in
    memory as a whole. The figures for CUDA are counted, not measured. Left out: the process and its
    libraries, operations of a user's own networks besides convolutions, and the decoded videos, which are
    memory-mapped files.

    Attributes:
        activations: activations of the network for one clip (Complexity).
        widest: activations of the stage that has most of them.
        params: learned parameters.
        inputs: numbers in a clip.
        way: how many numbers the device holds for each activation.
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
        """Bytes of training on batches of `batch` clips, with `part` clips in a forward pass."""
        step = part * self.way.kept * self.activations
        numbers = _BATCHES * batch * self.inputs + _LEARNED * self.params + max(step, _SAVED * self.params)
        return round(_NUMBER * numbers)

    def testing(self, batch: int) -> int:
        """Bytes of evaluating batches of `batch` clips, all in one forward pass."""
        numbers = _BATCHES * batch * self.inputs + self.params + batch * self.way.passing * self.widest
        return round(_NUMBER * numbers)

    def largest_part(
        self, most: int, room: int | None, least: int = 1, *, batch: int | None = None
    ) -> int | None:
        """The micro-batch of a training: `most` clips, or a half, a quarter, …, the first whose step fits.

        Args:
            most: clips in a forward pass to try first.
            room: bytes that the training may take; None: unlimited.
            least: the fewest clips to try.
            batch: clips in a step; None: `most`.

        Returns:
            Clips in a forward pass; None: not even `least` fit.
        """
        step, parts = batch or most, halves(most, least)
        return next((part for part in parts if room is None or self.training(step, part) <= room), None)

    def largest_batch(self, batch: int, room: int | None) -> int:
        """The batch of an evaluation: `batch` clips, or a half, a quarter, …, the first that fits, or 1.

        Args:
            batch: clips to try first.
            room: bytes that the evaluation may take; None: unlimited.
        """
        parts = halves(batch)
        return next((part for part in parts if room is None or self.testing(part) <= room), 1)


def halves(batch: int, least: int = 1) -> Iterator[int]:
    """Yield `batch`, its half, its quarter, … down to `least`: micro-batches to try if memory is short."""
    yield batch
    while (batch := batch // 2) >= least:
        yield batch
