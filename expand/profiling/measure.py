"""Makes a profile: times networks, from where that was cut off, and finds the pace of their parts."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from expand.config.base import to_yaml
from expand.config.profile import ProfileConfig, Runtime
from expand.config.search import SpaceConfig
from expand.config.spaces import load_space
from expand.profiling.design import Network, drawn
from expand.profiling.fit import checked, fitted
from expand.profiling.runtimes import prepared_network, version_of
from expand.profiling.timing import timed
from expand.system.errors import UserError
from expand.system.files import write_atomic
from expand.system.machine import describe_machine
from expand.training.devices import choose_device

_GROUP = 24  # networks that are in memory at once, and timed in turns
FEWEST = 40  # networks: fewer tell too little about the amounts of work, of which there are 26 in x3d

OnProgress = Callable[[int, int], None]  # networks that are timed, and those that will be


@dataclass(frozen=True, kw_only=True, slots=True)
class Wanted:
    """What a profile is to be of; see `ProfileConfig`.

    Attributes:
        largest: the multiply-adds of the largest network, over those of the start.
    """

    space: SpaceConfig
    num_classes: int
    runtime: Runtime
    device: str
    threads: int
    batch: int
    largest: float


def profile(wanted: Wanted, networks: int, file: Path, on_progress: OnProgress) -> ProfileConfig:
    """Time networks, write the profile to a file, and return it.

    The times lie beside it (`timings_file`), and are gone on with if they are there.

    Args:
        wanted: what is timed, and where.
        networks: how many.
        file: of the profile.
        on_progress: called after every group of networks.

    Raises:
        UserError: the device, the packages or the space do not allow it, or the file beside has other times.
    """
    if networks < FEWEST:
        raise UserError(f"--networks must be at least {FEWEST}, got {networks}.")
    device = choose_device(wanted.device)
    if wanted.runtime != "torch" and device != "cpu":
        raise UserError(f"--runtime {wanted.runtime} runs on the cpu, got --device {device}.")
    space = load_space(wanted.space.name, wanted.space.settings)
    chosen = list(islice(drawn(space, wanted.num_classes, wanted.largest), networks))
    machine = describe_machine()
    known = {
        "space": wanted.space.model_dump(mode="json"),
        "num_classes": wanted.num_classes,
        "runtime": wanted.runtime,
        "version": version_of(wanted.runtime),
        "device": device,
        "threads": wanted.threads,
        "batch": wanted.batch,
        "largest": wanted.largest,
        "processor": machine["processor"],
    }
    times = _timings(timings_file(file), known)[:networks]
    on_progress(len(times), networks)
    for begin in range(len(times), networks, _GROUP):
        runs = [
            prepared_network(
                space,
                one.architecture,
                wanted.num_classes,
                batch=wanted.batch,
                runtime=wanted.runtime,
                device=device,
                threads=wanted.threads,
            )
            for one in chosen[begin : begin + _GROUP]
        ]
        times += _kept(timings_file(file), timed(runs, wanted.threads))
        on_progress(len(times), networks)
    found = _profile(wanted, chosen, times, device=device, machine={**machine, "runtime": known["version"]})
    write_atomic(file, f"# A profile of a device, written by xpand profile.\n{to_yaml(found)}")
    return found


def timings_file(file: Path) -> Path:
    """Where the times lie of which a profile is made."""
    return file.with_name(f"{file.stem}.timings.jsonl")


def _profile(
    wanted: Wanted,
    networks: Sequence[Network],
    times: Sequence[float],
    *,
    device: str,
    machine: dict[str, object],
) -> ProfileConfig:
    errors, by_macs = checked(networks, times)
    return ProfileConfig(
        space=wanted.space.name,
        settings=wanted.space.settings,
        num_classes=wanted.num_classes,
        runtime=wanted.runtime,
        device=device,
        threads=wanted.threads,
        batch=wanted.batch,
        machine=machine,
        networks=len(networks),
        macs=(min(one.macs for one in networks), max(one.macs for one in networks)),
        errors=errors,
        errors_by_macs=by_macs,
        pace={kind: dict(work) for kind, work in fitted(networks, times).items()},
    )


def _timings(file: Path, known: dict[str, object]) -> list[float]:
    """The times in a file, which is begun with what they are of if it is not there.

    Raises:
        UserError: they are of something else.
    """
    if not file.exists():
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(known) + "\n", encoding="utf-8")
        return []
    try:
        first, *lines = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    except ValueError:
        raise UserError(
            f"{file} must hold times of xpand profile, but it cannot be read: delete it."
        ) from None
    if first != known:
        different = ", ".join(name for name in known if first.get(name) != known[name])
        raise UserError(
            f"{file} must hold times of what is to be profiled, but they differ in {different}: delete it, "
            "or choose another --out."
        )
    return [float(time) for times in lines for time in times]


def _kept(file: Path, times: list[float]) -> list[float]:
    """The times, once they are in the file."""
    with file.open("a", encoding="utf-8") as end:
        end.write(json.dumps(times) + "\n")
    return times
