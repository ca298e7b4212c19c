"""A training's curves as TensorBoard reads them."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import pytest

from expand.jobs.job import Job, Measurement, Place, TrainingProgress
from expand.run.preparation import plan
from expand.run.study import Run
from expand.system.errors import UserError
from expand.training.events import open_events
from tests.expand.runs import run_search, toy_config

pytestmark = pytest.mark.filterwarnings("ignore:.*:DeprecationWarning:tensorboard")


def curves(folder: Path) -> dict[str, list[tuple[int, float]]]:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(folder))
    events.Reload()
    return {tag: [(e.step, e.value) for e in events.Scalars(tag)] for tag in events.Tags()["scalars"]}


def test_a_search_leaves_the_curves_of_every_training_by_name(tmp_path: Path, cache: Path) -> None:
    config = toy_config(cache, run={"tensorboard": True}, search={"targets": [900]})
    run, _ = run_search(tmp_path / "run", config)
    folders = sorted(
        str(path.relative_to(run.folder / "tensorboard")) for path in (run.folder / "tensorboard").glob("*/*")
    )
    assert folders[0] == "round-0/start-seed-0"
    assert len(folders) == len(run.results())
    (start,) = (result for key, result in run.results().items() if _name(run, key) == "start")
    assert isinstance(start, Measurement)
    found = curves(run.folder / "tensorboard" / "round-0" / "start-seed-0")
    assert [step for step, _ in found["train/loss"]] == [8, 16, 24]
    assert found["train/learning_rate"][-1][1] == pytest.approx(0, abs=1e-9)
    ((step, top1),) = found["val/top1"]
    assert step == 24
    assert top1 == pytest.approx(start.top1)
    assert found.keys() == {
        "train/loss", "train/learning_rate", "val/score", "val/top1", "val/top5", "val/mean_class_accuracy",
        "val/loss",
    }  # fmt: skip


def _name(run: Run, key: str) -> str:
    (name,) = (t.user_attrs["candidate"] for t in run.study.trials if t.user_attrs["job"] == key)
    return str(name)


def test_an_attempt_that_was_cut_off_leaves_nothing_behind(tmp_path: Path) -> None:
    for loss in (9.0, 1.0):
        with open_events(str(tmp_path / "curves"), lambda _: 0.5) as events:
            events.step(TrainingProgress(step=1, clips=8, total=24, loss=loss))
            events.scores({"val/top1": loss / 10}, 8)
    found = curves(tmp_path / "curves")
    assert found["train/loss"] == [(8, 1.0)]
    assert found["train/learning_rate"] == [(8, 0.5)]
    ((clips, top1),) = found["val/top1"]
    assert clips == 8
    assert top1 == pytest.approx(0.1)


def test_an_attempt_that_goes_on_keeps_the_points_up_to_there(tmp_path: Path) -> None:
    for first, losses in ((0, (9.0, 8.0, 7.0)), (16, (1.0,))):
        with open_events(str(tmp_path / "curves"), lambda _: 0.5, first=first) as events:
            for number, loss in enumerate(losses, start=1 + first // 8):
                events.step(TrainingProgress(step=number, clips=8 * number, total=24, loss=loss))
    assert curves(tmp_path / "curves")["train/loss"] == [(8, 9.0), (16, 8.0), (24, 1.0)]


def test_nothing_is_written_unless_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with open_events(None, lambda _: 0.5) as events:
        events.step(TrainingProgress(step=1, clips=8, total=24, loss=1.0))
        events.scores({"val/top1": 0.5}, 8)
    assert not any(tmp_path.iterdir())


def test_without_the_package_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    with pytest.raises(UserError) as caught:
        plan(toy_config(run={"tensorboard": True}))
    assert str(caught.value) == (
        "run.tensorboard needs the package tensorboard, which is not installed: install it with "
        "`pip install 'xpand[tensorboard]'`, or leave --tensorboard out."
    )


def test_curves_do_not_change_a_job() -> None:
    place = Place(cache="", device="cpu", threads=1, keep_weights=False)
    assert "events" not in Job.__dataclass_fields__
    assert replace(place, events="x") != place
