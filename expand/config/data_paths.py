"""The paths in a run's configuration: made absolute, or changed if the videos have moved."""

from __future__ import annotations

from pathlib import Path
from typing import Any, TypeVar

from expand.config.base import load_config
from expand.config.data import DataConfig
from expand.config.full import Recipe
from expand.config.search import Config
from expand.config.spaces import folder_of_modules
from expand.system.errors import UserError
from expand.system.folders import CONFIG, STUDY

Placed = TypeVar("Placed", Config, Recipe)
_LISTS = ("train", "val", "test")  # settings of the data that name a list of videos


def placed(config: Placed) -> Placed:
    """The configuration with absolute paths, so that its run can be resumed from any current folder."""
    data = config.data
    cache = data.cache.model_copy(update={"folder": _absolute(data.cache.folder)})
    places = {
        "path": _absolute(data.path),
        **{name: _list(getattr(data, name), data.path) for name in _LISTS},
        "cache": cache,
    }
    changed: dict[str, Any] = {"data": data.model_copy(update=places)}
    if isinstance(config, Config):
        reuse = tuple(folder.absolute() for folder in config.run.reuse)
        modules = _absolute(config.run.modules) or folder_of_modules(config.own_names)
        changed["run"] = config.run.model_copy(update={"reuse": reuse, "modules": modules})
    return config.model_copy(update=changed)


def moved(config: Placed, folder: Path) -> Placed:
    """The configuration with its videos, and the lists inside their folder, in another folder.

    Raises:
        UserError: `folder` does not exist, or the configuration's clips are synthetic.
    """
    data = config.data
    if data.format == "synthetic":
        raise UserError(
            "--data must be left out for synthetic clips, which are in no folder: resume without it."
        )
    if not folder.is_dir():
        raise UserError(
            f"--data must be the folder that the videos are in now, got {folder}: no such folder."
        )
    before = _root(data)
    places = {name: within(getattr(data, name), before, folder) for name in _LISTS}
    path = None if data.path is None else folder
    return config.model_copy(update={"data": data.model_copy(update={"path": path, **places})})


def check_there(config: Config | Recipe) -> None:
    """Raises UserError if the folder of the videos of a run, which is to be resumed, does not exist."""
    path = config.data.path
    if path is not None and not path.is_dir():
        raise UserError(
            f"the videos must be in {path}, where they were at the start, but there is no such folder: put "
            "them back, or give their new folder by --data FOLDER."
        )


def data_of_run(folder: Path) -> DataConfig | None:
    """The data section of a search's run folder; None: `folder` is not the folder of a search.

    Raises:
        UserError: the run's configuration cannot be read.
    """
    if not (folder / STUDY).is_file():
        return None
    return load_config(folder / CONFIG, Config).data


def within(path: Path | None, before: Path | None, now: Path) -> Path | None:
    """The path, moved from the folder `before` to `now`; unchanged if it is not inside `before`."""
    if path is None or before is None or not path.is_relative_to(before):
        return path
    return now / path.relative_to(before)


def _root(data: DataConfig) -> Path | None:
    """The folder of the videos, or of the training list if no folder is given."""
    return data.path if data.path is not None or data.train is None else data.train.parent


def _list(path: Path | None, folder: Path | None) -> Path | None:
    """The absolute path of a list: of the path as given or, if no file is there, of that below `folder`.

    The reader of lists (data/readers/lists.py) looks in the same order.
    """
    if path is None or path.is_file() or folder is None or not (folder / path).is_file():
        return _absolute(path)
    return (folder / path).absolute()


def _absolute(path: Path | None) -> Path | None:
    return None if path is None else path.absolute()
