"""Predicts whether the networks of a search fit into memory, before the search starts.

Every network's memory is computed by the closed form of its footprint. As in forecast.py, the most expensive
candidate is assumed to win every round; a candidate that does not fit counts as failed.
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
    """The memory that a search will take of a worker.

    Attributes:
        room: bytes that a worker may take.
        needed: bytes of the candidate that takes most, with its whole batch in one forward pass.
        candidates: number of candidates in the forecast, up to its end.
        in_parts: number of candidates whose batch must be split into micro-batches.
        part: clips in the smallest of these micro-batches; None: no batch is split.
        failing: number of candidates for which not even one clip fits.
        furthest: multiply-adds of the largest network that fits, if the search ends at a round in which no
            network fits; None: there is no such round.
        short: the fewest bytes that a network of that round takes, with one clip in a forward pass; None:
            there is no such round.
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
        """The memory in words, for a line of the forecast."""
        text = f"at most {show_bytes(self.needed)} of a worker's {show_bytes(self.room)}"
        if self.furthest is not None:
            return f"{text}: no target above {_short(self.furthest)} fits"
        if self.in_parts:
            part = f"{self.part} clip{'s' * (self.part != 1)}"
            text += (
                f": {self.in_parts} of {self.candidates} candidates split their batch into parts of down to "
                f"{part}, and BatchNorm normalises each part by itself"
            )
        return text + (f"; {self.failing} do not fit at all" if self.failing else "")

    def to_json(self) -> Json:
        return asdict(self)

    def check(self, targets: tuple[int, ...]) -> None:
        """Raises UserError if the search would end, for lack of memory, before all targets are passed."""
        if self.furthest is None or self.short is None:
            return
        least = f"would take {show_bytes(self.short)} even with one clip at a time"
        if not self.furthest:
            raise UserError(
                f"the start network must fit into the {show_bytes(self.room)} that a worker has, but it "
                f"{least}: start from a smaller basis, or give workers more memory."
            )
        raise UserError(
            f"target must be at most {_short(self.furthest)}, the largest whose networks fit into the "
            f"{show_bytes(self.room)} that a worker has, got {max(targets):,}: larger networks {least}; "
            "lower --target, or give workers more memory, such as by fewer workers."
        )


def foresee(setup: Setup, room: int, measure: Measure) -> Foresight:
    """Predict the memory of a search.

    Args:
        setup: the search.
        room: bytes that a worker may take.
        measure: gives a candidate's footprint, see `measure_by`.
    """
    batch = setup.config.training.batch_size
    sizes: dict[Candidate, tuple[Footprint, int | None]] = {}

    def fits(candidate: Candidate) -> bool:
        footprint = measure(candidate)
        sizes[candidate] = footprint, footprint.largest_part(batch, room)
        return sizes[candidate][1] is not None

    rounds = likely_rounds(setup, fits)
    parts = [part for _, part in sizes.values() if part is not None and part < batch]
    fitting = [
        candidate for round_ in rounds for candidate in round_.candidates if sizes[candidate][1] is not None
    ]
    last = rounds[-1].contenders
    stopped = not any(sizes[candidate][1] for candidate in last)
    return Foresight(
        room=room,
        needed=max(footprint.training(batch, batch) for footprint, _ in sizes.values()),
        candidates=len(sizes),
        in_parts=len(parts),
        part=min(parts, default=None),
        failing=sum(part is None for _, part in sizes.values()),
        furthest=max((candidate.macs for candidate in fitting), default=0) if stopped else None,
        short=min(sizes[candidate][0].training(batch, 1) for candidate in last) if stopped else None,
    )


def measure_by(setup: Setup, way: Way) -> Measure:
    """A function that gives a candidate's footprint on a device, as `way_of` describes it."""
    space, classes = setup.space, len(setup.data.classes)

    def measure(candidate: Candidate) -> Footprint:
        complexity = space.complexity(space.architecture(candidate.point), classes)
        return Footprint.of(complexity, space.sampling(candidate.point), way)

    return measure


def _short(macs: int) -> str:
    """A short count, rounded down so that it still fits when it is given as a target: 3.4G or 59G."""
    for unit, size in (("T", 10**12), ("G", 10**9), ("M", 10**6), ("K", 10**3)):
        if macs >= size:
            tenths = 10 * macs // size
            return f"{tenths / 10:g}{unit}" if tenths < 1000 else f"{tenths // 10}{unit}"
    return str(macs)
