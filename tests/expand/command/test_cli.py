"""The command, as a user types it: what it prints, where, and its exit code."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from expand.config.base import load_config, to_yaml
from expand.config.full import Recipe
from expand.config.search import Config
from expand.jobs.job import Job, Result
from expand.search.base import Candidate
from expand.system.version import VERSION
from tests.expand.commands import ROOT, Xpand, refused
from tests.expand.made_up import made_up_run
from tests.expand.profiles import PROFILE
from tests.expand.runs import LEARNING, run_search, toy_config
from tests.expand.search.test_replay import measurement

# Runs the command by each of its arguments, and prints what it has imported by then that is heavy.
IMPORTS = """
import sys
from expand.command.cli import main
for arguments in sys.argv[1:]:
    sys.argv = ["xpand", *arguments.split()]
    try:
        main()
    except SystemExit as end:
        assert not end.code, arguments
    heavy = {"torch", "optuna", "pandas", "numpy", "av", "pyarrow"} & {*sys.modules}
    print(f"{arguments}: {sorted(heavy)}", file=sys.stderr)
"""


def test_help_and_counts_import_nothing_heavy() -> None:
    commands = ["--help", "search --help", "bench step --help", "count x3d-s", "count x2d --json"]
    done = subprocess.run(
        [sys.executable, "-c", IMPORTS, *commands], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.stderr.splitlines() == [f"{command}: []" for command in commands]
    assert done.returncode == 0


def test_every_option_of_a_search_is_explained(xpand: Xpand) -> None:
    done = xpand("search", "--help")
    assert done.returncode == 0
    for option in (
        "--data",
        "--target",
        "--config",
        "--out",
        "--workers",
        "--seeds",
        "--no-flip",
        "--dry-run",
    ):
        line = next(line for line in done.stdout.splitlines() if option in line)
        assert len(line.split()) > 5, line


@pytest.mark.parametrize(
    ("name", "macs", "params"),
    [("x2d", 20_662_304, 1_633_560), ("x3d-xs", 605_256_512, 3_794_322), ("X3D-S", 1_962_892_112, 3_794_322)],
)
def test_count_prints_one_object(xpand: Xpand, name: str, macs: int, params: int) -> None:
    found = json.loads(xpand("count", name, "--json").stdout)
    assert (found["macs"], found["params"]) == (macs, params)
    assert found["activations"] == sum(stage["activations"] for stage in found["stages"])
    assert found["views"]["10"]["macs"] == 10 * macs


def test_count_shows_stages_and_views(xpand: Xpand) -> None:
    done = xpand("count", "x3d-s")
    assert done.returncode == 0
    for text in ("res4", "1,962,892,112", "10 views at 160²: 19.63 G", "30 views at 182²: 81.66 G"):
        assert text in done.stdout


def test_count_says_what_a_network_takes(xpand: Xpand, tmp_path: Path) -> None:
    profile = tmp_path / "device.yaml"
    profile.write_text(yaml.safe_dump(PROFILE))
    shown = xpand("count", "x3d-s", "--profile", profile).stdout
    assert "weights 15.2 MB, activations in memory at once 28 MB (float32)" in shown
    found = json.loads(xpand("count", "x3d-s", "--profile", profile, "--json").stdout)
    assert (found["weights"], found["peak"]) == (4 * found["params"], 27_955_200)
    milliseconds = f"{found['predicted_latency'] / 1e6:.3g}"
    assert f"predicted latency {milliseconds} ms (torch on cpu, 1 thread; extrapolated, from" in shown
    assert refused(xpand("count", "x3d-s", "--profile", ROOT / "results" / "motion.yaml")).endswith(
        "motion.yaml must be a profile, as xpand profile writes it."
    )


def test_count_without_a_name_shows_the_published_networks(xpand: Xpand) -> None:
    lines = xpand("count").stdout.splitlines()
    assert [line.split()[0] for line in lines] == [
        "network",
        "x2d",
        *(f"x3d-{s}" for s in ("xs", "s", "m", "l", "xl")),
    ]
    assert lines[4].split()[3].startswith("4,732,")  # X3D-M: 4.7325 G in SlowFast's model zoo
    assert refused(xpand("count", "--json")).startswith(
        "error: name one network, a model's YAML or --factors"
    )


def test_count_of_a_run_shows_all_of_its_models(xpand: Xpand) -> None:
    run = ROOT / "results" / "reference" / "motion"
    rows = [line.split() for line in xpand("count", run).stdout.splitlines()]
    assert [row[0] for row in rows] == [
        *(
            "network",
            "step-0",
            "step-1-temporal",
            "target-20M",
            "step-2-temporal",
            "target-45M",
            "step-3-fast",
        ),
        *("target-90M", "step-4-spatial"),
    ]
    one = json.loads(xpand("count", run, "--model", "target-20M", "--json").stdout)
    assert json.loads(xpand("count", run, "--json").stdout)["networks"][2] == one
    assert rows[3][3] == f"{one['macs']:,}"
    profile = ROOT / "results" / "profiles" / "motion-torch.yaml"
    assert "latency" in xpand("count", run, "--profile", profile).stdout.splitlines()[0]
    assert refused(xpand("count", run, "--model", "target-1M")).startswith(
        "error: --model must be one of step-0"
    )


def test_count_verifies_with_fvcore(xpand: Xpand) -> None:
    done = xpand("count", "--factors", "bottleneck=2.25,depth=2.2", "--verify")
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip().endswith("parameters: equal")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ("resnet",),
            "error: the model must be one of x2d, x3d-xs, x3d-s, x3d-m, x3d-l, x3d-xl, a run's folder "
            "or a model's YAML, got 'resnet'.",
        ),
        (("no.yaml",), "error: no.yaml cannot be read: No such file or directory."),
        (
            ("--factors", "widht=2"),
            "error: factors must be among frames, rate, size, width, bottleneck, depth, got 'widht'.",
        ),
        (("--factors", "width=wide"), "error: factor width must be a number above 0, got 'wide'."),
        (("--factors", "width=0"), "error: factor width must be a finite number above 0, got 0.0."),
    ],
)
def test_what_cannot_be_counted(xpand: Xpand, arguments: tuple[str, ...], message: str) -> None:
    assert refused(xpand("count", *arguments)) == message


@pytest.mark.slow
def test_a_search_from_the_command_to_its_tables(xpand: Xpand, tmp_path: Path, cache: Path) -> None:
    """Search, status, table, count and load: what the README shows, on the toy space."""
    config = tmp_path / "mine.yaml"
    config.write_text(to_yaml(toy_config(cache, training=LEARNING)))
    run = tmp_path / "run"
    done = xpand("search", "--config", config, "--out", run)
    assert done.returncode == 0, done.stderr
    assert "about" in done.stderr
    assert "step-0" in done.stdout
    assert "target-4K" in done.stdout
    assert "Nothing beats guessing" in done.stderr  # with 12 validation videos of 12 classes
    assert f"xpand table {run} --what rounds" in done.stderr

    status = xpand("status", run)
    assert "finished" in status.stdout
    assert json.loads(xpand("status", run, "--json").stdout)["finished"] is True

    assert (run / "report.html").read_text(encoding="utf-8").startswith("<!doctype html>")
    trials = json.loads(xpand("table", run, "--what", "trials", "--format", "json").stdout)
    assert {trial["state"] for trial in trials} == {"done"}
    lines = xpand("table", run, "--format", "csv").stdout.splitlines()
    assert lines[0].startswith("name,step,target,round,candidate,axis")
    assert xpand("table", run, "--what", "rounds", "--format", "markdown").stdout.startswith("| round |")
    everything = xpand("table", run, "--format", "markdown", "--all").stdout.splitlines()
    assert everything[0].strip("| ").split(" | ") == lines[0].split(",")
    assert xpand("table", run, "--format", "parquet", "--out", tmp_path / "t.parquet").returncode == 0
    assert (tmp_path / "t.parquet").read_bytes()[:4] == b"PAR1"
    assert refused(xpand("table", run, "--format", "parquet")) == (
        "error: parquet needs a file to go to, got none: add --out FILE."
    )

    counted = json.loads(xpand("count", run / "models" / "target-4K.yaml", "--json").stdout)
    assert counted["macs"] <= 4_000
    assert refused(xpand("search", "--config", config, "--out", run)) == (
        f"error: {run} must be free for a new run, but it holds one: go on with it by `xpand resume {run}`, "
        "or choose another --out."
    )
    again = xpand("resume", run, "--json")
    assert again.returncode == 0, again.stderr
    assert json.loads(again.stdout)["trajectory"][0]["name"] == "step-0"


@pytest.mark.slow
@pytest.mark.usefixtures("no_figures", "only_svg")
def test_what_a_search_says_to_type_next_works(xpand: Xpand, tmp_path: Path, cache: Path) -> None:
    """Each line is typed as it stands, the training's too: on the clips that were searched on."""

    def score(number: int, candidate: Candidate, job: Job) -> Result:
        return measurement(0.9, macs=candidate.macs)

    made_up_run(tmp_path / "a run", toy_config(cache, search={"targets": [600]}), score=score)
    search = xpand("resume", "a run", cwd=tmp_path)
    lines = search.stderr.partition("Next:\n")[2].splitlines()
    typed = [shlex.split(line) for line in lines]
    assert [words[1] for words in typed] == ["train", "plot", "count", "table", "-c"]
    for name, *words in typed:
        if name == "xpand":
            done = xpand(*words, cwd=tmp_path)
            assert done.returncode == 0, done.stderr
        else:
            own = {**os.environ, "PYTHONPATH": str(ROOT)}  # where the toy space is
            subprocess.run([name, *words], cwd=tmp_path, env=own, check=True, capture_output=True)
    trained = load_config(tmp_path / "results" / "target-600-synthetic" / "config.yaml", Recipe)
    assert trained.data.synthetic == toy_config().data.synthetic


