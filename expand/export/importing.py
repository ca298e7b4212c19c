"""`xpand import`: weights of any known layout as a model of ours."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from expand.config.search import SpaceConfig
from expand.data.readers.text import class_names
from expand.export.placing import check_absent, together
from expand.system.errors import UserError
from expand.weights.models import Model, find_model, network_values, write_values
from expand.weights.reading import check_weights, classes_in, open_weights
from expand.weights.writing import save_weights

_SUFFIX = ".yaml"


@dataclass(frozen=True, kw_only=True, slots=True)
class Imported:
    """What an import left.

    Attributes:
        model: the model file.
        weights: the file beside it.
        layout: whose names they had.
        classes: how many.
        remarks: a line on each kind of thing that was left out or filled in.
    """

    model: Path
    weights: Path
    layout: str
    classes: int
    remarks: tuple[str, ...] = ()


def import_weights(
    file: Path, reference: str, name: str | None, out: Path, *, classes: Path | None = None
) -> Imported:
    """Write a model file and its weights; after a failure there are none.

    Args:
        file: the weights; see `read_weights`.
        reference: the network that they are of: a published one, a model's YAML or a run's folder.
        name: which model of a run.
        out: the model file; the weights are put beside it.
        classes: names of the classes, one a line; None: the network's, or numbers where it has others.

    Raises:
        UserError: the weights are not of that network, or something is in the way.
    """
    network = find_model(reference, name)
    if out.suffix != _SUFFIX:
        raise UserError(f"--out must end in {_SUFFIX}, got {out}.")
    beside = out.with_suffix(".safetensors")
    check_absent(out, beside)
    opened = open_weights(file, network)
    named = _classes(classes_in(opened.state, network), network, classes)
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
    """The label set: as many classes as the weights tell apart."""
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
