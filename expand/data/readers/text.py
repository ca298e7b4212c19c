"""The text of lists and tables."""

from __future__ import annotations

import codecs
import csv
import re
from collections.abc import Iterator
from pathlib import Path

from expand.system.errors import UserError

_LINE_END = re.compile(r"\r\n|\n|\r")  # names of files may hold what else ends a line in Unicode
_NUMBERED = re.compile(r"(\d+)[\s,]+(\S.*)")


def read_text(path: Path) -> str:
    """The text of a file in UTF-8, or in UTF-16 where it says so, as PowerShell writes it.

    Raises:
        UserError: it cannot be read, or is no text.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror or error}.") from None
    wide = content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    try:
        return content.decode("utf-16" if wide else "utf-8-sig")
    except UnicodeDecodeError:
        raise UserError(f"{path} must be text in UTF-8: convert it.") from None


def lines_of(path: Path) -> Iterator[tuple[int, str]]:
    """The lines that are not blank, without blanks around them, with their numbers from 1."""
    for number, line in enumerate(_LINE_END.split(read_text(path)), start=1):
        if stripped := line.strip():
            yield number, stripped


def cells_of(line: str, delimiter: str, at: str) -> list[str]:
    """The cells of a line of a table, without blanks around them; `at` is file:line.

    Raises:
        UserError: it is no such line.
    """
    try:
        found = next(csv.reader([line], delimiter=delimiter, skipinitialspace=True, strict=False), [])
    except csv.Error as error:
        raise UserError(f"{at} must be a line of a table, but it is none: {error}.") from None
    return [cell.strip() for cell in found]


def class_names(path: Path | None) -> tuple[str, ...]:
    """Names in a classes.txt, one a line, with or without their number before."""
    return tuple(numbered_classes(path).values()) if path is not None else ()


def numbered_classes(path: Path) -> dict[int, str]:
    """The same by their numbers: those that the file gives, which count from 0 or 1; else from 0."""
    lines = [line for _, line in lines_of(path)]
    matches = [match for line in lines if (match := _NUMBERED.fullmatch(line))]
    for first in (0, 1):
        if [int(match[1]) for match in matches] == list(range(first, first + len(lines))):
            return {int(match[1]): match[2] for match in matches}
    return dict(enumerate(lines))
