"""A table of a neighbourhood: which networks it has, how it is measured, and what is written of it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from expand.bench.table.measuring import WAYS, Extent, measure, ways_of
from expand.bench.table.networks import contractions, expanded, near_targets, path_of, reachable, sample
from expand.bench.table.rows import begun, read_table, write_table
from expand.bench.table.show import summary
from expand.bench.table.strategies import Long, Scratch
from expand.config.search import Config
from expand.search.base import Problem, Scored, network_key
from expand.search.expansion import Expansion
from expand.system.errors import RunFailed, UserError
from search_spaces.x3d import X3DSpace
from tests.expand.commands import Xpand, refused
from tests.expand.runs import Quiet, toy_config
from tests.expand.search.followed import followed

SPACE = X3DSpace(frames=2, stride=34, size=40)
MOTION = Problem(space=SPACE, axes=SPACE.axes, targets=[20_000_000, 45_000_000], num_classes=10)


def test_three_rounds_of_expansion_lead_to_132_networks() -> None:
    levels = reachable(MOTION, 3, step=2.0)
    assert [len(level) for level in levels] == [6, 36, 216]
    networks = {network_key(SPACE, one.point) for level in levels for one in level}
    assert len(networks | {network_key(SPACE, SPACE.start)}) == 132


def test_whatever_a_search_chooses_its_networks_are_in_the_table() -> None:
    groups = expanded(MOTION, [1, 2], step=2.0)
    known = {network_key(SPACE, one.point) for group in groups for one in group.networks}
    for best in SPACE.axes:
        problem = replace(MOTION, targets=[20_000_000])
        rounds, found = followed(
            Expansion().search(problem),
            lambda round_, best=best: [  # type: ignore[misc]
                Scored(score=float(one.candidate.axis == best)) for one in round_.trainings
            ],
        )
        asked = [one.point for round_ in rounds for one in round_.candidates]
        assert {network_key(SPACE, point) for point in asked} <= known
        assert network_key(SPACE, found.targets[0].candidate.point) in known


def test_a_network_that_several_orders_lead_to_is_in_a_group_once() -> None:
    for group in expanded(MOTION, [1, 2], step=2.0):
        keys = [network_key(SPACE, one.point) for one in group.networks]
        assert len(set(keys)) == len(keys)


def test_names_tell_the_axes() -> None:
    start, round_1, round_2, smaller = expanded(MOTION, [1, 2], step=2.0)
    assert [path_of(one.name) for one in start.networks] == [()]
    assert path_of(round_1.networks[0].name) == ("fast",)
    assert path_of(round_2.networks[1].name) == ("fast", "temporal")
    assert smaller.networks[1].name == "fast/temporal to 20M"
    assert path_of(smaller.networks[1].name) == ("fast", "temporal")
    assert path_of("start-longer") == ()


def test_what_is_contracted_lies_between_its_parents_cost_and_the_target() -> None:
    found = contractions(MOTION, reachable(MOTION, 2, step=2.0)[1])
    for one in found:
        assert one.parent is not None
        assert one.parent.parent is not None
        assert one.parent.parent.cost < one.cost <= 20_000_000 < one.parent.cost


def test_a_sample_has_networks_of_all_groups_axes_and_costs() -> None:
    groups = [*expanded(MOTION, [1, 2], step=2.0), *near_targets(MOTION, [30, 24])]
    chosen = sample(groups, 24)
    assert len(set(chosen)) == 24
    shares = [sum(one in group.networks for one in chosen) for group in groups]
    assert shares == [0, 4, 4, 4, 4, 2, 4, 2]  # none of the start; of each target two are scaled by hand
    assert {one.axis for one in chosen} >= {"fast", "spatial", "width", "bottleneck"}
    assert sample(groups, 10_000) == tuple(one for group in groups[1:] for one in _sorted(group.networks))


def _sorted(networks: tuple[object, ...]) -> list[object]:
    return sorted(networks, key=lambda one: (one.axis or "", one.cost))  # type: ignore[attr-defined]


@pytest.fixture
def growing(tmp_path: Path) -> Config:
    return toy_config(
        tmp_path / "cache",
        space={"name": "tests.expand.toy:GrowingToySpace"},
        search={"targets": [4_000], "seeds": [1, 2]},
        training={"epochs": 4, "learning_rate": 0.5},
    )


EXTENT = Extent(rounds=2, further=1, drawn=[2], sampled=3)


def test_every_way_is_measured_once(tmp_path: Path, growing: Config) -> None:
    first, again = {way: Quiet() for way in WAYS}, Quiet()
    for way, view in first.items():
        measure(growing, EXTENT, [way], tmp_path, view)
        assert len(view.trained) == len(set(view.trained))
    measure(growing, EXTENT, list(WAYS), tmp_path, again)
    assert again.trained == []
    rows, facts = read_table(write_table(tmp_path))
    assert len(rows) == sum(len(view.trained) for view in first.values())
    assert {row["way"] for row in summary(rows, facts)} == set(WAYS)
    assert all(row["trainings"] == row["planned"] for row in summary(rows, facts))

    of = {way: rows[rows["way"] == way] for way in WAYS}
    seeds = of["scratch"].groupby("kind")["seed"].nunique().to_dict()
    assert seeds == {"start": 2, "expansion": 2, "drawn": 1, "scaled": 1}  # the others have the least number
    assert set(of["scratch"]["name"]) >= {"start", "frames", "width", "frames/width"}
    assert set(of["grown"]["name"]) >= {"width/frames", "frames/width", "control", "frames/control"}
    assert set(of["long"]["epochs"]) == {20.0}
    assert set(of["grown"]["epochs"]) == {2.0}
    names = {way: set(of[way].loc[of[way]["macs"] <= 4_000, "name"]) for way in WAYS}
    assert names["long"] == names["scratch"]
    assert {len(path.split("/")) for path in of["further"]["path"]} == {3}


def test_all_networks_are_trained_twice_before_any_is_trained_again() -> None:
    problem = replace(MOTION, seeds=tuple(range(5)), least=3)
    rounds, _ = followed(
        Scratch(rounds=1, drawn=[1, 1]).search(problem),
        lambda round_: [Scored(score=0.5)] * len(round_.trainings),
    )
    kinds = ["start", "expansion", "contraction", "drawn", "scaled", "drawn", "scaled"]
    assert [round_.kind for round_ in rounds] == [*kinds[:2], *kinds[3:], *kinds[:2], *kinds[3:], *kinds[:2]]
    assert [round_.number for round_ in rounds] == [0, 1, 3, 4, 5, 6, 0, 1, 3, 4, 5, 6, 0, 1]
    assert [{one.seed for one in round_.trainings} for round_ in rounds] == [{0, 1}] * 6 + [{2}] * 6 + [
        {3, 4}
    ] * 2


def test_all_that_may_be_found_is_trained_at_length_before_some_of_the_others() -> None:
    rounds, _ = followed(
        Long(drawn=[30, 24], sampled=12).search(MOTION),
        lambda round_: [Scored(score=0.5)] * len(round_.trainings),
    )
    kinds = ["contraction", "drawn", "scaled", "expansion", "start", "expansion", "drawn", "scaled"]
    assert [round_.kind for round_ in rounds] == kinds
    costs = [[one.candidate.cost for one in round_.trainings] for round_ in rounds]
    assert max(max(some) for some in costs[:5]) <= 20_000_000
    assert min(min(some) for some in costs[5:]) > 20_000_000
    assert sum(len(some) for some in costs[5:]) == 12
    scratch = [*expanded(MOTION, [1, 2], step=2.0), *near_targets(MOTION, [30, 24])]
    within = {one for group in scratch for one in group.networks if one.cost <= 20_000_000}
    assert {one.candidate for round_ in rounds[:5] for one in round_.trainings} == within
    assert {one.seed for round_ in rounds for one in round_.trainings} == {0}


def test_a_row_says_all_that_was_measured(tmp_path: Path, growing: Config) -> None:
    measure(growing, EXTENT, ["scratch"], tmp_path, Quiet())
    rows, facts = read_table(write_table(tmp_path))
    row = rows[rows["name"] == "frames"].iloc[0]
    assert json.loads(row["architecture"]) == {"frames": 2, "width": 4, "size": 32}
    assert (row["factor_frames"], row["frames"], row["macs"]) == (2, 2, sum(row["stage_macs"]))
    assert row["spent"] == 3 * row["macs"] * 4 * 24
    assert len(row["epoch_losses"]) == 4
    assert row["video_scores"].mean() == pytest.approx(row["score"])
    assert len(row["video_scores"]) == facts["data"]["val"] == 12
    assert facts["stages"] == ["classifier"]
    assert facts["ways"]["scratch"]["training"]["epochs"] == 4


def test_what_was_measured_before_an_interruption_is_in_the_table(tmp_path: Path, growing: Config) -> None:
    class Impatient(Quiet):
        def finished(self, job: object, result: object) -> None:
            if len(self.trained) == 3:
                raise RunFailed("stopped")
            super().finished(job, result)  # type: ignore[arg-type]

    with pytest.raises(RunFailed):
        measure(growing, EXTENT, ["scratch"], tmp_path, Impatient())
    rows, facts = read_table(write_table(tmp_path))
    done = summary(rows, facts)
    assert sum(row["trainings"] for row in done) == 4 < sum(row["planned"] for row in done)
    measure(growing, EXTENT, ["scratch"], tmp_path, rest := Quiet())
    rows, _ = read_table(write_table(tmp_path))
    assert len(rows) == 4 + len(rest.trained)


def test_a_table_without_further_rounds_lacks_that_way(tmp_path: Path, growing: Config) -> None:
    near = Extent(rounds=1, drawn=[2], sampled=3)
    assert ways_of(near) == ["scratch", "grown", "long"]
    assert ways_of(EXTENT) == list(WAYS)
    with pytest.raises(UserError) as error:
        measure(growing, near, ["further"], tmp_path, Quiet())
    assert str(error.value) == (
        "the way further needs further rounds, got none: add --further 1, or leave it out."
    )


def test_a_search_with_other_settings_does_not_go_on_with_a_table(tmp_path: Path, growing: Config) -> None:
    measure(growing, EXTENT, ["scratch"], tmp_path, Quiet())
    with pytest.raises(UserError, match="must be a run with this configuration, but it differs"):
        measure(growing, Extent(rounds=1), ["scratch"], tmp_path, Quiet())


def test_the_command_trains_and_shows_how_far_it_is(xpand: Xpand, tmp_path: Path) -> None:
    out = tmp_path / "table"
    done = xpand(
        *("bench", "table", "--data", "synthetic", "--target", "4K", "--out", out, "--way", "scratch"),
        *("--rounds", 1, "--drawn", 2, "--set", "space.name=tests.expand.toy:ToySpace"),
        *("--set", "data.synthetic={train: 24, val: 12, size: 32}", "--set", "training.epochs=1"),
        cache=tmp_path / "cache",
    )
    assert done.returncode == 0, done.stderr
    heading, *lines = done.stdout.splitlines()
    assert heading.split()[:4] == ["way", "networks", "trainings", "of"]
    assert [line.split()[:5] for line in lines] == [
        ["scratch", "1", "start", "1", "1"],
        ["scratch", "2", "expansion", "2", "2"],
        ["scratch", "2", "drawn", "2", "2"],
        ["scratch", "1", "scaled", "1", "1"],
    ]
    again = xpand("bench", "table", "--collect", "--out", out, "--json")
    assert [row["trainings"] for row in json.loads(again.stdout)] == [1, 2, 2, 1]
    assert begun(out) == ["scratch"]


def test_mistakes_are_said_in_a_line(xpand: Xpand, tmp_path: Path) -> None:
    message = refused(xpand("bench", "table", "--collect", "--out", tmp_path))
    assert message == (
        f"error: a table's folder must have runs, but {tmp_path} has none: give --data to make them."
    )
    message = refused(
        xpand("bench", "table", "--data", "synthetic", "--out", tmp_path / "o", "--way", "best")
    )
    assert message == "error: --way must be one of scratch, grown, long, further, got best."
    with pytest.raises(UserError, match="does not exist: make it with xpand bench table"):
        read_table(tmp_path / "none.parquet")
    (tmp_path / "text.parquet").write_text("no table")
    with pytest.raises(UserError, match="must be a table that xpand bench table has written"):
        read_table(tmp_path / "text.parquet")
