"""`xpand test`, on networks that only their own space knows."""

from __future__ import annotations

from pathlib import Path

from expand.full.batch_parts import complexity_at
from expand.full.testing import choose_test, run_test
from tests.expand.runs import Quiet, run_search, toy_config
from tests.expand.tuples import TupleSpace


def test_a_space_of_ones_own_is_tested_on_larger_clips(tmp_path: Path, cache: Path) -> None:
    space = {"name": "tests.expand.tuples:TupleSpace", "settings": {}}
    run, _ = run_search(tmp_path / "run", toy_config(cache, space=space, search={"targets": [900]}))
    chosen = choose_test(
        str(run.folder),
        "step-0",
        views=["1", "30"],
        data=Path("synthetic"),
        settings={
            "data.synthetic": {"train": 24, "val": 12, "size": 48},
            "data.cache.folder": cache,
            "data.jitter": (1.1375, 1.425),
            "run.device": "cpu",
        },
    )
    assert (
        choose_test(str(run.folder), "step-0", views=["1"]).recipe.data.synthetic == run.config.data.synthetic
    )
    one, thirty = run_test(chosen, Quiet().caching)
    assert (one.size, thirty.size) == (32, 36)
    model, architecture = chosen.model, TupleSpace().architecture(TupleSpace().start)
    assert complexity_at(model, 36) == TupleSpace().complexity((*architecture[:2], 36), 12)
    assert thirty.macs == 30 * complexity_at(model, 36).macs
