"""Runs that are extended, and runs that take over what others have measured: small ones, for real."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from expand.command.session import extend, go_on
from expand.config.search import Config
from expand.run.driver import drive
from expand.run.extension import Extending
from expand.run.preparation import decode, plan
from expand.run.record import read_run
from expand.run.study import Run
from expand.search.setup import FrameGrid
from expand.system.errors import UserError
from tests.expand.faults.processes import checksums, lasting
from tests.expand.runs import CARD, LEARNING, SPEED, Quiet, prepared, run_search, toy_config, toy_setup

pytestmark = pytest.mark.usefixtures("only_svg")

Make = Callable[..., Config]


def searched(folder: Path, config: Config) -> Run:
    return run_search(folder, config)[0]


def extending(*targets: str, **settings: object) -> Extending:
    return Extending(targets=targets, settings=settings)


def trained(run: Run) -> set[str]:
    return set(run.results())


def small(cache: Path, **search: object) -> Config:
    """A search that trains from random weights."""
    return toy_config(cache, search={"targets": [1_500], **search}, training=LEARNING)


def grown(cache: Path, **search: object) -> Config:
    """A search whose candidates grow from what their parents have learned."""
    return toy_config(
        cache,
        space={"name": "tests.expand.toy:GrowingToySpace"},
        search={"targets": [1_500], "settings": {"past_control": True}, **search},
        training={"init": "grown", "learning_rate": 1.0, "epochs": 20},
    )


@pytest.mark.parametrize("make", [small, grown])
def test_a_run_extended_to_a_higher_target_is_the_run_made_in_one_go(
    tmp_path: Path, cache: Path, make: Make
) -> None:
    run = searched(tmp_path / "extended", make(cache))
    before = lasting(run.folder)
    extend(run, extending("4K"))
    whole = searched(tmp_path / "whole", make(cache, targets=[1_500, 4_000]))
    after = lasting(run.folder)
    assert before.items() <= after.items()
    assert after == lasting(whole.folder)
    assert checksums(run.folder) == checksums(whole.folder)
    names = [row.name for row in read_run(whole.folder).trajectory]
    assert [row.name for row in read_run(run.folder).trajectory] == names
    assert Run.open(run.folder).config.search.targets == (1_500, 4_000)


def test_nothing_is_trained_again_that_further_networks_grow_from(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, view = searched(tmp_path / "run", grown(cache)), Quiet()
    monkeypatch.setattr("expand.command.session.SearchView", lambda _: _Shown(view))
    before = trained(run)
    extend(run, extending("4K"))
    assert view.restored == []
    assert not before & set(view.trained)


class _Shown:
    """A display as a context manager."""

    def __init__(self, view: Quiet) -> None:
        self.view = view

    def __enter__(self) -> Quiet:
        return self.view

    def __exit__(self, *_: object) -> None: ...


@pytest.mark.parametrize("make", [small, grown])
def test_more_seeds_are_the_run_made_in_one_go_and_a_fork_is_said(
    tmp_path: Path, cache: Path, capsys: pytest.CaptureFixture[str], make: Make
) -> None:
    run = searched(tmp_path / "extended", make(cache, seeds=1))
    before, names = trained(run), [row.name for row in read_run(run.folder).path]
    extend(run, extending(seeds="3"))
    whole = searched(tmp_path / "whole", make(cache, seeds=3))
    assert before <= trained(run)
    assert trained(whole) <= trained(run)
    assert checksums(run.folder) == checksums(whole.folder)
    now = [row.name for row in read_run(run.folder).path]
    assert ("The path forks" in capsys.readouterr().err) == (now[: len(names)] != names[: len(now)])


@pytest.mark.parametrize(("part", "value"), [("architecture", "width"), ("sampling", "stride")])
def test_a_model_of_another_branch_is_kept_apart_and_its_weights_are_not_taken(
    tmp_path: Path, cache: Path, part: str, value: str
) -> None:
    """As after a fork: the same name is that of another network, or of the same one with other clips."""
    run = searched(tmp_path / "extended", small(cache))
    whole = searched(tmp_path / "whole", small(cache, targets=[1_500, 4_000]))
    (name,) = (name for name in run.models() if name.startswith("step-1"))
    model = run.models()[name]
    values = yaml.safe_load(model.read_text())
    values[part][value] += 1
    former = yaml.safe_dump(values)
    model.write_text(former)
    model.with_suffix(".safetensors").unlink()  # which may be a hard link
    model.with_suffix(".safetensors").write_bytes(b"of the former network")
    extend(run, extending("4K"))
    assert checksums(run.folder) == checksums(whole.folder)
    assert (run.folder / "former" / "1" / model.name).read_text() == former
    aside = run.folder / "former" / "1" / f"{name}.safetensors"
    assert aside.read_bytes() == b"of the former network"


def test_an_extension_that_was_cut_off_goes_on_on_resume(tmp_path: Path, cache: Path) -> None:
    config = small(cache, targets=[1_500, 4_000])
    whole = searched(tmp_path / "whole", config)
    run = searched(tmp_path / "run", small(cache))
    text = (run.folder / "config.yaml").read_bytes()
    run.extend(config, run.data, ["step-0"])
    (run.folder / "config.yaml").write_bytes(text)  # as if it was killed before it wrote the file
    again = Run.open(run.folder)
    assert read_run(run.folder).finished  # as before the extension
    go_on(again)
    assert checksums(run.folder) == checksums(whole.folder)
    assert Run.open(run.folder).config.search.targets == (1_500, 4_000)


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        (extending("1K"), "--target must be above the last accepted network's "),
        (extending("1.5Mparams"), "targets must have one unit"),
        (extending(seeds="1"), "the seeds of a run that is extended must not fall below its 2, got 1"),
        (extending(), "what extends a run must differ from what it has, but it does not"),
        (extending(confidence=2.0), "confidence"),
    ],
)
def test_what_extends_nothing_is_refused_and_nothing_is_written(
    tmp_path: Path, cache: Path, asked: Extending, told: str
) -> None:
    run = searched(tmp_path / "run", small(cache, seeds=2))
    before = (run.folder / "study.db").read_bytes(), (run.folder / "config.yaml").read_bytes()
    with pytest.raises(UserError) as caught:
        extend(run, asked)
    assert told in str(caught.value)
    assert before == ((run.folder / "study.db").read_bytes(), (run.folder / "config.yaml").read_bytes())


def test_larger_networks_get_larger_frames_and_smaller_ones_keep_theirs() -> None:
    setup, wide = toy_setup(), FrameGrid(short_side=80, fps=5.0)
    assert CARD.with_grid(FrameGrid(short_side=32, fps=1.0)) == CARD
    both = replace(setup, data=CARD.with_grid(wide))
    sampling = setup.space.sampling(setup.space.start)
    assert both.grid(sampling) == CARD.grids[0]
    assert both.grid(replace(sampling, size=64)) == wide
    assert both.grid(replace(sampling, size=200)) == wide  # the last serves where none is enough


@pytest.mark.parametrize("kind", [small, grown])
def test_what_another_run_has_measured_is_taken_over(tmp_path: Path, cache: Path, kind: Make) -> None:
    """Also where further networks grow from networks that were taken over."""
    other = searched(tmp_path / "other", kind(cache))
    config = kind(cache, targets=[1_500, 4_000])
    whole = searched(tmp_path / "whole", config)
    reusing = config.model_copy(update={"run": config.run.model_copy(update={"reuse": (other.folder,)})})
    run, took = searched(tmp_path / "run", reusing), _seconds(other)
    assert checksums(run.folder) == checksums(whole.folder)
    assert run.attempts().items() >= other.attempts().items()
    assert _seconds(run).items() >= took.items()  # even the times are those of the other run


def _seconds(run: Run) -> dict[str, float]:
    return {key: result.seconds for key, result in run.results().items()}  # type: ignore[union-attr]


def test_a_run_of_other_videos_is_not_taken_over(tmp_path: Path, cache: Path) -> None:
    other = Run.create(tmp_path / "other", toy_config(), CARD)
    config = small(cache)
    reusing = config.model_copy(update={"run": config.run.model_copy(update={"reuse": (other.folder,)})})
    with pytest.raises(UserError) as caught:
        decode(plan(reusing), Quiet().caching)
    assert "a run whose measurements are taken over must have the same videos" in str(caught.value)
    missing = config.model_copy(update={"run": config.run.model_copy(update={"reuse": (tmp_path,)})})
    with pytest.raises(UserError):
        plan(missing)


def test_a_race_confirms_what_it_found(tmp_path: Path, cache: Path) -> None:
    run, trajectory = run_search(tmp_path / "run", small(cache, seeds=[1, 2]))
    record = read_run(run.folder)
    assert trajectory.confirmed
    for row in record.trajectory:
        assert (row.fresh is None) == (row.name == "step-0")
        if row.fresh is not None:
            assert len(row.fresh.scores) == 2
            assert len(row.seeds.scores) <= 2  # the fresh ones are none of them
            assert row.fresh.mean is not None
    text = run.models()["target-1.5K"].read_text()
    assert "fresh:" in text
    with run.locked():
        drive(run, prepared(small(cache, seeds=[1, 2])), SPEED, view := Quiet())
    assert view.trained == []
