"""A problem and axes that remember what they have worked out, for searches that are replayed many times."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import Any

from expand.search.base import Candidate, Problem
from search_spaces.base import Axis


@dataclass(frozen=True, kw_only=True)
class RememberingProblem(Problem):
    """A problem that counts every network once, as all replays ask for the same ones."""

    memory: dict[object, Any] = field(default_factory=dict, compare=False, repr=False)

    @classmethod
    def of(cls, problem: Problem) -> RememberingProblem:
        """The problem, with axes that remember how networks move along them."""
        given = {one.name: getattr(problem, one.name) for one in fields(Problem)}
        return cls(**given | {"axes": {name: RememberingAxis(axis) for name, axis in problem.axes.items()}})

    def candidate(
        self, name: str, point: Any, *, axis: str | None = None, parent: Candidate | None = None
    ) -> Candidate:
        key = (name, point, axis, parent)
        if key not in self.memory:
            self.memory[key] = super().candidate(name, point, axis=axis, parent=parent)
        found: Candidate = self.memory[key]
        return found

    def cost_of(self, point: Any) -> int:
        if point not in self.memory:
            self.memory[point] = super().cost_of(point)
        found: int = self.memory[point]
        return found


class RememberingAxis:
    """An axis that remembers how points move along it."""

    def __init__(self, axis: Axis[Any]) -> None:
        self.name, self.label = axis.name, axis.label
        self._axis = axis
        self._moved: dict[object, Any] = {}

    def move(self, space: Any, point: Any, steps: int) -> Any | None:
        if (point, steps) not in self._moved:
            self._moved[point, steps] = self._axis.move(space, point, steps)
        return self._moved[point, steps]
