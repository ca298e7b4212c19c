"""What a search will take of a worker's memory, said before it starts."""

from __future__ import annotations

import pytest

from expand.config.search import Config
from expand.search.setup import Setup
from expand.system.errors import UserError
from expand.training.footprint import KERNELS
from expand.training.memory_forecast import Foresight, foresee, measure_by
from tests.expand.runs import CARD

GB = 10**9


def foreseen(target: str, room: int) -> tuple[Setup, Foresight]:
    settings = {"space": {"settings": {"size": 40}}, "search": {"targets": [target]}}
    setup = Setup.of(Config.model_validate(settings), CARD)
    return setup, foresee(setup, room, measure_by(setup, KERNELS))


def test_a_search_that_fits_says_what_it_takes() -> None:
    setup, found = foreseen("80M", 10 * GB)
    assert (found.in_parts, found.failing, found.furthest) == (0, 0, None)
    assert found.described == "at most 651 MB of a worker's 10 GB"
    found.check(setup.config.search.targets)


def test_batches_in_parts_are_foreseen() -> None:
    setup, found = foreseen("80M", GB // 4)
    assert found.described == (
        "at most 319 MB of a worker's 250 MB: 3 of 36 candidates split their batch into parts of down to "
        "8 clips, and BatchNorm normalises each part by itself; 6 do not fit at all"
    )
    found.check(setup.config.search.targets)


def test_a_target_that_does_not_fit_is_refused_with_the_largest_that_does() -> None:
    setup, found = foreseen("100T", 10 * GB)
    assert found.described == "at most 171 GB of a worker's 10 GB: no target above 59G fits"
    with pytest.raises(UserError) as caught:
        found.check(setup.config.search.targets)
    assert str(caught.value) == (
        "target must be at most 59G, the largest whose networks fit into the 10 GB that a worker has, got "
        "100,000,000,000,000: larger networks would take 11.4 GB even with one clip at a time; lower "
        "--target, or give workers more memory, such as by fewer workers."
    )
    smaller, fits = foreseen("59G", 10 * GB)
    fits.check(smaller.config.search.targets)


def test_a_start_that_does_not_fit_is_refused() -> None:
    setup, found = foreseen("80M", 10**7)
    with pytest.raises(UserError) as caught:
        found.check(setup.config.search.targets)
    assert str(caught.value) == (
        "the start network must fit into the 10 MB that a worker has, but it would take 28.4 MB even with "
        "one clip at a time: start from a smaller basis, or give workers more memory."
    )
