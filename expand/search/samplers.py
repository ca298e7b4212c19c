"""Searches by Optuna's samplers: TPE (Bergstra et al., NeurIPS 2011) and NSGA-II (Deb et al., 2002).

A sampler proposes how the growth from the start is divided among the axes (shares.py), so that nearly every
proposal is a network just below the target. One whose cost is too low, because steps are whole, is refused
before it is trained, and the sampler is told a score below all others. A network that was proposed before is
not trained again.
"""

from __future__ import annotations

import warnings
from abc import abstractmethod
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from expand.search.base import Candidate, Outcome, Problem, Round, Scored, Trajectory, network_key
from expand.search.budget import Purse
from expand.search.random_networks import NETWORKS
from expand.search.shares import best_of, dividable, divided, weights_of
from expand.system.errors import RunFailed
from search_spaces.base import Axis

if TYPE_CHECKING:
    from optuna import Study, Trial
    from optuna.samplers import BaseSampler

Direction = Literal["maximize", "minimize"]

REFUSED = -1.0  # the score that a sampler is told of a network that is not trained, or failed
_COST = "cost"  # the parameter of the growth's share that is used; no axis has this name
_ASKS = 50  # proposals for each network of a batch, after which a search ends
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
        axes = dividable(problem)
        study = self._study(problem, axes)
        most = self._networks or (NETWORKS if problem.budget is None else None)
        of_network: dict[object, Candidate] = {}
        outcomes: dict[Candidate, Outcome] = {}
        while most is None or len(outcomes) < most * len(targets):
            room = self._batch if most is None else min(self._batch, most * len(targets) - len(outcomes))
            batch = self._ask(problem, study, axes, targets[-1], of_network, outcomes, purse, room)
            if not batch:
                break
            candidates = [one.candidate for one in batch]
            round_ = Round(number=number, kind=self.kind, trainings=problem.trainings(candidates))
            got = round_.by_candidate((yield round_))
            if not outcomes:
                round_.check_not_all_failed(got)
            outcomes |= got
            for one in batch:
                self._tell(study, one, got[one.candidate])
            number += 1
        if not any(one.cost <= targets[0] for one in outcomes):
            short = problem.cost.short(targets[0])
            raise RunFailed(
                f"no network within the target {short} turned up: raise search.settings.within or "
                "search.settings.networks, or choose another target."
            )
        return number, outcomes

    def _study(self, problem: Problem, axes: Sequence[Axis[Any]]) -> Study:
        """A study; where cost is sought, it first proposes the start, which is within every target."""
        import optuna

        optuna.logging.set_verbosity(optuna.logging.WARNING)
        directions: list[Direction] = ["maximize", "minimize"] if self.with_cost else ["maximize"]
        with warnings.catch_warnings():  # Optuna calls some options of samplers experimental
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            study = optuna.create_study(directions=directions, sampler=self.sampler(problem.seed))
        if self.with_cost:
            study.enqueue_trial({_COST: 0.0, **{axis.name: 0.0 for axis in axes}})
        return study

    def _ask(
        self,
        problem: Problem,
        study: Study,
        axes: Sequence[Axis[Any]],
        target: int,
        of_network: dict[object, Candidate],
        outcomes: dict[Candidate, Outcome],
        purse: Purse,
        room: int,
    ) -> list[Proposal]:
        """Up to `room` new networks; none if none turns up any more, or the purse does not pay for one."""
        batch = list[Proposal]()
        for _ in range(_ASKS * room):
            trial = study.ask()
            growth = target / problem.start.cost
            limit = problem.start.cost * growth ** (trial.suggest_float(_COST, 0, 1) if self.with_cost else 1)
            weights = weights_of([_LARGEST * trial.suggest_float(axis.name, 0, 1) for axis in axes])
            point = divided(problem, axes, limit, weights)
            name = f"{problem.cost.short(target)}-{len(of_network) + 1}"
            candidate = problem.candidate(name, point)
            network = network_key(problem.space, point)
            if (known := of_network.get(network)) is not None:
                self._tell_again(study, Proposal(trial=trial, candidate=known), outcomes)
            elif candidate.cost < (1 - self._within) * limit:
                self._tell(study, Proposal(trial=trial, candidate=candidate), None)
            else:
                trainings = problem.trainings([candidate])
                if not outcomes and not batch:
                    purse.check(trainings)
                if not purse.pays(trainings):
                    break
                purse.spend(trainings)
                of_network[network] = candidate
                batch.append(Proposal(trial=trial, candidate=candidate))
                if len(batch) == room:
                    break
        return batch

    def _tell_again(self, study: Study, proposal: Proposal, outcomes: Mapping[Candidate, Outcome]) -> None:
        """Tell the sampler of a network that was proposed before, unless it is part of this batch."""
        from optuna.trial import TrialState

        if proposal.candidate in outcomes:
            self._tell(study, proposal, outcomes[proposal.candidate])
        else:
            study.tell(proposal.trial, state=TrialState.FAIL)

    def _tell(self, study: Study, proposal: Proposal, outcome: Outcome | None) -> None:
        score = outcome.score if isinstance(outcome, Scored) else REFUSED
        values = [score, float(proposal.candidate.cost)] if self.with_cost else [score]
        study.tell(proposal.trial, values)


class TPE(Sampled):
    """The tree-structured Parzen estimator: for each target, it proposes networks like the best."""

    kind = "tpe"
    with_cost = False

    def sampler(self, seed: int) -> BaseSampler:
        from optuna.samplers import TPESampler

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
