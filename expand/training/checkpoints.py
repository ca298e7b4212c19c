"""Checkpoints of a training: whole ones only, the last two, and none that holds code."""

from __future__ import annotations

import io
import logging
import re
from pathlib import Path
from typing import Any

import torch

from expand.system.errors import RunFailed, UserError
from expand.system.files import quarantine, replacing

KEPT = 2
_NAME = "step-{step:09}.pt"
_NAMED = re.compile(r"step-(\d{9})\.pt")

log = logging.getLogger(__name__)

TrainingState = dict[str, Any]  # tensors and plain values; `step` is among them


def write_checkpoint(folder: Path, state: TrainingState) -> Path:
    """Put a checkpoint in place whole, then drop all but the last two.

    Raises:
        RunFailed: it cannot be written; those before it stay.
    """
    path = folder / _NAME.format(step=state["step"])
    whole = io.BytesIO()
    torch.save(state, whole)  # whose own writer says nothing that helps where a disk is full
    try:
        folder.mkdir(exist_ok=True)
        with replacing(path) as partial:
            partial.write_bytes(whole.getbuffer())
    except OSError as error:
        raise RunFailed(f"{path} cannot be written: {error.strerror}; see to that and resume.") from error
    for _, old in _found(folder)[:-KEPT]:
        old.unlink(missing_ok=True)
    return path


def load_checkpoint(folder: Path) -> tuple[TrainingState, tuple[str, ...]]:
    """The last whole checkpoint, and a line for each later one that is damaged.

    Raises:
        UserError: there is none that is whole.
    """
    state, damaged = newest(folder)
    if state is not None:
        return state, tuple(
            f"{name} is cut off or damaged: going on from the checkpoint before it" for name in damaged
        )
    raise UserError(
        f"{folder} must hold a whole checkpoint, but "
        + (f"all are damaged ({', '.join(reversed(damaged))})" if damaged else "there is none")
        + ": train again into another folder."
    )


def newest(folder: Path) -> tuple[TrainingState | None, tuple[str, ...]]:
    """The last whole checkpoint, if there is one, and the names of later ones, which are set aside.

    Raises:
        UserError: one may not be read.
    """
    damaged: list[str] = []
    for _, path in reversed(_found(folder)):
        try:
            state: TrainingState = torch.load(path, map_location="cpu", weights_only=True)
        except PermissionError as error:
            raise UserError(f"{path} cannot be read: {error.strerror}.") from None
        except Exception:  # of many kinds: bytes that are no checkpoint are read as if they were
            log.warning("%s is cut off or damaged: set aside", path)
            quarantine(path)
            damaged.append(path.name)
            continue
        return state, tuple(damaged)
    return None, tuple(damaged)


def _found(folder: Path) -> list[tuple[int, Path]]:
    matches = ((_NAMED.fullmatch(path.name), path) for path in folder.glob("*.pt"))
    return sorted((int(match[1]), path) for match, path in matches if match)
