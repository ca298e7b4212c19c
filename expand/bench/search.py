"""Benchmark of the whole default search, against another checkout or against plain modules."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from expand.bench.harness import Comparison, Figures, alternate
from expand.system.errors import RunFailed, UserError

_HERE = Path(__file__).parents[2]
_MAIN = "from expand.command.cli import main; main()"
_SHORT = ("training.clips=16", "training.epochs=null")  # decodes the same videos, with almost no training


def measure_search(against: Path | None, settings: Sequence[str], *, rounds: int) -> Figures:
    """Measure the seconds of `xpand search` with changed settings, from the process's start to its end.

    Before, both sides search the same videos with almost no training, so that cache and kernels are built.
    The facts have both trajectories, which show whether the searches were the same.

    Args:
        against: a checkout of xpand; None for this one with the fast kernels turned off.
        settings: changed settings, as for --set.
        rounds: number of timed searches of each side.

    Raises:
        UserError: `against` is not a checkout of xpand.
        RunFailed: a search failed.
    """
    if against is not None and not (against / "expand").is_dir():
        raise UserError(f"--against must be a checkout of xpand, but {against} holds no folder expand.")
    baseline = "plain" if against is None else str(against.name)
    ways = {
        "xpand": (_HERE, {}),
        baseline: (against or _HERE, {"XPAND_KERNELS": "plain"} if against is None else {}),
    }
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        trajectories: dict[str, Any] = {}

        def search(way: str) -> None:
            checkout, variables = ways[way]
            trajectories[way] = _search(checkout.resolve(), variables, settings, folder)

        for checkout, variables in ways.values():
            _search(checkout.resolve(), variables, [*settings, *_SHORT], folder)
        timings = alternate({way: partial(search, way) for way in ways}, rounds=rounds, scale=1.0, warm_up=0)
    facts = {"trajectories": trajectories}
    row = Comparison(name="the default search", timings=timings, baseline=baseline, facts=facts)
    return Figures(
        benchmark="search",
        unit="s a search",
        rows=[row],
        settings={
            **({} if against is None else {"against": baseline}),
            "rounds": rounds,
            "set": list(settings),
        },
        notes=[_path(way, trajectory) for way, trajectory in trajectories.items()],
    )


def _path(way: str, trajectory: Sequence[Any]) -> str:
    """Write a trajectory on one line: `plain found step-0 22.0 %, target-6M 56.4 %`."""
    return f"{way} found " + ", ".join(
        f"{name} {'failed' if top1 is None else f'{100 * top1:.1f} %'}" for name, top1 in trajectory
    )


def _search(checkout: Path, variables: dict[str, str], settings: Sequence[str], folder: Path) -> list[Any]:
    """Run a search of a checkout with this Python; return name and top-1 of each state."""
    with tempfile.TemporaryDirectory(dir=folder) as name:
        options = [option for setting in settings for option in ("--set", setting)]
        done = subprocess.run(  # noqa: S603
            [sys.executable, "-c", _MAIN, "search", "--out", f"{name}/run", "--json", *options],
            cwd=checkout,
            env={**os.environ, "PYTHONPATH": str(checkout), **variables},
            capture_output=True,
            text=True,
            check=False,
        )
    if done.returncode != 0:
        raise RunFailed(f"the search of {checkout.name} ended with: {done.stderr.strip().splitlines()[-1]}")
    return [[row["name"], row["top1"]] for row in json.loads(done.stdout)["trajectory"]]
