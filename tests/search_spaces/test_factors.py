"""Factors, basis, axes and published points.

Golden values: Feichtenhofer, CVPR 2020 (factors, clips), and SlowFast's configs/Kinetics/X3D_*.yaml (clips,
test crops).
"""

from __future__ import annotations

import math
import pickle
from typing import Any

import pytest

from search_spaces.x3d import Basis, Factors, X3DSpace, published

SPACE = X3DSpace()


def move(axis: str, point: Factors, steps: int, space: X3DSpace = SPACE) -> Factors:
    moved = space.axes[axis].move(space, point, steps)
    assert moved is not None
    return moved


def clip(point: Factors, space: X3DSpace = SPACE) -> tuple[int, int, int]:
    sampling = space.sampling(point)
    return sampling.frames, sampling.stride, sampling.size


# Factors and basis


@pytest.mark.parametrize("value", [0, -1.0, math.nan, math.inf, True, "2", None])
def test_a_factor_must_be_a_finite_number_above_0(value: Any) -> None:
    with pytest.raises(ValueError) as caught:
        Factors(depth=value)
    assert str(caught.value) == f"factor depth must be a finite number above 0, got {value!r}."


def test_whole_and_float_factors_are_one_point() -> None:
    assert Factors(bottleneck=2) == Factors(bottleneck=2.0)
    assert SPACE.point_to_json(Factors(bottleneck=2))["bottleneck"] == 2.0
    assert isinstance(Factors(bottleneck=2).bottleneck, float)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"frames": 0}, "frames must be a whole number of at least 1, got 0."),
        ({"frames": 1.5}, "frames must be a whole number of at least 1, got 1.5."),
        ({"stride": True}, "stride must be a whole number of at least 1, got True."),
        ({"fps": -30}, "fps must be a finite number above 0, got -30."),
        ({"resolution": math.nan}, "resolution must be a finite number above 0, got nan."),
        ({"size": 31}, "size must be at least 32 pixels, got 31."),
        ({"widths": []}, "widths must be whole numbers of at least 1, one a stage, got []."),
        ({"depths": [1, 0]}, "depths must be whole numbers of at least 1, one a stage, got [1, 0]."),
        (
            {"depths": [1, 2]},
            "widths and depths must have one value a stage each, got 4 widths and 2 depths.",
        ),
        (
            {"stem_width": 12},
            "stem_width and widths must be multiples of width_multiple (8), got 12: change them, "
            "or set width_multiple.",
        ),
        ({"norm_every_shortcut": 1}, "norm_every_shortcut must be true or false, got 1."),
    ],
)
def test_a_basis_says_what_must_hold(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError) as caught:
        X3DSpace(**settings)
    assert str(caught.value) == message


# The space as a value


def test_a_space_takes_the_settings_of_a_config_file() -> None:
    space = X3DSpace(size=64, frames=2, widths=[24, 48, 96, 192])
    assert space.basis == Basis(size=64, frames=2)
    assert space == X3DSpace(basis=Basis(size=64, frames=2))
    assert hash(space) == hash(X3DSpace(basis=Basis(size=64, frames=2)))
    assert space != X3DSpace()
    assert pickle.loads(pickle.dumps(space)) == space


def test_an_unknown_setting_is_named_with_the_known_ones() -> None:
    with pytest.raises(ValueError) as caught:
        X3DSpace(sise=64)
    assert str(caught.value) == (
        "settings of the x3d space must be among frames, stride, fps, size, stem_width, widths, depths, "
        "head_width, width_multiple, norm_every_shortcut, shortcut, resolution, size_multiple, got sise."
    )


def test_a_basis_and_settings_of_one_are_refused() -> None:
    with pytest.raises(ValueError) as caught:
        X3DSpace(basis=Basis(), size=64)
    assert str(caught.value) == (
        "give the x3d space either a basis or settings of one, got both: move size into the basis."
    )


def test_an_unknown_factor_in_json_is_named() -> None:
    with pytest.raises(ValueError) as caught:
        SPACE.point_from_json({"dept": 2.0})
    assert str(caught.value) == (
        "factors must be among frames, rate, size, width, bottleneck, depth, got dept."
    )


# The axes


def test_axes_in_the_order_and_under_the_labels_of_the_paper() -> None:
    assert {name: axis.label for name, axis in SPACE.axes.items()} == {
        "fast": "X-Fast",
        "temporal": "X-Temporal",
        "spatial": "X-Spatial",
        "depth": "X-Depth",
        "width": "X-Width",
        "bottleneck": "X-Bottleneck",
    }


def test_fast_keeps_the_duration_both_ways() -> None:
    twice = move("fast", Factors(), 1)
    four = move("fast", twice, 2)
    assert (clip(twice)[:2], clip(four)[:2]) == ((2, 24), (4, 12))
    assert move("fast", four, -3) == Factors()
    assert move("fast", Factors(), 3) == four


