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
# # An axis and a space of one's own
#
# A search asks two things of what it searches: an *axis* says how a network grows by a number of steps, and
# a *space* says what a network is, what it costs, and how to build it. Both are plain classes in a file of
# yours; neither inherits anything. `search_spaces/base.py` has the contract, `search_spaces/conformance.py`
# the tests that every space and axis must pass.
#
# This notebook writes a seventh axis for the X3D space and a small space of its own, tests both, and
# searches with them on synthetic clips: a few minutes on two CPU cores.

# %%
# %matplotlib inline
import os
import tempfile
from pathlib import Path

import expand
from expand.config.spaces import choose_axes, load_space
from expand.plots import draw
from expand.run.record import read_run
from search_spaces.conformance import SpaceConformance
from search_spaces.x3d import X3DSpace

# %% tags=["parameters"]
TRAIN, VALIDATION = 500, 250  # synthetic clips
EPOCHS = 6  # the training of each candidate
AXIS_TARGET, SPACE_TARGET = "25M", "2M"  # multiply-adds for one clip, of the two searches
WORKERS = 2  # processes that train at the same time
FOLDER = None  # where the files and the runs go; None: a new temporary folder

# %% [markdown]
# xpand imports a file of yours from the current folder, like `python -m`, or from wherever it is installed.
# So everything here happens in one folder.

# %%
folder = Path(FOLDER or tempfile.mkdtemp(prefix="xpand-")).resolve()
os.chdir(folder)


# %% [markdown]
# ## A seventh axis
#
# It grows the frames of a clip and the channels of the network by the same factor. One step is one step of
# the width, as fine as the space allows; the frames follow as whole numbers. Three things are asked of
# `move`: zero steps change nothing, more steps never cost less, and where there is nothing more it returns
# `None`.

# %% tags=["active-ipynb"]
# %%writefile my_axes.py
# from dataclasses import replace
#
#
# class FramesAndWidth:
#     """Grows frames and channels by the same factor; the stride stays, so clips get longer."""
#
#     name, label = "both", "X-Both"  # in configs and tables; in figures
#
#     def move(self, space, point, steps):
#         if steps == 0:
#             return point
#         wider = space.axes["width"].move(space, point, steps)
#         if wider is None:
#             return None
#         frames = round(space.sampling(point).frames * wider.width / point.width)
#         return replace(wider, frames=max(1, frames) / space.basis.frames)


# %% [markdown]
# The tests are methods of a class that you subclass to say which space is meant. An axis is tested within a
# space that has it. In a project, the subclass is named `Test…`, stands in a test file, and pytest finds it;
# here a loop does that.


# %%
class X3DAndBoth(X3DSpace):
    """X3D with the seventh axis."""

    @property
    def axes(self):
        return {**super().axes, **choose_axes(X3DSpace(), ("my_axes:FramesAndWidth",))}


class CheckBoth(SpaceConformance):
    def space(self):
        return X3DAndBoth(size=32, frames=4, stride=12)


def run_checks(suite: SpaceConformance) -> str:
    """Call every test of a suite; the first that fails raises."""
    names = [name for name in dir(suite) if name.startswith("test_")]
    for name in names:
        getattr(suite, name)()
    return f"{len(names)} checks passed"


run_checks(CheckBoth())

# %% [markdown]
# In the configuration it is named as `module:Class`, beside axes of the space. The start has 4 frames
# instead of 1: from a single frame, the smallest whole growth of the frames would be a doubling.

# %%
common = f"""
data: {{format: synthetic, synthetic: {{train: {TRAIN}, val: {VALIDATION}}}}}
training: {{epochs: {EPOCHS}, init: scratch}}
run: {{workers: {WORKERS}}}
"""
Path("axis.yaml").write_text(
    f"""
space: {{name: x3d, settings: {{size: 32, frames: 4, stride: 12}}}}
search: {{axes: [temporal, width, my_axes:FramesAndWidth], targets: [{AXIS_TARGET}]}}
{common}"""
)
expand.run_search("axis.yaml", out="axis").trajectory.filter(["name", "axis", "macs", "top1"])

# %% [markdown]
# It has its place in tables and figures like the others. To read such a run, too, the file must be
# importable.

# %%
draw("rounds", [read_run(Path("axis"))])


# %% [markdown]
# ## A space of one's own
#
# Here a network is a stem of 5 × 5 convolutions that shrinks the frames four times, some layers of 3 × 3 × 3
# convolutions, and a classifier. Its points have three whole numbers: frames, width and layers. What is
# needed:
#
# - `start`, `axes`, `architecture` and `sampling`: where a search starts, how it grows, which clips a
#   network sees;
# - `complexity`: the cost in closed form, stage by stage, in the order of the network;
# - `build`: the torch module. Its parameters must be those that `complexity` counts;
# - `resized` and `example`: the same network for larger clips, as tests with 30 views take them, and clips of
#   the right shape;
# - `describe` and the JSON methods: for figures, jobs and model files.

