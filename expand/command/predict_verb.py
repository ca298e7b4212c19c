"""The verb `xpand predict`: what a trained network sees in videos, folders of them, cameras and streams.

As in cli.py, heavy modules are only imported when the verb is called.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from expand.command.arguments import AsJson, ModelName
from expand.system.console import err, out, print_json, say
from expand.system.errors import RunFailed, UserError
from expand.system.signals import interruptible

if TYPE_CHECKING:
    from expand.predicting.files import Outcome
    from expand.predicting.predictor import Predictor
    from expand.system.listing import Listing

_LINES = 10.0  # seconds between two lines of progress in a file


def predict(
    network: Annotated[
        str,
        typer.Argument(
            help="A training's folder, a model's YAML, a run's folder, or an exported ONNX file.",
            metavar="MODEL",
        ),
    ],
    videos: Annotated[
        list[str],
        typer.Argument(
            help="Videos, folders of them, a camera's number, an address such as rtsp://…, or - for a pipe.",
            metavar="VIDEO…",
        ),
    ],
    model: ModelName = None,
    views: Annotated[
        str | None,
        typer.Option(
            "--views",
            help="Views of each video: 1, 10, 30 (10x3); 10 by default.",
        ),
    ] = None,
    every: Annotated[
        str | None,
        typer.Option(
            "--every",
            help="Labels over time, such as each 1s; of a stream, by default each stride.",
        ),
    ] = None,
    top: Annotated[int, typer.Option("--top", min=1, help="How many of the most likely classes.")] = 5,
    file: Annotated[
        Path | None, typer.Option("--out", help="Write a table: .csv, .json or .parquet; it is replaced.")
    ] = None,
    picture: Annotated[
        Path | None,
        typer.Option("--picture", help="With --every: frames and labels over time, as .png, .svg or .pdf."),
    ] = None,
    live: Annotated[
        bool, typer.Option("--live", help="Play a file at its own rate, as a camera would.")
    ] = False,
    fps: Annotated[
        float | None, typer.Option("--fps", min=0.001, help="Frame rate of folders of pictures.")
    ] = None,
    weights: Annotated[
        Path | None, typer.Option("--weights", help="Weights instead of those beside the model.")
    ] = None,
    device: Annotated[
        Literal["auto", "cpu", "cuda", "mps"], typer.Option("--device", help="Where the network runs.")
    ] = "auto",
    threads: Annotated[
        int | None, typer.Option("--threads", min=1, help="Threads on the CPU; by default the cores.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Say what a trained network sees in videos: labels, labels over time, or those of a live stream."""
    from expand.full.testing import parse_views
    from expand.predicting.files import check_table, find_videos
    from expand.predicting.predictor import load_predictor
    from expand.predicting.stream import is_stream
    from expand.predicting.video import parse_every

    seconds = None if every is None else parse_every(every)
    streams = [text for text in videos if live or is_stream(text)]
    if streams:
        _check_stream(videos, {"--views": views, "--out": file, "--picture": picture, "--fps": fps})
    if file is not None:
        check_table(file)
    if picture is not None:
        _check_picture(picture, videos, seconds)
    grid = parse_views(views or "10")
    paths = [] if streams else find_videos([Path(text) for text in videos], pictures=fps is not None)
    with interruptible():
        predictor = load_predictor(
            network, model, weights=weights, device=device, threads=threads, on_remark=say
        )
        if streams:
            _show_stream(predictor, streams[0], seconds, top, live, as_json)
            return
        outcomes = _predicted(predictor, paths, grid, seconds, fps)
    if file is not None:
        from expand.predicting.files import write_table

        write_table(file, outcomes, top)
    if picture is not None:
        _write_picture(picture, outcomes[0], fps)
    _show(outcomes, top, as_json, quiet=file is not None and len(paths) > 1)
    if file is not None:
        say(f"{file}: {len(paths):,} video{'s' * (len(paths) != 1)}")
    _check_bad(outcomes)


def _predicted(
    predictor: Predictor,
    paths: Sequence[Path],
    grid: tuple[int, int],
    every: float | None,
    fps: float | None,
) -> list[Outcome]:
    from expand.predicting.files import predict_all
    from expand.report.live_count import CountView

    with CountView(err, "videos predicted", seconds=_LINES) as view:
        return list(predict_all(predictor, paths, views=grid, every=every, fps=fps, on_done=view.counted))


