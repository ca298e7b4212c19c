"""What runs a module in inference: torch on a device, ONNX Runtime, or a program exported by torch.export."""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import torch
from torch import Tensor, nn

from expand.config.profile import Runtime
from expand.config.spaces import Space
from expand.system.errors import UserError
from expand.training.devices import autocast, place_clips
from expand.training.latency import wait_for

Run = Callable[[], object]  # one pass, which has ended when it returns

_OPSET = 18
_MISSING = "--runtime onnxruntime needs packages that are not installed: pip install 'xpand[onnx]'."


def prepared_network(
    space: Space,
    architecture: Any,
    num_classes: int,
    *,
    batch: int,
    runtime: Runtime,
    device: str,
    threads: int,
) -> Run:
    """A pass of a network with fresh weights over `batch` random clips; see `prepared`."""
    network = space.build(architecture, num_classes)
    clips = torch.rand_like(space.example(architecture, batch))
    return prepared(network, clips, runtime, device, threads)


def prepared(module: nn.Module, clips: Tensor, runtime: Runtime, device: str, threads: int) -> Run:
    """A pass of a module over clips, as often as it is called.

    Args:
        module: with any weights; it is put into evaluation mode.
        clips: (B, C, T, H, W), on the CPU.
        runtime: what runs it.
        device: of torch; the others run on the CPU.
        threads: of ONNX Runtime; those of torch are set while it is timed.

    Raises:
        UserError: ONNX Runtime is not installed.
    """
    module.eval()
    if runtime == "onnxruntime":
        return _onnx(module, clips, threads)
    if runtime == "torch-export":
        return _torch(torch.export.export(module, (clips,)).module(), clips, "cpu")
    placed = module.to(device)
    return _torch(placed, place_clips(clips, device), device)


def _torch(module: Callable[[Tensor], Any], clips: Tensor, device: str) -> Run:
    @torch.no_grad()
    def run() -> None:
        with autocast(device):
            module(clips)
        wait_for(device)

    return run


def _onnx(module: nn.Module, clips: Tensor, threads: int) -> Run:
    try:
        import onnxruntime
    except ImportError:
        raise UserError(_MISSING) from None
    file = io.BytesIO()
    with warnings.catch_warnings():
        # The exporter by tracing takes a tenth of the other's time, and ONNX Runtime makes the same of both.
        warnings.simplefilter("ignore")
        torch.onnx.export(
            module,
            (clips,),
            file,  # type: ignore[arg-type]  # the exporter by tracing takes an open file, too
            dynamo=False,
            opset_version=_OPSET,
            input_names=["x"],
            output_names=["y"],
        )
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(file.getvalue(), options, providers=["CPUExecutionProvider"])
    given = {"x": clips.numpy()}

    def run() -> None:
        session.run(["y"], given)

    return run


def version_of(runtime: Runtime) -> str:
    """The version of the package that runs networks.

    Raises:
        UserError: it is not installed.
    """
    package = "onnxruntime" if runtime == "onnxruntime" else "torch"
    try:
        return version(package)
    except PackageNotFoundError:
        raise UserError(_MISSING) from None
