"""The X3D family as a search space."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

from search_spaces.base import Axis, ClipSampling, Complexity, Json, Part, Presentation, Scaling
from search_spaces.x3d import factors as points
from search_spaces.x3d.architecture import Architecture, architecture
from search_spaces.x3d.axes import AXES
from search_spaces.x3d.complexity import complexity
from search_spaces.x3d.factors import Basis, Factors
from search_spaces.x3d.memory import peak
from search_spaces.x3d.parts import parts
from search_spaces.x3d.scalings import all_alike, in_published_proportions

if TYPE_CHECKING:
    from torch import Tensor

    from search_spaces.x3d.network import X3D


@dataclass(frozen=True, slots=True, init=False)
class X3DSpace:
    """The networks that six factors scale from a basis; the default basis is X2D.

        X3DSpace()
        X3DSpace(size=64, frames=2)      # settings of the basis, as in a config file
        X3DSpace(basis=Basis(size=64))   # or the basis itself

    Two spaces with equal bases are equal.

    Attributes:
        basis: the network and clips where every factor is 1, and how finely the factors move.
    """

    basis: Basis

    def __init__(self, *, basis: Basis | None = None, **settings: Any) -> None:
        known = [field.name for field in fields(Basis)]
        if unknown := settings.keys() - set(known):
            raise ValueError(
                f"settings of the x3d space must be among {', '.join(known)}, "
                f"got {', '.join(sorted(unknown))}."
            )
        if basis is not None and settings:
            raise ValueError(
                f"give the x3d space either a basis or settings of one, got both: "
                f"move {', '.join(sorted(settings))} into the basis."
            )
        object.__setattr__(self, "basis", basis if basis is not None else Basis(**settings))

    @property
    def start(self) -> Factors:
        return Factors()

    @property
    def axes(self) -> Mapping[str, Axis[Factors]]:
        return AXES

    @property
    def presentation(self) -> Presentation:
        from search_spaces.x3d.presentation import presentation  # figures alone need it

        return presentation()

    def architecture(self, point: Factors) -> Architecture:
        return architecture(self.basis, point)

    def sampling(self, point: Factors) -> ClipSampling:
        return points.sampling(self.basis, point)

    def resized(self, architecture: Architecture, size: int) -> Architecture:
        return replace(architecture, size=size)

    def complexity(self, architecture: Architecture, num_classes: int = 400) -> Complexity:
        """The cost of a network for one clip; see `complexity.complexity`."""
        return complexity(architecture, num_classes)

    def peak(self, architecture: Architecture, num_classes: int = 400) -> int:
        """Elements of activations that are in memory at once; see `memory.peak`."""
        return peak(architecture, num_classes)

    def parts(self, architecture: Architecture, num_classes: int = 400) -> list[Part]:
        """Stem, blocks and head, with the work that each does; see `parts.parts`."""
        return parts(architecture, num_classes)

    def build(
        self,
        architecture: Architecture,
        num_classes: int,
        *,
        head: Literal["clip", "frame"] = "clip",
        dropout: float = 0.5,
        residual_start: float = 0.0,
        **unknown: Any,
    ) -> X3D:
        """The network with fresh weights; the options are those of `network.X3D`."""
        if unknown:
            raise ValueError(
                f"options of an X3D network must be among head, dropout, residual_start, "
                f"got {', '.join(sorted(unknown))}."
            )
        from search_spaces.x3d.network import X3D  # counting and planning need no torch

        return X3D(architecture, num_classes, head=head, dropout=dropout, residual_start=residual_start)

    def grow(
        self,
        parent: Architecture,
        weights: Mapping[str, Tensor],
        child: Architecture,
        seed: int,
        *,
        residual_start: float = 1.0,
    ) -> dict[str, Tensor]:
        """Weights with which `child` computes what `parent` computes with `weights`; see `growth.grow`."""
        from search_spaces.x3d.growth import grow

        return grow(parent, weights, child, seed, residual_start=residual_start)

    @property
    def scalings(self) -> Mapping[str, Scaling]:
        """In the proportions of the published networks, and all factors alike; see `scalings`."""
        return {
            "published": partial(in_published_proportions, self.basis),
            "compound": partial(all_alike, self.basis),
        }

    def example(self, architecture: Architecture, batch: int) -> Tensor:
        """A batch of (B, 3, T, S, S) zeros."""
        import torch

        return torch.zeros(batch, 3, architecture.frames, architecture.size, architecture.size)

    def describe(self, point: Factors) -> dict[str, str]:
        clip, network = self.sampling(point), self.architecture(point)

        def each(name: str) -> str:
            return ", ".join(str(getattr(stage, name)) for stage in network.stages)

        return {
            "frames": str(clip.frames),
            "rate": f"stride {clip.stride}",
            "size": f"{clip.size}²",
            "width": each("width"),
            "bottleneck": each("inner_width"),
            "depth": each("depth"),
        }

    def point_to_json(self, point: Factors) -> Json:
        return asdict(point)

    def point_from_json(self, values: Json) -> Factors:
        known = [field.name for field in fields(Factors)]
        if unknown := values.keys() - set(known):
            raise ValueError(f"factors must be among {', '.join(known)}, got {', '.join(sorted(unknown))}.")
        return Factors(**values)

    def architecture_to_json(self, architecture: Architecture) -> Json:
        return architecture.to_json()

    def architecture_from_json(self, values: Json) -> Architecture:
        return Architecture.from_json(values)
