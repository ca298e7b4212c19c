"""The reference runs that the repository holds are what their files say."""

from __future__ import annotations

import csv
import io
import json
import re
from itertools import islice
from pathlib import Path

import pandas as pd
import pytest
from rich.console import Console

import expand
from expand.bench.table.page import filled
from expand.config.base import load_config
from expand.config.full import FullConfig, Recipe
from expand.config.options import build_config
from expand.config.profile import read_profile
from expand.config.recipes import recipe_values
from expand.config.spaces import load_space
from expand.plots import FORMATS, KINDS
from expand.profiling.design import drawn
from expand.profiling.fit import checked
from expand.report.tables import write_table
from expand.run.record import RunRecord, read_run
from expand.weights.models import read_model

RESULTS = Path(__file__).parents[1] / "results"
RUNS = sorted(path for path in (RESULTS / "reference").iterdir() if path.is_dir())
TABLES = ("trajectory", "rounds", "decisions", "stability", "trials")


@pytest.fixture(scope="module", params=RUNS, ids=lambda path: path.name)
def record(request: pytest.FixtureRequest) -> RunRecord:
    return read_run(request.param)


def test_there_are_reference_runs_of_drawn_clips_and_of_videos() -> None:
    assert [path.name for path in RUNS] == ["motion", "motion-latency", "motion-scratch", "synthetic"]


def test_a_reference_run_is_whole(record: RunRecord) -> None:
    assert record.finished
    names = {row.name for row in record.trajectory if row.state == "done"}
    assert record.models.keys() == names
    held = {path.relative_to(record.folder).as_posix() for path in record.folder.rglob("*") if path.is_file()}
    expected = {"config.yaml", "study.db", "report.html"}
    expected |= {f"figures/{kind}.{form}" for kind in KINDS for form in FORMATS}
    expected |= {f"tables/{what}.csv" for what in TABLES}
    expected |= {f"models/{name}.yaml" for name in names}
    assert expected <= held


