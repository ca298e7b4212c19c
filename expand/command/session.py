"""Runs a search from its forecast to its report, for the command and for Python callers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from expand.config.data_paths import check_there, moved
from expand.config.options import NO_SETTINGS, build_config
from expand.config.search import Config
from expand.data.cache_size import look_at_headers
from expand.data.leaks import list_remarks
from expand.report.live_search import SearchView
from expand.report.terminal import forecast_text
from expand.run.driver import drive
from expand.run.extension import Extending, extended, forks
from expand.run.frames import RunFrames, load_run
from expand.run.preparation import SearchPlan, decode, plan
from expand.run.record import read_run
from expand.run.study import Run
from expand.search.forecast import Clock, Speed
from expand.search.setup import FrameGrid
from expand.system.console import err, say
from expand.system.escaping import file_name
from expand.system.folders import CONFIG, check_free, check_writable, free_folder
from expand.system.units import show_bytes
from expand.training.memory_forecast import Foresight

_BY_HEADERS = ", by their headers; `xpand doctor` decodes the videos, and finds all that are bad"

Guard = Callable[[Run], AbstractContextManager[None]]


@dataclass(frozen=True, kw_only=True, slots=True)
class Session:
    """A search that is planned, checked and timed, before anything is decoded or written.

    Attributes:
        folder: folder of the new run.
        planned: the plan of the search.
        speed: speed of trainings on this machine.
        foresight: the memory that networks of the search will need; None where it is not known.
    """

    folder: Path
    planned: SearchPlan
    speed: Speed
    foresight: Foresight | None = None

    @property
    def clock(self) -> Clock:
        return Clock(self.planned.setup, self.speed, self.planned.machine.workers)


def begin(config: Config, folder: Path | None = None) -> Session:
    """Check a search, measure this machine's speed, and print what the search will cost.

    Args:
        config: the search's configuration.
        folder: folder of the new run; None for results/NAME, by the name of the data.

    Raises:
        UserError: the folder is not free, or the configuration or the data does not allow a search.
    """
    if folder is not None:
        check_free(folder)
    planned = fitting(plan(config))
    folder = folder or free_folder(Path("results"), file_name(planned.source.name, "run"))
    check_writable(folder)
    session = Session(
        folder=folder,
        planned=planned,
        speed=planned.machine.time(planned.setup),
        foresight=planned.machine.foresee(planned.setup),
    )
    say(forecast_text(planned.setup, session.clock, planned.machine, session.speed, session.foresight))
    return session


def fitting(planned: SearchPlan) -> SearchPlan:
    """The plan, with as many workers as this machine has memory for."""
    return replace(planned, machine=planned.machine.fitting(planned.setup))


def look_at_videos(planned: SearchPlan) -> None:
    """Say what a search would say of its videos, as far as their lists and headers tell.

    Raises:
        UserError: too many videos are bad.
    """
    for line in list_remarks(planned.source):
        say(line)
    with SearchView(err) as view:
        size, bad = look_at_headers(planned.source, planned.needs, planned.setup.config.data, view.caching)
    looked = "" if planned.setup.config.data.format == "synthetic" else _BY_HEADERS
    say(f"cache     about {show_bytes(size)} of decoded videos{looked}")
    if bad:
        say(f"bad       {bad}")


def carry_out(session: Session, guard: Guard = lambda _: nullcontext()) -> Run:
    """Decode the videos, search, and write the report; progress goes to stderr.

    Args:
        session: the search.
        guard: makes a context manager that is entered while the search runs.

    Raises:
        UserError: a target needs more memory than there is, too many videos are bad, or the folder is not
            free any more.
        RunFailed: the search cannot go on.
    """
    from expand.report.page import write_report

    if session.foresight is not None:
        session.foresight.check(session.planned.setup.config.search.targets)
    with SearchView(err) as view:
        prepared = decode(session.planned, view.caching)
        run = Run.create(session.folder, prepared.setup.config, prepared.setup.data)
        say(f"run       {run.folder}")
        with run.locked(), guard(run):
            drive(run, prepared, session.speed, view)
    write_report(run.folder)
    return run


def go_on(
    run: Run,
    settings: Mapping[str, Any] = NO_SETTINGS,
    guard: Guard = lambda _: nullcontext(),
    *,
    data: Path | None = None,
) -> None:
    """Resume a run at any point, up to its report.

    Args:
        run: to go on with.
        settings: of its `run` section, which may change, such as `run.workers`.
        guard: what to hold while the search goes on.
        data: the folder that the videos are in now; None: where they were.

    Raises:
        UserError: another process drives the run, or its configuration or videos have changed.
        RunFailed: the search cannot go on.
    """
    from expand.report.page import REPORT, write_report

    with run.locked(), guard(run):
        run.complete_extension()
        run.check_config()
        finished = read_run(run.folder).finished
        if not finished:
            config = build_config(run.folder / CONFIG, settings=settings)
            config = config if data is None else moved(config, data)
            check_there(config)
            planned = fitting(plan(config))
            speed = planned.machine.time(planned.setup)
            with SearchView(err) as view:
                prepared = decode(planned, view.caching, run.data)
                if data is not None:
                    run.move_data(data)
                drive(run, prepared, speed, view)
    if not (finished and (run.folder / REPORT).exists()):
        write_report(run.folder)


def extend(
    run: Run,
    asked: Extending,
    settings: Mapping[str, Any] = NO_SETTINGS,
    guard: Guard = lambda _: nullcontext(),
) -> None:
    """Extend a run to further targets or surer decisions, up to its report; what is measured stays.

    Args:
        run: to extend.
        asked: by what.
        settings: of its `run` section, such as `run.workers`.
        guard: what to hold while the search goes on.

    Raises:
        UserError: another process drives the run, its configuration or videos have changed, or it cannot be
            extended by that.
        RunFailed: the search cannot go on.
    """
    from expand.report.page import write_report

    with run.locked(), guard(run):
        run.complete_extension()
        before = read_run(run.folder)
        path = [state.name for state in before.path]
        config = extended(before, asked)
        where = build_config(run.folder / CONFIG, settings=settings).run
        config = config.model_copy(update={"run": where})
        check_there(config)
        planned = fitting(plan(config))
        card = run.data.with_grid(FrameGrid.of(planned.needs))
        speed = planned.machine.time(planned.setup)
        with SearchView(err) as view:
            prepared = decode(planned, view.caching, card)
            run.extend(config, card, path)
            drive(run, prepared, speed, view)
    write_report(run.folder)
    forked = forks(path, read_run(run.folder).path)
    if forked is not None:
        say(forked)


def run_search(
    config: str | Path | None = None,
    *,
    data: str | Path | None = None,
    targets: Sequence[str | int] = (),
    settings: Mapping[str, Any] | None = None,
    out: str | Path | None = None,
) -> RunFrames:
    """Search as `xpand search` does, and read the finished run; progress goes to stderr.

        run_search(targets=["6M"])                                      # on clips drawn from a seed
        run_search(data="videos", targets=["80M"], settings={"training.epochs": 5, "search.seeds": 2})

    A script must call it inside `if __name__ == "__main__":`, since workers are processes that import the
    script again. `xpand resume` continues a run that was interrupted.

    Args:
        config: a YAML file; None for the defaults, which without `data` are those of a search on synthetic
            videos.
        data: folder of the labelled videos, or `synthetic`.
        targets: multiply-adds per clip, such as 80M.
        settings: any settings by their keys, such as `training.epochs`.
        out: folder of the run; None for results/NAME, by the name of the data.

    Raises:
        UserError: the configuration or the data does not allow a search, or the folder `out` is not free.
        RunFailed: the search cannot go on.
    """
    chosen = build_config(
        None if config is None else Path(config),
        data=None if data is None else Path(data),
        targets=targets,
        settings=settings or {},
    )
    return load_run(carry_out(begin(chosen, None if out is None else Path(out))).folder)
