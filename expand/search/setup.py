"""What a run searches, its names resolved: the space, the axes, the data, and the jobs of a candidate."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from expand.config.search import Config
from expand.config.spaces import Space, choose_axes, load_space
from expand.data.flips import flip_swaps
from expand.jobs.job import Job, LabelCount
from expand.search.base import Problem, Strategy, Training
from expand.search.costs import Cost, load_cost
from expand.search.strategies import load_strategy
from search_spaces.base import Axis, Json


@dataclass(frozen=True, kw_only=True, slots=True)
class DataCard:
    """What a run knows of its data without the videos.

    Attributes:
        name: the data set, such as its folder's name.
        checksum: SHA-256 over all that decides frames and labels.
        classes: the label set, in the order of the network's outputs.
        train, val: videos in each split, bad ones left out.
        val_counts: validation videos that show each class; a class may have none.
        short_side, fps: what the cache holds (CacheNeeds): it decides the pixels that training sees.
        labels: of a video: one, or several.
        unlabelled: validation videos without any label, which no score counts.
    """

    name: str
    checksum: str
    classes: tuple[str, ...]
    train: int
    val: int
    val_counts: tuple[int, ...]
    short_side: int
    fps: float
    labels: LabelCount = "one"
    unlabelled: int = 0

    @classmethod
    def of(cls, values: Json) -> DataCard:
        """From what `asdict` gave, and JSON may have made of it."""
        return cls(**{**values, **{name: tuple(values[name]) for name in ("classes", "val_counts")}})

    @property
    def several_labels(self) -> bool:
        """Whether a video may have several labels, or none."""
        return self.labels == "several"

    @property
    def unseen(self) -> tuple[str, ...]:
        """The classes that no validation video shows."""
        return tuple(name for name, count in zip(self.classes, self.val_counts, strict=True) if not count)


@dataclass(frozen=True, kw_only=True, slots=True)
class Setup:
    """A run's configuration with its names resolved. Everything that a search decides follows from it."""

    config: Config
    space: Space
    axes: Mapping[str, Axis[Any]]
    cost: Cost
    strategy: Strategy
    data: DataCard

    @classmethod
    def of(cls, config: Config, data: DataCard) -> Setup:
        """Raises UserError where a name leads nowhere, or a setting is refused."""
        space = load_space(config.space.name, config.space.settings)
        return cls(
            config=config,
            space=space,
            axes=choose_axes(space, config.search.axes),
            cost=load_cost(config.search.cost),
            strategy=load_strategy(config.search),
            data=data,
        )

    @property
    def problem(self) -> Problem:
        """What the strategy is asked."""
        return _problem(self.config, self.space, self.axes, self.cost, len(self.data.classes))

    def job(self, training: Training, parent: Job | None) -> Job:
        """A training as a job, which starts from its parent's weights if there is one."""
        data, candidate = self.data, training.candidate
        return Job(
            space=self.config.space.model_dump(mode="json"),
            architecture=self.space.architecture_to_json(self.space.architecture(candidate.point)),
            sampling=asdict(self.space.sampling(candidate.point)),
            recipe=self.config.training.share(training.budget).model_dump(mode="json"),
            data={
                "checksum": data.checksum,
                "num_classes": len(data.classes),
                "short_side": data.short_side,
                "fps": data.fps,
                "augmentation": augmentation(self.config, data.classes),
            },
            seed=training.seed,
            parent=parent.key if parent else None,
            objective=self.config.search.objective,
            labels=data.labels,
        )


def problem_of(config: Config, num_classes: int = 2) -> Problem:
    """What a configuration asks, before its data is known; with more classes networks cost a little more.

    Raises:
        UserError: a name leads nowhere, or a setting is refused.
    """
    space = load_space(config.space.name, config.space.settings)
    axes = choose_axes(space, config.search.axes)
    return _problem(config, space, axes, load_cost(config.search.cost), num_classes)


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
        seeds=tuple(range(options.seed, options.seed + options.seeds)),
    )


def augmentation(config: Config, classes: Sequence[str]) -> Json:
    """What training does to a clip, in class indices; the fields of data.clips.Augment."""
    swaps = list(flip_swaps(config.data, classes)) if config.data.flip else None
    return {"swaps": swaps, "jitter": list(config.data.jitter)}
