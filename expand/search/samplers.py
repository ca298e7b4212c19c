"""Searches by Optuna's samplers: TPE (Bergstra et al., NeurIPS 2011) and NSGA-II (Deb et al., 2002).

A sampler proposes how the growth from the start is divided among the axes (shares.py), so that nearly every
proposal is a network just below the target. One whose cost is too low, because steps are whole, is refused
before it is trained, and the sampler is told a score below all others. A network that was proposed before is
not trained again; where a sampler proposes little else, some are drawn evenly.
"""

from __future__ import annotations

import warnings
from abc import abstractmethod
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

from expand.search.base import Candidate, Outcome, Problem, Round, Scored, Trajectory, network_key
from expand.search.budget import Purse
from expand.search.random_networks import NETWORKS, uniform
from expand.search.shares import best_of, dividable, divided, weights_of
from expand.system.errors import RunFailed

if TYPE_CHECKING:
    from optuna import Trial
    from optuna.samplers import BaseSampler

Direction = Literal["maximize", "minimize"]

REFUSED = -1.0  # the score that a sampler is told of a network that is not trained, or failed
_COST = "cost"  # the parameter of the growth's share that is used; no axis has this name
_ASKS = 50  # proposals for each network of a batch, after which a search ends
_IN_VAIN = 3  # proposals in a row that give no new network, after which one is drawn evenly
_LARGEST = 0.999  # of the numbers that a weight is made of; 1 would be an endless weight


@dataclass(frozen=True, kw_only=True, slots=True)
class Proposal:
    """A trial of Optuna, with the network that it proposes."""

    trial: Trial
    candidate: Candidate


class Sampled:
    """Trains the networks that a sampler proposes, in batches, and keeps the best.

    A batch is proposed before any of its scores is known, so what is proposed does not depend on workers.

    Args:
        networks: different networks for each target; None: as many as the budget pays for, or 20.
        within: networks must cost at least 1 - `within` of what was proposed.
        batch: networks that are proposed at a time.
    """

    def __init__(self, *, networks: int | None = None, within: float = 0.1, batch: int = 4) -> None:
        if (networks is not None and networks < 1) or not 0 < within <= 1 or batch < 1:
            raise ValueError(
                "networks and batch must be at least 1, and within in (0, 1], "
                f"got {networks!r}, {batch!r} and {within!r}"
            )
        self._networks, self._within, self._batch = networks, within, batch

    kind: ClassVar[str]  # of the rounds
    with_cost: ClassVar[bool]  # whether low cost is sought beside a high score, by one study for all targets

    @abstractmethod
    def sampler(self, seed: int) -> BaseSampler:
        """The sampler, seeded."""

    def search(self, problem: Problem) -> Generator[Round, Sequence[Outcome], Trajectory]:
        """See `Strategy.search`; a round for each batch.

        Raises:
            UserError: the budget does not pay for one network.
            RunFailed: every network of the first batch failed, or none near a target turns up.
        """
        problem.check_targets()
        wanted = sorted(set(problem.targets))
        number, found = 0, []
        for targets in [tuple(wanted)] if self.with_cost else [(target,) for target in wanted]:
            purse = Purse(problem, len(targets) / len(wanted))
            number, outcomes = yield from self._search(problem, targets, purse, number)
            found += [best_of(problem, target, outcomes) for target in targets]
        return Trajectory(states=(), targets=tuple(found))

    def _search(
        self, problem: Problem, targets: tuple[int, ...], purse: Purse, number: int
    ) -> Generator[Round, Sequence[Outcome], tuple[int, dict[Candidate, Outcome]]]:
        """Search for some targets together; return the number of the next round, and all outcomes."""
        directions: list[Direction] = ["maximize", "minimize"] if self.with_cost else ["maximize"]
        asked = _Proposals(
            problem=problem,
            sampler=self.sampler(problem.seed),
            directions=directions,
            target=targets[-1],
            within=self._within,
            purse=purse,
        )
        most = self._networks or (NETWORKS if problem.budget is None else None)
        while most is None or len(asked.outcomes) < most * len(targets):
            left = self._batch if most is None else most * len(targets) - len(asked.outcomes)
            batch = asked.batch(min(self._batch, left))
            if not batch:
                break
            candidates = [one.candidate for one in batch]
            round_ = Round(number=number, kind=self.kind, trainings=problem.trainings(candidates))
            got = round_.by_candidate((yield round_))
            if not asked.outcomes:
                round_.check_not_all_failed(got)
            asked.tell(batch, got)
            number += 1
        if not any(one.cost <= targets[0] for one in asked.outcomes):
            short = problem.cost.short(targets[0])
            raise RunFailed(
                f"no network within the target {short} turned up: raise search.settings.within or "
                "search.settings.networks, or choose another target."
            )
        return number, asked.outcomes


