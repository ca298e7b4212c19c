"""What a search found is scored on test videos too, which had no part in it: small searches, for real."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from expand.command.session import extend, go_on
from expand.config.base import read_yaml
from expand.config.search import Config
from expand.data.progress import StageProgress
from expand.export.base import FormatFiles, NetworkToExport
from expand.export.card import card
from expand.jobs.folder import read_job
from expand.jobs.job import Job, Measurement, Result
from expand.report.page import render
from expand.report.sheets import trajectory_sheet
from expand.run.driver import drive
from expand.run.extension import Extending
from expand.run.frames import load_run
from expand.run.preparation import decode, plan
from expand.run.record import read_run
from expand.run.study import Run
from expand.search.replay import Replay
from expand.search.setup import DataCard, Setup
from expand.system.errors import UserError
from expand.weights.models import find_model
from tests.expand.data.videos import write_classes
from tests.expand.faults.processes import checksums
from tests.expand.runs import CARD, LEARNING, SPEED, Quiet, prepared, run_search, toy_config

pytestmark = pytest.mark.usefixtures("only_svg")

CLIPS = {"train": 24, "val": 12, "test": 24, "size": 32}


def config(cache: Path, *, clips: dict[str, int] = CLIPS, **search: Any) -> Config:
    """A search that confirms what it found, with test videos."""
    return toy_config(
        cache,
        data={"format": "synthetic", "synthetic": clips, "cache": {"folder": str(cache)}},
        search={"targets": [1_500], "confirm": 2, **search},
        training=LEARNING,
    )


def untested(cache: Path, **search: Any) -> Config:
    """The same search, where the data have no test videos."""
    return config(cache, clips={**CLIPS, "test": 0}, **search)


def jobs_with_a_test(run: Run) -> dict[str, Job]:
    """The jobs that are scored on the test videos."""
    jobs = (read_job(path.parent)[0] for path in run.folder.glob("checkpoints/*/job.json"))
    return {job.key: job for job in jobs if job.test is not None}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, cache: Path) -> Run:
    """A finished run with test videos; not to be changed."""
    return run_search(tmp_path_factory.mktemp("tested") / "run", config(cache))[0]


def test_only_what_is_trained_with_fresh_seeds_is_tested(run: Run) -> None:
    results, record = run.results(), read_run(run.folder)
    confirmed = {row.job for row in record.trials if row.seed >= 10_000}
    assert confirmed
    assert set(jobs_with_a_test(run)) == confirmed
    for key, result in results.items():
        assert isinstance(result, Measurement)
        assert (result.test_score is not None) == (key in confirmed)
        assert result.test_score == result.test_top1
        assert (result.test_mean_class_accuracy is not None) == (key in confirmed)
    assert (run.data.test, len(run.data.test_checksum or "")) == (24, 64)
    assert run.data.test_checksum != run.data.checksum


def test_the_test_videos_are_scored_as_the_validation_videos_are(tmp_path: Path, cache: Path) -> None:
    """By the same function: test videos that are the validation videos get the same score."""
    ready = prepared(config(cache))
    same = replace(ready, tests=tuple(_as_test(cached) for cached in ready.caches))
    run = Run.create(tmp_path / "run", ready.setup.config, ready.setup.data)
    drive(run, same, SPEED, Quiet())
    scores = [one for one in run.results().values() if isinstance(one, Measurement) and one.test_score]
    assert scores
    for one in scores:
        assert (one.test_score, one.test_mean_class_accuracy) == (one.score, one.mean_class_accuracy)


def _as_test(cached: Any) -> Any:
    """A copy of a cache whose validation videos are test videos."""
    import numpy as np

    folder = cached.folder.with_name("as-test")
    if not folder.exists():
        folder.mkdir()
        for path in cached.folder.iterdir():
            (folder / path.name).write_bytes(path.read_bytes())
        rows = np.load(folder / "videos.npy")
        rows["split"][rows["split"] == 1] = 2
        np.save(folder / "videos.npy", rows)
    return replace(cached, folder=folder)


def test_without_test_videos_or_fresh_seeds_nothing_changes(tmp_path: Path, cache: Path, run: Run) -> None:
    plain, _ = run_search(tmp_path / "plain", untested(cache))
    without, _ = run_search(tmp_path / "without", config(cache, confirm=0))
    assert run.data.checksum == plain.data.checksum == without.data.checksum
    assert (plain.data.test, plain.data.test_checksum) == (without.data.test, without.data.test_checksum)
    assert without.data.test == 0
    searched = set(run.results()) - set(jobs_with_a_test(run))
    assert set(without.results()) == searched == set(run.results()) & set(plain.results())
    record = read_run(plain.folder)
    assert "test" not in trajectory_sheet(record).headings
    frames = load_run(plain.folder)
    assert not [name for name in (*frames.trajectory, *frames.trials) if name.startswith("test")]
    assert "test_" not in plain.models()["target-1.5K"].read_text()


def test_a_stored_run_has_no_test_videos_and_keeps_its_jobs(cache: Path) -> None:
    values = {name: getattr(CARD, name) for name in CARD.__dataclass_fields__ if not name.startswith("test")}
    stored = DataCard.of({**values, "grids": [{"short_side": 40, "fps": 2.5}]})
    assert stored == CARD
    began = prepared(untested(cache)).setup.data
    resumed = decode(plan(config(cache)), Quiet().caching, began)  # lists that have got a test since
    assert (resumed.setup.data, resumed.tests) == (began, ())
    without = decode(plan(config(cache, confirm=0)), Quiet().caching, prepared(config(cache)).setup.data)
    assert (without.setup.data.test, without.tests) == (24, ())  # extended to do without a confirmation
    (job,) = Replay(Setup.of(toy_config(), CARD)).rounds[0].jobs
    assert job.test is None
    assert job.key == replace(job, test=None).key != replace(job, test="0" * 64).key
    assert job.key == "7ffc42b21840c636"  # as the code before there was a test made it


def test_it_is_shown_wherever_fresh_seeds_are(run: Run) -> None:
    record, frames = read_run(run.folder), load_run(run.folder)
    (found,) = record.targets
    assert found.fresh is not None
    assert found.test is not None
    scores = [one.test_score for one in found.fresh.measurements]
    assert found.test == pytest.approx(sum(scores) / 2)  # type: ignore[arg-type]
    sheet = trajectory_sheet(record)
    column = sheet.headings.index("test")
    assert sheet.headings[column - 1] == "fresh seeds"
    assert [line.cells[column] for line in sheet.lines] == [
        "" if row.test is None else f"{row.test:.1%}" for row in record.trajectory
    ]
    assert frames.trajectory["test"].iloc[-1] == found.test
    assert frames.trials["test_top1"].count() == len(jobs_with_a_test(run))
    assert "test_score" not in frames.trials
    page = render(record)
    assert "and 24 test videos that no decision depends on" in page
    assert "which had no part in the search" in page
    values = read_yaml(run.models()[found.name])
    assert isinstance(values, dict)
    assert [seed["test_top1"] for seed in values["measured"]["fresh"]] == scores
    assert values["data"]["test"] == 24


def model_card(run: Run, name: str) -> str:
    source = NetworkToExport(model=find_model(run.models()[name]), state=None)
    written = FormatFiles(files=(), loading="", remarks=())
    return card(source, written, name="net.md", form="safetensors", weights="")


def test_the_card_has_the_test_first_and_says_what_it_is(run: Run) -> None:
    text = model_card(run, "target-1.5K")
    (found,) = read_run(run.folder).targets
    first = text.index("On test videos, which took no part in the search, 1 centre-cropped clip each:")
    second = text.index("On the validation videos, which the search decided by, 1 centre-cropped clip each:")
    assert first < second
    assert f"| top-1 | {found.test:.1%} |" in text[first:second]
    assert ", 24 for the test; checksum" in text


class Killed(Exception):
    """Stands for the end of the driver's process."""


