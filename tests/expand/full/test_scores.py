"""Scores of networks whose answers are known."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from expand.data.clips import Share, ViewGrid
from expand.data.labels import OneLabel, Segment, SeveralLabels
from expand.full.scores import MOMENTS, evaluate, localisation_scores
from expand.training.losses import Diverged
from expand.training.prediction import Viewing, view_means
from expand.training.processes import Processes
from search_spaces.base import ClipSampling
from tests.expand.data.splits import ArraySplit

SAMPLING = ClipSampling(frames=4, stride=3, size=8)  # a clip of 0.3 s


class Brightness(nn.Module):
    """Logits (B, 2): how bright a clip is, against the middle; or (B, T, 2) for each frame."""

    def __init__(self, *, per_frame: bool = False) -> None:
        super().__init__()
        self.per_frame = per_frame

    def forward(self, clips: Tensor) -> Tensor:
        bright = clips.mean(dim=(1, 3, 4))  # (B, T), about -2 … 2
        bright = bright if self.per_frame else bright.mean(dim=1)
        return torch.stack([-bright, bright], dim=-1)


class Random(nn.Module):
    """Other answers for each view, from its pixels."""

    def forward(self, clips: Tensor) -> Tensor:
        return torch.stack([clips[:, c].mean(dim=(1, 2, 3)) for c in range(3)], dim=1)


def seen(views: ViewGrid, batch_size: int) -> Viewing:
    return Viewing(sampling=SAMPLING, views=views, batch_size=batch_size, device="cpu")


def grey(*shades: int) -> ArraySplit:
    videos = tuple(np.full((200, 12, 16, 3), shade, np.uint8) for shade in shades)
    return ArraySplit(videos=videos, labels=np.array([int(shade > 127) for shade in shades], np.int64))


def noise(count: int = 5) -> ArraySplit:
    generator = np.random.default_rng(0)
    videos = tuple(generator.integers(0, 256, (60, 12, 18, 3), dtype=np.uint8) for _ in range(count))
    return ArraySplit(videos=videos, labels=np.arange(count, dtype=np.int64) % 3)


def test_one_label() -> None:
    split = grey(0, 255, 250, 10)
    tested = evaluate(
        Brightness(), split, OneLabel(labels=np.array([0, 1, 0, 0])), seen(ViewGrid(clips=2), 3)
    )
    assert tested.videos == 4
    assert tested.scores["top1"] == 0.75
    assert tested.scores["mean_class_accuracy"] == pytest.approx((2 / 3 + 1) / 2)
    assert tested.per_class == pytest.approx((2 / 3, 1.0))


@pytest.mark.parametrize("grid", [ViewGrid(), ViewGrid(clips=3), ViewGrid(clips=2, crops=3, scale=1.25)])
def test_views_are_averaged_whatever_the_batch(grid: ViewGrid) -> None:
    split = noise()
    means = [view_means(Random(), split, seen(grid, size)) for size in (1, 4, 100)]
    assert np.allclose(means[0], means[1], atol=1e-6)
    assert np.allclose(means[0], means[2], atol=1e-6)
    assert np.allclose(means[0].sum(axis=1), 1)


def test_processes_share_the_views() -> None:
    split, grid = noise(), ViewGrid(clips=4)
    whole = view_means(Random(), split, seen(grid, 3))
    parts = [view_means(Random(), split, seen(grid, 3), share=Share(rank=rank, ranks=2)) for rank in range(2)]
    assert np.allclose(sum(parts), whole)
    assert not np.allclose(parts[0], whole)


def test_several_labels_and_videos_without_any() -> None:
    """Bright videos are of class 1. A video without a label would spoil class 1, and is left out."""
    split = grey(0, 255, 200, 254)
    shown = ((Segment(label=0),), (Segment(label=1),), (Segment(label=1), Segment(label=0)), ())
    truth = SeveralLabels(segments=shown, seconds=split.seconds, classes=3)
    tested = evaluate(Three(), split, truth, seen(ViewGrid(), 8))
    assert tested.videos == 4
    assert tested.per_class[:2] == (1.0, 1.0)
    assert math.isnan(tested.per_class[2])
    assert tested.scores == {"mean_average_precision": 1.0}


class Three(Brightness):
    """A third class that nobody has."""

    def forward(self, clips: Tensor) -> Tensor:
        return nn.functional.pad(super().forward(clips), (0, 1))


def test_localisation_finds_when() -> None:
    """A video that grows brighter in its middle: class 1 is there in the second half."""
    steps = np.repeat(np.array([0, 255], np.uint8), 100)
    video = np.broadcast_to(steps[:, None, None, None], (200, 12, 16, 3))
    split = ArraySplit(videos=(video,), labels=np.zeros(1, np.int64))
    shown = ((Segment(label=0, start=0, end=0.99), Segment(label=1, start=1.0, end=2.0)),)
    truth = SeveralLabels(segments=shown, seconds=split.seconds, classes=2, per_frame=True)
    network = Brightness(per_frame=True)
    scores = localisation_scores(network, split, seen(ViewGrid(clips=10), 4))
    assert scores.shape == (1, MOMENTS, 2)
    moments = np.arange(MOMENTS) / MOMENTS * 2.0
    assert (scores[0, moments < 0.85, 1] < 0.2).all()
    assert (scores[0, moments > 1.15, 1] > 0.8).all()
    tested = evaluate(network, split, truth, seen(ViewGrid(clips=10), 4))
    assert tested.scores["mean_average_precision"] > 0.95


def test_frames_between_those_that_are_seen_are_interpolated() -> None:
    ramp = np.broadcast_to(np.arange(200, dtype=np.uint8)[:, None, None, None], (200, 12, 16, 3))
    split = ArraySplit(videos=(ramp, ramp), labels=np.zeros(2, np.int64))
    network = Brightness(per_frame=True)
    few, many = (localisation_scores(network, split, seen(ViewGrid(clips=clips), 3)) for clips in (3, 30))
    assert np.allclose(few[0], few[1])
    assert (np.diff(few[0, :, 1]) >= -1e-9).all()
    inside = slice(4, 21)  # before the first and after the last frame there is nothing to go by
    assert np.abs(few[0, inside] - many[0, inside]).max() < 0.05


def test_probabilities_that_are_no_numbers() -> None:
    class Broken(nn.Module):
        def forward(self, clips: Tensor) -> Tensor:
            return torch.full((len(clips), 2), float("nan"))

    with pytest.raises(Diverged, match="scores are not finite"):
        view_means(Broken(), grey(0, 255), seen(ViewGrid(), 2))


def test_torchrun_tells_who_a_process_is(monkeypatch: pytest.MonkeyPatch) -> None:
    assert Processes.of_torchrun() == Processes()
    for name, value in {"RANK": 5, "WORLD_SIZE": 8, "LOCAL_RANK": 1, "LOCAL_WORLD_SIZE": 4}.items():
        monkeypatch.setenv(name, str(value))
    found = Processes.of_torchrun()
    assert (found.share, found.local, found.local_count) == (Share(rank=5, ranks=8), 1, 4)
    assert not found.leads
