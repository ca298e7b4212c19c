"""Clips as other projects write them: frames, whole frame rates, and the sizes of the published tests.

Source of the sizes: the configs/Kinetics/X3D_*.yaml of facebookresearch/SlowFast at 287ec007.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from expand.config.full import released_sides
from search_spaces.base import ClipSampling

UNIFORM_CLIPS = 10  # of a video, in both tests
CROPS = 3  # along the longer side, of each clip of the 30-view test

_LARGEST_DENOMINATOR = 1001  # that of 29.97 frames a second


@dataclass(frozen=True, kw_only=True, slots=True)
class Views:
    """What is cut out of a video.

    Attributes:
        frames: in a clip.
        stride: distance between two frames of a clip, in frames of a video with `fps` frames a second.
        fps: a whole number; where the network's is none, stride and fps are multiplied alike.
        size: side of the training crop and of the 10-view test's, in pixels.
        test_size: side of the three crops of the 30-view test, in pixels.
        jitter: lowest and highest short side of a training clip before its crop, in pixels. In the 10-view
            test it is the lowest.
    """

    frames: int
    stride: int
    fps: int
    size: int
    test_size: int
    jitter: tuple[int, int]

    @classmethod
    def of(cls, sampling: ClipSampling) -> Views:
        """The published sizes, kept in proportion: 182 and 182 to 228 pixels for crops of 160."""
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
        """Of a clip, its last frame's stride included."""
        return self.frames * self.stride / self.fps
