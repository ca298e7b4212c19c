"""What is made of a video before a network sees it, as validations and tests do it (expand/data/clips.py)."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from expand.data.base import MEAN, STD
from expand.training.prediction import Activation
from expand.weights.models import Model
from search_spaces.base import ClipSampling


@dataclass(frozen=True, kw_only=True, slots=True)
class Preprocessing:
    """How a clip is made of a video, for one view.

    Attributes:
        clips: the frames of a clip, and its size.
        short_side: frames are scaled down to this short side by area averaging, in pixels; never enlarged.
        scale: short side of such a frame as a multiple of the centre crop, which is then scaled to the size.
        activation: what makes probabilities of logits: softmax, or sigmoid for several labels a video.
        head: whether logits are for each clip, or for each frame of a clip.
    """

    clips: ClipSampling
    short_side: int
    scale: float
    activation: Activation
    head: Literal["clip", "frame"] = "clip"

    @classmethod
    def of(cls, model: Model) -> Preprocessing:
        """That of a model: frames as large as in its training, or else as in the released recipe."""
        low, high = model.jitter
        return cls(
            clips=model.sampling,
            short_side=round(model.sampling.size * high),
            scale=low,
            activation="sigmoid" if model.several_labels else "softmax",
            head=model.head,
        )

    @classmethod
    def read(cls, values: Mapping[str, Any]) -> Preprocessing:
        """That of `values`, texts or numbers by the names in `values` (the method).

        Raises:
            KeyError, ValueError, TypeError: a value is missing or wrong.
        """
        numbers = {key: int(values[key]) for key in ("frames", "stride", "size")}
        if values["activation"] not in ("softmax", "sigmoid") or values["head"] not in ("clip", "frame"):
            raise ValueError(f"activation {values['activation']!r} or head {values['head']!r} is not known")
        if (float(values["mean"]), float(values["std"])) != (MEAN, STD):
            raise ValueError(f"mean {values['mean']} and std {values['std']} are not {MEAN} and {STD}")
        return cls(
            clips=ClipSampling(**numbers, fps=float(values["fps"])),
            short_side=int(values["short_side"]),
            scale=float(values["scale"]),
            activation=values["activation"],
            head=values["head"],
        )

    def values(self) -> dict[str, Any]:
        """All that a program needs, for an exported file's metadata and its card."""
        return {
            "frames": self.clips.frames,
            "stride": self.clips.stride,
            "fps": self.clips.fps,
            "short_side": self.short_side,
            "scale": self.scale,
            "size": self.clips.size,
            "mean": MEAN,
            "std": STD,
            "activation": self.activation,
            "head": self.head,
        }

    def words(self) -> Iterator[str]:
        """Sentences for the card."""
        clips = self.clips
        if clips.frames > 1:
            yield (
                f"Times: {clips.frames} frames, {clips.step_seconds:.4g} s apart (stride / fps), whatever "
                "the video's own frame rate; of each time the nearest frame. The clip lies in the middle of "
                "the video; of several clips, each starts in the middle of an equal part of the starts that "
                "fit. A video that is shorter than the clip is looped."
            )
        else:
            yield "Time: one frame, from the middle of the video."
        yield (
            f"Frames: RGB, scaled down by area averaging to a short side of {self.short_side} pixels; "
            f"smaller ones stay as they are. Of them the centre square is taken, {_share(self.scale)} of "
            f"the short side, and scaled bilinearly, with antialiasing, to {clips.size}×{clips.size}."
        )
        yield f"Values: from 0 to 1, then minus {MEAN} and divided by {STD}, in every channel."
        yield f"Probabilities are the {self.activation} of the logits; over several clips, their mean."


def _share(scale: float) -> str:
    return "all" if scale == 1 else f"1/{scale:.6g}"


def metadata(
    name: str, classes: tuple[str, ...], preprocessing: Preprocessing, version: str
) -> dict[str, str]:
    """The metadata of an exported file: texts by their keys.

    Args:
        name: of the network.
        classes: in the order of the outputs.
        preprocessing: what the network must be given.
        version: of xpand.
    """
    values = {"name": name, "xpand": version, "classes": json.dumps(classes), **preprocessing.values()}
    return {key: str(value) for key, value in values.items()}
