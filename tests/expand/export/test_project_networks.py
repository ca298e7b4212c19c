"""Golden numbers: read off networks that the projects themselves built.

SlowFast at 287ec007, PyTorchVideo at f3142bb0; of MMAction2 at 4d6c9347 the backbone, with mmcv-lite 2.2.0,
to whose parameters those of its head are added.
"""

from __future__ import annotations

from dataclasses import replace

import pytest

from expand.export.project_networks import (
    MMACTION2,
    PYTORCHVIDEO,
    SLOWFAST,
    SLOWFAST_PTV,
    Arguments,
    Target,
)
from search_spaces.x3d import X3DSpace, published
from search_spaces.x3d.complexity import complexity
from search_spaces.x3d.factors import PUBLISHED

XL = Arguments(width=2.9, bottleneck=2.25, depth=5.0)
ODD = Arguments(width=2.5, bottleneck=2.25, depth=2.2)
THIN = Arguments(width=1.3, bottleneck=1.15, depth=1.4)
OTHER_BASE = Arguments(width=2.3, bottleneck=3.35, depth=1.1, base=10, hidden=512)
LEAST = Arguments(width=0.3, bottleneck=1.0, depth=0.2)
SCALED = Arguments(width=1.5, bottleneck=1.0, depth=1.0, base=16, scale_res2=True)

# Stem; width, inner width, squeeze width, depth and shortcut's BatchNorm of each stage; conv5 and hidden.
BUILT = [
    (SLOWFAST, XL, 35, [(35, 78, 8, 5, True), (70, 157, 16, 10, True), (139, 312, 24, 25, True),
                        (278, 625, 40, 15, True)], (625, 2048), 10282314),
    (PYTORCHVIDEO, XL, 32, [(32, 72, 8, 5, False), (72, 162, 16, 10, True), (136, 306, 24, 25, True),
                            (280, 630, 40, 15, True)], (630, 2048), 10290583),
    (SLOWFAST, ODD, 30, [(30, 67, 8, 3, True), (60, 135, 8, 5, True), (120, 270, 16, 11, True),
                         (240, 540, 32, 7, True)], (540, 2048), 4273246),
    (SLOWFAST_PTV, ODD, 32, [(32, 72, 8, 3, False), (64, 144, 16, 5, True), (120, 270, 16, 11, True),
                             (240, 540, 32, 7, True)], (540, 2048), 4297037),
    (SLOWFAST, THIN, 16, [(16, 18, 8, 2, True), (31, 35, 8, 3, True), (62, 71, 8, 7, True),
                          (125, 143, 16, 5, True)], (143, 2048), 638005),
    (PYTORCHVIDEO, THIN, 16, [(16, 18, 8, 2, False), (32, 36, 8, 3, True), (64, 73, 8, 7, True),
                              (128, 147, 16, 5, True)], (147, 2048), 662494),
    (SLOWFAST, OTHER_BASE, 23, [(23, 77, 8, 2, True), (55, 184, 16, 3, True), (110, 368, 24, 6, True),
                                (221, 740, 48, 4, True)], (740, 512), 2731782),
    (PYTORCHVIDEO, OTHER_BASE, 24, [(24, 80, 8, 2, False), (56, 187, 16, 3, True), (112, 375, 24, 6, True),
                                    (224, 750, 48, 4, True)], (750, 512), 2802703),
    (SLOWFAST, LEAST, 4, [(4, 4, 8, 1, True), (7, 7, 8, 1, True), (14, 14, 8, 1, True),
                          (29, 29, 8, 1, True)], (29, 2048), 79808),
    (PYTORCHVIDEO, LEAST, 8, [(8, 8, 8, 1, False), (8, 8, 8, 1, False), (16, 16, 8, 1, True),
                              (32, 32, 8, 1, True)], (32, 2048), 87511),
    (SLOWFAST, SCALED, 24, [(48, 48, 8, 1, True), (96, 96, 8, 2, True), (192, 192, 16, 5, True),
                            (384, 384, 24, 3, True)], (384, 2048), 2382919),
    (MMACTION2, replace(XL, width=1.45, base=24), 32,
     [(32, 72, 8, 5, True), (64, 144, 16, 10, True), (128, 288, 24, 25, True),
      (256, 576, 40, 15, True)], (576, 2048), 8913543),
    (MMACTION2, replace(ODD, width=1.25, base=24), 32,
     [(32, 72, 8, 3, True), (64, 144, 16, 5, True), (128, 288, 24, 11, True),
      (256, 576, 40, 7, True)], (576, 2048), 4821103),
    (MMACTION2, replace(THIN, width=0.65, base=24), 16,
     [(16, 18, 8, 2, True), (32, 36, 8, 3, True), (64, 73, 8, 7, True), (128, 147, 16, 5, True)],
     (147, 2048), 662526),
    (MMACTION2, replace(LEAST, base=24), 8,
     [(8, 8, 8, 1, True), (16, 16, 8, 1, True), (32, 32, 8, 1, True), (64, 64, 8, 1, True)],
     (64, 2048), 167127),
]  # fmt: skip


@pytest.mark.parametrize(("target", "arguments", "stem", "stages", "head", "params"), BUILT)
def test_a_target_builds_what_its_project_builds(
    target: Target,
    arguments: Arguments,
    stem: int,
    stages: list[tuple[int, int, int, int, bool]],
    head: tuple[int, int],
    params: int,
) -> None:
    built = target.build(arguments, frames=4, size=64)
    assert built.stem_width == stem
    found = [(s.width, s.inner_width, s.squeeze_width, s.depth, s.shortcut_norm) for s in built.stages]
    assert found == stages
    assert (built.conv5_width, built.head_width) == head
    assert complexity(built, 7).params == params  # with seven classes


@pytest.mark.parametrize("name", [name for name in PUBLISHED if name != "x3d-xl"])
@pytest.mark.parametrize("target", [SLOWFAST, SLOWFAST_PTV, PYTORCHVIDEO, MMACTION2])
def test_all_targets_build_the_published_networks(target: Target, name: str) -> None:
    factors = published(name).factors
    arguments = Arguments(
        width=factors.width * 24 / (target.base or 12),
        bottleneck=factors.bottleneck,
        depth=factors.depth,
        base=target.base or 12,
    )
    expected = X3DSpace(norm_every_shortcut=target.norm_every_shortcut).architecture(factors)
    assert target.build(arguments, frames=expected.frames, size=expected.size) == expected


def test_parameters_of_the_published_networks() -> None:
    """3,794,322 in SlowFast, 48 fewer in PyTorchVideo, for X3D-S and 400 classes."""
    arguments = Arguments(width=2.0, bottleneck=2.25, depth=2.2)
    own, theirs = (target.build(arguments, frames=13, size=160) for target in (SLOWFAST, PYTORCHVIDEO))
    assert (complexity(own, 400).params, complexity(theirs, 400).params) == (3_794_322, 3_794_274)
