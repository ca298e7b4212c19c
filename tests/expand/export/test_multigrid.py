"""Checkpoints for X3D-Multigrid.

What its network is was read off x3d.py of kkahatapitiya/X3D-Multigrid at d63d8fe6. That network, built by the
lines of `loading`, gave the logits of ours for all that is exported here.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from expand.export import multigrid
from expand.export.base import NetworkToExport
from expand.system.errors import UserError
from expand.weights.models import Model, find_model
from search_spaces.x3d import Factors, X3DSpace
from tests.expand.toy import Point, ToySpace

XS = find_model("x3d-xs")


def write(model: Model, path: Path) -> tuple[dict[str, Any], str, tuple[str, ...]]:
    written = multigrid.write(NetworkToExport(model=model, state=model.build().state_dict()), path)
    assert written.files == (path,)
    return torch.load(path, weights_only=True), written.loading, written.remarks


def test_a_checkpoint_as_its_training_scripts_write_them(tmp_path: Path) -> None:
    checkpoint, loading, remarks = write(replace(XS, classes=("a", "b", "c")), tmp_path / "net.pt")
    assert list(checkpoint) == ["model_state_dict"]
    assert checkpoint["model_state_dict"]["bn1.split_bn.running_var"].shape == (8 * 24,)
    assert loading == (
        "import torch, x3d\n"
        "network = x3d.ResNet(x3d.Bottleneck, [3, 5, 11, 7], [(54, 24), (108, 48), (216, 96), (432, 192)], "
        "n_classes=3, base_bn_splits=8)\n"
        'network.load_state_dict(torch.load("net.pt", weights_only=True)["model_state_dict"])'
    )
    assert remarks == (
        "Each of the 8 splits of a BatchNorm starts from the statistics of all.",
        "X3D-Multigrid's network gives logits (batch, classes, 1).",
    )


def test_a_head_for_each_frame(tmp_path: Path) -> None:
    _, loading, remarks = write(replace(XS, values={**XS.values, "head": "frame"}), tmp_path / "net.pt")
    assert 'n_classes=400, base_bn_splits=8, task="loc")' in loading
    assert remarks[1] == "X3D-Multigrid's network gives logits (batch, classes, frames)."


def test_shortcuts_of_type_a_for_one_frame(tmp_path: Path) -> None:
    space = X3DSpace(shortcut="A", norm_every_shortcut=False)
    model = replace(XS, architecture=space.architecture(space.start))
    checkpoint, loading, _ = write(model, tmp_path / "net.pt")
    assert 'n_classes=400, base_bn_splits=8, shortcut_type="A")' in loading
    assert not any("downsample" in name for name in checkpoint["model_state_dict"])


def type_a() -> Any:
    space = X3DSpace(shortcut="A", norm_every_shortcut=False)
    return space.architecture(Factors(frames=4))


def stages(**changed: Any) -> Any:
    first, *others = XS.architecture.stages
    return replace(XS.architecture, stages=(replace(first, **changed), *others))


@pytest.mark.parametrize(
    ("architecture", "differing"),
    [
        (replace(XS.architecture, stages=XS.architecture.stages[:3]), "it has 4 stages, not 3"),
        (replace(XS.architecture, head_width=64), "its hidden layer has 2048 channels, not 64"),
        (replace(XS.architecture, stem_width=32), "its stem is as wide as res2, 24 channels, not 32"),
        (replace(XS.architecture, conv5_width=64), "its conv5 is as wide as inside of res5, 432, not 64"),
        (stages(squeeze_width=16), "it squeezes res2 to 8 channels, not 16"),
        (stages(shortcut="A", shortcut_norm=False), "its shortcuts are all of one type, not of two"),
        (type_a(), "its shortcuts of type A leave out every second frame"),
    ],
)
def test_a_network_that_theirs_cannot_be(tmp_path: Path, architecture: Any, differing: str) -> None:
    with pytest.raises(UserError) as caught:
        write(replace(XS, architecture=architecture), tmp_path / "net.pt")
    assert str(caught.value) == (
        f"X3D-Multigrid's network must hold x3d-xs exactly, but {differing}: take another format."
    )
    assert not (tmp_path / "net.pt").exists()


def test_a_network_of_another_space(tmp_path: Path) -> None:
    space, point = ToySpace(), Point()
    toy = replace(XS, name="toy", space=space, architecture=point)
    with pytest.raises(UserError) as caught:
        write(toy, tmp_path / "net.pt")
    assert str(caught.value) == (
        "x3d-multigrid must be given a network of the x3d space, but toy is of another: "
        "take safetensors, onnx or torch-export."
    )
