from __future__ import annotations

import json
import re
from dataclasses import replace

import pytest

from expand.bench.kinds import SearchOutcome, check_same
from expand.search.base import Candidate, State, Trajectory
from expand.system.errors import RunFailed
from tests.expand.commands import Xpand, refused

START = State(step=0, candidate=Candidate(name="start", axis=None, point=1, macs=9, cost=9), score=0.25)
FOUND = SearchOutcome(
    trajectory=Trajectory(states=(START,), targets=()),
    models={"step-0.safetensors": "12ab", "step-0.yaml": "34cd"},
)


@pytest.mark.slow
def test_a_search_comes_to_the_same_by_every_kind_of_workers(xpand: Xpand) -> None:
    ray = pytest.importorskip("ray")
    ray.shutdown()  # what other tests are connected to
    settings = ["search.targets=[3000000]", "training.clips=16", "training.epochs=null"]
    settings += ["training.init=scratch"]
    settings.append("search.axes=[temporal, width]")  # two trainings at a time are several already
    settings.append("data.synthetic={train: 12, val: 12}")
    options = [part for setting in settings for part in ("--set", setting)]
    done = xpand("bench", "workers", "--what", "search", *options, "--json")
    assert done.returncode == 0, done.stderr
    values = json.loads(done.stdout)
    assert (values["benchmark"], values["baseline"]) == ("workers search", "1 local")
    assert values["command"].startswith("xpand bench workers --what search --rounds 1 --set search.targets")
    (row,) = values["rows"]
    assert {"2 local", "1 local", "2 on Ray", "models"} <= row.keys()
    assert {"step-0.yaml", "step-0.safetensors", "target-3M.yaml"} <= row["models"].keys()
    (note,) = values["notes"]
    count = len(row["models"])
    assert re.fullmatch(
        rf"models and trajectory are the same bytes: SHA-256 [0-9a-f]{{12}}… over {count} files", note
    )


def test_what_differs_is_named_with_its_way() -> None:
    check_same({"2 local": FOUND, "1 local": FOUND})
    worse = Trajectory(states=(replace(START, score=0.125),), targets=())
    other = SearchOutcome(
        trajectory=worse, models={**FOUND.models, "step-0.yaml": "56ef", "step-1-fast.yaml": "78"}
    )
    with pytest.raises(RunFailed) as caught:
        check_same({"2 local": FOUND, "1 local": FOUND, "2 on Ray": other})
    assert str(caught.value) == (
        "every kind of workers must come to the same, but 2 on Ray differs from 2 local in "
        "step-0.yaml, step-1-fast.yaml, the trajectory."
    )


def test_without_ray(xpand: Xpand, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    assert refused(xpand("bench", "workers", "--what", "search")) == (
        "error: bench workers --what search needs the package ray, which is not installed: "
        "install it with `pip install 'xpand[ray]'`."
    )


def test_settings_are_for_a_search(xpand: Xpand) -> None:
    assert refused(xpand("bench", "workers", "--set", "training.clips=16")) == (
        "error: --set is for a whole search: give --what search too, or leave it out."
    )