def test_a_reference_run_is_that_of_the_committed_configuration(
    record: RunRecord, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(RESULTS.parent)  # from where the configuration names its profile
    recipe = build_config(RESULTS / f"{record.folder.name}.yaml")
    assert recipe.deciding() | {"data": None} == record.config.deciding() | {"data": None}
    ours, theirs = recipe.data, record.config.data
    assert (ours.flip, ours.jitter) == (theirs.flip, theirs.jitter)
    if theirs.format == "synthetic":
        assert ours.synthetic == theirs.synthetic


@pytest.mark.parametrize("what", TABLES)
def test_its_tables_are_those_of_its_study(record: RunRecord, what: str) -> None:
    printed = io.StringIO()
    write_table(record.folder, what, "csv", None, Console(file=printed))  # type: ignore[arg-type]
    committed = pd.read_csv(record.folder / "tables" / f"{what}.csv")
    printed.seek(0)
    # Probabilities are sums that another processor rounds otherwise.
    pd.testing.assert_frame_equal(pd.read_csv(printed), committed, check_exact=False, rtol=1e-9)


def test_its_models_are_networks_of_the_cost_that_they_say(record: RunRecord) -> None:
    for name, path in record.models.items():
        model = read_model(path)
        counted = model.space.complexity(model.architecture, len(model.classes))
        said = model.values["complexity"]
        assert (counted.macs, counted.params) == (said["macs"], said["params"]), name
    (last,) = (path for name, path in record.models.items() if name == record.trajectory[-1].name)
    network = expand.load_model(last)
    assert sum(p.numel() for p in network.parameters()) == record.trajectory[-1].network.params


def test_the_results_are_small_and_name_no_machine() -> None:
    paths = [path for path in RESULTS.rglob("*") if path.is_file() and "checkpoints" not in path.parts]
    assert sum(path.stat().st_size for path in paths if path.suffix != ".safetensors") < 25e6
    for path in paths:
        if path.suffix in (".yaml", ".html", ".csv", ".svg", ".md", ".db"):
            text = path.read_bytes().decode(errors="replace")
            assert not re.search(r"/(home|root|work|tmp|Users)/", text), path


def test_the_page_on_what_a_search_is_worth_has_the_tables_of_the_results() -> None:
    page = (RESULTS.parent / "docs" / "proof.md").read_text()
    assert "<!-- contenders: results/table-motion/strategies-20M.json -->" in page
    assert filled(page) == page


TRAININGS = sorted(path for path in (RESULTS / "trainings").iterdir() if path.is_dir())


def test_there_are_trainings_with_and_without_multigrid() -> None:
    assert {load_config(path / "config.yaml", Recipe).training.multigrid for path in TRAININGS} == {
        True,
        False,
    }


@pytest.mark.parametrize("folder", TRAININGS, ids=lambda path: path.name)
def test_a_training_is_what_its_recipe_says(folder: Path) -> None:
    recipe = load_config(folder / "config.yaml", Recipe)
    with (folder / "history.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert float(rows[-1]["epochs"]) == pytest.approx(recipe.training.epochs, rel=0.01)
    page = (RESULTS / "README.md").read_text()
    assert f"{100 * float(rows[-1]['val_top1']):.1f} %" in page
    name, synthetic = recipe.training.recipe, recipe.data.format == "synthetic"
    if name == "small" or synthetic:
        assert name in ("small", "released")
        own = recipe_values(name, recipe.data.synthetic.train if synthetic else 1_827)
        values = {"epochs": recipe.training.epochs, "seed": recipe.training.seed, "recipe": name}
        values |= {"batch_size": 128} if name == "released" else {}  # which they were given
        assert recipe.training == FullConfig.model_validate({**own, **values})
        return
    shared = load_config(RESULTS / "training.yaml", Recipe).training
    varied = {"recipe", "epochs", "multigrid"}
    assert recipe.training.model_dump(exclude=varied) == shared.model_dump(exclude=varied)


@pytest.mark.parametrize("path", sorted((RESULTS / "profiles").glob("*.yaml")), ids=lambda path: path.stem)
def test_a_profile_is_what_its_times_and_the_docs_say(path: Path) -> None:
    profile = read_profile(path)
    space = load_space(profile.space, profile.settings)
    first, *groups = map(json.loads, path.with_suffix(".timings.jsonl").read_text().splitlines())
    times = [time for group in groups for time in group]
    networks = list(islice(drawn(space, profile.num_classes, first["largest"]), profile.networks))
    assert checked(networks, times) == (profile.errors, profile.errors_by_macs)
    page = (RESULTS.parent / "docs" / "latency.md").read_text()
    errors = f"{profile.errors.median:.1%} | {profile.errors.percentile_95:.1%} | {profile.errors.rank:.3f}"
    machine = next(name for name in ("Xeon", "EPYC") if name in str(profile.machine["processor"]))
    assert f"{path.name}) | {machine} | {errors.replace('%', ' %')} |" in page


def test_what_the_page_of_latency_prints(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    page = (RESULTS.parent / "docs" / "latency.md").read_text()
    monkeypatch.chdir(RESULTS.parent)
    (_, *parts) = page.split("```python\n")
    assert len(parts) == 3  # the last one times networks, on the profile's machine alone
    for part in parts[:2]:
        code, _, rest = part.partition("```")
        exec(code, {})
        assert capsys.readouterr().out == rest.partition("```\n")[2].partition("```")[0]


def test_tests_of_a_training_are_in_the_docs() -> None:
    values = json.loads((RESULTS / "trainings" / "plain-60" / "test.json").read_text())
    page = (RESULTS.parent / "docs" / "training.md").read_text()
    assert [test["views"] for test in values["tests"]] == [1, 10, 30]
    for test in values["tests"]:
        assert f"{test['scores']['top1']:.1%}" in page
        assert f"{test['scores']['mean_class_accuracy']:.1%}" in page
