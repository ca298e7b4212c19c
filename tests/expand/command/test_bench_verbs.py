"""The verbs of `xpand bench`, at sizes that take no time."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch

from expand.bench import count, driver, peers, search, start, step, workers
from expand.bench.harness import Comparison, Figures, Timing, alternate
from expand.bench.step import check_gradients, measure_step, random_batch
from expand.command import bench_verbs as commands
from expand.system.errors import UserError
from search_spaces.x3d import X3DSpace
from search_spaces.x3d.factors import Factors
from tests.expand.commands import Xpand, refused

SMALL = {"X2D at 32²": Factors(size=32 / 112)}


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(step, "TRAJECTORY", SMALL)
    monkeypatch.setattr(count, "PUBLISHED", ["x2d"])
    monkeypatch.setattr(count, "LAST_TARGET", 40_000_000)
    for module in (start, workers):
        monkeypatch.setattr(module, "alternate", partial(alternate, warm_up=0))
    monkeypatch.setattr(start, "_COMMANDS", {"xpand --help": ["--help"]})
    monkeypatch.setattr(workers, "SIZES", (32,))
    monkeypatch.setattr(workers, "CLIPS", 4)
    monkeypatch.setattr(driver, "CANDIDATES", 40)
    monkeypatch.setattr(driver, "WORKERS", 2)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture(autouse=True)
def _no_peers(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Each test imports its own."""
    monkeypatch.setattr(sys, "path", [*sys.path])
    yield
    for name in [name for name in sys.modules if name.split(".")[0] in ("pytorchvideo", "slowfast")]:
        del sys.modules[name]


def figures(xpand: Xpand, *arguments: object) -> dict[str, Any]:
    done = xpand("bench", *arguments, "--rounds", 1, "--json")
    assert done.returncode == 0, done.stderr
    values = json.loads(done.stdout)
    assert isinstance(values, dict)
    for row in values["rows"]:
        own, *_ = (value for value in row.values() if isinstance(value, dict) and "fastest" in value)
        assert row["ratio"] == pytest.approx(row[values["baseline"]]["fastest"] / own["fastest"])
    assert values["ratio"] > 0
    return values


@pytest.mark.slow
def test_step(xpand: Xpand, tmp_path: Path) -> None:
    values = figures(xpand, "step", "--batch", 2, "--threads", 1, "--out", tmp_path / "step.json")
    assert values["command"] == "xpand bench step --device cpu --threads 1 --batch 2 --rounds 1"
    assert values["baseline"] == "plain"
    (row,) = values["rows"]
    assert (row["name"], row["frames"], row["size"]) == ("X2D at 32²", 1, 32)
    assert row["gradient_difference"] < 1e-8
    assert json.loads((tmp_path / "step.json").read_text()) == values


@pytest.mark.slow
def test_step_as_a_table(xpand: Xpand) -> None:
    done = xpand("bench", "step", "--batch", 2, "--threads", 1, "--rounds", 1)
    lines = done.stdout.splitlines()
    assert lines[0].split() == ["ms", "a", "training", "step", "xpand", "plain", "plain", "÷", "xpand"]
    assert lines[1].startswith("X2D at 32²")
    assert lines[-2].startswith("xpand is ")
    assert re.fullmatch(
        r"gradients agree to \de-\d\d in float64; "
        r"float32 is off from there by \de-\d\d at most, in plain modules by \de-\d\d",
        lines[-1],
    )


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_a_device_that_is_not_there(xpand: Xpand) -> None:
    assert refused(xpand("bench", "step", "--device", "cuda")) == (
        "error: --device cuda needs a cuda device, but torch sees none on this machine."
    )


def test_gradients_that_differ_stop_the_benchmark(monkeypatch: pytest.MonkeyPatch) -> None:
    space = X3DSpace(size=32)
    architecture = space.architecture(Factors())
    monkeypatch.setattr(step, "AGREE", 0.0)
    with pytest.raises(RuntimeError, match=r"^gradients must agree to 0.0, but in float64 they differ by "):
        check_gradients(space.build(architecture, 10), random_batch(architecture, 2))


def test_a_peer_is_measured_in_the_same_turns() -> None:
    peer = peers.Peer(name="peer", create=lambda point, classes: X3DSpace().build(point, classes))
    found = measure_step(device="cpu", threads=1, batch=2, rounds=1, peers=[peer], points=SMALL)
    assert list(found.rows[0].timings) == ["xpand", "plain", "peer"]


def test_a_peer_with_another_network_is_refused() -> None:
    space = X3DSpace()
    wider = space.architecture(Factors(width=2))
    peer = peers.Peer(name="peer", create=lambda _, classes: space.build(wider, classes))
    with pytest.raises(UserError) as caught:
        peer.build(space.architecture(Factors()), 10)
    assert str(caught.value) == (
        "peer must build the network that is measured, with 834,450 parameters, but it has 2,392,186: "
        "take a checkout that builds the published X3D."
    )


@pytest.mark.parametrize(
    ("option", "wanted"),
    [
        ("--peer-pytorchvideo", "pytorchvideo/models/x3d.py"),
        ("--peer-slowfast", "slowfast/models/video_model_builder.py"),
    ],
)
def test_a_peer_that_is_no_checkout(xpand: Xpand, tmp_path: Path, option: str, wanted: str) -> None:
    assert refused(xpand("bench", "step", option, tmp_path)) == (
        f"error: {option} must be a checkout that holds {wanted}, but {tmp_path} does not."
    )


