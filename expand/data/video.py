"""One video: what it is, and the frames that are nearest to the moments that are wanted.

A video is a file or a folder of pictures. Time counts from its first frame, or from where a part of it
begins. Pixels that are not square are read as if they were, as decord, PyAV and torchcodec read them.
N frames kept of a video, H × W pixels, 3 channels in the order RGB.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

from expand.data.base import BadVideo, Cut, Decoded, Moments, VideoInfo
from expand.data.frame_folder import probe_pictures, read_pictures
from expand.data.nearest import nearest_frames
from expand.data.opening import blaming, open_video, stated_seconds, video_stream
from expand.data.passes import Choice, Choose, Found, read_frames
from expand.data.timeline import DEFAULT_FPS, Timeline

_INSPECTED_SIDE = 16  # pixels of the frame that is shrunk to see that it can be


def probe(path: Path, *, fps: float | None = None) -> VideoInfo:
    """What the file's header says: quick, but the header may be wrong, and bad frames go unseen.

    Args:
        path: a file or a folder of pictures.
        fps: the frame rate of folders of pictures.

    Raises:
        BadVideo: missing, empty, unreadable or without a video stream.
    """
    with blaming():
        if path.is_dir():
            return probe_pictures(path, fps=fps)
        with open_video(path) as container:
            stream = video_stream(container)
            rate = float(stream.average_rate or 0) or DEFAULT_FPS
            seconds = stated_seconds(container, stream) or (container.duration or 0) / av.time_base
            return VideoInfo(
                seconds=seconds,
                frames=stream.frames or max(1, round(seconds * rate)),
                fps=rate,
                width=stream.codec_context.width,
                height=stream.codec_context.height,
            )


def inspect(path: Path, cut: Cut | None = None, *, fps: float | None = None) -> VideoInfo:
    """Decodes the whole video, or what a part of it needs, shrinks a frame of it, and says what it is.

    Args:
        path: a file or a folder of pictures.
        cut: the part; None: the whole.
        fps: the frame rate of folders of pictures.

    Raises:
        BadVideo: it cannot be used.
    """

    def choose(timeline: Timeline) -> Choice:
        if cut is None:
            return Choice(np.zeros(1, np.int64), None)
        inside = _inside(timeline, cut)
        return Choice(inside[:1], inside)

    found = _read(path, choose, short_side=_INSPECTED_SIDE, fps=fps)
    return _info(found, cut)


def shown(path: Path, *, fps: float | None = None) -> tuple[VideoInfo, NDArray[np.float64]]:
    """Decodes the whole video: what it is, and (F,) when each of its frames appears, in seconds.

    Raises:
        BadVideo: it cannot be used.
    """
    found = _read(path, lambda _: Choice(np.zeros(1, np.int64), None), short_side=_INSPECTED_SIDE, fps=fps)
    return found.info, found.timeline.times


def read(
    path: Path, cuts: Sequence[Cut | None], moments: Moments, *, short_side: int, fps: float | None = None
) -> list[Decoded | BadVideo]:
    """Of each part of a video, the frames nearest to its moments; one decoding for all of them.

        read(path, [None], lambda seconds: np.arange(0, seconds, 0.1), short_side=80)

    Args:
        path: a file or a folder of pictures.
        cuts: its parts; None: the whole.
        moments: that are wanted of each.
        short_side: pixels of the frames' shorter side.
        fps: the frame rate of folders of pictures.
    """

    def choose(timeline: Timeline) -> Choice:
        nearest = [_nearest(timeline, cut, moments)[0] for cut in cuts if _problem(timeline, cut) is None]
        keep = np.unique(np.concatenate([np.zeros(0, np.int64), *nearest]))
        return Choice(keep, keep) if len(keep) else Choice(np.zeros(1, np.int64), np.zeros(1, np.int64))

    try:
        found = _read(path, choose, short_side=short_side, fps=fps)
    except BadVideo as bad:
        return [bad] * len(cuts)
    return [_problem(found.timeline, cut) or _part(found, cut, moments) for cut in cuts]


def _read(path: Path, choose: Choose, *, short_side: int, fps: float | None) -> Found:
    with blaming():
        if path.is_dir():
            return read_pictures(path, choose, fps=fps, short_side=short_side)
        return read_frames(path, choose, short_side=short_side)


def _part(found: Found, cut: Cut | None, moments: Moments) -> Decoded:
    chosen, times, spans = _nearest(found.timeline, cut, moments)
    places = np.searchsorted(found.keep, chosen)
    frames = found.frames if len(places) == len(found.keep) else found.frames[places]
    return Decoded(info=_info(found, cut), times=times, spans=spans, frames=frames)


def _problem(timeline: Timeline, cut: Cut | None) -> BadVideo | None:
    if cut is None or cut.start < timeline.seconds - timeline.tolerance:
        return None
    return BadVideo("outside", f"it begins at {cut.start:.2f} s of a video of {timeline.seconds:.2f} s")


def _nearest(
    timeline: Timeline, cut: Cut | None, moments: Moments
) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.float64]]:
    """(N,) which frames are nearest to the moments, and (N,) their times and (N, 2) spans in the part."""
    start, seconds = _extent(timeline, cut)
    chosen, spans = nearest_frames(
        timeline.times, timeline.seconds, moments(seconds) + start, tolerance=timeline.tolerance
    )
    return chosen, timeline.times[chosen] - start, np.clip(spans - start, 0.0, seconds)


def _extent(timeline: Timeline, cut: Cut | None) -> tuple[float, float]:
    """Where a part begins, and how long it is, in seconds: it ends with the video at the latest."""
    if cut is None:
        return 0.0, timeline.seconds
    return cut.start, min(cut.end, timeline.seconds) - cut.start


def _inside(timeline: Timeline, cut: Cut) -> NDArray[np.int64]:
    """Which frames are shown in a part, that which is on the screen when it begins among them.

    Raises:
        BadVideo: none is.
    """
    if problem := _problem(timeline, cut):
        raise problem
    near = np.array([cut.start, cut.end]) - timeline.tolerance
    begins, ends = np.searchsorted(timeline.times, near, side="left").tolist()
    if begins == len(timeline.times) or timeline.times[begins] > cut.start + timeline.tolerance:
        begins -= 1  # that which is on the screen already
    return np.arange(begins, max(ends, begins + 1))


def _info(found: Found, cut: Cut | None) -> VideoInfo:
    if cut is None:
        return found.info
    _, seconds = _extent(found.timeline, cut)
    return replace(found.info, seconds=seconds, frames=len(_inside(found.timeline, cut)))
