"""Strategies for real: searches that may spend the same, and what each finds, trained in full and tested.

Every search has a run folder and every training a folder beside it, so that it can be interrupted and goes on
where it was. What is tested is in a file of results, which is written after each of them.
"""

from __future__ import annotations

import json
import math
import statistics
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass
from pathlib import Path

from expand.bench.ways import run_to_end
from expand.config.search import Config
from expand.config.training import GROWN_EPOCHS
from expand.full.folder import TrainingFolder
from expand.full.preparation import choose
from expand.full.testing import choose_test, run_test
from expand.full.train import TrainingDisplay, go_on, start
from expand.jobs.job import Measurement
from expand.report.sheets import Sheet, plain_sheet
from expand.run.driver import SearchDisplay
from expand.run.record import RunRecord, read_run
from expand.search.confirmation import CONFIRMATION
from expand.system.errors import UserError
from expand.system.files import write_json
from expand.system.units import show_count

FILE = "rivals.json"
_SEEDS = 1_000  # apart from each other are the first seeds of two searches by one strategy
_RACE = (2, 8)  # the trainings of a candidate where the strategy is expansion; the others train each once


@dataclass(frozen=True, kw_only=True, slots=True)
class Rival:
    """A search, and what it found, trained in full.

    Attributes:
        strategy: of the search.
        number: of the search; each has other seeds.
        spent: multiply-adds that the search trained.
        trainings: how many there were.
        network: the clips of the network that it found, in words.
        macs: its multiply-adds for one clip.
        score: its score in the search, on the validation videos.
        val, test: its top-1 when trained in full, on the validation videos and on the test videos.
        mean_class: its mean class accuracy on the test videos.
        videos: the number of test videos.
        search_seconds, seconds: of the search's trainings together, and of the full training.
    """

    strategy: str
    number: int
    spent: float
    trainings: int
    network: str
    macs: int
    score: float
    val: float
    test: float
    mean_class: float
    videos: int
    search_seconds: float
    seconds: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Displays:
    """Makes what shows the progress of a search and of a full training."""

    search: Callable[[], AbstractContextManager[SearchDisplay]]
    training: Callable[[], AbstractContextManager[TrainingDisplay]]


def measure(
    config: Config, strategies: Sequence[str], searches: int, epochs: float, folder: Path, show: Displays
) -> list[Rival]:
    """Search, train and test, from where it was cut off.

    Args:
        config: of the searches; its largest target is what is trained in full.
        strategies: their names.
        searches: by each strategy, with seeds of their own.
        epochs: of a full training.
        folder: of the runs, the trainings and the file of results.
        show: the progress.

    Raises:
        UserError: the data have no test videos, or a run in the folder has another configuration.
        RunFailed: a run or a training cannot go on.
    """
    if config.data.test is None and config.data.format != "synthetic":
        raise UserError(
            "there must be test videos that no search sees, but data.test names none: give a list, such as "
            "--set data.test=test.txt."
        )
    found = {(one.strategy, one.number): one for one in read_rivals(folder / FILE)}
    for number in range(searches):  # a search by each strategy, then the next, so that parts can be compared
        for strategy in strategies:
            if (strategy, number) not in found:
                found[strategy, number] = _rival(config, strategy, number, epochs, folder, show)
                write_json(folder / FILE, [asdict(one) for one in found.values()])
    return list(found.values())


def read_rivals(file: Path) -> list[Rival]:
    """The results in a file; none if there is none."""
    if not file.exists():
        return []
    return [Rival(**values) for values in json.loads(file.read_text(encoding="utf-8"))]


def _rival(config: Config, strategy: str, number: int, epochs: float, folder: Path, show: Displays) -> Rival:
    """One search, with its full training and test."""
    searched = folder / f"{strategy}-{number}"
    with show.search() as view:
        run_to_end(searching(config, strategy, number), searched, view)
    record = read_run(searched)
    target = max(record.targets, key=lambda row: row.target)
    trained = folder / f"{strategy}-{number}-full"
    with show.training() as display:
        if TrainingFolder.is_one(trained):
            done = go_on(trained, display)
        else:
            settings = {"training.epochs": epochs, "training.seed": number, "data.flip": config.data.flip}
            done = start(choose(str(searched), target.name, settings=settings), trained, display)
    with show.search() as view:
        (tested,) = run_test(choose_test(str(trained), None, views=["1"], split="test"), view.caching)
    return Rival(
        strategy=strategy,
        number=number,
        spent=sum(one.spent for one in _measurements(record)),
        trainings=len(list(_measurements(record))),
        network=f"{target.network.clips}",
        macs=target.network.macs,
        score=target.score,
        val=done.scores["top1"],
        test=tested.scores["top1"],
        mean_class=tested.scores["mean_class_accuracy"],
        videos=tested.videos,
        search_seconds=sum(one.seconds for one in _measurements(record)),
        seconds=done.seconds,
    )


def searching(config: Config, strategy: str, number: int) -> Config:
    """The configuration of a search by a strategy."""
    seeds = _RACE if strategy == "expansion" else (1, 1)
    search = {"strategy": strategy, "seed": _SEEDS * number, "seeds": list(seeds), "confirm": 0}
    training = config.training.model_dump()
    if config.training.init is None and config.training.epochs == GROWN_EPOCHS:  # as many as it takes
        training |= {"epochs": None}
    return Config.model_validate(
        {
            **config.model_dump(),
            "search": {**config.search.model_dump(), **search},
            "training": training,
        }
    )


def _measurements(record: RunRecord) -> Iterator[Measurement]:
    """The measurements by which a search has decided."""
    for row in record.rounds:
        if row.kind != CONFIRMATION:
            yield from row.seeds.measurements


def rivals_sheet(found: Iterable[Rival]) -> Sheet:
    """A row for each strategy: means over its searches, with standard errors where there are several."""
    headings = ("strategy", "searches", "spent", "validation", "test", "±", "mean class")
    by_strategy: dict[str, list[Rival]] = {}
    for one in found:
        by_strategy.setdefault(one.strategy, []).append(one)
    cells = []
    for strategy, ones in by_strategy.items():
        tests = [one.test for one in ones]
        error = statistics.stdev(tests) / math.sqrt(len(tests)) if len(tests) > 1 else None
        cells.append(
            (
                strategy,
                str(len(ones)),
                show_count(round(statistics.fmean(one.spent for one in ones))),
                f"{statistics.fmean(one.val for one in ones):.1%}",
                f"{statistics.fmean(tests):.1%}",
                "" if error is None else f"{100 * error:.1f}",
                f"{statistics.fmean(one.mean_class for one in ones):.1%}",
            )
        )
    return plain_sheet(headings, cells, left=("strategy",))
