"""Types and arguments are facts of open-mmlab/mmaction2 at 4d6c9347; the recipe is of SlowFast's configs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from expand.export import mmaction2
from expand.export.base import FormatFiles, NetworkToExport
from expand.system.errors import UserError
from expand.weights.models import Model, published_model
from search_spaces.x3d import X3DSpace
from tests.expand.export.points import ODD, model_at


def written(folder: Path, model: Model, **options: Any) -> FormatFiles:
    return mmaction2.write(NetworkToExport(model=model, state=None, **options), folder / "net.py")


def loaded(folder: Path, model: Model, **options: Any) -> Any:
    """The config as MMAction2 reads it."""
    # Not at the top: its first import writes a cache file, which two processes that collect tests would tear.
    from mmengine.config import Config

    return Config.fromfile(written(folder, model, **options).files[0])


def types(pipeline: list[dict[str, Any]]) -> list[str]:
    return [step["type"] for step in pipeline]


def test_the_network_of_the_published_config(tmp_path: Path) -> None:
    """configs/_base_/models/x3d.py, which is X3D-S and M."""
    assert loaded(tmp_path, published_model("x3d-s")).model.to_dict() == {
        "type": "Recognizer3D",
        "backbone": {"type": "X3D", "gamma_w": 1, "gamma_b": 2.25, "gamma_d": 2.2},
        "cls_head": {
            "type": "X3DHead",
            "in_channels": 432,
            "num_classes": 400,
            "spatial_type": "avg",
            "dropout_ratio": 0.5,
            "fc1_bias": False,
            "average_clips": "prob",
        },
        "data_preprocessor": {
            "type": "ActionDataPreprocessor",
            "mean": [114.75, 114.75, 114.75],
            "std": [57.38, 57.38, 57.38],
            "format_shape": "NCTHW",
        },
        "train_cfg": None,
        "test_cfg": None,
    }


def test_the_test_pipeline_of_the_published_config(tmp_path: Path) -> None:
    """configs/recognition/x3d/x3d_s_13x6x1_facebook-kinetics400-rgb.py: 30 views."""
    config = loaded(tmp_path, published_model("x3d-s"))
    assert [dict(step) for step in config.test_pipeline_30_views] == [
        {"type": "DecordInit"},
        {
            "type": "SampleFrames",
            "clip_len": 13,
            "frame_interval": 6,
            "num_clips": 10,
            "target_fps": 30,
            "test_mode": True,
        },
        {"type": "DecordDecode"},
        {"type": "Resize", "scale": (-1, 182)},
        {"type": "ThreeCrop", "crop_size": 182},
        {"type": "FormatShape", "input_format": "NCTHW"},
        {"type": "PackActionInputs"},
    ]


def test_the_other_pipelines(tmp_path: Path) -> None:
    config = loaded(tmp_path, published_model("x3d-m"))
    assert types(config.train_pipeline) == [
        "DecordInit", "SampleFrames", "DecordDecode", "RandomRescale", "RandomCrop", "Flip", "FormatShape",
        "PackActionInputs",
    ]  # fmt: skip
    _, sample, _, rescale, crop, *_ = config.train_pipeline
    assert (sample.num_clips, sample.clip_len, sample.frame_interval) == (1, 16, 5)
    assert "test_mode" not in sample
    assert (rescale.scale_range, crop.size) == ((256, 320), 224)
    for pipeline, clips in ((config.val_pipeline, 1), (config.test_pipeline_10_views, 10)):
        _, sample, _, resize, crop, *_ = pipeline
        assert (sample.num_clips, sample.test_mode) == (clips, True)
        assert (resize.scale, crop.type, crop.crop_size) == ((-1, 256), "CenterCrop", 224)


def test_loaders_read_the_pipelines_and_places(tmp_path: Path) -> None:
    config = loaded(tmp_path, model_at())
    for split in ("train", "val", "test"):
        loader = config[f"{split}_dataloader"]
        assert loader.dataset.type == "VideoDataset"
        assert loader.sampler.shuffle == (split == "train")
        assert loader.dataset.get("test_mode", False) == (split != "train")
    assert config.train_dataloader.dataset.pipeline == config.train_pipeline
    assert config.train_dataloader.dataset.ann_file == config.ann_file_train
    assert config.train_dataloader.batch_size == config.clips_a_gpu == 16
    assert config.val_dataloader.dataset.pipeline == config.val_pipeline
    assert config.test_dataloader.dataset.pipeline == config.test_pipeline_10_views
    assert config.test_dataloader.dataset.data_prefix.video == config.data_root_val


def test_the_released_recipe(tmp_path: Path) -> None:
    config = loaded(tmp_path, model_at())
    assert config.default_scope == "mmaction"
    assert config.train_cfg.max_epochs == 300
    assert config.optim_wrapper.optimizer.to_dict() == {
        "type": "SGD", "lr": 0.1, "momentum": 0.9, "nesterov": True, "weight_decay": 5e-5,
    }  # fmt: skip
    assert config.optim_wrapper.paramwise_cfg.norm_decay_mult == 0
    warmup, cosine = config.param_scheduler
    assert (warmup.type, warmup.start_factor, warmup.end) == ("LinearLR", 0.1, 35)
    assert (cosine.type, cosine.begin, cosine.T_max) == ("CosineAnnealingLR", 0, 300)
    assert config.auto_scale_lr.base_batch_size == 128


def test_several_labels(tmp_path: Path) -> None:
    config = loaded(tmp_path, model_at(values={"labels": "several"}))
    head = config.model.cls_head
    assert (head.loss_cls.type, head.multi_class, head.average_clips) == ("BCELossWithLogits", True, "score")
    assert config.val_evaluator.metric_list == "mean_average_precision"
    for split in ("train", "val", "test"):
        dataset = config[f"{split}_dataloader"].dataset
        assert (dataset.multi_class, dataset.num_classes) == (True, 3)


def test_another_frame_rate(tmp_path: Path) -> None:
    config = loaded(tmp_path, model_at(X3DSpace(frames=8, stride=4, fps=12.5)))
    assert (config.train_pipeline[1].frame_interval, config.train_pipeline[1].target_fps) == (8, 25)


def test_an_approximate_network_has_the_head_that_fits_it(tmp_path: Path) -> None:
    with pytest.raises(UserError):
        written(tmp_path, model_at(**ODD))
    assert list(tmp_path.iterdir()) == []
    config = loaded(tmp_path, model_at(**ODD), allow_approximate=True)
    assert config.model.backbone.gamma_w == 1.25
    assert config.model.cls_head.in_channels == 576  # int(2.25 · 256), not the searched 540
    assert "# Approximate: MMAction2's X3D builds another network" in (tmp_path / "net.py").read_text()
