"""Nothing that is read can run code: pickles and YAML with a payload, put wherever something is read."""

from __future__ import annotations

import ast
import io
import os
import pickle
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch

import expand
from expand.config.base import to_yaml
from expand.config.training import TrainingConfig
from expand.data.cache_reader import open_built
from expand.data.synthetic import CLASSES
from expand.jobs.folder import read_result, write_job
from expand.jobs.job import Measurement, Place
from expand.run.driver import drive
from expand.run.record import read_run
from expand.run.study import Run
from expand.search.replay import Replay
from expand.system.errors import UserError
from expand.training.candidate import grown_weights, run_job
from expand.training.checkpoints import load_checkpoint, write_checkpoint
from expand.weights.models import read_model
from expand.weights.reading import read_weights
from tests.expand.commands import ROOT, Xpand, refused
from tests.expand.models import write_tiny
from tests.expand.runs import SPEED, Quiet, prepared, run_search, toy_config, toy_setup
from tests.expand.toy import GrowingToySpace

PICKLE = pytest.mark.fault("a pickle in a run folder or data set", "never run: refused, or set aside")
KINDS = ["pickle", "torch"]
Poison = Callable[[str], bytes]


class Payload:
    """Makes a folder when it is unpickled."""

    def __init__(self, marker: Path) -> None:
        self._marker = marker

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, (str(self._marker),)


@pytest.fixture
def poison(tmp_path: Path) -> Iterator[Poison]:
    """Bytes that run code where they are unpickled; fails the test where that has happened."""
    marker = tmp_path / "marker"

    def make(kind: str) -> bytes:
        if kind == "pickle":
            return pickle.dumps(Payload(marker), protocol=2)  # which torch.load reads too
        if kind == "yaml":
            return f"!!python/object/apply:os.mkdir [{marker}]\n".encode()
        whole = io.BytesIO()
        torch.save({"step": 9, "model_state": {"weight": torch.ones(1)}, "more": Payload(marker)}, whole)
        return whole.getvalue()

    yield make
    assert not marker.exists()


def test_the_payload_works(tmp_path: Path) -> None:
    pickle.loads(pickle.dumps(Payload(tmp_path / "marker")))
    assert (tmp_path / "marker").is_dir()


# Pickles


@PICKLE
@pytest.mark.parametrize("kind", KINDS)
def test_as_a_checkpoint_of_a_training(tmp_path: Path, poison: Poison, kind: str) -> None:
    write_checkpoint(tmp_path, {"step": 1})
    (tmp_path / "step-000000002.pt").write_bytes(poison(kind))
    state, remarks = load_checkpoint(tmp_path)
    assert state == {"step": 1}
    assert remarks == ("step-000000002.pt is cut off or damaged: continuing from the checkpoint before it",)
    (tmp_path / "step-000000001.pt").write_bytes(poison(kind))
    with pytest.raises(UserError, match=r"all are damaged \(step-000000001.pt\): train again"):
        load_checkpoint(tmp_path)


@PICKLE
@pytest.mark.parametrize("kind", KINDS)
def test_as_each_file_of_a_job(tmp_path: Path, cache: Path, poison: Poison, xpand: Xpand, kind: str) -> None:
    """A driver sets aside what cannot be read, and trains what that leaves it without."""
    config = toy_config(cache, search={"targets": [600]})
    ready = prepared(config)
    run = Run.create(tmp_path / "run", config, ready.setup.data)
    job = run.job_folder(Replay(ready.setup).rounds[0].jobs[0])
    (job / "epochs").mkdir(parents=True)
    names = ("job.json", "attempts.json", "progress.json", "result.json", "epochs/step-000000001.pt")
    for name in (*names, "weights.safetensors", "log.txt", "../../driver.json"):
        (job / name).write_bytes(poison(kind))
    assert xpand("status", run.folder).returncode == 0
    with run.locked():
        drive(run, ready, SPEED, Quiet())
    assert read_run(run.folder).finished
    assert {path.name for path in job.glob("*.damaged")} >= {"attempts.json.damaged", "result.json.damaged"}


@PICKLE
@pytest.mark.parametrize("kind", KINDS)
def test_as_what_a_job_goes_on_from(tmp_path: Path, cache: Path, poison: Poison, kind: str) -> None:
    ready = prepared(toy_config(cache))
    place = Place(cache=str(ready.caches[0].folder), device="cpu", threads=1, keep_weights=False)
    write_job(tmp_path, Replay(ready.setup).rounds[0].jobs[0], place)
    (tmp_path / "epochs").mkdir()
    (tmp_path / "epochs" / "step-000000001.pt").write_bytes(poison(kind))
    run_job(tmp_path)
    assert isinstance(read_result(tmp_path), Measurement)
    assert "is cut off or damaged: set aside" in (tmp_path / "log.txt").read_text()


