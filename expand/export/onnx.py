"""Exports a graph for ONNX Runtime and other readers of ONNX."""

from __future__ import annotations

import contextlib
import io
import logging
import warnings
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from expand.export.base import FormatFiles, NetworkToExport
from expand.export.comparing import check_equal, network_of
from expand.export.speed import speed_of
from expand.export.text import python
from expand.export.torch_export import program_of
from expand.predicting.preprocessing import Preprocessing, metadata
from expand.system.errors import RunFailed, UserError, first_line
from expand.system.version import VERSION

SUFFIX = ".onnx"
WEIGHTS = "needed"
OPSET = 18


def write(source: NetworkToExport, path: Path) -> FormatFiles:
    """Write the network in evaluation mode: `clips` (batch, 3, T, S, S) to `logits`, for any batch size.

    Raises:
        UserError: the packages of the extra `xpand[onnx]` are not installed.
        RunFailed: the network can't be written with ONNX's operators, or ONNX Runtime gives other logits.
    """
    onnx, runtime = _packages()
    network = network_of(source)
    program = program_of(source, network)
    try:
        with _quiet():
            if any(node.target in _DECOMPOSED for node in program.graph.nodes):
                program = program.run_decompositions(_DECOMPOSED)
            torch.onnx.export(
                program,
                f=str(path),
                input_names=["clips"],
                output_names=["logits"],
                opset_version=OPSET,
                dynamo=True,
                dynamic_shapes=({0: "batch"},),  # only a name for the dimension: the program has the shapes
                external_data=False,
                verbose=False,
            )
    except torch.onnx.errors.OnnxExporterError as error:
        raise RunFailed(
            f"{source.model.name} must be of operators that ONNX has, but it is not: "
            f"{first_line(error.__cause__ or error)}"
        ) from error
    graph = onnx.load(str(path))
    model = source.model
    values = metadata(model.name, model.classes, Preprocessing.of(model), VERSION)
    onnx.helper.set_model_props(graph, values)
    onnx.checker.check_model(graph, full_check=True)
    onnx.save(graph, str(path))
    options = runtime.SessionOptions()
    options.intra_op_num_threads = 1
    session = runtime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])

    def run(x: Tensor) -> Tensor:
        return torch.from_numpy(session.run(["logits"], {"clips": x.numpy()})[0])

    compared = check_equal(source, network, run, "the ONNX graph in ONNX Runtime")
    speed = speed_of(source, run, f"ONNX Runtime {runtime.__version__}")
    loading = f"import onnxruntime\n\nsession = onnxruntime.InferenceSession({python(path.name)})"
    running = '(outputs,) = session.run(["logits"], {"clips": clips})'
    return FormatFiles(
        files=(path,), loading=loading, running=running, remarks=(compared, speed, f"Opset {OPSET}.")
    )


def _pooled(x: Tensor, size: Sequence[int]) -> Tensor:
    """Replace AdaptiveAvgPool3d, which ONNX lacks, by means along one axis after the other."""
    for axis, wanted in zip((-3, -2, -1), size, strict=True):
        length = x.shape[axis]
        if length % wanted == 0:
            parts = (*x.shape[:axis], wanted, length // wanted, *x.shape[axis:][1:])
            x = x.reshape(parts).mean(axis)
            continue
        ends = [(index * length // wanted, -(-(index + 1) * length // wanted)) for index in range(wanted)]
        x = torch.cat([x.narrow(axis, a, b - a).mean(axis, keepdim=True) for a, b in ends], axis)
    return x


_DECOMPOSED: Mapping[Any, Any] = {torch.ops.aten.adaptive_avg_pool3d.default: _pooled}


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Suppress the exporter's output and its warnings about optional packages."""
    log = logging.getLogger("torch.onnx")
    level = log.level
    log.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        log.setLevel(level)


def _packages() -> tuple[Any, Any]:
    try:
        import onnx
        import onnxruntime
        import onnxscript  # noqa: F401
    except ImportError:
        raise UserError(
            "onnx needs the packages onnx, onnxscript and onnxruntime, which are not all installed: "
            "install them with `pip install 'xpand[onnx]'`."
        ) from None
    return onnx, onnxruntime
