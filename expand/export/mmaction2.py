"""Exports a config for MMAction2: network, pipelines, data loaders, optimizer and schedule.

Source of types and arguments: mmaction/ and configs/recognition/x3d/ of open-mmlab/mmaction2 at 4d6c9347; of
the recipe: configs/Kinetics/X3D_*.yaml of facebookresearch/SlowFast at 287ec007.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from expand.data.base import MEAN, STD
from expand.export.agreement import agreement
from expand.export.base import FormatFiles, NetworkToExport
from expand.export.clips import CROPS, UNIFORM_CLIPS, Views
from expand.export.project_networks import MMACTION2, Arguments
from expand.export.text import assigned, comment, python
from expand.weights.models import Model
from search_spaces.base import Json

SUFFIX = ".py"
WEIGHTS = "unused"

_CLIPS = 128  # clips in a step of the released recipe, over all devices
_DEVICES = 8
_EPOCHS = 300
_WARMUP = 35  # epochs


def write(source: NetworkToExport, path: Path) -> FormatFiles:
    """Write the config, without weights, as MMAction2 has other names for them."""
    model = source.model
    agreed = agreement(model, (MMACTION2,), allow_approximate=source.allow_approximate)
    remarks = agreed.remarks(classes=len(model.classes), weights=False)
    views = Views.of(model.sampling)
    parts = [
        comment(_head(model, path.name, remarks)),
        'default_scope = "mmaction"\n',
        assigned("model", network(model, agreed.arguments)),
        comment(["Where your videos are, with lists of `path label` lines, and how many clips a GPU takes."])
        + "".join(assigned(name, value) for name, value in _DATA_VARIABLES.items()),
        *(assigned(name, steps) for name, steps in pipelines(views).items()),
        _loaders(model),
        *(assigned(name, values) for name, values in _recipe(model).items()),
    ]
    path.write_text("\n".join(parts), encoding="utf-8")
    loading = "\n".join(
        [
            "from mmaction.apis import inference_recognizer, init_recognizer",
            "",
            f'network = init_recognizer({python(path.name)}, "checkpoint.pth", device="cpu")',
            'print(inference_recognizer(network, "video.mp4").pred_score)  # of each class',
        ]
    )
    return FormatFiles(files=(path,), loading=loading, remarks=remarks)


def network(model: Model, arguments: Arguments) -> Json:
    """The recognizer: backbone, head, and how frames are normalised."""
    several = model.several_labels
    built = MMACTION2.build(arguments, frames=model.sampling.frames, size=model.sampling.size)
    losses = {"loss_cls": {"type": "BCELossWithLogits"}, "multi_class": True} if several else {}
    return {
        "type": "Recognizer3D",
        "backbone": {
            "type": "X3D",
            "gamma_w": float(arguments.width),
            "gamma_b": float(arguments.bottleneck),
            "gamma_d": float(arguments.depth),
        },
        "cls_head": {
            "type": "X3DHead",
            "in_channels": built.conv5_width,
            "num_classes": len(model.classes),
            "spatial_type": "avg",
            "dropout_ratio": 0.5,
            "fc1_bias": False,
            "average_clips": "score" if several else "prob",
            **losses,
        },
        "data_preprocessor": {
            "type": "ActionDataPreprocessor",
            "mean": [round(255 * MEAN, 2)] * 3,
            "std": [round(255 * STD + 1e-9, 2)] * 3,  # 57.375, which the released configs round up
            "format_shape": "NCTHW",
        },
        "train_cfg": None,
        "test_cfg": None,
    }


_DATA_VARIABLES = {
    "data_root": "data/videos_train",
    "data_root_val": "data/videos_val",
    "ann_file_train": "data/train_list.txt",
    "ann_file_val": "data/val_list.txt",
    "clips_a_gpu": _CLIPS // _DEVICES,
}


def pipelines(views: Views) -> dict[str, list[Json]]:
    """Return the data pipelines for training, validation, and tests with 10 and with 30 views."""

    def decoded(clips: int, *, test: bool) -> list[Json]:
        sampled: Json = {
            "type": "SampleFrames",
            "clip_len": views.frames,
            "frame_interval": views.stride,
            "num_clips": clips,
            "target_fps": views.fps,
        }
        if test:
            sampled["test_mode"] = True
        return [{"type": "DecordInit"}, sampled, {"type": "DecordDecode"}]

    packed: list[Json] = [{"type": "FormatShape", "input_format": "NCTHW"}, {"type": "PackActionInputs"}]
    centre: list[Json] = [
        {"type": "Resize", "scale": (-1, views.jitter[0])},
        {"type": "CenterCrop", "crop_size": views.size},
    ]
    three: list[Json] = [
        {"type": "Resize", "scale": (-1, views.test_size)},
        {"type": "ThreeCrop", "crop_size": views.test_size},
    ]
    jittered: list[Json] = [
        {"type": "RandomRescale", "scale_range": views.jitter},
        {"type": "RandomCrop", "size": views.size},
        {"type": "Flip", "flip_ratio": 0.5},
    ]
    return {
        "train_pipeline": [*decoded(1, test=False), *jittered, *packed],
        "val_pipeline": [*decoded(1, test=True), *centre, *packed],
        "test_pipeline_10_views": [*decoded(UNIFORM_CLIPS, test=True), *centre, *packed],
        "test_pipeline_30_views": [*decoded(UNIFORM_CLIPS, test=True), *three, *packed],
    }


def _loaders(model: Model) -> str:
    """Data loaders; they name the places and pipelines above, so that one change there is enough."""
    several = model.several_labels
    classes = f"\n        multi_class=True,\n        num_classes={len(model.classes)}," if several else ""

    def loader(name: str, batch: str, lists: str, root: str, pipeline: str, *, train: bool) -> str:
        test = "" if train else "\n        test_mode=True,"
        return f"""\
{name}_dataloader = dict(
    batch_size={batch},
    num_workers=8,
    persistent_workers=True,
    sampler=dict(type="DefaultSampler", shuffle={train}),
    dataset=dict(
        type="VideoDataset",
        ann_file={lists},
        data_prefix=dict(video={root}),
        pipeline={pipeline},{classes}{test}
    ),
)
"""

    train = loader("train", "clips_a_gpu", "ann_file_train", "data_root", "train_pipeline", train=True)
    val = loader("val", "clips_a_gpu", "ann_file_val", "data_root_val", "val_pipeline", train=False)
    views = comment([f"{UNIFORM_CLIPS} views; for {UNIFORM_CLIPS * CROPS}: test_pipeline_30_views."])
    test = loader("test", "1", "ann_file_val", "data_root_val", "test_pipeline_10_views", train=False)
    return f"{train}\n{val}\n{views}{test}"


def _recipe(model: Model) -> dict[str, Any]:
    """Loops, optimizer and schedule of the released recipe."""
    several = model.several_labels
    metric = {"type": "AccMetric", **({"metric_list": "mean_average_precision"} if several else {})}
    whole = {"by_epoch": True, "begin": 0, "convert_to_iter_based": True}
    return {
        "val_evaluator": metric,
        "test_evaluator": metric,
        "train_cfg": {
            "type": "EpochBasedTrainLoop",
            "max_epochs": _EPOCHS,
            "val_begin": 1,
            "val_interval": 10,
        },
        "val_cfg": {"type": "ValLoop"},
        "test_cfg": {"type": "TestLoop"},
        "optim_wrapper": {
            "optimizer": {
                "type": "SGD",
                "lr": 0.1,
                "momentum": 0.9,
                "nesterov": True,
                "weight_decay": 5e-5,
            },
            "paramwise_cfg": {"norm_decay_mult": 0.0},
        },
        # Both at once: the half period of a cosine, times a factor that reaches 1 after the warm-up.
        "param_scheduler": [
            {"type": "LinearLR", "start_factor": 0.1, "end": _WARMUP, **whole},
            {"type": "CosineAnnealingLR", "T_max": _EPOCHS, "eta_min": 0, "end": _EPOCHS, **whole},
        ],
        "auto_scale_lr": {"enable": True, "base_batch_size": _CLIPS},
        "default_hooks": {
            "runtime_info": {"type": "RuntimeInfoHook"},
            "timer": {"type": "IterTimerHook"},
            "logger": {"type": "LoggerHook", "interval": 20, "ignore_last": False},
            "param_scheduler": {"type": "ParamSchedulerHook"},
            "checkpoint": {"type": "CheckpointHook", "interval": 10, "save_best": "auto"},
            "sampler_seed": {"type": "DistSamplerSeedHook"},
            "sync_buffers": {"type": "SyncBuffersHook"},
        },
        "env_cfg": {
            "cudnn_benchmark": False,
            "mp_cfg": {"mp_start_method": "fork", "opencv_num_threads": 0},
            "dist_cfg": {"backend": "nccl"},
        },
        "log_processor": {"type": "LogProcessor", "window_size": 20, "by_epoch": True},
        "log_level": "INFO",
        "load_from": None,
        "resume": False,
    }


def _head(model: Model, name: str, remarks: tuple[str, ...]) -> Iterator[str]:
    """Yield the comment at the top of the config: what it is, and the commands to use it."""
    yield f"{model.name}, clips {model.sampling}, for MMAction2; exported by xpand."
    yield ""
    if remarks:
        yield from remarks
        yield ""
    yield (
        "Train, by the recipe of the released networks, less their precise BatchNorm. Where classes tell "
        "left from right, take Flip out of train_pipeline."
    )
    yield f"    bash tools/dist_train.sh {name} {_DEVICES}"
    yield f"Test with {UNIFORM_CLIPS} views, clips uniform in time with one centre crop each:"
    yield f"    python tools/test.py {name} CHECKPOINT"
    yield (
        f"With {UNIFORM_CLIPS * CROPS} views, {CROPS} larger crops each: "
        "take test_pipeline_30_views in test_dataloader."
    )
