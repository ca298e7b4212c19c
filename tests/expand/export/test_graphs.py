"""ONNX and torch.export: graphs that give the network's logits, for batches of any size."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import onnx
import onnxruntime
import pytest
import torch
from torch import Tensor, nn

from expand.export import comparing, torch_export
from expand.export import onnx as onnx_format
from expand.export.base import NetworkToExport
from expand.system.errors import RunFailed, UserError
from expand.system.version import VERSION
from expand.weights.models import Model, find_model
from search_spaces.x3d import X3DSpace
from tests.expand.commands import Xpand
from tests.expand.toy import Point, Toy, ToySpace
from tests.expand.weights.test_layouts import shaken

SPACE = X3DSpace(size=32, head_width=32)
PLAIN = {"Conv", "Relu", "Sigmoid", "Mul", "Add", "ReduceMean", "Reshape", "Transpose", "MatMul", "Squeeze"}


def source(head: str = "clip", frames: int = 2) -> NetworkToExport:
    """X2D with fewer blocks: both kinds of them, with a shortcut of their own and without."""
    base = find_model("x2d")
    architecture = SPACE.architecture(replace(SPACE.start, frames=frames))
    stages = tuple(replace(stage, depth=min(stage.depth, 2)) for stage in architecture.stages[:2])
    architecture = replace(architecture, stages=stages)
    model = replace(
        base,
        architecture=architecture,
        sampling=replace(base.sampling, frames=frames, size=32),
        classes=("a", "b", "c"),
        values={**base.values, "head": head},
    )
    return of(model)


def of(model: Model) -> NetworkToExport:
    torch.manual_seed(0)
    network = shaken(model.build())  # type: ignore[arg-type]
    return NetworkToExport(model=model, state=network.state_dict())


def toy(space: ToySpace, point: Point) -> NetworkToExport:
    model = Model(
        name="toy",
        space=space,
        architecture=point,
        sampling=space.sampling(point),
        classes=("a", "b"),
        values={},
    )
    torch.manual_seed(0)
    return NetworkToExport(model=model, state=model.build().state_dict())


@pytest.mark.slow
@pytest.mark.parametrize(("head", "frames"), [("clip", 1), ("clip", 2), ("frame", 3)])
def test_torch_export(tmp_path: Path, head: str, frames: int) -> None:
    given = source(head, frames)
    written = torch_export.write(given, tmp_path / "net.pt2")
    graph = torch.export.load(tmp_path / "net.pt2").module()
    clips = torch.randn(5, 3, frames, 32, 32)
    with torch.no_grad():
        assert torch.allclose(graph(clips), comparing.network_of(given)(clips), atol=1e-4)
    operators = {str(node.target) for node in torch.export.load(tmp_path / "net.pt2").graph.nodes}
    assert "aten.conv3d.default" in operators  # and no kernel of ours, nor the shorter way for one frame
    assert not any(name.startswith("xpand") or "conv2d" in name for name in operators)
    assert written.loading == 'import torch\n\nnetwork = torch.export.load("net.pt2").module()'
    assert written.running == "outputs = network(torch.from_numpy(clips)).detach().numpy()"
    compared, speed = written.remarks
    assert compared.startswith("Compared with the network on random clips: logits off by at most ")
    runtime = re.escape(f"torch {torch.__version__}")
    assert re.fullmatch(rf"One clip takes [\d.]+ ms with {runtime} on one thread of .+\.", speed)


@pytest.mark.slow
@pytest.mark.parametrize(("head", "frames"), [("clip", 1), ("frame", 3)])
def test_onnx(tmp_path: Path, head: str, frames: int, capfd: pytest.CaptureFixture[str]) -> None:
    given = source(head, frames)
    onnx_format.write(given, tmp_path / "net.onnx")
    session = onnxruntime.InferenceSession(str(tmp_path / "net.onnx"), providers=["CPUExecutionProvider"])
    clips = torch.randn(5, 3, frames, 32, 32)
    (logits,) = session.run(["logits"], {"clips": clips.numpy()})
    with torch.no_grad():
        assert torch.allclose(torch.from_numpy(logits), comparing.network_of(given)(clips), atol=1e-4)
    graph = onnx.load(str(tmp_path / "net.onnx"))
    assert {entry.key: entry.value for entry in graph.metadata_props} == {
        "name": "x2d",
        "xpand": VERSION,
        "classes": '["a", "b", "c"]',
        "frames": str(frames),
        "stride": "48",
        "fps": "30.0",
        "short_side": "46",
        "scale": "1.125",
        "head": head,
        "size": "32",
        "activation": "softmax",
        "mean": "0.45",
        "std": "0.225",
    }
    assert [(entry.domain, entry.version) for entry in graph.opset_import] == [("", 18)]
    assert [dim.dim_param or dim.dim_value for dim in graph.graph.input[0].type.tensor_type.shape.dim] == [
        "batch",
        *(3, frames, 32, 32),
    ]
    assert {node.op_type for node in graph.graph.node} <= PLAIN
    assert capfd.readouterr() == ("", "")  # the exporter says a lot


@pytest.mark.parametrize("form", [torch_export, pytest.param(onnx_format, marks=pytest.mark.slow)])
@pytest.mark.parametrize("point", [Point(frames=3, width=4), Point(frames=2, width=5)])
def test_a_space_of_ones_own(tmp_path: Path, form: Any, point: Point) -> None:
    """Its pooling, of which ONNX has none, into equal and into unequal parts."""
    written = form.write(toy(ToySpace(), point), tmp_path / f"net{form.SUFFIX}")
    assert written.files == (tmp_path / f"net{form.SUFFIX}",)
    assert written.files[0].exists()


class Branching(ToySpace):
    """Networks that torch.export cannot follow."""

    def build(self, architecture: Point, num_classes: int, **_: Any) -> nn.Module:
        class Module(Toy):
            def forward(self, clips: Tensor) -> Tensor:
                return torch.stack(list(super().forward(clips)))

        return Module(architecture, num_classes, None, 0)


class Unusual(ToySpace):
    """Networks of operators that ONNX has not."""

    def build(self, architecture: Point, num_classes: int, **_: Any) -> nn.Module:
        class Module(Toy):
            def forward(self, clips: Tensor) -> Tensor:
                out: Tensor = torch.linalg.eigvals(super().forward(clips)[:, None] @ torch.ones(2, 1)).real
                return out

        return Module(architecture, num_classes, None, 0)


@pytest.mark.parametrize("form", [torch_export, onnx_format])
def test_a_network_that_cannot_be_traced(tmp_path: Path, form: Any) -> None:
    with pytest.raises(RunFailed) as caught:
        form.write(toy(ToySpace(fault="raise"), Point()), tmp_path / f"net{form.SUFFIX}")
    assert str(caught.value) == (
        "toy must be traceable by torch.export for batches of any size, but it is not: this network is broken"
    )
    with pytest.raises(RunFailed) as caught:
        form.write(toy(Branching(), Point()), tmp_path / f"net{form.SUFFIX}")
    assert str(caught.value).startswith(
        "toy must be traceable by torch.export for batches of any size, but it is not: Constraints violated"
    )


@pytest.mark.slow
def test_a_network_of_operators_that_onnx_has_not(tmp_path: Path) -> None:
    with pytest.raises(RunFailed) as caught:
        onnx_format.write(toy(Unusual(), Point()), tmp_path / "net.onnx")
    assert str(caught.value).startswith("toy must be of operators that ONNX has, but it is not: ")
    assert "linalg_eig" in str(caught.value)


def test_a_graph_with_other_logits_is_not_kept() -> None:
    given = source()
    network = comparing.network_of(given)

    def off(clips: Tensor) -> Tensor:
        wrong: Tensor = 1.1 * network(clips)
        return wrong

    def not_a_number(clips: Tensor) -> Tensor:
        wrong: Tensor = network(clips)
        return wrong if len(clips) == 1 else wrong * math.nan

    def transposed(clips: Tensor) -> Tensor:
        wrong: Tensor = network(clips)
        return wrong.t()

    def message(exported: Callable[[Tensor], Tensor]) -> str:
        with pytest.raises(RunFailed) as caught:
            comparing.check_equal(given, network, exported, "the graph")
        return str(caught.value)

    for exported, by in ((off, "0.1"), (not_a_number, "nan")):
        assert message(exported) == (
            "the graph must give the network's logits within 0.0001 of the largest, "
            f"but they are off by {by}: nothing was written."
        )
    assert message(transposed) == (
        "the graph must give logits (1, 3) as the network does, but it gives (3, 1): nothing was written."
    )


@pytest.mark.slow
def test_after_a_graph_with_other_logits_nothing_is_there(
    tmp_path: Path, xpand: Xpand, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(comparing, "TOLERANCE", -1.0)
    target = tmp_path / "new" / "net.pt2"
    done = xpand("export", "x2d", "--format", "torch-export", "--fresh-weights", "--out", target)
    assert done.returncode == 1
    assert done.stderr.startswith(
        "failed: the exported graph must give the network's logits within -1 of the largest, but they are "
    )
    assert list(tmp_path.iterdir()) == []


def test_without_the_extra_it_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "onnxscript", None)
    with pytest.raises(UserError) as caught:
        onnx_format.write(source(), tmp_path / "net.onnx")
    assert str(caught.value) == (
        "onnx needs the packages onnx, onnxscript and onnxruntime, which are not all installed: "
        "install them with `pip install 'xpand[onnx]'`."
    )
