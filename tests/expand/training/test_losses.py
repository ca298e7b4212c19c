from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from expand.data.labels import OneLabel, Segment, SeveralLabels
from expand.jobs.job import TrainingProgress
from expand.training.losses import Diverged, Losses, Read, TrainingLoss, guess_loss
from search_spaces.base import ClipSampling


def reading(loss: float, made: list[float]) -> Read:
    def read() -> float:
        made.append(loss)
        return loss

    return read


def test_a_loss_is_read_when_the_next_step_is_under_way() -> None:
    made: list[float] = []
    reports: list[TrainingProgress] = []
    losses = Losses(total=20, behind=1)
    losses.report = reports.append
    losses.add(10, reading(3.0, made))
    assert made == []
    losses.add(10, reading(2.0, made))
    assert made == [3.0]
    losses.read()
    assert losses.kept == [3.0, 2.0]
    assert reports == [
        TrainingProgress(step=1, clips=10, total=20, loss=3.0),
        TrainingProgress(step=2, clips=20, total=20, loss=2.0),
    ]


def test_the_processor_reads_at_once() -> None:
    made: list[float] = []
    Losses(total=20, behind=0).add(10, reading(3.0, made))
    assert made == [3.0]


@pytest.mark.parametrize("behind", [0, 1])
def test_a_loss_that_is_no_number_is_named_with_its_step(behind: int) -> None:
    reports: list[TrainingProgress] = []
    losses = Losses(total=3000, behind=behind)
    losses.report = reports.append
    losses.add(1000, lambda: 1.0)
    with pytest.raises(Diverged) as caught:  # noqa: PT012  # by this step, or by the next
        losses.add(1000, lambda: math.nan)
        losses.add(1000, lambda: 1.0)
    assert str(caught.value) == "the training loss is nan at step 1, 1,000 clips in"
    assert len(reports) == 1


def test_the_last_loss_counts_too() -> None:
    losses = Losses(total=1, behind=1)
    losses.add(1, lambda: math.inf)
    with pytest.raises(Diverged):
        losses.read()


def test_of_several_processes_none_stops_before_all_have_agreed() -> None:
    losses = Losses(total=20, behind=0, alone=False)
    losses.add(10, lambda: math.nan)
    losses.add(10, lambda: 1.0)
    assert not losses.finite


@given(sizes=st.lists(st.integers(1, 9), min_size=1, max_size=30), behind=st.integers(0, 3))
def test_reading_late_changes_nothing(sizes: list[int], behind: int) -> None:
    def train(behind: int) -> tuple[list[float], list[TrainingProgress]]:
        reports: list[TrainingProgress] = []
        losses = Losses(total=sum(sizes), behind=behind)
        losses.report = reports.append
        for number, size in enumerate(sizes):
            losses.add(size, reading(1 / (1 + number), []))
        losses.read()
        return losses.kept, reports

    assert train(behind) == train(0)


def test_a_step_counts_for_the_epoch_of_its_last_clip() -> None:
    loss = TrainingLoss.of([4.0, 3.0, 2.0, 1.0], seen=[6, 12, 18, 20], epoch=10)
    assert loss.epochs == (4.0, 2.0)
    assert loss.last == 1.0


CLIPS = ClipSampling(frames=2, stride=15, size=32)


def one_label(*counts: int, swaps: tuple[int, ...] | None = None) -> OneLabel:
    return OneLabel(labels=np.repeat(np.arange(len(counts)), counts), swaps=swaps)


def test_a_guess_knows_how_frequent_each_class_is() -> None:
    assert guess_loss(one_label(5, 5), CLIPS, 2) == pytest.approx(math.log(2))
    expected = -0.75 * math.log(0.75) - 0.25 * math.log(0.25)
    assert guess_loss(one_label(75, 25), CLIPS, 2) == pytest.approx(expected)
    assert guess_loss(one_label(7, 0), CLIPS, 2) == 0


def test_a_guess_at_balanced_classes_knows_only_how_many_there_are() -> None:
    assert guess_loss(one_label(75, 20, 5), CLIPS, 3, balanced=True) == pytest.approx(math.log(3))


def test_a_guess_at_mirrored_clips_knows_the_classes_that_swap() -> None:
    assert guess_loss(one_label(9, 1, swaps=(1, 0)), CLIPS, 2) == pytest.approx(math.log(2))


@given(st.lists(st.integers(1, 50), min_size=2, max_size=5), st.floats(0, 0.5))
def test_no_guess_has_a_smaller_loss(counts: list[int], smoothing: float) -> None:
    """Against torch's own loss, of logits that are the same for every clip."""
    targets = one_label(*counts)
    loss = torch.nn.CrossEntropyLoss(label_smoothing=smoothing)
    share = np.array(counts) / sum(counts)
    smoothed = (1 - smoothing) * share + smoothing / len(counts)
    logits = torch.from_numpy(np.log(smoothed)).expand(len(targets.labels), -1)
    best = float(loss(logits, torch.from_numpy(targets.labels)))
    assert guess_loss(targets, CLIPS, len(counts), label_smoothing=smoothing) == pytest.approx(best)
    other = float(loss(logits + torch.arange(len(counts)), torch.from_numpy(targets.labels)))
    assert other >= best


def test_a_guess_at_several_labels_knows_how_often_a_clip_shows_each() -> None:
    """The first class always, the second in half of each video, the third never."""
    segments = ((Segment(label=0), Segment(label=1, start=0.0, end=4.9)),) * 3
    targets = SeveralLabels(segments=segments, seconds=np.full(3, 10.0), classes=3)
    assert guess_loss(targets, CLIPS, 3) == pytest.approx(math.log(2) / 3)
