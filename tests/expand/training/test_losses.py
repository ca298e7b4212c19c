from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from expand.jobs.job import TrainingProgress
from expand.training.losses import Diverged, Losses, Read


def reading(loss: float, made: list[float]) -> Read:
    def read() -> float:
        made.append(loss)
        return loss

    return read


def test_a_loss_is_read_when_the_next_step_is_under_way() -> None:
    made: list[float] = []
    reports: list[TrainingProgress] = []
    losses = Losses(total=20, behind=1, keep_from=0.9)
    losses.report = reports.append
    losses.add(10, reading(3.0, made))
    assert made == []
    losses.add(10, reading(2.0, made))
    assert made == [3.0]
    losses.read()
    assert losses.kept == [2.0]
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
        losses = Losses(total=sum(sizes), behind=behind, keep_from=0.9)
        losses.report = reports.append
        for number, size in enumerate(sizes):
            losses.add(size, reading(1 / (1 + number), []))
        losses.read()
        return losses.kept, reports

    assert train(behind) == train(0)
