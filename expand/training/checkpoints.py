"""Checkpoints of a training: whole ones only, the last two, and none that holds code."""

from __future__ import annotations

import logging
import re
from pathlib import Path
from typing import Any

import torch

from expand.errors import RunFailed, UserError
from expand.files import replacing

KEPT = 2
_NAME = "step-{step:09}.pt"
_NAMED = re.compile(r"step-(\d{9})\.pt")

log = logging.getLogger(__name__)

State = dict[str, Any]  # tensors and plain values; `step` is among them


def save_checkpoint(folder: Path, state: State) -> Path:
    """Put a checkpoint in place whole, then drop all but the last two.

    Raises:
        RunFailed: it cannot be written; those before it stay.
    """
    path = folder / _NAME.format(step=state["step"])
    try:
        folder.mkdir(exist_ok=True)
        with replacing(path) as partial:
            torch.save(state, partial)
    except (OSError, RuntimeError) as error:  # torch's own writer has its own error
        raise RunFailed(
            f"the checkpoint {path} cannot be written: {_why(error)}; make room and resume."
        ) from error
    for _, old in _found(folder)[:-KEPT]:
        old.unlink()
    return path


def load_checkpoint(folder: Path) -> tuple[State, tuple[str, ...]]:
    """The last whole checkpoint, and a line for each later one that is damaged.

    Raises:
        UserError: there is none that is whole.
    """
    remarks: list[str] = []
    for _, path in reversed(_found(folder)):
        try:
            state: State = torch.load(path, map_location="cpu", weights_only=True)
        except PermissionError as error:
            raise UserError(f"{path} cannot be read: {error.strerror}.") from None
        except Exception:  # of many kinds: bytes that are no checkpoint are read as if they were
            remarks.append(f"{path.name} is cut off or damaged: going on from the checkpoint before it")
            log.warning(remarks[-1])
            continue
        return state, tuple(remarks)
    damaged = ", ".join(path.name for _, path in _found(folder))
    raise UserError(
        f"{folder} must hold a whole checkpoint, but "
        + (f"all are damaged ({damaged})" if damaged else "there is none")
        + ": train again into another folder."
    )


def _found(folder: Path) -> list[tuple[int, Path]]:
    matches = ((_NAMED.fullmatch(path.name), path) for path in folder.glob("*.pt"))
    return sorted((int(match[1]), path) for match, path in matches if match)


def _why(error: BaseException) -> str:
    return (isinstance(error, OSError) and error.strerror) or str(error).splitlines()[0]
