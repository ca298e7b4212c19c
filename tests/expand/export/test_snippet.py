"""The snippet of a card, run as its reader runs it."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from hypothesis import given
from hypothesis import strategies as st

from expand.data.clips import _resized
from expand.export.base import RUN_TORCH, FormatFiles
from expand.export.command import export
from expand.export.snippet import head_of_card, snippet
from expand.export.standalone import clip, scaled
from expand.predicting.video import predict
from tests.expand.data.videos import Pixels, at_rate, write_video
from tests.expand.export.points import model_at
from tests.expand.models import write_tiny

CLASSES = ["jump", "run", "wave"]


def noise(time: float, size: tuple[int, int]) -> Pixels:
    rng = np.random.default_rng(round(1000 * time))
    return rng.integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model with weights, and a video larger than its frames, so that both steps of scaling are needed."""
    place = tmp_path_factory.mktemp("snippets")
    write_tiny(place / "tiny.yaml", CLASSES, weights=True)
    write_video(place / "video.mp4", at_rate(25, 50), size=(120, 90), paint=noise)
    return place


def code_of(card: Path) -> str:
    return card.read_text().split("```python\n")[1].split("\n```")[0]


@pytest.mark.parametrize(
    "form", ["torch-export", "safetensors", pytest.param("onnx", marks=pytest.mark.slow)]
)
def test_it_prints_the_probabilities_of_xpand(
    folder: Path,
    tmp_path: Path,
    form: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    done = export(str(folder / "tiny.yaml"), None, form, tmp_path)
    (tmp_path / "video.mp4").symlink_to(folder / "video.mp4")
    monkeypatch.chdir(tmp_path)
    exec(code_of(done.files[-1]), {})
    expected = predict(folder / "tiny.yaml", folder / "video.mp4", views=1).top(3)
    assert capsys.readouterr().out.splitlines() == [f"{name} {share:.1%}" for name, share in expected]


def test_it_is_the_same_clip_to_the_last_bit(folder: Path) -> None:
    """By the head of any card alone, of whichever format."""
    from expand.data import video
    from expand.data.cache_needs import EvenClips
    from expand.data.clips import view_batches
    from expand.data.decoded_split import DecodedSplit
    from expand.predicting.predictor import load_predictor

    predictor = load_predictor(folder / "tiny.yaml")
    viewing, prepared = predictor.viewing(1), predictor.preprocessing
    even = EvenClips(sampling=prepared.clips, clips=1)
    (decoded,) = video.read(
        folder / "video.mp4",
        [None],
        lambda seconds: np.unique(even.times(seconds)),
        short_side=prepared.short_side,
    )
    assert not isinstance(decoded, Exception)
    ((own, _),) = view_batches(DecodedSplit([decoded]), viewing.sampling, viewing.views, batch_size=1)
    assert prepared.scale > 1
    found = clip(str(folder / "video.mp4"), prepared.values())
    assert np.array_equal(np.rint(255 * (0.225 * found + 0.45)), np.rint(255 * (0.225 * own.numpy() + 0.45)))
    assert np.abs(found - own.numpy()).max() < 1e-4


@given(side=st.integers(8, 300), size=st.integers(8, 200), seed=st.integers(0, 2**32))
def test_scaling_is_that_of_torch(side: int, size: int, seed: int) -> None:
    pixels = np.random.default_rng(seed).integers(0, 256, (side, side, 3), dtype=np.uint8)
    expected = _resized(torch.from_numpy(pixels[None]).permute(0, 3, 1, 2), size)[0].permute(1, 2, 0)
    assert np.array_equal(scaled(pixels, size), expected.numpy())


@pytest.mark.parametrize("form", ["slowfast", "pytorchvideo", "x3d-multigrid"])
def test_each_formats_snippet_makes_the_clip_itself(
    folder: Path, tmp_path: Path, form: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The projects' own classes are not here to be run; MMAction2 and xpand read videos themselves."""
    done = export("x3d-xs", None, form, tmp_path, fresh=True)
    code = code_of(done.files[-1])
    compile(code, "snippet", "exec")
    before, _, after = code.partition('clips = clip("video.mp4", given)\n')
    given = yaml.safe_load((tmp_path / done.files[-1].name).read_text().split("---\n")[1])
    names: dict[str, object] = {}
    monkeypatch.chdir(tmp_path)
    exec(before, names)
    assert names["given"] == given
    made = names["clip"](str(folder / "video.mp4"), given)  # type: ignore[operator]
    assert made.shape == (1, 3, given["frames"], given["size"], given["size"])
    assert re.search(r"^outputs = ", after, re.MULTILINE)


def test_outputs_become_probabilities_as_the_network_says() -> None:
    written = FormatFiles(files=(), loading="network = None", running=RUN_TORCH)
    one = snippet(model_at(), written, "net.md")
    assert "powers / powers.sum(axis=-1, keepdims=True)" in one
    assert "def clip(path, given):" in one
    assert "def scaled(pixels, size):" in one
    several = snippet(model_at(values={"labels": "several", "head": "frame"}), written, "net.md")
    assert "probabilities = (1 / (1 + np.exp(-outputs)))[0]\n" in several
    assert "probabilities = probabilities.mean(axis=0)  # over the frames of the clip\n" in several
    given = FormatFiles(files=(), loading="", running=RUN_TORCH, outputs="probabilities")
    assert "probabilities = outputs[0]\n" in snippet(model_at(), given, "net.md")


def test_nothing_in_a_name_ends_the_head() -> None:
    evil = "---\n<img> \u2028 é"
    head = head_of_card(model_at(name=evil, classes=(evil, "b")), "onnx")
    assert "<" not in head
    assert yaml.safe_load(head.split("---\n")[1])["classes"] == [evil, "b"]
