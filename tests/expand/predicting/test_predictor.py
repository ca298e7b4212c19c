from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch

from expand.export.command import export
from expand.predicting.predictor import load_predictor
from expand.predicting.video import predict
from expand.system.errors import RunFailed, UserError
from tests.expand.data.videos import write_clip
from tests.expand.models import write_tiny


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model file with weights, with its ONNX file beside it."""
    folder = tmp_path_factory.mktemp("exported")
    model = write_tiny(folder / "tiny.yaml", ["jump", "run", "wave"], weights=True)
    export(str(model), None, "onnx", folder / "tiny.onnx")
    return model


def test_an_onnx_file_gives_the_models_probabilities(exported: Path, tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "clip.mp4", seconds=2)
    own, other = load_predictor(exported), load_predictor(exported.with_suffix(".onnx"))
    assert (own.name, own.classes, own.preprocessing) == (other.name, other.classes, other.preprocessing)
    found = [predict(one, clip, views=3).probabilities for one in (own, other)]
    assert np.abs(found[0] - found[1]).max() < 1e-4


def test_a_program_needs_the_metadata_alone(exported: Path, tmp_path: Path) -> None:
    """The clip is made of the ONNX file's own texts, in torch's resizing, and run by ONNX Runtime."""
    import av

    clip = write_clip(tmp_path / "clip.mp4", seconds=2, size=(96, 64))
    path = exported.with_suffix(".onnx")
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    told = session.get_modelmeta().custom_metadata_map
    frames, step = int(told["frames"]), int(told["stride"]) / float(told["fps"])
    size, short, scale = int(told["size"]), int(told["short_side"]), float(told["scale"])
    with av.open(str(clip)) as container:
        decoded = list(container.decode(video=0))
    times = np.array([frame.time for frame in decoded])
    seconds = times[-1] + times[1]
    start = max(0, seconds - (frames - 1) * step) / 2
    pictures = []
    for number in range(frames):
        frame = decoded[int(np.abs(times - (start + number * step)).argmin())]
        share = short / min(frame.width, frame.height)
        small = frame.reformat(
            round(frame.width * share), round(frame.height * share), "rgb24", interpolation="AREA"
        ).to_ndarray()
        side = round(min(small.shape[:2]) / scale)
        top, left = ((length - side + 1) // 2 for length in small.shape[:2])
        square = torch.from_numpy(np.ascontiguousarray(small[top : top + side, left : left + side]))
        pictures.append(
            torch.nn.functional.interpolate(
                square.permute(2, 0, 1)[None], (size, size), mode="bilinear", antialias=True
            )[0]
        )
    clips = (torch.stack(pictures, 1)[None] / 255 - float(told["mean"])) / float(told["std"])
    (logits,) = session.run(["logits"], {"clips": clips.numpy()})
    assert told["activation"] == "softmax"
    powers = np.exp(logits - logits.max())
    expected = predict(exported, clip, views=1).probabilities
    assert np.abs(powers / powers.sum() - expected).max() < 1e-4


def test_weights_from_elsewhere(exported: Path, tmp_path: Path) -> None:
    bare = write_tiny(tmp_path / "bare.yaml", ["jump", "run", "wave"])
    with pytest.raises(UserError) as told:
        load_predictor(bare)
    assert str(told.value) == (
        "a prediction must have weights, but bare has none: give --weights FILE, or train it with "
        "`xpand train`."
    )
    own = load_predictor(bare, weights=exported.with_suffix(".safetensors"))
    clip = write_clip(tmp_path / "clip.mp4")
    assert np.array_equal(predict(own, clip).probabilities, predict(exported, clip).probabilities)


def test_files_that_are_no_exports(exported: Path, tmp_path: Path) -> None:
    path = tmp_path / "net.onnx"
    with pytest.raises(UserError) as told:
        load_predictor(path)
    assert str(told.value) == f"the model must be a file that exists, got {path}: look at the path."
    path.write_text("no graph")
    with pytest.raises(UserError, match="must be an ONNX file that ONNX Runtime can read, but it is not"):
        load_predictor(path)
    graph = onnx.load(str(exported.with_suffix(".onnx")))
    del graph.metadata_props[:]
    onnx.save(graph, str(path))
    with pytest.raises(UserError) as told:
        load_predictor(path)
    assert str(told.value) == (
        f"{path} must have the metadata that `xpand export --format onnx` writes, but 'frames' is missing or "
        "wrong: export the model again."
    )
    with pytest.raises(UserError) as told:
        load_predictor(exported.with_suffix(".onnx"), "target-80M")
    assert str(told.value) == (
        "--model and --weights must be left out for an ONNX file, which has its weights."
    )


def test_probabilities_that_are_no_numbers(exported: Path, tmp_path: Path) -> None:
    predictor = load_predictor(exported)
    with torch.no_grad():
        for parameter in predictor.network.parameters():
            parameter.fill_(float("nan"))
    with pytest.raises(RunFailed) as told:
        predict(predictor, write_clip(tmp_path / "clip.mp4"))
    assert str(told.value) == "the probabilities of tiny must be finite, but they are not: check its weights."
