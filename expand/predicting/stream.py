"""Predicts what a camera or a stream shows while it arrives: a ring of frames, and a prediction each stride.

Times are those of the stream's own clock, from its first frame. A camera and a network stream are read in a
thread of their own, so that no frame is missed while the network computes; if it is slower than the stream,
predictions are left out, not frames. A pipe waits for its reader, so nothing is left out there.

Shapes: H × W a kept frame, T frames in a clip, C classes.
"""

from __future__ import annotations

import math
import re
import sys
import threading
import time
from collections import deque
from collections.abc import Generator, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import av
import numpy as np
from av.container import InputContainer

from expand.data.base import BadVideo, Decoded, Frames, VideoInfo
from expand.data.container import blaming, open_video, video_stream
from expand.data.decoded_split import DecodedSplit
from expand.data.nearest import boundaries
from expand.data.shrinking import Shrinker
from expand.predicting.predictor import Predictor
from expand.predicting.video import likeliest, listed
from expand.system.errors import RunFailed, UserError
from search_spaces.base import ClipSampling, Json

PIPE = "-"  # the standard input
_ADDRESS = re.compile(r"[a-z][a-z0-9+.-]+://", re.IGNORECASE)
# The format of cameras in FFmpeg, and how it names one by its number, on each system.
_CAMERAS = {"linux": ("v4l2", "/dev/video{}"), "darwin": ("avfoundation", "{}")}
_FIRST_SECONDS = 1 / 30  # a frame's duration where only one is known
_EARLY = 1e-6  # seconds by which a frame may be early, as its time is rounded
_JOIN = 5.0  # seconds in which a reader of frames must notice that nobody wants them any more


@dataclass(frozen=True, kw_only=True, slots=True)
class LivePrediction:
    """What a network says of the newest clip of a stream.

    Attributes:
        time: of the newest frame, in seconds from the stream's first.
        labels: the most likely classes with their probabilities, the likeliest first.
        latency: seconds from the arrival of the newest frame to this prediction.
    """

    time: float
    labels: tuple[tuple[str, float], ...]
    latency: float

    def to_json(self) -> Json:
        """All of it, as JSON."""
        return {
            "time": round(self.time, 4),
            "labels": listed(self.labels),
            "latency": round(self.latency, 6),
        }


@dataclass(frozen=True, kw_only=True, slots=True)
class Arrived:
    """A frame of a stream.

    Attributes:
        time: in seconds from the stream's first frame.
        pixels: (H, W, 3), scaled down.
        arrival: when it was there, by time.monotonic.
    """

    time: float
    pixels: Frames
    arrival: float


Stream = Generator[Arrived, None, None]


class Ring:
    """The last frames of a stream, as many as a clip spans.

    Args:
        seconds: how much of the stream is kept.
    """

    def __init__(self, seconds: float) -> None:
        self._frames: deque[Arrived] = deque()
        self._seconds = seconds

    def add(self, frame: Arrived) -> None:
        """Add a frame, and forget those that no clip needs any more."""
        self._frames.append(frame)
        while len(self._frames) > 1 and self._frames[1].time <= frame.time - self._seconds:
            self._frames.popleft()

    def newest(self) -> tuple[Arrived, ...]:
        """The frames, the newest last."""
        return tuple(self._frames)


def is_stream(text: str) -> bool:
    """Whether an argument names a camera by its number, an address such as rtsp://…, or `-`, the input."""
    return text == PIPE or is_live(text)


def is_live(text: str) -> bool:
    """Whether a stream goes on without waiting for its reader: a camera, or an address."""
    return text.isdecimal() or _ADDRESS.match(text) is not None


