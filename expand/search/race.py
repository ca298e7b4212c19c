"""The race of a round: trains seed after seed, until one candidate is surely as good as any.

Each stage trains one more seed of every candidate that is still in the race, and of the control. A stage is
a barrier: what is decided after it does not depend on how many workers there are. Sources: the indifference
zone of Kim and Nelson (2001); irace (2016), which tests after a few instances first, and then after each.
"""

from __future__ import annotations

import math
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import NormalDist

from expand.search.base import Candidate, Failed, Outcome, Problem, Round, Scored, Training, mean_over_seeds
from expand.search.beliefs import DRAWS, believe
from expand.search.budget import Purse
from expand.search.decision import Beliefs, Decision, Noise

HOPELESS = 0.03  # a candidate whose probability of being the best is below this leaves the race
_STAY = 2  # so many candidates stay in the race at least

Row = list[Outcome | None]  # an outcome for each seed; None: not trained with it


@dataclass(frozen=True, kw_only=True, slots=True)
class Raced:
    """The end of a race.

    Attributes:
        chosen: the candidate that won.
        score: its mean score.
        gain: how far it is above the control; None: there is no control, or it has no score.
        decision: how it was decided.
        noise: the scatter between seeds in this round.
    """

    chosen: Candidate
    score: float
    gain: float | None
    decision: Decision
    noise: Noise


def race(
    problem: Problem, round_: Round, base: float, before: Noise, purse: Purse
) -> Generator[Round, Sequence[Outcome], Raced]:
    """Train the candidates of a round until one of them may be chosen.

    Args:
        problem: has the seeds, the confidence and the margin.
        round_: its trainings are those of the first stage.
        base: the score of the network that the candidates were grown from.
        before: the scatter between seeds in earlier rounds.
        purse: pays for the trainings; the first stage must be within it.

    Raises:
        RunFailed: every candidate failed.
    """
    raced = _Race(purse=purse, problem=problem, first=round_, base=base, before=before)
    yield from raced.run()
    yield from raced.settle(problem.settled.get(round_.branch, 0))
    return raced.end()


class _Race:
    """A race under way: the outcomes so far, and how they decide the round."""

    def __init__(self, *, problem: Problem, first: Round, base: float, before: Noise, purse: Purse) -> None:
        """The arguments are those of `race`; `first` has the trainings of the first stage."""
        self._problem, self._round, self._base, self._before = problem, first, base, before
        self._places = {seed: place for place, seed in enumerate(problem.all_seeds)}
        self._rows: dict[Candidate, Row] = {one: [None] * len(self._places) for one in first.candidates}
        self._trainings, self._purse = 0, purse
        self._decision: Decision

    def run(self) -> Generator[Round, Sequence[Outcome], None]:
        """Train seed after seed, until the decision is clear or there are no more seeds."""
        problem = self._problem
        yield from self._train(self._round)
        racing: Sequence[Candidate] = self._round.contenders
        for seed in problem.seeds[len(problem.first_seeds) :]:
            racing = self._still_racing(racing)
            if self._decision.verdict == "clear" or not racing:  # all that were left have failed now
                break
            control = [] if self._round.control is None else [self._round.control]
            stage = self._stage([Training(candidate=one, seed=seed) for one in (*racing, *control)])
            if not self._purse.pays(stage.trainings):
                break
            yield from self._train(stage)

    def settle(self, stages: int) -> Generator[Round, Sequence[Outcome], None]:
        """Train those that may be the best further, in so many stages, clear or not."""
        for seed in self._problem.settling_seeds[:stages]:
            names = to_settle(self._decision)
            yield from self._train(
                self._stage(
                    [
                        Training(candidate=one, seed=seed, settles=True)
                        for one in self._round.contenders
                        if one.name in names
                    ]
                ),
                settling=True,
            )

    def end(self) -> Raced:
        """How the round is decided."""
        round_, decision = self._round, self._decision
        (chosen,) = (one for one in round_.contenders if one.name == decision.chosen)
        won = _mean(self._rows[chosen])
        assert isinstance(won, Scored), "what is chosen has a score"
        return Raced(
            chosen=chosen,
            score=won.score,
            gain=None if round_.control is None else _gain(self._rows[chosen], self._rows[round_.control]),
            decision=decision,
            noise=Noise() if decision.beliefs is None else decision.beliefs.noise,
        )

    def _stage(self, trainings: Sequence[Training]) -> Round:
        return replace(self._round, trainings=tuple(trainings), so_far=self._decision)

    def _train(self, stage: Round, *, settling: bool = False) -> Generator[Round, Sequence[Outcome], None]:
        """Train a stage, and decide the round by all outcomes so far.

        Args:
            stage: has the trainings.
            settling: whether what is believed decides, and not the best mean of a fixed number of seeds.

        Raises:
            RunFailed: every candidate failed.
        """
        if not settling:  # those were asked for on top of the budget
            self._purse.spend(stage.trainings)
        outcomes = yield stage
        for training, outcome in zip(stage.trainings, outcomes, strict=True):
            self._rows[training.candidate][self._places[training.seed]] = outcome
        self._trainings += len(outcomes)
        means = {one: _mean(row) for one, row in self._rows.items()}
        self._round.check_not_all_failed({one: means[one] for one in self._round.contenders})
        seeds = max(sum(one is not None for one in row) for row in self._rows.values())
        beliefs = _believed(self._problem, self._round, self._rows, self._before, stage=seeds)
        decision = _decide(
            self._problem,
            self._round,
            self._rows,
            means,
            beliefs,
            self._base,
            self._before,
            by_mean=self._problem.fixed and not settling,
        )
        self._decision = replace(decision, trainings=self._trainings)

    def _still_racing(self, racing: Sequence[Candidate]) -> list[Candidate]:
        """Those of the racing candidates that train another seed."""
        going = [one for one in racing if isinstance(_mean(self._rows[one]), Scored)]
        beliefs = self._decision.beliefs
        return going if beliefs is None else _still_racing(self._round, going, beliefs)


