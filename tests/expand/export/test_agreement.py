from __future__ import annotations

from dataclasses import replace

import pytest

from expand.export.agreement import agreement
from expand.export.project_networks import MMACTION2, PYTORCHVIDEO, SLOWFAST, SLOWFAST_PTV, Arguments, Target
from expand.system.errors import UserError
from expand.weights.models import Model
from search_spaces.base import ClipSampling
from search_spaces.x3d import X3DSpace
from tests.expand.export.points import ODD, XL, model_at
from tests.expand.toy import ToySpace

BOTH = (SLOWFAST, SLOWFAST_PTV)


def told(model: Model, *targets: Target) -> tuple[Target, Arguments]:
    found = agreement(model, targets, allow_approximate=False)
    assert found.exact
    return found.target, found.arguments


def refused(model: Model, *targets: Target) -> str:
    with pytest.raises(UserError) as caught:
        agreement(model, targets, allow_approximate=False)
    return str(caught.value)


def test_the_models_own_factors_are_told_where_they_do() -> None:
    expected = Arguments(width=2.0, bottleneck=2.25, depth=2.2)
    assert told(model_at(bottleneck=2.25, depth=2.2), *BOTH) == (SLOWFAST, expected)


def test_slowfasts_own_network_goes_before_that_from_pytorchvideo() -> None:
    own_rounding = X3DSpace(width_multiple=1)
    expected = Arguments(width=2.9, bottleneck=2.25, depth=5.0)
    assert told(model_at(own_rounding, **XL), *BOTH) == (SLOWFAST, expected)
    assert told(model_at(**XL), *BOTH) == (SLOWFAST_PTV, expected)


@pytest.mark.parametrize("width", [0.4, 0.75, 1.05, 1.15, 1.25, 1.45, 1.8, 2.45])
@pytest.mark.parametrize("bottleneck", [1.15, 2.3, 3.35])
@pytest.mark.parametrize("depth", [1.1, 1.4, 3.3])
def test_every_point_of_the_space_goes_to_pytorchvideo(width: float, bottleneck: float, depth: float) -> None:
    model = model_at(width=width, bottleneck=bottleneck, depth=depth)
    _, arguments = told(model, PYTORCHVIDEO)
    assert (arguments.width, arguments.bottleneck) == (2 * width, bottleneck)


def test_without_factors_they_are_solved_for() -> None:
    model = replace(model_at(**ODD), values={})
    expected = Arguments(width=2.5, bottleneck=2.25, depth=2.1)
    assert told(model, PYTORCHVIDEO) == (PYTORCHVIDEO, expected)


def test_factors_of_another_network_do_not_mislead() -> None:
    model = replace(model_at(**ODD), values=model_at(width=3).values)
    assert told(model, PYTORCHVIDEO)[1] == Arguments(width=2.5, bottleneck=2.25, depth=2.1)


def test_a_depth_that_float_arithmetic_would_round_up_is_told_as_one_that_it_does_not() -> None:
    """2.2 · 25 is 55.000000000000007: a base of five times the depth, told as it would be searched."""
    model = model_at(X3DSpace(depths=(5, 10, 25, 15)), depth=2.2)
    assert [stage.depth for stage in model.architecture.stages] == [11, 22, 55, 33]
    assert told(model, PYTORCHVIDEO)[1].depth == 11.0


def test_another_basis_is_told_as_another_base() -> None:
    narrow = X3DSpace(stem_width=16, widths=(16, 32, 64, 128), depths=(1, 1, 1, 1), head_width=512)
    expected = Arguments(width=3.0, bottleneck=1.0, depth=0.1, base=8, hidden=512)
    assert told(model_at(narrow, width=1.5), PYTORCHVIDEO)[1] == expected


def test_a_res2_twice_as_wide_as_the_stem_goes_to_slowfast() -> None:
    wide = X3DSpace(stem_width=16, widths=(32, 64, 128, 256))
    target, arguments = told(model_at(wide, width=1.5), *BOTH)
    assert target is SLOWFAST
    assert (arguments.base, arguments.width, arguments.scale_res2) == (16, 1.5, True)


def test_a_network_that_the_target_rounds_otherwise_is_shown_beside_what_it_builds() -> None:
    assert refused(model_at(**ODD), MMACTION2) == (
        "MMAction2's X3D must build found exactly, but by its rounding it builds another network:\n"
        "      searched                                      MMAction2's X3D\n"
        "stem  width 32                                    = width 32\n"
        "res2  width 32, inner 72, squeeze 8, depth 3      = width 32, inner 72, squeeze 8, depth 3\n"
        "res3  width 64, inner 144, squeeze 16, depth 5    = width 64, inner 144, squeeze 16, depth 5\n"
        "res4  width 120, inner 270, squeeze 16, depth 11  ≠ width 128, inner 288, squeeze 24, depth 11\n"
        "res5  width 240, inner 540, squeeze 32, depth 7   ≠ width 256, inner 576, squeeze 40, depth 7\n"
        "head  conv5 540, hidden 2048                      ≠ conv5 576, hidden 2048\n"
        "Width 1 or 1.35 would agree: take that, or add --allow-approximate to write the other network, "
        "without weights."
    )


