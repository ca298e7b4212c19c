"""Exports a config for SlowFast's `tools/run_net.py`, and a checkpoint.

Source of keys and values: configs/Kinetics/X3D_*.yaml and slowfast/config/defaults.py of
facebookresearch/SlowFast at 287ec007.
"""

from __future__ import annotations

from pathlib import Path

from expand.data.base import MEAN, STD
from expand.export.agreement import Agreement, agreement
from expand.export.base import FormatFiles, NetworkToExport
from expand.export.checkpoints import CHECKPOINTS, save_project_weights
from expand.export.clips import CROPS, UNIFORM_CLIPS, Views
from expand.export.project_networks import SLOWFAST, SLOWFAST_PTV, Arguments
from expand.export.text import comment, python, to_yaml
from expand.weights.models import Model
from search_spaces.base import Json

SUFFIX = ".yaml"
WEIGHTS = "taken along"

_CLIPS = 128  # clips in a step of the released recipe, over all devices
_FPS = 30  # SlowFast's default frame rate


def write(source: NetworkToExport, path: Path) -> FormatFiles:
    """Write the config and, if there are weights and they fit, STEM.pyth."""
    model = source.model
    agreed = agreement(model, (SLOWFAST, SLOWFAST_PTV), allow_approximate=source.allow_approximate)
    checkpoint = (
        path.with_suffix(CHECKPOINTS["slowfast"]) if source.state is not None and agreed.exact else None
    )
    remarks = agreed.remarks(classes=len(model.classes), weights=checkpoint is not None)
    head = comment(_head(model, agreed, path.name, checkpoint, remarks))
    values = config(model, agreed)
    path.write_text(head + to_yaml(values), encoding="utf-8")
    files = [path]
    if checkpoint is not None and source.state is not None:
        own = agreed.target is SLOWFAST
        save_project_weights(
            checkpoint,
            source.state,
            model.architecture,
            layout="slowfast" if own else "pytorchvideo",
            prefix="" if own else "model.",  # PTVX3D keeps PyTorchVideo's network under this name
        )
        files.append(checkpoint)
    return FormatFiles(
        files=tuple(files),
        loading=_loading(path.name, checkpoint.name if checkpoint else None),
        running="outputs = network.eval()([torch.from_numpy(clips)]).detach().numpy()",
        outputs="probabilities",  # SlowFast's heads apply softmax or sigmoid in evaluation
        remarks=remarks,
    )


def config(model: Model, agreed: Agreement) -> Json:
    """Return the config: the values of the released X3D configs, adapted to this network."""
    views = Views.of(model.sampling)
    several = model.several_labels
    dataset = "charades" if several else "kinetics"
    return {
        "TRAIN": {
            "DATASET": dataset,
            "BATCH_SIZE": _CLIPS,
            "EVAL_PERIOD": 10,
            "CHECKPOINT_PERIOD": 10,
            "AUTO_RESUME": True,
        },
        "X3D": _network(agreed.arguments),
        "TEST": {
            "ENABLE": True,
            "DATASET": dataset,
            "BATCH_SIZE": 64,
            "NUM_ENSEMBLE_VIEWS": UNIFORM_CLIPS,
            "NUM_SPATIAL_CROPS": 1,
        },
        "DATA": {
            "NUM_FRAMES": views.frames,
            "SAMPLING_RATE": views.stride,
            **({"TARGET_FPS": views.fps} if views.fps != _FPS else {}),
            "TRAIN_JITTER_SCALES": list(views.jitter),
            "TRAIN_CROP_SIZE": views.size,
            "TEST_CROP_SIZE": views.size,
            "INPUT_CHANNEL_NUM": [3],
            "DECODING_BACKEND": "torchvision",
            "MEAN": [MEAN] * 3,
            "STD": [STD] * 3,
            **({"MULTI_LABEL": True} if several else {}),
        },
        "RESNET": {"ZERO_INIT_FINAL_BN": True, "TRANS_FUNC": "x3d_transform", "STRIDE_1X1": False},
        "BN": {"USE_PRECISE_STATS": True, "NUM_BATCHES_PRECISE": 200, "WEIGHT_DECAY": 0.0},
        "SOLVER": {
            "BASE_LR": 0.1,
            "BASE_LR_SCALE_NUM_SHARDS": True,
            "LR_POLICY": "cosine",
            "MAX_EPOCH": 300,
            "MOMENTUM": 0.9,
            "WEIGHT_DECAY": 5e-5,
            "WARMUP_EPOCHS": 35.0,
            "WARMUP_START_LR": 0.01,
            "OPTIMIZING_METHOD": "sgd",
        },
        "MODEL": {
            "NUM_CLASSES": len(model.classes),
            "ARCH": "x3d",
            "MODEL_NAME": "X3D" if agreed.target is SLOWFAST else "PTVX3D",
            "LOSS_FUNC": "bce_logit" if several else "cross_entropy",
            **({"HEAD_ACT": "sigmoid"} if several else {}),
            "DROPOUT_RATE": 0.5,
        },
        "DATA_LOADER": {"NUM_WORKERS": 8, "PIN_MEMORY": True},
        "NUM_GPUS": 8,
        "RNG_SEED": 0,
        "OUTPUT_DIR": ".",
    }


