"""What a strategy may spend on trainings, where the search has a budget."""

from __future__ import annotations

import math
from collections.abc import Sequence

from expand.search.base import Problem, Training
from expand.system.errors import UserError
from expand.system.units import show_count


class Purse:
    """The multiply-adds that are left of a budget; a strategy asks it before each round.

        purse = Purse(problem)
        while purse.pays(trainings):
            purse.spend(trainings)

    Args:
        problem: of the search; without a budget, everything can be paid.
        share: the share of the budget that is in this purse, such as that of one of several targets.
    """

    def __init__(self, problem: Problem, share: float = 1.0) -> None:
        self._problem = problem
        self.left = math.inf if problem.budget is None else share * problem.budget
        self.reserve = 0.0  # multiply-adds that are not to be spent now, as they are needed later

    def pays(self, trainings: Sequence[Training]) -> bool:
        """Whether the trainings can be paid, without the reserve."""
        return self._problem.spent(trainings) <= self.left - self.reserve

    def spend(self, trainings: Sequence[Training]) -> None:
        """Take what the trainings cost."""
        self.left -= self._problem.spent(trainings)

    def check(self, trainings: Sequence[Training]) -> None:
        """Check that what a strategy needs at least can be paid.

        Raises:
            UserError: it cannot.
        """
        if not self.pays(trainings):
            least = show_count(math.ceil(self._problem.spent(trainings) + self.reserve))
            raise UserError(
                f"search.budget must pay for the first trainings at least, which take {least} multiply-adds, "
                f"but there are {show_count(math.floor(self.left))}: raise it, or train for fewer epochs."
            )
