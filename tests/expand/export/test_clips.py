from __future__ import annotations

import pytest

from expand.data.base import MEAN, STD
from expand.export.clips import Views
from search_spaces.base import ClipSampling
from search_spaces.x3d import X3DSpace
from search_spaces.x3d.factors import PUBLISHED


def test_frames_are_normalised_as_in_the_released_recipe() -> None:
    assert (MEAN, STD) == (0.45, 0.225)


@pytest.mark.parametrize(("size", "jitter"), [(160, (182, 228)), (224, (256, 320)), (312, (356, 446))])
def test_sizes_are_the_published_ones(size: int, jitter: tuple[int, int]) -> None:
    """SlowFast's configs/Kinetics/X3D_*.yaml: DATA.TRAIN_JITTER_SCALES and TEST_CROP_SIZE."""
    views = Views.of(ClipSampling(frames=13, stride=6, size=size))
    assert views.jitter == jitter
    assert views.test_size == jitter[0]


def test_the_published_test_sizes() -> None:
    for entry in PUBLISHED.values():
        if entry.test_size is not None:
            assert Views.of(X3DSpace().sampling(entry.factors)).test_size == entry.test_size


@pytest.mark.parametrize(
    ("stride", "fps", "expected"),
    [(6, 30.0, (6, 30)), (4, 12.5, (8, 25)), (5, 25.0, (5, 25)), (2, 30000 / 1001, (2002, 30000))],
)
def test_a_frame_rate_is_made_whole_and_the_clip_keeps_its_seconds(
    stride: int, fps: float, expected: tuple[int, int]
) -> None:
    sampling = ClipSampling(frames=8, stride=stride, size=160, fps=fps)
    views = Views.of(sampling)
    assert (views.stride, views.fps) == expected
    assert views.seconds == pytest.approx(8 * stride / fps, rel=1e-12)
