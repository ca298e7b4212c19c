"""Ways of searching on a table: what they see, what they find, and how they are judged."""

from __future__ import annotations

import json
import math
import re
import statistics
from dataclasses import replace
from pathlib import Path

import pytest

from expand.bench.table.contenders import CONTENDERS, near
from expand.bench.table.figure import regret_figure
from expand.bench.table.lookup import Lookup, Sight, seen_of
from expand.bench.table.replays import Climb, Step, replay
from expand.bench.table.show import contenders
from expand.bench.table.tournament import replay_all
from expand.bench.table.verdict import Estimate, Verdict
from expand.search.base import Scored
from expand.system.errors import UserError
from tests.expand.bench.table import made_up
from tests.expand.commands import Xpand, refused

TARGET = 20_000_000
BUDGET = 1e13


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return made_up.write(tmp_path_factory.mktemp("table"), made_up.by_frames, noise=0.03)


@pytest.fixture(scope="module")
def lookup(table: Path) -> Lookup:
    return Lookup.read(table)


@pytest.fixture(scope="module")
def quiet(tmp_path_factory: pytest.TempPathFactory) -> Lookup:
    """A table without noise."""
    return Lookup.read(made_up.write(tmp_path_factory.mktemp("quiet"), made_up.by_frames, noise=0.0))


def test_a_table_tells_its_noise(lookup: Lookup, quiet: Lookup) -> None:
    assert lookup.noise["scratch"] == pytest.approx(0.03, rel=0.15)
    assert lookup.noise["grown"] == pytest.approx(0.03, rel=0.15)
    assert quiet.noise["scratch"] == pytest.approx(0, abs=1e-9)


def test_no_search_sees_what_it_is_judged_by(lookup: Lookup) -> None:
    (entry, *_) = (one for one in lookup.scratch.values() if one.name == "fast/temporal")
    for number in range(20):
        sight = Sight(lookup, number)
        seen = [sight.outcome("scratch", entry, place) for place in range(seen_of(5))]
        scores = [one.score for one in seen if isinstance(one, Scored)]
        assert len(set(scores)) == 3
        held_out = [
            one.score
            for one in entry.outcomes.values()
            if isinstance(one, Scored) and one.score not in scores
        ]
        assert sight.truth(entry) == pytest.approx(statistics.fmean(held_out))
        assert sight.seen(entry) == pytest.approx(statistics.fmean(scores))


def test_further_trainings_are_drawn_around_those_that_are_seen(lookup: Lookup) -> None:
    entry = next(one for one in lookup.scratch.values() if one.name == "fast")
    sight = Sight(lookup, 3)
    drawn = [sight.outcome("scratch", entry, place) for place in range(3, 300)]
    scores = [one.score for one in drawn if isinstance(one, Scored)]
    assert statistics.fmean(scores) == pytest.approx(sight.seen(entry), abs=0.01)
    assert statistics.stdev(scores) == pytest.approx(lookup.noise["scratch"], rel=0.15)
    assert sight.outcome("scratch", entry, 7) == Sight(lookup, 3).outcome("scratch", entry, 7)
    assert sight.outcome("scratch", entry, 7) != Sight(lookup, 4).outcome("scratch", entry, 7)


@pytest.mark.parametrize("name", list(CONTENDERS))
def test_a_replay_is_pure_and_keeps_its_budget(lookup: Lookup, name: str) -> None:
    found = [replay(lookup, CONTENDERS[name], target=TARGET, budget=BUDGET, number=2) for _ in range(2)]
    assert found[0] == found[1]
    climb = found[0]
    if CONTENDERS[name].budgeted:
        assert 0.9 * BUDGET < climb.spent <= BUDGET
    assert climb.found.spent <= climb.spent
    entry = next(one for one in lookup.scratch.values() if one.name == climb.found.network)
    assert entry.candidate.cost <= TARGET
    assert [step.spent for step in climb.steps] == sorted(step.spent for step in climb.steps)


@pytest.mark.parametrize("name", [name for name, one in CONTENDERS.items() if not one.budgeted])
def test_without_noise_expansion_grows_what_the_world_rewards(quiet: Lookup, name: str) -> None:
    climb = replay(quiet, CONTENDERS[name], target=TARGET, budget=BUDGET, number=0)
    assert set(climb.found.network.split(" ")[0].split("/")) <= {"fast", "temporal"}
    assert climb.found.truth == pytest.approx(climb.best, abs=0.02)


