"""A table of the networks that are reached on motion, with scores that are made up."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from expand.bench.table.networks import contractions, expanded, growth, is_control, near_targets, path_of
from expand.bench.table.rows import FILE
from expand.config.search import Config
from expand.search.base import Candidate, Problem, network_key
from expand.search.setup import problem_of
from search_spaces.x3d import Factors

VIDEOS = 100
TRAIN = 1_000
CONFIG = Config.model_validate(
    {
        "space": {"settings": {"frames": 2, "stride": 34, "size": 40}},
        "search": {"targets": ["20M", "45M"], "seeds": [3, 5]},
        "training": {"init": "scratch", "epochs": 8},
    }
)
World = Callable[[Factors], float]  # the true score of a network


def by_frames(factors: Factors) -> float:
    """The more frames, the better, and whatever else has been grown is a little good, too."""
    others = math.log(factors.size * factors.width * factors.depth * factors.bottleneck)
    return 0.3 + 0.15 * math.log(factors.frames) + 0.02 * others


def write(
    folder: Path, world: World, *, noise: float, seeds: Sequence[int] = range(5), at_length: bool = False
) -> Path:
    """Write a table in which a network scores what a world says, but for noise between seeds.

    Args:
        folder: where to.
        world: says the true scores.
        noise: the standard deviation.
        seeds: of the networks that expansion comes to.
        at_length: whether the table has long trainings, too, which score half of what is missing more.
    """
    grown = CONFIG.model_copy(
        update={"training": CONFIG.training.model_copy(update={"init": "grown", "epochs": 4.0})}
    )
    facts = {
        "version": "0",
        "data": {"name": "made up", "checksum": "0", "classes": list("abcdefghij"), "train": TRAIN},
        "stages": [],
        "ways": {"scratch": CONFIG.deciding(), "grown": grown.deciding()},
        "planned": {},
    }
    rows = [*_scratch(world, noise, seeds), *_grown(problem_of(grown, 10), world, noise)]
    if at_length:
        better = [{**row, "way": "long", "score": (1 + row["score"]) / 2} for row in rows if not row["seed"]]
        rows += [row for row in better if row["kind"] != "control"]
    table = pa.Table.from_pandas(pd.DataFrame(rows), preserve_index=False)
    pq.write_table(table.replace_schema_metadata({b"xpand": json.dumps(facts).encode()}), folder / FILE)
    return folder / FILE


def _scratch(world: World, noise: float, seeds: Sequence[int]) -> Iterator[dict[str, Any]]:
    problem = problem_of(CONFIG, 10)
    near = expanded(problem, [1, 2], step=2.0)
    found: dict[object, tuple[Candidate, Sequence[int], list[str]]] = {}
    for group in (*near, *near_targets(problem, [12, 6])):
        for one in group.networks:
            own = seeds if group in near else seeds[:3]
            network = network_key(problem.space, one.point)
            found.setdefault(network, (one, own, []))[2].append(group.kind)
    for one, own, (kind, *also) in found.values():
        yield from _rows(problem, "scratch", kind, one, world, noise, own, also)


def _grown(problem: Problem, world: World, noise: float) -> Iterator[dict[str, Any]]:
    yield from _rows(problem, "grown", "start", problem.start, world, noise, range(3))
    parents = [problem.start]
    for _ in range(2):
        rounds = [growth(problem, parent, step=2.0) for parent in parents]
        for one in (candidate for round_ in rounds for candidate in round_.candidates):
            kind = "control" if is_control(one.name) else "expansion"
            yield from _rows(problem, "grown", kind, one, world, noise, range(3))
        parents = [one for round_ in rounds for one in round_.contenders]
    for one in contractions(problem, parents):
        yield from _rows(problem, "grown", "contraction", one, world, noise, range(3))


def _rows(
    problem: Problem,
    way: str,
    kind: str,
    one: Candidate,
    world: World,
    noise: float,
    seeds: Sequence[int],
    also: Sequence[str] = (),
) -> Iterator[dict[str, Any]]:
    space, architecture = problem.space, problem.space.architecture(one.point)
    generator = np.random.default_rng([*one.name.encode(), *way.encode()])
    for seed in seeds:
        score = float(np.clip(world(one.point) + noise * generator.standard_normal(), 0.0, 1.0))
        right = np.arange(VIDEOS) < round(score * VIDEOS)
        yield {
            "way": way,
            "name": one.name,
            "kind": kind,
            "also": ", ".join(also),
            "path": "/".join(path_of(one.name)) if one.axis else "",
            "seed": seed,
            **{f"factor_{name}": value for name, value in asdict(one.point).items()},
            "architecture": json.dumps(space.architecture_to_json(architecture), sort_keys=True),
            **asdict(space.sampling(one.point)),
            "failed": None,
            "score": score,
            "learned": True,
            "video_scores": right.astype(float).tolist(),
            "spent": 1.0,
            "seconds": 1.0,
        }
