"""What a search counts and its targets limit: multiply-adds, parameters, activations, or a cost of one's own.

cost = load_cost("params")
cost.value(space, point, num_classes=10)      # 1_031_056
cost.short(1_500_000)                         # "1.5Mparams", as a target is written
parse_target("1.5Mparams")                    # (1_500_000, "params")
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

from expand.config.spaces import Space, check_members, load_class
from expand.config.targets import UNITS
from expand.system.units import short_count


class Cost(Protocol):
    """What a network costs. It never falls as a network grows along an axis of its space."""

    @property
    def name(self) -> str:
        """In settings and in the columns of tables."""
        ...

    @property
    def unit(self) -> str:
        """What is counted, in the plural, as in `80 M MACs`."""
        ...

    def value(self, space: Space, point: Any, num_classes: int) -> int:
        """Of one clip through the network of a point."""
        ...

    def short(self, value: int) -> str:
        """A value in a few letters that a file's name can have, such as 80M."""
        ...


@dataclass(frozen=True, slots=True)
class ExactCost:
    """One of the numbers that every space counts exactly: a field of its Complexity."""

    name: str
    unit: str

    def value(self, space: Space, point: Any, num_classes: int) -> int:
        """See `Cost.value`."""
        counted: int = getattr(space.complexity(space.architecture(point), num_classes), self.name)
        return counted

    def short(self, value: int) -> str:
        """See `Cost.short`; what `--target` takes."""
        suffix = next(suffix for suffix, name in UNITS.items() if name == self.name)
        return short_count(value) + suffix


MACS = ExactCost("macs", "MACs")
_COUNTED = (MACS, ExactCost("params", "parameters"), ExactCost("activations", "activations"))
COSTS: dict[str, Cost] = {cost.name: cost for cost in _COUNTED}


def load_cost(name: str) -> Cost:
    """A cost by name, or one's own as `module:Class`.

    Raises:
        UserError: the name leads nowhere, or to something that is no cost.
    """
    if name in COSTS:
        return COSTS[name]
    cost: Cost = load_class(name, "search.cost", f"one of {', '.join(COSTS)}")()
    check_members(cost, Cost, "cost", name)
    return cost
