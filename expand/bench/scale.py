"""Measures the cost of very many videos before any training: seconds and memory of each step."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from functools import cache, partial
from itertools import chain, cycle
from pathlib import Path
from typing import Any

import numpy as np

from expand.config.data import CacheConfig, DataConfig
from expand.data import video
from expand.data.base import BadVideo, Decoded, Item, Moments
from expand.data.cache import open_cache
from expand.data.cache_needs import CacheNeeds
from expand.data.cache_reader import open_built
from expand.data.file_source import FileSource
from expand.data.sources import open_source
from expand.system.cores import cores
from expand.system.errors import UserError

LISTED = (10_000, 100_000, 1_000_000)  # rows of a list whose videos do not exist
LINKED = (1_000, 10_000, 100_000)  # videos in class folders
NEEDS = CacheNeeds(short_side=16, fps=1)

_CLASSES = 100


def measure_scale(folder: Path | None) -> Iterator[dict[str, Any]]:
    """Yield a row for each number of videos: seconds and peak memory (MB) of each step, in its own process.

    For lists whose videos do not exist, the steps are `doctor --quick` and `search --dry-run`. For class
    folders of links to real videos, they are these two; `open`, in which a search opens an existing cache and
    reads all videos' bytes again; `attach`, in which a worker opens it; and `batch`, the first 16 clips.

    Args:
        folder: a data set of real videos, which are linked to repeatedly.

    Raises:
        UserError: no folder is given.
    """
    if folder is None:
        raise UserError("--what scale must have --data, a folder of videos to link to.")
    for count in LISTED:
        with tempfile.TemporaryDirectory() as name:
            _write_lists(Path(name), count)
            yield {"what": "rows of a list", "videos": count, "steps": _commands(Path(name))}
    for count in LINKED:
        with tempfile.TemporaryDirectory() as name:
            data, kept = Path(name, "data"), Path(name, "cache")
            _link(folder, data, count)
            built = _build(data, kept)
            steps = _commands(data)
            for step in ("open", "attach", "batch"):
                steps[step] = _step(step, data, kept, built)
            yield {"what": "videos in folders", "videos": count, "steps": steps}


def _commands(data: Path) -> dict[str, Any]:
    program = [sys.executable, "-c", "from expand.command.cli import main; main()"]
    return {
        "doctor --quick": _cost([*program, "doctor", str(data), "--quick", "--json"]),
        "search --dry-run": _cost([*program, "search", "--data", str(data), "--target", "40M", "--dry-run"]),
    }


def _cost(command: Sequence[str]) -> dict[str, float]:
    """Run a command, and return its seconds and peak memory in MB."""
    began = time.monotonic()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)  # noqa: S603
    assert process.stderr is not None
    errors = process.stderr.read().decode(errors="replace")
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"{' '.join(command[-4:])} failed: {errors[-500:]}")
    return {"seconds": time.monotonic() - began, "megabytes": usage.ru_maxrss / 1000}


def _write_lists(folder: Path, count: int) -> None:
    for split, share in (("train", count), ("val", count // 10)):
        with (folder / f"{split}.txt").open("w", encoding="utf-8") as file:
            file.writelines(
                f"class{k % _CLASSES:03}/{split}{k:07}.mp4 {k % _CLASSES}\n" for k in range(share)
            )


def _link(videos: Path, folder: Path, count: int) -> None:
    """Make class folders with `count` links to the videos of a data set, for each class in turn."""
    source = open_source(DataConfig(path=videos))
    assert isinstance(source, FileSource)
    paths: dict[str, list[Path]] = {}
    for item in chain.from_iterable(source.splits.values()):
        paths.setdefault(source.classes[item.label], []).append(source.path(item).resolve())
    for name in paths:
        (folder / name).mkdir(parents=True)
    for number, name in zip(range(count), cycle(paths)):
        videos_of_class = paths[name]
        target = videos_of_class[number // len(paths) % len(videos_of_class)]
        (folder / name / f"{number:06}{target.suffix}").symlink_to(target)


@dataclass(frozen=True, kw_only=True, slots=True)
class _Linked(FileSource):
    """A source that decodes each video once for all its links, as building the cache is not measured."""

    def read(self, items: Sequence[Item], moments: Moments, *, short_side: int) -> list[Decoded | BadVideo]:
        del moments  # equal for all videos
        return [_decoded(self.path(item).resolve(), short_side) for item in items]


@cache
def _decoded(path: Path, short_side: int) -> Decoded | BadVideo:
    (decoded,) = video.read(path, [None], partial(NEEDS.moments, "train"), short_side=short_side)
    return decoded


def _config(data: Path, folder: Path) -> DataConfig:
    return DataConfig(path=data, cache=CacheConfig(folder=folder))


def _build(data: Path, folder: Path) -> Path:
    config = _config(data, folder)
    source = open_source(config)
    linked = _Linked(**{field.name: getattr(source, field.name) for field in fields(FileSource)})
    return open_cache(linked, NEEDS, config, processes=cores()).folder


def _step(step: str, data: Path, folder: Path, built: Path) -> dict[str, float]:
    """Run a step in a process; return its seconds, and the process's peak memory with all imports."""
    command = [sys.executable, "-m", "expand.bench.scale", step, str(data), str(folder), str(built)]
    done = subprocess.run(command, capture_output=True, check=True, text=True)  # noqa: S603
    cost: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return cost


def _main(step: str, data: Path, folder: Path, built: Path) -> None:
    import resource

    began = time.monotonic()
    if step == "open":
        config = _config(data, folder)
        open_cache(open_source(config), NEEDS, config)
    else:
        opened = open_built(built)
        if step == "batch":
            began = time.monotonic()
            videos = np.linspace(0, len(opened.train) - 1, 16).astype(np.int64)
            sizes = opened.train.sizes[videos]
            windows = np.stack((0 * sizes[:, 0], sizes[:, 0], 0 * sizes[:, 0], sizes[:, 1]), axis=1)
            for _ in opened.train.take(videos, np.zeros((16, 4)), windows):
                pass
    seconds = time.monotonic() - began
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000
    print(json.dumps({"seconds": seconds, "megabytes": peak}))


if __name__ == "__main__":
    _main(sys.argv[1], *(Path(argument) for argument in sys.argv[2:5]))
