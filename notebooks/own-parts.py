# ---
# jupyter:
#   jupytext:
#     formats: ipynb,py:percent
#     notebook_metadata_filter: -jupytext.text_representation.jupytext_version
#     text_representation:
#       extension: .py
#       format_name: percent
#       format_version: '1.3'
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # A strategy, a cost, an objective and a reader of one's own
#
# A search is put together from parts, and each can be replaced by a class in a file of yours, outside of
# xpand, which is named in the configuration as `module:Class`. This notebook writes one of each into one
# file, tests them with the tests that xpand ships for them, searches with all four on small videos, and
# looks at what the search found, in about a minute. `docs/extending.md` says what each part must do; for axes
# and spaces see the notebook `own-axis`.

# %%
# %matplotlib inline
import importlib
import json
import os
import tempfile
from pathlib import Path

import av
import numpy as np

import expand
from expand.config.data import DataConfig
from expand.data.readers.conformance import check_reader
from expand.plots import draw
from expand.run.record import read_run
from expand.search.base import Problem
from expand.search.conformance import check_cost, check_strategy
from expand.training.conformance import ObjectiveConformance
from search_spaces.x3d import X3DSpace

# %% tags=["parameters"]
TRAIN, VALIDATION = 96, 48  # videos
EPOCHS = 8  # the training of each candidate
TARGET = "3M"  # bytes
WORKERS = 2  # processes that train at the same time
FOLDER = None  # where the files and the run go; None: a new temporary folder

# %% [markdown]
# xpand imports a file of yours from the current folder, or from wherever it is installed. So everything here
# happens in one folder.

# %%
folder = Path(FOLDER or tempfile.mkdtemp(prefix="xpand-")).resolve()
os.chdir(folder)

# %% [markdown]
# ## The file
#
# It begins with what all four parts need.

# %% tags=["active-ipynb"]
# %%writefile own_parts.py
# """A strategy, a cost, an objective and a reader of one's own; docs/extending.md explains each of them."""
#
# import json
# import random
#
# import numpy as np
#
# from expand.data.base import SPLITS
# from expand.data.readers.base import LabelSpan, Listed, ListedVideo, needed_path, splits_to_read
# from expand.data.readers.text import lines_of
# from expand.search.axes import largest
# from expand.search.base import Round, Trajectory
# from expand.system.errors import UserError
# from expand.system.units import short_count, show_count
# from expand.training.objectives import Chance

# %% [markdown]
# The **strategy** decides which networks are trained next. Progressive expansion tries every axis in each
# round; this one tries a few, and stops below the target instead of cutting back to it.

# %% tags=["active-ipynb"]
# %%writefile -a own_parts.py
# class SomeAxes:
#     """Grows along a few axes, drawn anew for each round, and keeps the best; never exceeds a target."""
#
#     def __init__(self, *, axes=2, step=2.0):  # what search.settings may set
#         self.axes, self.step = axes, step
#
#     def search(self, problem):
#         problem.check_targets()
#         draws = random.Random(problem.seed)
#         round_ = Round(number=0, kind="start", trainings=problem.trainings([problem.start]))
#         states, models = [round_.best((yield round_))], []
#         for target in sorted(set(problem.targets)):
#             while grown := self.grown(problem, states[-1].candidate, target):
#                 drawn = draws.sample(grown, min(self.axes, len(grown)))
#                 round_ = Round(
#                     number=round_.number + 1,
#                     kind="some axes",
#                     states=tuple(states),
#                     trainings=problem.trainings(drawn),
#                 )
#                 states.append(round_.best((yield round_)))
#             models.append(problem.met_by(states[-1], target))
#         return Trajectory(states=tuple(states), targets=tuple(models))
#
#     def grown(self, problem, parent, target):
#         """A candidate for each axis on which the cost can grow by 10 % within the step and the target."""
#         candidates = []
#         for name, axis in problem.axes.items():
#             point = largest(problem, axis, parent.point, min(self.step * parent.cost, target))
#             if point is not None and problem.cost_of(point) > 1.1 * parent.cost:
#                 candidates.append(problem.candidate(name, point, axis=name, parent=parent))
#         return candidates

# %% [markdown]
# The **cost** is what the target limits. Multiply-adds by default; here the memory of a small device.

# %% tags=["active-ipynb"]
# %%writefile -a own_parts.py
# class Memory:
#     """About what a network needs in half precision: all of its weights, and its largest stage's outputs."""
#
#     name, unit = "memory", "bytes"
#
#     def value(self, space, point, num_classes):
#         complexity = space.complexity(space.architecture(point), num_classes)
#         return 2 * (complexity.params + max(stage.activations for stage in complexity.stages))
#
#     def short(self, value):
#         return f"{short_count(value)}B"
#
#     def show(self, value):
#         return show_count(value)

# %% [markdown]
# The **objective** is what candidates are compared by.

# %% tags=["active-ipynb"]
# %%writefile -a own_parts.py
# class Top3:
#     """The share of the videos whose class is among the three most probable."""
#
#     name, words, labels = "top3", "top-3", "one"
#
#     def score(self, probabilities, truth):
#         return float(self.per_video(probabilities, truth).mean(dtype=float))
#
#     def per_video(self, probabilities, truth):
#         right = probabilities[np.arange(len(truth)), truth]
#         rank = (probabilities >= right[:, None]).sum(axis=1)  # the right class is the last of equal ones
#         return (rank <= 3).astype(np.float16)
#
#     def chance(self, counts, videos):
#         share = int(np.sort(counts)[-3:].sum()) / videos
#         return Chance(score=share, words="always naming the three most frequent classes")

