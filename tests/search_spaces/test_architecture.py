"""Whole numbers of the network at a point.

Golden values: the published networks as SlowFast (287ec007), PyTorchVideo (f3142bb0) and X3D-Multigrid
(d63d8fe6) build them.
"""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from search_spaces.x3d import Architecture, Factors, X3DSpace, published
from search_spaces.x3d.architecture import Stage, round_width

SPACE = X3DSpace()
X2D = SPACE.architecture(Factors())


def of(stages: tuple[Stage, ...], name: str) -> list[int]:
    return [getattr(stage, name) for stage in stages]


def test_x2d() -> None:
    assert (X2D.frames, X2D.size, X2D.stem_width, X2D.conv5_width, X2D.head_width) == (1, 112, 24, 192, 2048)
    assert of(X2D.stages, "width") == [24, 48, 96, 192]
    assert of(X2D.stages, "inner_width") == [24, 48, 96, 192]
    assert of(X2D.stages, "depth") == [1, 2, 5, 3]
    assert of(X2D.stages, "shortcut_norm") == [True] * 4


def test_x3d_m() -> None:
    m = SPACE.architecture(published("x3d-m").factors)
    assert (m.frames, m.size, m.stem_width, m.conv5_width, m.head_width) == (16, 224, 24, 432, 2048)
    assert of(m.stages, "width") == [24, 48, 96, 192]
    assert of(m.stages, "inner_width") == [54, 108, 216, 432]
    assert of(m.stages, "squeeze_width") == [8, 8, 16, 32]
    assert of(m.stages, "depth") == [3, 5, 11, 7]


def test_x3d_xl() -> None:
    xl = SPACE.architecture(published("x3d-xl").factors)
    assert (xl.stem_width, xl.conv5_width) == (32, 630)
    assert of(xl.stages, "width") == [32, 72, 136, 280]
    assert of(xl.stages, "inner_width") == [72, 162, 306, 630]
    assert of(xl.stages, "depth") == [5, 10, 25, 15]


def test_x3d_xl_with_slowfasts_own_widths() -> None:
    xl = X3DSpace(width_multiple=1).architecture(published("x3d-xl").factors)
    assert [xl.stem_width, *of(xl.stages, "width")] == [35, 35, 70, 139, 278]


def test_pytorchvideo_leaves_out_the_norm_of_a_shortcut_that_keeps_the_width() -> None:
    space = X3DSpace(norm_every_shortcut=False)
    assert of(space.architecture(Factors()).stages, "shortcut_norm") == [False, True, True, True]


@pytest.mark.parametrize(
    ("factor", "depths"),
    [
        (1.5, [2, 3, 8, 5]),
        (2.0, [2, 4, 10, 6]),
        (2.2, [3, 5, 11, 7]),
        (3.0, [3, 6, 15, 9]),
        (5.0, [5, 10, 25, 15]),
    ],
)
def test_depths(factor: float, depths: list[int]) -> None:
    assert of(SPACE.architecture(Factors(depth=factor)).stages, "depth") == depths


def test_float_dust_adds_no_block() -> None:
    assert 2.2 * 25 > 55
    space = X3DSpace(widths=[24], depths=[25])
    assert of(space.architecture(Factors(depth=2.2)).stages, "depth") == [55]


@pytest.mark.parametrize(
    ("width", "factor", "multiple", "rounded"),
    [
        (24, 1.45, 8, 32),  # 34.8
        (24, 1.5, 8, 40),  # 36, halfway: up
        (54, 0.0625, 8, 8),  # 3.4: at least one multiple
        (432, 0.0625, 8, 32),  # 27 would become 24, below nine tenths of it
        (139, 2.0, 1, 278),
        (48, 1.45, 1, 70),  # 69.6
    ],
)
def test_round_width(width: int, factor: float, multiple: int, rounded: int) -> None:
    assert round_width(width, factor, multiple) == rounded


def test_a_narrow_block_keeps_a_channel() -> None:
    narrow = SPACE.architecture(Factors(bottleneck=0.05, width=0.05))
    assert of(narrow.stages, "inner_width") == [1, 1, 1, 1]


def test_two_points_of_one_network_are_one_architecture() -> None:
    assert SPACE.architecture(Factors(depth=2.15)) == SPACE.architecture(Factors(depth=2.2))
    assert len({SPACE.architecture(Factors(depth=depth)) for depth in (2.0, 2.15, 2.2)}) == 2


def test_json_holds_whole_numbers_and_comes_back() -> None:
    values = SPACE.architecture_to_json(X2D)
    assert values["stages"][1] == {
        "width": 48,
        "inner_width": 48,
        "squeeze_width": 8,
        "depth": 2,
        "shortcut_norm": True,
    }
    assert SPACE.architecture_from_json(json.loads(json.dumps(values))) == X2D


def test_json_with_other_keys_is_refused() -> None:
    values = SPACE.architecture_to_json(X2D)
    del values["conv5_width"]
    with pytest.raises(ValueError) as caught:
        SPACE.architecture_from_json(values)
    assert str(caught.value) == (
        "the JSON of an X3D Architecture must have exactly the keys conv5_width, frames, head_width, size, "
        "stages, stem_width, got frames, head_width, size, stages, stem_width."
    )


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"size": 31}, "size must be at least 32 pixels, got 31."),
        ({"frames": 0}, "frames must be a whole number of at least 1, got 0."),
        ({"head_width": 2048.0}, "head_width must be a whole number of at least 1, got 2048.0."),
        ({"stages": ()}, "stages must be one or more, got none."),
    ],
)
def test_an_impossible_architecture_is_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError) as caught:
        replace(X2D, **changes)
    assert str(caught.value) == message


def test_a_point_below_the_smallest_size_has_no_architecture() -> None:
    with pytest.raises(ValueError, match="size must be at least 32 pixels, got 28"):
        SPACE.architecture(Factors(size=0.25))


def test_architecture_is_exported_by_the_package() -> None:
    assert isinstance(X2D, Architecture)


# Shortcuts without weights

PADDED = X3DSpace(shortcut="A")
PADDED_X2D = PADDED.architecture(PADDED.start)


def test_a_shortcut_of_type_a_has_no_norm() -> None:
    assert [stage.shortcut for stage in PADDED_X2D.stages] == ["A"] * 4
    assert of(PADDED_X2D.stages, "shortcut_norm") == [False] * 4


def test_the_usual_shortcut_is_not_in_the_json_so_that_older_files_stay_what_they_are() -> None:
    assert "shortcut" not in X2D.to_json()["stages"][0]
    assert PADDED_X2D.to_json()["stages"][0]["shortcut"] == "A"
    for network in (X2D, PADDED_X2D):
        assert Architecture.from_json(json.loads(json.dumps(network.to_json()))) == network


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"shortcut": "C"}, "shortcut must be 'A' or 'B', got 'C'."),
        (
            {"shortcut": "A", "shortcut_norm": True},
            "shortcut_norm must be false where the shortcut is of type A: it has no weights.",
        ),
    ],
)
def test_shortcuts_that_do_not_exist(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError) as caught:
        replace(X2D.stages[0], **changes)
    assert str(caught.value) == message


def test_a_padded_shortcut_cannot_lose_channels() -> None:
    narrow = replace(PADDED_X2D.stages[1], width=16)
    with pytest.raises(ValueError) as caught:
        replace(PADDED_X2D, stages=(PADDED_X2D.stages[0], narrow))
    assert str(caught.value) == (
        "a stage with shortcuts of type A must not be narrower than its input, got 16 after 24 channels."
    )
