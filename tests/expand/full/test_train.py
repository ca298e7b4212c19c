"""Full trainings and tests of networks, through the command."""

from __future__ import annotations

import csv
import hashlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

import expand
from expand.data.synthetic import CLASSES
from expand.weights.models import read_model
from tests.expand.commands import ROOT, Done, Xpand, refused
from tests.expand.faults.processes import Forked, wait_for
from tests.expand.models import write_tiny

DATA = (
    "--data", "synthetic", "--set", "data.synthetic.train=48", "--set", "data.synthetic.val=24",
    "--set", "data.synthetic.size=48",
)  # fmt: skip
SHORT = ("--epochs", 2, "--batch-size", 16, "--set", "run.threads=1", "--set", "run.device=cpu")


@pytest.fixture
def tiny(tmp_path: Path) -> Path:
    return write_tiny(tmp_path / "tiny.yaml", CLASSES)


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def train(xpand: Xpand, cache: Path, model: object, out: Path, *more: object) -> Done:
    return xpand("train", model, *DATA, *SHORT, "--out", out, *more, cache=cache)


def scored(xpand: Xpand, cache: Path, reference: object, *more: object) -> dict[str, Any]:
    done = xpand("test", reference, *more, "--json", cache=cache)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)  # type: ignore[no-any-return]


@pytest.fixture(scope="module")
def once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the training is that `trained` copies."""
    return tmp_path_factory.mktemp("once") / "trained"


@pytest.fixture
def trained(tmp_path: Path, once: Path, xpand: Xpand, cache: Path) -> Path:
    """A finished training with a validation after each epoch, as a folder of the test's own."""
    if not once.exists():
        tiny = write_tiny(once.parent / "tiny.yaml", CLASSES)
        done = train(xpand, cache, tiny, once, "--set", "training.validate_epochs=1")
        assert done.returncode == 0, done.stderr
    return Path(shutil.copytree(once, tmp_path / "trained"))


