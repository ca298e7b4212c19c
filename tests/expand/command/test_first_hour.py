"""The commands of docs/first-hour.md, one after another as a reader types them, on small videos."""

from __future__ import annotations

import re
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest

from tests.expand.command.test_readme_runs import SMALL
from tests.expand.commands import ROOT, Xpand
from tests.expand.data.videos import write_clip

PAGE = (ROOT / "docs" / "first-hour.md").read_text(encoding="utf-8")
NAMED = re.findall(r"motion/(videos/\S+\.mp4)", PAGE)  # videos that commands name


def commands() -> Iterator[str]:
    for block in re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL):
        yield from block.splitlines()


def write_motion(root: Path) -> None:
    """Three classes of five videos, two of them in the style that the page leaves out, with lists."""
    classes = ("walk", "walk-turn-left", "wave-right-hand")
    lines: dict[str, list[str]] = {"train": [], "val": []}
    for label, name in enumerate(classes):
        styles = ("normal", "active", "normal", "normal", "active")
        for number, style in enumerate(styles):
            split = "train" if number < 3 else "val"
            file = f"videos/{name}/{name}_{style}_{number:03}.mp4"
            write_clip(root / file, seconds=1 + label / 10 + number / 50)
            lines[split].append(f"{file} {label}")
    for file in NAMED:
        if not (root / file).exists():
            write_clip(root / file)
    for split, listed in lines.items():
        (root / f"{split}.txt").write_text("\n".join(listed) + "\n")
    (root / "classes.txt").write_text("\n".join(classes) + "\n")


@pytest.mark.slow
def test_the_commands_of_the_first_hour_run(xpand: Xpand, tmp_path: Path) -> None:
    write_motion(tmp_path / "motion")
    (settings,) = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
    (tmp_path / "motion.yaml").write_text(settings.replace("20M", "5M"))
    for line in commands():
        program, *words = shlex.split(line)
        if program != "xpand":
            subprocess.run(["bash", "-ec", line], cwd=tmp_path, check=True)
            continue
        small = shlex.split(SMALL.get(words[0], ""))
        done = xpand(*words, *small, cwd=tmp_path, cache=tmp_path / "cache")
        assert done.returncode == 0, f"{line}: {done.stderr}"
    assert len(pd.read_csv(tmp_path / "labels.csv")) == len(list((tmp_path / "motion").rglob("*.mp4")))
    assert (tmp_path / "trained" / "figures").is_dir()


def test_the_page_names_videos_of_no_split() -> None:
    assert NAMED
    assert all("_active_" in name for name in NAMED)
