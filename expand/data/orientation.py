"""Rotation and mirroring of a video's frames, by the display matrix in their metadata.

Shapes: H × W pixels of an upright frame.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import cast

import numpy as np
from av.sidedata.sidedata import SideDataContainer
from av.video.frame import VideoFrame

from expand.data.base import Frames

_MATRIX = struct.Struct("=9i")


@dataclass(frozen=True, kw_only=True, slots=True)
class Orientation:
    """One of the eight orientations of a picture: it is transposed first, then mirrored.

    Attributes:
        swapped: whether rows and columns are swapped.
        across: whether left and right are mirrored after that.
        down: whether top and bottom are mirrored after that.
    """

    swapped: bool = False
    across: bool = False
    down: bool = False

    @classmethod
    def of(cls, frame: VideoFrame) -> Orientation:
        """Return the orientation of a frame's display matrix, to the nearest quarter of a turn.

        With the matrix's first two rows (a, b) and (c, d), the pixel (x, y) is shown at (ax + cy, bx + dy).
        """
        data = cast("SideDataContainer", frame.side_data).get("DISPLAYMATRIX")
        matrix = b"" if data is None else bytes(data)
        if len(matrix) != _MATRIX.size:
            return cls()
        a, b, _, c, d, *_ = _MATRIX.unpack(matrix)
        if abs(b) + abs(c) > abs(a) + abs(d):
            return cls(swapped=True, across=c < 0, down=b < 0)
        return cls(across=a < 0, down=d < 0)

    @property
    def mirrored(self) -> bool:
        return self.swapped ^ self.across ^ self.down

    @property
    def rotation(self) -> int:
        """Degrees of anticlockwise rotation, after any mirroring of left and right."""
        if not self.swapped:
            return 180 if self.down else 0
        return 270 if self.across else 90

    def size(self, width: int, height: int) -> tuple[int, int]:
        """Return the width and height of the upright picture."""
        return (height, width) if self.swapped else (width, height)

    def lying(self, upright: Frames) -> Frames:
        """Return a view of upright pixels (H, W, 3) in the decoder's orientation, to write a frame into."""
        view = upright[:: -1 if self.down else 1, :: -1 if self.across else 1]
        return np.swapaxes(view, 0, 1) if self.swapped else view
