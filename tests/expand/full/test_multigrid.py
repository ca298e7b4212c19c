from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from expand.full.multigrid import LONG_CYCLES_END, multigrid
from expand.training.schedule import plain
from search_spaces.base import ClipSampling

FULL = ClipSampling(frames=16, stride=5, size=224)
SAMPLINGS = st.builds(
    ClipSampling,
    frames=st.integers(4, 32),
    stride=st.integers(1, 24),
    size=st.integers(12, 48).map(lambda n: 8 * n),
)


def test_the_same_shape_in_every_step() -> None:
    schedule = plain(FULL, batch_size=16, clips=100)
    assert (schedule.steps, schedule.clips) == (6, 96)
    assert {(shape.clips, shape.sampling) for shape in schedule.shapes()} == {(16, FULL)}
    assert plain(FULL, batch_size=16, clips=1).steps == 1


def test_multigrid_as_in_its_paper() -> None:
    """Batches of 8, 4, 2 and 1 times the usual one, for clips of T/4·S/√2, T/2·S/√2, T/2·S and T·S."""
    schedule = multigrid(FULL, batch_size=64, clips=400_000)
    first = schedule.phases[:4]
    assert [phase.shapes[-1].clips for phase in first] == [504, 248, 128, 64]
    assert [phase.rate for phase in first] == pytest.approx([8, 4, 2, 1], rel=0.04)
    assert [phase.shapes[-1].sampling.frames for phase in first] == [4, 8, 8, 16]
    assert [phase.shapes[-1].sampling.size for phase in first] == [160, 160, 224, 224]
    assert [phase.splits for phase in first] == [63, 31, 16, 8]  # about 8 clips each
    assert [len(phase.shapes) for phase in first] == [2, 2, 3, 3]  # the short cycle


def test_long_cycles_end_at_their_shares_of_the_steps() -> None:
    schedule = multigrid(FULL, batch_size=64, clips=4_000_000)
    ends = [start / schedule.steps for start in schedule.starts]
    for share in LONG_CYCLES_END[:2]:
        assert any(end == pytest.approx(share, abs=1e-3) for end in ends)
    last = schedule.phases[-1]
    assert last.shapes[-1].sampling == FULL
    assert last.steps / schedule.steps == pytest.approx(
        0.15 + 0.2 / 4, abs=1e-3
    )  # and that of the last cycle


@given(
    sampling=SAMPLINGS,
    batch_size=st.integers(2, 16).map(lambda n: 16 * n),
    clips=st.integers(1, 10**6),
    processes=st.sampled_from([1, 2, 4]),
)
def test_every_step_costs_about_the_same_and_can_be_divided(
    sampling: ClipSampling, batch_size: int, clips: int, processes: int
) -> None:
    schedule = multigrid(sampling, batch_size=batch_size, clips=clips, processes=processes)
    usual = batch_size * sampling.frames * sampling.size**2
    for phase in schedule.phases:
        for shape in phase.shapes:
            assert shape.volume == pytest.approx(usual, rel=0.1 if batch_size // processes >= 32 else 0.35)
            assert shape.clips % (phase.splits * processes) == 0
            assert shape.clips // processes // phase.splits >= 2 or phase.splits == 1
            assert shape.sampling.size % 8 == 0
            assert shape.sampling.size >= 32


@given(sampling=SAMPLINGS, clips=st.integers(1, 10**5), data=st.data())
def test_steps_are_counted_alike_from_anywhere(
    sampling: ClipSampling, clips: int, data: st.DataObject
) -> None:
    schedule = multigrid(sampling, batch_size=32, clips=clips)
    step = data.draw(st.integers(0, min(schedule.steps, 200)))
    assert schedule.clips_before(schedule.steps) == schedule.clips
    assert schedule.clips_before(step) == sum(schedule.at(one)[1].clips for one in range(step))
    assert [start + phase.steps for start, phase in zip(schedule.starts, schedule.phases, strict=True)] == [
        *schedule.starts[1:],
        schedule.steps,
    ]
    assert all(one < other for one, other in pairwise(schedule.starts))


def test_clips_keep_their_duration() -> None:
    for phase in multigrid(FULL, batch_size=64, clips=10**6).phases:
        for shape in phase.shapes:
            assert shape.sampling.frames * shape.sampling.stride == pytest.approx(80, abs=4)
