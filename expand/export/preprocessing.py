"""What is made of a video before a network sees it, as validations and tests do it (expand/data/clips.py)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from expand.config.full import released_jitter
from expand.data.base import MEAN, STD
from expand.full.testing import jitter_of
from expand.weights.models import Model
from search_spaces.base import ClipSampling


@dataclass(frozen=True, kw_only=True, slots=True)
class Preprocessing:
    """How a clip is made of a video, for one view.

    Attributes:
        clips: the frames of a clip, and its size.
        short_side: of a frame before the centre crop, in pixels.
        activation: what makes probabilities of logits: softmax, or sigmoid for several labels a video.
    """

    clips: ClipSampling
    short_side: int
    activation: str

    @classmethod
    def of(cls, model: Model) -> Preprocessing:
        """That of a model: frames as large as in its training, or else as in the released recipe."""
        low, _ = jitter_of(model) or released_jitter(model.sampling)
        return cls(
            clips=model.sampling,
            short_side=round(low * model.sampling.size),
            activation="sigmoid" if model.several_labels else "softmax",
        )

    def metadata(self) -> dict[str, object]:
        """The values that a program needs, for the metadata of an exported file."""
        return {
            "frames": self.clips.frames,
            "stride": self.clips.stride,
            "fps": self.clips.fps,
            "short_side": self.short_side,
            "size": self.clips.size,
            "mean": MEAN,
            "std": STD,
            "activation": self.activation,
        }

    def words(self) -> Iterator[str]:
        """Sentences for the card."""
        clips = self.clips
        if clips.frames > 1:
            yield (
                f"Times: {clips.frames} frames, {clips.step_seconds:.4g} s apart, whatever the video's own "
                "frame rate; of each time the frame that is shown then. The clip lies in the middle of the "
                "video; of several clips, each starts in the middle of an equal part of the starts that fit. "
                "A video that is shorter than the clip is looped."
            )
        else:
            yield "Time: one frame, from the middle of the video."
        yield (
            f"Frames: RGB, scaled bilinearly with antialiasing so that the short side has {self.short_side} "
            f"pixels, of which the centre {clips.size}×{clips.size} are taken."
        )
        yield f"Values: from 0 to 1, then minus {MEAN} and divided by {STD}, in every channel."
        yield f"Probabilities are the {self.activation} of the logits; over several clips, their mean."