@PICKLE
@pytest.mark.parametrize("kind", [*KINDS, "yaml"])
@pytest.mark.parametrize("name", ["config.yaml", "study.db"])
def test_as_what_a_run_is(
    tmp_path: Path, finished: Path, poison: Poison, xpand: Xpand, kind: str, name: str
) -> None:
    run = shutil.copytree(finished, tmp_path / "run")
    (run / name).write_bytes(poison(kind))
    for verb in ("status", "resume", "report", "table", "plot"):
        message = refused(xpand(verb, run))
        assert message.startswith(f"error: {run / name} must "), message


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory, cache: Path) -> Path:
    """A run of one round."""
    folder = tmp_path_factory.mktemp("security") / "run"
    return run_search(folder, toy_config(cache, search={"targets": [600]}))[0].folder


@PICKLE
@pytest.mark.parametrize("kind", KINDS)
def test_as_weights_beside_a_model(tmp_path: Path, poison: Poison, xpand: Xpand, kind: str) -> None:
    model = write_tiny(tmp_path / "tiny.yaml", CLASSES)
    weights = model.with_suffix(".safetensors")
    weights.write_bytes(poison(kind))
    message = (
        f"{weights} must be a whole file of weights, but it is cut off or of an unknown format: get it again."
    )
    with pytest.raises(UserError) as caught:
        expand.load_model(model)
    assert str(caught.value) == message
    out = tmp_path / "out"
    for arguments in (
        ("test", model, "--data", "synthetic"),
        ("train", model, "--data", "synthetic", "--fine-tune", "--out", out),
        ("export", model, "--format", "onnx", "--out", tmp_path / "out.onnx"),
    ):
        assert refused(xpand(*arguments)) == f"error: {message}"
    assert not out.exists()


@PICKLE
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("suffix", [".safetensors", ".pyth", ".pt", ".bin", ""])
def test_as_weights_that_are_given(
    tmp_path: Path, poison: Poison, xpand: Xpand, kind: str, suffix: str
) -> None:
    weights, model = tmp_path / f"given{suffix}", write_tiny(tmp_path / "tiny.yaml", CLASSES)
    weights.write_bytes(poison(kind))
    with pytest.raises(UserError):
        read_weights(weights, read_model(model))
    message = (
        "must be a whole file of weights, but it is cut off or of an unknown format: get it again."
        if suffix == ".safetensors"
        else "must hold tensors and plain values only, but it holds code or is not a checkpoint: save its "
        "state dict alone."
    )
    for arguments in (
        ("import", weights, "--network", model, "--out", tmp_path / "out.yaml"),
        ("test", model, "--data", "synthetic", "--weights", weights),
        ("train", model, "--data", "synthetic", "--weights", weights, "--out", tmp_path / "out"),
        ("export", model, "--format", "onnx", "--weights", weights, "--out", tmp_path / "out.onnx"),
    ):
        assert refused(xpand(*arguments)) == f"error: {weights} {message}"
    assert {path.name for path in tmp_path.iterdir()} == {weights.name, "tiny.yaml"}


@PICKLE
@pytest.mark.parametrize("kind", KINDS)
def test_as_the_weights_of_a_parent(tmp_path: Path, poison: Poison, kind: str) -> None:
    path = tmp_path / "weights.safetensors"
    path.write_bytes(poison(kind))
    with pytest.raises(UserError) as caught:
        grown_weights(GrowingToySpace(), TrainingConfig(), Replay(toy_setup()).rounds[0].jobs[0], tmp_path)
    assert str(caught.value) == (
        f"{path} must be the parent's weights, but it is cut off or of an unknown format: start another run."
    )


@PICKLE
@pytest.mark.parametrize("kind", KINDS)
def test_as_each_file_of_a_cache(tmp_path: Path, poison: Poison, kind: str) -> None:
    config = toy_config(tmp_path / "cache")
    folder = prepared(config).caches[0].folder
    before = {path.name: path.read_bytes() for path in folder.glob("shard-*.bin")}
    assert before
    for path in folder.iterdir():
        path.write_bytes(poison(kind))
    assert prepared(config).caches[0].folder == folder
    assert {path.name: path.read_bytes() for path in folder.glob("shard-*.bin")} == before
    for path in folder.glob("shard-*.bin"):  # with the rest as it was
        path.write_bytes(poison(kind))
    prepared(config)
    assert {path.name: path.read_bytes() for path in folder.glob("shard-*.bin")} == before
    assert len(open_built(folder).train) == 24


# YAML


