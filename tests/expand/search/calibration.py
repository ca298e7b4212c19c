"""How sure races say they are, and how often they are right, where the truth is known.

python -m tests.expand.search.calibration          # the table of docs/decisions.md, in about six minutes
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest

from expand.search.base import Outcome
from expand.search.race import Raced
from tests.expand.search.test_beliefs import WORLDS, World

Table = Callable[[str, int], Outcome]  # the outcome of a candidate's training by its name and seed
Race = Callable[[Table, list[str]], Raced]  # races candidates with these names

MARGIN = 0.01


@dataclass(frozen=True, kw_only=True, slots=True)
class Calibration:
    """What races said and what was so.

    Attributes:
        said: the mean probability that the chosen one is at most the margin below the best.
        so: the share of races in which it is.
        races: their number.
    """

    said: float
    so: float
    races: int

    @property
    def error(self) -> float:
        """The standard error of `so`."""
        return float(np.sqrt(self.so * (1 - self.so) / self.races))


def calibration(world: World, race: Race, *, races: int, seeds: int, key: int) -> Calibration:
    """Race candidates of known true scores again and again.

    Args:
        world: draws true scores, and what trainings measure of them.
        race: makes a race.
        races: their number.
        seeds: the most seeds of a race.
        key: seeds what is drawn.
    """
    random = np.random.default_rng(key)
    said, so = list[float](), list[bool]()
    for _ in range(races):
        truth = world.truth(random)
        names = [f"axis-{i}" for i in range(len(truth))]
        measured = dict(zip(names, world.measure(truth, seeds, random), strict=True))

        def table(name: str, seed: int, measured: dict[str, list[Outcome | None]] = measured) -> Outcome:
            outcome = measured[name][seed]
            assert outcome is not None
            return outcome

        decision = race(table, names).decision
        if decision.belief is not None and decision.beliefs is not None:
            known = [i for i, belief in enumerate(decision.beliefs.of) if belief is not None]
            said.append(decision.belief.within)
            so.append(bool(truth[names.index(decision.chosen)] >= truth[known].max() - MARGIN))
    return Calibration(said=float(np.mean(said)), so=float(np.mean(so)), races=len(said))


def main() -> None:
    """Print the table."""
    from tests.expand.search.test_race import run

    pytest.MonkeyPatch().setattr("expand.search.race.DRAWS", 512)
    sys.stdout.write("world, least seeds: said, so ± standard error\n")
    for name, world in WORLDS.items():
        for least in (2, 1):

            def race(table: Table, names: list[str], least: int = least) -> Raced:
                return run(table, seeds=(least, 8), costs=dict.fromkeys(names, 200), control=False)[1]

            found = calibration(world, race, races=2_000, seeds=8, key=11)
            sys.stdout.write(f"{name}, {least}: {found.said:.3f}, {found.so:.3f} ± {found.error:.3f}\n")
            sys.stdout.flush()


if __name__ == "__main__":
    main()
