"""Synthetic videos drawn from a seed: a data set without a download, in which every axis can gain accuracy.

Twelve classes in six pairs. The pair can be seen in one small frame; telling its two classes apart takes time
or detail. The detail is fine, not gone, in a frame of 32 pixels: an X3D network as small as that is at chance
on it, a convolution at full resolution is not.

    pair      one class     the other      needs
    rain      falling       rising         two frames
    orbit     slow          fast           two frames that are close in time
    lamps     upper first   lower first    a clip that spans both flashes
    beacon    slow          fast           a frame rate above the blinking's
    patch     level         upright        a size at which fine stripes are still seen
    glyphs    pluses        crosses        a size at which small strokes are still seen

Background, colours, contrast, positions, sizes, distractors and noise are nuisance variables with the same
distribution in both classes of a pair: a video's random numbers do not depend on its label, which only
decides what they are mapped to. Flipping left to right or cropping the border changes no class.

Scenes are functions of continuous time, sampled at 10 frames a second: enough for the fastest, and the whole
set is then small.

Lengths are fractions of the frame's side, times are seconds, colours are in 0..1.
Shapes: N frames, H × W pixels, 3 channels; a scene is (N, H, W) of ink, the share of the drawing's colour.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from expand.config.data import SyntheticConfig
from expand.data.base import (
    SEARCHED,
    SPLITS,
    BadVideo,
    Decoded,
    Frames,
    Item,
    Moments,
    SplitName,
    VideoInfo,
)
from expand.data.nearest import nearest_frames

VERSION = 2  # of the generator; to be raised with any change of what is drawn
FPS = 10
CLASSES = (
    "rain-falling",
    "rain-rising",
    "orbit-slow",
    "orbit-fast",
    "lamps-upper-first",
    "lamps-lower-first",
    "beacon-slow",
    "beacon-fast",
    "patch-level",
    "patch-upright",
    "glyphs-plus",
    "glyphs-cross",
)

_FRAMES = (20, 28)  # the least and most frames of a video: 2 to 2.8 s
_NOISE_MARGIN = 32  # pixels by which the noise is larger than the frame, as it is shifted from frame to frame

Floats = NDArray[np.float32]


@dataclass(frozen=True, kw_only=True, slots=True)
class SyntheticSource:
    """Videos drawn on the fly; each depends on the seed, its split and its number alone.

    source = SyntheticSource(config=SyntheticConfig())
    source.splits["train"][3]     # Item(key="train/000003", label=3)

    Attributes:
        config: numbers of videos, size and seed.
        shown: the splits that are not empty.
    """

    config: SyntheticConfig
    shown: tuple[SplitName, ...] = SEARCHED

    @property
    def name(self) -> str:
        return "synthetic"

    @property
    def classes(self) -> tuple[str, ...]:
        return CLASSES

    @property
    def splits(self) -> dict[SplitName, tuple[Item, ...]]:
        return {
            split: tuple(
                Item(key=f"{split}/{index:06d}", label=index % len(CLASSES))
                for index in range(self._count(split) if split in self.shown else 0)
            )
            for split in SPLITS
        }

    def only(self, splits: Sequence[SplitName]) -> SyntheticSource:
        """See `Source.only`."""
        return replace(self, shown=tuple(split for split in self.shown if split in splits))

    def checksum(self) -> str:
        decides = {"generator": VERSION, "classes": CLASSES, **self.config.model_dump(mode="json")}
        if "test" not in self.shown:  # its number of clips decides nothing
            del decides["test"]
        if self.shown != SEARCHED:
            decides["splits"] = self.shown
        return hashlib.sha256(json.dumps(decides, sort_keys=True).encode()).hexdigest()

    def inspect(self, item: Item) -> VideoInfo:
        frames = _length(self._generator(item))
        size = self.config.size
        return VideoInfo(seconds=frames / FPS, frames=frames, fps=float(FPS), width=size, height=size)

    def read(self, items: Sequence[Item], moments: Moments, *, short_side: int) -> list[Decoded | BadVideo]:
        """See `Source.read`."""
        drawn: list[Decoded | BadVideo] = []
        for item in items:
            try:
                drawn.append(self._draw(item, moments, short_side))
            except BadVideo as error:
                drawn.append(error)
        return drawn

    def _draw(self, item: Item, moments: Moments, short_side: int) -> Decoded:
        info = self.inspect(item)
        times = np.arange(info.frames) / FPS
        chosen, spans = nearest_frames(times, info.seconds, moments(info.seconds))
        rng = self._generator(item)
        frames = render(rng, item.label, chosen, _length(rng), self.config.size)
        pixels = _to_bytes(_reduce(frames, short_side) if short_side < self.config.size else frames)
        return Decoded(info=info, times=times[chosen], spans=spans, frames=pixels)

    def _count(self, split: str) -> int:
        return {"train": self.config.train, "val": self.config.val, "test": self.config.test}.get(split, 0)

    def _generator(self, item: Item) -> np.random.Generator:
        split, _, number = item.key.partition("/")
        if split not in SPLITS or not number.isdecimal() or int(number) >= self._count(split):
            raise BadVideo("missing", item.key)
        return np.random.default_rng((self.config.seed, SPLITS.index(split), int(number)))


def render(rng: np.random.Generator, label: int, shown: NDArray[np.int64], length: int, size: int) -> Floats:
    """Draw the frames at the indices `shown` of a video of `length` frames: (N, H, W, 3) in 0..1."""
    # Each part has its own generator, so that a change of one part leaves the others' random numbers alone.
    scene_rng, backdrop_rng, grain_rng = rng.spawn(3)
    backdrop = _backdrop(backdrop_rng, size)  # (H, W, 3)
    colour = _colour(backdrop_rng, backdrop)  # (3,)
    scene = _SCENES[label // 2]
    ink = scene(scene_rng, bool(label % 2), shown / FPS, length / FPS, size)
    frames = ink[..., None] * (colour - backdrop)
    frames += backdrop
    _add_grain(grain_rng, frames, shown, length)
    return np.clip(frames, 0, 1, out=frames)


# --- The six pairs. `second` is the second class of a pair. Both classes draw the same random numbers.


def _rain(
    rng: np.random.Generator, second: bool, t: NDArray[np.float64], _seconds: float, size: int
) -> Floats:
    """Bars side by side that all move down or all move up, and reappear at the other side."""
    x, y = _axes(size)
    speed = rng.uniform(0.2, 0.34) * (-1 if second else 1)
    ink = np.zeros((len(t), size, size), np.float32)
    for column in range(3):
        width, height = rng.uniform(0.08, 0.12), rng.uniform(0.04, 0.06)
        centre = 0.2 + 0.3 * column + rng.uniform(-0.05, 0.05)
        way = 1 + 2 * height  # until the bar is out of sight
        position = (rng.uniform(0, way) + speed * t) % way - height
        across = _within(x - centre, width, size)  # (W,)
        along = _within(y[None, :] - position[:, None], height, size)  # (N, H)
        ink += along[:, :, None] * across
    return np.minimum(ink, 1)


def _orbit(
    rng: np.random.Generator, second: bool, t: NDArray[np.float64], _seconds: float, size: int
) -> Floats:
    """A moon on a thin ring, in a random sense of rotation."""
    x, y = _axes(size)
    cx, cy = rng.uniform(0.4, 0.6, 2)
    radius, moon = rng.uniform(0.22, 0.29), rng.uniform(0.07, 0.09)
    share, sense = rng.uniform(), rng.choice((-1, 1))
    turns = (0.7 + 0.5 * share) if second else (0.08 + 0.17 * share)  # a second
    angle = 2 * np.pi * (rng.uniform() + sense * turns * t)
    mx, my = cx + radius * np.cos(angle), cy + radius * np.sin(angle)
    ink = _disc(x - mx[:, None], y - my[:, None], moon, size)
    ring = 0.6 * _ring(x - cx, y - cy, radius, 0.015, size)
    return np.asarray(np.maximum(ink, ring, out=ink))


def _lamps(
    rng: np.random.Generator, second: bool, t: NDArray[np.float64], seconds: float, size: int
) -> Floats:
    """Two square lamps, one above the other, that each flash once."""
    x, y = _axes(size)
    cx, cy = rng.uniform(0.3, 0.7), rng.uniform(0.45, 0.55)
    gap, half = rng.uniform(0.17, 0.22), rng.uniform(0.1, 0.12)
    early, late = rng.uniform(0.26, 0.3) * seconds, rng.uniform(0.7, 0.74) * seconds
    lit = rng.uniform(0.5, 0.65)  # seconds
    flashes = [_within(t - when, lit / 2, 12) for when in (early, late)]
    if second:
        flashes.reverse()
    ink = np.zeros((len(t), size, size), np.float32)
    for sign, flash in zip((-1, 1), flashes, strict=True):
        outer = _box(x - cx, y - cy - sign * gap, half, half, size)
        inner = _box(x - cx, y - cy - sign * gap, half - 0.03, half - 0.03, size)
        ink += outer - inner + flash[:, None, None] * inner
    return ink


def _beacon(
    rng: np.random.Generator, second: bool, t: NDArray[np.float64], _seconds: float, size: int
) -> Floats:
    """A disc in a ring that pulses."""
    x, y = _axes(size)
    cx, cy = rng.uniform(0.35, 0.65, 2)
    radius = rng.uniform(0.12, 0.17)
    share, phase = rng.uniform(), rng.uniform()
    period = (0.33 + 0.22 * share) if second else (1.1 + 0.7 * share)
    pulse = 0.55 + 0.45 * np.sin(2 * np.pi * (phase + t / period))
    inside = _disc(x - cx, y - cy, radius, size)
    ring = _ring(x - cx, y - cy, radius + 0.06, 0.02, size)
    return pulse.astype(np.float32)[:, None, None] * inside + ring


def _patch(
    rng: np.random.Generator, second: bool, t: NDArray[np.float64], _seconds: float, size: int
) -> Floats:
    """A large patch with fine stripes, level or upright."""
    x, y = _axes(size)
    cx, cy = rng.uniform(0.4, 0.6, 2)
    half = rng.uniform(0.25, 0.32)
    pitch, strip, phases = rng.uniform(3.6, 5.2) / 96, 9 / 96, rng.uniform(0, 1, 100)
    # In strips of random phase, so that they alias to less of a pattern in small frames.
    stripes = np.sin(2 * np.pi * (y[:, None] / pitch + phases[(x / strip).astype(int)]))  # level
    stripes = np.clip(1.5 * stripes, -1, 1)
    patch = _box(x - cx, y - cy, half, half, size)
    return _swayed(rng, (patch * (0.5 + 0.5 * (stripes.T if second else stripes))).astype(np.float32), t)


def _glyphs(
    rng: np.random.Generator, second: bool, t: NDArray[np.float64], _seconds: float, size: int
) -> Floats:
    """Small pluses or crosses, scattered."""
    x, y = _axes(size)
    ink = np.zeros((1, size, size), np.float32)
    cells = rng.permutation(16)[:12]
    arm, stroke = rng.uniform(4.2, 7.4) / 96, 1.2 / 96
    for cell in cells:
        cx, cy = 0.17 + 0.22 * np.array([cell % 4, cell // 4]) + rng.uniform(-0.05, 0.05, 2)
        u, v = x - cx, (y - cy)[:, None]
        if second:
            u, v = (u + v) * math.sqrt(0.5), (u - v) * math.sqrt(0.5)
        bars = [_within(u, a, size) * _within(v, b, size) for a, b in ((arm, stroke), (stroke, arm))]
        np.maximum(ink, np.maximum(*bars), out=ink)
    return _swayed(rng, ink, t)


Scene = Callable[[np.random.Generator, bool, NDArray[np.float64], float, int], Floats]
_SCENES: tuple[Scene, ...] = (_rain, _orbit, _lamps, _beacon, _patch, _glyphs)


# --- Used by all scenes.


def _length(rng: np.random.Generator) -> int:
    """Draw the number of frames of a video, its first random number."""
    return int(rng.integers(_FRAMES[0], _FRAMES[1] + 1))


def _backdrop(rng: np.random.Generator, size: int) -> Floats:
    """Draw a background of smooth coloured clutter and a few shapes, (H, W, 3)."""
    x, y = _axes(size)
    picture = np.full((size, size, 3), 0.5, np.float32)
    for cells, strength in ((2, 0.12), (4, 0.07), (9, 0.04)):
        weights = _stretch(cells, size)
        field = rng.normal(0, strength, (cells, cells, 3)).astype(np.float32)
        picture += np.einsum("hi,ijc,wj->hwc", weights, field, weights, optimize=True)
    for _ in range(4):
        cx, cy = rng.uniform(0, 1, 2)
        a, b = rng.uniform(0.04, 0.16, 2)
        colour = rng.normal(0.5, 0.15, 3).astype(np.float32)
        shape = _disc(x - cx, y - cy, a, size)[0] if rng.uniform() < 0.5 else _box(x - cx, y - cy, a, b, size)
        picture += 0.7 * shape[..., None] * (colour - picture)
    return picture


def _colour(rng: np.random.Generator, backdrop: Floats) -> Floats:
    """Draw the colour of the ink, lighter than the backdrop, (3,)."""
    contrast = rng.uniform(0.3, 0.45)
    return np.asarray(backdrop.mean((0, 1)) + contrast + rng.normal(0, 0.1, 3), np.float32)


def _add_grain(rng: np.random.Generator, frames: Floats, shown: NDArray[np.int64], length: int) -> None:
    """Add sensor noise to frames in place: one noise picture a video, shifted randomly for each frame."""
    size = frames.shape[1]
    strength = rng.uniform(0.03, 0.08)
    side = size + _NOISE_MARGIN
    grain = rng.standard_normal((side, side, 3), np.float32) * np.float32(strength)
    shifts = rng.integers(0, _NOISE_MARGIN, (length, 2))[shown]
    for frame, (down, right) in zip(frames, shifts, strict=True):
        frame += grain[down : down + size, right : right + size]


def _swayed(rng: np.random.Generator, ink: Floats, t: NDArray[np.float64]) -> Floats:
    """Sway still `ink` by whole pixels, so that it moves as the other scenes do: (N, H, W)."""
    size = ink.shape[-1]
    reach, period, phase = rng.uniform(0, 0.04, 2), rng.uniform(1.5, 4, 2), rng.uniform(0, 1, 2)
    moved = size * reach * np.sin(2 * np.pi * (t[:, None] / period + phase))
    still = ink.reshape(size, size)
    return np.stack([np.roll(still, shift, (0, 1)) for shift in np.rint(moved).astype(int).tolist()])


# --- Antialiased shapes: a pixel's value is the share of it that is covered.


def _axes(size: int) -> tuple[Floats, Floats]:
    """Return the centres of the columns and of the rows of pixels."""
    centres = ((np.arange(size) + 0.5) / size).astype(np.float32)
    return centres, centres


def _within(offset: NDArray[np.floating], half: float, size: int) -> Floats:
    """Return 1 where |offset| is below `half`, else 0, with an edge of one pixel."""
    return np.asarray(np.clip(0.5 + (half - np.abs(offset)) * size, 0, 1), np.float32)


def _box(dx: Floats, dy: Floats, width: float, height: float, size: int) -> Floats:
    """Draw a rectangle (H, W) by the distances to its centre, (W,) and (H,)."""
    return _within(dy, height, size)[:, None] * _within(dx, width, size)


def _disc(dx: NDArray[np.floating], dy: NDArray[np.floating], radius: float, size: int) -> Floats:
    """Draw a disc (N or 1, H, W) by the distances to its centre, (N or 1, W) and (N or 1, H)."""
    dx, dy = np.atleast_2d(dx).astype(np.float32), np.atleast_2d(dy).astype(np.float32)
    squared = (dx * dx)[:, None, :] + (dy * dy)[:, :, None]
    # Near the edge, radius² − d² is about 2 · radius · (radius − d), which needs no square root.
    squared *= -size / (2 * radius)
    squared += 0.5 + radius * size / 2
    return np.clip(squared, 0, 1, out=squared)


def _ring(dx: Floats, dy: Floats, radius: float, half: float, size: int) -> Floats:
    """Draw a ring (1, H, W) that reaches `half` a stroke to each side of the radius."""
    return _disc(dx, dy, radius + half, size) - _disc(dx, dy, radius - half, size)


def _stretch(cells: int, size: int) -> Floats:
    """Return weights (size, cells) that interpolate `cells` values over the frame's side linearly."""
    position = np.linspace(0, cells - 1, size)[:, None]
    return np.asarray(np.clip(1 - np.abs(position - np.arange(cells)), 0, 1), np.float32)


def _reduce(frames: Floats, side: int) -> Floats:
    """Scale to `side` pixels by area averaging, so that fine detail is lost and does not alias."""
    size = frames.shape[1]
    edges = np.arange(side) * (size / side)
    starts, ends = edges[:, None], edges[:, None] + size / side
    pixels = np.arange(size)
    cover = np.clip(np.minimum(ends, pixels + 1) - np.maximum(starts, pixels), 0, None)
    weights = (cover * (side / size)).astype(np.float32)  # (side, size)
    rows = np.tensordot(frames, weights, axes=(1, 1))  # (N, W, 3, side)
    return np.asarray(np.tensordot(rows, weights, axes=(1, 1)).transpose(0, 2, 3, 1))


def _to_bytes(frames: Floats) -> Frames:
    return (frames * 255 + 0.5).astype(np.uint8)