@pytest.mark.slow
@pytest.mark.usefixtures("no_figures")
def test_what_a_search_that_found_nothing_says_to_type_next_works(
    xpand: Xpand, tmp_path: Path, cache: Path
) -> None:
    config = tmp_path / "mine.yaml"
    config.write_text(to_yaml(toy_config(cache, search={"targets": [600]}, training=LEARNING)))
    search = xpand("search", "--config", config, "--out", "a run", cwd=tmp_path)
    typed = [shlex.split(line) for line in search.stderr.partition("Next:\n")[2].splitlines()]
    assert [words[:2] for words in typed] == [["xpand", "frames"], ["xpand", "search"], ["xpand", "table"]]
    for _, *words in typed:
        done = xpand(*words, cwd=tmp_path)
        assert done.returncode == 0, done.stderr
    longer = load_config(tmp_path / "results" / "synthetic" / "config.yaml", Config)
    assert longer.training.epochs == 4 * LEARNING["epochs"]
    assert longer.data == load_config(tmp_path / "a run" / "config.yaml", Config).data


def test_all_candidates_failing_is_exit_code_1(xpand: Xpand, tmp_path: Path, cache: Path) -> None:
    config = tmp_path / "mine.yaml"
    config.write_text(to_yaml(toy_config(cache, space={"settings": {"fault": "raise", "fault_above": 0}})))
    done = xpand("search", "--config", config, "--out", tmp_path / "run")
    assert done.returncode == 1
    assert done.stderr.strip().splitlines()[-1] == (
        "failed: every candidate of round 0 failed: start: RuntimeError: this network is broken."
    )
    assert "every candidate of round 0 failed" in xpand("status", tmp_path / "run").stdout