def to_settle(decision: Decision) -> tuple[str, ...]:
    """The names of the candidates that a further stage trains to settle a round.

    They are those that are tied. Where none are, they are the chosen one and the most likely of the others;
    where nothing is believed, all.
    """
    if decision.tied:
        return decision.tied
    beliefs = {name: decision.belief_in(name) for name in decision.names}
    rivals = {name: one.best for name, one in beliefs.items() if one is not None and name != decision.chosen}
    if not rivals:
        return decision.names
    return decision.chosen, max(rivals, key=lambda name: rivals[name])


def _mean(row: Row) -> Outcome:
    """A candidate's outcome over the seeds that it was trained with."""
    return mean_over_seeds([one for one in row if one is not None])


def _believed(
    problem: Problem, round_: Round, rows: Mapping[Candidate, Row], before: Noise, *, stage: int
) -> Beliefs | None:
    """What is believed after a stage. Of a candidate whose training has failed, nothing is."""
    key: tuple[int, ...] = (problem.seed, round_.number, stage)
    draws, of_videos = DRAWS, None
    if (repetition := problem.repetition) is not None:
        if repetition.draws is None:
            return None
        key, draws = (*key, repetition.number), repetition.draws
        of_videos = [repetition.video_variances.get(one, 0.0) for one in round_.contenders]
    contenders, beside = telling(round_, rows)
    return believe(
        contenders,
        beside=beside,
        margin=problem.margin,
        paired=problem.grown,
        before=before,
        key=key,
        draws=draws,
        video_variance=of_videos,
    )


def telling(round_: Round, rows: Mapping[Candidate, Row]) -> tuple[list[Row], list[Row]]:
    """The outcomes of a round's contenders, and of its control, as far as something is believed by them.

    Of a candidate whose training has failed, nothing is.
    """
    told: dict[Candidate, Row] = {
        one: [None] * len(row) if any(isinstance(got, Failed) for got in row) else row
        for one, row in rows.items()
    }
    control = [] if round_.control is None else [told[round_.control]]
    return [told[one] for one in round_.contenders], control


def _still_racing(round_: Round, racing: Sequence[Candidate], beliefs: Beliefs) -> list[Candidate]:
    """The candidates that train another seed: without the hopeless ones, but at least two.

    A candidate of which nothing has learned yet stays: its next seed may.
    """
    of = dict(zip(round_.contenders, beliefs.of, strict=True))
    chances = {one: 1.0 if (belief := of[one]) is None else belief.best for one in racing}
    likely = sorted(racing, key=lambda one: -chances[one])
    stay = {one for place, one in enumerate(likely) if place < _STAY or chances[one] >= HOPELESS}
    return [one for one in racing if one in stay]