def test_temporal_makes_the_clip_longer_and_the_rate_higher() -> None:
    four = move("fast", Factors(), 3)
    eight = move("temporal", four, 4)
    sixteen = move("temporal", eight, 8)
    assert (clip(eight)[:2], clip(sixteen)[:2]) == ((8, 8), (16, 6))
    assert sixteen.rate == pytest.approx(8)


def test_temporal_shrinks_at_the_rate_that_it_has() -> None:
    sixteen = Factors(frames=16, rate=8)
    assert clip(move("temporal", sixteen, -3))[:2] == (13, 6)  # the published X3D-S
    assert move("temporal", sixteen, -3).rate == 8


def test_spatial_moves_by_multiples_of_eight_pixels() -> None:
    assert [clip(move("spatial", Factors(), n))[2] for n in (-10, -1, 1, 6, 14, 25)] == [
        32,
        104,
        120,
        160,
        224,
        312,
    ]
    off_grid = Factors(size=158 / 112)
    assert [clip(move("spatial", off_grid, n))[2] for n in (-1, 1)] == [152, 160]


@pytest.mark.parametrize("axis", ["depth", "width", "bottleneck"])
def test_the_other_axes_move_on_a_grid_without_float_dust(axis: str) -> None:
    assert [getattr(move(axis, Factors(), n), axis) for n in (-19, 1, 9, 24, 25, 80)] == [
        0.05,
        1.05,
        1.45,
        2.2,
        2.25,
        5.0,
    ]
    off_grid = Factors(**{axis: 1.42})
    assert [getattr(move(axis, off_grid, n), axis) for n in (-2, -1, 0, 1, 2)] == [1.35, 1.4, 1.42, 1.45, 1.5]


@pytest.mark.parametrize(
    ("axis", "last"), [("fast", 0), ("temporal", 0), ("spatial", -10), ("depth", -19), ("width", -19)]
)
def test_an_axis_ends_in_none(axis: str, last: int) -> None:
    assert SPACE.axes[axis].move(SPACE, Factors(), last) is not None
    assert SPACE.axes[axis].move(SPACE, Factors(), last - 1) is None


@pytest.mark.parametrize("axis", list(SPACE.axes))
def test_a_move_changes_its_own_factors_only(axis: str) -> None:
    before = Factors(frames=4, rate=4, size=160 / 112, width=1.45, bottleneck=2.25, depth=2.2)
    after = move(axis, before, 2)
    changed = {name for name in Factors.__slots__ if getattr(before, name) != getattr(after, name)}
    names = {"fast": {"frames", "rate"}, "temporal": {"frames", "rate"}, "spatial": {"size"}}
    assert changed == names.get(axis, {axis})


def test_axes_follow_the_basis() -> None:
    space = X3DSpace(frames=3, size=64, stride=10, resolution=0.1, size_multiple=16)
    assert clip(move("fast", Factors(), 1, space), space) == (4, 8, 64)
    assert clip(move("spatial", Factors(), 1, space), space) == (3, 10, 80)
    assert move("depth", Factors(), 1, space).depth == 1.1


def test_the_stride_is_at_least_1() -> None:
    assert clip(Factors(rate=1000)) == (1, 1, 112)


# The published points


@pytest.mark.parametrize(
    ("name", "expected", "test_size"),
    [
        ("x2d", (1, 48, 112), None),
        ("x3d-xs", (4, 12, 160), 182),
        ("x3d-s", (13, 6, 160), 182),
        ("x3d-m", (16, 5, 224), 256),
        ("x3d-l", (16, 5, 312), 356),
        ("X3D-XL", (16, 5, 312), 356),
    ],
)
def test_published_clips(name: str, expected: tuple[int, int, int], test_size: int | None) -> None:
    network = published(name)
    assert network.name == name.lower()
    assert clip(network.factors) == expected
    assert network.test_size == test_size


def test_published_width_bottleneck_and_depth() -> None:
    def of(name: str) -> tuple[float, float, float]:
        factors = published(name).factors
        return factors.width, factors.bottleneck, factors.depth

    assert of("x3d-xs") == of("x3d-s") == of("x3d-m") == (1.0, 2.25, 2.2)
    assert of("x3d-l") == (1.0, 2.25, 5.0)
    assert of("x3d-xl") == (1.45, 2.25, 5.0)


def test_an_unknown_published_name_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ValueError) as caught:
        published("x3d-xxl")
    assert str(caught.value) == (
        "a published network must be one of x2d, x3d-xs, x3d-s, x3d-m, x3d-l, x3d-xl, got 'x3d-xxl'."
    )


def test_x_fast_ends_where_frames_of_the_video_follow_each_other() -> None:
    space = X3DSpace()
    fast, temporal = space.axes["fast"], space.axes["temporal"]
    last = fast.move(space, space.start, 47)
    assert last is not None
    assert (space.sampling(last).frames, space.sampling(last).stride) == (48, 1)
    assert fast.move(space, space.start, 48) is None
    assert fast.move(space, last, -47) == space.start
    longer = temporal.move(space, last, 1)
    assert longer is not None
    assert (space.sampling(longer).frames, space.sampling(longer).stride) == (49, 1)