@pytest.mark.slow
def test_from_a_model_file_to_scores(tmp_path: Path, tiny: Path, xpand: Xpand, cache: Path) -> None:
    out = tmp_path / "trained"
    done = train(xpand, cache, tiny, out, "--set", "training.validate_epochs=1")
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == [str(out / "model.yaml")]
    assert "epoch 2: loss" in done.stderr
    assert f"xpand test {out}" in done.stderr
    with (out / "history.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [float(row["epochs"]) for row in rows] == [1, 2]
    assert not list(out.glob(".*.partial"))

    found = scored(xpand, cache, out, "--views", "1", "--views", "4x3")
    one, many = found["tests"]
    assert one["scores"]["top1"] == pytest.approx(float(rows[-1]["val_top1"]), rel=1e-4)
    assert one["scores"]["loss"] == pytest.approx(float(rows[-1]["val_loss"]), rel=1e-4)
    assert (one["views"], one["size"], many["views"], many["size"]) == (1, 32, 12, 32)
    assert many["macs"] == 12 * one["macs"]
    assert set(one["per_class"]) == set(CLASSES)

    network = expand.load_model(out / "model.yaml")
    assert network(torch.zeros(1, 3, 2, 32, 32)).shape == (1, len(CLASSES))
    values = read_model(out / "model.yaml").values
    assert values["trained"]["validation"]["top1"] == pytest.approx(float(rows[-1]["val_top1"]), rel=1e-4)


def test_the_same_training_gives_the_same_bytes(
    tmp_path: Path, tiny: Path, trained: Path, xpand: Xpand, cache: Path
) -> None:
    again = tmp_path / "again"
    assert train(xpand, cache, tiny, again, "--set", "training.validate_epochs=1").returncode == 0
    for file in ("model.safetensors", "model.yaml"):
        assert digest(trained / file) == digest(again / file)


def test_a_damaged_checkpoint_falls_back_and_ends_the_same(trained: Path, xpand: Xpand, cache: Path) -> None:
    out = trained
    wanted = digest(out / "model.safetensors")
    for name in ("model.yaml", "model.safetensors"):
        (out / name).unlink()
    last = max((out / "checkpoints").iterdir())
    os.truncate(last, last.stat().st_size // 2)
    done = xpand("resume", out, cache=cache)
    assert done.returncode == 0, done.stderr
    assert f"{last.name} is cut off or damaged: continuing from the checkpoint before it" in done.stderr
    assert "going on after step 3 of 6" in done.stderr
    assert digest(out / "model.safetensors") == wanted


@pytest.mark.slow
def test_multigrid_prints_its_schedule_before(tmp_path: Path, tiny: Path, xpand: Xpand, cache: Path) -> None:
    dry = xpand("train", tiny, *DATA, *SHORT, "--multigrid", "--epochs", 30, "--dry-run", cache=cache)
    assert dry.returncode == 0, dry.stderr
    assert "learning rate" in dry.stdout
    assert not (tmp_path / "results").exists()
    done = train(xpand, cache, tiny, tmp_path / "out", "--multigrid", "--epochs", 30)
    assert done.returncode == 0, done.stderr
    for line in dry.stdout.strip().splitlines():
        assert line.strip() in done.stderr
    assert not any("split" in name for name in load_file(tmp_path / "out" / "model.safetensors"))


def test_dry_run_as_json(tiny: Path, xpand: Xpand, cache: Path) -> None:
    done = xpand("train", tiny, *DATA, *SHORT, "--dry-run", "--json", cache=cache)
    values = json.loads(done.stdout)
    assert (values["steps"], values["clips"]) == (6, 96)
    assert values["phases"][0]["shapes"][0]["clips"] == 16


def test_fine_tuning_replaces_the_classifier_and_says_so(tmp_path: Path, xpand: Xpand, cache: Path) -> None:
    model = write_tiny(tmp_path / "other.yaml", ["left", "right"], weights=True)
    out = tmp_path / "tuned"
    done = train(xpand, cache, model, out, "--fine-tune", "--set", "training.learning_rate=1e-9")
    assert done.returncode == 0, done.stderr
    assert "the classifier is replaced by an untrained one for the 12 classes of synthetic" in done.stderr
    before, after = load_file(model.with_suffix(".safetensors")), load_file(out / "model.safetensors")
    assert torch.allclose(before["stem.spatial.weight"], after["stem.spatial.weight"], atol=1e-6)
    assert after["head.classifier.weight"].shape[0] == 12
    assert json.loads((out / "training.json").read_text())["start"]["weights"] == "other.safetensors"


def test_fine_tuning_on_the_same_classes_keeps_the_classifier(
    tmp_path: Path, xpand: Xpand, cache: Path
) -> None:
    model = write_tiny(tmp_path / "same.yaml", CLASSES, weights=True)
    out = tmp_path / "tuned"
    done = train(xpand, cache, model, out, "--fine-tune", "--set", "training.learning_rate=1e-9")
    assert "with their classifier: the classes are the same" in done.stderr
    before, after = load_file(model.with_suffix(".safetensors")), load_file(out / "model.safetensors")
    assert torch.allclose(before["head.classifier.weight"], after["head.classifier.weight"], atol=1e-6)


def test_weights_of_another_layout_can_be_fine_tuned(tmp_path: Path, xpand: Xpand, cache: Path) -> None:
    model = write_tiny(tmp_path / "own.yaml", ["left", "right"], weights=True)
    exported = tmp_path / "exported"
    exported.mkdir()
    assert xpand("export", model, "--format", "pytorchvideo", "--out", exported).returncode == 0
    (theirs,) = (path for path in exported.iterdir() if path.suffix in (".pt", ".pth", ".pyth"))
    tuned = tmp_path / "tuned"
    done = train(
        xpand,
        cache,
        tmp_path / "own.yaml",
        tuned,
        "--weights",
        theirs,
        "--set",
        "training.learning_rate=1e-9",
    )
    assert done.returncode == 0, done.stderr
    before, after = load_file(model.with_suffix(".safetensors")), load_file(tuned / "model.safetensors")
    assert torch.allclose(before["stem.spatial.weight"], after["stem.spatial.weight"], atol=1e-6)


def test_a_trained_network_is_exported_and_comes_back(tmp_path: Path, trained: Path, xpand: Xpand) -> None:
    out = trained
    exported = tmp_path / "exported"
    exported.mkdir()
    assert xpand("export", out, "--format", "slowfast", "--out", exported).returncode == 0
    (theirs,) = (path for path in exported.iterdir() if path.suffix in (".pt", ".pth", ".pyth"))
    back = tmp_path / "back.yaml"
    assert xpand("import", theirs, "--network", out, "--out", back).returncode == 0
    clips = torch.rand(2, 3, 2, 32, 32)
    with torch.no_grad():
        wanted, found = (expand.load_model(path)(clips) for path in (out / "model.yaml", back))
    assert torch.allclose(wanted, found, atol=1e-5)


def test_status_and_resume_of_a_finished_training(trained: Path, xpand: Xpand, cache: Path) -> None:
    out = trained
    done = xpand("status", out)
    assert f"{out}: finished" in done.stdout
    assert "mean class" in done.stdout
    values = json.loads(xpand("status", out, "--json").stdout)
    assert values["finished"]
    assert [row["epochs"] for row in values["history"]] == [1, 2]
    when = (out / "model.safetensors").stat().st_mtime_ns
    again = json.loads(xpand("resume", out, "--json", cache=cache).stdout)
    assert again["scores"]["top1"] == pytest.approx(values["history"][-1]["val_top1"])
    assert (out / "model.safetensors").stat().st_mtime_ns == when
    (out / "model.yaml").unlink()
    assert "2 of 2 epochs by the last validation" in xpand("status", out).stdout


# What is refused


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--fine-tune"], "--fine-tune must have weights to start from, but tiny has none"),
        (
            ["--weights", "nowhere.pt"],
            "the weights must be a file, but there is no file nowhere.pt: give another path.",
        ),
        (["--batch-size", "1"], "training.batch_size: input should be greater than or equal to 2, got 1"),
        (["--set", "training.head=frame"], "training.head: frame needs labels by time"),
        (
            ["--multigrid", "--set", "training.micro_batch=4"],
            "micro_batch must be null with multigrid",
        ),
        (["--set", "training.epochz=4"], "unknown key training.epochz"),
        (["--set", "run.device=cuda"], "run.device must be one that torch finds"),
    ],
)
def test_mistakes_write_nothing(
    tmp_path: Path, tiny: Path, xpand: Xpand, cache: Path, more: list[str], message: str
) -> None:
    if "run.device=cuda" in more and torch.cuda.is_available():
        pytest.skip("there is a GPU")
    out = tmp_path / "trained"
    assert message in refused(train(xpand, cache, tiny, out, *more))
    assert not out.exists()
    assert [path.name for path in tmp_path.iterdir()] == ["tiny.yaml"]


