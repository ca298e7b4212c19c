from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from expand.export.base import FormatFiles, NetworkToExport
from expand.export.card import card
from expand.predicting.preprocessing import Preprocessing
from expand.system.version import VERSION
from expand.weights.models import Model, published_model, read_model
from search_spaces.base import ClipSampling
from tests.expand.commands import ROOT
from tests.expand.export.points import model_at
from tests.expand.toy import ToySpace

FOUND = ROOT / "results/reference/motion/models/target-45M.yaml"


def page(model: Model, *, form: str = "slowfast", remarks: tuple[str, ...] = ()) -> str:
    written = FormatFiles(files=(Path("net.yaml"),), loading="import one\ntwo = one()", remarks=remarks)
    source = NetworkToExport(model=model, state=None)
    return card(source, written, name="net.md", form=form, weights="No weights go with it.")


def section(text: str, title: str) -> str:
    return text.split(f"\n## {title}\n")[1].split("\n## ")[0].strip()


def test_what_the_network_is() -> None:
    text = page(published_model("x3d-s"))
    assert text.partition("\n---\n\n")[2].startswith(
        "# x3d-s, for slowfast\n\n"
        "A video network with 400 classes (one label a clip, logits for a clip), "
        f"exported by xpand {VERSION} for slowfast. No weights go with it.\n\n"
        "Files: `net.yaml`.\n"
    )
    network = section(text, "Network")
    assert network.startswith(
        "Clips of 13 frames, every 6th frame of a video with 30 frames a second (2.40 s from the first to "
        "the last), 160×160 pixels, as float (batch, 3, 13, 160, 160)."
    )
    assert "| res5 | 192 | 432 | 32 | 7 |" in network
    assert "1,962,892,112 multiply-adds, 3,794,322 parameters, 36,447,768 activations." in network
    for row in ("| 1 | 160² | 1.963 G |", "| 10 | 160² | 19.63 G |", "| 30 | 182² | 81.66 G |"):
        assert row in network


def test_a_published_network_tells_its_accuracy_apart_and_as_published() -> None:
    text = page(published_model("x3d-xl"))
    assert "This is the network, not its published weights." in section(text, "How it came about")
    assert section(text, "Accuracy") == (
        "Nothing was measured on this network by xpand.\n\n"
        "Published by others, for their weights after full training on Kinetics-400, and not measured here "
        "(SlowFast's model zoo; XL: the paper):\n\n"
        "| views | top-1 |\n| --- | --- |\n| 10 | not published |\n| 30 | 79.1% |"
    )


def test_a_network_of_ones_own_with_a_published_name_has_no_published_accuracy() -> None:
    assert "Published" not in page(replace(model_at(), name="x3d-s"))


def test_a_network_that_a_search_found() -> None:
    text = page(read_model(FOUND))
    assert section(text, "How it came about") == (
        "Found by progressive expansion with xpand 0.1.0: step 3 of a search, grown last along fast, "
        "contracted to a target of 45 M multiply-adds.\n\n"
        "Factors over the start of that search: frames 6.5, rate 3.25, size 1, width 1, bottleneck 1, "
        "depth 1."
    )
    assert section(text, "Data").startswith(
        "motion: 1827 videos for training, 496 for validation; checksum "
        "`581e6b45097fb8a1d28844bf6ed60ec5c1229dc70a1d4fb7821a78e238ec92d4`.\n\n"
        "10 classes, in the order of the outputs: 0 raise-up-both-hands, 1 raise-up-left-hand, "
    )
    accuracy = section(text, "Accuracy")
    assert accuracy.startswith("Of short proxy trainings (4 epochs, 2 seeds), made to compare candidates")
    assert "| top-1 | 89.5% | 89.3% to 89.7% |" in accuracy
    assert "Recipe: epochs 4, batch size 16, learning rate 0.05, " in accuracy
    assert "Published" not in accuracy