def _network(arguments: Arguments) -> Json:
    return {
        "WIDTH_FACTOR": float(arguments.width),
        "DEPTH_FACTOR": float(arguments.depth),
        "BOTTLENECK_FACTOR": float(arguments.bottleneck),
        "DIM_C5": arguments.hidden,
        "DIM_C1": arguments.base,
        **({"SCALE_RES2": True} if arguments.scale_res2 else {}),
    }


def _head(
    model: Model, agreed: Agreement, name: str, checkpoint: Path | None, remarks: tuple[str, ...]
) -> list[str]:
    """Return the comment at the top of the config: what it is, and the commands to use it."""
    views, run = Views.of(model.sampling), f"    python tools/run_net.py --cfg {name}"
    data = "DATA.PATH_TO_DATA_DIR DATA"
    lines = [f"{model.name}, clips {model.sampling}, for SlowFast; exported by xpand.", ""]
    if agreed.target is not SLOWFAST:
        lines += [
            "PTVX3D, from PyTorchVideo's layers, builds this network; SlowFast's own X3D rounds otherwise.",
            "",
        ]
    lines += [*remarks, ""] if remarks else []
    lines += [
        "Train, by the recipe of the released networks: 300 epochs, 128 clips a step on 8 GPUs. For other "
        "numbers scale SOLVER.BASE_LR with TRAIN.BATCH_SIZE. Where classes tell left from right, add "
        "DATA.RANDOM_FLIP False.",
        f"{run} --opts {data}",
    ]
    weights = checkpoint.name if checkpoint else "CHECKPOINT"
    test = f"{run} --opts {data} TRAIN.ENABLE False TEST.CHECKPOINT_FILE_PATH {weights}"
    larger = f"TEST.NUM_SPATIAL_CROPS {CROPS} DATA.TEST_CROP_SIZE {views.test_size}"
    return [
        *lines,
        f"Test with {UNIFORM_CLIPS} views, clips uniform in time with one centre crop each:",
        test,
        f"Test with {UNIFORM_CLIPS * CROPS} views, {CROPS} crops of {views.test_size} pixels each:",
        f"{test} {larger}",
    ]


def _loading(name: str, checkpoint: str | None) -> str:
    lines = [
        "import torch; from slowfast.config.defaults import get_cfg; from slowfast.models import build_model",
        f'cfg = get_cfg(); cfg.merge_from_file({python(name)}); cfg.merge_from_list(["NUM_GPUS", 0])',
        "network = build_model(cfg)",
    ]
    if checkpoint is not None:
        loaded = f"torch.load({python(checkpoint)}, weights_only=True)"
        lines[-1] += f'; network.load_state_dict({loaded}["model_state"])'
    return "\n".join(lines)