def _decide(
    problem: Problem,
    round_: Round,
    rows: Mapping[Candidate, Row],
    means: Mapping[Candidate, Outcome],
    beliefs: Beliefs | None,
    base: float,
    before: Noise,
    *,
    by_mean: bool,
) -> Decision:
    """The decision of a round by the trainings so far.

    Args:
        problem, round_, base, before: see `race`.
        rows: the outcomes of each candidate.
        means: their outcomes over the seeds.
        beliefs: what is believed of the candidates; None: there is no telling how sure it is.
        by_mean: whether the best mean score decides, and not what is believed.
    """
    contenders = round_.contenders
    names = tuple(one.name for one in contenders)
    blind = tuple(one.name for one in contenders if not any(map(_learned, rows[one])))
    scores = {one: got.score for one, got in means.items() if isinstance(got, Scored)}
    best = max((one for one in contenders if one in scores), key=lambda one: (scores[one], -one.cost))
    decision = Decision(
        round=round_.number,
        names=names,
        chosen=best.name,
        verdict="blind" if len(blind) == len(names) else "unknown",
        beliefs=beliefs,
        blind=blind,
    )
    if beliefs is None:
        return decision
    of = {one: belief for one, belief in zip(contenders, beliefs.of, strict=True) if belief is not None}
    chosen = best if by_mean else contenders[beliefs.leader]
    if chosen in of and of[chosen].within >= problem.confidence:
        return replace(decision, chosen=chosen.name, verdict="clear")
    rivals = sorted((one for one in of if one is not chosen), key=lambda one: -of[one].best)
    close = [one for one in rivals if of[one].best >= 1 - problem.confidence] or rivals[:1]
    tied = [one for one in of if one is chosen or one in close]
    if not by_mean:
        if round_.control is not None:
            base = scores.get(round_.control, base)
        chosen = max(tied, key=lambda one: (_per_doubling(of[one].mean - base, one), -one.cost))
    variance = (before + beliefs.noise).variance or 0.0
    return replace(
        decision,
        chosen=chosen.name,
        verdict="tie",
        tied=tuple(one.name for one in tied),
        settling=_settling(
            problem, {one: of[one].mean for one in tied}, rows, variance, beliefs.video_variance
        ),
    )


def _per_doubling(gained: float, candidate: Candidate) -> float:
    """What a candidate gains for each doubling of the cost of the network that it was grown from."""
    parent = candidate.parent
    return gained / (1.0 if parent is None else math.log2(candidate.cost / parent.cost))


def _settling(
    problem: Problem,
    tied: Mapping[Candidate, float],
    rows: Mapping[Candidate, Row],
    variance: float,
    video_variance: float,
) -> int | None:
    """About how many further trainings would settle a tie, if the expected true scores are right.

    The best two of the tied, d apart, are told apart when the margin and d together are as many standard
    errors of their difference as the confidence asks for. Each of the tied then has that many seeds.

    Args:
        problem: has the margin and the confidence.
        tied: the expected true scores of the tied candidates.
        rows: the outcomes of each candidate.
        variance: of a training's score.
        video_variance: of a mean, the part that is due to the validation videos.

    Returns:
        None if no number of trainings would.
    """
    best, *others = sorted(tied.values(), reverse=True)
    room = problem.margin + (best - others[0] if others else 0.0)
    allowed = (room / NormalDist().inv_cdf(problem.confidence)) ** 2 / 2  # variance of a mean
    if allowed <= video_variance:
        return None
    seeds = math.ceil(variance / (allowed - video_variance))
    return max(1, sum(max(0, seeds - sum(map(_learned, rows[one]))) for one in tied))


def _gain(row: Row, control: Row) -> float | None:
    """How far a candidate is above the control, over the seeds that both have; None: they have none."""
    pairs = [
        one.score - other.score
        for one, other in zip(row, control, strict=True)
        if isinstance(one, Scored) and isinstance(other, Scored)
    ]
    if not pairs or any(isinstance(one, Failed) for one in control):
        return None
    return math.fsum(pairs) / len(pairs)


def _learned(outcome: Outcome | None) -> bool:
    return isinstance(outcome, Scored) and outcome.learned
