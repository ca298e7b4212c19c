"""The interface of export formats: what is exported, what was written, and the `write` function."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Protocol

from expand.weights.models import Model

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True, kw_only=True, slots=True)
class NetworkToExport:
    """The network that is exported, with its weights.

    Attributes:
        model: the network, its clips and classes, and the record of how it was found.
        state: its weights as a `state_dict`; None without weights.
        fresh: whether the weights are untrained ones, made for this export.
        allow_approximate: whether the export may be of another, similar network, where the target cannot
            build exactly this one.
    """

    model: Model
    state: Mapping[str, Tensor] | None
    fresh: bool = False
    allow_approximate: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class FormatFiles:
    """The files that a format has written.

    Attributes:
        files: their paths, the main file first.
        loading: a few lines of Python that load the export, with file names without folders.
        running: Python that makes numpy `outputs` of numpy `clips` (B, 3, T, S, S); empty: `loading` goes
            from `video.mp4` to probabilities by itself.
        outputs: what `outputs` are.
        remarks: sentences for the model card on what is left out, approximate or changed.
    """

    files: tuple[Path, ...]
    loading: str
    running: str = ""
    outputs: Literal["logits", "probabilities"] = "logits"
    remarks: tuple[str, ...] = ()


RUN_TORCH = "outputs = network.eval()(torch.from_numpy(clips)).detach().numpy()"


class Format(Protocol):
    """An export format: a module of this package, or an object with the same members.

        format.write(source, folder / "s.yaml")    # writes s.yaml, and further files with the same stem

    The folder is a temporary one, whose files are moved to their place together once all are complete, so
    that a failure leaves nothing behind.

    Attributes:
        SUFFIX: suffix of the main file, such as `.yaml`.
        WEIGHTS: whether weights are `needed`, `taken along` if the model has some, or `unused`.
    """

    SUFFIX: str
    WEIGHTS: str

    def write(self, source: NetworkToExport, path: Path) -> FormatFiles:
        """Write the export.

        Raises:
            UserError: the target cannot represent this network; the message says what differs.
        """
        ...
