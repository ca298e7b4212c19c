"""How well short trainings compare networks: by numbers worked out by hand, and by small real runs."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from expand.bench import proxy
from expand.bench.proxy import LONG, WAYS, Agreement, Neighbours, Trained, compare, measure, read_ways
from expand.bench.ways import Way
from expand.config.search import Config
from expand.search.base import Outcome, Problem, Scored, Training
from expand.system.errors import UserError
from tests.expand.commands import Xpand, refused
from tests.expand.runs import Quiet, toy_config
from tests.expand.search.followed import followed
from tests.expand.toy import ToySpace

AXES = ("fast", "depth", "width")

# A measurement of seconds.
COMMAND: tuple[object, ...] = (
    *("bench", "proxy", "--data", "synthetic", "--target", "4K", "--seeds", 1),
    *("--set", "space.name=tests.expand.toy:GrowingToySpace", "--set", "training.epochs=1"),
    *("--set", "data.synthetic={train: 24, val: 12, size: 32}", "--set", "run.workers=1"),
)


Scores = Mapping[str, tuple[float, ...]]


def trained(way: str, scores: Scores, **changes: object) -> list[Trained]:
    values: dict[str, object] = {"learned": True, "compute": 1.0, "seconds": 60.0, **changes}
    return [
        Trained(way=way, round=1, candidate=axis, seed=seed, score=score, **values)  # type: ignore[arg-type]
        for axis, seeds in scores.items()
        for seed, score in enumerate(seeds)
    ]


LONG_SCORES: Scores = {"fast": (0.9, 0.88), "depth": (0.8, 0.78), "width": (0.7, 0.68)}


def agreement(scores: Scores) -> Agreement:
    found = compare({LONG: trained(LONG, LONG_SCORES), "short": trained("short", scores)})
    assert found[0].tau == 1
    assert found[0].regret == 0
    return found[1]


def test_the_same_order_agrees() -> None:
    found = agreement({"fast": (0.5, 0.52), "depth": (0.4, 0.42), "width": (0.3, 0.32)})
    assert found.tau == 1
    assert found.regret == 0
    assert list(found.interval) == [1, 1]
    for shift, error in found.handicaps.values():
        assert abs(shift) < 1e-9
        assert error < 0.02


def test_one_axis_that_short_trainings_do_not_see() -> None:
    found = agreement({"fast": (0.5, 0.52), "depth": (0.1, 0.12), "width": (0.3, 0.32)})
    assert found.tau == pytest.approx(1 / 3)  # one pair of three is the wrong way round
    assert found.regret == 0
    assert found.handicaps["depth"][0] == pytest.approx(-0.2)
    assert found.handicaps["fast"][0] == pytest.approx(0.1)
    assert found.handicaps["width"][0] == pytest.approx(0.1)


def test_pairs_that_long_trainings_cannot_tell_apart_do_not_count_as_such() -> None:
    long: Scores = {"fast": (0.90, 0.88), "depth": (0.80, 0.78), "width": (0.79, 0.77)}
    short: Scores = {"fast": (0.5, 0.5), "depth": (0.3, 0.3), "width": (0.4, 0.4)}
    (_, found) = compare({LONG: trained(LONG, long), "short": trained("short", short)})
    assert found.tau == pytest.approx(1 / 3)
    assert (found.apart, found.pairs) == (1, 2)


def test_the_reverse_order_costs_what_the_chosen_one_lacks() -> None:
    found = agreement({"fast": (0.1, 0.1), "depth": (0.2, 0.2), "width": (0.3, 0.3)})
    assert found.tau == -1
    assert found.regret == pytest.approx(0.2)


def test_seeds_that_spread_make_the_interval_wide() -> None:
    found = agreement({"fast": (0.2, 0.6), "depth": (0.1, 0.6), "width": (0.3, 0.3)})
    low, high = found.interval
    assert low < 0 < high


def test_controls_are_no_candidates_but_are_paid_for() -> None:
    short = trained("short", LONG_SCORES) + trained("short", {"control": (0.95, 0.95)}, learned=False)
    (_, found) = compare({LONG: trained(LONG, LONG_SCORES), "short": short})
    assert found.tau == 1
    assert set(found.handicaps) == set(AXES)
    assert found.compute == 8
    assert found.learned_nothing == pytest.approx(2 / 8)


def test_without_long_trainings_there_is_nothing_to_compare_with() -> None:
    with pytest.raises(UserError) as error:
        compare({"short": trained("short", LONG_SCORES)})
    assert str(error.value) == (
        "the ways must include 'long', which the others are compared with: measure it too."
    )


@pytest.mark.parametrize("name", list(WAYS))
def test_every_way_is_a_search_that_can_be_configured(name: str) -> None:
    config = Config.model_validate({"search": {"targets": ["40M"]}, "training": {"epochs": 8}})
    own = WAYS[name].config(config, "expand.bench.proxy:Neighbours", {"path": ["fast"]})
    assert own.search.strategy == "expand.bench.proxy:Neighbours"
    assert own.search.settings == {"path": ["fast"]}
    assert own.training.epochs == 8 * WAYS[name].length
    assert own != config


def test_a_way_multiplies_what_is_configured() -> None:
    config = Config.model_validate({"space": {"settings": {"size": 64}}, "training": {"clips": 100}})
    way = Way(length=0.5, rate=2, batch=2, size=0.8, training={"init": "grown"}, data={"share": 0.5})
    own = way.config(config, "random", {})
    assert (own.training.clips, own.training.epochs) == (50, None)
    assert (own.training.learning_rate, own.training.batch_size) == (0.1, 32)
    assert own.training.init == "grown"
    assert own.space.settings == {"size": 48}
    assert own.data.share == 0.5


@pytest.fixture(autouse=True)
def _few_draws(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(proxy, "DRAWS", 200)


def follow(strategy: Neighbours, table: Callable[[Training], Outcome]) -> list[tuple[int, list[str]]]:
    space = ToySpace()
    search = strategy.search(Problem(space=space, axes=space.axes, targets=[], num_classes=12, grown=True))
    rounds, _ = followed(search, lambda round_: [table(training) for training in round_.trainings])
    return [(one.number, [candidate.name for candidate in one.candidates]) for one in rounds]


def test_the_states_are_given_whatever_scores_best() -> None:
    def table(training: Training) -> Outcome:
        return Scored(score=0.9 if training.candidate.axis == "frames" else 0.1)

    assert follow(Neighbours(path=["width"]), table) == [
        (0, ["start"]),
        (1, ["frames", "width", "control"]),
        (2, ["frames", "width", "control"]),
    ]
    with pytest.raises(UserError) as error:
        follow(Neighbours(path=["depth"]), table)
    assert str(error.value) == "--grow must name an axis that can grow in its round, got 'depth'."


@pytest.fixture
def growing(tmp_path: Path) -> Config:
    return toy_config(
        tmp_path / "cache",
        space={"name": "tests.expand.toy:GrowingToySpace"},
        search={"targets": [4_000]},
    )


def test_ways_are_measured_once_and_read_from_their_runs(tmp_path: Path, growing: Config) -> None:
    first, again = Quiet(), Quiet()
    measure(growing, ["width"], ["scratch", LONG], tmp_path / "out", first)
    measure(growing, ["width"], ["scratch", LONG], tmp_path / "out", again)
    assert len(first.trained) == 2 * (1 + 2 + 2)
    assert again.trained == []
    found = read_ways(tmp_path / "out")
    assert list(found) == ["scratch", LONG]
    assert {(one.round, one.candidate) for one in found[LONG]} == {
        (0, "start"),
        *((number, axis) for number in (1, 2) for axis in ("frames", "width")),
    }
    assert sum(one.compute for one in found[LONG]) == 5 * sum(one.compute for one in found["scratch"])
    assert [one.way for one in compare(found)] == ["scratch", LONG]


def test_the_command_prints_a_row_for_each_way_and_keeps_every_training(xpand: Xpand, tmp_path: Path) -> None:
    arguments = ["--way", "scratch", "--way", "long", "--figures", tmp_path / "found.json"]
    done = xpand(*COMMAND, *arguments, "--out", tmp_path / "out", cache=tmp_path / "cache")
    assert done.returncode == 0, done.stderr
    heading, *rows = done.stdout.splitlines()
    assert heading.split() == [
        *(
            "way",
            "τ",
            "95",
            "%",
            "apart",
            "regret",
            "learned",
            "nothing",
            "compute",
            "minutes",
            "frames",
            "width",
        )
    ]
    assert [row.split()[0] for row in rows] == ["scratch", "long"]
    kept = json.loads((tmp_path / "found.json").read_text())
    assert len(kept["trainings"]) == 2 * (1 + 2)
    assert [one["way"] for one in kept["agreement"]] == ["scratch", "long"]


def test_other_settings_than_those_of_a_run_are_refused(tmp_path: Path, growing: Config) -> None:
    measure(growing, [], ["scratch"], tmp_path / "out", Quiet())
    more = Config.model_validate({**growing.model_dump(), "search": {"targets": [4_000], "seeds": 2}})
    with pytest.raises(UserError) as error:
        measure(more, [], ["scratch"], tmp_path / "out", Quiet())
    assert str(error.value) == (
        f"{tmp_path / 'out' / 'scratch'} must be a run with this configuration, but it differs: "
        "search.seeds: 1 → 2. Give the same settings, or another folder (--out)."
    )


def test_an_unknown_axis_is_refused_before_anything_is_trained(tmp_path: Path, growing: Config) -> None:
    view = Quiet()
    with pytest.raises(UserError) as error:
        measure(growing, ["width", "depth"], ["scratch"], tmp_path / "out", view)
    assert str(error.value) == "--grow must name axes of the search, frames, width, got depth."
    assert view.trained == []
    assert not (tmp_path / "out").exists()


def test_without_the_long_trainings_the_command_says_what_to_measure(xpand: Xpand, tmp_path: Path) -> None:
    done = xpand(*COMMAND, "--way", "scratch", "--out", tmp_path / "out", cache=tmp_path / "cache")
    assert done.returncode == 0, done.stderr
    assert done.stdout == ""
    assert done.stderr.splitlines()[-1] == (
        "Measured. To compare the ways, measure the long trainings, too: --way long."
    )


def test_an_unknown_way_is_refused(xpand: Xpand, tmp_path: Path) -> None:
    message = refused(
        xpand("bench", "proxy", "--data", "synthetic", "--out", tmp_path / "o", "--way", "best")
    )
    assert message == f"error: --way must be one of {'; '.join(WAYS)}, got best."