def predict_stream(
    predictor: Predictor,
    source: str,
    *,
    every: float | None = None,
    count: int = 5,
    live: bool = False,
) -> Iterator[LivePrediction]:
    """Yield a prediction of the newest clip each `every` seconds of a stream.

    The first comes as soon as a whole clip is there; a stream that is shorter than a clip gives one, at its
    end, of the clip looped.

    Args:
        predictor: the network.
        source: a camera's number, an address, `-` for the standard input, or a file.
        every: seconds of the stream from one prediction to the next; None: the distance of a clip's frames.
        count: how many of the most likely classes.
        live: whether a file is played at its own rate, as a camera would show it.

    Raises:
        UserError: the source cannot be opened, or has no video.
        RunFailed: the stream cannot be read any further.
    """
    clips = predictor.preprocessing.clips
    step = every or clips.step_seconds
    _warm_up(predictor)
    frames = _frames(source, predictor.preprocessing.short_side)
    if live:
        frames = _paced(frames)
    threaded = live or is_live(source)
    due, told = clips.span_seconds, False
    kept: tuple[Arrived, ...] = ()
    with closing(_threaded(frames, clips) if threaded else _one_by_one(frames, clips)) as groups:
        for kept in groups:
            if kept[-1].time >= due - _EARLY:
                due = kept[-1].time + step
                yield _prediction(predictor, kept, count)
                told = True
    if kept and not told:
        yield _prediction(predictor, kept, count)


def _warm_up(predictor: Predictor) -> None:
    """Predict a clip of nothing, as the first pass of a network takes much longer than the others."""
    side = predictor.preprocessing.short_side
    nothing = Arrived(time=0.0, pixels=np.zeros((side, side, 3), np.uint8), arrival=time.monotonic())
    _prediction(predictor, (nothing,), 1)


def _one_by_one(frames: Stream, clips: ClipSampling) -> Generator[tuple[Arrived, ...], None, None]:
    """Yield the last frames after each one that arrives."""
    ring = Ring(clips.span_seconds + clips.step_seconds)
    with closing(frames):
        for frame in frames:
            ring.add(frame)
            yield ring.newest()


