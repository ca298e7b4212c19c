"""What is believed of a round's candidates, and what was decided by it, as values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

# How a round was decided. clear: it is sure enough that nothing is better than the chosen one by more than
# the margin. tie: it is not. unknown: there is one training of each, so no telling how sure it is. blind: no
# training has learned anything.
Verdict = Literal["clear", "tie", "unknown", "blind"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Noise:
    """The scatter between seeds over several rounds: a sum of squares, and its degrees of freedom."""

    squares: float = 0.0
    freedom: float = 0.0

    def __add__(self, other: Noise) -> Noise:
        return Noise(squares=self.squares + other.squares, freedom=self.freedom + other.freedom)

    @property
    def variance(self) -> float | None:
        """The variance of a training's score; None: there is no candidate with two seeds yet."""
        return self.squares / self.freedom if self.freedom > 0 else None


@dataclass(frozen=True, kw_only=True, slots=True)
class Belief:
    """What is believed of one candidate.

    Attributes:
        mean: the expected true score.
        deviation: the standard deviation of the true score.
        best: the probability that its true score is the best of the round.
        within: the probability that its true score is at most the margin below the best.
        regret: how far its true score is expected to be below the best.
        again: the probability that its mean score is the best if the round is repeated: as many trainings,
            with other seeds, validated on other videos.
    """

    mean: float
    deviation: float
    best: float
    within: float
    regret: float
    again: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Beliefs:
    """What is believed of the candidates of a round.

    Attributes:
        of: a belief for each candidate, in their order; None: no training of it has learned anything.
        leader: the place of the candidate with the best expected true score.
        noise: the scatter between seeds in this round alone.
        video_variance: the variance of a mean that is due to the choice of validation videos; more seeds
            leave it as it is.
    """

    of: tuple[Belief | None, ...]
    leader: int
    noise: Noise
    video_variance: float = 0.0

    @property
    def leading(self) -> Belief:
        """The belief of the leader."""
        belief = self.of[self.leader]
        assert belief is not None, "the leader has a score"
        return belief


@dataclass(frozen=True, kw_only=True, slots=True)
class Decision:
    """How a round was decided.

    Attributes:
        round: the round's number.
        names: the names of the candidates, in order, without the control.
        chosen: the name of the chosen one.
        verdict: how sure it is.
        beliefs: what is believed of the candidates, in their order; None: unknown or blind.
        tied: the names of those that may be the best, with the chosen one; none if clear.
        blind: the names of those of which no training has learned anything, so that nothing is known of them.
        trainings: the trainings that the round took, the control's included.
        settling: about how many further trainings would settle a tie. None: it is none, or no number would,
            as the validation videos are too few.
    """

    round: int
    names: tuple[str, ...]
    chosen: str
    verdict: Verdict
    beliefs: Beliefs | None
    tied: tuple[str, ...] = ()
    blind: tuple[str, ...] = ()
    trainings: int = 0
    settling: int | None = None

    @property
    def words(self) -> str:
        """The verdict in words."""
        words = {"unknown": "one training each", "blind": "nothing learned"}
        return words.get(self.verdict, self.verdict)

    @property
    def belief(self) -> Belief | None:
        """What is believed of the chosen one; None: unknown."""
        return self.belief_in(self.chosen)

    def belief_in(self, name: str) -> Belief | None:
        """What is believed of a candidate; None: unknown, or it is no candidate of the round."""
        if self.beliefs is None or name not in self.names:
            return None
        return self.beliefs.of[self.names.index(name)]
