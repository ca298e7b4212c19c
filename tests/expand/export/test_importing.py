"""Weights of other projects as models of ours: there and back again."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

import expand
from expand.errors import UserError
from expand.export.command import export
from expand.export.importing import import_weights
from expand.models import find_model, read_model
from tests.expand.export.test_layouts import shaken

RUN = Path(__file__).parents[3] / "results" / "reference" / "synthetic"
MODEL = "step-1-temporal"
FILES = {
    "slowfast": ("net.yaml", "net.pyth", "slowfast"),
    "pytorchvideo": ("net.yaml", "net.pth", "pytorchvideo"),
    "x3d-multigrid": ("net.pt", "net.pt", "multigrid"),
    "safetensors": ("net.safetensors", "net.safetensors", "xpand"),
}


@pytest.mark.parametrize("form", FILES)
def test_exported_and_imported_again_it_gives_the_same_logits(tmp_path: Path, form: str) -> None:
    network = shaken(find_model(RUN, MODEL).build())  # type: ignore[arg-type]
    save_file(network.state_dict(), tmp_path / "trained.safetensors")
    main, weights, layout = FILES[form]
    export(str(RUN), MODEL, form, tmp_path / main, weights=tmp_path / "trained.safetensors")
    done = import_weights(tmp_path / weights, str(RUN), MODEL, tmp_path / "back" / "again.yaml")
    assert (done.layout, done.classes) == (layout, 12)
    model = read_model(done.model)
    assert model.classes == find_model(RUN, MODEL).classes
    assert model.values["imported"]["layout"] == layout
    clips = torch.randn(2, 3, model.sampling.frames, 32, 32)
    with torch.no_grad():
        assert torch.allclose(expand.load_model(done.model)(clips), network(clips), atol=1e-5)


def test_another_label_set_comes_along(tmp_path: Path) -> None:
    network = find_model(RUN, MODEL).build()
    network.replace_classifier(3)  # type: ignore[operator]
    save_file(network.state_dict(), tmp_path / "w.safetensors")
    done = import_weights(tmp_path / "w.safetensors", str(RUN), MODEL, tmp_path / "a.yaml")
    assert read_model(done.model).classes == ("0", "1", "2")
    (tmp_path / "classes.txt").write_text("run\nsit\njump\n")
    done = import_weights(
        tmp_path / "w.safetensors", str(RUN), MODEL, tmp_path / "b.yaml", classes=tmp_path / "classes.txt"
    )
    assert read_model(done.model).classes == ("run", "sit", "jump")
    (tmp_path / "two.txt").write_text("run\nsit\n")
    with pytest.raises(UserError) as caught:
        import_weights(
            tmp_path / "w.safetensors", str(RUN), MODEL, tmp_path / "c.yaml", classes=tmp_path / "two.txt"
        )
    assert str(caught.value) == (
        f"--classes must name the 3 classes of the weights, one a line, but {tmp_path / 'two.txt'} has 2."
    )
    assert not (tmp_path / "c.yaml").exists()


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    save_file(find_model(RUN, MODEL).build().state_dict(), tmp_path / "w.safetensors")
    (tmp_path / "a.yaml").write_text("mine")
    with pytest.raises(UserError) as caught:
        import_weights(tmp_path / "w.safetensors", str(RUN), MODEL, tmp_path / "a.yaml")
    assert str(caught.value) == f"{tmp_path / 'a.yaml'} must not exist yet, but it does: take another --out."
    with pytest.raises(UserError) as caught:
        import_weights(tmp_path / "w.safetensors", str(RUN), MODEL, tmp_path / "a.yml")
    assert str(caught.value) == f"--out must end in .yaml, got {tmp_path / 'a.yml'}."
    assert (tmp_path / "a.yaml").read_text() == "mine"


def test_a_safetensors_export_tells_what_it_is_and_opens_by_its_model_file(tmp_path: Path) -> None:
    from safetensors import safe_open

    export(str(RUN), MODEL, "safetensors", tmp_path / "net.safetensors", fresh=True)
    with safe_open(tmp_path / "net.safetensors", "pt") as file:
        metadata = file.metadata()
    assert metadata["name"] == MODEL
    assert len(json.loads(metadata["classes"])) == 12
    assert expand.load_model(tmp_path / "net.yaml", weights=True) is not None
