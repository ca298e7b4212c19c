"""Profiles of a device whose pace is known, since it is made up; and real passes of each runtime."""

from __future__ import annotations

import builtins
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from expand.config.profile import ProfileConfig, read_profile
from expand.config.search import SpaceConfig
from expand.profiling import measure
from expand.profiling.design import Network, drawn
from expand.profiling.fit import checked, fitted
from expand.profiling.found import time_networks
from expand.profiling.measure import Wanted, profile, timings_file
from expand.profiling.runtimes import prepared
from expand.profiling.timing import timed
from expand.search.latency import nanoseconds
from expand.system.errors import UserError
from expand.system.machine import describe_machine
from search_spaces.x3d import X3DSpace
from tests.expand.profiles import PROFILE, pace_of
from tests.expand.toy import ToySpace

SPACE = X3DSpace(size=32)
PACE = pace_of(SPACE)
WANTED = Wanted(
    space=SpaceConfig(settings={"size": 32}),
    num_classes=10,
    runtime="torch",
    device="cpu",
    threads=1,
    batch=1,
    largest=30.0,
)
NETWORKS = 50


def chosen(number: int) -> list[Network]:
    networks = drawn(SPACE, 10, 30.0)
    return [next(networks) for _ in range(number)]


@pytest.fixture
def made_up(monkeypatch: pytest.MonkeyPatch) -> Callable[[], int]:
    """A device with the made-up pace; returns how many networks it has run."""
    rest = iter([*chosen(NETWORKS), *[None] * NETWORKS])
    count = 0

    def answer(runs: Sequence[object], threads: int) -> list[float]:
        assert threads == WANTED.threads
        nonlocal count
        count += len(runs)
        found = [next(rest) for _ in runs]
        return [nanoseconds(one.parts, PACE) for one in found if one is not None]

    monkeypatch.setattr(measure, "prepared_network", lambda *_, **__: None)
    monkeypatch.setattr(measure, "timed", answer)
    return lambda: count


def test_networks_are_the_same_each_time_and_spread_over_the_range() -> None:
    networks = chosen(60)
    assert networks == chosen(60)
    macs = np.array([one.macs for one in networks])
    start = SPACE.complexity(SPACE.architecture(SPACE.start), 10).macs
    assert start <= macs.min() < 2 * start
    assert 15 * start < macs.max() <= 30 * start
    assert len({one.architecture.frames for one in networks}) > 5
    assert len({one.architecture.size for one in networks}) > 5


def test_a_known_pace_is_found_and_its_predictions_are_right(
    tmp_path: Path, made_up: Callable[[], int]
) -> None:
    said: list[tuple[int, int]] = []
    found = profile(WANTED, NETWORKS, tmp_path / "device.yaml", lambda *numbers: said.append(numbers))
    assert made_up() == NETWORKS
    assert said == [(0, 50), (24, 50), (48, 50), (50, 50)]
    assert found == read_profile(tmp_path / "device.yaml")
    assert (found.errors.median, found.errors.percentile_95) == (0.0, 0.0)
    assert found.errors.rank > 0.999  # some networks are drawn twice
    assert found.errors_by_macs.median > 0.1
    for one in chosen(80)[50:]:
        assert nanoseconds(one.parts, found.pace) == pytest.approx(nanoseconds(one.parts, PACE), rel=1e-4)


def test_noise_is_what_the_errors_say(made_up: object) -> None:
    networks = chosen(150)
    noise = np.random.default_rng(0).lognormal(0, 0.05, len(networks))
    times = [nanoseconds(one.parts, PACE) * factor for one, factor in zip(networks, noise, strict=True)]
    errors, _ = checked(networks, times)
    assert 0.03 < errors.median < 0.045  # the median of such noise is 0.034
    assert 0.09 < errors.percentile_95 < 0.13
    assert all(value >= 0 for work in fitted(networks, times).values() for value in work.values())