class Stopping(Quiet):
    """A display that stops the driver after the first training that is tested."""

    def finished(self, job: Job, result: Result) -> None:
        super().finished(job, result)
        if job.test is not None:
            raise Killed


def test_a_run_that_was_killed_during_its_confirmation_goes_on(tmp_path: Path, cache: Path, run: Run) -> None:
    ready, first = prepared(config(cache)), Stopping()
    cut = Run.create(tmp_path / "run", ready.setup.config, ready.setup.data)
    with pytest.raises(Killed):
        drive(cut, ready, SPEED, first)
    assert read_run(cut.folder).state.startswith("in round")
    go_on(Run.open(cut.folder))
    assert checksums(cut.folder) == checksums(run.folder)
    assert set(cut.results()) == set(run.results())


def test_a_run_that_is_extended_keeps_its_test(tmp_path: Path, cache: Path, run: Run) -> None:
    extended, _ = run_search(tmp_path / "run", config(cache))
    extend(extended, Extending(targets=("4K",), settings={}))
    assert set(run.results()) <= set(extended.results())
    whole, _ = run_search(tmp_path / "whole", config(cache, targets=[1_500, 4_000]))
    assert checksums(extended.folder) == checksums(whole.folder)
    assert extended.data == whole.data
    assert all(row.test is not None for row in read_run(extended.folder).targets)


@pytest.fixture
def lists(tmp_path: Path) -> Path:
    """Three classes of videos in files, by lists, of which one is for the test."""
    root = write_classes(tmp_path / "moves", {"left": 6, "right": 6, "up": 6})
    for split, numbers in (("train", range(3)), ("val", range(3, 5)), ("test", range(5, 6))):
        paths = (sorted((root / name).iterdir())[number] for name in ("left", "up") for number in numbers)
        lines = [f"{path.relative_to(root)} {path.parent.name}\n" for path in paths]
        (root / f"{split}.txt").write_text("".join(lines))
    return root


