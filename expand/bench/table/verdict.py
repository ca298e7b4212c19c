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

from expand.bench.table.lookup import Entry, Lookup, mean_score, seen_of
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
        truths: the score of each replay's network: by seeds unseen, or at length.
        networks: the name of each replay's network.
        at_length: whether networks are judged by long trainings, instead of short ones with seeds unseen.
    """

    truths: Sequence[float]
    networks: Sequence[str]
    at_length: bool = False


class Verdict:
    """Judges replays by a table.

    Args:
        lookup: the table.
        climbs: of each contender, its replays, all with the same numbers.
        target: the limit of cost that they searched to.
    """

    def __init__(self, lookup: Lookup, climbs: Mapping[str, Sequence[Climb]], target: int) -> None:
        self.climbs = climbs
        self._lookup = lookup
        self._short: dict[str, Entry] = {one.name: one for one in lookup.scratch.values()}
        self._long: dict[str, Entry] = {
            name: long for name, one in self._short.items() if (long := lookup.at_length(one)) is not None
        }
        self._held_out = {name: _held_out(one) for name, one in self._short.items()}
        self._scores_at_length = {name: _mean(one) for name, one in self._long.items()}
        # Those trained at length that the target allows, among which whatever a search finds is.
        self._within = [name for name in self._long if self._short[name].candidate.cost <= target]

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

    def at_length(self, found: Found) -> Found | None:
        """The same, judged by long trainings; None: the table lacks one of some network."""
        if not set(found.networks) <= set(self._long):
            return None
        truths = [self._scores_at_length[name] for name in found.networks]
        return Found(truths=truths, networks=found.networks, at_length=True)

    def regret(self, name: str, spent: float = math.inf, *, at_length: bool = False) -> Estimate | None:
        """How far what is found is below the best that the whole table knows of, on average.

        None: nothing is found yet, or the table lacks a long training.
        """
        found = self.found(name, spent)
        if found is not None and at_length:
            found = self.at_length(found)
        return None if found is None else self.difference(self._best(name, found), found)

    def _best(self, name: str, found: Found) -> Found:
        """The best networks, to compare with what was found, judged alike.

        In each replay it is the one that all seen seeds of the table say is the best; at length, the one with
        the best long training.
        """
        if found.at_length:
            best = max(self._within, key=lambda one: self._scores_at_length[one])
            networks = [best] * len(found.networks)
            return Found(
                truths=[self._scores_at_length[one] for one in networks], networks=networks, at_length=True
            )
        climbs = self.climbs[name]
        return Found(
            truths=[climb.best for climb in climbs], networks=[climb.best_network for climb in climbs]
        )

    def difference(self, one: Found, other: Found) -> Estimate:
        """How far one is above another, on average; both are judged alike."""
        entries = self._long if one.at_length else self._short
        noise = self._lookup.noise["long" if one.at_length else "scratch"]
        gaps = np.subtract(one.truths, other.truths)
        shares = _shares(one.networks, other.networks)
        of_seeds = sum(share**2 * noise**2 / len(entries[name].outcomes) for name, share in shares.items())
        of_videos = 0.0
        rows = [
            share * videos for name, share in shares.items() if (videos := entries[name].videos) is not None
        ]
        if rows:
            apart = np.sum(rows, axis=0)  # (V,)
            of_videos = float(np.var(apart, ddof=1)) / len(apart)
        of_replays = float(np.var(gaps, ddof=1)) / len(gaps) if len(gaps) > 1 else 0.0
        return Estimate(mean=float(gaps.mean()), error=math.sqrt(of_seeds + of_videos + of_replays))

    def beats(self, one: Found, other: Found) -> float:
        """The probability that a single search of one finds a better network than a single one of the other.

        Over the replays, judged by seeds unseen; of the same network, each is better by half.
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

    def grid(self) -> list[float]:
        """Amounts spent at which to draw curves, evenly spaced in their logarithm."""
        first = min(climb.steps[0].spent for climbs in self.climbs.values() for climb in climbs)
        last = max(climb.spent for climbs in self.climbs.values() for climb in climbs)
        return [float(one) for one in np.geomspace(first, last, _POINTS)]


def _mean(entry: Entry) -> float:
    score = mean_score(entry.outcomes.values())
    assert score is not None, "what was trained at length has a score"
    return score


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
