"""A graph for ONNX Runtime and whatever else reads ONNX."""

from __future__ import annotations

import contextlib
import io
import json
import warnings
from pathlib import Path
from typing import Any

import torch

from expand.data.clips import MEAN, STD
from expand.errors import UserError
from expand.export.base import Source, Written
from expand.export.comparing import check_equal, network_of, random_clips
from expand.version import VERSION

SUFFIX = ".onnx"
WEIGHTS = "needed"
OPSET = 18


def write(source: Source, path: Path) -> Written:
    """The network in evaluation mode: `clips` (batch, 3, T, S, S) to `logits`, for batches of any size.

    Raises:
        UserError: the extra is not installed.
        RunFailed: ONNX Runtime gives other logits.
    """
    onnx, runtime = _packages()
    network = network_of(source)
    clips = random_clips(source, 2)
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")  # the exporter's own, of what it imports
        torch.onnx.export(
            network,
            (clips,),
            str(path),
            input_names=["clips"],
            output_names=["logits"],
            opset_version=OPSET,
            dynamo=True,
            dynamic_shapes=({0: torch.export.Dim("batch")},),
            external_data=False,
            verbose=False,
        )
    graph = onnx.load(str(path))
    onnx.helper.set_model_props(graph, _metadata(source))
    onnx.checker.check_model(graph, full_check=True)
    onnx.save(graph, str(path))
    session = runtime.InferenceSession(str(path), providers=["CPUExecutionProvider"])

    def run(x: torch.Tensor) -> torch.Tensor:
        return torch.from_numpy(session.run(["logits"], {"clips": x.numpy()})[0])

    said = check_equal(source, network, run, "the ONNX graph in ONNX Runtime")
    loading = (
        f'import onnxruntime\nsession = onnxruntime.InferenceSession("{path.name}")\n'
        '(logits,) = session.run(["logits"], {"clips": clips})'
    )
    return Written(files=(path,), loading=loading, remarks=(said, f"Opset {OPSET}."))


def _metadata(source: Source) -> dict[str, str]:
    model = source.model
    sampling = model.sampling
    values = {
        "name": model.name,
        "xpand": VERSION,
        "classes": json.dumps(model.classes),
        "frames": sampling.frames,
        "stride": sampling.stride,
        "fps": sampling.fps,
        "size": sampling.size,
        "mean": MEAN,
        "std": STD,
    }
    return {key: str(value) for key, value in values.items()}


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