def _show(outcomes: Sequence[Outcome], top: int, as_json: bool, *, quiet: bool) -> None:
    """Print what is predicted: a table for one video, or a row for each of several, or for each moment."""
    if as_json:
        values = [one.to_json(top) for one in outcomes]
        print_json(values[0] if len(values) == 1 else values)
        return
    if quiet:
        return
    out.print(_listing(outcomes, top))


def _listing(outcomes: Sequence[Outcome], top: int) -> Listing:
    """A row for each class of one video, or for each of several videos or moments."""
    from expand.predicting.files import Unpredicted
    from expand.system.listing import Listing

    (first, *others) = outcomes
    if not others and not isinstance(first, Unpredicted) and len(first.times) == 1:
        table = Listing(["label", "probability"], right=["probability"])
        for label, share in first.top(top):
            table.row(label, f"{share:.1%}")
        return table
    timed = any(not isinstance(one, Unpredicted) and len(one.times) > 1 for one in outcomes)
    next_ones = [f"{number}." for number in range(2, top + 1)]
    headings = [*(["video"] if others else []), *(["seconds"] if timed else []), "label", "probability"]
    table = Listing(
        [*headings, *next_ones],
        right=["seconds", "probability"],
        wrapped=["video"],
        spare=list(reversed(next_ones)),
    )
    shared = os.path.commonpath([one.video.parent for one in outcomes])
    for one in outcomes:
        own = [os.path.relpath(one.video, shared)] if others else []
        if isinstance(one, Unpredicted):
            words = f"cannot be used: {one.reason}"
            table.row(*own, *([""] if timed else []), words, "", *("" for _ in next_ones), style="dim")
            continue
        for moment, time in enumerate(one.times.tolist()):
            (label, share), *more = one.top(top, moment)
            cells = [f"{name} {part:.1%}" for name, part in more]
            cells += [""] * (len(next_ones) - len(cells))
            table.row(*own, *([f"{time:.2f}"] if timed else []), label, f"{share:.1%}", *cells)
    return table


def _check_bad(outcomes: Sequence[Outcome]) -> None:
    """Raises RunFailed, after all that could be predicted is shown, if a video cannot be used."""
    from expand.predicting.files import Unpredicted

    bad = [one for one in outcomes if isinstance(one, Unpredicted)]
    if bad:
        raise RunFailed(
            f"{len(bad):,} of {len(outcomes):,} videos cannot be used, such as {bad[0].video}: "
            f"{bad[0].reason}."
        )


def _check_stream(videos: Sequence[str], options: dict[str, object]) -> None:
    if len(videos) > 1:
        raise UserError(f"a camera or a stream must be the only one, got {len(videos)} arguments: give one.")
    given = [name for name, value in options.items() if value is not None]
    if given:
        raise UserError(f"{given[0]} must be left out for a stream: it is for videos in files.")


def _check_picture(picture: Path, videos: Sequence[str], every: float | None) -> None:
    from expand.plots.figures import FORMATS

    if picture.suffix.removeprefix(".") not in FORMATS:
        raise UserError(
            f"--picture must end in one of {', '.join(f'.{one}' for one in FORMATS)}, got {picture}."
        )
    if every is None or len(videos) != 1 or Path(videos[0]).is_dir():
        raise UserError(
            "--picture must come with --every and one video, of which it shows the labels over time."
        )


def _write_picture(picture: Path, outcome: Outcome, fps: float | None) -> None:
    """Draw the frames of a video and its labels over time; nothing if the video cannot be used."""
    from expand.plots.figures import styled, to_bytes
    from expand.plots.over_time import over_time
    from expand.predicting.files import Unpredicted
    from expand.predicting.video import pictures
    from expand.system.files import replacing

    if isinstance(outcome, Unpredicted):
        return
    frames = pictures(outcome.video, fps=fps)
    figure = styled(lambda: over_time(outcome, frames))
    with replacing(picture, "predict again") as partial:
        partial.write_bytes(to_bytes(figure, picture.suffix.removeprefix("."), picture.stem))
    say(f"{picture}")


def _show_stream(
    predictor: Predictor, source: str, every: float | None, top: int, live: bool, as_json: bool
) -> None:
    """Print each prediction of a stream as a line, until it ends or is interrupted."""
    from expand.predicting.stream import predict_stream

    for one in predict_stream(predictor, source, every=every, count=top, live=live):
        if as_json:
            sys.stdout.write(json.dumps(one.to_json()) + "\n")
            sys.stdout.flush()
            continue
        labels = ", ".join(f"{name} {share:.1%}" for name, share in one.labels)
        out.print(
            f"{one.time:8.2f} s  {labels}  ({1000 * one.latency:.1f} ms)", highlight=False, soft_wrap=True
        )
