"""Opens a trained network for predictions: a model with its weights, or an ONNX file that xpand exported."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from expand.data.base import Split
from expand.data.clips import ViewGrid
from expand.predicting.preprocessing import Preprocessing
from expand.run.candidates import chosen_model
from expand.system.cores import cores
from expand.system.errors import RunFailed, UserError
from expand.training.devices import choose_device, place_network, prepare
from expand.training.losses import Diverged
from expand.training.prediction import Viewing, view_scores
from expand.weights.reading import OnRemark, read_weights, unsaid

_BATCH = 16  # views at a time


@dataclass(frozen=True, kw_only=True, slots=True)
class Predictor:
    """A trained network that is ready for predictions.

    Attributes:
        name: of the network.
        classes: the names of its classes, in the order of its outputs.
        preprocessing: how clips are made of a video.
        network: maps (B, 3, T, S, S) clips to (B, C) logits, or to (B, T, C) with a head for each frame.
        device: of the network.
    """

    name: str
    classes: tuple[str, ...]
    preprocessing: Preprocessing
    network: nn.Module
    device: str

    def viewing(self, clips: int, crops: int = 1) -> Viewing:
        """The views of each video for a grid of clips and crops, as a test has them."""
        prepared = self.preprocessing
        return Viewing(
            sampling=prepared.clips,
            views=ViewGrid(clips=clips, crops=3 if crops == 3 else 1, scale=prepared.scale),
            batch_size=_BATCH,
            device=self.device,
        )

    def scores(self, split: Split, clips: int, crops: int = 1) -> NDArray[np.float64]:
        """The probabilities of all views of the videos of a split, video by video: (V · views, [T,] C).

        Raises:
            RunFailed: a probability is not finite.
        """
        found = view_scores(self.network, split, self.viewing(clips, crops), self.preprocessing.activation)
        try:
            return np.concatenate([scores for _, scores in found])
        except Diverged:
            raise RunFailed(
                f"the probabilities of {self.name} must be finite, but they are not: check its weights."
            ) from None


def load_predictor(
    reference: str | Path,
    name: str | None = None,
    *,
    weights: Path | None = None,
    device: str = "auto",
    threads: int | None = None,
    on_remark: OnRemark = unsaid,
) -> Predictor:
    """Open a network for predictions.

    Args:
        reference: the folder of a run or a full training, a model file, or an exported ONNX file.
        name: the model's name in a run.
        weights: a file of weights; None: those beside the model file.
        device: auto, cpu, cuda or mps; an ONNX file runs on the CPU.
        threads: on the CPU; None: as many as there are cores.
        on_remark: called with one line for each kind of tensor of the weights that is left out.

    Raises:
        UserError: there is no such network, or it has no weights.
    """
    threads = threads or cores()
    if Path(reference).suffix == ".onnx":
        if name is not None or weights is not None:
            raise UserError("--model and --weights must be left out for an ONNX file, which has its weights.")
        prepare("cpu", threads, seed=0)
        return _of_onnx(Path(reference), threads)
    model = chosen_model(reference, name)
    chosen = weights or model.weights
    if chosen is None:
        raise UserError(
            f"a prediction must have weights, but {model.name} has none: give --weights FILE, or train it "
            "with `xpand train`."
        )
    place = choose_device(device)
    network = model.build()
    network.load_state_dict(read_weights(chosen, model, on_remark=on_remark))
    prepare(place, threads, seed=0)
    return Predictor(
        name=model.name,
        classes=model.classes,
        preprocessing=Preprocessing.of(model),
        network=place_network(network, place).eval(),
        device=place,
    )


class OnnxNetwork(nn.Module):
    """A network that ONNX Runtime runs, with the interface of torch's modules."""

    def __init__(self, session: Any) -> None:
        super().__init__()
        self._session = session

    def forward(self, clips: Tensor) -> Tensor:
        """(B, 3, T, S, S) clips to (B, [T,] C) logits."""
        (logits,) = self._session.run(["logits"], {"clips": clips.contiguous().numpy()})
        return torch.from_numpy(logits)


def _of_onnx(path: Path, threads: int) -> Predictor:
    """The network of an ONNX file, by its metadata alone.

    Raises:
        UserError: the file is missing or not one that xpand exported, or ONNX Runtime is not installed.
    """
    try:
        import onnxruntime
    except ImportError:
        raise UserError(
            "an ONNX file needs the package onnxruntime, which is not installed: install it with "
            "`pip install 'xpand[onnx]'`."
        ) from None
    if not path.is_file():
        raise UserError(f"the model must be a file that exists, got {path}: look at the path.")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    try:
        session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # ONNX Runtime's errors have no common class but this
        raise UserError(
            f"{path} must be an ONNX file that ONNX Runtime can read, but it is not: "
            f"{' '.join(str(error).split())}"
        ) from None
    values = session.get_modelmeta().custom_metadata_map
    try:
        preprocessing = Preprocessing.read(values)
        classes = tuple(json.loads(values["classes"]))
    except (KeyError, ValueError, TypeError) as error:
        raise UserError(
            f"{path} must have the metadata that `xpand export --format onnx` writes, but {error} is missing "
            "or wrong: export the model again."
        ) from None
    return Predictor(
        name=values.get("name", path.stem),
        classes=classes,
        preprocessing=preprocessing,
        network=OnnxNetwork(session).eval(),
        device="cpu",
    )
