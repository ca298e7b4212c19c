"""Names and types of keys, and the released values, are facts of facebookresearch/SlowFast at 287ec007."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from fvcore.common.config import CfgNode

from expand.export import slowfast
from expand.export.base import FormatFiles, NetworkToExport
from expand.weights.models import Model, published_model
from search_spaces.base import ClipSampling
from search_spaces.x3d import X3DSpace
from tests.expand.export.points import ODD, XL, model_at

# A value of each key's type, from slowfast/config/defaults.py.
TYPES: dict[str, Any] = {
    "TRAIN": {"ENABLE": True, "DATASET": "", "BATCH_SIZE": 0, "EVAL_PERIOD": 0, "CHECKPOINT_PERIOD": 0,
              "AUTO_RESUME": True, "CHECKPOINT_FILE_PATH": ""},
    "X3D": {"WIDTH_FACTOR": 1.0, "DEPTH_FACTOR": 1.0, "BOTTLENECK_FACTOR": 1.0, "DIM_C5": 0, "DIM_C1": 0,
            "SCALE_RES2": False, "BN_LIN5": False},
    "TEST": {"ENABLE": True, "DATASET": "", "BATCH_SIZE": 0, "NUM_ENSEMBLE_VIEWS": 0, "NUM_SPATIAL_CROPS": 0,
             "CHECKPOINT_FILE_PATH": ""},
    "DATA": {"NUM_FRAMES": 0, "SAMPLING_RATE": 0, "TARGET_FPS": 0, "TRAIN_JITTER_SCALES": [0],
             "TRAIN_CROP_SIZE": 0, "TEST_CROP_SIZE": 0, "INPUT_CHANNEL_NUM": [0], "DECODING_BACKEND": "",
             "MEAN": [0.0], "STD": [0.0], "MULTI_LABEL": False, "RANDOM_FLIP": True, "PATH_TO_DATA_DIR": ""},
    "RESNET": {"ZERO_INIT_FINAL_BN": False, "TRANS_FUNC": "", "STRIDE_1X1": False},
    "BN": {"USE_PRECISE_STATS": False, "NUM_BATCHES_PRECISE": 0, "WEIGHT_DECAY": 0.0},
    "SOLVER": {"BASE_LR": 0.0, "BASE_LR_SCALE_NUM_SHARDS": False, "LR_POLICY": "", "MAX_EPOCH": 0,
               "MOMENTUM": 0.0, "WEIGHT_DECAY": 0.0, "WARMUP_EPOCHS": 0.0, "WARMUP_START_LR": 0.0,
               "OPTIMIZING_METHOD": ""},
    "MODEL": {"NUM_CLASSES": 0, "ARCH": "", "MODEL_NAME": "", "LOSS_FUNC": "", "HEAD_ACT": "",
              "DROPOUT_RATE": 0.0},
    "DATA_LOADER": {"NUM_WORKERS": 0, "PIN_MEMORY": False},
    "NUM_GPUS": 0,
    "RNG_SEED": 0,
    "OUTPUT_DIR": "",
}  # fmt: skip

# configs/Kinetics/X3D_S.yaml, with the views of its comments: 10 with a centre crop.
RELEASED_S = {
    "TRAIN": {"DATASET": "kinetics", "BATCH_SIZE": 128, "EVAL_PERIOD": 10, "CHECKPOINT_PERIOD": 10,
              "AUTO_RESUME": True},
    "X3D": {"WIDTH_FACTOR": 2.0, "DEPTH_FACTOR": 2.2, "BOTTLENECK_FACTOR": 2.25, "DIM_C5": 2048,
            "DIM_C1": 12},
    "TEST": {"ENABLE": True, "DATASET": "kinetics", "BATCH_SIZE": 64, "NUM_SPATIAL_CROPS": 1},
    "DATA": {"NUM_FRAMES": 13, "SAMPLING_RATE": 6, "TRAIN_JITTER_SCALES": [182, 228], "TRAIN_CROP_SIZE": 160,
             "TEST_CROP_SIZE": 160, "INPUT_CHANNEL_NUM": [3], "DECODING_BACKEND": "torchvision"},
    "RESNET": {"ZERO_INIT_FINAL_BN": True, "TRANS_FUNC": "x3d_transform", "STRIDE_1X1": False},
    "BN": {"USE_PRECISE_STATS": True, "NUM_BATCHES_PRECISE": 200, "WEIGHT_DECAY": 0.0},
    "SOLVER": {"BASE_LR": 0.1, "BASE_LR_SCALE_NUM_SHARDS": True, "LR_POLICY": "cosine", "MAX_EPOCH": 300,
               "WEIGHT_DECAY": 5e-5, "WARMUP_EPOCHS": 35.0, "WARMUP_START_LR": 0.01,
               "OPTIMIZING_METHOD": "sgd"},
    "MODEL": {"NUM_CLASSES": 400, "ARCH": "x3d", "MODEL_NAME": "X3D", "LOSS_FUNC": "cross_entropy",
              "DROPOUT_RATE": 0.5},
    "DATA_LOADER": {"NUM_WORKERS": 8, "PIN_MEMORY": True},
    "NUM_GPUS": 8,
    "RNG_SEED": 0,
    "OUTPUT_DIR": ".",
}  # fmt: skip


def written(folder: Path, model: Model, **options: Any) -> FormatFiles:
    return slowfast.write(NetworkToExport(model=model, state=None, **options), folder / "net.yaml")


def loaded(folder: Path, model: Model, **options: Any) -> CfgNode:
    """The config as SlowFast reads it: an unknown key or another type is an error."""
    config = CfgNode(TYPES)
    config.merge_from_file(str(written(folder, model, **options).files[0]))
    return config


def test_the_released_config_comes_out_for_the_released_network(tmp_path: Path) -> None:
    config = loaded(tmp_path, published_model("x3d-s"))
    for section, values in RELEASED_S.items():
        if isinstance(values, dict):
            assert {key: config[section][key] for key in values} == values, section
        else:
            assert config[section] == values
    assert config.TEST.NUM_ENSEMBLE_VIEWS == 10


@pytest.mark.parametrize("changed", [{"TRAIN": {}}, {"X3D": {**TYPES["X3D"], "WIDTH_FACTOR": 2}}])
def test_the_tree_of_keys_refuses_what_slowfast_would(tmp_path: Path, changed: dict[str, Any]) -> None:
    path = written(tmp_path, model_at()).files[0]
    with pytest.raises((KeyError, ValueError)):
        CfgNode({**TYPES, **changed}).merge_from_file(str(path))


def test_a_network_of_ones_own(tmp_path: Path) -> None:
    space = X3DSpace(width_multiple=1, head_width=512, size=40, frames=4, stride=9)
    config = loaded(tmp_path, model_at(space, **XL))
    assert (config.X3D.WIDTH_FACTOR, config.X3D.DEPTH_FACTOR, config.X3D.BOTTLENECK_FACTOR) == (2.9, 5, 2.25)
    assert (config.X3D.DIM_C1, config.X3D.DIM_C5, config.X3D.SCALE_RES2) == (12, 512, False)
    assert (config.DATA.NUM_FRAMES, config.DATA.SAMPLING_RATE, config.DATA.TRAIN_CROP_SIZE) == (4, 9, 40)
    assert config.DATA.TRAIN_JITTER_SCALES == [46, 58]
    assert (config.MODEL.MODEL_NAME, config.MODEL.NUM_CLASSES) == ("X3D", 3)


def test_a_stem_half_as_wide_as_res2(tmp_path: Path) -> None:
    config = loaded(tmp_path, model_at(X3DSpace(stem_width=16, widths=(32, 64, 128, 256))))
    assert (config.X3D.SCALE_RES2, config.X3D.DIM_C1, config.X3D.WIDTH_FACTOR) == (True, 16, 1.0)


def test_what_slowfasts_own_x3d_rounds_otherwise_is_built_from_pytorchvideo(tmp_path: Path) -> None:
    config = loaded(tmp_path, model_at(**ODD))
    assert config.MODEL.MODEL_NAME == "PTVX3D"
    assert "# PTVX3D, from PyTorchVideo's layers, builds this" in (tmp_path / "net.yaml").read_text()


def test_another_frame_rate(tmp_path: Path) -> None:
    sampling = ClipSampling(frames=8, stride=4, size=64, fps=12.5)
    config = loaded(tmp_path, replace(model_at(), sampling=sampling))
    assert (config.DATA.SAMPLING_RATE, config.DATA.TARGET_FPS) == (8, 25)


def test_several_labels(tmp_path: Path) -> None:
    config = loaded(tmp_path, model_at(values={"labels": "several"}))
    assert (config.MODEL.LOSS_FUNC, config.MODEL.HEAD_ACT) == ("bce_logit", "sigmoid")
    assert (config.DATA.MULTI_LABEL, config.TRAIN.DATASET, config.TEST.DATASET) == (
        True,
        "charades",
        "charades",
    )


def test_the_head_says_how_to_train_and_test(tmp_path: Path) -> None:
    written(tmp_path, published_model("x3d-m"))
    lines = [line for line in (tmp_path / "net.yaml").read_text().splitlines() if line.startswith("#")]
    run = "#     python tools/run_net.py --cfg net.yaml --opts DATA.PATH_TO_DATA_DIR DATA"
    test = f"{run} TRAIN.ENABLE False TEST.CHECKPOINT_FILE_PATH CHECKPOINT"
    assert lines == [
        "# x3d-m, clips 16×5, 224², for SlowFast; exported by xpand.",
        "#",
        "# Train, by the recipe of the released networks: 300 epochs, 128 clips a step on 8 GPUs. For other",
        "# numbers scale SOLVER.BASE_LR with TRAIN.BATCH_SIZE. Where classes tell left from right, add",
        "# DATA.RANDOM_FLIP False.",
        run,
        "# Test with 10 views, clips uniform in time with one centre crop each:",
        test,
        "# Test with 30 views, 3 crops of 256 pixels each:",
        f"{test} TEST.NUM_SPATIAL_CROPS 3 DATA.TEST_CROP_SIZE 256",
    ]


def test_an_approximate_network_says_so_in_the_head(tmp_path: Path) -> None:
    model = model_at(X3DSpace(widths=(24, 72, 96, 192)))
    done = written(tmp_path, model, allow_approximate=True)
    assert "# Approximate: SlowFast's X3D builds another" in (tmp_path / "net.yaml").read_text()
    assert [remark.split()[0] for remark in done.remarks] == ["Approximate:", "That", "Weights"]
    assert loaded(tmp_path, model, allow_approximate=True).MODEL.MODEL_NAME == "X3D"


def test_a_name_cannot_leave_its_comment(tmp_path: Path) -> None:
    config = loaded(tmp_path, replace(model_at(), name="net\nNUM_GPUS: 77\n"))
    assert config.NUM_GPUS == 8


@pytest.mark.parametrize(
    ("factors", "stem", "prefix"),
    [({}, "s1.pathway0_stem.conv_xy.weight", ""), (ODD, "model.blocks.0.conv.conv_t.weight", "model.")],
)
def test_weights_have_the_names_of_the_network_that_is_built(
    tmp_path: Path, factors: dict[str, Any], stem: str, prefix: str
) -> None:
    model = model_at(**factors)
    state = model.build().state_dict()
    done = slowfast.write(NetworkToExport(model=model, state=state), tmp_path / "net.yaml")
    assert [path.name for path in done.files] == ["net.yaml", "net.pyth"]
    checkpoint = torch.load(tmp_path / "net.pyth", weights_only=True)
    assert list(checkpoint) == ["model_state"]
    assert torch.equal(checkpoint["model_state"][stem], state["stem.spatial.weight"])
    assert all(name.startswith(prefix) for name in checkpoint["model_state"])
    assert done.loading.splitlines()[-1] == (
        "network = build_model(cfg); "
        'network.load_state_dict(torch.load("net.pyth", weights_only=True)["model_state"])'
    )
    assert "TEST.CHECKPOINT_FILE_PATH net.pyth" in (tmp_path / "net.yaml").read_text()


def test_weights_stay_behind_where_the_network_is_another(tmp_path: Path) -> None:
    model = model_at(X3DSpace(widths=(24, 72, 96, 192)))
    source = NetworkToExport(model=model, state=model.build().state_dict(), allow_approximate=True)
    assert slowfast.write(source, tmp_path / "net.yaml").files == (tmp_path / "net.yaml",)
    assert [path.name for path in tmp_path.iterdir()] == ["net.yaml"]
