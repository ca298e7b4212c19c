"""ONNX and torch.export: graphs that give the network's logits, for batches of any size."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import onnx
import onnxruntime
import pytest
import torch
from torch import Tensor

from expand.errors import RunFailed, UserError
from expand.export import comparing, torch_export
from expand.export import onnx as onnx_format
from expand.export.base import Source
from expand.models import Model, find_model
from search_spaces.x3d import X3DSpace
from tests.expand.export.test_layouts import shaken

SPACE = X3DSpace(size=32, head_width=32)


def source(head: str = "clip", frames: int = 2) -> Source:
    base = find_model("x2d")
    architecture = SPACE.architecture(SPACE.start)
    model = replace(
        base,
        architecture=architecture,
        sampling=replace(base.sampling, frames=frames, size=32),
        classes=("a", "b", "c"),
        values={**base.values, "head": head},
    )
    return of(model)


def of(model: Model) -> Source:
    torch.manual_seed(0)
    network = shaken(model.build())  # type: ignore[arg-type]
    return Source(model=model, state=network.state_dict())


@pytest.mark.parametrize(("head", "frames"), [("clip", 1), ("clip", 2), ("frame", 3)])
def test_torch_export(tmp_path: Path, head: str, frames: int) -> None:
    given = source(head, frames)
    written = torch_export.write(given, tmp_path / "net.pt2")
    graph = torch.export.load(tmp_path / "net.pt2").module()
    clips = torch.randn(5, 3, frames, 32, 32)
    with torch.no_grad():
        assert torch.allclose(graph(clips), comparing.network_of(given)(clips), atol=1e-4)
    assert "random clips" in written.remarks[0]


@pytest.mark.slow
@pytest.mark.parametrize(("head", "frames"), [("clip", 1), ("frame", 3)])
def test_onnx(tmp_path: Path, head: str, frames: int) -> None:
    given = source(head, frames)
    onnx_format.write(given, tmp_path / "net.onnx")
    session = onnxruntime.InferenceSession(str(tmp_path / "net.onnx"), providers=["CPUExecutionProvider"])
    clips = torch.randn(5, 3, frames, 32, 32)
    (logits,) = session.run(["logits"], {"clips": clips.numpy()})
    with torch.no_grad():
        assert torch.allclose(torch.from_numpy(logits), comparing.network_of(given)(clips), atol=1e-4)
    said = {entry.key: entry.value for entry in onnx.load(str(tmp_path / "net.onnx")).metadata_props}
    assert (said["frames"], said["size"], said["classes"]) == (str(frames), "32", '["a", "b", "c"]')


def test_a_graph_with_other_logits_is_not_kept() -> None:
    given = source()
    network = comparing.network_of(given)

    def off(clips: Tensor) -> Tensor:
        wrong: Tensor = 1.1 * network(clips)
        return wrong

    with pytest.raises(RunFailed) as caught:
        comparing.check_equal(given, network, off, "the graph")
    assert str(caught.value) == (
        "the graph must give the network's logits within 0.0001 of the largest, "
        "but they are off by 0.1: nothing was written."
    )


def test_without_the_extra_it_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "onnxscript", None)
    with pytest.raises(UserError) as caught:
        onnx_format.write(source(), tmp_path / "net.onnx")
    assert str(caught.value) == (
        "onnx needs the packages onnx, onnxscript and onnxruntime, which are not all installed: "
        "install them with `pip install 'xpand[onnx]'`."
    )
