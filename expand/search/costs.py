"""Costs, which the targets of a search limit: multiply-adds, parameters, activations, or a cost of your own.

cost = load_cost("params")
cost.value(space, point, num_classes=10)      # 1_031_056
cost.short(1_500_000)                         # "1.5Mparams", as a target is written
parse_target("1.5Mparams")                    # (1_500_000, "params")
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

from expand.config.spaces import Space, load_own
from expand.config.targets import UNITS
from expand.system.units import short_count


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
        suffix = next(suffix for suffix, name in UNITS.items() if name == self.name)
        return short_count(value) + suffix


MACS = ExactCost("macs", "MACs")
_COUNTED = (MACS, ExactCost("params", "parameters"), ExactCost("activations", "activations"))
COSTS: dict[str, Cost] = {cost.name: cost for cost in _COUNTED}


def load_cost(name: str) -> Cost:
    """The cost of a name: macs, params, activations, or a user's own as `module:Class`.

    Raises:
        UserError: the name is unknown or cannot be imported, or the class lacks members of `Cost`.
    """
    if name in COSTS:
        return COSTS[name]
    cost: Cost = load_own(name, Cost, "cost", "search.cost", f"one of {', '.join(COSTS)}")
    return cost