def test_a_checkout_with_a_network_of_the_same_name(tmp_path: Path) -> None:
    folder = tmp_path / "pytorchvideo" / "models"
    folder.mkdir(parents=True)
    (folder / "x3d.py").write_text(
        "import torchvision.ops as unused\n"
        "from search_spaces.x3d import Factors, X3DSpace\n"
        "Region = unused.RoIAlign\n"
        "def create_x3d(**options):\n"
        "    assert options['bottleneck_factor'] == 1.0, options\n"
        "    space = X3DSpace()\n"
        "    return space.build(space.architecture(Factors()), options['model_num_class'])\n"
    )
    peer = peers.open_pytorchvideo(tmp_path)
    network = peer.build(X3DSpace().architecture(Factors()), 10)
    assert sum(parameter.numel() for parameter in network.parameters()) == 834_450


def test_slowfast_without_pytorchvideo(xpand: Xpand, tmp_path: Path) -> None:
    folder = tmp_path / "slowfast" / "models"
    folder.mkdir(parents=True)
    (folder / "video_model_builder.py").touch()
    assert refused(xpand("bench", "step", "--peer-slowfast", tmp_path)) == (
        "error: --peer-slowfast needs layers of PyTorchVideo, which is not there: "
        "give --peer-pytorchvideo PATH too."
    )


def test_workers_on_a_single_core(xpand: Xpand, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers, "cores", lambda: 1)
    assert refused(xpand("bench", "workers")) == (
        "error: bench workers must have 2 cores at least to share out, got 1: run it where there are more."
    )


def test_a_peer_that_misses_a_package(xpand: Xpand, tmp_path: Path) -> None:
    folder = tmp_path / "pytorchvideo" / "models"
    folder.mkdir(parents=True)
    (folder / "x3d.py").write_text("import no_such_package.part\n")
    assert refused(xpand("bench", "step", "--peer-pytorchvideo", tmp_path)) == (
        "error: --peer-pytorchvideo needs a package that is not installed, no_such_package: "
        "pip install no_such_package."
    )


@pytest.mark.parametrize(
    "verb",
    [
        "count",
        *(pytest.param(verb, marks=pytest.mark.slow) for verb in ("plan", "start", "workers", "driver")),
    ],
)
def test_the_other_verbs(xpand: Xpand, verb: str) -> None:
    values = figures(xpand, verb)
    assert values["benchmark"].split()[0] == verb
    assert len(values["rows"]) >= 1


@pytest.mark.slow
def test_search_against_plain_modules(xpand: Xpand, monkeypatch: pytest.MonkeyPatch) -> None:
    no_figures = "from expand.report import page; page.KINDS = ()"  # which take seconds in each report
    monkeypatch.setattr(search, "_MAIN", f"{no_figures}; {search._MAIN}")
    settings = ["search.targets=[2000000]", "search.axes=[temporal]", "run.workers=1"]
    settings += ["training.clips=32", "training.epochs=null", "data.synthetic={train: 24, val: 12}"]
    settings += ["training.init=scratch"]
    values = figures(xpand, "search", *(part for setting in settings for part in ("--set", setting)))
    (row,) = values["rows"]
    assert values["baseline"] == "plain"
    xpand_trajectory, plain_trajectory = row["trajectories"]["xpand"], row["trajectories"]["plain"]
    assert [name for name, _ in xpand_trajectory][-1] == "target-2M"
    assert len(plain_trajectory) >= 2


def test_a_search_against_something_else(xpand: Xpand, tmp_path: Path) -> None:
    assert refused(xpand("bench", "search", "--against", tmp_path)) == (
        f"error: --against must be a checkout of xpand, but {tmp_path} holds no folder expand."
    )


def test_a_search_that_fails_says_why(xpand: Xpand) -> None:
    done = xpand("bench", "search", "--set", "nothing=1")
    assert done.returncode == 1
    assert done.stderr.startswith("failed: the search of ")


def test_every_verb_is_explained() -> None:
    for command in commands.bench.registered_commands:
        assert command.callback is not None
        assert command.callback.__doc__, command.name


def test_search_is_measured_where_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    found: list[tuple[Path, dict[str, str]]] = []

    def fake(checkout: Path, variables: dict[str, str], *_: object) -> list[Any]:
        found.append((checkout, variables))
        return []

    monkeypatch.setattr(search, "_search", fake)
    search.measure_search(None, [], rounds=2)
    here = Path(search.__file__).parents[2]
    turn = [(here, {}), (here, {"XPAND_KERNELS": "plain"})]
    assert found == turn * 3  # one before, for the cache


def test_both_trajectories_of_a_search_are_shown(xpand: Xpand, monkeypatch: pytest.MonkeyPatch) -> None:
    trajectory = [["step-0", 0.22], ["target-6M", None]]
    monkeypatch.setattr(search, "_search", lambda *_: trajectory)
    assert search.measure_search(None, [], rounds=1).notes == [
        "xpand found step-0 22.0 %, target-6M failed",
        "plain found step-0 22.0 %, target-6M failed",
    ]


@pytest.mark.parametrize("what", ["batches", "cache"])
def test_data_is_one_object(xpand: Xpand, monkeypatch: pytest.MonkeyPatch, what: str) -> None:
    timings = {"batch": Timing.of([1.0]), "step": Timing.of([9.0])}
    found = Figures(
        benchmark=f"data {what}",
        unit="ms",
        rows=[Comparison(name="X2D", timings=timings, baseline="step")],
        settings={"rounds": 1},
    )
    monkeypatch.setattr(f"expand.bench.data.measure_{what}", lambda *_, **__: found)
    values = figures(xpand, "data", "--what", what)
    assert (values["benchmark"], values["ratio"]) == (f"data {what}", pytest.approx(9.0))
    assert values["command"] == f"xpand bench data --what {what} --rounds 1"