# %% tags=["active-ipynb"]
# %%writefile my_space.py
# from dataclasses import asdict, dataclass, replace
#
# from search_spaces.base import ClipSampling, Complexity, StageComplexity
#
#
# @dataclass(frozen=True, kw_only=True, slots=True)
# class Network:
#     """Both a point of the space and an architecture: its factors are whole numbers already."""
#
#     frames: int = 2
#     width: int = 8
#     layers: int = 1
#     size: int = 32  # pixels; no axis grows it
#
#
# class Grow:
#     """One more of a network's frames, channels or layers."""
#
#     def __init__(self, name):
#         self.name, self.label = name, f"Grow-{name.title()}"
#
#     def move(self, space, point, steps):
#         value = getattr(point, self.name) + steps
#         return replace(point, **{self.name: value}) if value >= 1 else None
#
#
# @dataclass(frozen=True)
# class PlainSpace:
#     """Plain 3D convolutions; the fields are what `space.settings` may set."""
#
#     size: int = 32
#     stride: int = 10  # source frames from one frame of a clip to the next
#
#     @property
#     def start(self):
#         return Network(size=self.size)
#
#     @property
#     def axes(self):
#         return {name: Grow(name) for name in ("frames", "width", "layers")}
#
#     def architecture(self, point):
#         return point
#
#     def sampling(self, point):
#         return ClipSampling(frames=point.frames, stride=self.stride, size=point.size)
#
#     def resized(self, architecture, size):
#         return replace(architecture, size=size)
#
#     def complexity(self, architecture, num_classes=400):
#         width = architecture.width
#         side = (architecture.size - 1) // 4 + 1
#         outputs = width * architecture.frames * side**2  # of any convolution
#
#         def conv(name, taps):  # taps: multiply-adds for one output
#             return StageComplexity(
#                 name=name, macs=taps * outputs, params=taps * width + 2 * width, activations=outputs
#             )
#
#         stages = (
#             conv("stem", 3 * 5 * 5),
#             *(conv(f"layer{i + 1}", width * 3 * 3 * 3) for i in range(architecture.layers)),
#             StageComplexity(
#                 name="head",
#                 macs=width * num_classes,
#                 params=(width + 1) * num_classes,
#                 activations=num_classes,
#             ),
#         )
#         return Complexity(
#             macs=sum(stage.macs for stage in stages),
#             params=sum(stage.params for stage in stages),
#             activations=sum(stage.activations for stage in stages),
#             stages=stages,
#         )
#
#     def build(self, architecture, num_classes, *, dropout=0.0, residual_start=1.0):
#         """(B, 3, T, S, S) clips to (B, classes) logits; residual_start is for residual branches."""
#         from torch import nn  # here, so that counting needs no torch
#
#         width = architecture.width
#
#         def conv(channels, kernel, stride):
#             padding = tuple(side // 2 for side in kernel)
#             layer = nn.Conv3d(channels, width, kernel, stride=stride, padding=padding, bias=False)
#             return [layer, nn.BatchNorm3d(width), nn.ReLU()]
#
#         layers = conv(3, (1, 5, 5), (1, 4, 4))
#         for _ in range(architecture.layers):
#             layers += conv(width, (3, 3, 3), 1)
#         head = [nn.AdaptiveAvgPool3d(1), nn.Flatten(), nn.Dropout(dropout), nn.Linear(width, num_classes)]
#         return nn.Sequential(*layers, *head)
#
#     def example(self, architecture, batch):
#         """(B, 3, T, S, S) zeros."""
#         import torch
#
#         return torch.zeros(batch, 3, architecture.frames, architecture.size, architecture.size)
#
#     def describe(self, point):
#         return {name: str(value) for name, value in asdict(point).items()}
#
#     def point_to_json(self, point):
#         return asdict(point)
#
#     def point_from_json(self, values):
#         return Network(**values)
#
#     architecture_to_json = point_to_json
#     architecture_from_json = point_from_json


# %%
class CheckPlain(SpaceConformance):
    def space(self):
        return load_space("my_space:PlainSpace", {})


run_checks(CheckPlain())

# %%
Path("space.yaml").write_text(
    f"""
space: {{name: my_space:PlainSpace, settings: {{stride: 5}}}}
search: {{targets: [{SPACE_TARGET}]}}
{common}"""
)
found = expand.run_search("space.yaml", out="space")
found.trajectory.set_index("name").filter(["axis", "frames", "factor_width", "factor_layers", "macs", "top1"])

# %%
draw("trace", [read_run(Path("space"))])

# %% [markdown]
# A model file names the space, so that `load_model` builds the network again wherever `my_space` can be
# imported.

# %%
expand.load_model(found.models[found.trajectory["name"].iloc[-1]])
