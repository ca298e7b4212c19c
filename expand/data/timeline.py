"""The times at which a video's frames are shown, computed from time stamps.

Time counts from the first frame, so variable frame rates and late starts are handled.

Shapes: F frames in a video.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from expand.data.base import BadVideo, VideoInfo
from expand.data.orientation import Orientation

DEFAULT_FPS = 30.0

_MISSING_SHARE = 0.1
_MISSING_FRAMES = 3
_VARIES = 0.25  # of the median distance between two frames
# A distance between two frames is a gap if it is both longer than this and a larger share of the video.
_LONG_SECONDS = 60.0
_LONG_SHARE = 0.5


@dataclass(frozen=True, kw_only=True, slots=True)
class StampClock:
    """The clock that a file's time stamps count in.

    Attributes:
        unit: seconds of one tick.
        fps: average frame rate, for frames without usable stamps.
        wraps: ticks after which the clock starts again at 0, as in MPEG-TS; None for never.
    """

    unit: float
    fps: float = DEFAULT_FPS
    wraps: int | None = None

    @property
    def tolerance(self) -> float:
        """The rounding error of time stamps, in seconds."""
        return min(self.unit, 1e-3) + 1e-6

    @property
    def nominal(self) -> int:
        """Ticks from one frame to the next at the average rate."""
        return max(1, round(1 / (self.fps * self.unit)))


@dataclass(frozen=True, kw_only=True, slots=True)
class Timeline:
    """The times of a video's frames, in seconds.

    Attributes:
        times: (F,) when each frame is shown, from the first frame on, never falling.
        seconds: duration of the video, to the end of the last frame.
        stated: the same with the last frame's duration as the container states it, however long.
        start: the first frame's time by the file's own clock.
        tolerance: rounding error of the times.
    """

    times: NDArray[np.float64]
    seconds: float
    stated: float = 0.0
    start: float = 0.0
    tolerance: float = 1e-6

    @classmethod
    def of(cls, stamps: Sequence[int], *, last: int, clock: StampClock) -> Timeline:
        """Compute the timeline of frames from their stamps in ticks, in the order in which they are shown.

        Where the clock goes back, as in joined recordings, the distance is taken as the median one.

        Args:
            stamps: (F,) the stamps, at least one.
            last: duration of the last frame, in ticks; 0 where the container does not state it.
            clock: the file's clock.

        Raises:
            BadVideo: a gap between two frames is over a minute and over half of the video.
        """
        between = np.diff(np.asarray(stamps, np.int64))
        back = between < 0
        if clock.wraps is not None:
            # The demuxer treats a clock that goes back as one that wrapped, and so adds nearly a whole turn.
            back |= between > clock.wraps // 2
        if back.any():
            rising = between[~back & (between > 0)]
            between[back] = round(float(np.median(rising))) if len(rising) else clock.nominal
        times = np.concatenate(([0.0], np.cumsum(between) * clock.unit))
        seconds = _seconds(times, last * clock.unit)
        rounding = min(clock.tolerance, _typical(np.diff(times)) / 4) if len(times) > 1 else clock.tolerance
        return cls(
            times=times,
            seconds=seconds,
            stated=float(times[-1]) + last * clock.unit,
            start=float(stamps[0]) * clock.unit,
            tolerance=rounding,
        )

    def describe(
        self,
        *,
        width: int,
        height: int,
        orientation: Orientation | None = None,
        remarks: Sequence[str] = (),
    ) -> VideoInfo:
        """Return the properties of the video; `width` and `height` are in pixels, before any rotation."""
        orientation = orientation or Orientation()
        between = np.diff(self.times)
        wide, high = orientation.size(width, height)
        return VideoInfo(
            seconds=self.seconds,
            frames=len(self.times),
            fps=len(self.times) / self.seconds,
            width=wide,
            height=high,
            variable_rate=bool(
                np.abs(between - _typical(between)).max(initial=0.0) > _VARIES * _typical(between)
            ),
            rotation=orientation.rotation,
            mirrored=orientation.mirrored,
            remarks=tuple(remarks),
        )

    def check_complete(self, stated: float | None) -> None:
        """Check that a file is about as long as its header states.

        Args:
            stated: the header's duration in seconds; None for no check.

        Raises:
            BadVideo: the file ends much earlier.
        """
        if stated is None:
            return
        # Matroska states when the video ends, others how long it is.
        end = max(self.seconds, self.stated) + max(0.0, self.start)
        frames = len(self.times)
        if stated - end > max(_MISSING_SHARE * stated, _MISSING_FRAMES * self.seconds / frames):
            raise BadVideo("truncated", f"{self.seconds:.2f} s of {stated:.2f} s")


def _seconds(times: NDArray[np.float64], last: float) -> float:
    """Return the duration of a video whose last frame is shown for `last` seconds, by its container.

    Raises:
        BadVideo: a gap between two frames is over a minute and over half of the video.
    """
    between = np.diff(times)
    typical = _typical(between) or 1 / DEFAULT_FPS
    # Some containers do not state the last frame's duration, or give one tick, or hours.
    if last <= typical / 2 or _is_long(last, float(times[-1]) + last):
        last = typical
    seconds = float(times[-1]) + last
    longest = float(between.max(initial=0.0))
    if _is_long(longest, seconds):
        raise BadVideo("gap in time", f"{longest:.0f} s of {seconds:.0f} s lie between two frames")
    return seconds


def _is_long(shown: float, seconds: float) -> bool:
    return shown > _LONG_SECONDS and shown > _LONG_SHARE * seconds


def _typical(between: NDArray[np.float64]) -> float:
    """Return the median of the distances between frames; 0 where there are none."""
    if not len(between):
        return 0.0
    # np.median takes 20 times as long.
    middle = np.sort(between)[(len(between) - 1) // 2 : len(between) // 2 + 1]
    return float(middle.mean())