@pytest.mark.parametrize(
    ("verb", "more", "message"),
    [
        (
            "train",
            ["--fine-tune"],
            "--fine-tune must have weights to start from, but tiny has none: give --weights FILE, "
            "or train from scratch.",
        ),
        (
            "train",
            ["--set", "training.head=frame"],
            "training.head: frame needs labels by time, as data.format charades and multi-label have them, "
            "but synthetic has none: add times to its list, or set training.head: clip.",
        ),
        (
            "test",
            [],
            "a test must have weights, but tiny has none: give --weights FILE, or train it with "
            "`xpand train`.",
        ),
        (
            "test",
            ["--views", "10x2"],
            "--views must be a number of clips such as 1 or 10, 30 for 10x3, or CLIPSxCROPS with 1 or 3 "
            "crops, got '10x2'.",
        ),
    ],
)
def test_what_mistakes_are_told(
    tiny: Path, xpand: Xpand, cache: Path, verb: str, more: list[str], message: str
) -> None:
    assert refused(xpand(verb, tiny, *DATA, *more, cache=cache)) == f"error: {message}"


def test_a_folder_that_is_taken(tiny: Path, trained: Path, xpand: Xpand, cache: Path) -> None:
    assert f"go on with it by `xpand resume {trained}`" in refused(train(xpand, cache, tiny, trained))


def test_weights_of_another_architecture_name_the_first_layer(
    tmp_path: Path, xpand: Xpand, cache: Path
) -> None:
    model = write_tiny(tmp_path / "mine.yaml", ["left", "right"], weights=True)
    state = load_file(model.with_suffix(".safetensors"))
    name = next(name for name in state if name.startswith("stages.1") and state[name].ndim == 5)
    state[name] = state[name][:-1].contiguous()
    save_file(state, tmp_path / "wider.safetensors")
    message = refused(
        train(xpand, cache, model, tmp_path / "out", "--weights", tmp_path / "wider.safetensors")
    )
    assert name in message
    assert "has shape" in message
    assert not (tmp_path / "out").exists()


def test_a_checkpoint_of_another_network_names_the_first_layer(
    trained: Path, xpand: Xpand, cache: Path
) -> None:
    out = trained
    (out / "model.yaml").unlink()
    grown = (out / "network.yaml").read_text().replace("head_width: 2048", "head_width: 1024")
    (out / "network.yaml").write_text(grown)
    message = refused(xpand("resume", out, cache=cache))
    assert "must hold the weights of tiny, but head." in message


