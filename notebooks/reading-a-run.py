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
# # Reading a run
#
# A run leaves a folder. `expand.load_run` reads it as pandas frames: `trials` (a row a training), `rounds`
# (a row a candidate of a round, over its seeds), `trajectory` (a row an accepted network or a target) and
# `attempts` (a row a worker's try at a training: when, and for how long). It reads a run that is still going
# on, too.
#
# This notebook asks such a run three questions: what did each axis give, is that more than chance, and where
# did the time go. Set `RUN` below to the folder of a run of yours. Without one it makes a small run on
# synthetic clips, two seeds a candidate, which takes a few minutes on two CPU cores.

# %%
# %matplotlib inline
import tempfile
from pathlib import Path

import numpy as np
import optuna
import pandas as pd

import expand
from expand.plots import draw, write_figures
from expand.run.record import read_run

# %% tags=["parameters"]
RUN = None  # the folder of a run; None: make a small one
TARGET = "1M"  # of the small one: multiply-adds for one clip
TRAIN, VALIDATION = 432, 228  # synthetic clips
EPOCHS = 4  # the training of each candidate
INIT = "grown"  # each candidate starts as what its parent has learned; "scratch": from random weights
SEEDS = 2  # trainings of each candidate
WORKERS = 2  # processes that train at the same time
FOLDER = None  # where the small run and the exported files go; None: a new temporary folder

# %%
folder = Path(FOLDER or tempfile.mkdtemp(prefix="xpand-")).resolve()


run_folder = Path(RUN) if RUN else folder / "small"
if RUN is None:
    expand.run_search(
        targets=[TARGET],
        settings={
            "training.epochs": EPOCHS,
            "training.init": INIT,
            "search.seeds": SEEDS,
            "run.workers": WORKERS,
            "data.synthetic.train": TRAIN,
            "data.synthetic.val": VALIDATION,
        },
        out=run_folder,
    )

# %%
run = expand.load_run(run_folder)
run.trajectory.set_index("name").filter(["axis", "macs", "params", "seeds", "top1", "top1_min", "top1_max"])

# %% [markdown]
# `rounds` has every candidate that was trained, with what each factor became. An axis that could not grow
# within the step is there too, with the state `saturated` and no scores.

# %%
run.rounds.filter(["round", "kind", "candidate", "state", "accepted", "macs", "top1", "top1_std"])

# %% [markdown]
# ## Which axis gave what?
#
# The gain of a candidate over the network that it was grown from, in points of top-1; a column a round. The
# control of a round, if it has one, is that network trained on for as long as the candidates.

# %%
accepted = run.trajectory[run.trajectory["target"].isna()].set_index("step")
grown = run.rounds[(run.rounds["kind"] == "expansion") & (run.rounds["state"] == "done")]
base = accepted.loc[grown["round"] - 1].set_index(grown.index)  # round n grows the network of step n - 1
gains = grown.assign(gain=100 * (grown["top1"] - base["top1"]))
gains.pivot(index="candidate", columns="round", values="gain").round(1)

# %% [markdown]
# A round compares networks that cost up to twice the last one, but not all use that up: a frame more, or the
# next number of blocks, may be too much. The same gains, for a doubling of the multiply-adds:

# %%
grown = grown[grown["axis"].notna()]  # from here on without the controls
doublings = np.log2(grown["macs"] / base["macs"].loc[grown.index])
per_doubling = grown.assign(gain=gains["gain"] / doublings)
per_doubling.pivot(index="axis", columns="round", values="gain").round(1)

# %% [markdown]
# ## Is the gap larger than the spread over the seeds?
#
# The winner of a round has the highest mean over the seeds. `gap` is its distance to the second; `spread`
# the distance between the best and the worst seed of either, whichever is larger. Where the gap is not above
# the spread, the search could as well have taken the other. Two seeds can agree by luck, too: this shows
# which decisions not to trust, and proves none. All in points of top-1.

# %%
decisions = []
for number, candidates in grown.groupby("round"):
    if len(candidates) > 1 and candidates["accepted"].any():  # else the round is not over, or had no choice
        (first,) = candidates[candidates["accepted"]].to_dict("records")
        (second,) = candidates[~candidates["accepted"]].nlargest(1, "top1").to_dict("records")
        gap = first["top1"] - second["top1"]
        spread = max(one["top1_max"] - one["top1_min"] for one in (first, second))
        decisions.append(
            {
                "round": number,
                "first": first["candidate"],
                "second": second["candidate"],
                "gap": 100 * gap,
                "spread": 100 * spread,
                "clear": gap > spread if run.config.search.seeds[1] > 1 else "one seed",
            }
        )
pd.DataFrame(decisions).round(1)

# %% [markdown]
# The same as a figure: the candidates of each round, with the standard deviation over their seeds.

# %%
record = read_run(run_folder)
draw("rounds", [record])

# %% [markdown]
# ## Where did the time go?
#
# Networks with equal multiply-adds do not take equal time. Below, for each axis, the seconds of all its
# trainings, and the picoseconds that a multiply-add took in training, a forward pass counted once and the
# gradients twice. The smallest networks are bound by their number of layers more than by their multiply-adds.

# %%
trained = run.trials[run.trials["state"] == "done"]
work = 3 * trained["macs"] * trained["clips_seen"]
by_axis = trained.assign(axis=trained["axis"].fillna(trained["candidate"]), work=work).groupby("axis")
times = by_axis[["seconds", "work"]].sum()
times.assign(picoseconds=1e12 * times["seconds"] / times["work"]).drop(columns="work").round(1)

# %% [markdown]
# How well the workers were used: the seconds that they trained in each round, beside the round's own length.
# A round ends when its last candidate does, and meanwhile the other workers wait.

# %%
tries = run.attempts.dropna(subset="seconds")
tries = tries.assign(ended=tries["started"] + tries["seconds"])
rounds = tries.groupby("round").agg(
    trained=("seconds", "sum"), began=("started", "min"), ended=("ended", "max"), tries=("job", "size")
)
rounds = rounds.assign(lasted=rounds["ended"] - rounds["began"])
rounds.assign(at_once=rounds["trained"] / rounds["lasted"]).filter(
    ["tries", "trained", "lasted", "at_once"]
).round(1)

# %%
draw("timeline", [record])

# %% [markdown]
# ## The other figures
#
# How the factors grew; then every candidate's top-1 against each cost, and the line of those that no other
# beats.

# %%
draw("factors", [record])

# %%
draw("frontier", [record])

# %% [markdown]
# All figures as files, as `xpand plot` writes them: PNG, SVG and PDF. A finished run has all figures and
# tables on one page, too, in its `report.html`; `xpand report RUN` writes that of a run that is still going
# on.

# %%
[path.name for path in write_figures([run_folder], folder / "figures")]

# %% [markdown]
# ## The Optuna study
#
# `study.db` is an Optuna study with a trial for each training: the factors as parameters, top-1 as the
# value, and all else as user attributes. So Optuna's own tools read a run, too, such as `optuna-dashboard`.
# Nothing in it was sampled by Optuna: the search decided what to try.

# %%
study = optuna.load_study(study_name=None, storage=f"sqlite:///{(run_folder / 'study.db').resolve()}")
trials = study.trials_dataframe(attrs=("number", "params", "user_attrs", "state"))
trials = trials.rename(columns=lambda name: name.removeprefix("user_attrs_"))
trials.nlargest(5, "top1").filter(["number", "candidate", "round", "seed", "macs", "top1", "state"])
