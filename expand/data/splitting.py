"""Sets videos aside for validation: a share of each class, chosen by a seed."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from typing import Literal

from expand.data.leaks import group_of

Side = Literal["train", "val"]

_FEW = 100  # validation videos below which it is said that they tell little


def stratified_split(
    items: Iterable[tuple[str, str]],
    *,
    share: float,
    seed: int,
    group: Callable[[str], str] = lambda key: group_of(key) or key,
) -> dict[Side, list[tuple[str, str]]]:
    """Split (key, class) pairs into training and validation, class by class, by the keys and the seed alone.

    Videos of one group go to one side. Every class keeps at least one group for training and, where it has
    two, one for validation, unless its groups were assigned to one side with other classes already.

    Args:
        items: the pairs.
        share: share of each class's videos that is set aside, rounded down to whole groups.
        seed: seed of the choice.
        group: maps a key to its group; by default that of UCF101's names, else the key itself.
    """
    by_class: dict[str, list[str]] = {}
    for key, label in items:
        by_class.setdefault(label, []).append(key)
    sides: dict[str, Side] = {}  # by group
    splits: dict[Side, list[tuple[str, str]]] = {"train": [], "val": []}
    for label, keys in sorted(by_class.items()):
        _assign_sides(_grouped(keys, group), sides, share=share, seed=seed)
        for key in sorted(keys):
            splits[sides[group(key)]].append((key, label))
    return splits


def _assign_sides(groups: dict[str, list[str]], sides: dict[str, Side], *, share: float, seed: int) -> None:
    """Assign a side to each group of a class that has none yet."""
    videos = sum(map(len, groups.values()))
    wanted = min(max(1, round(share * videos)), videos - 1)
    aside = sum(len(keys) for name, keys in groups.items() if sides.get(name) == "val")
    kept = videos - aside
    free = sorted((name for name in groups if name not in sides), key=lambda name: _hash(name, seed))
    for name in free:
        size = len(groups[name])
        fits = aside + size <= wanted or aside == 0
        sides[name] = "val" if fits and kept > size else "train"
        if sides[name] == "val":
            aside, kept = aside + size, kept - size


def _grouped(keys: Sequence[str], group: Callable[[str], str]) -> dict[str, list[str]]:
    groups: dict[str, list[str]] = {}
    for key in keys:
        groups.setdefault(group(key), []).append(key)
    return groups


def _hash(name: str, seed: int) -> bytes:
    return hashlib.sha256(f"{seed}\0{name}".encode()).digest()


def few_words(videos: int) -> str:
    """What few validation videos mean for scores, in words; empty where there are enough, or none."""
    if not 0 < videos < _FEW:
        return ""
    are, each = ("videos are", "each of them") if videos > 1 else ("video is", "it")
    return f"{videos} validation {are} few, as {each} moves a score by {100 / videos:.3g} points"
