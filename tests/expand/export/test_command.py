from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch
import yaml
from safetensors.torch import save_file

from expand.export import command, slowfast
from expand.export.base import FormatFiles, NetworkToExport
from expand.export.command import export
from expand.system.errors import UserError
from expand.system.signals import Interrupted
from expand.weights.models import read_model
from tests.expand.commands import ROOT, Xpand, refused

RUN = ROOT / "results/reference/motion"


def files(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob("*"))


def test_a_published_network_into_a_folder(tmp_path: Path, xpand: Xpand) -> None:
    done = xpand("export", "x3d-s", "--format", "slowfast", "--out", tmp_path)
    assert done.returncode == 0
    assert done.stdout.splitlines() == [
        str(tmp_path / "x3d-s-slowfast.yaml"),
        str(tmp_path / "x3d-s-slowfast.md"),
    ]
    assert done.stderr == "No weights go with it.\n"
    assert files(tmp_path) == ["x3d-s-slowfast.md", "x3d-s-slowfast.yaml"]


def test_a_runs_model_as_json(tmp_path: Path, xpand: Xpand) -> None:
    target = tmp_path / "new" / "folder" / "net.yaml"
    done = xpand(
        "export", RUN, "--model", "target-45M", "--format", "pytorchvideo", "--out", target, "--json"
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {
        "format": "pytorchvideo",
        "model": "target-45M",
        "files": [str(target.with_suffix(suffix)) for suffix in (".yaml", ".py", ".md")],
        "weights": "No weights go with it.",
        "remarks": ["PyTorchVideo's create_x3d leaves out the BatchNorm of res2's shortcut, 48 parameters."],
    }


@pytest.mark.parametrize("name", ["net", "net.yaml"])
def test_a_suffix_that_is_left_out_is_added(tmp_path: Path, name: str) -> None:
    export("x3d-s", None, "slowfast", tmp_path / name)
    assert files(tmp_path) == ["net.md", "net.yaml"]


def test_an_approximate_network_is_written_when_asked_for(tmp_path: Path, xpand: Xpand) -> None:
    arguments = ("export", "x3d-xl", "--format", "mmaction2", "--out", tmp_path / "net.py")
    assert refused(xpand(*arguments)) == (
        "Width 1.35 or 1.65 would agree: take that, or add --allow-approximate to write the other network, "
        "without weights."
    )
    assert files(tmp_path) == []
    done = xpand(*arguments, "--allow-approximate")
    assert done.returncode == 0
    assert "Approximate: MMAction2's X3D builds another network" in done.stderr
    assert "Approximate: MMAction2's X3D builds another network" in (tmp_path / "net.md").read_text()


@pytest.mark.parametrize(
    ("form", "out", "message"),
    [
        ("slowfast", "net.yml", "--out must end in .yaml for slowfast, or be an existing folder, got {out}."),
        ("mmaction2", ".py", "--out must end in .py for mmaction2, or be an existing folder, got {out}."),
        ("slowfast", "old.yaml", "{out} must not exist yet, but it does: take another --out."),
        ("slowfast", "page.yaml", "{md} must not exist yet, but it does: take another --out."),
        ("pytorchvideo", "net.yaml", "{py} must not exist yet, but it does: take another --out."),
    ],
)
def test_a_place_that_will_not_do(tmp_path: Path, form: str, out: str, message: str) -> None:
    for name in ("old.yaml", "page.md", "net.py"):
        (tmp_path / name).write_text("mine")
    path = tmp_path / out
    with pytest.raises(UserError) as caught:
        export("x3d-s", None, form, path)
    expected = message.format(out=path, md=path.with_suffix(".md"), py=path.with_suffix(".py"))
    assert str(caught.value) == expected
    assert files(tmp_path) == ["net.py", "old.yaml", "page.md"]


def test_an_unknown_format() -> None:
    with pytest.raises(UserError) as caught:
        export("x3d-s", None, "keras", Path("x"))
    assert str(caught.value) == (
        "--format must be one of slowfast, pytorchvideo, mmaction2, x3d-multigrid, safetensors, onnx, "
        "torch-export, got 'keras'."
    )


@pytest.mark.parametrize(
    ("options", "option"), [({"fresh": True}, "--fresh-weights"), ({"weights": Path("x")}, "--weights")]
)
def test_weights_for_a_format_that_takes_none(
    tmp_path: Path, options: dict[str, object], option: str
) -> None:
    with pytest.raises(UserError) as caught:
        export("x3d-s", None, "mmaction2", tmp_path, **options)  # type: ignore[arg-type]
    assert str(caught.value) == f"mmaction2 takes no weights along: leave {option} out."


def test_a_format_that_must_have_weights(tmp_path: Path) -> None:
    with pytest.raises(UserError) as caught:
        export("x3d-s", None, "safetensors", tmp_path)
    assert str(caught.value) == (
        "safetensors must have weights, but x3d-s has none: "
        "give --weights FILE, or --fresh-weights for untrained ones."
    )


@pytest.mark.parametrize("problem", [RuntimeError("full"), Interrupted(2)])
@pytest.mark.parametrize("where", ["write", "card"])
def test_nothing_is_left_after_a_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, problem: BaseException, where: str
) -> None:
    real = slowfast.write

    def write(source: NetworkToExport, path: Path) -> FormatFiles:
        real(source, path)
        raise problem

    def card(*_: object, **__: object) -> str:
        raise problem

    monkeypatch.setattr(*((slowfast, "write", write) if where == "write" else (command, "card", card)))
    with pytest.raises(type(problem)):
        export("x3d-s", None, "slowfast", tmp_path / "new" / "net.yaml")
    assert files(tmp_path) == []