def test_the_preprocessing_is_in_words_and_in_the_head_for_programs() -> None:
    model = model_at(values={"measured": {}})
    text = page(model)
    assert section(text, "Preprocessing").splitlines() == [
        f"- {line}" for line in Preprocessing.of(model).words()
    ]
    head = yaml.safe_load(text.split("---\n")[1])
    assert head == {
        "name": "found",
        "format": "slowfast",
        "xpand": VERSION,
        **Preprocessing.of(model).values(),
        "classes": ["clap", "jump", "wave"],
    }


def test_loading_remarks_and_licence() -> None:
    text = page(model_at(), form="mmaction2", remarks=("One is *left* out.", "Another too."))
    assert section(text, "From a video to probabilities") == "```python\nimport one\ntwo = one()\n```"
    assert section(text, "Remarks") == "- One is \\*left\\* out.\n- Another too."
    licence = section(text, "Licence and sources")
    assert "MMAction2 (open-mmlab/mmaction2, Apache-2.0); none of its code is in them." in licence
    assert "CVPR 2020 (arXiv 2004.04730)." in licence


def test_a_network_that_was_imported() -> None:
    told = {"from": "net.pyth", "layout": "slowfast"}
    text = section(page(model_at(values={"imported": told})), "How it came about")
    assert text == "Imported: from net.pyth, layout slowfast."


def test_a_network_that_was_trained_in_full() -> None:
    told = {
        "epochs": 60.0,
        "jitter": [1.0, 1.25],
        "start": {"network": "target-45M", "weights": None},
        "validation": {"top1": 0.974, "mean_class_accuracy": 0.95, "loss": 0.1},
        "recipe": {"epochs": 60.0, "micro_batch": None, "learning_rate": 0.4},
    }
    text = section(page(model_at(values={"trained": told})), "How it came about")
    assert text == (
        "Trained in full for 60 epochs, from random weights of target-45M.\n\n"
        "On the validation videos, one centre-cropped clip each:\n\n"
        "|  | score |\n| --- | --- |\n| top-1 | 97.4% |\n| mean class | 95.0% |\n\n"
        "Recipe: epochs 60, learning rate 0.4. Training clips are cropped from frames with a short side of "
        "1 to 1.25 times the crop."
    )
    told |= {"start": {"network": "x3d-s", "weights": "x3d_s.pyth"}, "weights_of_epoch": 40.0}
    text = section(page(model_at(values={"trained": told})), "How it came about")
    assert text.startswith(
        "Trained in full for 60 epochs, from the weights x3d\\_s.pyth of x3d-s, with the weights of epoch "
        "40, the best validation."
    )


def test_nothing_in_a_name_marks_up_the_page() -> None:
    evil = "# <img src=x>\n| `a` | [b](c)"
    model = replace(model_at(classes=(evil, "b")), name=evil)
    text = page(replace(model, values={"data": {"name": evil, "checksum": "`x`\n# y", "train": evil}}))
    assert "<img" not in text.replace("\\<img", "")
    assert "\n| \\`a" not in text
    assert "\n# y" not in text
    assert "checksum `x # y`" in text


def test_a_network_of_another_space() -> None:
    space = ToySpace()
    toy = Model(
        name="toy",
        space=space,
        architecture=space.start,
        sampling=ClipSampling(frames=1, stride=1, size=32),
        classes=("a",),
        values={},
    )
    text = page(toy, form="onnx")
    assert "Clips of 1 frame, 32×32 pixels, as float (batch, 3, 1, 32, 32)." in text
    assert "X3D: Expanding" not in text


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"measured": None, "found": None, "data": None},
        {"measured": {"seeds": []}, "found": {}, "data": {}},
        {"measured": {"seeds": [{"top1": 0.5}], "recipe": {"clips": 100}}},
    ],
)
def test_a_model_file_that_tells_little(values: dict[str, Any]) -> None:
    text = page(replace(model_at(), values=values))
    assert "None" not in text
    assert "## Network" in text
