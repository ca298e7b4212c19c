"""Model files: a network that a search found, as YAML that needs nothing else to build it again.

Nothing in them varies between two runs of the same configuration: no dates, seconds or hosts.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from expand.config import read_yaml
from expand.errors import UserError
from expand.jobs import Measurement, replacing, write_atomic
from expand.search import Candidate, Space
from expand.setup import Setup
from expand.spaces import load_space
from expand.version import VERSION
from search_spaces.base import ClipSampling, Json

if TYPE_CHECKING:
    from torch import nn

FORMAT = 1  # of the model files


@dataclass(frozen=True, kw_only=True, slots=True)
class Model:
    """A model file that was read: the space with its settings, the network's integers, and the rest."""

    name: str
    space: Space
    architecture: Any
    sampling: ClipSampling
    classes: tuple[str, ...]
    values: Json


def write_model(
    folder: Path,
    name: str,
    setup: Setup,
    candidate: Candidate,
    measurements: Sequence[Measurement],
    *,
    step: int,
    target: int | None = None,
    weights: Path | None = None,
) -> Path:
    """Write NAME.yaml, and NAME.safetensors beside it where there are weights."""
    config, data, space = setup.config, setup.data, setup.space
    architecture = space.architecture(candidate.point)
    complexity = space.complexity(architecture, len(data.classes))
    values = {
        "format": FORMAT,
        "xpand": VERSION,
        "name": name,
        "space": config.space.model_dump(mode="json"),
        "factors": space.point_to_json(candidate.point),
        "architecture": space.architecture_to_json(architecture),
        "sampling": asdict(space.sampling(candidate.point)),
        "complexity": {
            "macs": complexity.macs,
            "params": complexity.params,
            "activations": complexity.activations,
        },
        "found": {"step": step, "axis": candidate.axis, "target": target, "seed": config.search.seed},
        "measured": {
            "top1": sum(m.top1 for m in measurements) / len(measurements),
            "seeds": [_lasting(m) for m in measurements],
            "recipe": config.training.model_dump(mode="json"),
        },
        "data": {
            "name": data.name,
            "checksum": data.checksum,
            "train": data.train,
            "val": data.val,
            "classes": list(data.classes),
        },
    }
    path = folder / f"{name}.yaml"
    if weights is not None and weights.exists():
        with replacing(path.with_suffix(".safetensors")) as partial:
            shutil.copyfile(weights, partial)
    write_atomic(path, yaml.safe_dump(values, sort_keys=False, allow_unicode=True))  # last: all is there
    return path


def read_model(path: Path) -> Model:
    """A model file.

    Raises:
        UserError: it is missing, or no model file, or of a later format.
    """
    values = read_yaml(path)
    if not isinstance(values, dict) or "architecture" not in values or "space" not in values:
        raise UserError(f"{path} must be a model file with a space and an architecture, but it is not.")
    if values.get("format") != FORMAT:
        raise UserError(
            f"{path} must have format {FORMAT}, got {values.get('format')!r}: read it with the xpand that "
            f"wrote it ({values.get('xpand', 'unknown')})."
        )
    space = load_space(values["space"]["name"], values["space"]["settings"])
    try:
        return Model(
            name=values["name"],
            space=space,
            architecture=space.architecture_from_json(values["architecture"]),
            sampling=ClipSampling(**values["sampling"]),
            classes=tuple(values["data"]["classes"]),
            values=values,
        )
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(f"{path} must be a whole model file, but: {type(error).__name__}: {error}.") from None


def load_model(path: str | Path, *, weights: bool | None = None, **options: Any) -> nn.Module:
    """The network of a model file, in evaluation mode: (B, 3, T, S, S) clips to (B, classes) logits.

    Args:
        path: a file of a run's models/ folder.
        weights: load the safetensors file beside it; None: where there is one.
        options: for the space's `build`, such as `dropout` or `head`.

    Raises:
        UserError: no model file, or weights asked for that are not there.
    """
    from safetensors.torch import load_file

    path = Path(path)
    model = read_model(path)
    network = model.space.build(model.architecture, len(model.classes), **options)
    beside = path.with_suffix(".safetensors")
    if weights and not beside.exists():
        raise UserError(f"weights must be at {beside}, but there are none: was the run told to keep weights?")
    if weights is not False and beside.exists():
        network.load_state_dict(load_file(beside))
    return network.eval()


def _lasting(measurement: Measurement) -> Json:
    """What a second run of the same job gives again."""
    return {key: value for key, value in asdict(measurement).items() if key not in Measurement.VARYING}
