"""Weights of other projects as models of ours: there and back again."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
import yaml
from safetensors.torch import save_file

import expand
from expand.export import importing
from expand.export.command import export
from expand.export.importing import import_weights
from expand.system.errors import UserError
from expand.weights.layouts import to_layout
from expand.weights.models import find_model, read_model
from tests.expand.commands import Xpand, refused
from tests.expand.weights.test_layouts import shaken

RUN = Path(__file__).parents[1] / "x3d_run"
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


def test_after_a_failure_nothing_is_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save_file(find_model(RUN, MODEL).build().state_dict(), tmp_path / "w.safetensors")

    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(importing, "write_values", fail)
    with pytest.raises(UserError) as caught:
        import_weights(tmp_path / "w.safetensors", str(RUN), MODEL, tmp_path / "new" / "a.yaml")
    path = tmp_path / "new" / "a.yaml"
    assert str(caught.value) == f"{path} cannot be written: No space left on device."
    assert [path.name for path in tmp_path.iterdir()] == ["w.safetensors"]


def test_what_is_known_of_the_network_goes_along_and_what_was_measured_of_others_does_not(
    tmp_path: Path,
) -> None:
    weights = tmp_path / "w.safetensors"
    network = find_model(RUN, MODEL)
    save_file(network.build().state_dict(), weights)
    values = read_model(import_weights(weights, str(RUN), MODEL, tmp_path / "a.yaml").model).values
    assert values["factors"] == network.values["factors"]
    assert values["complexity"] == network.values["complexity"]
    assert values["data"] == {"classes": list(network.classes)}
    assert values["imported"] == {
        "file": "w.safetensors",
        "sha256": hashlib.sha256(weights.read_bytes()).hexdigest(),
        "layout": "xpand",
    }
    assert not values.keys() & {"found", "measured"}


def test_a_head_for_each_frame_stays_one(tmp_path: Path) -> None:
    values = {**find_model(RUN, MODEL).values, "head": "frame"}
    (tmp_path / "net.yaml").write_text(yaml.safe_dump(values))
    save_file(find_model(RUN, MODEL).build().state_dict(), tmp_path / "w.safetensors")
    done = import_weights(tmp_path / "w.safetensors", str(tmp_path / "net.yaml"), None, tmp_path / "a.yaml")
    assert read_model(done.model).head == "frame"
    assert expand.load_model(done.model)(torch.rand(1, 3, 2, 32, 32)).shape == (1, 2, 12)


def test_weights_of_another_network(tmp_path: Path) -> None:
    path = tmp_path / "w.pyth"
    other = find_model(RUN, "step-2-fast")
    state = to_layout(other.build().state_dict(), other.architecture, "slowfast")
    del state["s5.pathway0_res0.branch2.b.weight"]
    torch.save({"model_state": state}, path)
    with pytest.raises(UserError) as caught:
        import_weights(path, str(RUN), "step-2-fast", tmp_path / "new" / "a.yaml")
    assert str(caught.value) == (
        f"{path} must hold the weights of step-2-fast, but stages.3.blocks.0.depthwise.weight "
        "(s5.pathway0_res0.branch2.b.weight in the file) is missing: name the network that these weights "
        "belong to."
    )
    assert [path.name for path in tmp_path.iterdir()] == ["w.pyth"]


def test_the_command_and_those_that_work_on_what_it_leaves(tmp_path: Path, xpand: Xpand) -> None:
    network = find_model("x2d").build()
    network.replace_classifier(3)  # type: ignore[operator]
    model = replace(find_model("x2d"), classes=("a", "b", "c"))
    state = to_layout(network.state_dict(), model.architecture, "pytorchvideo")
    torch.save({"model_state": state}, tmp_path / "w.pth")
    (tmp_path / "classes.txt").write_text("run\nsit\njump\n")
    made = tmp_path / "mine.yaml"
    done = xpand(
        *("import", tmp_path / "w.pth", "--network", "x2d", "--out", made),
        *("--classes", tmp_path / "classes.txt"),
    )
    assert done == (
        0,
        f"{made}\n{made.with_suffix('.safetensors')}\n",
        "3 classes; the names of the weights were those of pytorchvideo\n",
    )
    assert xpand("count", made).returncode == 0
    back = xpand("export", made, "--format", "x3d-multigrid", "--out", tmp_path / "mg.pt")
    assert back.returncode == 0, back.stderr
    done = xpand("import", tmp_path / "mg.pt", "--network", made, "--out", tmp_path / "b.yaml", "--json")
    assert json.loads(done.stdout) == {
        "model": str(tmp_path / "b.yaml"),
        "weights": str(tmp_path / "b.safetensors"),
        "layout": "multigrid",
        "classes": 3,
        "remarks": [],
    }
    assert read_model(tmp_path / "b.yaml").classes == ("run", "sit", "jump")
    clips = torch.rand(1, 3, 1, 112, 112)
    with torch.no_grad():
        wanted = network.eval()(clips)
        assert torch.allclose(expand.load_model(tmp_path / "b.yaml")(clips), wanted, atol=1e-5)
    taken = xpand("import", tmp_path / "mg.pt", "--network", made, "--out", made)
    assert refused(taken) == f"error: {made} must not exist yet, but it does: take another --out."


def test_a_safetensors_export_tells_what_it_is_and_opens_by_its_model_file(tmp_path: Path) -> None:
    from safetensors import safe_open

    export(str(RUN), MODEL, "safetensors", tmp_path / "net.safetensors", fresh=True)
    with safe_open(tmp_path / "net.safetensors", "pt") as file:
        told = json.loads(file.metadata()["xpand"])
    assert told["name"] == MODEL
    assert len(told["classes"]) == 12
    assert expand.load_model(tmp_path / "net.yaml", weights=True) is not None


def test_what_was_left_out_is_said(tmp_path: Path, xpand: Xpand) -> None:
    state = {**find_model(RUN, MODEL).build().state_dict(), "total_ops": torch.zeros(1)}
    torch.save(state, tmp_path / "w.pt")
    done = xpand(
        "import", tmp_path / "w.pt", "--network", RUN, "--model", MODEL, "--out", tmp_path / "a.yaml"
    )
    assert done.stderr == (
        "12 classes; the names of the weights were those of xpand\n"
        "left out, as they are not the network's: total_ops\n"
    )
    done = xpand(
        *("export", RUN, "--model", MODEL, "--format", "safetensors"),
        *("--weights", tmp_path / "w.pt", "--out", tmp_path / "b.safetensors"),
    )
    assert done.stderr == (
        "Its weights are those of w.pt.\nleft out, as they are not the network's: total_ops\n"
    )
