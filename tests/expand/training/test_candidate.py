"""One job in, one result out, in its folder."""

from __future__ import annotations

import errno
import json
import math
from dataclasses import asdict, replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from expand.config.training import TrainingConfig
from expand.data.cache_reader import open_built
from expand.jobs.folder import WEIGHTS, read_progress, read_result, write_job
from expand.jobs.job import Failure, Job, Measurement, Place
from expand.jobs.per_video import unpack_scores
from expand.search.replay import Replay
from expand.system.errors import RunFailed
from expand.training.candidate import attempt, grown_weights, run_job
from expand.weights.writing import save_weights
from search_spaces.x3d import X3DSpace
from tests.expand.runs import prepared, toy_config


@pytest.fixture(scope="module")
def ready(cache: Path) -> tuple[Job, Place]:
    found = prepared(toy_config(cache))
    place = Place(cache=str(found.caches[0].folder), device="cpu", threads=1, keep_weights=True)
    return Replay(found.setup).rounds[0].jobs[0], place


def do(folder: Path, job: Job, place: Place) -> Measurement:
    write_job(folder, job, place)
    run_job(folder)
    result = read_result(folder)
    assert isinstance(result, Measurement), result
    return result


def test_a_job_leaves_a_measurement_weights_progress_and_a_log(
    tmp_path: Path, ready: tuple[Job, Place]
) -> None:
    job, place = ready
    found = do(tmp_path, job, place)
    assert found.top1 is not None
    assert found.top5 is not None
    assert 0 <= found.top1 <= found.top5 <= 1
    assert found.score == found.top1
    assert found.video_scores is not None
    assert unpack_scores(found.video_scores).astype(float).mean() == pytest.approx(found.top1)
    assert found.macs == 576
    assert (found.clips_seen, found.epochs, found.micro_batch) == (24, 1.0, 8)
    assert found.seconds > 0
    assert found.peak_memory > 10**7
    progress = read_progress(tmp_path)
    assert progress is not None
    assert progress.clips == progress.total == 24
    assert set(load_file(tmp_path / "weights.safetensors")) == {"classifier.weight", "classifier.bias"}
    assert "top-1" in (tmp_path / "log.txt").read_text()


def test_the_same_job_gives_the_same_measurement(tmp_path: Path, ready: tuple[Job, Place]) -> None:
    job, place = ready
    job = replace(
        job,
        space={"name": "x3d", "settings": {"size": 32}},
        architecture=X3DSpace(size=32).architecture_to_json(X3DSpace(size=32).architecture(X3DSpace().start)),
        recipe={**job.recipe, "dropout": 0.5},
    )
    first, second = (do(tmp_path / name, job, place) for name in ("a", "b"))

    def lasting(found: Measurement) -> dict[str, object]:
        return {key: value for key, value in asdict(found).items() if key not in Measurement.VARYING}

    assert lasting(first) == lasting(second)
    a, b = ((tmp_path / name / "weights.safetensors").read_bytes() for name in ("a", "b"))
    assert a == b
    other = do(tmp_path / "c", replace(job, seed=1), place)
    assert other.loss != first.loss


def test_weights_are_not_left_where_nobody_wants_them(tmp_path: Path, ready: tuple[Job, Place]) -> None:
    job, place = ready
    do(tmp_path, job, replace(place, keep_weights=False))
    assert not (tmp_path / "weights.safetensors").exists()


def test_out_of_memory_halves_the_clips_in_a_pass_and_accumulates(
    tmp_path: Path, ready: tuple[Job, Place]
) -> None:
    job, place = ready
    plain = do(tmp_path / "plain", job, place)
    job = replace(job, space={**job.space, "settings": {"fault": "memory", "fault_above": 3}})
    found = do(tmp_path / "short", job, place)
    assert found.micro_batch == 2
    assert found.clips_seen == plain.clips_seen
    # A linear layer has no BatchNorm, so accumulating gives the gradients of the whole batch.
    assert found.loss == pytest.approx(plain.loss, rel=1e-5)


