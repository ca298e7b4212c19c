"""The interfaces of a search space: spaces, axes, clips and costs.

A space of your own is a class with the members of `SearchSpace`, an axis of your own one with those of
`Axis`. Neither needs to inherit anything. `search_spaces.conformance` holds the tests that both must pass.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

if TYPE_CHECKING:
    from torch import Tensor, nn

Json = dict[str, Any]
P = TypeVar("P")  # a point of the space, such as the six factors of X3D
A = TypeVar("A")  # an architecture: everything that fixes the network, as integers


@dataclass(frozen=True, kw_only=True, slots=True)
class ClipSampling:
    """The clips that a network takes of a video: number of frames, their distance and size.

    Attributes:
        frames: frames in a clip.
        stride: distance between two frames of a clip, in frames of a video with `fps` frames a second.
            A video with another frame rate is sampled at the same times, not at the same indices.
        size: side of the square crop, in pixels.
        fps: the frame rate that `stride` counts in.
    """

    frames: int
    stride: int
    size: int
    fps: float = 30.0

    def __post_init__(self) -> None:
        for name in ("frames", "stride", "size", "fps"):
            value = getattr(self, name)
            if not value > 0:
                raise ValueError(f"{name} must be above 0, got {value!r}.")

    @property
    def step_seconds(self) -> float:
        """Seconds between two frames of a clip."""
        return self.stride / self.fps

    @property
    def span_seconds(self) -> float:
        """Seconds from the first frame of a clip to its last."""
        return (self.frames - 1) * self.step_seconds

    def __str__(self) -> str:
        return f"{self.frames}×{self.stride}, {self.size}²"


@dataclass(frozen=True, kw_only=True, slots=True)
class StageComplexity:
    """The cost of one stage of a network, per clip; units as in `Complexity`."""

    name: str
    macs: int
    params: int
    activations: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Complexity:
    """What a network costs, for one clip (one view) of the size that it was built for.

    Attributes:
        macs: multiply-adds of convolutions and linear layers. Left out: BatchNorm, activations, pooling,
            additions and the products of squeeze-excite. The paper's and SlowFast's "FLOPs" are these.
        params: learned parameters, the affine ones of BatchNorm included.
        activations: elements of convolutions' and linear layers' outputs (Radosavovic et al., CVPR 2020).
        stages: the cost of each stage, in the order of the network; they add up to the above.
    """

    macs: int
    params: int
    activations: int
    stages: tuple[StageComplexity, ...] = ()


class Axis(Protocol[P]):
    """One way to grow a network.

        axis.move(space, point, 3)     # three steps up: never cheaper than two
        axis.move(space, point, 0)     # point
        axis.move(space, point, -1)    # one step down, or None where nothing is below

    Complexity never falls as `steps` grows, and steps are as fine as the space allows, so that a search over
    them finds every distinct architecture along the axis. Many steps may give the same architecture.
    """

    @property
    def name(self) -> str:
        """The axis's name in configs, files and tables: one lower-case word, such as `depth`."""
        ...

    @property
    def label(self) -> str:
        """The axis's name in figures, such as `X-Depth`."""
        ...

    def move(self, space: Any, point: P, steps: int) -> P | None:
        """The point `steps` steps away from `point`, or None where the axis ends before that."""
        ...


@dataclass(frozen=True, kw_only=True, slots=True)
class Symbol:
    """How figures write a factor: a symbol such as `γt`, in the colour of an axis."""

    text: str
    axis: str


@dataclass(frozen=True, kw_only=True, slots=True)
class PublishedSeries:
    """Results that others published, which figures show apart from what was measured.

    Attributes:
        title: the data and the test, such as `Kinetics-400, 10 views`.
        source: a sentence for the caption.
        macs: multiply-adds of one view, by the network's name.
        top1: accuracy from 0 to 1, by the network's name.
    """

    title: str
    source: str
    macs: Mapping[str, int]
    top1: Mapping[str, float]


@dataclass(frozen=True, kw_only=True, slots=True)
class Presentation:
    """How figures and reports write about a space. A space may have one as its member `presentation`.

    Attributes:
        start: the name of the start.
        symbols: the factors' symbols, by the factors' names in `point_to_json`.
        factors: the caption of the figure of factors, which explains them and the texts above its points.
        published: published results of networks of this space.
    """

    start: str = "start"
    symbols: Mapping[str, Symbol] = field(default_factory=dict)
    factors: str = "Over the points, what each factor became."
    published: tuple[PublishedSeries, ...] = ()


def presentation_of(space: object) -> Presentation:
    """The space's own presentation, or a general one where it has none."""
    own = getattr(space, "presentation", None)
    return own if isinstance(own, Presentation) else Presentation()


class Growth(Protocol):
    """The method `grow` that a space may have: weights for a network, from those of its parent."""

    def __call__(
        self,
        parent: Any,
        weights: Mapping[str, Tensor],
        child: Any,
        seed: int,
        *,
        residual_start: float = 1.0,
    ) -> dict[str, Tensor]:
        """Return the state dict with which `child` starts.

        If the clips are the same and no part of `child` is smaller, it computes what `parent` computes with
        `weights`: the logits are equal up to rounding, in evaluation and in training mode. A child that was
        contracted keeps parts of its parent, by a rule that the space states.

        Args:
            parent, child: architectures of the space.
            weights: the parent's state dict, which is not changed.
            seed: seeds the fresh weights.
            residual_start: as for `SearchSpace.build`, in what is fresh.
        """
        ...


