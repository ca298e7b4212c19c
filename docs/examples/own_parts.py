"""A strategy, a cost, an objective and a reader of one's own; docs/extending.md explains each of them."""

import json
import random

import numpy as np

from expand.data.base import SPLITS
from expand.data.readers.base import LabelSpan, Listed, ListedVideo, needed_path, splits_to_read
from expand.data.readers.text import lines_of
from expand.search.axes import largest
from expand.search.base import Round, Trajectory
from expand.system.errors import UserError
from expand.system.units import short_count, show_count
from expand.training.objectives import Chance


class SomeAxes:
    """Grows along a few axes, drawn anew for each round, and keeps the best; never exceeds a target."""

    def __init__(self, *, axes=2, step=2.0):  # what search.settings may set
        self.axes, self.step = axes, step

    def search(self, problem):
        problem.check_targets()
        draws = random.Random(problem.seed)
        round_ = Round(number=0, kind="start", trainings=problem.trainings([problem.start]))
        states, models = [round_.best((yield round_))], []
        for target in sorted(set(problem.targets)):
            while grown := self.grown(problem, states[-1].candidate, target):
                drawn = draws.sample(grown, min(self.axes, len(grown)))
                round_ = Round(
                    number=round_.number + 1,
                    kind="some axes",
                    states=tuple(states),
                    trainings=problem.trainings(drawn),
                )
                states.append(round_.best((yield round_)))
            models.append(problem.met_by(states[-1], target))
        return Trajectory(states=tuple(states), targets=tuple(models))

    def grown(self, problem, parent, target):
        """A candidate for each axis on which the cost can grow by 10 % within the step and the target."""
        candidates = []
        for name, axis in problem.axes.items():
            point = largest(problem, axis, parent.point, min(self.step * parent.cost, target))
            if point is not None and problem.cost_of(point) > 1.1 * parent.cost:
                candidates.append(problem.candidate(name, point, axis=name, parent=parent))
        return candidates


class Memory:
    """About what a network needs in half precision: all of its weights, and its largest stage's outputs."""

    name, unit = "memory", "bytes"

    def value(self, space, point, num_classes):
        complexity = space.complexity(space.architecture(point), num_classes)
        return 2 * (complexity.params + max(stage.activations for stage in complexity.stages))

    def short(self, value):
        return f"{short_count(value)}B"

    def show(self, value):
        return show_count(value)


class Top3:
    """The share of the videos whose class is among the three most probable."""

    name, words, labels = "top3", "top-3", "one"

    def score(self, probabilities, truth):
        return float(self.per_video(probabilities, truth).mean(dtype=float))

    def per_video(self, probabilities, truth):
        right = probabilities[np.arange(len(truth)), truth]
        rank = (probabilities >= right[:, None]).sum(axis=1)  # the right class is the last of equal ones
        return (rank <= 3).astype(np.float16)

    def chance(self, counts, videos):
        share = int(np.sort(counts)[-3:].sum()) / videos
        return Chance(score=share, words="always naming the three most frequent classes")


class JsonLines:
    """A line for each video in videos.jsonl: {"video": "a/1.mp4", "label": "walk", "split": "train"}."""

    def recognises(self, folder):
        return (folder / "videos.jsonl").is_file()

    def read(self, config, splits):
        root = needed_path(config)
        file, videos = root / "videos.jsonl", {}
        for number, line in lines_of(file):
            try:
                row = json.loads(line)
                video = ListedVideo(key=row["video"], shows=(LabelSpan(str(row["label"])),))
                videos.setdefault(SPLITS[SPLITS.index(row["split"])], []).append(video)
            except (ValueError, KeyError, TypeError):
                raise UserError(
                    f"line {number} of {file} must have a video, its label and its split "
                    f"({', '.join(SPLITS)}), got {line}: correct it."
                ) from None
        wanted = splits_to_read(videos, splits, config)
        return Listed(
            name=root.name,
            root=root,
            splits={split: tuple(videos[split]) for split in wanted},
            origins={split: str(file) for split in wanted},
        )
