"""Candidates of a run as models, also those that were not accepted."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from expand.run.candidates import chosen_model
from expand.run.record import read_run
from expand.run.study import Run
from expand.system.errors import UserError
from expand.weights.models import read_model
from tests.expand.commands import Xpand, refused
from tests.expand.runs import run_search, toy_config


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = tmp_path_factory.mktemp("candidates")
    return run_search(folder / "run", toy_config(folder / "cache"))[0]


def test_a_candidate_that_was_not_accepted_is_a_model(run: Run) -> None:
    record = read_run(run.folder)
    row = next(row for row in record.rounds if row.round == 1 and not row.accepted)
    model = chosen_model(run.folder, candidate=f"1/{row.network.candidate}")
    space = record.setup.space
    assert model.name == f"1-{row.network.candidate}"
    assert model.architecture == space.architecture(row.network.point)
    assert model.sampling == row.network.clips
    assert model.values["measured"]["top1"] == row.score
    assert model.weights is None


def test_an_accepted_candidate_is_the_same_network_as_its_model(run: Run) -> None:
    row = next(row for row in read_run(run.folder).rounds if row.round == 1 and row.accepted)
    own = read_model(next(path for name, path in run.models().items() if name.startswith("step-1")))
    model = chosen_model(run.folder, candidate=f"1/{row.network.candidate}")
    assert (model.architecture, model.classes) == (own.architecture, own.classes)


def test_a_candidate_that_is_not_there_names_those_that_are(run: Run) -> None:
    with pytest.raises(
        UserError, match=r"such as 1/frames, 1/width.*, got 1/height: .* has the rounds 0, 1, 2"
    ):
        chosen_model(run.folder, candidate="1/height")
    with pytest.raises(UserError, match=r"^give either --model or --candidate, got step-1 and 1/width\.$"):
        chosen_model(run.folder, "step-1", "1/width")


def test_without_a_name_it_is_the_only_target(run: Run, tmp_path: Path) -> None:
    models = run.models()
    targets = [name for name in models if name.startswith("target-")]
    folder = shutil.copytree(run.folder, tmp_path / "run")
    for name in targets[1:]:
        (folder / "models" / f"{name}.yaml").unlink()
    assert chosen_model(folder).name == targets[0]
    shutil.copy(folder / "models" / f"{targets[0]}.yaml", folder / "models" / "target-1G.yaml")
    with pytest.raises(UserError) as caught:
        chosen_model(folder)
    rest = ", ".join(sorted({*models, "target-1G"} - set(targets[1:])))
    assert str(caught.value) == f"--model must be one of {rest} in {folder}, got nothing."


def test_the_verbs_take_a_candidate(xpand: Xpand, run: Run, tmp_path: Path) -> None:
    counted = json.loads(xpand("count", run.folder, "--candidate", "1/width", "--json").stdout)
    assert counted["name"] == "1-width"
    assert "such as" in refused(xpand("count", run.folder, "--candidate", "none"))
    out = tmp_path / "net.safetensors"
    done = xpand(
        "export",
        run.folder,
        "--candidate",
        "1/width",
        "--format",
        "safetensors",
        "--out",
        out,
        "--fresh-weights",
    )
    assert done.returncode == 0, done.stderr
    assert out.exists()
    planned = xpand("train", run.folder, "--candidate", "1/width", "--dry-run")
    assert planned.returncode == 0, planned.stderr
    assert "learning rate" in planned.stdout