class _Shared:
    """A ring that one thread fills and another reads."""

    def __init__(self, ring: Ring) -> None:
        self._ring, self._changed = ring, threading.Condition()
        self._fresh = self._ended = self._unwanted = False
        self._failure: Exception | None = None

    def fill(self, frames: Stream) -> None:
        """Add frames until there are no more, or nobody wants them."""
        try:
            with closing(frames):
                for frame in frames:
                    with self._changed:
                        self._ring.add(frame)
                        self._fresh = True
                        self._changed.notify()
                        if self._unwanted:
                            return
        except Exception as error:
            self._failure = error
        finally:
            with self._changed:
                self._ended = True
                self._changed.notify()

    def take(self) -> tuple[Arrived, ...] | None:
        """The last frames, as soon as there are others than at the last call; None at the end.

        Raises:
            Exception: that with which reading has ended.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._fresh or self._ended)
            if not self._fresh:
                if self._failure is not None:
                    raise self._failure
                return None
            self._fresh = False
            return self._ring.newest()

    def leave(self) -> None:
        """Say that nobody wants further frames."""
        with self._changed:
            self._unwanted = True


def _threaded(frames: Stream, clips: ClipSampling) -> Generator[tuple[Arrived, ...], None, None]:
    """Yield the last frames whenever there are new ones; they are read in a thread."""
    shared = _Shared(Ring(clips.span_seconds + clips.step_seconds))
    reader = threading.Thread(target=shared.fill, args=(frames,), name="stream", daemon=True)
    reader.start()
    try:
        while (kept := shared.take()) is not None:
            yield kept
    finally:
        shared.leave()
        reader.join(_JOIN)


def _paced(frames: Stream) -> Stream:
    """Hold each frame back until its time."""
    began = time.monotonic()
    with closing(frames):
        for frame in frames:
            time.sleep(max(0.0, began + frame.time - time.monotonic()))
            yield replace(frame, arrival=time.monotonic())


def _prediction(predictor: Predictor, kept: tuple[Arrived, ...], count: int) -> LivePrediction:
    """The prediction of the clip that ends with the newest frame."""
    scores = predictor.scores(DecodedSplit([newest_clip(kept, predictor.preprocessing.clips)]), 1)
    shares = scores.reshape(-1, scores.shape[-1])[-1]  # of a head for each frame, those of the last frame
    return LivePrediction(
        time=kept[-1].time,
        labels=tuple(likeliest(predictor.classes, shares, count)),
        latency=time.monotonic() - kept[-1].arrival,
    )


def newest_clip(kept: tuple[Arrived, ...], clips: ClipSampling) -> Decoded:
    """The frames as a video whose centre clip ends with the newest of them.

    If they are too few for a clip, the video is as long as they are, so that the clip is looped.
    """
    times = np.array([frame.time for frame in kept])
    usual = float(np.median(np.diff(times))) if len(times) > 1 else _FIRST_SECONDS
    begin, seconds = (
        times[-1] - clips.span_seconds - clips.step_seconds / 2,
        clips.span_seconds + clips.step_seconds,
    )
    if times[0] > times[-1] - clips.span_seconds + usual / 2:
        begin, seconds = times[0], times[-1] - times[0] + usual
    begins = boundaries(times) - begin
    edges = np.concatenate(([0.0], begins, [seconds]))
    pixels = np.stack([frame.pixels for frame in kept])
    height, width = pixels.shape[1:3]
    return Decoded(
        info=VideoInfo(seconds=seconds, frames=len(kept), fps=1 / usual, width=width, height=height),
        times=times - begin,
        spans=np.stack((edges[:-1], edges[1:]), axis=1),
        frames=pixels,
    )


def _frames(source: str, short_side: int) -> Stream:
    """Yield the frames of a source as they arrive, scaled down; it is opened and closed by who reads them.

    Raises:
        UserError: it cannot be opened, or there is no video in it.
        RunFailed: it cannot be read any further.
    """
    shrink: Shrinker | None = None
    first, last = 0.0, -math.inf
    with _opened(source) as container:
        try:
            with blaming():
                for frame in container.decode(video_stream(container)):
                    arrival = time.monotonic()
                    now = arrival if frame.time is None else frame.time
                    if shrink is None:
                        shrink, first = Shrinker(frame, short_side=short_side), now
                    elif now <= last:  # the clock was set back, as when a camera starts again
                        first -= last - now + _FIRST_SECONDS
                    last = now
                    pixels = np.empty(shrink.shape, np.uint8)
                    shrink(frame, pixels)
                    yield Arrived(time=now - first, pixels=pixels, arrival=arrival)
        except BadVideo as bad:
            if shrink is None:
                raise UserError(f"{source} must have a video that can be read, but: {bad}.") from None
            raise RunFailed(f"{source} cannot be read any further: {bad}.") from None
    if shrink is None:
        raise UserError(f"{source} must have a video that can be read, but it has no frames.")


@contextmanager
def _opened(source: str) -> Iterator[InputContainer]:
    """Open a camera, an address, the standard input or a file.

    Raises:
        UserError: it cannot be opened.
    """
    try:
        with blaming():
            container = _open(source)
    except BadVideo as bad:
        hint = (
            "a pipe needs a format that can be read from front to back, such as Matroska or MPEG-TS"
            if source == PIPE
            else "look at the number, the address or the path"
        )
        raise UserError(f"{source} must be a video that can be opened, but: {bad}; {hint}.") from None
    with container:
        yield container


def _open(source: str) -> InputContainer:
    if source == PIPE:
        return av.open(sys.stdin.buffer, "r")
    if source.isdecimal():
        if sys.platform not in _CAMERAS:
            raise UserError(
                f"a camera by its number is known on {' and '.join(_CAMERAS)}, not on {sys.platform}: give "
                "an address, or a pipe."
            )
        form, name = _CAMERAS[sys.platform]
        return av.open(name.format(source), "r", format=form)
    if _ADDRESS.match(source):
        options = {"rtsp_transport": "tcp"} if source.lower().startswith("rtsp") else {}
        return av.open(source, "r", options=options)
    return open_video(Path(source))
