"""What full trainings and tests refuse, and what they say then."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from expand.data.synthetic import CLASSES
from tests.expand.commands import Xpand, refused
from tests.expand.full.trainings import DATA, SHORT, digest, scored, train
from tests.expand.models import write_tiny


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


def test_curves_need_their_package(
    tmp_path: Path, tiny: Path, xpand: Xpand, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    assert refused(train(xpand, cache, tiny, tmp_path / "out", "--tensorboard")) == (
        "error: run.tensorboard needs the package tensorboard, which is not installed: install it with "
        "`pip install 'xpand[tensorboard]'`, or leave --tensorboard out."
    )
    assert not (tmp_path / "out").exists()


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
