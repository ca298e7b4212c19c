"""`xpand import`: converts weights of any known layout to a model file and weights of xpand."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from expand.config.search import SpaceConfig
from expand.data.readers.text import class_names
from expand.export.all_or_none import check_absent, together
from expand.system.errors import UserError
from expand.weights.models import Model, find_model, network_values, write_values
from expand.weights.reading import check_weights, classes_in, open_weights
from expand.weights.writing import save_weights

_SUFFIX = ".yaml"


@dataclass(frozen=True, kw_only=True, slots=True)
class Imported:
    """The result of an import.

    Attributes:
        model: the model file.
        weights: the weights' file, beside it.
        layout: the project whose names the weights had.
        classes: number of classes.
        remarks: a line for each kind of weights that was left out or filled in.
    """

    model: Path
    weights: Path
    layout: str
    classes: int
    remarks: tuple[str, ...] = ()


def import_weights(
    file: Path, reference: str, name: str | None, out: Path, *, classes: Path | None = None
) -> Imported:
    """Write a model file and its weights; a failure leaves no files.

    Args:
        file: the weights to import; `read_weights` lists the kinds of files.
        reference: the weights' network: a published one's name, a model's YAML file or a run's folder.
        name: name of the model, in a run's folder.
        out: the model file to write; the weights are written beside it.
        classes: a file with the names of the classes, one a line; None for the network's classes, or for
            numbers where the weights have another number of classes.

    Raises:
        UserError: the weights do not fit the network, or one of the files exists already.
    """
    network = find_model(reference, name)
    if out.suffix != _SUFFIX:
        raise UserError(f"--out must end in {_SUFFIX}, got {out}.")
    beside = out.with_suffix(".safetensors")
    check_absent(out, beside)
    opened = open_weights(file, network)
    named = _classes(classes_in(opened, network), network, classes)
    state = check_weights(opened.state, replace(network, classes=named), file, opened.layout)
    model = replace(network, name=out.stem, classes=named)
    written = opened.layout or "xpand"
    values = _values(network, model) | {
        "imported": {"file": file.name, "sha256": _digest(file), "layout": written}
    }
    with together(out) as folder:
        save_weights(folder / beside.name, state, replace(model, values=values))
        write_values(folder / out.name, values)
    return Imported(
        model=out,
        weights=beside,
        layout=written,
        classes=len(model.classes),
        remarks=opened.remarks,
    )


def _values(network: Model, model: Model) -> dict[str, object]:
    space = SpaceConfig.model_validate(network.values["space"])
    values = network_values(model.name, space, model.architecture, model.sampling, model.classes)
    kept = {key: network.values[key] for key in ("factors", "head", "labels") if key in network.values}
    return values | kept


def _classes(count: int, network: Model, file: Path | None) -> tuple[str, ...]:
    """Return the names of the classes, `count` of them.

    Raises:
        UserError: the file of names has another number of classes.
    """
    if file is None:
        return network.classes if count == len(network.classes) else _numbers(count)
    names: Sequence[str] = class_names(file)
    if len(names) != count:
        raise UserError(
            f"--classes must name the {count} classes of the weights, one a line, "
            f"but {file} has {len(names)}."
        )
    return tuple(names)


def _numbers(count: int) -> tuple[str, ...]:
    return tuple(str(number) for number in range(count))


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
