"""Full trainings and tests of networks, through the command."""

from __future__ import annotations

import csv
import json
import os
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

import expand
from expand.config.full import FullConfig
from expand.data.synthetic import CLASSES
from expand.full.best import best_row
from expand.full.folder import TrainingFolder
from expand.full.train import end_remarks
from expand.weights.models import read_model
from tests.expand.commands import Xpand
from tests.expand.full.trainings import DATA, SHORT, digest, scored, train
from tests.expand.models import write_tiny
from tests.expand.training.test_events import curves


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

    network = expand.load_model(out)
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


def test_the_end_says_why_it_came_early_and_of_when_the_weights_are() -> None:
    rows = [{"epochs": 10.0 * number, "val_top1": 0.5} for number in range(1, 5)]
    recipe = FullConfig(patience=30, keep="best")
    assert end_remarks(recipe, rows, rows[0]) == (
        "stopped   after epoch 40 of 300: no validation of the last 30 epochs was better than that of epoch "
        "10",
        "weights   those of epoch 10, whose validation is the best",
    )
    assert end_remarks(FullConfig(epochs=40), rows, rows[-1]) == ()


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.*:DeprecationWarning:tensorboard")
def test_the_best_weights_and_the_curves_of_a_training(
    tmp_path: Path, tiny: Path, xpand: Xpand, cache: Path
) -> None:
    out = tmp_path / "out"
    best = ("--set", "training.keep=best", "--set", "training.validate_epochs=1", "--tensorboard")
    done = train(xpand, cache, tiny, out, *best)
    assert done.returncode == 0, done.stderr
    rows = TrainingFolder(out).history()
    kept = TrainingFolder(out).trained()
    row = best_row(rows)
    assert kept["weights_of_epoch"] == row["epochs"]
    assert f"weights   those of epoch {row['epochs']:g}, whose validation is the best" in done.stderr
    (test,) = scored(xpand, cache, out, "--views", "1")["tests"]
    assert test["scores"]["top1"] == pytest.approx(row["val_top1"], rel=1e-4)
    found = curves(out / "tensorboard")
    assert [clips for clips, _ in found["train/loss"]] == [16, 32, 48, 64, 80, 96]
    assert [clips for clips, _ in found["val/top1"]] == [48, 96]
    shares = [value for _, value in found["train/top1"]]
    assert shares == pytest.approx([one["train_top1"] for one in rows], 1e-4)


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
