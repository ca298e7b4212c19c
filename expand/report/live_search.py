"""Shows a running search: the round, the state of each candidate, and the time left.

On a terminal it is a table that is refreshed in place; elsewhere a line for each training that ends. Both
print a line for each round that ends.
"""

from __future__ import annotations

import time
from collections.abc import Mapping

from rich.console import Console, Group, RenderableType
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from expand.jobs.folder import read_progress
from expand.jobs.job import Failure, Job, Measurement, Result
from expand.report.live import LiveView
from expand.run.study import Run
from expand.search.base import Failed, Outcome, Round
from expand.search.costs import Cost
from expand.search.decision import Decision
from expand.search.forecast import Clock
from expand.search.replay import RoundJobs, merged, outcome, scored
from expand.search.setup import Setup
from expand.system.listing import Listing
from expand.system.units import show_seconds
from expand.training.objectives import load_objective

_MANY = 0.05  # the share of the training videos from which on it is said that they are looped


class SearchView(LiveView):
    """A SearchDisplay (expand/run/driver.py) on a console; use it as a context manager."""

    def __init__(self, console: Console) -> None:
        self._started = time.monotonic()
        self._run: Run | None = None
        self._setup: Setup | None = None
        self._clock: Clock | None = None
        self._round: RoundJobs | None = None
        self._results: dict[str, Result] = {}
        self._said = set[str]()
        super().__init__(console)

    def note(self, text: str) -> None:
        """Show a line that stays visible, but only once: `settle` goes through the rounds repeatedly."""
        if text not in self._said:
            self._said.add(text)
            super().note(text)

    def begin(self, run: Run, setup: Setup, clock: Clock) -> None:
        self._run, self._setup, self._clock, self._caching = run, setup, clock, None

    def restoring(self, names: str) -> None:
        self.note(f"the weights are gone, training again: {names}")

    def round(self, jobs: RoundJobs, results: Mapping[str, Result]) -> None:
        before, self._results = self._round, dict(results)
        if before is None or before.round.number != jobs.round.number:
            self._print_winner(before, jobs.round)
            self._round = jobs
        else:  # further trainings of the same round
            (self._round,) = merged([before, jobs])
            if jobs.missing(results):
                self._print_what_is_open(jobs.round)
        self._print_round_if_over()

    def finished(self, job: Job, result: Result) -> None:
        assert self._round is not None
        self._results[job.key] = result
        if not self._console.is_terminal:
            candidates = self._round.by_candidate.items()
            name = next(candidate.name for candidate, jobs in candidates if job in jobs)
            self.note(
                f"round {self._round.round.number}: {name}, seed {job.seed}: {_brief(result, self._words)}, "
                f"about {show_seconds(self._seconds_left())} left"
            )
        self._print_round_if_over()

    def _print_what_is_open(self, round_: Round) -> None:
        """Print why a round goes on, if it is a race."""
        if round_.so_far is None:
            return
        again = ", ".join(candidate.name for candidate in round_.candidates)
        seed = max(training.seed for training in round_.trainings)
        self.note(f"round {round_.number} is open{_chances(round_.so_far)}: seed {seed} of {again}")

    def _print_round_if_over(self) -> None:
        """Print the scores of the round in one line, if all its trainings have ended."""
        assert self._round is not None
        if self._round.missing(self._results):
            return
        scores = ", ".join(
            f"{name} {'failed' if isinstance(got, Failed) else f'{got.score:.1%}'}"
            for name, got in self._outcomes(self._round)
        )
        self.note(f"round {self._round.round.number}: {scores}{self._looped(self._round)}")

    def _outcomes(self, jobs: RoundJobs) -> list[tuple[str, Outcome]]:
        """Return the names and mean outcomes of a round's candidates: the best first, the failed last."""
        found = [
            (candidate.name, outcome([self._results[job.key] for job in own]))
            for candidate, own in jobs.by_candidate.items()
        ]
        return sorted(found, key=lambda one: 1.0 if isinstance(one[1], Failed) else -one[1].score)

    def _looped(self, jobs: RoundJobs) -> str:
        """Return for which candidate most videos are looped, as they are too short, if they are many."""
        assert self._setup is not None
        looped = {
            candidate.name: [one.looped for one in scored([self._results[job.key] for job in own])]
            for candidate, own in jobs.by_candidate.items()
        }
        name, train = max(looped, key=lambda one: max(looped[one], default=0)), self._setup.data.train
        if (most := max(looped[name], default=0)) < _MANY * train:
            return ""
        return f" ({most:,} of {train:,} training videos are looped, as the clips of {name} are longer)"

    def _print_winner(self, before: RoundJobs | None, now: Round) -> None:
        """Print which candidate of the last round was accepted, if it had others."""
        if before is None or len(now.states) <= len(before.round.states) or len(before.by_candidate) < 2:
            return
        won = now.states[-1]
        others = [(name, got) for name, got in self._outcomes(before) if name != won.candidate.name]
        name, got = others[0]
        after = "" if isinstance(got, Failed) else f", then {name} {got.score:.1%}"
        self.note(f"round {before.round.number}: accepted {won.candidate.name}, {won.score:.1%}{after}")

    def render(self) -> RenderableType:
        """Return the current display: the headline and the table of candidates."""
        if self._caching is not None:
            return self.caching_row()
        if self._round is None or self._setup is None:
            return Text("preparing")
        return Group(self._headline(), self._table())

    def _headline(self) -> Text:
        assert self._round is not None
        round_ = self._round.round
        origin = f" from {', '.join(state.name for state in round_.parents)}" if round_.parents else ""
        if len(round_.parents) == 1:
            (state,) = round_.parents
            origin += f" ({self._cost.show(state.candidate.cost)} {self._cost.unit}, {state.score:.1%})"
        spent = show_seconds(time.monotonic() - self._started)
        left = show_seconds(self._seconds_left())
        lines = [f"Round {round_.number}: {round_.kind}{origin}", f"{spent} so far, about {left} left"]
        if round_.so_far is not None:
            lines.insert(1, f"not sure yet{_chances(round_.so_far)}{_would_settle(round_.so_far)}")
        return Text("\n".join(lines))

    def _table(self) -> Listing:
        assert self._round is not None
        assert self._setup is not None
        unit = self._cost.unit
        so_far = self._round.round.so_far
        race = ("min … max", "P(best)") if so_far is not None else ()
        table = Listing(
            ["candidate", unit, "clip", self._words, *race, "state"],
            right=[unit, self._words, *race],
            wrapped=["state"],
            spare=["clip", unit, *race[:1]],
        )
        for candidate, jobs in self._round.by_candidate.items():
            sampling = self._setup.space.sampling(candidate.point)
            state, score = self._state(jobs)
            beside = () if so_far is None else (self._range(jobs), _chance(so_far, candidate.name))
            table.row(candidate.name, self._cost.show(candidate.cost), str(sampling), score, *beside, state)
        for word, names in (("saturated", self._round.round.saturated), ("free", self._round.round.free)):
            for name in names:
                table.row(name, "", "", "", *("" for _ in race), Text(word, style="dim"))
        return table

    def _range(self, jobs: tuple[Job, ...]) -> str:
        """Return a candidate's lowest and highest score so far."""
        results = [self._results[job.key] for job in jobs if job.key in self._results]
        scores = [one.score for one in scored(results)]
        return f"{min(scores):.1%} … {max(scores):.1%}" if len(scores) > 1 else ""

    def _state(self, jobs: tuple[Job, ...]) -> tuple[Text | Table, str]:
        """Return a candidate's state over its seeds, and its mean score so far."""
        results = [self._results[job.key] for job in jobs if job.key in self._results]
        if any(isinstance(result, Failure) for result in results):
            return Text("failed", style="red"), ""
        got = [result.score for result in results if isinstance(result, Measurement)]
        score = f"{sum(got) / len(got):.1%}" if got else ""
        if len(got) == len(jobs):
            return Text("done", style="green"), score
        share = (len(got) + sum(self._share(job) for job in jobs if job.key not in self._results)) / len(jobs)
        if share == 0:
            return Text("waiting", style="dim"), score
        epochs = self._epochs()
        row = Table.grid(padding=(0, 1))
        seed = f", seed {len(got) + 1}/{len(jobs)}" if len(jobs) > 1 else ""
        current = (share * len(jobs) - len(got)) * epochs
        row.add_row(
            ProgressBar(total=1.0, completed=share, width=10),
            f"epoch {min(current, epochs):.1f}/{epochs:.3g}{seed}",
        )
        return row, score

    @property
    def _cost(self) -> Cost:
        assert self._setup is not None
        return self._setup.cost

    @property
    def _words(self) -> str:
        """The name of the objective's score in words, such as `top-1`."""
        assert self._setup is not None
        return load_objective(self._setup.config.search.objective).words

    def _epochs(self) -> float:
        assert self._setup is not None
        return self._setup.config.training.epochs_of(self._setup.data.train)

    def _share(self, job: Job) -> float:
        """Return the share of a training that is done, from 0 to 1, by the last report of its worker."""
        assert self._run is not None
        progress = read_progress(self._run.job_folder(job))
        return progress.clips / progress.total if progress is not None else 0.0

    def _seconds_left(self) -> float:
        """Estimate the seconds left of the whole search."""
        if self._round is None or self._clock is None:
            return 0.0
        running = [
            (1 - self._share(job)) * self._clock.seconds(candidate.macs, job)
            for candidate, job in self._round.missing(self._results)
        ]
        return self._clock.left(running, self._round.round.number)


def _chance(decision: Decision, name: str) -> str:
    """Return the probability that a candidate is the best, as far as it is known."""
    belief = decision.belief_in(name)
    return "" if belief is None else f"{belief.best:.0%}"


def _chances(decision: Decision) -> str:
    """Return how likely those that may win are the best, such as `, P(best) fast 62%, temporal 35%`."""
    said = ", ".join(f"{name} {_chance(decision, name)}" for name in decision.tied)
    return f", P(best) {said}" if said else ""


def _would_settle(decision: Decision) -> str:
    """Return what would settle a round that is a tie so far."""
    if decision.verdict != "tie":
        return ""
    if decision.settling is None:
        return "; it takes more validation videos to settle it"
    return f"; about {decision.settling:,} trainings would settle it"


def _brief(result: Result, words: str) -> str:
    if isinstance(result, Measurement):
        return f"{words} {result.score:.1%} in {show_seconds(result.seconds)}"
    return f"failed, {result.reason}"
