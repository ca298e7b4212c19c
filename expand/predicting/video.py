"""Predicts what a video in a file shows: as a whole, or over time.

A moment of a long video is predicted from the clip around it, which is taken as a video of its own; at the
video's ends it is the first or the last clip that fits. A network with a head for each frame sees clip after
clip, and its probabilities are interpolated between their frames.

Shapes: M moments, C classes, T frames in a clip.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from expand.data import video
from expand.data.base import BadVideo, Cut, Decoded, Frames
from expand.data.cache_needs import EvenClips
from expand.data.decoded_split import DecodedSplit
from expand.full.scores import MOMENTS, interpolated
from expand.predicting.predictor import Predictor, load_predictor
from expand.system.errors import UserError
from expand.system.units import parse_nanoseconds
from search_spaces.base import Json

Part = TypeVar("Part", Cut, None)

PART = 256 << 20  # the most bytes of frames in memory at a time
_PICTURES, _PICTURE_SIDE = 8, 200  # frames that are shown of a video, and their short side in pixels
_VIEWS = 10  # clips of a video, unless the user says otherwise


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Prediction:
    """What a network says of a video.

    Attributes:
        video: the file, or a folder of pictures.
        seconds: duration of the video.
        classes: (C,) the names of the classes.
        times: (M,) the moments, in seconds from the start; of a video as a whole one, its middle.
        probabilities: (M, C) of each class at each moment.
    """

    video: Path
    seconds: float
    classes: tuple[str, ...]
    times: NDArray[np.float64]
    probabilities: NDArray[np.float64]

    @property
    def label(self) -> str:
        """The most likely class, over all moments."""
        return self.top(1)[0][0]

    @property
    def probability(self) -> float:
        """The probability of the most likely class, over all moments."""
        return self.top(1)[0][1]

    def top(self, count: int, moment: int | None = None) -> list[tuple[str, float]]:
        """The most likely classes with their probabilities, the likeliest first.

        Args:
            count: how many.
            moment: index of a moment; None: by the mean over all moments.
        """
        shares = self.probabilities.mean(axis=0) if moment is None else self.probabilities[moment]
        return likeliest(self.classes, shares, count)

    def to_json(self, count: int) -> Json:
        """The most likely classes, as JSON: of the whole, or of each moment if there are several."""
        values: Json = {"video": str(self.video), "seconds": round(self.seconds, 4)}
        if len(self.times) == 1:
            return values | {"labels": listed(self.top(count))}
        return values | {
            "moments": [
                {"time": round(time, 4), "labels": listed(self.top(count, moment))}
                for moment, time in enumerate(self.times.tolist())
            ]
        }

    def __repr__(self) -> str:
        shown = ", ".join(f"{name} {share:.1%}" for name, share in self.top(3))
        over = f", {len(self.times)} moments" if len(self.times) > 1 else ""
        return f"Prediction({self.video.name}: {shown}{over})"


def likeliest(classes: Sequence[str], shares: NDArray[np.float64], count: int) -> list[tuple[str, float]]:
    """The most likely of (C,) classes with their probabilities, the likeliest first."""
    order = np.argsort(-shares, kind="stable")[:count]
    return [(classes[index], float(shares[index])) for index in order.tolist()]


def listed(top: Sequence[tuple[str, float]]) -> list[Json]:
    """Classes with their probabilities, as JSON."""
    return [{"label": name, "probability": round(share, 6)} for name, share in top]


def predict(
    model: str | Path | Predictor,
    path: str | Path,
    *,
    views: int | tuple[int, int] = _VIEWS,
    every: float | None = None,
    fps: float | None = None,
) -> Prediction:
    """What a network says of a video.

    predict("results/x3d-s-clips", "jump.mp4").label                 # "jump"
    predict("net.onnx", "day.mp4", every=1.0).probabilities          # (seconds, classes)

    Args:
        model: a model file, the folder of a full training or of a run with one model, an ONNX file of xpand,
            or what `expand.load_predictor` has opened, which saves time where there are many videos.
        path: a video, or a folder of pictures.
        views: clips of the video whose probabilities are averaged, or (clips, crops) with 1 or 3 crops.
        every: seconds from one moment to the next, for probabilities over time; None: of the whole video. A
            network with a head for each frame always gives them over time, by default for 25 moments.
        fps: the frame rate of a folder of pictures.

    Raises:
        UserError: there is no such model or video, or it cannot be used.
        RunFailed: a probability is not finite.
    """
    predictor = model if isinstance(model, Predictor) else load_predictor(model)
    found = predicted(
        predictor, Path(path), views=(views, 1) if isinstance(views, int) else views, every=every, fps=fps
    )
    if isinstance(found, BadVideo):
        raise UserError(f"{path} must be a video that can be read, but: {found}; give another.")
    return found


def predicted(
    predictor: Predictor,
    path: Path,
    *,
    views: tuple[int, int] = (_VIEWS, 1),
    every: float | None = None,
    fps: float | None = None,
) -> Prediction | BadVideo:
    """As `predict`; a video that cannot be used is returned as BadVideo, not raised."""
    per_frame = predictor.preprocessing.head == "frame"
    if every is None and not per_frame:
        return _whole(predictor, path, views, fps)
    (first,) = video.read(path, [None], lambda _: np.zeros(1), short_side=1, fps=fps)
    if isinstance(first, BadVideo):
        return first
    seconds = first.info.seconds
    moments = np.arange(MOMENTS) * seconds / MOMENTS if every is None else np.arange(0, seconds, every)
    width = predictor.preprocessing.clips.span_seconds + predictor.preprocessing.clips.step_seconds
    if per_frame:
        parts = consecutive(path, seconds, width)
    else:
        parts = [around(path, moment, seconds, width) for moment in moments.tolist()]
    scores: list[NDArray[np.float64]] = []
    times: list[NDArray[np.float64]] = []
    clips = EvenClips(sampling=predictor.preprocessing.clips, clips=1)
    for cuts, decoded in _read(predictor, path, parts, clips, fps):
        bad = next((one for one in decoded if isinstance(one, BadVideo)), None)
        if bad is not None:
            return bad
        good = [one for one in decoded if not isinstance(one, BadVideo)]
        scores.append(predictor.scores(DecodedSplit(good), 1))
        times += [cut.start + clips.times(one.info.seconds) for cut, one in zip(cuts, good, strict=True)]
    found = np.concatenate(scores)
    if per_frame:
        found = interpolated(moments, np.concatenate(times), found.reshape(-1, found.shape[-1]))
    return Prediction(
        video=path, seconds=seconds, classes=predictor.classes, times=moments, probabilities=found
    )


def around(path: Path, moment: float, seconds: float, width: float) -> Cut:
    """The part of a video of `seconds` around a moment, `width` seconds long where the video is as long."""
    start = min(max(0.0, moment - width / 2), max(0.0, seconds - width))
    return Cut(file=path.name, start=start, end=start + width)


def consecutive(path: Path, seconds: float, width: float) -> list[Cut]:
    """The parts of a video of `seconds`, one after the other, of about `width` seconds each."""
    count = max(1, round(seconds / width))
    ends = np.linspace(0.0, seconds, count + 1).tolist()
    return [Cut(file=path.name, start=begin, end=end) for begin, end in pairwise(ends)]


def pictures(path: Path, count: int = _PICTURES, *, fps: float | None = None) -> list[Frames]:
    """Frames of a video, (H, W, 3) each, in the middles of `count` equal parts of it.

    Raises:
        UserError: the video cannot be used.
    """

    def middles(seconds: float) -> NDArray[np.float64]:
        return (np.arange(count) + 0.5) * seconds / count

    (found,) = video.read(path, [None], middles, short_side=_PICTURE_SIDE, fps=fps)
    if isinstance(found, BadVideo):
        raise UserError(f"{path} must be a video that can be read, but: {found}; give another.")
    return [found.frames[index] for index in found.nearest(middles(found.info.seconds)).tolist()]


def parse_every(text: str) -> float:
    """The seconds of a text such as `1s` or `500ms`.

    Raises:
        UserError: it is no time above 0.
    """
    found = parse_nanoseconds(text)
    if found is None:
        raise UserError(f"--every must be a time such as 1s or 500ms, got {text!r}.")
    return found / 1e9


def _whole(
    predictor: Predictor, path: Path, views: tuple[int, int], fps: float | None
) -> Prediction | BadVideo:
    """The mean of the probabilities of a video's views."""
    clips = EvenClips(sampling=predictor.preprocessing.clips, clips=views[0])
    ((_, (decoded,)),) = _read(predictor, path, [None], clips, fps)
    if isinstance(decoded, BadVideo):
        return decoded
    scores = predictor.scores(DecodedSplit([decoded]), *views)
    return Prediction(
        video=path,
        seconds=decoded.info.seconds,
        classes=predictor.classes,
        times=np.array([decoded.info.seconds / 2]),
        probabilities=scores.mean(axis=0, keepdims=True),
    )


def _read(
    predictor: Predictor, path: Path, parts: Sequence[Part], clips: EvenClips, fps: float | None
) -> Iterator[tuple[Sequence[Part], list[Decoded | BadVideo]]]:
    """Decode the frames of clips of parts of a video, as many parts at a time as fit into PART bytes.

    A part that is None is the whole video.
    """
    short = predictor.preprocessing.short_side
    each = 3 * 2 * short * short * clips.clips * clips.sampling.frames  # frames twice as long as high
    at_a_time = max(1, PART // each)
    for first in range(0, len(parts), at_a_time):
        some = parts[first : first + at_a_time]
        yield (
            some,
            video.read(
                path, some, lambda seconds: np.unique(clips.times(seconds)), short_side=short, fps=fps
            ),
        )
