"""What a search starts from: found and checked before it begins, its weights copied, the same on resume."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from expand.config.search import Config, SpaceConfig
from expand.jobs.folder import WEIGHTS, read_job
from expand.run.driver import drive
from expand.run.start import with_start
from expand.run.study import Run
from expand.search.setup import problem_of
from expand.system.errors import UserError
from expand.weights.models import network_values, read_model, write_values
from search_spaces.x3d import published
from tests.expand.faults.processes import checksums, lasting
from tests.expand.models import SETTINGS, write_tiny
from tests.expand.run.test_parents import Stop, Stopping
from tests.expand.runs import CLASSES, SPEED, Quiet, prepared, run_search, toy_config
from tests.expand.toy import GrowingToySpace, Point

GROWING = "tests.expand.toy:GrowingToySpace"


def write_toy(path: Path, classes: Sequence[str] = CLASSES, *, weights: bool = True, seed: int = 0) -> Path:
    """A network of the toy space as a model file; with the weights, the biases are -1, -2 and so on."""
    space, point = GrowingToySpace(), Point(width=5)
    values = network_values(path.stem, SpaceConfig(name=GROWING), point, space.sampling(point), classes)
    write_values(path, values | {"factors": asdict(point)})
    if weights:
        torch.manual_seed(seed)
        state = space.build(point, len(classes)).state_dict()
        save_file(
            {**state, "classifier.bias": -1.0 - torch.arange(len(classes))}, path.with_suffix(".safetensors")
        )
    return path


def starting(start: object, cache: Path | None = None, **training: Any) -> Config:
    """A search of the toy space that starts there."""
    return toy_config(
        cache,
        space={"name": GROWING},
        search={"start": start, "targets": [4_000], "settings": {"past_control": True}},
        training={"learning_rate": 1.0, "epochs": 20, **training},
    )


def test_a_published_network_is_its_factors() -> None:
    config = with_start(Config.model_validate({"search": {"start": "X3D-XS", "targets": ["1G"]}}))
    assert config.search.start is not None
    assert (config.search.start.network, config.search.start.checksum) == ("x3d-xs", None)
    assert problem_of(config).start.point == published("x3d-xs").factors
    assert with_start(config) is config


def test_a_model_file_is_its_factors_and_its_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_toy(Path("a.yaml"))
    start = with_start(starting("a.yaml")).search.start
    assert start is not None
    assert (start.network, start.name) == (str(tmp_path / "a.yaml"), "a")
    assert start.factors == {"frames": 1, "width": 5, "size": 32}
    write_toy(Path("b.yaml"))
    write_toy(Path("c.yaml"), seed=1)
    write_toy(Path("d.yaml"), [*CLASSES[1:], "z"])
    starts = [with_start(starting(f"{name}.yaml")).search.start for name in "bcd"]
    same, *others = [one.checksum for one in starts if one is not None]
    assert same == start.checksum  # the same weights in another file
    assert len({same, *others}) == 3  # other weights, or other classes


def test_without_weights_or_from_scratch_it_is_its_factors(tmp_path: Path) -> None:
    bare, whole = write_toy(tmp_path / "bare.yaml", weights=False), write_toy(tmp_path / "whole.yaml")
    for config in (starting(bare), starting(whole, init="scratch")):
        start = with_start(config).search.start
        assert start is not None
        assert (start.factors, start.checksum) == ({"frames": 1, "width": 5, "size": 32}, None)


def test_the_space_of_the_model_is_taken_where_none_is_named(tmp_path: Path) -> None:
    path = write_tiny(tmp_path / "a.yaml", "abc", factors={"depth": 1.0})
    config = with_start(Config.model_validate({"search": {"start": path}}))
    assert config.space == SpaceConfig(name="x3d", settings=SETTINGS)


def test_what_a_search_cannot_start_from_is_one_line(tmp_path: Path) -> None:
    own, toy = write_tiny(tmp_path / "own.yaml", "abc"), write_toy(tmp_path / "toy.yaml")
    other = write_tiny(tmp_path / "other.yaml", "abc", factors={"depth": 9.0})
    (tmp_path / "models").mkdir()
    torn = write_toy(tmp_path / "torn.yaml")
    save_file({"classifier.bias": torch.zeros(12)}, torn.with_suffix(".safetensors"))
    elsewhere = "start from factors (search.start.depth=2.2)."
    messages = {
        "nothing": "search.start: the model must be one of x2d, x3d-xs, x3d-s, x3d-m, x3d-l, x3d-xl, a run's "
        "folder or a model's YAML, got 'nothing'.",
        tmp_path: f"search.start must be a single network, got the folder {tmp_path}: name a model file in "
        f"it, such as {tmp_path}/models/target-80M.yaml.",
        "x3d-xs": f"search.start must be a network of the search's space, {GROWING}'s own basis, but x3d-xs "
        f"is one of x3d's own basis: set space to the latter, or {elsewhere}",
        torn: f"{torn.with_suffix('.safetensors')} must hold the weights of torn, but classifier.weight is "
        "missing: name the network that these weights belong to.",
    }
    for start, message in messages.items():
        with pytest.raises(UserError) as caught:
            with_start(starting(start))
        assert str(caught.value) == message
    messages = {
        own: f"search.start must be a network with factors, but own has none: {elsewhere}",
        other: f"search.start must be a network whose factors give its architecture, but those of {other} "
        f"give another: {elsewhere}",
    }
    for start, message in messages.items():
        with pytest.raises(UserError) as caught:
            with_start(Config.model_validate({"search": {"start": start}}))
        assert str(caught.value) == message
    with pytest.raises(UserError, match="x3d with size 48, but toy is one of"):
        with_start(
            Config.model_validate(
                {"space": {"name": "x3d", "settings": {"size": 48}}, "search": {"start": toy}}
            )
        )


def stopped_at(folder: Path, config: Config, number: int) -> Run:
    """A search that was stopped when a round began."""
    with pytest.raises(Stop):
        run_search(folder, config, Stopping(number))
    return Run.open(folder)


def go_on(run: Run) -> None:
    """Resume a run by what is in its folder."""
    with run.locked():
        drive(run, prepared(run.config), SPEED, Quiet())


@pytest.mark.parametrize("kept", [True, False])
def test_the_start_grows_from_the_weights(tmp_path: Path, cache: Path, kept: bool) -> None:
    """With their classifier if the classes are those of the videos, else with an untrained one."""
    classes = prepared(starting({"width": 5}, cache)).setup.data.classes if kept else "abc"
    path = write_toy(tmp_path / "a.yaml", tuple(classes))
    run = stopped_at(tmp_path / "run", with_start(starting(path, cache)), 1)
    (start,) = (job for job in run.results())
    job, _ = read_job(run.job_folder(start))
    assert job.parent is not None
    given = load_file(run.job_folder(job.parent) / WEIGHTS)
    bias = given["classifier.bias"]
    assert bias.shape == (12,)
    assert torch.equal(bias, -1.0 - torch.arange(12)) == kept
    assert f"grown from {job.parent}" in (run.job_folder(start) / "log.txt").read_text()


def test_a_search_that_was_stopped_ends_the_same(tmp_path: Path, cache: Path) -> None:
    path = write_toy(tmp_path / "a.yaml")
    config = with_start(starting(path, cache))
    whole, trajectory = run_search(tmp_path / "whole", config)
    assert trajectory.states[0].candidate.point == Point(width=5)
    for number, lost in ((0, False), (1, False), (1, True)):
        run = stopped_at(tmp_path / f"{number} {lost}", config, number)
        if lost:
            shutil.rmtree(run.folder / "checkpoints")
        go_on(run)
        assert lasting(run.folder) == lasting(whole.folder)
        assert checksums(run.folder) == checksums(whole.folder)
    assert str(tmp_path) not in (whole.folder / "models" / "step-0.yaml").read_text()


@pytest.mark.slow
def test_any_number_of_workers_gives_the_same(tmp_path: Path, cache: Path) -> None:
    config = with_start(starting(write_toy(tmp_path / "a.yaml"), cache))
    alone, _ = run_search(tmp_path / "one", config)
    more = config.model_copy(update={"run": config.run.model_copy(update={"workers": 3})})
    several, _ = run_search(tmp_path / "three", more)
    assert checksums(alone.folder) == checksums(several.folder)


def test_weights_that_are_gone_or_changed_are_one_line_on_resume(tmp_path: Path, cache: Path) -> None:
    path = write_toy(tmp_path / "a.yaml")
    weights = path.with_suffix(".safetensors")
    run = stopped_at(tmp_path / "run", with_start(starting(path, cache)), 0)
    shutil.rmtree(run.folder / "checkpoints")
    write_toy(path, seed=1)
    with pytest.raises(UserError) as caught:
        go_on(run)
    assert str(caught.value) == (
        f"{weights} must be the weights that the run was started with, and {path} their classes, but one of "
        "them has changed: put it back, or start another run."
    )
    weights.unlink()
    with pytest.raises(UserError) as caught:
        go_on(run)
    config = run.folder / "config.yaml"
    assert str(caught.value) == (
        f"the search starts from {path} and the weights beside it, but {weights} is not there: put it back, "
        f"or write its new place into {config} (search.start.network)."
    )
    moved = write_toy(tmp_path / "moved.yaml")
    config.write_text(config.read_text().replace(str(path), str(moved)))
    run = Run.open(run.folder)
    run.check_config()
    go_on(run)
    assert "step-0" in run.models()


def test_once_the_start_is_trained_nobody_needs_the_model_file(tmp_path: Path, cache: Path) -> None:
    path = write_toy(tmp_path / "a.yaml")
    run = stopped_at(tmp_path / "run", with_start(starting(path, cache)), 1)
    path.unlink()
    go_on(run)
    assert read_model(run.models()["step-0"]).values["found"]["start"]["checksum"] is not None