# %% [markdown]
# The **reader** knows the format in which videos are listed.

# %% tags=["active-ipynb"]
# %%writefile -a own_parts.py
# class JsonLines:
#     """A line for each video in videos.jsonl: {"video": "a/1.mp4", "label": "walk", "split": "train"}."""
#
#     def recognises(self, folder):
#         return (folder / "videos.jsonl").is_file()
#
#     def read(self, config, splits):
#         root = needed_path(config)
#         file, videos = root / "videos.jsonl", {}
#         for number, line in lines_of(file):
#             try:
#                 row = json.loads(line)
#                 video = ListedVideo(key=row["video"], shows=(LabelSpan(str(row["label"])),))
#                 videos.setdefault(SPLITS[SPLITS.index(row["split"])], []).append(video)
#             except (ValueError, KeyError, TypeError):
#                 raise UserError(
#                     f"line {number} of {file} must have a video, its label and its split "
#                     f"({', '.join(SPLITS)}), got {line}: correct it."
#                 ) from None
#         wanted = splits_to_read(videos, splits, config)
#         return Listed(
#             name=root.name,
#             root=root,
#             splits={split: tuple(videos[split]) for split in wanted},
#             origins={split: str(file) for split in wanted},
#         )

# %% [markdown]
# ## Their tests
#
# Each says what does not hold, if anything does not. None of them trains a network. In a project they stand
# in a test file, where pytest finds them.

# %%
parts = importlib.import_module("own_parts")

space = X3DSpace(size=32)
check_cost(parts.Memory(), space)
check_strategy(parts.SomeAxes, Problem(space=space, axes=space.axes, targets=[3_000_000, 9_000_000]))


class CheckTop3(ObjectiveConformance):
    def objective(self):
        return parts.Top3()


for name in dir(CheckTop3):
    if name.startswith("test_"):
        getattr(CheckTop3(), name)()

# %% [markdown]
# The reader is tested on data: small videos of a square that moves over noise, whose label is its colour and
# where it goes, with a line for each of them.


# %%
COLOURS = {"red": (200, 60, 60), "green": (60, 180, 60), "blue": (70, 70, 210)}


def frames_of(colour, direction, random):
    """(16, 48, 48, 3) bytes of a square that moves left or right."""
    frames = random.integers(60, 180, (16, 48, 48, 3), dtype=np.uint8)
    top, size = random.integers(0, 32), random.integers(8, 16)
    for time, frame in enumerate(frames):
        left = 2 * time if direction == "right" else 32 - 2 * time
        frame[top : top + size, left : left + size] = COLOURS[colour]
    return frames


def write_video(file, frames):
    with av.open(str(file), "w") as container:
        stream = container.add_stream("libx264", rate=15, options={"preset": "ultrafast"})
        stream.height, stream.width, stream.pix_fmt = *frames.shape[1:3], "yuv420p"
        for frame in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode())


videos, random = Path("videos"), np.random.default_rng(0)
videos.mkdir()
with Path(videos, "videos.jsonl").open("w") as lines:
    for number in range(TRAIN + VALIDATION):
        colour, direction = list(COLOURS)[number % 3], ("left", "right")[number // 3 % 2]
        write_video(videos / f"{number}.mp4", frames_of(colour, direction, random))
        split = "train" if number < TRAIN else "val"
        row = {"video": f"{number}.mp4", "label": f"{colour} {direction}", "split": split}
        lines.write(json.dumps(row) + "\n")
listed = check_reader(parts.JsonLines(), DataConfig(path=videos))
{split: len(ones) for split, ones in listed.splits.items()}

# %% [markdown]
# ## A search with all of them

# %%
Path("parts.yaml").write_text(
    f"""
space: {{name: x3d, settings: {{size: 32, frames: 2, stride: 12}}}}
search:
  strategy: own_parts:SomeAxes
  settings: {{axes: 2, step: 1.4}}
  axes: [depth, width, bottleneck]
  cost: own_parts:Memory
  targets: [{TARGET}]
  objective: own_parts:Top3
data: {{format: own_parts:JsonLines, path: videos, flip: false}}
training: {{epochs: {EPOCHS}, batch_size: 8}}
run: {{workers: {WORKERS}}}
"""
)
found = expand.run_search("parts.yaml", out="parts")
found.trajectory.filter(["name", "axis", "memory", "macs", "score", "top1"])

# %% [markdown]
# The cost has a column of its own name, `memory`. What the objective gives is `score`; the top-1 is kept
# beside it. Figures have the unit of the cost and the words of the objective, and the axes that the
# strategy tried.

# %%
draw("trace", [read_run(Path("parts"))])

# %%
draw("rounds", [read_run(Path("parts"))])

# %% [markdown]
# The report names the parts, too, and has these figures and all tables as one page.

# %%
report = Path("parts/report.html").read_text()
next(line for line in report.splitlines() if "own_parts:SomeAxes" in line)
