"""A run as pandas frames."""

from __future__ import annotations

from pathlib import Path

import expand
from tests.expand.made_up import made_up_run


def test_the_repr_of_a_run_fits_a_screen(tmp_path: Path) -> None:
    run = expand.load_run(made_up_run(tmp_path / "run").folder)
    assert (
        repr(run)
        == f"""\
RunFrames of {tmp_path / "run"}: finished
  .trials      {len(run.trials)} × {run.trials.shape[1]}
  .rounds      {len(run.rounds)} × {run.rounds.shape[1]}
  .decisions   2 × {run.decisions.shape[1]}
  .trajectory  4 × {run.trajectory.shape[1]}
  .attempts    {len(run.attempts)} × {run.attempts.shape[1]}
  .models      4 files by name, the last target-6M
  .data        synthetic: 24 training and 12 validation videos, 12 classes
  .config      expansion to 6 M MACs
  .stability   how often each sequence of axes would come out again"""
    )


def test_the_repr_of_a_run_that_has_just_begun(tmp_path: Path) -> None:
    run = expand.load_run(made_up_run(tmp_path / "run", rounds=1, results_in_last=0).folder)
    assert repr(run).splitlines()[0].endswith(": in round 0, 1 candidate to come")
    assert "  .models      0 files by name" in repr(run).splitlines()
