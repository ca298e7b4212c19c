"""Searches that are decided by something else than top-1, through the command."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import yaml
from numpy.typing import NDArray

import expand
from expand.config.search import Config
from expand.jobs.job import Job, Measurement
from expand.jobs.per_video import unpack_scores
from expand.plots import draw
from expand.plots.figures import to_bytes
from expand.run.record import read_run
from expand.run.study import Run
from tests.expand.commands import Xpand, refused
from tests.expand.data.videos import Pixels, at_rate, write_video
from tests.expand.runs import CARD, run_search, toy_config, toy_setup

TOY = (
    "--set", "space.name=tests.expand.toy:ToySpace", "--set", "run.workers=1", "--set", "run.threads=1",
    "--set", "run.device=cpu", "--set", "training.batch_size=8",
)  # fmt: skip
COLOURS = {"c000": (200, 30, 30), "c001": (30, 180, 40), "c002": (30, 40, 200)}


def painted(colour: NDArray[np.int64]) -> Callable[[float, tuple[int, int]], Pixels]:
    return lambda _, size: np.broadcast_to(colour.astype(np.uint8), (size[1], size[0], 3)).copy()


@pytest.fixture(scope="module")
def charades(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder as Charades is unpacked: a video shows a colour or, mixed, two of them; one nothing."""
    folder = tmp_path_factory.mktemp("charades")
    (folder / "Charades_v1_480").mkdir()
    codes = list(COLOURS)
    shown = [(one,) for one in codes] + [(one, other) for one in codes for other in codes if one < other]
    for split, rounds in (("train", 3), ("test", 2)):
        rows = ["id,actions,length"]
        for number, labels in enumerate([*shown * rounds, ()]):
            colour = np.sum([COLOURS[label] for label in labels], axis=0, initial=0) // 2
            name = f"{split.upper()}{number:02}"
            path = folder / "Charades_v1_480" / f"{name}.mp4"
            write_video(path, at_rate(10, 10), last=0.1, size=(48, 40), paint=painted(colour))
            rows.append(f"{name},{';'.join(f'{label} 0.0 1.0' for label in labels)},1.0")
        (folder / f"Charades_v1_{split}.csv").write_text("\n".join(rows) + "\n")
    classes = "".join(f"{code} Being {number}\n" for number, code in enumerate(codes))
    (folder / "Charades_v1_classes.txt").write_text(classes)
    return folder


