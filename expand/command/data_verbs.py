"""The verbs of `xpand` about videos: frames, pictures of what networks see; and cache, what is decoded.

As in cli.py, heavy modules are only imported when they are needed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from expand.command.arguments import AllowOutside, AsJson, ConfigFile, Settings, TargetOption
from expand.config.command_settings import chosen_settings
from expand.system.console import err, out, print_json, say
from expand.system.errors import UserError
from expand.system.signals import interruptible

if TYPE_CHECKING:
    from expand.data.progress import OnProgress
    from expand.preview.frames import Clips, WrittenPictures


def frames(
    what: Annotated[
        str | None,
        typer.Argument(
            help="A video, a folder of pictures, a folder of labelled videos, or `synthetic`.",
            metavar="VIDEO|DATA",
        ),
    ] = None,
    *,
    folder: Annotated[
        Path, typer.Option("--out", help="Folder for the pictures; it must be empty or not there yet.")
    ],
    clip: Annotated[
        str | None,
        typer.Option(
            "--clip",
            help="The clips of a network, as FRAMESxSTRIDE at 30 fps, such as 13x6; of a data set, by "
            "default the longest that a search may reach.",
        ),
    ] = None,
    size: Annotated[
        int | None, typer.Option("--size", help="Side of the crop of these clips, in pixels.")
    ] = None,
    model: Annotated[
        str | None,
        typer.Option("--model", help="The clips of this network: a model's YAML, or x3d-s and the like."),
    ] = None,
    clips: Annotated[
        int | None,
        typer.Option(
            "--clips",
            min=1,
            help="Clips of a video (by default 1), or of each class of a data set (by default 2).",
        ),
    ] = None,
    begin: Annotated[
        float | None, typer.Option("--from", min=0, help="Of a video: leave out frames before, in seconds.")
    ] = None,
    end: Annotated[
        float | None, typer.Option("--to", min=0, help="Of a video: leave out frames from then on.")
    ] = None,
    fps: Annotated[
        float | None, typer.Option("--fps", min=0.001, help="Frame rate of a folder of pictures.")
    ] = None,
    seed: Annotated[
        int | None,
        typer.Option(
            "--seed",
            min=0,
            help="Of a data set: seed of the training that is shown; by default the first one.",
        ),
    ] = None,
    target: TargetOption = None,
    config: ConfigFile = None,
    no_flip: Annotated[
        bool, typer.Option("--no-flip", help="Never flip clips: for classes that tell left from right.")
    ] = False,
    allow_outside: AllowOutside = False,
    settings: Settings = None,
    as_json: AsJson = False,
) -> None:
    """Write what xpand decodes of a video, what a network sees of it, or pages of a data set's clips."""
    from expand.preview.frames import check_empty, choose_clips, is_video, write_clips, write_frames
    from expand.report.live_search import SearchView

    path = None if what is None else Path(what)
    listed = path is None or what == "synthetic"
    if path is not None and not listed and not path.exists():
        raise UserError(
            f"{what} must be a video, a folder of pictures or a folder of labelled videos, but nothing is "
            "there: look at the path."
        )
    video = path if path is not None and not listed and is_video(path) else None
    chosen = choose_clips(clip, size, model)
    of_data = {
        "--seed": seed is not None,
        "--target": bool(target),
        "--config": config is not None,
        "--no-flip": no_flip,
        "--allow-outside": allow_outside,
        "--set": bool(settings),
    }
    of_frames = {"--from": begin is not None, "--to": end is not None}
    if video is not None:
        _refuse(of_data, f"for one video, got {video}: what it says is of data sets")
        if chosen is not None:
            _refuse(of_frames, "where clips are written: it is for all frames of a video")
        elif clips is not None:
            raise UserError(
                "--clips must come with --clip and --size, or with --model, which say what a clip is: add "
                "them, or leave --clips out."
            )
    else:
        _refuse(of_frames | {"--fps": fps is not None}, "for a data set: what it says is of one video")
        _refuse({"--target": bool(target) and model is not None}, "with --model: it is of searches")
    check_empty(folder)
    options = {
        "data.allow_outside": allow_outside or None,
        "data.flip": False if no_flip else None,
    }
    with interruptible(), SearchView(err) as view:
        if video is not None and chosen is None:
            done = write_frames(video, folder, begin=begin, end=end, fps=fps, on_progress=view.caching)
        elif video is not None and chosen is not None:
            done = write_clips(video, folder, chosen, count=clips or 1, fps=fps, on_progress=view.caching)
        else:
            done = _sheets(
                path,
                folder,
                chosen,
                trained=model is not None,
                clips=clips or 2,
                seed=seed,
                targets=target or [],
                config=config,
                settings=chosen_settings(settings, options),
                on_progress=view.caching,
            )
    if as_json:
        print_json(done.to_json())
        return
    out.print(done.folder, highlight=False, soft_wrap=True)
    out.print(done.listed, highlight=False, soft_wrap=True)


