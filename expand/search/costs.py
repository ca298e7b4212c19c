"""Costs, which targets and limits of a search are amounts of, exact and in closed form, or a user's own.

cost = load_cost("params")
cost.value(space, point, num_classes=10)      # 1_031_056
cost.short(1_500_000)                         # "1.5Mparams", as a target is written
parse_target("1.5Mparams")                    # (1_500_000, "params")
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from expand.config.spaces import Space, load_own
from expand.config.targets import short_target
from expand.search.latency import LATENCY, LatencyCost, Pace
from expand.system.errors import UserError
from expand.system.units import show_bytes, show_count
from search_spaces.base import peak_of

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
    """A cost that follows from the architecture.

    Attributes:
        name, unit: see `Cost`.
        count: counts it, for an architecture of a space and a number of classes.
        shown: a text for a value, see `Cost.show`.
    """

    name: str
    unit: str
    count: Callable[[Space, Any, int], int]
    shown: Callable[[float], str] = show_count

    def value(self, space: Space, point: Any, num_classes: int) -> int:
        """See `Cost.value`."""
        return self.count(space, space.architecture(point), num_classes)

    def short(self, value: int) -> str:
        """See `Cost.short`. The text is also a valid `--target`."""
        return short_target(value, self.name)

    def show(self, value: float) -> str:
        """See `Cost.show`."""
        return self.shown(value)


def weight_bytes(space: Space, architecture: Any, num_classes: int) -> int:
    """The bytes of a network's parameters in float32."""
    return _FLOAT32 * space.complexity(architecture, num_classes).params


def activation_bytes(space: Space, architecture: Any, num_classes: int) -> int:
    """The bytes of the activations that are in memory at once when a network sees a clip, in float32.

    Raises:
        UserError: the space does not say how many they are (`search_spaces.base.peak_of`).
    """
    peak = peak_of(space)
    if peak is None:
        raise UserError(
            "the cost peak needs a space that says what is in memory at once, but "
            f"{type(space).__name__} has no method peak: add it (search_spaces/base.py), or choose another "
            "search.cost."
        )
    return _FLOAT32 * peak(architecture, num_classes)


def _counted(field: str) -> Callable[[Space, Any, int], int]:
    """What counts a field of the space's Complexity."""

    def count(space: Space, architecture: Any, num_classes: int) -> int:
        counted: int = getattr(space.complexity(architecture, num_classes), field)
        return counted

    return count


MACS = ExactCost("macs", "MACs", _counted("macs"))
_COSTS = (
    MACS,
    ExactCost("params", "parameters", _counted("params")),
    ExactCost("activations", "activations", _counted("activations")),
    ExactCost("weights", "weights", weight_bytes, show_bytes),
    ExactCost("peak", "peak memory", activation_bytes, show_bytes),
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