class _Proposals:
    """What a sampler has proposed, and has been told.

    Args:
        problem: of the search.
        sampler: Optuna's.
        directions: of the score, and of the cost where low cost is sought beside a high score. The sampler
            then proposes how much of the growth is used, too, and first the start.
        target: the largest cost of a network.
        within: networks must cost at least 1 - `within` of what was proposed.
        purse: pays for the trainings.

    Attributes:
        outcomes: of all networks that were trained, in order.
    """

    def __init__(
        self,
        *,
        problem: Problem,
        sampler: BaseSampler,
        directions: list[Direction],
        target: int,
        within: float,
        purse: Purse,
    ) -> None:
        import optuna

        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self._problem, self._target, self._within, self._purse = problem, target, within, purse
        self._axes, self._with_cost = dividable(problem), len(directions) > 1
        self._study = optuna.create_study(directions=directions, sampler=sampler)
        self._of_network: dict[object, Candidate] = {}
        self._draws = uniform(f"{problem.seed}:{target}:samplers")
        self.outcomes: dict[Candidate, Outcome] = {}
        if self._with_cost:
            self._study.enqueue_trial({_COST: 0.0, **{axis.name: 0.0 for axis in self._axes}})

    def batch(self, size: int) -> list[Proposal]:
        """Up to `size` new networks; none if none turns up any more, or the purse does not pay for one."""
        batch, in_vain = list[Proposal](), 0
        for _ in range(_ASKS * size):
            if in_vain == _IN_VAIN:
                self._draw_next()
                in_vain = 0
            proposal, limit = self._propose()
            network = network_key(self._problem.space, proposal.candidate.point)
            known = self._of_network.get(network)
            if known is not None or proposal.candidate.cost < (1 - self._within) * limit:
                self._refuse(proposal, known)
                in_vain += 1
                continue
            trainings = self._problem.trainings([proposal.candidate])
            if not self.outcomes and not batch:
                self._purse.check(trainings)
            if not self._purse.pays(trainings):
                break
            self._purse.spend(trainings)
            self._of_network[network] = proposal.candidate
            batch.append(proposal)
            in_vain = 0
            if len(batch) == size:
                break
        return batch

    def tell(self, batch: Sequence[Proposal], outcomes: Mapping[Candidate, Outcome]) -> None:
        """Tell the sampler what came of a batch."""
        self.outcomes |= outcomes
        for one in batch:
            self._tell(one, outcomes[one.candidate])

    def _propose(self) -> tuple[Proposal, float]:
        """The sampler's next proposal, and the cost that the network was to have."""
        problem, trial = self._problem, self._study.ask()
        growth = self._target / problem.start.cost
        limit = problem.start.cost * growth ** (trial.suggest_float(_COST, 0, 1) if self._with_cost else 1)
        weights = weights_of([_LARGEST * trial.suggest_float(axis.name, 0, 1) for axis in self._axes])
        point = divided(problem, self._axes, limit, weights)
        name = f"{problem.cost.short(self._target)}-{len(self._of_network) + 1}"
        return Proposal(trial=trial, candidate=problem.candidate(name, point)), limit

    def _draw_next(self) -> None:
        """Let the next proposal be drawn evenly, as the sampler proposes but what is known or refused."""
        names = [axis.name for axis in self._axes] + [_COST] * self._with_cost
        self._study.enqueue_trial({name: next(self._draws) for name in names})

    def _refuse(self, proposal: Proposal, known: Candidate | None) -> None:
        """Tell the sampler of a proposal that is not trained.

        It is told the score of a network that was proposed before, unless that is part of this batch.
        """
        from optuna.trial import TrialState

        if known is None:
            self._tell(proposal, None)
        elif known in self.outcomes:
            self._tell(Proposal(trial=proposal.trial, candidate=known), self.outcomes[known])
        else:
            self._study.tell(proposal.trial, state=TrialState.FAIL)

    def _tell(self, proposal: Proposal, outcome: Outcome | None) -> None:
        score = outcome.score if isinstance(outcome, Scored) else REFUSED
        values = [score, float(proposal.candidate.cost)] if self._with_cost else [score]
        self._study.tell(proposal.trial, values)


class TPE(Sampled):
    """The tree-structured Parzen estimator: for each target, it proposes networks like the best."""

    kind = "tpe"
    with_cost = False

    def sampler(self, seed: int) -> BaseSampler:
        from optuna.exceptions import ExperimentalWarning
        from optuna.samplers import TPESampler

        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ExperimentalWarning)  # so Optuna calls constant_liar
            # The networks of a batch count as bad until their scores are known, so that they differ.
            return TPESampler(seed=seed, constant_liar=True)


class NSGA2(Sampled):
    """NSGA-II over score and cost: a population of networks from the start's cost up to the largest target.

    The batch is the population.
    """

    kind = "nsga2"
    with_cost = True

    def __init__(self, *, networks: int | None = None, within: float = 0.1, batch: int = 8) -> None:
        super().__init__(networks=networks, within=within, batch=max(2, batch))

    def sampler(self, seed: int) -> BaseSampler:
        from optuna.samplers import NSGAIISampler

        return NSGAIISampler(seed=seed, population_size=self._batch)
