"""Writes and reads checkpoints of a training: never partial files, the last two, without any code in them."""

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

TrainingState = dict[str, Any]  # tensors and plain values; has the key `step`


def write_checkpoint(folder: Path, state: TrainingState) -> Path:
    """Write a checkpoint in one step, then remove all but the last two.

    Raises:
        RunFailed: the checkpoint cannot be written; earlier ones are kept.
    """
    path = folder / _NAME.format(step=state["step"])
    whole = io.BytesIO()
    torch.save(state, whole)  # into memory, since torch's error on a full disk does not say so
    try:
        folder.mkdir(exist_ok=True)
        with replacing(path) as partial:
            partial.write_bytes(whole.getbuffer())
    except OSError as error:
        raise RunFailed(f"{path} cannot be written: {error.strerror}; correct that and resume.") from error
    for _, old in _by_step(folder)[:-KEPT]:
        old.unlink(missing_ok=True)
    return path


def load_checkpoint(folder: Path) -> tuple[TrainingState, tuple[str, ...]]:
    """The last undamaged checkpoint, and a remark of one line for each later checkpoint, which is damaged.

    Raises:
        UserError: the folder has no undamaged checkpoint, or one cannot be read.
    """
    state, damaged = newest(folder)
    if state is not None:
        return state, tuple(
            f"{name} is cut off or damaged: continuing from the checkpoint before it" for name in damaged
        )
    raise UserError(
        f"{folder} must hold a whole checkpoint, but "
        + (f"all are damaged ({', '.join(reversed(damaged))})" if damaged else "there is none")
        + ": train again into another folder."
    )


def newest(folder: Path) -> tuple[TrainingState | None, tuple[str, ...]]:
    """The last undamaged checkpoint (None: there is none), and the file names of later, damaged ones.

    Damaged files are renamed (`quarantine`), so that no later call tries them again.

    Raises:
        UserError: this process has no permission to read a checkpoint.
    """
    damaged: list[str] = []
    for _, path in reversed(_by_step(folder)):
        try:
            state: TrainingState = torch.load(path, map_location="cpu", weights_only=True)
        except PermissionError as error:
            raise UserError(f"{path} cannot be read: {error.strerror}.") from None
        except Exception:  # torch raises many kinds for bytes that are not a checkpoint
            log.warning("%s is cut off or damaged: set aside", path)
            quarantine(path)
            damaged.append(path.name)
            continue
        return state, tuple(damaged)
    return None, tuple(damaged)


def _by_step(folder: Path) -> list[tuple[int, Path]]:
    """The step and the path of each checkpoint in a folder, in the order of steps."""
    matches = ((_NAMED.fullmatch(path.name), path) for path in folder.glob("*.pt"))
    return sorted((int(match[1]), path) for match, path in matches if match)