def test_looking_ahead_trains_more_and_finds_no_worse(lookup: Lookup) -> None:
    plain, ahead = (
        [replay(lookup, CONTENDERS[name], target=TARGET, budget=BUDGET, number=n) for n in range(15)]
        for name in ("race", "race-ahead")
    )
    assert statistics.fmean(one.spent for one in ahead) > statistics.fmean(one.spent for one in plain)
    assert statistics.fmean(one.found.truth for one in ahead) > statistics.fmean(
        one.found.truth - 0.02 for one in plain
    )


def test_a_search_that_cannot_go_on_gives_what_it_had(lookup: Lookup) -> None:
    blind = {
        seed: replace(one, learned=False)
        for seed, one in lookup.by_path["start"].outcomes.items()
        if isinstance(one, Scored)
    }
    start = replace(lookup.by_path["start"], outcomes=blind)
    unlucky = replace(lookup, by_path={**lookup.by_path, "start": start})
    climb = replay(unlucky, CONTENDERS["grown-race"], target=TARGET, budget=BUDGET, number=0)
    assert climb.found.network == "start"


def test_a_start_that_is_trained_longer_has_learned_something(lookup: Lookup) -> None:
    """One of its trainings has, and no search sees it at first."""
    found = lookup.by_path["start"].outcomes
    dull = {
        seed: replace(one, learned=seed == max(found))
        for seed, one in found.items()
        if isinstance(one, Scored)
    }
    start = replace(lookup.by_path["start"], outcomes=dull)
    slow = replace(lookup, by_path={**lookup.by_path, "start": start})
    climbs = [replay(slow, CONTENDERS["grown-1"], target=TARGET, budget=BUDGET, number=n) for n in range(10)]
    assert "start" not in {one.found.network for one in climbs}


def test_a_network_that_was_trained_once_is_not_in_the_table_yet(tmp_path: Path) -> None:
    once = Lookup.read(made_up.write(tmp_path, made_up.by_frames, noise=0.0, seeds=[0]))
    assert not once.scratch
    assert once.by_path


def test_random_search_uses_every_network_that_was_drawn_before_one_comes_again(quiet: Lookup) -> None:
    drawn = near(quiet, TARGET, ["drawn"])
    assert len(drawn) == 12
    best = max(drawn, key=Sight(quiet, 0).truth)
    enough = 12.5 * 3 * 8 * made_up.TRAIN * TARGET
    for number in range(5):
        climb = replay(quiet, CONTENDERS["random"], target=TARGET, budget=enough, number=number)
        assert climb.found.network == best.name


def climb(network: str, truth: float, *, spent: float = 1.0, best: float = 0.5) -> Climb:
    step = Step(spent=spent, network=network, truth=truth)
    return Climb(steps=(step,), spent=2 * spent, best=best, best_network="fast/temporal")


def test_what_was_found_after_some_spending() -> None:
    steps = (Step(spent=1, network="fast", truth=0.3), Step(spent=3, network="width", truth=0.4))
    whole = Climb(steps=steps, spent=5, best=0.5, best_network="depth")
    assert whole.at(0.5) is None
    assert whole.at(2) == steps[0]
    assert whole.at(3) == steps[1] == whole.found


def test_the_luck_of_a_network_that_is_found_often_does_not_average_out(lookup: Lookup) -> None:
    climbs = {"a": [climb("fast", 0.4)] * 50, "b": [climb("width", 0.3)] * 50}
    verdict = Verdict(lookup, climbs, TARGET)
    one, other = verdict.found("a"), verdict.found("b")
    assert one is not None
    assert other is not None
    gap = verdict.difference(one, other)
    assert gap.mean == pytest.approx(0.1)
    assert gap.error >= lookup.noise["scratch"] * math.sqrt(2 / 5)
    assert verdict.difference(one, one) == Estimate(mean=0, error=0)
    assert verdict.beats(one, one) == 0.5
    assert 0.9 < verdict.beats(one, other) < 1
    assert verdict.beats(other, one) == pytest.approx(1 - verdict.beats(one, other))
    regret = verdict.regret("a")
    assert regret is not None
    assert regret.mean == pytest.approx(0.1)
    assert verdict.found("a", 0.5) is None
    assert verdict.at_length(one) is None
    assert verdict.regret("a", at_length=True) is None


