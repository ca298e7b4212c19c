"""Searches replayed on a table: what each had found after what it had spent."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from expand.bench.table.contenders import Contender, below, near
from expand.bench.table.lookup import Entry, Lookup, Sight
from expand.search.base import CONTROL, Candidate, Outcome, Repetition, Scored, mean_over_seeds
from expand.system.errors import RunFailed, UserError

_SEEDS = 10_000  # apart from each other are the first seeds of two replays
_DRAWS = 128  # of the true scores, for what a race believes; the many replays even out what so few are off by


class _Alike(Mapping[Candidate, float]):
    """The same variance for every candidate."""

    def __init__(self, value: float) -> None:
        self._value = value

    def __getitem__(self, candidate: Candidate) -> float:
        return self._value

    def __iter__(self) -> Iterator[Candidate]:
        return iter(())

    def __len__(self) -> int:
        return 0


@dataclass(frozen=True, kw_only=True, slots=True)
class Step:
    """What a search would give, were it stopped here.

    Attributes:
        spent: multiply-adds trained so far.
        network: the name of the best network so far within the target.
        truth: the mean score of that network, by seeds that the search has not seen.
    """

    spent: float
    network: str
    truth: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Climb:
    """A replay of a contender.

    Attributes:
        steps: each time that another network became the best; the last is what the search has found.
        spent: multiply-adds trained in all.
        best: the score, by seeds unseen, of the network that all that is seen of the table says is the best.
        best_network: the name of that network.
    """

    steps: tuple[Step, ...]
    spent: float
    best: float
    best_network: str

    @property
    def found(self) -> Step:
        """What the search has found."""
        return self.steps[-1]

    def at(self, spent: float) -> Step | None:
        """What it would give after having spent so much; None: nothing yet."""
        before = [step for step in self.steps if step.spent <= spent]
        return before[-1] if before else None


def replay(lookup: Lookup, contender: Contender, *, target: int, budget: float, number: int) -> Climb:
    """Replay a search on a table.

    Args:
        lookup: the table.
        contender: the way of searching.
        target: the limit of cost.
        budget: the multiply-adds that it may spend, if it spends whatever it may.
        number: of the replay; equal numbers draw equal outcomes, whoever searches.

    Raises:
        UserError: the table lacks a network that the search asks for.
    """
    table = lookup.problem if contender.way == "scratch" else lookup.grown
    assert table is not None, "a contender whose trainings the table lacks is left out"
    first, (least, most) = number * _SEEDS, contender.seeds
    problem = replace(
        table,
        targets=(target,),
        seeds=tuple(range(first, first + most)),
        least=least,
        budget=budget if contender.budgeted else None,
        repetition=Repetition(number=number, draws=_DRAWS, video_variances=_Alike(lookup.video_variance)),
    )
    sight = Sight(lookup, number)
    stands = _Standing(lookup, contender, target)
    outcomes: dict[Candidate, list[Outcome]] = {}
    steps, spent = list[Step](), 0.0
    search = contender.make(lookup, number, target).search(problem)
    try:
        round_ = next(search)
        while True:
            sent = []
            left = Counter(training.candidate for training in round_.trainings)
            for training in round_.trainings:
                candidate = training.candidate
                entry, before = stands.of(candidate)
                place, longer = before + training.seed - first, training.budget > 1
                sent.append(sight.outcome(contender.way, entry, place, longer=longer))
                outcomes.setdefault(candidate, []).append(sent[-1])
                spent += problem.spent([training])
                left[candidate] -= 1
                leader = _leader(outcomes, target)
                if (contender.budgeted or not left[candidate]) and leader is not None:
                    steps.append(_step(lookup, sight, spent, stands.of(leader)[0]))
            round_ = search.send(sent)
    except StopIteration as end:
        (model,) = end.value.targets
        found = model.candidate
    except RunFailed:  # such as where no training of the start has learned anything
        found = _leader(outcomes, target) or problem.start
    steps.append(_step(lookup, sight, spent, stands.of(found)[0]))
    best = max(below(lookup, target), key=sight.seen)
    return Climb(steps=tuple(_changes(steps)), spent=spent, best=sight.truth(best), best_network=best.name)


class _Standing:
    """Which networks of the table stand for the candidates of a replay.

    If one stands for several candidates, each gets other outcomes of it.
    """

    def __init__(self, lookup: Lookup, contender: Contender, target: int) -> None:
        self._lookup, self._contender = lookup, contender
        self._most = contender.seeds[1]
        self._among = list[Entry]()
        if contender.standing == "near":
            self._among = near(lookup, target)
        elif contender.standing == "below":
            self._among = below(lookup, target)
        self._of: dict[Candidate, tuple[Entry, int]] = {}
        self._times = Counter[str]()

    def of(self, candidate: Candidate) -> tuple[Entry, int]:
        """The network that stands for a candidate, and how many of its outcomes others had before.

        Raises:
            UserError: the table lacks it.
        """
        if candidate not in self._of:
            entry = self._find(candidate)
            self._of[candidate] = entry, self._most * self._times[entry.name]
            self._times[entry.name] += 1
        return self._of[candidate]

    def _find(self, candidate: Candidate) -> Entry:
        if self._among:
            return self._lookup.nearest(candidate, self._among)
        grown = self._contender.way == "grown"
        entry = self._lookup.grown_entry(candidate) if grown else self._lookup.entry(candidate)
        if entry is None:
            raise UserError(
                f"the table must have every network that {self._contender.name} asks for, but it lacks "
                f"{candidate.name} at {candidate.cost:,}: choose another --target, or measure more of it "
                "with xpand bench table."
            )
        return entry


def _leader(outcomes: Mapping[Candidate, Sequence[Outcome]], target: int) -> Candidate | None:
    """The candidate within the target that has the best mean so far; None: none has a score."""
    means = {
        one: mean.score
        for one, got in outcomes.items()
        if one.name != CONTROL and one.cost <= target and isinstance(mean := mean_over_seeds(got), Scored)
    }
    return max(means, key=lambda one: means[one]) if means else None


def _step(lookup: Lookup, sight: Sight, spent: float, entry: Entry) -> Step:
    """What a search would give that stopped at a network; it is judged by trainings from random weights."""
    judged = lookup.entry(entry.candidate)
    if judged is None:
        raise UserError(
            f"the table must have trainings from random weights of every network, but it lacks {entry.name}: "
            "measure them with xpand bench table --way scratch."
        )
    return Step(spent=spent, network=judged.name, truth=sight.truth(judged))


def _changes(steps: Sequence[Step]) -> list[Step]:
    """The steps at which the network changed."""
    return [step for at, step in enumerate(steps) if not at or step.network != steps[at - 1].network]