def folder_of(path: Path, *classes: str) -> Path:
    for name in classes:
        (path / name).mkdir(parents=True)
        (path / name / "a.mp4").touch()
    return path


def test_mistakes_of_a_search_write_nothing(xpand: Xpand, tmp_path: Path) -> None:
    (tmp_path / "bad.yaml").write_text(yaml.safe_dump({"serch": {}}))
    (tmp_path / "none.yaml").write_text(yaml.safe_dump({"search": {"axes": [], "targets": ["80M"]}}))
    one = folder_of(tmp_path / "one", "walk")
    lists = folder_of(tmp_path / "lists", "walk", "run")
    (lists / "train.txt").write_text("walk/a.mp4 0\nrun/a.mp4 1\n")
    (lists / "val.txt").write_text("walk/a.mp4 2\n")
    before = sorted(tmp_path.rglob("*"))
    messages = {
        (
            "--config",
            "bad.yaml",
        ): "bad.yaml: unknown key serch: did you mean search? known are space, search, data, training, run.",
        ("--config", "none.yaml"): (
            "none.yaml: search.axes: name at least one axis, or leave `axes` out to use all of the space's."
        ),
        ("--target", "100K"): (
            "target must be at least the start network's 431.3 K MACs, got 100 K: raise --target, or "
            "start from a smaller basis (for x3d by --set space.settings.size=… or frames)."
        ),
        ("--start", "x3d-xs"): (
            "search.start must be a network of the search's space, x3d with size 40, stride 34, stem_width "
            "8, widths [8, 16, 32, 64], depths [1, 2, 3, 2], head_width 256, but x3d-xs is one of x3d's own "
            "basis: set space to the latter, or start from factors (search.start.depth=2.2)."
        ),
        ("--set", "search.start.depht=2"): (
            "search.start must have factors of the space, got depht 2: factors must be among frames, rate, "
            "size, width, bottleneck, depth, got depht."
        ),
        (
            "--data",
            "one",
        ): "a search needs at least one compute target, got none: give one, such as --target 80M.",
    }
    for arguments, message in messages.items():
        assert refused(xpand("search", *arguments, cwd=tmp_path, cache=tmp_path)) == f"error: {message}"
    for folder in ("nowhere", one, lists):
        assert refused(xpand("search", "--data", folder, "--target", "80M", cwd=tmp_path, cache=tmp_path))
    for verb in ("status", "resume"):
        assert refused(xpand(verb, one)) == (
            f"error: {one} must be the folder of a search or a training, but it is neither: "
            "name one that `xpand search` or `xpand train` made."
        )
    nowhere = ("--data", "nowhere", "--target", "1K")  # the first mistake is the folder
    assert refused(xpand("search", *nowhere, cwd=tmp_path)) == (
        "error: data.path must be a folder, got nowhere: no such folder."
    )
    assert sorted(tmp_path.rglob("*")) == before


