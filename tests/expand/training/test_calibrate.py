from __future__ import annotations

from expand.config.search import Config
from expand.search.setup import Setup
from expand.training.calibrate import calibrate, timed_networks
from tests.expand.runs import CARD, toy_setup

AXES = {"fast", "temporal", "spatial", "depth", "width", "bottleneck"}


def x3d_setup(size: int) -> Setup:
    settings = {"space": {"settings": {"size": size}}, "search": {"targets": ["600M"]}}
    return Setup.of(Config.model_validate(settings), CARD)


def test_networks_grown_along_every_axis_are_timed() -> None:
    (start, whole), *grown = timed_networks(x3d_setup(40), "cpu")
    assert (start.name, whole) == ("start", 16)
    assert {candidate.axis for candidate, _ in grown} == AXES | {None}  # and the control
    costs = [candidate.macs for candidate, _ in grown]
    assert max(costs) * 3 * 16 <= 1e9  # so each step is short
    assert max(costs) > 2 * start.macs


def test_a_start_whose_steps_are_long_is_timed_on_part_of_a_batch() -> None:
    ((start, clips),) = timed_networks(x3d_setup(224), "cpu")
    assert start.name == "start"
    assert 1 < clips < 16


def test_a_speed_that_seconds_can_be_forecast_by() -> None:
    speed = calibrate(toy_setup(), device="cpu", threads=1)
    assert speed.per_mac > 0
    assert speed.timed is not None