def test_a_checkpoint_is_a_file_of_weights(tmp_path: Path, tiny: Path, xpand: Xpand, cache: Path) -> None:
    out = tmp_path / "trained"
    assert train(xpand, cache, tiny, out, "--set", "training.precise_norm=null").returncode == 0
    last = max((out / "checkpoints").iterdir())
    one, other = (
        scored(xpand, cache, out, "--views", 1, *more)["tests"][0]["scores"]
        for more in ((), ("--weights", last))
    )
    assert one == other


def test_a_recipe_that_changed_is_not_resumed(trained: Path, xpand: Xpand, cache: Path) -> None:
    out = trained
    (out / "model.yaml").unlink()
    config = (out / "config.yaml").read_text()
    (out / "config.yaml").write_text(config.replace("momentum: 0.9", "momentum: 0.8"))
    message = refused(xpand("resume", out, cache=cache))
    assert "config.training.momentum: 0.9 → 0.8" in message
    (out / "config.yaml").write_text(config.replace("checkpoint_minutes: 10.0", "checkpoint_minutes: 1.0"))
    assert xpand("resume", out, cache=cache).returncode == 0


def test_a_training_goes_on_where_its_videos_are_now(
    tmp_path: Path, motions: Path, xpand: Xpand, cache: Path
) -> None:
    model = write_tiny(tmp_path / "tiny.yaml", ["left", "right", "up"])
    shutil.copytree(motions, tmp_path / "videos")
    out = tmp_path / "trained"
    done = xpand("train", model, *SHORT, "--data", "videos", "--out", out, cwd=tmp_path, cache=cache)
    assert done.returncode == 0, done.stderr
    wanted = digest(out / "model.safetensors")
    (out / "model.yaml").unlink()
    (tmp_path / "videos").rename(tmp_path / "moved")
    assert refused(xpand("resume", out, cache=cache)) == (
        f"error: the videos must be in {tmp_path / 'videos'}, where they were at the start, but there is no "
        "such folder: put them back, or give their new folder by --data FOLDER."
    )
    fresh = tmp_path / "cache"  # where nothing says what the videos were called
    done = xpand("resume", out, "--data", "moved", cwd=tmp_path, cache=fresh)
    assert done.returncode == 0, done.stderr
    assert digest(out / "model.safetensors") == wanted
    assert xpand("test", out, "--views", 1, cache=fresh).returncode == 0


def test_weights_that_do_not_fit_are_told_before_anything_is_decoded(tmp_path: Path, xpand: Xpand) -> None:
    model = write_tiny(tmp_path / "mine.yaml", ["left", "right"], weights=True)
    path = model.with_suffix(".safetensors")
    os.truncate(path, path.stat().st_size // 2)
    for verb in (
        ("train", model, *DATA, *SHORT, "--fine-tune", "--out", tmp_path / "x"),
        ("test", model, *DATA),
    ):
        message = refused(xpand(*verb, cache=tmp_path / "cache"))
        assert "cut off" in message or "must know all classes" in message
    assert not (tmp_path / "cache").exists()


def test_workers_are_not_for_trainings(trained: Path, xpand: Xpand, cache: Path) -> None:
    assert refused(xpand("resume", trained, "--workers", 2, cache=cache)) == (
        "error: --workers is for searches, and this is a training: leave it out."
    )


def test_a_network_that_does_not_know_the_classes(tmp_path: Path, xpand: Xpand, cache: Path) -> None:
    model = write_tiny(tmp_path / "other.yaml", ["left", "right"], weights=True)
    message = refused(xpand("test", model, *DATA, cache=cache))
    assert "the network must know all classes of synthetic, but of its 2 none is rain-falling" in message


def test_a_test_without_weights(tiny: Path, xpand: Xpand, cache: Path) -> None:
    assert "tiny has none: give --weights FILE" in refused(xpand("test", tiny, *DATA, cache=cache))


def test_a_network_with_numbers_for_names_is_matched_by_place(
    tmp_path: Path, xpand: Xpand, cache: Path
) -> None:
    numbers = [str(number) for number in range(12)]
    named = write_tiny(tmp_path / "named.yaml", CLASSES, weights=True)
    numbered = write_tiny(tmp_path / "numbered.yaml", numbers, weights=True)
    backwards = write_tiny(tmp_path / "backwards.yaml", CLASSES[::-1])
    state = load_file(named.with_suffix(".safetensors"))
    for part in ("weight", "bias"):
        state[f"head.classifier.{part}"] = state[f"head.classifier.{part}"].flip(0).contiguous()
    save_file(state, backwards.with_suffix(".safetensors"))
    scores = [
        scored(xpand, cache, model, *DATA, "--views", 1)["tests"][0]["scores"]
        for model in (named, numbered, backwards)
    ]
    assert scores[0] == pytest.approx(scores[1])
    assert scores[0] == pytest.approx(scores[2])


@pytest.mark.parametrize("views", ["0", "x", "10x2", "ten", "-3"])
def test_views_that_are_none(tmp_path: Path, xpand: Xpand, cache: Path, views: str) -> None:
    model = write_tiny(tmp_path / "named.yaml", CLASSES, weights=True)
    message = refused(xpand("test", model, *DATA, f"--views={views}", cache=cache))
    assert message.startswith("error: --views must be a number of clips such as 1 or 10")


# Several processes, and real signals


def command(*arguments: object) -> list[str]:
    return [sys.executable, "-c", "from expand.command.cli import main; main()", *map(str, arguments)]


LONGER = (*DATA, *SHORT, "--epochs", 20, "--set", "training.validate_epochs=2")


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, cache: Path) -> Path:
    """A training that nothing stopped."""
    folder = tmp_path_factory.mktemp("whole")
    tiny = write_tiny(folder / "tiny.yaml", CLASSES)
    forked("train", tiny, *LONGER, "--out", folder / "out", cache=cache, output=folder / "output").said()
    return folder / "out"


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_a_signal_stops_it_and_resume_gives_the_same_weights(
    tmp_path: Path, tiny: Path, cache: Path, whole: Path, number: signal.Signals
) -> None:
    cut = tmp_path / "cut"
    process = forked("train", tiny, *LONGER, "--out", cut, cache=cache, output=tmp_path / "output")
    wait_for(lambda: (cut / "history.csv").exists() or not process.running, 120)
    os.kill(process.pid, number)
    said = process.said(-number if number == signal.SIGKILL else 128 + number)
    assert (f"xpand resume {cut}" in said) == (number != signal.SIGKILL)
    assert not (cut / "model.yaml").exists()
    forked("resume", cut, cache=cache, output=tmp_path / "more").said()
    for file in ("model.safetensors", "model.yaml"):
        assert digest(cut / file) == digest(whole / file)


