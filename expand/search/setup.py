"""Resolves the names in a run's configuration (space, axes, cost, strategy), and makes jobs of trainings."""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from expand.config.search import Config
from expand.config.spaces import Space, choose_axes, load_space
from expand.config.start import StartConfig
from expand.data.cache_needs import CacheNeeds, cache_needs
from expand.data.flips import flip_swaps
from expand.jobs.job import Job, LabelCount
from expand.search.base import Limit, Outcome, Problem, Round, Strategy, Training, Trajectory
from expand.search.confirmation import then_confirmed
from expand.search.costs import Cost, load_cost
from expand.search.latency import Pace
from expand.search.strategies import load_strategy
from expand.system.errors import UserError
from search_spaces.base import Axis, ClipSampling, Json, growth_of


@dataclass(frozen=True, kw_only=True, slots=True)
class FrameGrid:
    """The frames that a cache has of each video, on which the pixels of clips depend.

    Attributes:
        short_side: in pixels.
        fps: frames per second.
    """

    short_side: int
    fps: float

    @classmethod
    def of(cls, needs: CacheNeeds) -> FrameGrid:
        """The frames of a cache with these needs."""
        return cls(short_side=needs.short_side, fps=needs.fps)

    def covers(self, other: FrameGrid) -> bool:
        """Whether the frames are no smaller and no fewer than others."""
        return self.short_side >= other.short_side and self.fps >= other.fps


@dataclass(frozen=True, kw_only=True, slots=True)
class DataCard:
    """Facts about a run's data that stay known when the videos are gone.

    Attributes:
        name: the name of the data set, such as its folder's name.
        checksum: SHA-256 over everything that frames and labels depend on.
        classes: the names of the classes, in the order of the network's outputs.
        train, val: numbers of videos in each split, without those that could not be decoded.
        val_counts: for each class, the number of validation videos that show it; may be 0.
        grids: the frames of each cache. A network is trained on the first whose frames are enough for it, so
            a run that is extended to larger networks, and needs a further cache for these, keeps what it has
            measured on smaller ones.
        labels: whether a video has one label or several.
        unlabelled: number of validation videos without any label, which scores leave out.
        test: number of test videos, on which what was found is scored at the end; 0: the data have none, or
            the search began without a confirmation.
        test_checksum: SHA-256 over everything that their frames and labels depend on; None: there are none.
    """

    name: str
    checksum: str
    classes: tuple[str, ...]
    train: int
    val: int
    val_counts: tuple[int, ...]
    grids: tuple[FrameGrid, ...]
    labels: LabelCount = "one"
    unlabelled: int = 0
    test: int = 0
    test_checksum: str | None = None

    @classmethod
    def of(cls, values: Json) -> DataCard:
        """The card whose `asdict` is `values`, also after a round trip through JSON."""
        changed = {name: tuple(values[name]) for name in ("classes", "val_counts")}
        return cls(**{**values, **changed, "grids": tuple(FrameGrid(**one) for one in values["grids"])})

    @property
    def several_labels(self) -> bool:
        """Whether a video may have several labels, or none."""
        return self.labels == "several"

    def with_grid(self, grid: FrameGrid) -> DataCard:
        """The data with a further cache of these frames, unless one has them already."""
        if any(one.covers(grid) for one in self.grids):
            return self
        return replace(self, grids=(*self.grids, grid))

    @property
    def unseen(self) -> tuple[str, ...]:
        """The classes that no validation video shows."""
        return tuple(name for name, count in zip(self.classes, self.val_counts, strict=True) if not count)