def test_nothing_is_left_of_what_was_half_put_in_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, moved = Path.replace, list[Path]()

    def replace(self: Path, target: Path) -> Path:
        if moved:
            raise Interrupted(15)
        moved.append(target)
        return real(self, target)

    monkeypatch.setattr(Path, "replace", replace)
    with pytest.raises(Interrupted):
        export("x3d-s", None, "slowfast", tmp_path / "new" / "net.yaml")
    assert len(moved) == 1
    assert files(tmp_path) == []


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    path = tmp_path / "file" / "net.yaml"
    with pytest.raises(UserError) as caught:
        export("x3d-s", None, "slowfast", path)
    assert str(caught.value) == f"{path} cannot be written: Not a directory."


def test_a_models_name_stays_in_the_folder(tmp_path: Path) -> None:
    values = read_model(RUN / "models/target-45M.yaml").values
    model, folder = tmp_path / "net.yaml", tmp_path / "out"
    folder.mkdir()
    model.write_text(yaml.safe_dump({**values, "name": "../up and away"}))
    done = export(str(model), None, "slowfast", folder)
    assert done.files[0] == folder / "up-and-away-slowfast.yaml"


def test_the_weights_beside_a_model_go_with_it(tmp_path: Path) -> None:
    model = read_model(RUN / "models/target-45M.yaml")
    torch.manual_seed(7)
    state = model.build().state_dict()
    file = tmp_path / "net.yaml"
    shutil.copyfile(RUN / "models/target-45M.yaml", file)
    save_file(state, tmp_path / "net.safetensors")
    done = export(str(file), None, "slowfast", tmp_path / "out.yaml")
    assert [path.name for path in done.files] == ["out.yaml", "out.pyth", "out.md"]
    assert done.weights == "Its weights are those of net.safetensors."
    written = torch.load(tmp_path / "out.pyth", weights_only=True)["model_state"]
    assert torch.equal(written["s1.pathway0_stem.conv_xy.weight"], state["stem.spatial.weight"])
    assert "Its weights are those of net.safetensors." in (tmp_path / "out.md").read_text()


def test_other_weights_go_before_those_beside_the_model(tmp_path: Path) -> None:
    model = read_model(RUN / "models/target-45M.yaml")
    save_file(model.build().state_dict(), tmp_path / "other.safetensors")
    done = export(
        str(RUN), "target-45M", "pytorchvideo", tmp_path, weights=tmp_path / "other.safetensors", fresh=True
    )
    assert done.weights == "Its weights are those of other.safetensors."


def test_untrained_weights_are_the_same_each_time_and_said_to_be_untrained(tmp_path: Path) -> None:
    stems: list[torch.Tensor] = []
    for name in ("one.yaml", "two.yaml"):
        torch.manual_seed(len(stems))  # which must not matter
        done = export("x2d", None, "slowfast", tmp_path / name, fresh=True)
        assert done.weights == "Its weights are untrained, drawn from seed 0."
        checkpoint = torch.load((tmp_path / name).with_suffix(".pyth"), weights_only=True)["model_state"]
        stems.append(checkpoint["s1.pathway0_stem.conv_xy.weight"])
    assert torch.equal(*stems)
    assert "Its weights are untrained, drawn from seed 0." in (tmp_path / "one.md").read_text()


def test_weights_that_an_approximate_network_cannot_take_are_not_said_to_be_there(tmp_path: Path) -> None:
    values = yaml.safe_load((RUN / "models/target-45M.yaml").read_text())
    values["architecture"]["head_width"], values["architecture"]["stages"][1]["width"] = 64, 40
    (tmp_path / "net.yaml").write_text(yaml.safe_dump(values))
    done = export(
        str(tmp_path / "net.yaml"),
        None,
        "slowfast",
        tmp_path / "out.yaml",
        fresh=True,
        allow_approximate=True,
    )
    assert [path.name for path in done.files] == ["out.yaml", "out.md"]
    assert done.weights == "No weights go with it."
    assert done.remarks[-1] == "Weights are not taken along: they do not fit that network."