def growth_of(space: object) -> Growth | None:
    """The space's method `grow`; None: it has none, so its candidates are trained from scratch."""
    own: Growth | None = getattr(space, "grow", None)
    return own


Scaling = Callable[[float], Any]  # from 0, the start, to 1: a point, whose cost never falls on the way


def scalings_of(space: object) -> Mapping[str, Scaling]:
    """How networks of the space are scaled by hand, by short names; empty where it does not say.

    It is the space's member `scalings`.
    """
    own: Mapping[str, Scaling] = getattr(space, "scalings", {})
    return own


@dataclass(frozen=True, kw_only=True, slots=True)
class Part:
    """A part of a network that runs after the one before it, so that their times add up.

    Attributes:
        kind: parts of one kind do the same work, in other amounts.
        work: the amounts by name, such as multiply-adds of a convolution. Summed over the parts of a network,
            none of them falls as the network grows along an axis. The time of a part is taken to be a sum of
            them, each times a factor that is measured.
        count: how many such parts the network has.
    """

    kind: str
    work: Mapping[str, float]
    count: int = 1


Parts = Callable[[Any, int], list[Part]]  # of an architecture, with a number of classes


def parts_of(space: object) -> Parts | None:
    """The space's method `parts`, by which the latency of its networks is predicted; None: it has none.

    It takes an architecture and the number of classes. It is called for every network that a search looks at,
    so it should take no more than a few hundred microseconds.
    """
    own: Parts | None = getattr(space, "parts", None)
    return own


Peak = Callable[[Any, int], int]  # an architecture and a number of classes: elements


def peak_of(space: object) -> Peak | None:
    """The space's method `peak`; None: it has none.

    It takes an architecture and the number of classes, and returns how many elements of activations are in
    memory at once at most while the network sees one clip and nothing is kept for gradients. The number must
    not fall along an axis.
    """
    own: Peak | None = getattr(space, "peak", None)
    return own


class SearchSpace(Protocol[P, A]):
    """A family of video networks that can be grown along axes.

        space = X3DSpace()
        architecture = space.architecture(space.start)          # integers: two equal ones are one network
        space.complexity(architecture, num_classes=10).macs     # closed form, under 50 µs, no torch
        space.sampling(space.start)                             # the clips that the network sees
        network = space.build(architecture, num_classes=10)     # torch is imported here
        network(space.example(architecture, 2))                 # (2, 10)
        larger = space.resized(architecture, 182)               # the same network, for larger clips
        network(space.example(larger, 2))                       # (2, 10) as before

    Values are frozen and hashable. `architecture_to_json` and `architecture_from_json` are inverse to each
    other, and so are `point_to_json` and `point_from_json`: jobs and model files are made of them.
    A space may also have a member `presentation` (see `Presentation`), for figures; a method `grow` (see
    `Growth`), by which candidates start from what the network that they were grown from has learned;
    `scalings`, the proportions by which its networks are scaled where nothing is searched (`scalings_of`);
    `peak`, the memory that activations take (`peak_of`); and `parts`, by which latency is predicted
    (`parts_of`).
    """

    @property
    def start(self) -> P:
        """The point where a search starts."""
        ...

    @property
    def axes(self) -> Mapping[str, Axis[P]]:
        """The axes of the space by name, in the order in which they are shown."""
        ...

    def architecture(self, point: P) -> A:
        """The network at a point, with every width, depth and size as an integer."""
        ...

    def sampling(self, point: P) -> ClipSampling:
        """The clips that the network at a point sees."""
        ...

    def resized(self, architecture: A, size: int) -> A:
        """The same network for clips of `size` × `size` pixels: equal weights, another cost.

        Tests with 30 views take larger clips than trainings.
        """
        ...

    def complexity(self, architecture: A, num_classes: int = 400) -> Complexity:
        """The cost of a network for one clip, in closed form; 400 classes, as in Kinetics, by default."""
        ...

    def build(self, architecture: A, num_classes: int, **options: Any) -> nn.Module:
        """The network with fresh weights: (B, 3, T, H, W) float clips to (B, num_classes) logits.

        Options that every space takes: `dropout` (before the classifier) and `residual_start` (the initial
        weight of the last BatchNorm of each residual branch; with 0, the branch adds nothing at first).
        """
        ...

    def example(self, architecture: A, batch: int) -> Tensor:
        """A batch of clips of the shape that the network takes: (B, 3, T, S, S) float32 zeros.

        For timing, tracing and counting, which need the shape but no real videos.
        """
        ...

    def describe(self, point: P) -> Mapping[str, str]:
        """What each factor of a point comes to in whole numbers, for figures and reports.

        Keys are those of `point_to_json`, values short texts such as `stride 24` or `24, 48, 96, 192`.
        """
        ...

    def point_to_json(self, point: P) -> Json: ...

    def point_from_json(self, values: Json) -> P: ...

    def architecture_to_json(self, architecture: A) -> Json: ...

    def architecture_from_json(self, values: Json) -> A: ...