@pytest.mark.slow
def test_a_search_on_several_labels(
    tmp_path: Path, charades: Path, xpand: Xpand, monkeypatch: pytest.MonkeyPatch, cache: Path
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(cache))
    monkeypatch.setattr("expand.report.page.KINDS", ("trace",))  # one figure, which takes a second, is enough
    out = tmp_path / "run"
    done = xpand(
        "search", "--data", charades, *TOY, "--target", "900", "--no-flip", "--set", "training.epochs=20",
        "--set", "training.learning_rate=0.5", "--set", "search.objective=mAP", "--out", out,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "mAP" in done.stdout
    assert "top-1" not in done.stdout + done.stderr

    run = expand.load_run(out)
    assert run.finished
    assert (run.data.labels, run.data.unlabelled, run.data.val) == ("several", 1, 13)
    assert run.data.val_counts == (6, 6, 6)
    assert not {"top1", "top5", "mean_class_accuracy"} & {*run.trials, *run.rounds, *run.trajectory}
    assert run.trials["score"].between(0, 1).all()
    assert run.trials["score"].max() > 0.75, "colours are easy"
    assert read_run(out).chance is not None
    assert read_run(out).chance.score == 0.5  # type: ignore[union-attr]  # 6 of 12 videos show each

    model = yaml.safe_load((out / "models" / "step-0.yaml").read_text())
    assert model["labels"] == "several"
    assert model["measured"]["objective"] == "mAP"
    assert model["measured"]["score"] == run.trajectory["score"][0]
    assert "top1" not in model["measured"] | model["measured"]["seeds"][0]

    job = json.loads((out / "checkpoints" / run.trials["job"][0] / "job.json").read_text())["job"]
    assert (job["objective"], job["labels"]) == ("mAP", "several")
    assert "video_scores" not in run.trials
    results = Run.open(out).results().values()
    assert all(isinstance(one, Measurement) and one.video_scores is not None for one in results)
    scores = [unpack_scores(one.video_scores or "") for one in results if isinstance(one, Measurement)]
    assert [(len(each), int(np.isnan(each).sum())) for each in scores] == [(13, 1)] * len(scores)

    for arguments in (("table", out), ("status", out), ("table", out, "--what", "rounds")):
        shown = xpand(*arguments)
        assert shown.returncode == 0, shown.stderr
        assert "mAP" in shown.stdout
        assert "top-1" not in shown.stdout
    page = (out / "report.html").read_text()
    assert "mAP on validation" in page
    assert '"score": "mAP ' in page
    assert "0.5" in page
    again = xpand("resume", out)
    assert again.returncode == 0, again.stderr
    tested = xpand("test", out, "--model", "step-0", "--data", charades, "--json")
    assert tested.returncode == 0, tested.stderr


def test_what_several_labels_need(
    tmp_path: Path, charades: Path, xpand: Xpand, monkeypatch: pytest.MonkeyPatch, cache: Path
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(cache))
    search = ("search", "--data", charades, *TOY, "--target", "900", "--no-flip")
    assert refused(xpand(*search)).endswith(
        f"search.objective top1 is for videos with one label each, but those of {charades.name} have "
        "several: set search.objective=mAP."
    )
    message = refused(xpand(*search, "--set", "search.objective=mAP", "--set", "training.sampling=balanced"))
    assert "training.label_smoothing must be 0 and training.sampling natural" in message
    unlabelled = tmp_path / "unlabelled"
    shutil.copytree(charades, unlabelled)
    (unlabelled / "Charades_v1_test.csv").write_text("id,actions,length\nTEST00,,1.0\n")
    search = ("search", "--data", unlabelled, *TOY, "--target", "900", "--no-flip")
    assert refused(xpand(*search, "--set", "search.objective=mAP")).endswith(
        "the validation videos of unlabelled must have labels, but none has any: name others (data.val), or "
        "leave data.val out, so that a share of the training videos is set aside."
    )


@pytest.mark.parametrize(
    ("objective", "words"),
    [
        ("mean-class-accuracy", "mean class accuracy"),
        ("mAP", "mAP"),
        ("tests.expand.own_objective:Likelihood", "likelihood"),
    ],
)
def test_a_search_by_another_objective_on_one_label(
    tmp_path: Path, xpand: Xpand, cache: Path, objective: str, words: str
) -> None:
    config = toy_config(cache, search={"objective": objective, "seeds": 2, "targets": [1_200]})
    run, _ = run_search(tmp_path / "run", config)
    record = read_run(run.folder)
    assert record.objective.words == words
    trials = expand.load_run(run.folder).trials
    for row in expand.load_run(run.folder).rounds.to_dict("records"):
        own = trials[(trials["candidate"] == row["candidate"]) & (trials["round"] == row["round"])]["score"]
        if len(own):
            assert row["score"] == pytest.approx(own.mean())
            assert row["score_max"] == own.max()
    assert trials["top1"].between(0, 1).all()
    if objective == "mean-class-accuracy":
        assert (trials["score"] == trials["mean_class_accuracy"]).all()
    table = xpand("table", run.folder, "--what", "rounds").stdout
    assert words in table
    assert f"{words} on validation" in to_bytes(draw("trace", [record]), "svg", "trace").decode()
    assert run.study.metric_names == [record.objective.name]


def test_what_decides_is_part_of_a_job_where_it_is_not_the_default() -> None:
    def key(**changes: str) -> str:
        first = Job(space={}, architecture={}, sampling={}, recipe={}, data={}, seed=0)
        return Job(**{name: getattr(first, name) for name in first.__dataclass_fields__} | changes).key

    # SHA-256 of the JSON without them, worked out by coreutils' sha256sum
    assert key() == key(objective="top1", labels="one") == "ff61612df213e94e"
    keys = {key(), key(objective="mAP"), key(labels="several"), key(objective="mAP", labels="several")}
    assert len(keys) == 4
    setup = toy_setup(search={"objective": "mAP"})
    assert setup.config.search.objective == "mAP"
    assert CARD.labels == "one"
    assert Config().search.objective == "top1"
