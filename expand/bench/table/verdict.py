"""What replays say: how good what each way of searching finds is, how sure that is, and which is ahead.

Three kinds of luck are in it: with the replays, of which there are many; with the seeds by which networks are
judged, of which there are few; and with the validation videos, which all networks share. Standard errors hold
all three. A mean over replays counts a network as often as it was found, so the luck of one that is found
often does not average out.
"""

from __future__ import annotations

import math
import statistics
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from expand.bench.table.lookup import Entry, Lookup, seen_of
from expand.bench.table.replays import Climb, Step

_POINTS = 60  # at which curves are worked out


@dataclass(frozen=True, kw_only=True, slots=True)
class Estimate:
    """A mean, with its standard error."""

    mean: float
    error: float

    @property
    def above(self) -> float:
        """The probability that what is estimated is above zero."""
        if self.error == 0:
            return 0.5 if self.mean == 0 else float(self.mean > 0)
        return NormalDist(sigma=self.error).cdf(self.mean)


@dataclass(frozen=True, kw_only=True, slots=True)
class Found:
    """What the replays of a contender found, after some spending.

    Attributes:
        truths: the score of each replay's network, by seeds unseen.
        networks: the name of each replay's network.
    """

    truths: Sequence[float]
    networks: Sequence[str]


class Verdict:
    """Judges replays by a table.

    Args:
        lookup: the table.
        climbs: of each contender, its replays, all with the same numbers.
    """

    def __init__(self, lookup: Lookup, climbs: Mapping[str, Sequence[Climb]]) -> None:
        self.climbs = climbs
        self._lookup = lookup
        self._entries: dict[str, Entry] = {one.name: one for one in lookup.scratch.values()}
        self._held_out = {name: _held_out(one) for name, one in self._entries.items()}

    def spent(self, name: str) -> float:
        """The mean of what a contender's replays spend."""
        return statistics.fmean(climb.spent for climb in self.climbs[name])

    def found(self, name: str, spent: float = math.inf) -> Found | None:
        """What the replays had found after so much; None: some had nothing yet."""
        steps = [climb.at(spent) for climb in self.climbs[name]]
        known: list[Step] = [step for step in steps if step is not None]
        if len(known) < len(steps):
            return None
        return Found(truths=[step.truth for step in known], networks=[step.network for step in known])

    def regret(self, name: str, spent: float = math.inf) -> Estimate | None:
        """How far what is found is below the best that the whole table knows of, on average."""
        found = self.found(name, spent)
        if found is None:
            return None
        best = Found(
            truths=[climb.best for climb in self.climbs[name]],
            networks=[climb.best_network for climb in self.climbs[name]],
        )
        return self.difference(best, found)

    def difference(self, one: Found, other: Found) -> Estimate:
        """How far one is above another, on average."""
        gaps = np.subtract(one.truths, other.truths)
        shares = _shares(one.networks, other.networks)
        noise = self._lookup.noise["scratch"]
        of_seeds = sum(
            share**2 * noise**2 / len(self._entries[name].outcomes) for name, share in shares.items()
        )
        of_videos = 0.0
        rows = [
            share * videos
            for name, share in shares.items()
            if (videos := self._entries[name].videos) is not None
        ]
        if rows:
            apart = np.sum(rows, axis=0)  # (V,)
            of_videos = float(np.var(apart, ddof=1)) / len(apart)
        of_replays = float(np.var(gaps, ddof=1)) / len(gaps) if len(gaps) > 1 else 0.0
        return Estimate(mean=float(gaps.mean()), error=math.sqrt(of_seeds + of_videos + of_replays))

    def beats(self, one: Found, other: Found) -> float:
        """The probability that a single search of one finds a better network than a single one of the other.

        Over the replays; of the same network, each is better by half.
        """
        noise = self._lookup.noise["scratch"]
        chances = []
        for truth, network, rival, its in zip(
            one.truths, one.networks, other.truths, other.networks, strict=True
        ):
            if network == its:
                chances.append(0.5)
                continue
            error = noise * math.sqrt(1 / self._held_out[network] + 1 / self._held_out[its])
            chances.append(Estimate(mean=truth - rival, error=error).above)
        return statistics.fmean(chances)

    def long(self, found: Found) -> tuple[float, float] | None:
        """The mean score of what was found when trained at length, and the share of replays that it is of.

        None: the table has no long training of any of it.
        """
        scores = [
            score
            for name in found.networks
            if (score := self._lookup.long_score(self._entries[name])) is not None
        ]
        return (statistics.fmean(scores), len(scores) / len(found.networks)) if scores else None

    def grid(self) -> list[float]:
        """Amounts spent at which to draw curves, evenly spaced in their logarithm."""
        first = min(climb.steps[0].spent for climbs in self.climbs.values() for climb in climbs)
        last = max(climb.spent for climbs in self.climbs.values() for climb in climbs)
        return [float(one) for one in np.geomspace(first, last, _POINTS)]


def _held_out(entry: Entry) -> int:
    """How many trainings of a network are judged by, in each replay."""
    return len(entry.outcomes) - seen_of(len(entry.outcomes))


def _shares(one: Sequence[str], other: Sequence[str]) -> dict[str, float]:
    """By network, the share of replays in which one finds it, less that of the other."""
    shares = Counter[str]()
    for name in one:
        shares[name] += 1
    for name in other:
        shares[name] -= 1
    return {name: count / len(one) for name, count in shares.items() if count}
