"""Whether the networks of a search fit into memory, before it starts.

Each by the closed form of its footprint. That the most expensive candidate wins each round is assumed, as in
forecast.py; one that does not fit fails, and never wins.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass

from expand.search.base import Candidate
from expand.search.forecast import likely_rounds
from expand.search.setup import Setup
from expand.system.errors import UserError
from expand.system.units import show_bytes
from expand.training.footprint import Footprint, Way
from search_spaces.base import Json

Measure = Callable[[Candidate], Footprint]


@dataclass(frozen=True, kw_only=True, slots=True)
class Foresight:
    """What a search will take of a worker's memory.

    Attributes:
        room: bytes that a worker may take.
        needed: bytes of the candidate that takes most, with its whole batch.
        candidates: of the forecast, as far as it goes.
        in_parts: of these, those whose batch is taken in parts.
        part: clips at a time in the smallest of these parts; None where there are none.
        failing: candidates of which not one clip fits.
        furthest: multiply-adds of the largest network before a round of which nothing fits; None: there is
            no such round.
        short: bytes that this round's most modest network takes at the least; None: there is no such round.
    """

    room: int
    needed: int
    candidates: int
    in_parts: int
    part: int | None
    failing: int
    furthest: int | None
    short: int | None

    @property
    def described(self) -> str:
        """In words, for a line of the forecast."""
        told = f"{show_bytes(self.needed)} at the most of the {show_bytes(self.room)} of a worker"
        if self.furthest is not None:
            return f"{told}: no target above {_short(self.furthest)} fits"
        if self.in_parts:
            part = f"{self.part} clip{'s' * (self.part != 1)}"
            told += (
                f": {self.in_parts} of {self.candidates} candidates take their batch in parts of down to "
                f"{part}, and BatchNorm sees a part"
            )
        return told + (f"; {self.failing} do not fit at all" if self.failing else "")

    def to_json(self) -> Json:
        return asdict(self)

    def check(self, targets: tuple[int, ...]) -> None:
        """Raises UserError where a target cannot be reached."""
        if self.furthest is None or self.short is None:
            return
        least = f"one clip at a time would take {show_bytes(self.short)}"
        if not self.furthest:
            raise UserError(
                f"the start network must fit into the {show_bytes(self.room)} that a worker has, but "
                f"{least}: start from a smaller basis, or give it more memory."
            )
        raise UserError(
            f"target must be at most {_short(self.furthest)}, the largest whose networks fit into the "
            f"{show_bytes(self.room)} that a worker has, got {max(targets):,}: beyond it, even {least}; "
            "lower --target, or give it more memory or fewer workers."
        )


def foresee(setup: Setup, room: int, measure: Measure) -> Foresight:
    """What the candidates of a search take, and how far it gets."""
    batch = setup.config.training.batch_size
    sizes: dict[Candidate, tuple[Footprint, int | None]] = {}

    def fits(candidate: Candidate) -> bool:
        found = measure(candidate)
        sizes[candidate] = found, found.largest_part(batch, room)
        return sizes[candidate][1] is not None

    rounds = likely_rounds(setup, fits)
    parts = [part for _, part in sizes.values() if part is not None and part < batch]
    fitting = [
        candidate for round_ in rounds for candidate in round_.candidates if sizes[candidate][1] is not None
    ]
    stopped = not any(sizes[candidate][1] for candidate in rounds[-1].candidates)
    last = [sizes[candidate][0].training(batch, 1) for candidate in rounds[-1].candidates]
    return Foresight(
        room=room,
        needed=max(found.training(batch, batch) for found, _ in sizes.values()),
        candidates=len(sizes),
        in_parts=len(parts),
        part=min(parts, default=None),
        failing=sum(part is None for _, part in sizes.values()),
        furthest=max((candidate.macs for candidate in fitting), default=0) if stopped else None,
        short=min(last) if stopped else None,
    )


def measure_by(setup: Setup, way: Way) -> Measure:
    """The footprint of each candidate on a device of this way."""
    space, classes = setup.space, len(setup.data.classes)

    def measure(candidate: Candidate) -> Footprint:
        complexity = space.complexity(space.architecture(candidate.point), classes)
        return Footprint.of(complexity, space.sampling(candidate.point), way)

    return measure


def _short(macs: int) -> str:
    """Two digits, rounded down, so that it can be typed as a target: 3.4G."""
    for unit, size in (("T", 10**12), ("G", 10**9), ("M", 10**6), ("K", 10**3)):
        if macs >= size:
            tenths = 10 * macs // size
            return f"{tenths / 10:g}{unit}" if tenths < 1000 else f"{tenths // 10}{unit}"
    return str(macs)
