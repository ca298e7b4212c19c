"""Scales decoded frames down, converts them to RGB and turns them upright.

Shapes: H × W pixels of a kept frame, upright; 3 channels in the order RGB.
"""

from __future__ import annotations

import threading

import numpy as np
from av.video.frame import VideoFrame
from av.video.reformatter import Interpolation, VideoReformatter

from expand.data.base import Frames
from expand.data.orientation import Orientation

# Exact colours, the same on every machine; without them swscale is up to 2 of 255 too dark.
EXACT = (
    Interpolation.ACCURATE_RND
    | Interpolation.BITEXACT
    | Interpolation.FULL_CHR_H_INT
    | Interpolation.FULL_CHR_H_INP
)
# Area averaging, which does not alias; as an int, since an enum costs 5 µs a frame.
_SCALING = int(Interpolation.AREA | EXACT)

# swscale writes three planes more than twice as fast as packed RGB, with the same values.
_PLANES = "gbrp"
_CHANNELS = (1, 2, 0)  # the RGB channel of each of those planes

_GBR, _UNSPECIFIED = 0, 2  # numbers of colour matrices in H.273


class _Own(threading.local):
    """One reformatter for each thread, which keeps its tables for videos of the same size."""

    def __init__(self) -> None:
        self.reformatter = VideoReformatter()


_own = _Own()


def scaled(width: int, height: int, short_side: int) -> tuple[int, int]:
    """Return width and height scaled to a shorter side of `short_side`; they are never enlarged."""
    short = min(width, height)
    if short <= short_side:
        return width, height
    return round(width * short_side / short), round(height * short_side / short)


class Shrinker:
    """Scales and turns the frames of one video, all to the size of its first.

    shrink = Shrinker(first_frame, short_side=80)
    pixels = np.empty((N, *shrink.shape), np.uint8)    # (N, H, W, 3)
    shrink(frame, pixels[0])
    shrink.unknown_matrix                              # 8 where the frames state a matrix that is not known
    """

    def __init__(self, first: VideoFrame, *, short_side: int) -> None:
        self._width, self._height = scaled(first.width, first.height, short_side)
        self._orientation = Orientation.of(first)
        self._reformatter = _own.reformatter
        self.unknown_matrix: int | None = None

    @property
    def shape(self) -> tuple[int, int, int]:
        """The shape of an upright frame, (H, W, 3)."""
        width, height = self._orientation.size(self._width, self._height)
        return (height, width, 3)

    def __call__(self, frame: VideoFrame, out: Frames) -> None:
        """Write the frame's pixels into `out`, (H, W, 3)."""
        small = self._small(frame)
        lying = self._orientation.lying(out)
        for plane, channel in zip(small.planes, _CHANNELS, strict=True):
            rows = np.frombuffer(memoryview(plane), np.uint8).reshape(self._height, plane.line_size)
            lying[..., channel] = rows[:, : self._width]

    def _small(self, frame: VideoFrame) -> VideoFrame:
        if frame.colorspace == _GBR and not frame.format.is_rgb:
            self._forget_matrix(frame)
        try:
            return self._scale(frame)
        except OSError:
            if frame.colorspace == _UNSPECIFIED:
                raise
            self._forget_matrix(frame)  # such as YCgCo, which swscale refuses
            return self._scale(frame)

    def _forget_matrix(self, frame: VideoFrame) -> None:
        self.unknown_matrix = frame.colorspace
        frame.colorspace = _UNSPECIFIED

    def _scale(self, frame: VideoFrame) -> VideoFrame:
        return self._reformatter.reformat(
            frame,
            width=self._width,
            height=self._height,
            format=_PLANES,
            interpolation=_SCALING,
            threads=1,
        )