def _sheets(
    path: Path | None,
    folder: Path,
    chosen: Clips | None,
    *,
    trained: bool,
    clips: int,
    seed: int | None,
    targets: list[str],
    config: Path | None,
    settings: Mapping[str, Any],
    on_progress: OnProgress,
) -> WrittenPictures:
    """Write contact sheets of a data set's clips, as a full training or a search sees them."""
    from expand.config.options import build_config, build_recipe
    from expand.preview.contact_sheet import write_sheets
    from expand.preview.feed import feed_of_search, feed_of_training

    if trained and chosen is not None:
        recipe = build_recipe(config, chosen.sampling, data=path, settings=settings)
        feed = feed_of_training(recipe, chosen.sampling, seed, on_progress)
    else:
        search = build_config(config, data=path, targets=targets, settings=settings)
        feed = feed_of_search(search, None if chosen is None else chosen.sampling, seed, on_progress)
    return write_sheets(feed, folder, clips=clips, on_progress=on_progress)


def _refuse(given: dict[str, bool], where: str) -> None:
    """Check that none of these options is given.

    Raises:
        UserError: an option is given; `where` says in which case it must be left out.
    """
    for name, is_given in given.items():
        if is_given:
            raise UserError(f"{name} must be left out {where}.")


def cache(
    clear: Annotated[
        list[str] | None,
        typer.Option("--clear", help="Delete the caches of this data, or in this folder; may be repeated."),
    ] = None,
    everything: Annotated[bool, typer.Option("--clear-all", help="Delete all of them.")] = False,
    folder: Annotated[
        Path | None,
        typer.Option("--folder", help="Where they lie (data.cache.folder), if not in xpand's own."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """List the caches of decoded videos, of which data they are and how large, and clear them."""
    from dataclasses import asdict

    from expand.data.cache import default_folder
    from expand.data.kept_caches import delete_cache, kept_caches, named_caches
    from expand.report.sheets import plain_sheet
    from expand.report.terminal import to_table
    from expand.system.units import show_bytes

    root = folder or default_folder()
    caches = kept_caches(root)
    cleared = caches if everything else named_caches(caches, clear or [])
    for one in cleared:
        delete_cache(one)
    left = [one for one in caches if one not in cleared]
    if as_json:
        print_json([asdict(one) | {"folder": str(one.folder)} for one in left])
        return
    if cleared:
        say(
            f"cleared {len(cleared)} of {len(caches)} caches, {show_bytes(sum(one.bytes for one in cleared))}"
        )
    if left:
        rows = [
            (one.data or "", f"{one.videos:,}", one.frames, show_bytes(one.bytes), one.made, one.folder.name)
            for one in left
        ]
        headings = ("data", "videos", "frames", "size", "made", "folder")
        words = ("data", "frames", "made", "folder")
        out.print(to_table(plain_sheet(headings, rows, left=words, spare=("made", "videos"))))
    total = show_bytes(sum(one.bytes for one in left))
    say(f"{len(left)} cache{'s' if len(left) != 1 else ''} in {root}, {total}")


DATA_VERBS: dict[str, Callable[..., None]] = {"frames": frames, "cache": cache}
