"""Reads one video: its properties, and the frames nearest to requested moments.

A video is a file or a folder of pictures. Time counts from its first frame, or from the beginning of a part
of it. Pixels that are not square are read as if they were, as decord, PyAV and torchcodec do.

Shapes: N frames kept of a video, F frames in it, H × W pixels, 3 channels in the order RGB.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

from expand.data.base import BadVideo, Cut, Decoded, Moments, VideoInfo
from expand.data.container import blaming, open_video, stated_seconds, video_stream
from expand.data.decoding import Choice, Choose, ReadFrames, read_frames
from expand.data.frame_folder import probe_pictures, read_pictures
from expand.data.nearest import nearest_frames
from expand.data.timeline import DEFAULT_FPS, Timeline

_INSPECTED_SIDE = 16  # pixels of the frame that `inspect` scales, to check that scaling works


def probe(path: Path, *, fps: float | None = None) -> VideoInfo:
    """Read a video's properties from its header: quick, but headers may be wrong, and bad frames go unseen.

    Args:
        path: a file or a folder of pictures.
        fps: the frame rate of folders of pictures.

    Raises:
        BadVideo: the file is missing, empty, unreadable or without a video stream.
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
    """Return a video's properties, after decoding it or the part `cut`, and scaling one of its frames.

    Args:
        path: a file or a folder of pictures.
        cut: the part; None for the whole video.
        fps: the frame rate of folders of pictures.

    Raises:
        BadVideo: the video cannot be used.
    """

    def choose(timeline: Timeline) -> Choice:
        if cut is None:
            return Choice(np.zeros(1, np.int64), None)
        inside = _inside(timeline, cut)
        return Choice(inside[:1], inside)

    return _info(_read(path, choose, short_side=_INSPECTED_SIDE, fps=fps), cut)


def shown(path: Path, *, fps: float | None = None) -> tuple[VideoInfo, NDArray[np.float64]]:
    """Decode the whole video; return its properties, and the times of its frames in seconds, (F,).

    Raises:
        BadVideo: the video cannot be used.
    """
    read = _read(path, lambda _: Choice(np.zeros(1, np.int64), None), short_side=_INSPECTED_SIDE, fps=fps)
    return read.info, read.timeline.times


def read(
    path: Path, cuts: Sequence[Cut | None], moments: Moments, *, short_side: int, fps: float | None = None
) -> list[Decoded | BadVideo]:
    """Return, for each part of a video, the frames nearest to its moments; the video is decoded once.

        read(path, [None], lambda seconds: np.arange(0, seconds, 0.1), short_side=80)

    A part that cannot be used is returned as BadVideo, not raised.

    Args:
        path: a file or a folder of pictures.
        cuts: the parts; None for the whole video.
        moments: gives the requested moments by the duration of a part.
        short_side: pixels of the frames' shorter side.
        fps: the frame rate of folders of pictures.
    """

    def choose(timeline: Timeline) -> Choice:
        nearest = [_nearest(timeline, cut, moments)[0] for cut in cuts if _problem(timeline, cut) is None]
        keep = np.unique(np.concatenate([np.zeros(0, np.int64), *nearest]))
        return Choice(keep, keep) if len(keep) else Choice(np.zeros(1, np.int64), np.zeros(1, np.int64))

    try:
        video = _read(path, choose, short_side=short_side, fps=fps)
    except BadVideo as bad:
        return [bad] * len(cuts)
    return [_problem(video.timeline, cut) or _part(video, cut, moments) for cut in cuts]


def _read(path: Path, choose: Choose, *, short_side: int, fps: float | None) -> ReadFrames:
    with blaming():
        if path.is_dir():
            return read_pictures(path, choose, fps=fps, short_side=short_side)
        return read_frames(path, choose, short_side=short_side)


def _part(video: ReadFrames, cut: Cut | None, moments: Moments) -> Decoded:
    chosen, times, spans = _nearest(video.timeline, cut, moments)
    kept = np.searchsorted(video.keep, chosen)  # indices into the frames that were read
    frames = video.frames if len(kept) == len(video.keep) else video.frames[kept]
    return Decoded(info=_info(video, cut), times=times, spans=spans, frames=frames)


def _problem(timeline: Timeline, cut: Cut | None) -> BadVideo | None:
    if cut is None or cut.start < timeline.seconds - timeline.tolerance:
        return None
    return BadVideo("outside", f"it begins at {cut.start:.2f} s of a video of {timeline.seconds:.2f} s")


def _nearest(
    timeline: Timeline, cut: Cut | None, moments: Moments
) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.float64]]:
    """Return the frames nearest to a part's moments, (N,), and their times (N,) and spans (N, 2) in it."""
    start, seconds = _extent(timeline, cut)
    chosen, spans = nearest_frames(
        timeline.times, timeline.seconds, moments(seconds) + start, tolerance=timeline.tolerance
    )
    return chosen, timeline.times[chosen] - start, np.clip(spans - start, 0.0, seconds)


def _extent(timeline: Timeline, cut: Cut | None) -> tuple[float, float]:
    """Return the start and the duration of a part in seconds; it ends with the video at the latest."""
    if cut is None:
        return 0.0, timeline.seconds
    return cut.start, min(cut.end, timeline.seconds) - cut.start


def _inside(timeline: Timeline, cut: Cut) -> NDArray[np.int64]:
    """Return the indices of the frames shown during a part, with the one shown at its beginning.

    Raises:
        BadVideo: the part begins after the video's end.
    """
    if problem := _problem(timeline, cut):
        raise problem
    near = np.array([cut.start, cut.end]) - timeline.tolerance
    begins, ends = np.searchsorted(timeline.times, near, side="left").tolist()
    if begins == len(timeline.times) or timeline.times[begins] > cut.start + timeline.tolerance:
        begins -= 1  # the frame that is shown already
    return np.arange(begins, max(ends, begins + 1))


def _info(video: ReadFrames, cut: Cut | None) -> VideoInfo:
    if cut is None:
        return video.info
    _, seconds = _extent(video.timeline, cut)
    return replace(video.info, seconds=seconds, frames=len(_inside(video.timeline, cut)))