def of_files(root: Path, cache: Path, *, objective: str = "top1", **data: Any) -> Config:
    values = {"path": str(root), "format": "list", "cache": {"folder": str(cache)}, "flip": False, **data}
    return Config.model_validate(
        {
            "space": {"name": "tests.expand.toy:ToySpace", "settings": {}},
            "search": {"targets": [1_500], "confirm": 1, "objective": objective},
            "data": values,
            "training": {"epochs": 1, "batch_size": 8},
            "run": {"workers": 1, "threads": 1, "device": "cpu"},
        }
    )


def test_other_test_videos_are_noticed_in_a_line(lists: Path, tmp_path: Path) -> None:
    chosen = of_files(lists, tmp_path / "cache")
    wanted = prepared(chosen).setup.data
    assert (wanted.train, wanted.val, wanted.test) == (6, 4, 2)
    assert decode(plan(chosen), Quiet().caching, wanted).setup.data == wanted
    changed = (lists / "test.txt").read_text().split()[0]
    (lists / changed).write_bytes((lists / changed.replace("left", "right")).read_bytes())

    def refused() -> str:
        with pytest.raises(UserError) as caught:
            decode(plan(chosen), Quiet().caching, wanted)
        return str(caught.value)

    assert refused() == (
        f"the videos of moves must be as when the run was started, but {changed}: changed: put them back, or "
        "start another run."
    )
    (lists / "test.txt").unlink()
    assert refused() == (
        "the data must have the 2 test videos that the run was started with, but moves has none: put them "
        "back, or start another run."
    )


def test_videos_with_several_labels_are_tested_by_their_own_score(lists: Path, tmp_path: Path) -> None:
    chosen = of_files(lists, tmp_path / "cache", format="multi-label", objective="mAP")
    run, _ = run_search(tmp_path / "run", chosen)
    record = read_run(run.folder)
    for row in record.targets:
        assert row.fresh is not None
        (found,) = row.fresh.measurements
        assert row.test == found.test_score
        assert (found.test_top1, found.test_mean_class_accuracy) == (None, None)
    assert "test_score" in load_run(run.folder).trials
    assert "| mAP | " in model_card(run, record.targets[0].name)


def test_a_test_without_labels_is_refused(tmp_path: Path) -> None:
    root = tmp_path / "charades"
    (root / "Charades_v1_480").mkdir(parents=True)
    rows = {"train": ("A,c000 0 1,1", "B,c000 0 1,1", "C,c001 0 1,1", "D,c001 0 1,1"), "test": ("E,,1",)}
    for split, lines in rows.items():
        (root / f"Charades_v1_{split}.csv").write_text("\n".join(["id,actions,length", *lines]))
        for line in lines:
            (root / "Charades_v1_480" / f"{line[0]}.mp4").touch()
    (root / "Charades_v1_classes.txt").write_text("c000 Being 0\nc001 Being 1\n")
    chosen = of_files(root, tmp_path / "cache", format="charades", objective="mAP", val_share=0.4)
    with pytest.raises(UserError) as caught:
        prepared(chosen)
    assert str(caught.value) == (
        "the test videos of charades must have labels, but none has any: name others (data.test), or set "
        "search.confirm to 0."
    )


def test_where_the_test_videos_decide_there_is_no_test(lists: Path, tmp_path: Path) -> None:
    (lists / "val.txt").unlink()
    validated = prepared(of_files(lists, tmp_path / "cache"))
    assert (validated.setup.data.val, validated.setup.data.test, validated.tests) == (2, 0, ())
    aside = prepared(of_files(lists, tmp_path / "cache", val_share=0.4))
    assert (aside.setup.data.val, aside.setup.data.test) == (2, 2)
    assert aside.setup.problem.test


def test_a_test_list_that_will_not_do_is_refused_before_anything_is_decoded(
    lists: Path, tmp_path: Path
) -> None:
    with (lists / "test.txt").open("a") as file:
        file.write(f"{next((lists / 'right').iterdir()).relative_to(lists)} right\n")
    chosen = of_files(lists, tmp_path / "cache")
    with pytest.raises(UserError) as caught:
        prepared(chosen)
    message = str(caught.value)
    assert message.startswith("every class in the test must be in training too, but 'right' (right/")
    assert message.endswith(
        " What is found is scored on the test videos: to go without, set search.confirm to 0."
    )
    assert not (tmp_path / "cache").exists()
    none = chosen.model_copy(update={"search": chosen.search.model_copy(update={"confirm": 0})})
    assert prepared(none).setup.data.test == 0


def test_test_videos_that_the_search_reads_too_are_told(lists: Path, tmp_path: Path) -> None:
    tested, trained = ((lists / f"{split}.txt").read_text().split()[0] for split in ("test", "train"))
    (lists / tested).write_bytes((lists / trained).read_bytes())
    notes: list[str] = []

    def caching(progress: StageProgress) -> None:
        notes.append(progress.note)

    decode(plan(of_files(lists, tmp_path / "cache")), caching)
    assert [note for note in notes if "earlier split" in note] == [
        "1 of 2 videos of test are in an earlier split too, so accuracy on it will look too high: "
        f"{tested} = {trained} (same bytes)"
    ]