@pytest.mark.parametrize("width", [1.35, 1.65])
def test_what_is_offered_instead_agrees(width: float) -> None:
    instead = {**XL, "width": width}
    assert told(model_at(**instead), MMACTION2)[0] is MMACTION2
    assert "\nWidth 1.35 or 1.65 would agree: " in refused(model_at(**XL), MMACTION2)


def test_another_hidden_layer_than_mmaction2s_is_refused_with_nothing_to_offer() -> None:
    message = refused(model_at(X3DSpace(head_width=512)), MMACTION2)
    different = [line for line in message.splitlines() if "≠" in line]
    assert [" ".join(line.split()) for line in different] == [
        "head conv5 192, hidden 512 ≠ conv5 192, hidden 2048"
    ]
    assert message.endswith("\nAdd --allow-approximate to write the other network, without weights.")


def test_an_approximate_network_says_how_it_differs() -> None:
    found = agreement(model_at(**ODD), (MMACTION2,), allow_approximate=True)
    assert found.differing == ("res4", "res5", "head")
    assert found.remarks(classes=3, weights=False) == (
        "Approximate: MMAction2's X3D builds another network than the searched one: "
        "res4 width 128, inner 288, squeeze 24, depth 11, not width 120, inner 270, squeeze 16, depth 11; "
        "res5 width 256, inner 576, squeeze 40, depth 7, not width 240, inner 540, squeeze 32, depth 7; "
        "head conv5 576, hidden 2048, not conv5 540, hidden 2048.",
        "That network takes 135.4 M multiply-adds and has 4,812,907 parameters, the searched one 125.6 M and "
        "4,288,905.",
        "Weights are not taken along: they do not fit that network.",
    )


def test_of_two_targets_the_closer_one_is_approximate() -> None:
    model = model_at(X3DSpace(width_multiple=4), **XL)
    found = agreement(model, BOTH, allow_approximate=True)
    assert found.target is SLOWFAST_PTV
    assert found.differing == ("stem", "res2", "res3", "res4")


@pytest.mark.parametrize(
    ("weights", "expected"),
    [
        (False, "PyTorchVideo's create_x3d leaves out the BatchNorm of res2's shortcut, 48 parameters."),
        (
            True,
            "PyTorchVideo's create_x3d leaves out the BatchNorm of res2's shortcut, 48 parameters; "
            "the weights have it folded into the convolution, exact in evaluation.",
        ),
    ],
)
def test_a_batchnorm_that_the_target_leaves_out_is_no_difference(weights: bool, expected: str) -> None:
    found = agreement(model_at(), (PYTORCHVIDEO,), allow_approximate=False)
    assert found.remarks(classes=3, weights=weights) == (expected,)


@pytest.mark.parametrize(
    ("weights", "expected"),
    [
        (False, "SlowFast's X3D adds a BatchNorm to res2's shortcut, 48 parameters."),
        (
            True,
            "SlowFast's X3D adds a BatchNorm to res2's shortcut, 48 parameters; "
            "in the weights it changes nothing.",
        ),
    ],
)
def test_a_batchnorm_that_the_target_adds_is_no_difference(weights: bool, expected: str) -> None:
    found = agreement(model_at(X3DSpace(norm_every_shortcut=False)), BOTH, allow_approximate=False)
    assert found.remarks(classes=3, weights=weights) == (expected,)


def test_a_network_of_another_space_is_refused() -> None:
    toy = Model(
        name="toy",
        space=ToySpace(),
        architecture=ToySpace().start,
        sampling=ClipSampling(frames=1, stride=1, size=32),
        classes=("a",),
        values={},
    )
    assert refused(toy, *BOTH) == (
        "SlowFast's X3D can only hold networks of the x3d space, but toy is of another: "
        "take safetensors, onnx or torch-export."
    )


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (
            model_at(values={"head": "frame"}),
            "PyTorchVideo's create_x3d must have a head for clips, but that of found is for frames.",
        ),
        (
            model_at(X3DSpace(shortcut="A")),
            "PyTorchVideo's create_x3d must have shortcuts with a convolution, "
            "but those of found are of type A.",
        ),
        (
            model_at(X3DSpace(widths=(24, 48), depths=(1, 2))),
            "PyTorchVideo's create_x3d must have 4 stages, but found has 2.",
        ),
    ],
)
def test_parts_that_no_target_has_are_refused(model: Model, message: str) -> None:
    assert refused(model, PYTORCHVIDEO) == message
