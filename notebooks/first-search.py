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
# # A first search
#
# A search starts from a very small video network and grows it, a step at a time. At each step every axis of
# the X3D family (frames, frame rate, size, depth, width, bottleneck) proposes one larger network that costs
# at most twice as much. Each starts as what the tiny network has learned, all are trained for a short while,
# and the best becomes the start of the next step. When the target, a number of multiply-adds for a clip, is
# passed, the last growth is cut back until it meets it.
#
# This notebook does that on clips that xpand draws itself, so it needs no data. With the settings below it
# does what `xpand search` does with no argument, and takes a few minutes on two CPU cores. It needs xpand
# and matplotlib. The first training on a machine also compiles the CPU kernels, once, in about half a
# minute.

# %%
# %matplotlib inline
import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import torch

import expand
from expand.config.data import SyntheticConfig
from expand.data.cache_needs import EvenClips
from expand.data.clips import normalised
from expand.data.synthetic import SyntheticSource
from expand.plots import draw
from expand.run.record import read_run
from expand.weights.models import read_model

# %% tags=["parameters"]
TARGET = "3M"  # multiply-adds for one clip
TRAIN, VALIDATION = 432, 228  # synthetic clips
EPOCHS = 4  # the training of each candidate
INIT = "grown"  # each candidate starts as what its parent has learned; "scratch": from random weights
WORKERS = 2  # processes that train at the same time
FOLDER = None  # where the run goes; None: a new temporary folder

# %%
folder = Path(FOLDER or tempfile.mkdtemp(prefix="xpand-")).resolve()
run_folder = folder / "first"


# %% [markdown]
# ## The clips
#
# Twelve classes in six pairs. One frame shows which pair it is; to tell the two classes of a pair apart
# takes several frames, a suitable frame rate, or more pixels. Below, every fifth frame (half a second) of one
# clip of two classes. Someone who guesses is right once in twelve times, 8.3 %.

# %%
source = SyntheticSource(config=SyntheticConfig(train=TRAIN, val=VALIDATION))
items = source.splits["val"]  # item i shows class i modulo 12
figure, axes = plt.subplots(2, 5, figsize=(8, 3.6), layout="constrained")
for row, item in zip(axes, items[:2], strict=True):
    (video,) = source.read([item], lambda seconds: np.arange(0, seconds, 0.5), short_side=96)
    for place, (cell, frame) in enumerate(zip(row, video.frames, strict=False)):  # (H, W, 3) bytes
        cell.imshow(frame)
        cell.set_title(f"{source.classes[item.label]}, {place / 2} s", fontsize=8)
for cell in axes.flat:
    cell.set_axis_off()

# %% [markdown]
# ## The search
#
# Before a search starts, it says what it will cost: the trainings, and the time that they will take on this
# machine. In a terminal, `xpand search --dry-run` says the same, and stops. Then comes a line for each
# training, and one for each round.
#
# Any setting of the configuration can be given by its key; `docs/settings.md` has them all. If the search is
# interrupted, `xpand resume` goes on with the run where it was.

# %%
run = expand.run_search(
    targets=[TARGET],
    settings={
        "training.epochs": EPOCHS,
        "training.init": INIT,
        "run.workers": WORKERS,
        "data.synthetic.train": TRAIN,
        "data.synthetic.val": VALIDATION,
    },
    out=run_folder,
)

# %% [markdown]
# ## What it found
#
# The trajectory has a row for each network that was accepted, and one for each target. `top1` is the share
# of validation clips that were classified correctly after the short training; a clip of `frames` frames has
# `stride` source frames (at 30 a second) from one to the next.

# %%
run.trajectory.set_index("name").filter(["axis", "frames", "stride", "size", "macs", "params", "top1"])

# %% [markdown]
# The trace: every candidate at its cost, and the line through those that were accepted.

# %%
draw("trace", [read_run(run_folder)])

# %% [markdown]
# Each candidate was trained once here (`--seeds 1`). Where two candidates of a round are close, another seed
# could turn their order; `reading-a-run.ipynb` looks at that.
#
# ## A network of it, on a clip
#
# Beside the trajectory, a run leaves a model file for each of its rows, with the weights after the short
# training. `load_model` builds the network again as a torch module; the file also says which clips it takes.

# %%
models = [name for name in run.trajectory["name"] if name in run.models]
path = run.models[models[-1]]
network, model = expand.load_model(path), read_model(path)
clip_of = model.sampling


def read_clip(item):
    """The clip in the middle of a video: (1, 3, frames, size, size)."""
    centre = EvenClips(sampling=clip_of, clips=1)
    (video,) = source.read([item], centre.times, short_side=clip_of.size)
    return normalised(torch.from_numpy(video.frames)[None], "cpu")


item = items[0]
with torch.inference_mode():
    probabilities = network(read_clip(item)).softmax(dim=1)[0]

right = f"{path.name}, a clip of {model.classes[item.label]}"
shares = pd.Series(probabilities.numpy(), index=model.classes, name=right)
shares.sort_values(ascending=False).round(3)

# %% [markdown]
# ## Your own videos
#
# A folder with a folder of videos for each class is enough:
#
# ```sh
# xpand doctor DATA                                  # what is in it, and what is wrong with it
# xpand search --data DATA --target 80M --dry-run
# xpand search --data DATA --target 80M
# ```
#
# The discovered network is a start, not a finished classifier: train it on all your data for as long as you
# would train any network.
