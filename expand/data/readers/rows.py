"""Lists of labelled videos, as text: `path label` or `path,label` a line, and the names of classes."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from expand.errors import UserError

SUFFIXES = frozenset(
    f".{suffix}"
    for suffix in ["mp4", "avi", "mkv", "webm", "mov", "m4v", "mpg", "mpeg", "wmv", "flv", "3gp", "ts", "ogv"]
)
_AFTER_SUFFIX = re.compile(
    rf"(.+(?:{'|'.join(re.escape(suffix) for suffix in sorted(SUFFIXES))}))\"?\s*[,\s]\s*(\S.*)",
    re.IGNORECASE,
)
_NUMBERED = re.compile(r"(\d+)[\s,]+(\S.*)")


def read_list(path: Path) -> list[tuple[str, str, str]]:
    """(path, label, file:line) of each line."""
    lines = []
    for number, raw in enumerate(read_text(path).splitlines(), start=1):
        line = raw.strip()
        if not line or line.startswith("#"):
            continue
        fields = _fields(line)
        if fields is None:
            raise UserError(f"{path}:{number} must be `path label` or `path,label`, got {line!r}.")
        if number == 1 and fields[1].lower() == "label":
            continue  # a table's header
        lines.append((*fields, f"{path}:{number}"))
    return lines


def _fields(line: str) -> tuple[str, str] | None:
    if match := _AFTER_SUFFIX.fullmatch(line):
        path, label = match.groups()
    elif "," in line:
        path, _, label = line.rpartition(",")
    else:
        path, label = [*line.rsplit(maxsplit=1), ""][:2]
    path, label = path.strip().strip('"').strip(), label.strip().strip('"').strip()
    if not path or not label or Path(label).suffix.lower() in SUFFIXES:
        return None
    return path, label


def class_names(path: Path | None) -> tuple[str, ...]:
    """Names in a classes.txt, one a line, with or without their number before."""
    if path is None:
        return ()
    lines = [line.strip() for line in read_text(path).splitlines() if line.strip()]
    numbered = [_NUMBERED.fullmatch(line) for line in lines]
    if all(match and int(match[1]) == index for index, match in enumerate(numbered)):
        lines = [match[2] for match in numbered if match]
    return tuple(lines)


def list_path(given: Path | None, folder: Path | None, key: str) -> Path | None:
    """A list that the setting data.`key` names, as it stands or within the data's folder."""
    if given is None:
        return None
    for path in (given, folder / given if folder else given):
        if path.is_file():
            return path
    raise UserError(f"data.{key} must name a list of videos, got {given}: no such file.")


def default_list(folder: Path | None, names: Sequence[str]) -> Path | None:
    """The first list of one of these names in a folder."""
    if folder is None:
        return None
    candidates = (folder / f"{name}{suffix}" for name in names for suffix in (".txt", ".csv"))
    return next((path for path in candidates if path.is_file()), None)


def read_text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror or error}.") from None
    except UnicodeDecodeError:
        raise UserError(f"{path} must be text in UTF-8: convert it.") from None
