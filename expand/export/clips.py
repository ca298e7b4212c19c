"""Clips in the terms of other projects: frames, integer frame rates, and the sizes of published tests.

Source of the sizes: the configs/Kinetics/X3D_*.yaml of facebookresearch/SlowFast at 287ec007.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from expand.config.full import released_sides
from search_spaces.base import ClipSampling

UNIFORM_CLIPS = 10  # clips of a video in both tests
CROPS = 3  # crops of each clip in the 30-view test, along the longer side

_LARGEST_DENOMINATOR = 1001  # of frame rates: 29.97 is 30000/1001


@dataclass(frozen=True, kw_only=True, slots=True)
class Views:
    """Sampling and sizes of clips in training and tests.

    Attributes:
        frames: frames in a clip.
        stride: distance between two frames of a clip, in frames of a video with `fps` frames a second.
        fps: frame rate as an integer; where the network's is not one, stride and fps are multiplied alike.
        size: side of the training crop and of the 10-view test's, in pixels.
        test_size: side of the three crops of the 30-view test, in pixels.
        jitter: lowest and highest short side of a training clip before its crop, in pixels; the 10-view test
            uses the lowest.
    """

    frames: int
    stride: int
    fps: int
    size: int
    test_size: int
    jitter: tuple[int, int]

    @classmethod
    def of(cls, sampling: ClipSampling) -> Views:
        """Return views with the published sizes in proportion: 182 and 182 to 228 pixels for crops of 160."""
        rate = Fraction(sampling.fps).limit_denominator(_LARGEST_DENOMINATOR)
        sides = released_sides(sampling.size)
        return cls(
            frames=sampling.frames,
            stride=sampling.stride * rate.denominator,
            fps=rate.numerator,
            size=sampling.size,
            test_size=sides[0],
            jitter=sides,
        )

    @property
    def seconds(self) -> float:
        """Duration of a clip, including the stride after its last frame."""
        return self.frames * self.stride / self.fps
