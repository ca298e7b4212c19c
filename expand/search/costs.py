"""Costs, which targets and limits of a search are amounts of, exact and in closed form, or a user's own.

cost = load_cost("params")
cost.value(space, point, num_classes=10)      # 1_031_056
cost.short(1_500_000)                         # "1.5Mparams", as a target is written
parse_target("1.5Mparams")                    # (1_500_000, "params")
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

from expand.config.spaces import Space, load_own
from expand.config.targets import short_target
from expand.search.latency import LATENCY, LatencyCost, Pace
from expand.system.errors import UserError
from expand.system.units import show_bytes, show_count
from search_spaces.base import Complexity, peak_of

_FLOAT32 = 4  # bytes


class Cost(Protocol):
    """Computes what a network costs. The cost must never fall as the network grows along an axis."""

    @property
    def name(self) -> str:
        """The cost's name in settings and in the columns of tables."""
        ...

    @property
    def unit(self) -> str:
        """The unit in the plural, as in `80 M MACs`."""
        ...

    def value(self, space: Space, point: Any, num_classes: int) -> int:
        """The cost of one clip through the network at a point."""
        ...

    def short(self, value: int) -> str:
        """A short text for a value, such as 80M; it must be allowed in file names."""
        ...

    def show(self, value: float) -> str:
        """A text for a value in tables and figures, such as 20.66 M; `unit` stands beside or above it."""
        ...


@dataclass(frozen=True, slots=True)
class ExactCost:
    """The cost that a field of the space's Complexity gives; `name` is the name of the field."""

    name: str
    unit: str

    def value(self, space: Space, point: Any, num_classes: int) -> int:
        """See `Cost.value`."""
        counted: int = getattr(space.complexity(space.architecture(point), num_classes), self.name)
        return counted

    def short(self, value: int) -> str:
        """See `Cost.short`. The text is also a valid `--target`."""
        return short_target(value, self.name)

    def show(self, value: float) -> str:
        """See `Cost.show`: four digits."""
        return show_count(value)


@dataclass(frozen=True, slots=True)
class WeightsCost:
    """The bytes of a network's parameters in float32."""

    name: str = "weights"
    unit: str = "weights"

    def value(self, space: Space, point: Any, num_classes: int) -> int:
        """See `Cost.value`."""
        return weight_bytes(space.complexity(space.architecture(point), num_classes))

    def short(self, value: int) -> str:
        """See `Cost.short`. The text is also a valid `--target`."""
        return short_target(value, self.name)

    def show(self, value: float) -> str:
        """See `Cost.show`."""
        return show_bytes(value)


@dataclass(frozen=True, slots=True)
class PeakCost:
    """The bytes of the activations that are in memory at once when a network sees a clip, in float32.

    The space must say how many they are (`search_spaces.base.peak_of`).
    """

    name: str = "peak"
    unit: str = "peak memory"

    def value(self, space: Space, point: Any, num_classes: int) -> int:
        """See `Cost.value`.

        Raises:
            UserError: the space does not say.
        """
        found = peak_bytes(space, space.architecture(point), num_classes)
        if found is None:
            raise UserError(
                "the cost peak needs a space that says what is in memory at once, but "
                f"{type(space).__name__} has no method peak: add it (search_spaces/base.py), or choose "
                "another search.cost."
            )
        return found

    def short(self, value: int) -> str:
        """See `Cost.short`. The text is also a valid `--target`."""
        return short_target(value, self.name)

    def show(self, value: float) -> str:
        """See `Cost.show`."""
        return show_bytes(value)


def weight_bytes(complexity: Complexity) -> int:
    """The bytes of a network's parameters in float32."""
    return _FLOAT32 * complexity.params


def peak_bytes(space: Space, architecture: Any, num_classes: int) -> int | None:
    """The bytes of the activations that are in memory at once, in float32; None: the space does not say."""
    peak = peak_of(space)
    return None if peak is None else _FLOAT32 * peak(architecture, num_classes)


MACS = ExactCost("macs", "MACs")
_COSTS = (
    MACS,
    ExactCost("params", "parameters"),
    ExactCost("activations", "activations"),
    WeightsCost(),
    PeakCost(),
)
COSTS: dict[str, Cost] = {cost.name: cost for cost in _COSTS}


def load_cost(name: str, pace: Pace | None = None) -> Cost:
    """The cost of a name: one of `COSTS`, latency, or a user's own as `module:Class`.

    Args:
        name: of the cost.
        pace: of the device that latency is predicted for; None: not known.

    Raises:
        UserError: the name is unknown or cannot be imported, the class lacks members of `Cost`, or the pace
            is not known.
    """
    if name in COSTS:
        return COSTS[name]
    if name == LATENCY:
        if pace is None:
            raise UserError(
                "latency needs a profile of the device that networks are to run on: measure it by "
                "`xpand profile --out device.yaml`, then give --profile device.yaml."
            )
        return LatencyCost(pace)
    cost: Cost = load_own(name, Cost, "cost", "search.cost", f"one of {', '.join(COSTS)}, {LATENCY}")
    return cost
