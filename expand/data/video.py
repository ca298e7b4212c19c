"""One video file: what it is, and its frames at a given rate and size.

Frames are chosen by their time stamps, counted from the first frame, so that a variable frame rate and a
late start come out right. N frames kept of a video, H × W pixels, 3 channels in the order RGB.
"""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
from av.video.frame import VideoFrame

from expand.data.base import Frames, VideoInfo
from expand.data.shrinking import Shrinker
from expand.data.skipping import read_skipping
from expand.data.timeline import DEFAULT_FPS, Timeline, frame_count, open_video, stated_seconds, video_stream


def probe(path: Path) -> VideoInfo:
    """What the file's header says: quick, but the header may be wrong, and bad frames go unseen.

    Raises:
        BadVideo: missing, empty, unreadable or without a video stream.
    """
    with open_video(path) as container:
        stream = video_stream(container)
        fps = float(stream.average_rate or 0) or DEFAULT_FPS
        seconds = stated_seconds(container, stream) or (container.duration or 0) / av.time_base
        return VideoInfo(
            seconds=seconds,
            frames=stream.frames or max(1, round(seconds * fps)),
            fps=fps,
            width=stream.codec_context.width,
            height=stream.codec_context.height,
        )


def inspect(path: Path) -> VideoInfo:
    """Decodes the whole video and says what it is.

    Raises:
        BadVideo: it cannot be used.
    """
    timeline = Timeline(path)
    for _ in timeline:
        pass
    return timeline.info()


def decode(path: Path, *, fps: float, short_side: int) -> Frames:
    """The video's frames at k / fps seconds, (N, H, W, 3); see `expand.data.base.Source.decode`.

    Raises:
        BadVideo: it cannot be used.
    """
    return read(path, fps=fps, short_side=short_side)[1]


def read(path: Path, *, fps: float, short_side: int) -> tuple[VideoInfo, Frames]:
    """`inspect` and `decode` in one pass, which decodes no more than it must.

    Raises:
        BadVideo: it cannot be used.
    """
    found = read_skipping(path, fps=fps, short_side=short_side)
    return found if found is not None else read_all(path, fps=fps, short_side=short_side)


def read_all(path: Path, *, fps: float, short_side: int) -> tuple[VideoInfo, Frames]:
    """`read` for any video: frame by frame, holding one at a time at full size.

    Raises:
        BadVideo: it cannot be used.
    """
    timeline = Timeline(path)
    shrink: Shrinker | None = None
    kept: list[Frames] = []
    shown: VideoFrame | None = None

    def small(frame: VideoFrame) -> Frames:
        nonlocal shrink
        shrink = shrink or Shrinker(frame, short_side=short_side)
        pixels = np.empty(shrink.shape, np.uint8)
        shrink(frame, pixels)
        return pixels

    for frame in timeline:
        if shown is not None:
            due = timeline.times[-1] - timeline.tolerance
            if len(kept) / fps < due:
                pixels = small(shown)
                while len(kept) / fps < due:
                    kept.append(pixels)
        shown = frame
    assert shown is not None  # a timeline without frames raises
    info = timeline.info()
    count = frame_count(info.seconds, fps)
    if len(kept) < count:
        kept += [small(shown)] * (count - len(kept))
    return info, np.stack(kept[:count])
