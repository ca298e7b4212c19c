"""Names and texts that others gave, from data, model files or errors, where people and shells read them."""

from __future__ import annotations

import re

# Control characters, what turns the direction of writing, line ends that are not \n, and what is no text.
_HIDDEN = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
_UNSAFE = re.compile(r"[^\w.]+")


def visible(text: str) -> str:
    r"""Text that does nothing to a terminal: control characters are written out, such as \x1b."""
    return _HIDDEN.sub(_written_out, text)


def visible_line(text: str) -> str:
    r"""The same in one line: \n and \t are written out too."""
    return visible(text).replace("\n", r"\n").replace("\t", r"\t")


def file_name(text: str, otherwise: str) -> str:
    """A name that a file may have anywhere and that no shell takes for more; `otherwise`: nothing is left."""
    return _UNSAFE.sub("-", text).strip(".-") or otherwise


def _written_out(match: re.Match[str]) -> str:
    return match[0].encode("unicode_escape").decode()