@pytest.mark.slow
def test_a_device_too_small_for_one_clip_fails_the_candidate(
    tmp_path: Path, ready: tuple[Job, Place]
) -> None:
    job, place = ready
    write_job(tmp_path, replace(job, space={**job.space, "settings": {"fault": "memory"}}), place)
    run_job(tmp_path)
    result = read_result(tmp_path)
    assert isinstance(result, Failure)
    assert result.reason == "out of memory: a device without memory"
    assert "Traceback" in result.traceback


@pytest.mark.parametrize("batch_size", [5, 23])
def test_one_clip_left_over_is_no_batch_of_its_own(
    tmp_path: Path, ready: tuple[Job, Place], batch_size: int
) -> None:
    """BatchNorm on one frame of one clip would have a single value per channel at the end of a network."""
    job, place = ready
    space = X3DSpace(size=32)
    job = replace(
        job,
        space={"name": "x3d", "settings": {"size": 32}},
        architecture=space.architecture_to_json(space.architecture(space.start)),
        recipe={**job.recipe, "batch_size": batch_size, "epochs": None, "clips": 24},
    )
    assert do(tmp_path, job, place).clips_seen == 24


def test_a_grown_network_starts_from_what_its_parent_has_learned(
    tmp_path: Path, ready: tuple[Job, Place]
) -> None:
    job, place = ready
    space = X3DSpace(size=32)
    wider = space.axes["width"].move(space, space.start, 10)
    assert wider is not None
    jobs = [
        replace(
            job,
            space={"name": "x3d", "settings": {"size": 32}},
            architecture=space.architecture_to_json(space.architecture(point)),
        )
        for point in (space.start, wider)
    ]
    folder = tmp_path / jobs[0].key
    write_job(folder, jobs[0], place)
    torch.manual_seed(0)
    parent = space.build(space.architecture(space.start), 3)
    save_weights(folder / WEIGHTS, parent.state_dict())
    grown = space.build(space.architecture(wider), 3)
    grown.load_state_dict(grown_weights(space, TrainingConfig(), jobs[1], folder))
    clips = torch.rand_like(space.example(space.architecture(space.start), 2))
    with torch.no_grad():
        torch.testing.assert_close(grown.eval()(clips), parent.eval()(clips))


def test_a_training_says_whether_it_has_learned(ready: tuple[Job, Place], tmp_path: Path) -> None:
    job, place = ready
    done = do(tmp_path, job, place)
    assert done.guess_loss == pytest.approx(math.log(12))  # two clips of each of the 12 classes
    assert replace(done, train_loss=0.94 * math.log(12)).learned
    assert not replace(done, train_loss=0.96 * math.log(12)).learned
    assert replace(done, train_loss=9.0, guess_loss=None).learned


def test_a_training_keeps_the_loss_of_each_epoch(ready: tuple[Job, Place], tmp_path: Path) -> None:
    job, place = ready
    done = do(tmp_path, job, place)
    assert done.epoch_losses is not None
    assert len(done.epoch_losses) == done.epochs
    assert done.train_loss == pytest.approx(done.epoch_losses[-1], abs=0.5)
    assert Measurement.of(json.loads(json.dumps(asdict(done)))) == done


def test_the_cache_of_a_run_needs_no_source(ready: tuple[Job, Place]) -> None:
    assert len(open_built(Path(ready[1].cache)).train.labels) == 24


def test_a_disk_that_fails_is_not_the_candidates_fault() -> None:
    def measure() -> Measurement:
        raise OSError(errno.ENOSPC, "No space left on device", "curves/events")

    with pytest.raises(RunFailed) as caught:
        attempt(measure)
    assert str(caught.value) == (
        "a worker could not write its files: [Errno 28] No space left on device: 'curves/events'; make room "
        "and resume."
    )
