"""The page of a full training: whole, alone, and safe to open whatever the data is called."""

from __future__ import annotations

import re
from pathlib import Path

from expand.full.record import read_training
from expand.report.training_page import render_training
from tests.expand.commands import Xpand
from tests.expand.full.made_up import made_up_training, rows


def test_the_page_tells_how_it_went(tmp_path: Path) -> None:
    folder = made_up_training(tmp_path / "run", rows([0.25, 0.75, 0.5]), epochs=30, keep="best")
    html = render_training(read_training(folder))
    text = re.sub(r"<svg.*?</svg>|<style.*?</style>|<[^>]*>", " ", html, flags=re.DOTALL)
    text = " ".join(text.split())
    assert text.startswith("run: a full training by xpand run A full training by xpand")
    assert "unfinished" not in text
    for said in (
        "data hands: 32 training and 15 validation videos",
        "classes left, right",
        "auto: 30 epochs, 8 clips in a step, learning rate up to 0.00625, dropout 0.5",
        "best validation epoch 20: top-1 75.0%",
        "weights of epoch 20: top-1 75.0% (training.keep: best)",
        "trained 30 epochs in 3 min 3 s",
        "epochs learning rate train loss train top-1 top-1 top-5 mean class loss time",
        "20 0.025 0.500 75.0% 75.0% 100.0% 75.0% 0.750 2 min 2 s",
        "keep: best",
    ):
        assert said in text
    assert html.count('class="bold"') == 1
    assert html.count("<svg") == 1
    assert not re.search(r'(src|href)="(?!#)', html)


def test_the_terminal_has_the_same_table(tmp_path: Path, xpand: Xpand) -> None:
    folder = made_up_training(tmp_path / "run", rows([0.25, 0.75]), keep="best")
    done = xpand("status", folder)
    assert [" ".join(line.split()) for line in done.stdout.splitlines()] == [
        f"{folder}: finished, with the weights of epoch 20",
        "epochs train loss train top-1 top-1 top-5 mean class loss time",  # as wide as a terminal
        "10 1.000 50.0% 25.0% 100.0% 25.0% 1.250 1 min 1 s",
        "20 0.500 75.0% 75.0% 100.0% 75.0% 0.750 2 min 2 s",
    ]


def test_an_unfinished_training_says_so_first(tmp_path: Path) -> None:
    folder = made_up_training(tmp_path / "run", [], finished=False)
    html = render_training(read_training(folder))
    assert '<p class="state">run is unfinished: 0 of 60 epochs by the last validation.</p>' in html


def test_names_cannot_become_part_of_the_page(tmp_path: Path) -> None:
    folder = made_up_training(tmp_path / "<b>run", rows([0.5]))
    assert "<b>run" not in render_training(read_training(folder))


def test_the_verb_writes_it_into_the_folder_or_elsewhere(tmp_path: Path, xpand: Xpand) -> None:
    folder = made_up_training(tmp_path / "run", rows([0.5]))
    assert xpand("report", folder).stdout.split() == [str(folder / "report.html")]
    other = tmp_path / "pages" / "one.html"
    assert xpand("report", folder, "--out", other).stdout.split() == [str(other)]
    assert other.read_text(encoding="utf-8") == (folder / "report.html").read_text(encoding="utf-8")
