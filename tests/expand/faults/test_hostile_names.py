"""A data set whose folders and videos are named to do harm, through every verb that shows something of it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import xml.etree.ElementTree
from collections.abc import Iterator
from pathlib import Path
from shlex import quote

import numpy as np
import pytest
import yaml

from expand.config.base import to_yaml
from expand.data.base import BadVideo
from expand.data.container import open_video
from expand.weights.models import read_model
from tests.expand.commands import Done, Xpand, refused
from tests.expand.data.test_sources import error
from tests.expand.data.videos import at_rate, write_clip, write_video
from tests.expand.models import write_tiny
from tests.expand.report.test_page import Page
from tests.expand.runs import toy_config

CLASSES = (
    "<img src=x onerror=alert(1)>",
    '"; touch marker; "',
    "$(touch marker)",
    "[red]x[bold] `touch marker`",
    "new\nline\rerror: forged\n",
    "\x1b[31mred\x1b]0;title\x07 \x9b2J \u202e",
)
NAME = "--help $(touch marker) [red]\x1b[2J"  # of the data's folder
BAD = "'$(touch marker)'\n\x1b[2J[/red].mp4"  # with a folder that is called [


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("hostile") / NAME
    for number, name in enumerate(CLASSES):
        for video in range(2):
            grey = 40 + 30 * number + video

            def paint(
                _: float, size: tuple[int, int], grey: int = grey
            ) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
                return np.full((size[1], size[0], 3), grey, np.uint8)

            write_video(root / name / f"{video}{name}.mp4", at_rate(10, 10), last=0.1, paint=paint)
    (root / CLASSES[0] / BAD).parent.mkdir(parents=True)
    (root / CLASSES[0] / BAD).write_bytes(b"no video")
    return root


@pytest.fixture(scope="module")
def config(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A search of one round on it."""
    folder = tmp_path_factory.mktemp("config")
    path = folder / "config.yaml"
    found = toy_config(search={"targets": [400]})
    settings = {
        "path": str(data),
        "flip": False,
        "max_bad_share": 0.2,
        "cache": {"folder": str(folder / "cache")},
    }
    path.write_text(to_yaml(found.model_validate(found.model_dump() | {"data": settings})))
    return path


@pytest.fixture
def here(tmp_path: Path) -> Iterator[Path]:
    """The current folder, where nothing is that a name asked for."""
    yield tmp_path
    assert not list(tmp_path.rglob("marker*"))


def said(done: Done, code: int = 0) -> str:
    """What was printed; nothing of it does anything to a terminal, and no name has made a line of its own."""
    assert done.returncode == code, done.stderr
    output = done.stdout + done.stderr
    assert not {"\x1b", "\x9b", "\r", "\x07", "\u202e"} & set(output)
    assert not any(line.startswith(("error: forged", "line")) for line in output.splitlines())
    return output


def test_doctor(xpand: Xpand, here: Path, config: Path) -> None:
    output = said(xpand("doctor", "--config", config, cwd=here))
    for text in (
        r"--help $(touch marker) [red]\x1b[2J: 6 classes",
        "│ <img src=x onerror=alert(1)> ",
        "│ $(touch marker) ",
        "│ [red]x[bold] `touch marker` ",
        r"│ new\nline\rerror: forged\n ",
        r"│ \x1b[31mred\x1b]0;title\x07 \x9b2J \u202e ",
    ):
        assert text in output
    found = json.loads(xpand("doctor", "--config", config, "--json", cwd=here).stdout)
    assert {each["name"] for each in found["classes"]} == set(CLASSES)
    assert [each["key"] for each in found["bad"]] == [f"{CLASSES[0]}/{BAD}"]


