"""Runs that are settled: small ones, for real."""

from __future__ import annotations

from pathlib import Path

import pytest

from expand.command import settle_session
from expand.command.session import extend, go_on
from expand.command.settle_session import next_stage, settle
from expand.run.extension import Extending
from expand.run.record import read_run, replayed
from expand.run.study import Run
from expand.system.errors import RunFailed, UserError
from expand.system.signals import Interrupted
from tests.expand.faults.processes import checksums
from tests.expand.run.test_extension import Make, grown, searched, small, trained
from tests.expand.runs import CARD, toy_config

pytestmark = pytest.mark.usefixtures("only_svg")

SETTLED = 8  # trainings


@pytest.mark.parametrize("make", [small, grown])
def test_a_settled_run_is_the_run_made_in_one_go_with_the_same_stages(
    tmp_path: Path, cache: Path, make: Make
) -> None:
    run = searched(tmp_path / "settled", make(cache, seeds=[2, 3]))
    before, path = trained(run), [row.name for row in read_run(run.folder).path]
    settled = settle(run, SETTLED)
    stages = Run.open(run.folder).config.search.settled
    assert stages
    assert 2 <= settled.trainings <= SETTLED
    whole = searched(tmp_path / "whole", make(cache, seeds=[2, 3], settled=stages))
    assert trained(whole) <= trained(run)
    assert before <= trained(run)
    assert checksums(run.folder) == checksums(whole.folder)
    record = read_run(run.folder)
    assert record.finished
    now = [row.name for row in record.path]
    assert bool(settled.forked) == (now[: len(path)] != path[: len(now)])
    if not (run.folder / "former").exists():  # no fork on the way either, so nothing else was trained
        assert len(trained(run)) == len(before) + settled.trainings
    text = settled.sentences(SETTLED)[0]
    assert f"Settled by {settled.trainings} trainings" in text
    assert f"{100 * settled.before:.1f} points and is {100 * settled.after:.1f}" in text


@pytest.mark.parametrize("make", [small, grown])
def test_a_settled_run_that_was_cut_off_goes_on_and_comes_to_the_same(
    tmp_path: Path,
    cache: Path,
    make: Make,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    whole = searched(tmp_path / "whole", make(cache, seeds=[2, 3]))
    spent = settle(whole, SETTLED).trainings
    run = searched(tmp_path / "run", make(cache, seeds=[2, 3]))
    with monkeypatch.context() as patched:
        patched.setattr(settle_session, "drive", _interrupted)
        with pytest.raises(Interrupted):
            settle(run, SETTLED)
    begun = sum(Run.open(run.folder).config.search.settled.values())
    assert begun == 1
    said = capsys.readouterr().err
    left = int(said.split("are spent or begun; ")[1].split(" are left")[0])
    assert not read_run(run.folder).finished
    with pytest.raises(UserError, match="a run must be finished before it is settled"):
        settle(Run.open(run.folder), left)
    go_on(Run.open(run.folder))
    assert read_run(run.folder).finished
    assert SETTLED - left + settle(Run.open(run.folder), left).trainings == spent
    assert checksums(run.folder) == checksums(whole.folder)


def written(run: Run) -> tuple[bytes, bytes]:
    return (run.folder / "study.db").read_bytes(), (run.folder / "config.yaml").read_bytes()


def _interrupted(*_: object) -> None:
    raise Interrupted(2)


def test_a_settled_run_can_be_extended_and_trains_no_stage_again(tmp_path: Path, cache: Path) -> None:
    run = searched(tmp_path / "run", grown(cache, seeds=[2, 3]))
    settle(run, 4)
    stages, before = Run.open(run.folder).config.search.settled, trained(run)
    extend(Run.open(run.folder), Extending(targets=["4K"], settings={}))
    whole = searched(tmp_path / "whole", grown(cache, seeds=[2, 3], targets=[1_500, 4_000], settled=stages))
    assert checksums(run.folder) == checksums(whole.folder)
    assert before <= trained(run)


def test_what_cannot_be_settled_is_said_in_a_line_and_nothing_is_written(tmp_path: Path, cache: Path) -> None:
    run = searched(tmp_path / "one", small(cache, seeds=1))
    new = Run.create(tmp_path / "new", toy_config(cache), CARD)
    random = searched(
        tmp_path / "random", small(cache, strategy="random", settings={"networks": 1, "within": 0.9}, seeds=2)
    )
    for given, trainings, told in (
        (run, 8, "extend it by --seeds 2-8 first"),
        (run, 1, "--trainings must be at least 2"),
        (new, 8, "a run must be finished before it is settled"),
        (random, 8, "a run must make decisions to be settled"),
    ):
        before = written(given)
        with pytest.raises(UserError) as caught:
            settle(given, trainings)
        assert told in str(caught.value)
        assert before == (
            (given.folder / "study.db").read_bytes(),
            (given.folder / "config.yaml").read_bytes(),
        )


def test_a_run_that_is_sure_is_left_as_it_is(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = searched(tmp_path / "run", small(cache, seeds=2))
    assert next_stage(replayed(run), 20) is not None
    assert next_stage(replayed(run), 1) is None
    monkeypatch.setattr(settle_session, "next_stage", lambda *_: None)
    before = trained(run), (run.folder / "config.yaml").read_bytes()
    settled = settle(run, 20)
    assert settled.trainings == 0
    assert settled.sentences(20)[0].startswith("Nothing was trained: by at most 20 trainings")
    assert before == (trained(run), (run.folder / "config.yaml").read_bytes())


def test_an_extension_that_was_cut_off_before_its_models_is_not_finished(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = searched(tmp_path / "run", small(cache, seeds=1))
    with monkeypatch.context() as patched:
        patched.setattr("expand.run.driver.write_models", _full_disk)
        with pytest.raises(RunFailed):
            extend(run, Extending(settings={"seeds": "3"}))
    record = read_run(run.folder)
    assert record.ended
    assert not record.finished
    assert record.state == "all trained, with models to write"
    go_on(Run.open(run.folder))
    whole = searched(tmp_path / "whole", small(cache, seeds=3))
    assert read_run(run.folder).finished
    assert checksums(run.folder) == checksums(whole.folder)


def _full_disk(*_: object) -> None:
    raise RunFailed("models/ cannot be written: no space left; make room and resume.")
