from __future__ import annotations

import runpy
import sys
from dataclasses import replace
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
import torch
import yaml

from expand.export import pytorchvideo
from expand.export.base import FormatFiles, NetworkToExport
from expand.weights.models import Model, published_model
from search_spaces.base import ClipSampling
from search_spaces.x3d import X3DSpace
from tests.expand.export.points import ODD, model_at

# The hub's x3d_m and the defaults of create_x3d: pytorchvideo/models at f3142bb0.
X3D_M = {
    "input_channel": 3,
    "input_clip_length": 16,
    "input_crop_size": 224,
    "model_num_class": 400,
    "dropout_rate": 0.5,
    "width_factor": 2.0,
    "depth_factor": 2.2,
    "bottleneck_factor": 2.25,
    "stem_dim_in": 12,
    "stem_conv_kernel_size": [5, 3, 3],
    "stem_conv_stride": [1, 2, 2],
    "stage_conv_kernel_size": [[3, 3, 3], [3, 3, 3], [3, 3, 3], [3, 3, 3]],
    "stage_spatial_stride": [2, 2, 2, 2],
    "stage_temporal_stride": [1, 1, 1, 1],
    "se_ratio": 0.0625,
    "head_dim_out": 2048,
    "head_bn_lin5_on": False,
    "head_activation": None,
    "head_output_with_global_average": True,
}


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """What `create_x3d` is called with, and what its network loads; the package itself need not be there."""
    found: list[dict[str, Any]] = []

    def create_x3d(**arguments: Any) -> SimpleNamespace:
        found.append(arguments)
        return SimpleNamespace(load_state_dict=found.append)

    module = ModuleType("pytorchvideo.models.x3d")
    module.create_x3d = create_x3d  # type: ignore[attr-defined]
    for name in ("pytorchvideo", "pytorchvideo.models"):
        monkeypatch.setitem(sys.modules, name, ModuleType(name))
    monkeypatch.setitem(sys.modules, "pytorchvideo.models.x3d", module)
    return found


def written(folder: Path, model: Model, **options: Any) -> FormatFiles:
    return pytorchvideo.write(NetworkToExport(model=model, state=None, **options), folder / "net.yaml")


def test_the_published_network_has_its_published_arguments(
    tmp_path: Path, calls: list[dict[str, Any]]
) -> None:
    done = written(tmp_path, published_model("x3d-m"))
    assert [path.name for path in done.files] == ["net.yaml", "net.py"]
    values = yaml.safe_load((tmp_path / "net.yaml").read_text())
    assert values.pop("_target_") == "pytorchvideo.models.x3d.create_x3d"
    assert values == X3D_M
    runpy.run_path(str(tmp_path / "net.py"))["build"]()
    assert calls == [X3D_M]


def test_factors_are_floats_in_yaml(tmp_path: Path, calls: list[dict[str, Any]]) -> None:
    written(tmp_path, model_at())
    values = yaml.safe_load((tmp_path / "net.yaml").read_text())
    for name in ("width_factor", "depth_factor", "bottleneck_factor"):
        assert isinstance(values[name], float), name


def test_a_network_of_ones_own(tmp_path: Path, calls: list[dict[str, Any]]) -> None:
    written(tmp_path, model_at(X3DSpace(head_width=512, size=40, frames=4), **ODD))
    values = yaml.safe_load((tmp_path / "net.yaml").read_text())
    expected = {
        "width_factor": 2.5,
        "bottleneck_factor": 2.25,
        "depth_factor": 2.2,
        "head_dim_out": 512,
        "input_clip_length": 4,
        "input_crop_size": 40,
        "model_num_class": 3,
    }
    assert {key: values[key] for key in expected} == expected


def test_what_clips_must_be(tmp_path: Path, calls: list[dict[str, Any]]) -> None:
    sampling = ClipSampling(frames=13, stride=6, size=160)
    written(tmp_path, replace(model_at(), sampling=sampling))
    found = runpy.run_path(str(tmp_path / "net.py"))
    expected = {
        "MEAN": (0.45, 0.45, 0.45),
        "STD": (0.225, 0.225, 0.225),
        "FRAMES": 13,
        "STRIDE": 6,
        "FPS": 30,
        "CLIP_SECONDS": 2.6,
        "CROP": 160,
        "SIDE": 182,
        "JITTER": (182, 228),
        "UNIFORM_CLIPS": 10,
        "TEST_CROPS": 3,
        "TEST_CROP": 182,
        "CHECKPOINT": None,
        "LABELS": "one",
    }
    assert {name: found[name] for name in expected} == expected


def test_the_card_tells_of_the_batchnorm_that_is_left_out(
    tmp_path: Path, calls: list[dict[str, Any]]
) -> None:
    remark = "PyTorchVideo's create_x3d leaves out the BatchNorm of res2's shortcut, 48 parameters."
    assert written(tmp_path, model_at()).remarks == (remark,)
    for name in ("net.yaml", "net.py"):
        assert f"# {remark}\n" in (tmp_path / name).read_text()


def test_how_it_is_loaded(
    tmp_path: Path, calls: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    loading = written(tmp_path, model_at()).loading
    assert len(loading.splitlines()) <= 3
    exec(loading, {})
    assert len(calls) == 1


def test_a_name_cannot_leave_its_comment(tmp_path: Path, calls: list[dict[str, Any]]) -> None:
    written(tmp_path, replace(model_at(), name="net\nraise SystemExit\n"))
    runpy.run_path(str(tmp_path / "net.py"))["build"]()
    assert len(calls) == 1


def test_weights_have_pytorchvideos_names(
    tmp_path: Path, calls: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    model = model_at()
    state = model.build().state_dict()
    done = pytorchvideo.write(NetworkToExport(model=model, state=state), tmp_path / "net.yaml")
    assert [path.name for path in done.files] == ["net.yaml", "net.py", "net.pth"]
    assert runpy.run_path(str(tmp_path / "net.py"))["CHECKPOINT"] == "net.pth"
    monkeypatch.chdir(tmp_path)
    exec(done.loading, {})
    _, loaded = calls  # the arguments, then the weights
    assert torch.equal(loaded["blocks.0.conv.conv_t.weight"], state["stem.spatial.weight"])
    assert done.remarks[0].endswith("; the weights have it folded into the convolution, exact in evaluation.")
