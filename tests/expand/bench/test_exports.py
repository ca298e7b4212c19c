"""What `xpand bench exports` says; the real projects are not there in the tests."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from rich.console import Console

from expand.bench.exports import Check, table
from tests.expand.commands import Xpand, refused

AGREEING = Check(
    network="net",
    form="slowfast",
    target="SlowFast's X3D",
    widths=(24, 24, 48, 96, 192),
    same_stages=True,
    params=1_052,
    expected_params=1_052,
    searched_params=1_100,
    macs=2_000,
    expected_macs=2_000,
    difference=3e-7,
)


def changed(**values: object) -> Check:
    return replace(AGREEING, **values)  # type: ignore[arg-type]


def test_all_four_must_agree() -> None:
    assert AGREEING.agrees
    for values in (
        {"same_stages": False},
        {"params": 1_100},
        {"macs": 2_001},
        {"difference": 1e-3},
        {"difference": float("nan")},
    ):
        assert not changed(**values).agrees, values


def test_a_refusal_is_no_disagreement() -> None:
    assert Check(network="net", form="slowfast", refused="it must be another").agrees


def test_the_table() -> None:
    console = Console(width=160)
    with console.capture() as shown:
        refusal = Check(network="odd", form="pytorchvideo", refused="it must be another")
        console.print(table([AGREEING, changed(macs=2_001), refusal]))
    lines = [" ".join(line.split()) for line in shown.get().splitlines()]
    assert lines[1:] == [
        "net SlowFast's X3D 24 24 48 96 192 1,052 (-48) 2,000 3e-07 agrees",
        "net SlowFast's X3D 24 24 48 96 192 1,052 (-48) ≠ 2,001 3e-07 DIFFERENT",
        "odd pytorchvideo refused, see below",
    ]


def test_without_a_checkout(xpand: Xpand) -> None:
    assert refused(xpand("bench", "exports", "x3d-s")) == (
        "error: bench exports needs PyTorchVideo, and SlowFast's networks need its layers: "
        "give --peer-pytorchvideo CHECKOUT."
    )


def test_something_else_than_a_checkout(xpand: Xpand, tmp_path: Path) -> None:
    assert refused(xpand("bench", "exports", "x3d-s", "--peer-pytorchvideo", tmp_path)) == (
        "error: --peer-pytorchvideo must be a checkout that holds pytorchvideo/models/x3d.py, "
        f"but {tmp_path} does not."
    )
