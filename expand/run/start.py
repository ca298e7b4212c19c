"""What a search starts from, where that is not its space's own start: found, checked, and its weights copied.

The weights are put where a training of the start would have left them, so that the start grows from them as
a candidate from its parent.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from expand.config.search import Config, SpaceConfig
from expand.config.spaces import load_space
from expand.config.start import StartConfig
from expand.jobs.folder import WEIGHTS, write_job
from expand.jobs.job import Job, Place
from expand.run.study import Run
from expand.search.setup import Setup, grows, point_of
from expand.system.errors import UserError
from expand.system.folders import CONFIG
from expand.weights.models import TRAINED, Model, find_model
from expand.weights.reading import classifier_of, read_weights
from expand.weights.writing import save_weights


def with_start(config: Config) -> Config:
    """The configuration with the factors of what the search starts from, and the checksum of its weights.

    Where the configuration names no space, the network's own is taken.

    Raises:
        UserError: there is no such network, it is not one of the configuration's space, or its weights do not
            fit it.
    """
    start = config.search.start
    if start is None or start.network is None or start.factors is not None:
        return config
    model = _model(start.network)
    config = _in_space(config, model)
    space = load_space(config.space.name, config.space.settings)
    known = StartConfig(network=_lasting(start.network), factors=_factors(model))
    if space.architecture(point_of(space, known)) != model.architecture:
        raise UserError(
            f"search.start must be a network whose factors give its architecture, but those of "
            f"{start.network} give another: start from factors (search.start.depth=2.2)."
        )
    if model.weights is not None and grows(config, space):
        read_weights(model.weights, model, classifier="may differ")  # raises UserError if they do not fit
        known = known.model_copy(update={"checksum": _checksum(model, model.weights)})
    return config.model_copy(update={"search": config.search.model_copy(update={"start": known})})


def put_in_place(run: Run, setup: Setup, given: Job, place: Place) -> None:
    """Copy the weights that a search starts from to where a training would leave them, if none are there.

    The classifier is kept if the classes are the same; else it is replaced by an untrained one.

    Args:
        run: the run folder.
        setup: the search.
        given: `setup.given`.
        place: for the job's file.

    Raises:
        UserError: the weights are gone, or are not those that the search was started with.
    """
    folder, start = run.job_folder(given), setup.config.search.start
    if (folder / WEIGHTS).exists():
        return
    assert start is not None, "what is given comes from the start"
    assert start.network is not None, "weights are those of a network"
    path = Path(start.network)
    weights = path.with_suffix(".safetensors")
    if missing := [each for each in (path, weights) if not each.is_file()]:
        raise UserError(
            f"the search starts from {path} and the weights beside it, but {missing[0]} is not there: put it "
            f"back, or write its new place into {run.folder / CONFIG} (search.start.network)."
        )
    model = find_model(path)
    if _checksum(model, weights) != start.checksum:
        raise UserError(
            f"{weights} must be the weights that the run was started with, and {path} their classes, but one "
            "of them has changed: put it back, or start another run."
        )
    write_job(folder, given, place)
    save_weights(folder / WEIGHTS, _for_classes(model, weights, setup.data.classes, given.seed))


def _model(reference: str) -> Model:
    """The model that `search.start` names."""
    folder = Path(reference)
    if folder.is_dir() and not (folder / TRAINED).is_file():
        raise UserError(
            f"search.start must be a single network, got the folder {reference}: name a model file in it, "
            f"such as {folder / 'models' / 'target-80M.yaml'}."
        )
    try:
        return find_model(reference)
    except UserError as error:
        raise UserError(f"search.start: {error}") from None


def _factors(model: Model) -> dict[str, Any]:
    """The factors that a model file has."""
    factors = model.values.get("factors")
    if not isinstance(factors, dict) or not factors:
        raise UserError(
            f"search.start must be a network with factors, but {model.name} has none: start from factors "
            "(search.start.depth=2.2)."
        )
    return factors


def _lasting(reference: str) -> str:
    """The absolute path of the model file that is named, or the name of a published network."""
    path = Path(reference)
    if path.is_dir():
        path = path / TRAINED
    return str(path.absolute()) if path.is_file() else reference.lower()


def _in_space(config: Config, model: Model) -> Config:
    """The configuration, with the model's space where it names none.

    Raises:
        UserError: it names another.
    """
    own = SpaceConfig.model_validate(model.values["space"])
    if "space" not in config.model_fields_set:
        return config.model_copy(update={"space": own})
    if own != config.space and load_space(config.space.name, config.space.settings) != model.space:
        raise UserError(
            f"search.start must be a network of the search's space, {_shown(config.space)}, but {model.name} "
            f"is one of {_shown(own)}: set space to the latter, or start from factors "
            "(search.start.depth=2.2)."
        )
    return config


def _shown(space: SpaceConfig) -> str:
    settings = ", ".join(f"{name} {value}" for name, value in space.settings.items())
    return f"{space.name} with {settings}" if settings else f"{space.name}'s own basis"


def _checksum(model: Model, weights: Path) -> str:
    """SHA-256 of weights, and of the classes that their classifier is for."""
    total = hashlib.sha256(json.dumps(model.classes).encode())
    total.update(weights.read_bytes())
    return total.hexdigest()


def _for_classes(model: Model, path: Path, classes: Sequence[str], seed: int) -> dict[str, Tensor]:
    """The weights of a model with a classifier for `classes`; `seed` seeds it if it is replaced."""
    state = read_weights(path, model, classifier="may differ")
    ours = replace(model, classes=tuple(classes))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        fresh = ours.build().state_dict()
    replaced = classifier_of(ours, fresh)
    if model.classes == ours.classes and replaced.keys() <= state.keys():
        return state
    return {name: fresh[name] if name in replaced else state[name] for name in fresh}