@dataclass(frozen=True, kw_only=True, slots=True)
class Setup:
    """A run's configuration with its names resolved. With the measurements, it determines every decision."""

    config: Config
    space: Space
    axes: Mapping[str, Axis[Any]]
    cost: Cost
    strategy: Strategy
    data: DataCard

    @classmethod
    def of(cls, config: Config, data: DataCard) -> Setup:
        """Raises UserError if a name is unknown or cannot be imported, or if a setting is not accepted."""
        space = load_space(config.space.name, config.space.settings)
        if config.training.init == "grown" and growth_of(space) is None:
            raise UserError(
                f"training.init: grown needs a space that can grow weights, but {config.space.name} has no "
                "method grow: set training.init to scratch, or add the method (search_spaces/base.py)."
            )
        return cls(
            config=config,
            space=space,
            axes=choose_axes(space, config.search.axes),
            cost=load_cost(config.search.cost, pace_of(config)),
            strategy=load_strategy(config.search),
            data=data,
        )

    @property
    def problem(self) -> Problem:
        """The problem that the strategy solves."""
        problem = _problem(self.config, self.space, self.axes, self.cost, len(self.data.classes))
        clips = self.config.training.clips_of(self.data.train)
        return replace(problem, clips=clips, test=self.data.test_checksum is not None)

    def search(self) -> Generator[Round, Sequence[Outcome], Trajectory]:
        """The search from its first round on (`Strategy.search`), with its confirmation."""
        return then_confirmed(self.problem, self.strategy.search(self.problem))

    def grid(self, clips: ClipSampling) -> FrameGrid:
        """The frames that a network with these clips is trained on."""
        wanted = FrameGrid.of(cache_needs(self.config.data, [clips]))
        return next((one for one in self.data.grids if one.covers(wanted)), self.data.grids[-1])

    @property
    def given(self) -> Job | None:
        """The weights that the search starts from, as if a training of the start had left them; None: none.

        Trainings of candidates without a parent start from them, so that what they give depends on them.
        """
        start, problem = self.config.search.start, self.problem
        if start is None or start.checksum is None or not problem.grown:
            return None
        job = self.job(Training(candidate=problem.start, seed=problem.seed), None)
        return replace(job, data={**job.data, "weights": start.checksum})

    def job(self, training: Training, parent: Job | None) -> Job:
        """The job of a training; it starts from the weights that the job `parent` saved, if there is one."""
        data, candidate = self.data, training.candidate
        sampling = self.space.sampling(candidate.point)
        return Job(
            space=self.config.space.model_dump(mode="json"),
            architecture=self.space.architecture_to_json(self.space.architecture(candidate.point)),
            sampling=asdict(sampling),
            recipe=self.config.training.scaled(budget=training.budget, rate=training.rate).model_dump(
                mode="json"
            ),
            data={
                "checksum": data.checksum,
                "num_classes": len(data.classes),
                **asdict(self.grid(sampling)),
                "augmentation": augmentation(self.config, data.classes),
            },
            seed=training.seed,
            parent=parent.key if parent else None,
            objective=self.config.search.objective,
            labels=data.labels,
            test=data.test_checksum if training.test else None,
        )


def problem_of(config: Config, num_classes: int = 2) -> Problem:
    """The problem of a configuration whose data, and so the number of classes, is not known yet.

    Costs are a little too low if there are more than `num_classes` classes.

    Raises:
        UserError: a name is unknown or cannot be imported, or a setting is not accepted.
    """
    space = load_space(config.space.name, config.space.settings)
    axes = choose_axes(space, config.search.axes)
    return _problem(config, space, axes, load_cost(config.search.cost, pace_of(config)), num_classes)


def _problem(
    config: Config, space: Space, axes: Mapping[str, Axis[Any]], cost: Cost, num_classes: int
) -> Problem:
    options = config.search
    return Problem(
        space=space,
        axes=axes,
        targets=options.targets,
        num_classes=num_classes,
        cost=cost,
        limits=tuple(
            Limit(cost=load_cost(name, pace_of(config)), amount=amount) for amount, name in options.limits
        ),
        seeds=tuple(range(options.seed, options.seed + options.seeds[1])),
        least=options.seeds[0],
        confidence=options.confidence,
        margin=options.margin,
        match=options.match,
        settled=options.settled,
        confirm=options.confirmations,
        budget=options.budget,
        grown=grows(config, space),
        start_point=None if options.start is None else point_of(space, options.start),
    )


def pace_of(config: Config) -> Pace | None:
    """The pace of the device that latency is predicted for; None: the configuration has no profile.

    Raises:
        UserError: the profile is of another space.
    """
    profile = config.search.profile
    if profile is None:
        return None
    if profile.space != config.space.name:
        raise UserError(
            f"search.profile must be of the space {config.space.name}, got one of {profile.space}: measure "
            "the space by xpand profile."
        )
    return profile.pace


def grows(config: Config, space: Space) -> bool:
    """Whether candidates start from the weights of the network that they were grown from."""
    return config.training.init != "scratch" and growth_of(space) is not None


def point_of(space: Space, start: StartConfig) -> Any:
    """The point that a search starts from; its factors must be known.

    Raises:
        UserError: the factors are not those of the space, or give no network.
    """
    assert start.factors is not None, "a search is planned with the factors of its start"
    try:
        point = space.point_from_json({**space.point_to_json(space.start), **start.factors})
        space.architecture(point), space.sampling(point)
    except (TypeError, ValueError) as error:
        given = ", ".join(f"{name} {value!r}" for name, value in start.factors.items())
        why = str(error).rstrip(".")
        raise UserError(f"search.start must have factors of the space, got {given}: {why}.") from None
    return point


def augmentation(config: Config, classes: Sequence[str]) -> Json:
    """The augmentation of training clips: the fields of `data.clips.Augment` as JSON, with class indices."""
    swaps = list(flip_swaps(config.data, classes)) if config.data.flip else None
    return {"swaps": swaps, "jitter": list(config.data.jitter)}
