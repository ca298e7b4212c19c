"""Reads text files of lists and tables: encodings, lines, cells and classes.txt."""

from __future__ import annotations

import codecs
import csv
import re
from collections.abc import Iterator
from pathlib import Path

from expand.system.errors import UserError

_LINE_END = re.compile(r"\r\n|\n|\r")  # not Unicode's other line ends, which file names may contain
_NUMBERED = re.compile(r"(\d+)[\s,]+(\S.*)")


def read_text(path: Path) -> str:
    """Read a file in UTF-8, or in UTF-16 if it has a byte order mark, as PowerShell writes it.

    Raises:
        UserError: the file cannot be read, or is not text in these encodings.
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
    """Yield the number (from 1) and the stripped text of each line that is not blank."""
    for number, line in enumerate(_LINE_END.split(read_text(path)), start=1):
        if stripped := line.strip():
            yield number, stripped


def cells_of(line: str, delimiter: str, at: str) -> list[str]:
    """Split a line of a table into stripped cells; `at` is file:line, for messages.

    Raises:
        UserError: the line cannot be parsed.
    """
    try:
        cells = next(csv.reader([line], delimiter=delimiter, skipinitialspace=True, strict=False), [])
    except csv.Error as error:
        raise UserError(f"{at} must be a line of a table, but it is none: {error}.") from None
    return [cell.strip() for cell in cells]


def class_names(path: Path | None) -> tuple[str, ...]:
    """Read the names in a classes.txt, one a line, with or without a number before each."""
    return tuple(numbered_classes(path).values()) if path is not None else ()


def numbered_classes(path: Path) -> dict[int, str]:
    """Read a classes.txt as names by number: the file's own if they count from 0 or 1, else from 0."""
    lines = [line for _, line in lines_of(path)]
    matches = [match for line in lines if (match := _NUMBERED.fullmatch(line))]
    for first in (0, 1):
        if [int(match[1]) for match in matches] == list(range(first, first + len(lines))):
            return {int(match[1]): match[2] for match in matches}
    return dict(enumerate(lines))
