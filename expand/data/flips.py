"""Classes that swap when a video is mirrored, such as left and right."""

from __future__ import annotations

from collections.abc import Sequence

from expand.config.data import DataConfig
from expand.system.errors import UserError


def flip_swaps(config: DataConfig, classes: Sequence[str]) -> tuple[int, ...]:
    """Return, for each class, the class of its mirror image.

    Raises:
        UserError: `data.flip_labels` names an unknown class, or a class twice.
    """
    swaps = list(range(len(classes)))
    for pair in config.flip_labels.items():
        for name in pair:
            if name not in classes:
                raise UserError(
                    f"data.flip_labels must name classes of the data, got {name!r}: "
                    f"known are {some_of(classes)}."
                )
        one, other = (classes.index(name) for name in pair)
        if {swaps[one], swaps[other]} not in ({one, other}, {one}):
            raise UserError(
                f"data.flip_labels must pair each class with one other, got {pair[0]!r}: {pair[1]!r} besides "
                "another pair with one of them: take one of the two out."
            )
        swaps[one], swaps[other] = other, one
    return tuple(swaps)


def some_of(names: Sequence[str], most: int = 10) -> str:
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")