def test_doctor_on_lists_of_such_labels(xpand: Xpand, here: Path) -> None:
    """Which may have slashes, and so markup that ends."""
    lines = [
        f"{number}.mp4,{label}" for number, label in enumerate(["[/red]", "[/]", "</td>", "$(touch marker)"])
    ]
    (here / "train.txt").write_text("\n".join(lines))
    (here / "val.txt").write_text("4.mp4,[/]\n../../../etc/x[/red]\x1b.mp4,[/]")
    message = refused(xpand("doctor", here, "--set", "data.flip=false", cwd=here))
    assert r"val.txt:2 must name a video in" in message
    assert r"but '../../../etc/x[/red]\x1b.mp4' leads outside" in message
    (here / "val.txt").write_text("4[/red].mp4,[/]\n")
    output = said(xpand("doctor", here, "--set", "data.flip=false", cwd=here), 1)  # all of them are bad
    assert "│ [/red] " in output
    assert "│ 4[/red].mp4 │ val" in output


@pytest.fixture(scope="module")
def run(data: Path, config: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that the search below fills."""
    return tmp_path_factory.mktemp("run") / "$(touch marker) `touch marker`"


@pytest.mark.slow
def test_a_search_and_what_shows_it(xpand: Xpand, here: Path, config: Path, run: Path) -> None:
    dry = said(xpand("search", "--config", config, "--dry-run", cwd=here))
    assert r"data      --help $(touch marker) [red]\x1b[2J: 7 training and 6 validation videos" in dry
    done = xpand("search", "--config", config, "--out", run, cwd=here)
    output = said(done)
    bad = r"<img src=x onerror=alert(1)>/'$(touch marker)'\n\x1b[2J[/red].mp4"
    assert f"1 of 13 videos are bad and left out: {bad} (unreadable: " in output
    for verb in (("status", run), ("table", run), ("table", run, "--what", "trials", "--format", "csv")):
        said(xpand(*verb, cwd=here))
    assert "\x1b" not in (run / "log.txt").read_text()
    commands(done.stderr.partition("Next:")[2], here, run)
    page(run)
    model = run / "models" / "target-400.yaml"
    assert set(read_model(model).classes) == set(CLASSES)
    said(xpand("count", model, cwd=here))
    said(xpand("export", model, "--format", "safetensors", "--out", here / "net.safetensors", cwd=here))
    card = (here / "net.md").read_text()
    assert r"\<img src=x onerror=alert\(1\)\>" in card
    assert "\x1b" not in card


def commands(printed: str, here: Path, run: Path) -> None:
    """What a search says to type next is typed, into a shell that knows another xpand and python."""
    for line in printed.replace(quote(sys.executable), "python").strip().splitlines():
        script = f'xpand() {{ printf "%s\\n" "$@"; }}; python() {{ xpand "$@"; }}; {line}'
        typed = subprocess.run(
            ["sh", "-c", script], cwd=here, capture_output=True, text=True, check=True
        ).stdout
        assert str(run) in typed, line


def page(run: Path) -> None:
    """The report shows the names as text."""
    html = (run / "report.html").read_text(encoding="utf-8")
    found = Page(html)
    assert "<img src=x onerror=alert(1)>" in found.text
    assert r"\x1b[31mred\x1b]0;title\x07 \x9b2J \u202e" in found.text
    assert not any(tag == "img" for tag, _ in found.tags)
    assert not any(name.startswith("on") for _, attrs in found.tags for name in attrs)
    assert sum(tag == "script" for tag, _ in found.tags) == 2
    assert "\x1b" not in html


@pytest.mark.slow
@pytest.mark.usefixtures("no_figures")
def test_figures(xpand: Xpand, here: Path, config: Path) -> None:
    run = here / "<b> & $(touch x) \x07"
    said(xpand("search", "--config", config, "--out", run, cwd=here))
    said(xpand("plot", run, "--out", here / "figures", cwd=here))
    for path in (here / "figures").glob("*.svg"):
        xml.etree.ElementTree.parse(path)
    assert len(list((here / "figures").iterdir())) == 18


@pytest.mark.slow
@pytest.mark.usefixtures("no_figures")
def test_the_folders_that_a_name_gets(xpand: Xpand, here: Path, config: Path) -> None:
    """By default, runs and trainings are named for the data and the model."""
    search = xpand("search", "--config", config, "--set", "search.targets=[300]", cwd=here)
    assert "run       results/help-touch-marker-red-x1b-2J\n" in said(search)
    values = yaml.safe_load((here / "results/help-touch-marker-red-x1b-2J/models/step-0.yaml").read_text())
    toy = here / "toy.yaml"
    toy.write_text(yaml.safe_dump(values | {"name": "../../$(touch marker)/x"}))
    recipe = here / "recipe.yaml"
    recipe.write_text(yaml.safe_dump({"data": yaml.safe_load(config.read_text())["data"]}))
    options = ("--epochs", 1, "--batch-size", 4, "--set", "run.threads=1", "--set", "run.device=cpu")
    train = xpand("train", toy, "--config", recipe, *options, "--json", cwd=here)
    said(train)
    assert json.loads(train.stdout)["folder"] == "results/touch-marker-x-help-touch-marker-red-x1b-2J"
    assert {path.name for path in here.iterdir()} == {"toy.yaml", "recipe.yaml", "results"}


def test_mistakes_stay_in_their_line(xpand: Xpand, here: Path) -> None:
    model = write_tiny(here / "tiny.yaml", CLASSES, name="tiny\nerror: forged\x1b[2J")
    assert refused(xpand("test", model, cwd=here)) == (
        r"error: a test must have weights, but tiny\nerror: forged\x1b[2J has none: give --weights "
        "FILE, or train it with `xpand train`."
    )


# Names that no file should have, and files that are no videos


def test_names_that_are_no_text(tmp_path: Path) -> None:
    for name in (b"run", b"wal\xffk"):
        folder = Path(bytes(tmp_path / "data").decode()) / name.decode(errors="surrogateescape")
        folder.mkdir(parents=True)
        (folder / "a.mp4").touch()
    assert error(tmp_path / "data") == (
        f"the names of folders and videos must be UTF-8, but in {tmp_path / 'data'} there is "
        r"'wal\udcffk/a.mp4': rename it."
    )


def test_names_like_addresses_are_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("http:a.mp4", "concat:a.mp4|b.mp4", "pipe:0", "-i.mp4", "%03d.mp4"):
        shutil.move(write_clip(tmp_path / "made.mp4"), tmp_path / name)
        with open_video(Path(name)) as container:
            assert container.format.name.startswith("mov")


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.m3u8", "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n{there}\n#EXT-X-ENDLIST\n"),
        ("a.mp4", "ffconcat version 1.0\nfile b.mp4\n"),
    ],
)
@pytest.mark.fault("a list entry that leads outside", "one line that names it, exit 2")
def test_playlists_of_other_files_are_no_videos(tmp_path: Path, name: str, text: str) -> None:
    there = write_clip(tmp_path / "there.mp4")
    write_clip(tmp_path / "b.mp4")
    (tmp_path / name).write_text(text.format(there=there))
    with pytest.raises(BadVideo) as caught:
        open_video(tmp_path / name)
    assert str(caught.value) == "unreadable: Invalid argument, or a playlist of other files"


def test_a_pipe_is_not_waited_for(tmp_path: Path, xpand: Xpand) -> None:
    (tmp_path / "train.txt").write_text("a.mp4 run\nb.mp4 walk\n/dev/zero run\n" + "n" * 300 + ".mp4 run\n")
    (tmp_path / "val.txt").write_text("b.mp4 run\n")
    os.mkfifo(tmp_path / "a.mp4")
    found = xpand("doctor", tmp_path, "--allow-outside", "--json", cwd=tmp_path)
    assert found.returncode == 1, found.stderr  # too many are bad
    assert {each["key"]: each["reason"] for each in json.loads(found.stdout)["bad"]} == {
        "a.mp4": "empty",
        "b.mp4": "missing",
        "/dev/zero": "empty",
        "n" * 300 + ".mp4": "unreadable: File name too long",
    }
