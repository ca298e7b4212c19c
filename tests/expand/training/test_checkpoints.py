from __future__ import annotations

import os
import pickle
from pathlib import Path

import pytest
import torch

from expand.system.errors import RunFailed, UserError
from expand.training.checkpoints import load_checkpoint, write_checkpoint


def save(folder: Path, *steps: int) -> list[Path]:
    return [write_checkpoint(folder, {"step": step, "weights": torch.full((1000,), step)}) for step in steps]


def test_the_last_two_stay(tmp_path: Path) -> None:
    save(tmp_path, 0, 10, 200)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["step-000000010.pt", "step-000000200.pt"]
    state, remarks = load_checkpoint(tmp_path)
    assert state["step"] == 200
    assert torch.equal(state["weights"], torch.full((1000,), 200))
    assert remarks == ()


@pytest.mark.parametrize("kept", [0.0, 0.5, 0.99])
def test_a_truncated_one_falls_back_to_the_one_before(tmp_path: Path, kept: float) -> None:
    _, last = save(tmp_path, 10, 20)
    os.truncate(last, int(kept * last.stat().st_size))
    state, remarks = load_checkpoint(tmp_path)
    assert state["step"] == 10
    assert remarks == ("step-000000020.pt is cut off or damaged: continuing from the checkpoint before it",)


def test_none_that_is_whole(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="must hold a whole checkpoint, but there is none"):
        load_checkpoint(tmp_path)
    for path in save(tmp_path, 1, 2):
        path.write_bytes(b"")
    with pytest.raises(UserError, match=r"all are damaged \(step-000000001.pt, step-000000002.pt\)"):
        load_checkpoint(tmp_path)


def test_code_in_a_checkpoint_is_not_run(tmp_path: Path) -> None:
    class Evil:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return os.mkdir, (str(tmp_path / "evil"),)

    save(tmp_path, 1)
    (tmp_path / "step-000000002.pt").write_bytes(pickle.dumps(Evil()))
    torch.save({"step": 3, "evil": Evil()}, tmp_path / "step-000000003.pt")
    assert load_checkpoint(tmp_path)[0]["step"] == 1
    assert not (tmp_path / "evil").exists()


def test_a_place_that_cannot_be_written_keeps_what_was_there(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(RunFailed, match="cannot be written"):
        save(tmp_path / "file", 1)
    assert (tmp_path / "file").read_text() == "in the way"


def test_a_folder_that_cannot_be_made_is_told_with_its_path(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    folder = tmp_path / "file" / "epochs"
    with pytest.raises(RunFailed) as caught:
        write_checkpoint(folder, {"step": 3})
    assert str(caught.value) == (
        f"{folder / 'step-000000003.pt'} cannot be written: Not a directory; correct that and resume."
    )
