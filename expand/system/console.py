"""The consoles that the command prints with; control characters and markup in texts have no effect."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Iterable
from pathlib import Path
from shlex import quote
from typing import Any

import rich.console
from rich.console import ConsoleOptions, RenderableType
from rich.segment import Segment
from rich.text import Text

from expand.system.escaping import visible


class Console(rich.console.Console):
    r"""A Rich console for untrusted texts: no markup, no emoji codes, control characters shown as `\x1b`.

    A broken pipe ends the command by a BrokenPipeError.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(markup=False, emoji=False, **options)

    def render_str(self, text: str, **options: Any) -> Text:
        """Escape a string before its width is measured."""
        return super().render_str(visible(text), **options)

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """Escape the text of every segment that reaches the screen, whatever it was made from."""
        for segment in super().render(renderable, options):
            yield segment if segment.control else segment._replace(text=visible(segment.text))

    def on_broken_pipe(self) -> None:
        """Write nothing more and raise; `main` turns the exception into the exit code."""
        self.quiet = True
        raise BrokenPipeError


out, err = Console(), Console(stderr=True)


def to_type(name: str, path: str) -> str:
    """Return how to call a program in a shell: by its name if that leads to `path`, else by the path."""
    found = shutil.which(name)
    return name if found is not None and Path(found).absolute() == Path(path).absolute() else quote(path)


def own_command() -> str:
    """Return how to call xpand in a shell: `xpand`, or the path it was called by: .venv/bin/xpand."""
    called = sys.argv[0]
    return to_type("xpand", called) if Path(called).name == "xpand" else "xpand"


def say(text: str) -> None:
    """Print text to stderr without wrapping long lines, so that they can be copied."""
    err.print(text, highlight=False, soft_wrap=True)


def tell(text: str) -> None:
    """Print a paragraph to stderr: a terminal breaks it between words, a file has it whole."""
    err.print(text, highlight=False, soft_wrap=not err.is_terminal)


def print_json(values: object) -> None:
    """Print one JSON object to stdout."""
    sys.stdout.write(json.dumps(values, default=str, indent=1) + "\n")
