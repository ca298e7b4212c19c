"""What a run is, once its names are resolved: the space, the axes, the data, and the jobs of a candidate."""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from expand.config import Config
from expand.data.sources import flip_swaps
from expand.jobs import Failure, Job, Measurement, Result
from expand.search import Candidate, Failed, Outcome, Round, Scored, Space, Trajectory, expand
from expand.spaces import choose_axes, load_space
from search_spaces.base import Axis, Json


@dataclass(frozen=True, kw_only=True, slots=True)
class DataCard:
    """What a run knows of its data without the videos.

    Attributes:
        name: the data set, such as its folder's name.
        checksum: SHA-256 over all that decides frames and labels.
        classes: the label set, in the order of the network's outputs.
        train, val: videos in each split, bad ones left out.
        val_counts: validation videos of each class; a class may have none.
        short_side, fps: what the cache holds (CacheNeeds): it decides the pixels that training sees.
    """

    name: str
    checksum: str
    classes: tuple[str, ...]
    train: int
    val: int
    val_counts: tuple[int, ...]
    short_side: int
    fps: float

    @classmethod
    def of(cls, values: Json) -> DataCard:
        """From what `asdict` gave, and JSON may have made of it."""
        return cls(**{**values, **{name: tuple(values[name]) for name in ("classes", "val_counts")}})

    @property
    def unseen(self) -> tuple[str, ...]:
        """The classes that no validation video shows."""
        return tuple(name for name, count in zip(self.classes, self.val_counts, strict=True) if not count)

    @property
    def guess(self) -> float:
        """The top-1 of always naming the most frequent class."""
        return max(self.val_counts) / self.val


@dataclass(frozen=True, kw_only=True, slots=True)
class Setup:
    """A run's configuration with its names resolved. Everything that a search decides follows from it."""

    config: Config
    space: Space
    axes: Mapping[str, Axis[Any]]
    data: DataCard

    @classmethod
    def of(cls, config: Config, data: DataCard) -> Setup:
        space = load_space(config.space.name, config.space.settings)
        return cls(config=config, space=space, axes=choose_axes(space, config.search.axes), data=data)

    def search(self) -> Generator[Round, Sequence[Outcome], Trajectory]:
        options = self.config.search
        return expand(
            self.space,
            axes=self.axes,
            targets=options.targets,
            step=options.step,
            num_classes=len(self.data.classes),
        )

    def jobs(self, candidate: Candidate, parents: Sequence[Job | None]) -> tuple[Job, ...]:
        """A candidate's jobs, one a seed; each starts from its parent's weights if there is one."""
        options, data = self.config.search, self.data
        return tuple(
            Job(
                space=self.config.space.model_dump(mode="json"),
                architecture=self.space.architecture_to_json(self.space.architecture(candidate.point)),
                sampling=asdict(self.space.sampling(candidate.point)),
                recipe=self.config.training.model_dump(mode="json"),
                data={
                    "checksum": data.checksum,
                    "num_classes": len(data.classes),
                    "short_side": data.short_side,
                    "fps": data.fps,
                    "augmentation": augmentation(self.config, data.classes),
                },
                seed=options.seed + place,
                parent=parent.key if parent else None,
            )
            for place, parent in enumerate(parents)
        )


def augmentation(config: Config, classes: Sequence[str]) -> Json:
    """What training does to a clip, in class indices; the fields of data.clips.Augment."""
    swaps = list(flip_swaps(config.data, classes)) if config.data.flip else None
    return {"swaps": swaps, "jitter": list(config.data.jitter)}


@dataclass(frozen=True, kw_only=True, slots=True)
class RoundJobs:
    """A round of the search with the jobs of each of its candidates."""

    round: Round
    jobs: tuple[tuple[Job, ...], ...]

    def missing(self, results: Mapping[str, Result]) -> tuple[tuple[Candidate, Job], ...]:
        """What is still to be trained, each network once, in the order of the candidates."""
        found: dict[str, tuple[Candidate, Job]] = {}
        for candidate, jobs in zip(self.round.candidates, self.jobs, strict=True):
            for job in jobs:
                if job.key not in results:
                    found.setdefault(job.key, (candidate, job))
        return tuple(found.values())

    def outcomes(self, results: Mapping[str, Result]) -> tuple[Outcome, ...]:
        return tuple(outcome([results[job.key] for job in jobs]) for jobs in self.jobs)


def outcome(results: Sequence[Result]) -> Outcome:
    """A candidate's outcome over its seeds: the mean top-1, or the first failure if any seed failed."""
    scores = []
    for result in results:
        if isinstance(result, Failure):
            return Failed(reason=result.reason)
        scores.append(result.top1)
    return Scored(top1=sum(scores) / len(scores))


def scored(results: Sequence[Result]) -> tuple[Measurement, ...]:
    return tuple(result for result in results if isinstance(result, Measurement))


class Replay:
    """A search under way: feeds it outcomes, and remembers which jobs stood for which candidate.

    replay = Replay(setup)
    while replay.current is not None:
        ...                               # train replay.current.missing(results)
        replay.send(results)
    replay.trajectory
    """

    def __init__(self, setup: Setup) -> None:
        self._setup = setup
        self._search = setup.search()
        self.jobs: dict[Candidate, tuple[Job, ...]] = {}
        self.rounds: list[RoundJobs] = []
        self.current: RoundJobs | None = None
        self.trajectory: Trajectory | None = None
        self._enter(next(self._search))

    def send(self, results: Mapping[str, Result]) -> None:
        """Tell the search what the current round gave, and go to the next.

        Raises:
            RunFailed: every candidate failed, or no axis can grow.
        """
        assert self.current is not None, "the search is over"
        outcomes = self.current.outcomes(results)
        self.current = None
        try:
            self._enter(self._search.send(outcomes))
        except StopIteration as end:
            self.trajectory = end.value

    def _enter(self, round_: Round) -> None:
        jobs = {
            candidate: self._setup.jobs(candidate, self._parents(candidate))
            for candidate in round_.candidates
        }
        self.jobs.update(jobs)
        self.current = RoundJobs(round=round_, jobs=tuple(jobs.values()))
        self.rounds.append(self.current)

    def _parents(self, candidate: Candidate) -> Sequence[Job | None]:
        """The jobs whose weights a candidate's start from, one a seed; None: from scratch."""
        if self._setup.config.training.init == "parent" and candidate.parent is not None:
            return self.jobs[candidate.parent]
        return (None,) * self._setup.config.search.seeds
