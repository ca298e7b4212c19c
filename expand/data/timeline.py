"""When the frames of a video are shown: arithmetic on time stamps, without files.

Time counts from the first frame, so that a variable frame rate and a late start come out right.
F frames in a video.
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
_LONG_SECONDS = 60.0  # that a frame may be shown, however large a part of the video that is
_LONG_SHARE = 0.5


@dataclass(frozen=True, kw_only=True, slots=True)
class Clock:
    """How a file counts time.

    Attributes:
        unit: seconds of one tick.
        fps: its average rate, for frames whose stamps say nothing.
        wraps: ticks after which it starts again, as in MPEG-TS; None: never.
    """

    unit: float
    fps: float = DEFAULT_FPS
    wraps: int | None = None

    @property
    def tolerance(self) -> float:
        """Stamps are rounded to their unit: as much, in seconds, is no difference."""
        return min(self.unit, 1e-3) + 1e-6

    @property
    def nominal(self) -> int:
        """Ticks from one frame to the next."""
        return max(1, round(1 / (self.fps * self.unit)))


@dataclass(frozen=True, kw_only=True, slots=True)
class Timeline:
    """When each frame of a video is shown.

    Attributes:
        times: (F,) in seconds from the first, never falling.
        seconds: to the end of the last.
        stated: the same with the last frame as long as the container says, be it hours.
        start: of the first, by the file's own clock.
        tolerance: what times may be off by rounding.
    """

    times: NDArray[np.float64]
    seconds: float
    stated: float = 0.0
    start: float = 0.0
    tolerance: float = 1e-6

    @classmethod
    def of(cls, stamps: Sequence[int], *, last: int, clock: Clock) -> Timeline:
        """Of frames in the order in which they are shown, with their stamps in ticks.

        Where the clock goes back, as in joined recordings, time goes on by the usual distance.

        Args:
            stamps: (F,) of at least one frame.
            last: how long the last frame is shown, in ticks; 0 where the container does not say.
            clock: the file's.

        Raises:
            BadVideo: most of the video is one distance between two frames.
        """
        between = np.diff(np.asarray(stamps, np.int64))
        back = between < 0
        if clock.wraps is not None:
            # The demuxer takes a clock that goes back for one that wrapped.
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
        """The video whose frames are shown so; `width` and `height` in pixels, before it is turned."""
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
        """Raises BadVideo where a file has much less than its header states, in seconds."""
        if stated is None:
            return
        # Matroska states when the video ends, others how long it is.
        end = max(self.seconds, self.stated) + max(0.0, self.start)
        frames = len(self.times)
        if stated - end > max(_MISSING_SHARE * stated, _MISSING_FRAMES * self.seconds / frames):
            raise BadVideo("truncated", f"{self.seconds:.2f} s of {stated:.2f} s")


def _seconds(times: NDArray[np.float64], last: float) -> float:
    """From the first frame to the end of the last, which is shown for `last` as the container says."""
    between = np.diff(times)
    typical = _typical(between) or 1 / DEFAULT_FPS
    # Some containers do not tell the last frame's duration, or give one tick, or one of hours.
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
    """The median distance between two frames; 0 where there is one frame."""
    if not len(between):
        return 0.0
    middle = np.sort(between)[
        (len(between) - 1) // 2 : len(between) // 2 + 1
    ]  # np.median takes 20 times as long
    return float(middle.mean())