def test_what_is_found_is_judged_at_length_too(tmp_path: Path) -> None:
    lookup = Lookup.read(made_up.write(tmp_path, made_up.by_frames, noise=0.0, at_length=True))
    climbs = replay_all(lookup, ["grown-1", "hand-scaled"], target=TARGET, budget=None, replays=3)
    verdict = Verdict(lookup, climbs, TARGET)
    best, scaled = contenders(verdict)
    assert best["long"] == pytest.approx((1 + best["score"]) / 2)
    assert best["long_regret"] == pytest.approx(0.0, abs=0.01)
    assert scaled["long_regret"] > best["long_regret"] + 0.02
    duel = best["against"]["hand-scaled"]
    assert duel["long_by"] == pytest.approx(scaled["long_regret"] - best["long_regret"])
    assert [axes.get_title(loc="left") for axes in regret_figure(verdict, "20M").axes] == [
        "by short trainings",
        "by long trainings",
    ]


def test_how_likely_a_mean_is_above_zero() -> None:
    assert Estimate(mean=0, error=0).above == 0.5
    assert Estimate(mean=0.1, error=0).above == 1
    assert Estimate(mean=1.6449, error=1).above == pytest.approx(0.95, abs=1e-4)


def test_rivals_may_spend_as_much_as_expansion_does(lookup: Lookup) -> None:
    names = ["random", "expansion-1"]
    climbs = replay_all(lookup, names, target=TARGET, budget=None, replays=12)
    assert list(climbs) == ["expansion-1", "random"]
    assert {len(found) for found in climbs.values()} == {12}
    verdict = Verdict(lookup, climbs, TARGET)
    assert 0.8 < verdict.spent("random") / verdict.spent("expansion-1") <= 1
    first, second = contenders(verdict)
    assert first["against"]["random"]["better_on_average"] > 0.9  # the world rewards frames alone
    assert second["against"]["expansion-1"]["better_on_average"] < 0.1
    assert first["regret"] < second["regret"]


def test_mistakes_are_said_in_a_line(xpand: Xpand, table: Path, tmp_path: Path, lookup: Lookup) -> None:
    assert refused(xpand("bench", "strategies", tmp_path / "none.parquet")) == (
        f"error: a table must be a file, but {tmp_path / 'none.parquet'} does not exist: make it with xpand "
        "bench table."
    )
    assert refused(xpand("bench", "strategies", table, "--target", "30M")) == (
        "error: --target must be one of the table's, 20M, 45M, got 30M."
    )
    with pytest.raises(UserError, match="--search must be one of expansion-1, "):
        replay_all(lookup, ["best"], target=TARGET, budget=None, replays=2)
    with pytest.raises(UserError, match="there must be a budget where no expansion is replayed"):
        replay_all(lookup, ["random"], target=TARGET, budget=None, replays=2)
    with pytest.raises(UserError, match=r"it lacks .* choose another --target, or measure more of it"):
        replay(lookup, CONTENDERS["expansion-1"], target=45_000_000, budget=1e13, number=0)


def test_the_command_shows_and_draws_what_it_finds(xpand: Xpand, table: Path, tmp_path: Path) -> None:
    done = xpand(
        *("bench", "strategies", table.parent, "--replays", 3, "--out", tmp_path),
        *("--search", "expansion-1", "--search", "random", "--search", "hand-scaled"),
    )
    assert done.returncode == 0, done.stderr
    found, ahead = done.stdout.split("\n\n")
    assert [line.split()[0] for line in found.splitlines()] == [
        "search",
        "expansion-1",
        "random",
        "hand-scaled",
    ]
    heading, row = ahead.splitlines()
    assert heading.split() == ["ahead", "of", "random", "hand-scaled"]
    assert re.fullmatch(r" expansion-1 +([+-]\d+\.\d ± \d+\.\d, \d+% +){2}", row)
    assert {path.name for path in tmp_path.iterdir()} == {
        "regret-20M.png",
        "regret-20M.svg",
        "regret-20M.pdf",
        "strategies-20M.json",
    }
    rows = json.loads((tmp_path / "strategies-20M.json").read_text())
    assert [row["contender"] for row in rows] == ["expansion-1", "random", "hand-scaled"]
