"""Parses the rows of lists of labelled videos, in the many forms that people write them in.

    a.mp4 run                      path and label, by blanks, a tab, `,` or `;`
    "my film.mp4","run, slowly"    quoted where they hold what separates them
    a.mp4 run 1.5 4                a part of a video, in seconds
    walk_01 163 run                a folder of pictures, how many, and its label, as MMAction2 has it
    video,duration,label           tables with a header: columns by their names, in any order

`read_rows` parses each line, raises an error, or counts it as a comment.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from expand.data.readers.base import LeftOut, left_out
from expand.data.readers.tables import Header, header_of, part_of, plain_seconds
from expand.data.readers.text import cells_of, lines_of
from expand.data.readers.videos import SUFFIXES, is_video_name
from expand.system.errors import UserError

_SUFFIX = "|".join(re.escape(suffix) for suffix in sorted(SUFFIXES))
_SEPARATOR = r"(?:\s*[,;]\s*|\s+)"
_AFTER_SUFFIX = re.compile(rf"(.+(?:{_SUFFIX}))({_SEPARATOR})(\S.*)", re.IGNORECASE)
_QUOTED = re.compile(rf"""(?:"((?:[^"]|"")+)"|'([^']+)')({_SEPARATOR})(\S.*)""")
_COUNTED = re.compile(r"(\S+)\s+(\d+)\s+(\S+)")
_TIMED = re.compile(r"(.*\S)\s+(\d+(?:\.\d+)?)\s+(\d+(?:\.\d+)?)")
_REMARK = re.compile(r"\s+#\s.*")  # behind a label

IsThere = Callable[[str], bool]


@dataclass(frozen=True, kw_only=True, slots=True)
class ListRow:
    """A row of a list.

    Attributes:
        path: path of the video, as written.
        label: the label, as written.
        at: file:line, for messages.
        part: start and end in a longer video, in seconds; None for the whole video.
        split: the table's split column in lower case; empty without one.
    """

    path: str
    label: str
    at: str
    part: tuple[float, float] | None = None
    split: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Rows:
    """The rows of a list, and its lines that are not rows."""

    rows: tuple[ListRow, ...]
    left_out: tuple[LeftOut, ...]


def read_rows(path: Path, is_there: IsThere, *, several: bool = False) -> Rows:
    """Read the rows of a list.

    Args:
        path: the list.
        is_there: whether a video or a folder of this name exists; called only for lines that can be read in
            two ways.
        several: whether a row may have several labels, which are returned as one text.

    Raises:
        UserError: a line cannot be read; the message says which.
    """
    comments, lines = [], []
    for number, line in lines_of(path):
        if line.startswith("#") and _is_comment(line, is_there):
            comments.append(line)
        else:
            lines.append((f"{path}:{number}", line))
    header = header_of(*reversed(lines[0])) if lines else None
    if header is not None:
        lines = lines[1:]
    parse = _Parser(is_there, header, several=several, counted=header is None and _counted(lines, is_there))
    rows = tuple(parse(line, at) for at, line in lines)
    return Rows(rows=rows, left_out=tuple(left_out(f"lines of {path.name} that are comments", comments)))


def _is_comment(line: str, is_there: IsThere) -> bool:
    """Whether a line that begins with # is a comment, as names of videos may begin so too, as in HMDB51."""
    split = _by_suffix(line)
    name = split[0] if split else line.rsplit(maxsplit=1)[0]
    if is_there(name):
        return False
    return split is None or line[1:2].isspace() or line[1:2] == "#" or is_there(name[1:])


def _counted(lines: Sequence[tuple[str, str]], is_there: IsThere) -> bool:
    """Whether all lines are `folder count label`, for folders of pictures."""
    matches = [_COUNTED.fullmatch(line) for _, line in lines]
    first = matches[0] if matches else None
    return (
        first is not None
        and all(match is not None and not is_video_name(match[1]) for match in matches)
        and not is_there(f"{first[1]} {first[2]}")
    )


def _by_suffix(line: str) -> tuple[str, str, str] | None:
    """Split a line into path, separator and label, by a quoted path or a video's suffix; None without."""
    if match := _QUOTED.fullmatch(line):
        double, single, separator, rest = match.groups()
        return double.replace('""', '"') if double else single, separator, rest
    if match := _AFTER_SUFFIX.fullmatch(line):
        path, separator, rest = match.groups()
        return path, separator, rest
    return None