def test_what_is_timed_is_not_timed_again(
    tmp_path: Path, made_up: Callable[[], int], monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "device.yaml"
    answer: Callable[[Sequence[Any], int], list[float]] = vars(measure)["timed"]

    def interrupted(runs: Sequence[Any], threads: int) -> list[float]:
        if made_up() >= 24:
            raise KeyboardInterrupt
        return answer(runs, threads)

    with monkeypatch.context() as patch:
        patch.setattr(measure, "timed", interrupted)
        with pytest.raises(KeyboardInterrupt):
            profile(WANTED, NETWORKS, file, lambda *_: None)
    assert not file.exists()
    found = profile(WANTED, NETWORKS, file, lambda *_: None)
    assert made_up() == NETWORKS
    assert found.errors.median == 0.0
    assert profile(WANTED, NETWORKS, file, lambda *_: None) == found
    assert made_up() == NETWORKS


def test_times_of_something_else_are_not_taken(tmp_path: Path, made_up: object) -> None:
    file = tmp_path / "device.yaml"
    profile(WANTED, NETWORKS, file, lambda *_: None)
    other = Wanted(**{name: getattr(WANTED, name) for name in Wanted.__slots__} | {"batch": 2, "threads": 2})
    with pytest.raises(
        UserError, match=r"timings\.jsonl must hold times .* differ in threads, batch: delete it"
    ):
        profile(other, NETWORKS, file, lambda *_: None)
    timings_file(file).write_text("{")
    with pytest.raises(UserError, match=r"but it cannot be read: delete it"):
        profile(WANTED, NETWORKS, file, lambda *_: None)


def test_what_cannot_be_profiled_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(number: int = NETWORKS, **changed: object) -> str:
        wanted = Wanted(**{name: getattr(WANTED, name) for name in Wanted.__slots__} | changed)
        with pytest.raises(UserError) as caught:
            profile(wanted, number, tmp_path / "device.yaml", lambda *_: None)
        assert list(tmp_path.iterdir()) == []
        return str(caught.value)

    assert refused(3) == "--networks must be at least 40, got 3."
    monkeypatch.setattr("expand.profiling.measure.choose_device", lambda device: device)
    assert (
        refused(runtime="onnxruntime", device="cuda")
        == "--runtime onnxruntime runs on the cpu, got --device cuda."
    )
    assert "ToySpace has no method parts" in refused(space=SpaceConfig(name="tests.expand.toy:ToySpace"))


@pytest.mark.parametrize("runtime", ["torch", "onnxruntime", "torch-export"])
def test_every_runtime_runs_a_network(runtime: Any) -> None:
    architecture = SPACE.architecture(SPACE.start)
    network = SPACE.build(architecture, 10).train()
    run = prepared(network, SPACE.example(architecture, 2), runtime, "cpu", 1)
    (time,) = timed([run], 1)
    assert 0 < time < 1e9
    assert not network.training


def test_what_was_found_is_timed_on_the_profiles_device_alone(caplog: pytest.LogCaptureFixture) -> None:
    here = ProfileConfig.model_validate(PROFILE | {"machine": {"processor": describe_machine()["processor"]}})
    architectures = [
        SPACE.architecture(SPACE.start),
        SPACE.architecture(SPACE.point_from_json({"depth": 3.0})),
    ]
    threads = torch.get_num_threads()
    times = time_networks(here, SPACE, architectures, 10)
    assert times is not None
    assert 0 < times[0] < times[1]
    assert torch.get_num_threads() == threads
    elsewhere = ProfileConfig.model_validate(PROFILE)
    assert time_networks(elsewhere, SPACE, architectures, 10) is None
    assert "what was found is not timed: the profile is of made up, and this is" in caplog.text


def test_a_missing_package_names_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without(name: str, *rest: Any, **named: Any) -> Any:
        if name.split(".")[0] in ("scipy", "onnxruntime"):
            raise ImportError
        return real(name, *rest, **named)

    monkeypatch.setattr(builtins, "__import__", without)
    networks = chosen(3)
    with pytest.raises(UserError, match=r"pip install 'xpand\[profile\]'"):
        fitted(networks, [1.0, 2.0, 3.0])
    with pytest.raises(UserError, match=r"pip install 'xpand\[onnx\]'"):
        prepared(torch.nn.Identity(), torch.zeros(1), "onnxruntime", "cpu", 1)


def test_a_profile_says_what_it_is(tmp_path: Path) -> None:
    assert ProfileConfig.model_validate(PROFILE).words == "torch on cpu, 1 thread"
    several = ProfileConfig.model_validate(PROFILE | {"threads": 4, "batch": 8, "runtime": "onnxruntime"})
    assert several.words == "onnxruntime on cpu, 4 threads, 8 clips at once"
    assert json.loads(several.model_dump_json())["pace"]["stem"]
    assert ToySpace().start is not None
