"""Escaping of untrusted texts (from data, model files or errors) for terminals, file names and shells."""

from __future__ import annotations

import re

# Control characters, marks that reverse the writing direction, line ends other than \n, lone surrogates.
_HIDDEN = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
_UNSAFE = re.compile(r"[^\w.]+")


def visible(text: str) -> str:
    r"""Escape control characters, such as \x1b, so that the text cannot control a terminal."""
    return _HIDDEN.sub(_escaped, text)


def visible_line(text: str) -> str:
    r"""Escape control characters, \n and \t too, so that the text stays on one line."""
    return visible(text).replace("\n", r"\n").replace("\t", r"\t")


def file_name(text: str, otherwise: str) -> str:
    """Turn text into a file name of letters, digits, `_`, `.` and `-`; `otherwise` if none of it remains."""
    return _UNSAFE.sub("-", text).strip(".-") or otherwise


def _escaped(match: re.Match[str]) -> str:
    return match[0].encode("unicode_escape").decode()