def test_what_does_not_exist_is_said_not_to(xpand: Xpand, tmp_path: Path) -> None:
    for verb in ("table", "plot", "report"):
        assert refused(xpand(verb, tmp_path / "nothing")) == (
            f"error: {tmp_path / 'nothing'} must be the folder of a search, but nothing is there: "
            "name one that `xpand search` made."
        )
    for verb in ("status", "resume"):
        assert refused(xpand(verb, tmp_path / "nothing")) == (
            f"error: {tmp_path / 'nothing'} must be the folder of a search or a training, but nothing is "
            "there: name one that `xpand search` or `xpand train` made."
        )
    assert refused(xpand("train", tmp_path / "nothing", "--model", "target-80M")).endswith(
        "of which --model target-80M is taken, but it does not exist: name one that is there."
    )


def test_a_training_is_not_taken_for_a_search(xpand: Xpand, tmp_path: Path) -> None:
    (tmp_path / "training.json").write_text("{}")
    for arguments in (("table", tmp_path), ("plot", tmp_path, tmp_path)):
        assert refused(xpand(*arguments)) == (
            f"error: {tmp_path} must be the folder of a search, but it is that of a full training: "
            f"`xpand status {tmp_path}` shows it."
        )


def test_the_version(xpand: Xpand) -> None:
    assert xpand("--version").stdout == f"xpand {VERSION}\n"


@pytest.mark.slow
def test_doctor_on_synthetic_clips_prints_one_object(xpand: Xpand, tmp_path: Path) -> None:
    done = xpand(
        "doctor", "synthetic", "--json",
        "--set", "data.synthetic={train: 24, val: 12, size: 32}", "--set", "space.settings.size=32",
        cache=tmp_path,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert report["usable"] == {"train": 24, "val": 12, "test": 0}
    assert len(report["classes"]) == 12
    assert report["cache"]["raw_bytes"] > 0  # for two steps' clips, where no target says more


def test_a_run_of_another_config_is_not_resumed(xpand: Xpand, tmp_path: Path, cache: Path) -> None:
    run, _ = run_search(tmp_path / "run", toy_config(cache, search={"targets": [600]}))
    path = run.folder / "config.yaml"
    path.write_text(path.read_text().replace("- 600", "- 700"))
    assert "search.targets: [600] → [700]" in refused(xpand("resume", run.folder))


def test_a_locale_without_the_letters_ends_no_command() -> None:
    environment = {**os.environ, "LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}
    environment.pop("PYTHONIOENCODING", None)
    done = subprocess.run(
        [sys.executable, "-c", "from expand.command.cli import main; main()", "count", "x3d-xs"],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert b"4?12, 160?" in done.stdout