class _Parser:
    """Parses the lines of one list into rows."""

    def __init__(self, is_there: IsThere, header: Header | None, *, several: bool, counted: bool) -> None:
        self._is_there, self._header = is_there, header
        self._several, self._counted = several, counted

    def __call__(self, line: str, at: str) -> ListRow:
        header = self._header
        if header is not None and not header.is_plain:
            return self._cells(header, header.cells(line, at), at)
        if self._counted:
            match = _COUNTED.fullmatch(line)
            assert match is not None
            return ListRow(path=match[1], label=match[3], at=at)
        split = _by_suffix(line) or self._by_cells(line)
        if split is None:
            raise _malformed(line, at)
        path, separator, rest = split
        label, part = self._label(separator, _REMARK.sub("", rest), line, at)
        if is_video_name(label) and not self._is_there(path):
            raise _malformed(line, at)
        return ListRow(path=path, label=label, at=at, part=part)

    def _cells(self, header: Header, cells: Sequence[str], at: str) -> ListRow:
        path, label = header.value("path", cells), header.value("label", cells)
        if not path or not label:
            raise UserError(
                f"{at} must have a {'label' if path else 'path'}, but its cell is empty: fill it in, or take "
                "the line out."
            )
        return ListRow(
            path=path,
            label=label,
            at=at,
            part=part_of(header.value("start", cells), header.value("end", cells), at),
            split=header.value("split", cells).lower(),
        )

    def _by_cells(self, line: str) -> tuple[str, str, str] | None:
        """Split a line without quotes or suffix into path, separator and label; None where that fails."""
        for delimiter in ("\t", ";", ","):
            if delimiter in line:
                return self._delimited(line, delimiter)
        if (match := _TIMED.fullmatch(line)) and self._is_there(match[1].split(maxsplit=1)[0]):
            path, _, rest = line.partition(" ")
            return path, " ", rest.strip()
        fields = line.rsplit(maxsplit=1)
        if len(fields) < 2 or is_video_name(fields[1]):
            return None
        return fields[0], " ", fields[1]

    def _delimited(self, line: str, delimiter: str) -> tuple[str, str, str] | None:
        before, _, after = line.partition(delimiter)
        cells = [before.strip(), after.strip()]
        if is_video_name(cells[1]) and delimiter not in after and self._is_there(cells[1]):
            cells.reverse()  # the label first
        elif after.count(delimiter) and not self._is_there(cells[0]):
            path, _, label = line.rpartition(delimiter)
            if self._is_there(path.strip()):
                cells = [path.strip(), label.strip()]
        if not all(cells) or (is_video_name(cells[1]) and not is_video_name(cells[0])):
            return None
        return cells[0], delimiter, cells[1]

    def _label(self, separator: str, rest: str, line: str, at: str) -> tuple[str, tuple[float, float] | None]:
        """Parse what follows a path: the label, and start and end of a part of the video."""
        delimiter = separator.strip()
        if self._several and delimiter != ",":
            return _unquoted(rest), None
        if delimiter:
            cells = cells_of(rest, delimiter, at)
            while len(cells) > 1 and not cells[-1]:
                cells.pop()
            if len(cells) == 3 and all(plain_seconds(cell) is not None for cell in cells[1:]):
                return cells[0], part_of(cells[1], cells[2], at)
            if len(cells) > 1:
                raise UserError(
                    f"{at} must be `path{delimiter}label`, got {len(cells) + 1} columns: name them in a "
                    f"first line such as `path{delimiter}label{delimiter}start{delimiter}end`, or quote what "
                    f"has a {delimiter!r} in it."
                )
            if not cells[0]:
                raise _malformed(line, at)
            return _unquoted(cells[0]), None
        if (match := _TIMED.fullmatch(rest)) and not self._several:
            return _unquoted(match[1]), part_of(match[2], match[3], at)
        label = _unquoted(rest)
        numbers = label.split()
        if len(numbers) > 1 and all(number.isdecimal() for number in numbers):
            raise UserError(
                f"{at} must have one label, got {label!r}: write several as `{';'.join(numbers)}`, and set "
                "data.format: multi-label."
            )
        return label, None


def _unquoted(text: str) -> str:
    text = text.strip()
    if len(text) > 1 and text[0] == text[-1] and text[0] in "\"'":
        return text[1:-1].strip()
    return text


def _malformed(line: str, at: str) -> UserError:
    return UserError(f"{at} must be `path label` or `path,label`, got {line!r}.")
