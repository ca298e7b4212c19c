from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from expand.config.search import Config
from expand.data.cache_needs import cache_needs
from expand.run.preparation import possible_clips
from expand.search.forecast import Clock, Load, Speed, closest, forecast, makespan
from expand.search.replay import Replay
from expand.search.setup import Setup
from search_spaces.base import ClipSampling
from tests.expand.runs import CARD, toy_setup
from tests.expand.search.test_replay import measurement


def test_the_forecast_counts_the_rounds_that_a_search_takes() -> None:
    search = {"targets": ["80M"], "seeds": 2}
    scratch = {"search": search, "training": {"init": "scratch"}}
    x3d = Setup.of(Config.model_validate(scratch), CARD)
    assert [len(loads) for loads in forecast(x3d).rounds] == [2, 12, 12, 12]
    assert forecast(x3d).trainings == 38
    assert forecast(x3d).candidates == (1, 6, 6, 6)
    grown = Setup.of(Config.model_validate({"search": search}), CARD)
    assert [len(loads) for loads in forecast(grown).rounds] == [2, 14, 14, 14]  # with a control in each round


def test_a_race_is_forecast_from_its_first_trainings_to_all_of_them() -> None:
    race = toy_setup(search={"targets": [1_500], "seeds": [2, 5], "confirm": 3})
    least = forecast(toy_setup(search={"targets": [1_500], "seeds": 2, "confirm": 3}))
    most = forecast(toy_setup(search={"targets": [1_500], "seeds": 5, "confirm": 3}))
    assert forecast(race) == least
    assert forecast(closest(race)) == most
    assert least.candidates == most.candidates
    clock = Clock(race, Speed(fixed=0.0, per_mac=1e-6), workers=1)
    assert clock.total() == pytest.approx(1e-6 * least.macs)
    assert clock.at_most() == pytest.approx(1e-6 * most.macs)
    unsaid = toy_setup(search={"targets": [1_500], "seeds": [2, 5]})
    assert len(forecast(closest(unsaid)).rounds) == len(most.rounds)  # a race confirms, unless told otherwise


def test_a_training_costs_three_passes_a_clip_and_validation_one() -> None:
    setup = toy_setup(training={"epochs": 2, "val_clips": 3})
    start = forecast(setup).rounds[0][0]
    assert start.passes == 3 * 2 * CARD.train + 3 * CARD.val
    assert start.macs_per_clip == setup.problem.start.macs == 3 * 4 * 4 * 12
    clips = toy_setup(training={"epochs": None, "clips": 100})
    assert forecast(clips).rounds[0][0].passes == 300 + CARD.val


def test_what_is_tested_costs_a_pass_for_each_test_clip_too() -> None:
    setup = toy_setup(search={"targets": [1_500], "confirm": 1}, training={"val_clips": 3})
    plain = forecast(setup).rounds
    tested = forecast(replace(setup, data=replace(CARD, test=7, test_checksum="1" * 64))).rounds
    assert tested[:-1] == plain[:-1]
    assert [load.passes for load in tested[-1]] == [load.passes + 3 * 7 for load in plain[-1]]


def test_a_search_that_cannot_go_on_is_forecast_as_far_as_it_goes() -> None:
    assert [
        len(loads) for loads in forecast(toy_setup(search={"step": 1.01, "targets": [10**6]})).rounds
    ] == [1]


def test_speed_goes_through_two_networks_and_between_more() -> None:
    speed = Speed.fit([(1_000, 2.0), (3_000, 4.0)])
    assert speed.fixed == pytest.approx(1.0)
    assert speed.seconds(Load(passes=2, macs_per_clip=2_000)) == pytest.approx(6.0)
    between = Speed.fit([(1_000, 2.0), (3_000, 3.9), (3_000, 4.1)])
    assert between.seconds(Load(passes=1, macs_per_clip=3_000)) == pytest.approx(4.0, abs=0.01)
    assert Speed.fit([(1_000, 2.0)]) == Speed(fixed=0.0, per_mac=0.002, timed=1_000)


@given(st.integers(1, 10**6), st.floats(1e-6, 10), st.integers(1, 10**9), st.floats(1e-6, 10))
def test_speed_is_never_negative(macs: int, seconds: float, more: int, longer: float) -> None:
    speed = Speed.fit([(macs, seconds), (macs + more, longer)])
    assert speed.fixed >= 0
    assert speed.per_mac > 0


def test_workers_share_the_trainings() -> None:
    assert makespan([3, 1, 2, 2], workers=1) == 8
    assert makespan([3, 1, 2, 2], workers=2) == 4
    assert makespan([3, 1, 2, 2], workers=9) == 3
    assert makespan([], workers=2) == 0


def test_a_training_and_a_search_take_more_than_their_passes() -> None:
    setup, bare = toy_setup(), Speed(fixed=0.0, per_mac=1e-6)
    speed = replace(bare, each=2.0, around=5.0)
    assert speed.seconds(Load(passes=2, macs_per_clip=1_000)) == pytest.approx(2.0 + 2e-3)
    trainings = forecast(setup).trainings
    assert Clock(setup, speed, 1).total() == pytest.approx(Clock(setup, bare, 1).total() + 2 * trainings + 5)
    assert Clock(setup, speed, 1).left([], 10**6) == 0


def test_the_time_left_learns_from_what_was_measured() -> None:
    clock = Clock(toy_setup(), Speed(fixed=0.0, per_mac=1e-6), workers=1)
    (job,) = Replay(toy_setup()).rounds[0].jobs
    total, expected = clock.total(), clock.seconds(576, job)
    assert clock.left([], 0) == pytest.approx(total - expected)
    clock.learn(measurement(0.5, macs=576, clips_seen=24, seconds=3 * expected))
    assert clock.seconds(576, job) == pytest.approx(3 * expected)
    assert clock.left([], 0) == pytest.approx(3 * (total - expected))


def test_the_cache_holds_the_largest_and_the_fastest_clip() -> None:
    config = Config.model_validate({"search": {"targets": ["80M"]}, "data": {"jitter": [1, 1.5]}})
    clips = (ClipSampling(frames=1, stride=48, size=112), ClipSampling(frames=8, stride=6, size=80))
    needs = cache_needs(config.data, clips)
    assert (needs.short_side, needs.fps) == (168, 10.0)
    assert cache_needs(config.data, (ClipSampling(frames=9, stride=1, size=32),)).fps == 30.0


def test_what_a_search_may_ask_for_grows_with_its_target() -> None:
    def clips(target: str) -> tuple[ClipSampling, ...]:
        return possible_clips(Config.model_validate({"search": {"targets": [target]}}))

    assert max(clip.frames for clip in clips("40M")) == 4
    assert min(clip.stride for clip in clips("80M")) < min(clip.stride for clip in clips("40M"))
    assert max(clip.size for clip in clips("80M")) > max(clip.size for clip in clips("40M")) > 112
