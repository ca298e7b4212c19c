"""The head of a card, which programs read, and its snippet, which goes from a video file to probabilities."""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Mapping
from typing import Any

from expand.export.base import FormatFiles
from expand.export.standalone import clip, scaled
from expand.export.text import python
from expand.predicting.preprocessing import Preprocessing
from expand.system.version import VERSION
from expand.weights.models import Model

_MARK = "---\n"
_SHOWN = 5  # classes that the snippet prints


def head_of_card(model: Model, form: str) -> str:
    """YAML between two lines of dashes: the name, the format, the classes, and all of the preprocessing.

    Values are written as JSON, which is YAML too, so that no text in them can mark up the page.
    """
    values: Mapping[str, Any] = {
        "name": model.name,
        "format": form,
        "xpand": VERSION,
        **Preprocessing.of(model).values(),
        "classes": model.classes,
    }
    lines = [f"{key}: {json.dumps(value).replace('<', chr(92) + 'u003c')}\n" for key, value in values.items()]
    return _MARK + "".join(lines) + _MARK


def snippet(model: Model, written: FormatFiles, card: str) -> str:
    """Python that prints the most likely classes of `video.mp4`.

    Args:
        model: the network.
        written: the files, with the code that loads and runs them; without code that runs them, the code that
            loads them is all.
        card: the name of the card, whose head the code reads.
    """
    if not written.running:
        return written.loading
    prepared = Preprocessing.of(model)
    lines = [
        "from pathlib import Path",
        "",
        "import av",
        "import numpy as np",
        "import yaml",
        *(f"\n\n{_untyped(inspect.getsource(function))}" for function in (clip, scaled)),
        "",
        f'head = Path({python(card)}).read_text(encoding="utf-8").split("---\\n")[1]',
        "given = yaml.safe_load(head)",
        'clips = clip("video.mp4", given)',
        written.loading,
        written.running,
    ]
    if written.outputs == "logits":
        powers = "np.exp(outputs - outputs.max(axis=-1, keepdims=True))"
        several = "1 / (1 + np.exp(-outputs))"
        lines += (
            [f"powers = {powers}", "probabilities = (powers / powers.sum(axis=-1, keepdims=True))[0]"]
            if prepared.activation == "softmax"
            else [f"probabilities = ({several})[0]"]
        )
    else:
        lines.append("probabilities = outputs[0]")
    if prepared.head == "frame":
        lines.append("probabilities = probabilities.mean(axis=0)  # over the frames of the clip")
    lines += [
        f"for index in np.argsort(-probabilities)[:{_SHOWN}]:",
        '    print(given["classes"][index], f"{probabilities[index]:.1%}")',
    ]
    return "\n".join(lines)


def _untyped(code: str) -> str:
    """The code of a function without the types in its first line, which need imports of their own."""
    first, rest = code.split("\n", 1)
    return re.sub(r": [\w.\[\], ]+?(?=, \w+:|\))| -> [\w.\[\]]+", "", first) + "\n" + rest