@PICKLE
@pytest.mark.parametrize("kind", [*KINDS, "yaml"])
def test_as_a_configuration_or_a_model_file(tmp_path: Path, poison: Poison, xpand: Xpand, kind: str) -> None:
    path = tmp_path / "evil.yaml"
    path.write_bytes(poison(kind))
    for arguments in (
        ("search", "--config", path),
        ("doctor", "--config", path),
        ("train", "x3d-s", "--config", path),
        ("count", path),
        ("export", path, "--format", "onnx", "--out", tmp_path / "out.onnx"),
        ("import", path, "--network", path, "--out", tmp_path / "out.yaml"),
        ("test", path),
    ):
        message = refused(xpand(*arguments))
        assert message.startswith(f"error: {path} must be YAML"), message


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ("!!python/object/apply:os.mkdir [x]", " at line 1"),
        ("a: !!python/name:os.system ''", " at line 1"),
        ("a: 2001-99-99", ""),
        ("a: !!timestamp x", ""),
        ("[" * 700, ""),
    ],
)
def test_yaml_that_is_none(tmp_path: Path, xpand: Xpand, text: str, where: str) -> None:
    path = tmp_path / "odd.yaml"
    path.write_text(text)
    for arguments in (("search", "--config", path), ("count", path)):
        message = f"error: {path} must be YAML, but it cannot be parsed{where}."
        assert refused(xpand(*arguments)) == message
    assert refused(xpand("search", "--set", f"run.device={text}")) == (
        f"error: --set run.device must have a value in YAML, got {text!r}."
    )


@pytest.mark.parametrize("name", ["os:mkdir", "pathlib:Path.mkdir", "os:path", "subprocess:Popen"])
def test_a_space_or_axis_that_names_something_else_is_not_called(
    tmp_path: Path, xpand: Xpand, name: str
) -> None:
    """Its settings would be the arguments."""
    marker = tmp_path / "marker"
    settings = {"os:mkdir": {"path": str(marker)}, "subprocess:Popen": {"args": ["mkdir", str(marker)]}}
    space = {"name": name, "settings": settings.get(name, {})}
    model = write_tiny(tmp_path / "evil.yaml", CLASSES, space=space)
    config = tmp_path / "config.yaml"
    config.write_text(to_yaml(toy_config(space=space)))
    for arguments in (("search", "--config", config), ("count", model), ("test", model)):
        assert f"space '{name}' must " in refused(xpand(*arguments))
    assert f"axis '{name}' must " in refused(xpand("search", "--set", f"search.axes=['{name}']"))
    assert not marker.exists()


# The code

_FORBIDDEN = {
    "pickle.load": "", "pickle.loads": "", "marshal.load": "", "marshal.loads": "", "shelve.open": "",
    "joblib.load": "", "dill.load": "", "cloudpickle.load": "", "cloudpickle.loads": "",
    "pd.read_pickle": "", "pandas.read_pickle": "", "yaml.load": "", "yaml.unsafe_load": "",
    "yaml.full_load": "", "yaml.load_all": "", "yaml.unsafe_load_all": "", "eval": "", "exec": "",
    "os.system": "", "os.popen": "", "torch.load": "weights_only", "np.load": "", "numpy.load": "",
    "torch.hub.load": "", "torch.package.PackageImporter": "", "torch.jit.load": "",
}  # fmt: skip
# Their own bytes, which nobody else could have written.
_ALLOWED = {
    ("search_spaces/conformance.py", "pickle.loads"),
}


def calls(path: Path) -> Iterator[tuple[str, ast.Call]]:
    """What a file calls, by name."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call):
            yield name_of(node.func), node


def name_of(called: ast.expr) -> str:
    """As `ast.unparse` has it, which takes long for names."""
    match called:
        case ast.Name(id=name):
            return name
        case ast.Attribute(value=value, attr=name):
            return f"{name_of(value)}.{name}"
        case _:
            return ast.unparse(called)


def unsafe(name: str, call: ast.Call) -> bool:
    options = {word.arg: word.value for word in call.keywords}
    if "shell" in options or "allow_pickle" in options:
        return True
    if name not in _FORBIDDEN:
        return False
    needed = options.get(_FORBIDDEN[name])
    return not (isinstance(needed, ast.Constant) and needed.value is True)


def test_no_code_reads_pickles_or_runs_text() -> None:
    files = [path for folder in ("expand", "search_spaces") for path in ROOT.glob(f"{folder}/**/*.py")]
    assert len(files) > 100
    found = {
        (path.relative_to(ROOT).as_posix(), name)
        for path in files
        for name, call in calls(path)
        if unsafe(name, call)
    }
    assert found == _ALLOWED


@pytest.mark.parametrize(
    ("text", "bad"),
    [
        ("torch.load(x)", True),
        ("torch.load(x, weights_only=False)", True),
        ("torch.load(x, weights_only=True)", False),
        ("yaml.load(x, Loader=L)", True),
        ("yaml.safe_load(x)", False),
        ("subprocess.run(x, shell=True)", True),
        ("subprocess.run([x])", False),
        ("np.load(x)", True),
        ("network.eval()", False),
        ("eval(x)", True),
    ],
)
def test_what_is_unsafe(text: str, bad: bool) -> None:
    call = ast.parse(text, mode="eval").body
    assert isinstance(call, ast.Call)
    assert unsafe(name_of(call.func), call) == bad
