"""What every export format is given, and what it gives back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from expand.weights.models import Model

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True, kw_only=True, slots=True)
class Source:
    """What is exported.

    Attributes:
        model: the network, its clips, its classes, and what is known of how it was found.
        state: its weights under the names of its `state_dict`; None: there are none.
        fresh: whether the weights are untrained ones, made for this export.
        allow_approximate: whether a network may be written that the target builds otherwise.
    """

    model: Model
    state: Mapping[str, Tensor] | None
    fresh: bool = False
    allow_approximate: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Written:
    """What a format wrote.

    Attributes:
        files: the paths, the one that was asked for first.
        loading: Python that loads it, three lines; file names as they are, without folders.
        remarks: sentences for the model card: what is left out, approximate or rewritten.
    """

    files: tuple[Path, ...]
    loading: str
    remarks: tuple[str, ...] = ()


class Format(Protocol):
    """A module of this package, or an object like one.

        format.write(source, folder / "s.yaml")    # s.yaml, and what belongs to it under the same stem

    `write` checks before it writes. The folder is a temporary one, whose files are put in place together
    when all are there, so that a failure leaves nothing.

    Attributes:
        SUFFIX: of the file that is asked for, such as `.yaml`.
        WEIGHTS: `needed`, `taken along` where there are some, or `unused`.
    """

    SUFFIX: str
    WEIGHTS: str

    def write(self, source: Source, path: Path) -> Written:
        """Write the export.

        Raises:
            UserError: the target cannot hold this network; the line says what differs.
        """
        ...
