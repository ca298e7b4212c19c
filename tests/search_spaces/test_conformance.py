"""X3D passes the shipped suite; and the suite notices a space that breaks the contract."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass, replace
from typing import Any

import pytest
import torch
from torch import Tensor

from search_spaces.base import Axis, Scaling, SearchSpace
from search_spaces.conformance import SpaceConformance
from search_spaces.x3d import Architecture, Factors, X3DSpace


class TestX3D(SpaceConformance):
    def space(self) -> SearchSpace[Factors, Architecture]:
        return X3DSpace(size=32)


class TestX3DLikePyTorchVideo(SpaceConformance):
    def space(self) -> SearchSpace[Factors, Architecture]:
        return X3DSpace(size=40, frames=3, stride=10, norm_every_shortcut=False)


class TestSmallOtherBasis(SpaceConformance):
    """Odd sizes, three stages, a finer grid, widths to the unit."""

    def space(self) -> SearchSpace[Factors, Architecture]:
        return X3DSpace(
            size=45,
            frames=2,
            stem_width=7,
            widths=[9, 14, 14],
            depths=[2, 1, 3],
            width_multiple=1,
            head_width=32,
            resolution=0.1,
            size_multiple=6,
        )


@dataclass(frozen=True)
class ShrinkingAxis:
    name: str = "shrinking"
    label: str = "X-Shrinking"

    def move(self, space: X3DSpace, point: Factors, steps: int) -> Factors | None:
        return replace(point, width=point.width * 0.5**steps)


@dataclass(frozen=True)
class BrokenSpace(X3DSpace):
    def __init__(self) -> None:
        super().__init__(size=32)

    @property
    def axes(self) -> dict[str, Axis[Factors]]:
        return {"shrinking": ShrinkingAxis()}


class Broken(SpaceConformance):
    steps = 3

    def space(self) -> SearchSpace[Any, Any]:
        return BrokenSpace()


def test_an_axis_that_gets_cheaper_is_caught() -> None:
    with pytest.raises(AssertionError, match="the cost along shrinking falls as steps grow"):
        Broken().test_more_steps_are_never_cheaper()
    with pytest.raises(AssertionError, match="shrinking must grow the network within 60 steps"):
        Broken().test_every_axis_grows_the_network_soon()


@dataclass(frozen=True)
class StiffSpace(X3DSpace):
    """Networks that stay at the size that they were made for, and clips that are not theirs."""

    def __init__(self) -> None:
        super().__init__(size=32)

    def resized(self, architecture: Architecture, size: int) -> Architecture:
        return architecture

    def example(self, architecture: Architecture, batch: int) -> Tensor:
        return super().example(replace(architecture, frames=1 + architecture.frames), batch)


class Stiff(SpaceConformance):
    def space(self) -> SearchSpace[Any, Any]:
        return StiffSpace()


def test_an_example_of_the_wrong_shape_is_caught() -> None:
    with pytest.raises(
        AssertionError, match=r"clips of 32 pixels must be \(2, 3, 1, 32, 32\), got \(2, 3, 2, 32"
    ):
        Stiff().test_the_example_is_clips_of_the_networks_kind()


@dataclass(frozen=True)
class ForgetfulSpace(X3DSpace):
    """Networks that get narrower where clips get larger."""

    def __init__(self) -> None:
        super().__init__(size=32)

    def resized(self, architecture: Architecture, size: int) -> Architecture:
        return replace(architecture, size=size, head_width=architecture.head_width + 32 - size)


class Forgetful(SpaceConformance):
    def space(self) -> SearchSpace[Any, Any]:
        return ForgetfulSpace()


def test_another_size_that_is_another_network_is_caught() -> None:
    with pytest.raises(AssertionError, match="a network has the same parameters at any size, got"):
        Forgetful().test_a_larger_size_costs_no_less_and_keeps_the_parameters()


@dataclass(frozen=True)
class LeakySpace(X3DSpace):
    """Grown networks whose new parts change the function, and that follow from more than the seed."""

    def __init__(self) -> None:
        super().__init__(size=32)

    def grow(self, *arguments: Any, **options: Any) -> dict[str, Tensor]:
        grown = super().grow(*arguments, **options)
        grown["stem.spatial.weight"] += 0.01 * torch.rand_like(grown["stem.spatial.weight"])
        return grown


class Leaky(SpaceConformance):
    def space(self) -> SearchSpace[Any, Any]:
        return LeakySpace()


def test_a_growth_that_changes_the_function_is_caught() -> None:
    with pytest.raises(AssertionError, match="a network must start as its parent, but logits differ by"):
        Leaky().test_a_grown_network_starts_as_its_parent()


def test_a_growth_that_does_not_follow_from_the_seed_is_caught() -> None:
    with pytest.raises(AssertionError, match=r"stem\.spatial\.weight must follow from the seed"):
        Leaky().test_growth_is_a_pure_function()


@dataclass(frozen=True)
class BackwardsSpace(X3DSpace):
    """Networks that get smaller where they should be scaled up."""

    def __init__(self) -> None:
        super().__init__(size=32)

    @property
    def scalings(self) -> dict[str, Scaling]:
        return {"backwards": lambda scale: Factors(width=2.0 - scale if scale else 1.0)}


class Backwards(SpaceConformance):
    def space(self) -> SearchSpace[Any, Any]:
        return BackwardsSpace()


def test_a_scaling_that_gets_cheaper_is_caught() -> None:
    with pytest.raises(AssertionError, match="scaled by backwards, the cost falls"):
        Backwards().test_networks_that_are_scaled_by_hand_never_get_cheaper()


def test_the_suite_needs_no_pytest_and_no_torch_to_be_imported() -> None:
    code = (
        "import sys, search_spaces.conformance\n"
        "sys.exit(' '.join({'torch', 'pytest'} & set(sys.modules)) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