def forked(*arguments: object, cache: Path, output: Path) -> Forked:
    return Forked(*arguments, output=output, environment={"XDG_CACHE_HOME": str(cache)})


@pytest.mark.slow
def test_two_processes_train_one_network(tmp_path: Path, tiny: Path, xpand: Xpand, cache: Path) -> None:
    out = tmp_path / "trained"
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    done = subprocess.run(
        [*torchrun, "--no-python", *command("train", tiny, *DATA, *SHORT, "--out", out)],
        cwd=ROOT,
        env={**os.environ, "XDG_CACHE_HOME": str(cache), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("model.yaml") == 1
    assert json.loads((out / "training.json").read_text())["processes"] == 2
    again = tmp_path / "again"
    shutil.copytree(out, again)
    for name in ("model.yaml", "model.safetensors"):
        (again / name).unlink()
    last = max((again / "checkpoints").iterdir())
    last.write_bytes(b"")
    as_by_torchrun("resume", again, cache=cache, folder=tmp_path)
    one, other = load_file(out / "model.safetensors"), load_file(again / "model.safetensors")
    assert all(torch.equal(one[name], other[name]) for name in one)
    (again / "model.yaml").unlink()
    assert "processes: 2 → 1" in refused(xpand("resume", again, cache=cache))


@pytest.mark.slow
def test_two_processes_train_one_network_by_multigrid(tmp_path: Path, tiny: Path, cache: Path) -> None:
    out = tmp_path / "trained"
    train = ("train", tiny, *DATA, *SHORT, "--multigrid", "--epochs", 12, "--out", out)
    leading, following = as_by_torchrun(*train, cache=cache, folder=tmp_path)
    assert str(out / "model.yaml") in leading
    assert "model.yaml" not in following
    assert (out / "model.yaml").exists()
    assert json.loads((out / "training.json").read_text())["processes"] == 2


def as_by_torchrun(*arguments: object, cache: Path, folder: Path) -> list[str]:
    """What two processes say that have the environment variables of torchrun, which starts for seconds."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    shared = {"XDG_CACHE_HOME": str(cache), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    shared |= {"WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2"}
    processes = [
        Forked(
            *arguments,
            output=folder / f"rank-{rank}",
            environment={**shared, "RANK": rank, "LOCAL_RANK": rank},
        )
        for rank in ("0", "1")
    ]
    return [process.said() for process in processes]
