"""Reads Something-Something V2 by its own lists.

    something-something-v2-labels.json        {"Approaching something with your camera": "0", …}
    something-something-v2-train.json         [{"id": "78687", "template": "Holding [something] …", …}, …]
    something-something-v2-validation.json
    20bn-something-something-v2/78687.webm

The lists may also be `labels/labels.json`, `labels/train.json` and `labels/validation.json`, as in the newer
download. The test list has no labels, so there is no `test`.

Source: https://www.qualcomm.com/developer/software/something-something-v-2-dataset
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from expand.config.data import DataConfig
from expand.data.base import SplitName
from expand.data.readers.base import LabelSpan, Listed, ListedVideo, data_name, needed_path, splits_to_read
from expand.data.readers.entries import Entries
from expand.data.readers.text import read_text
from expand.system.errors import UserError

_VIDEOS = ("20bn-something-something-v2", "videos")
_PREFIXES = ("something-something-v2-", "labels/something-something-v2-", "labels/", "")
_LISTS: dict[SplitName, str] = {"train": "train", "val": "validation"}


class SomethingSomething:
    """Reads the lists; classes are the templates without brackets, in the order of their numbers."""

    def recognises(self, folder: Path) -> bool:
        return _prefix(folder) is not None

    def read(self, config: DataConfig, splits: Sequence[SplitName]) -> Listed:
        root = needed_path(config)
        prefix = _prefix(root)
        if prefix is None:
            raise UserError(
                f"Something-Something must have its own lists, but {root} has no "
                "something-something-v2-train.json beside something-something-v2-labels.json: put them there."
            )
        classes = _classes(root / f"{prefix}labels.json")
        videos = next((name for name in _VIDEOS if (root / name).is_dir()), "")
        paths = {split: root / f"{prefix}{name}.json" for split, name in _LISTS.items()}
        entries = Entries(root, allow_outside=config.allow_outside)
        return Listed(
            name=data_name(root),
            root=root,
            splits={
                split: tuple(_videos(paths[split], classes, videos, entries))
                for split in splits_to_read(paths, splits, config)
            },
            origins={split: str(path) for split, path in paths.items()},
            classes=classes,
        )


def _prefix(root: Path) -> str | None:
    """Return the prefix of the lists' names; None where the lists are missing."""
    return next(
        (
            prefix
            for prefix in _PREFIXES
            if all((root / f"{prefix}{name}.json").is_file() for name in ("labels", "train"))
        ),
        None,
    )


def _classes(path: Path) -> tuple[str, ...]:
    numbers = _read(path)
    if not isinstance(numbers, dict) or not all(str(number).isdecimal() for number in numbers.values()):
        raise UserError(f'{path} must give each class its number, such as {{"Hitting something": "1"}}.')
    return tuple(sorted(numbers, key=lambda name: int(numbers[name])))


def _videos(path: Path, classes: Sequence[str], videos: str, entries: Entries) -> Iterator[ListedVideo]:
    rows = _read(path)
    known = set(classes)
    if not isinstance(rows, list):
        raise UserError(f"{path} must be a list of videos, got {type(rows).__name__}.")
    for index, row in enumerate(rows):
        at = f"{path}: entry {index}"
        if not isinstance(row, dict) or not isinstance(row.get("template"), str) or not row.get("id"):
            raise UserError(f"{at} must have an id and a template, got {json.dumps(row)[:80]}.")
        label = row["template"].replace("[", "").replace("]", "")
        if label not in known:
            raise UserError(f"{at} must have a template of the labels, got {row['template']!r}.")
        key = entries.find(str(Path(videos, f"{row['id']}.webm")), at)
        yield ListedVideo(key=key, shows=(LabelSpan(label),))


def _read(path: Path) -> Any:
    try:
        return json.loads(read_text(path))
    except ValueError as error:
        raise UserError(f"{path} must be JSON, but it cannot be parsed: {error}.") from None
    except RecursionError:
        raise UserError(f"{path} must be JSON, but it is nested too deeply.") from None
