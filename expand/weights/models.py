"""Model files: YAML from which a searched or trained network can be built, without the run it comes from.

Two runs of the same configuration write equal model files: they hold no dates, durations or hosts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from expand.config.base import read_yaml, validated
from expand.config.data import DataConfig
from expand.config.full import released_jitter
from expand.config.search import SearchConfig, SpaceConfig
from expand.config.spaces import Space, load_space
from expand.config.yaml_text import dump_yaml
from expand.jobs.job import Measurement
from expand.search.base import Candidate
from expand.search.costs import MACS
from expand.search.latency import LATENCY
from expand.search.setup import Setup
from expand.system.errors import UserError
from expand.system.files import link_or_copy, replacing, write_atomic
from expand.system.folders import MODELS
from expand.system.version import VERSION
from search_spaces.base import ClipSampling, Json
from search_spaces.x3d import X3DSpace, published
from search_spaces.x3d.factors import PUBLISHED

if TYPE_CHECKING:
    from torch import nn

TRAINED = "model.yaml"  # in the folder of a full training
FORMAT = 1  # the version of the model files' format


@dataclass(frozen=True, kw_only=True, slots=True)
class Model:
    """A network's architecture, with its clips and its classes.

    Attributes:
        name: the model file's name without its suffix, or the name of a published network.
        space: the search space that the architecture belongs to.
        architecture: every width, depth and size, as integers.
        sampling: the clips that the network sees.
        classes: the names of the classes, in the order of the network's outputs.
        values: all values of the model file; for a published network, those that are known.
        weights: the safetensors file beside the model file; None: no such file.
    """

    name: str
    space: Space
    architecture: Any
    sampling: ClipSampling
    classes: tuple[str, ...]
    values: Json
    weights: Path | None = None

    @property
    def head(self) -> Literal["clip", "frame"]:
        """Whether the network gives logits for each clip, or for each frame of a clip."""
        return "frame" if self.values.get("head") == "frame" else "clip"

    @property
    def several_labels(self) -> bool:
        """Whether videos have several labels, so that probabilities are sigmoids of the outputs."""
        return self.values.get("labels") == "several"

    @property
    def jitter(self) -> tuple[float, float]:
        """The `data.jitter` of the training that the weights come from; the released one if it is unknown."""
        for key in ("trained", "measured"):
            record = self.values.get(key)
            if isinstance(record, Mapping) and "jitter" in record:
                low, high = record["jitter"]
                return low, high
        return DataConfig().jitter if "measured" in self.values else released_jitter(self.sampling)

    def build(self, **options: Any) -> nn.Module:
        """The network with random weights; `options` are passed to the space's `build`."""
        head = {"head": self.head} if self.head != "clip" else {}  # not every space has the option `head`
        return self.space.build(self.architecture, len(self.classes), **head | options)


def write_model(folder: Path, values: Json, weights: Path | None = None) -> Path:
    """Write the model file of a searched network, with its weights beside it if they exist.

    Args:
        folder: gets NAME.yaml and NAME.safetensors.
        values: of the model file, as from `searched_values`.
        weights: the file with the weights; None, or a missing file: no weights.

    Returns:
        The path of the YAML file.
    """
    path = folder / f"{values['name']}.yaml"
    if weights is not None and weights.exists():
        with replacing(path.with_suffix(".safetensors")) as partial:
            link_or_copy(weights, partial)
    return write_values(path, values)


def searched_values(
    name: str,
    setup: Setup,
    candidate: Candidate,
    measurements: Sequence[Measurement],
    *,
    fresh: Sequence[Measurement] = (),
    step: int | None = None,
    target: int | None = None,
    timed: int | None = None,
) -> Json:
    """The values of the model file of a searched network.

    Args:
        name: the model's name.
        setup: the search.
        candidate: the network.
        measurements: its trainings, one for each seed.
        fresh: its trainings with seeds that had no part in choosing it.
        step: the round in which the network was accepted, or from which it was contracted; None: no such.
        target: the target that it was found for; None: another network.
        timed: the nanoseconds that it takes on the device of the search's profile; None: it was not timed.
    """
    config, data, space = setup.config, setup.data, setup.space
    architecture, sampling = space.architecture(candidate.point), space.sampling(candidate.point)
    network = network_values(name, config.space, architecture, sampling, data.classes)
    head = {key: network.pop(key) for key in ("format", "xpand", "name", "space")}
    found: Json = {"step": step, "axis": candidate.axis, "target": target, "seed": config.search.seed}
    for key in ("strategy", "cost"):  # left out if they have their defaults
        if (value := getattr(config.search, key)) != SearchConfig.model_fields[key].default:
            found[key] = value
    if target is not None and setup.cost.name != MACS.name:
        found["target_words"] = f"{setup.cost.show(target)} {setup.cost.unit}"
    if setup.cost.name == LATENCY and config.search.profile is not None:
        times = {"predicted": candidate.cost, **({} if timed is None else {"timed": timed})}
        found["latency"] = {"device": config.search.profile.words, **times}
    if config.search.start is not None:  # where a model file lies says nothing elsewhere
        found["start"] = config.deciding()["search"]["start"]
    return {
        **head,
        "factors": space.point_to_json(candidate.point),
        **network,
        **({"labels": data.labels} if data.labels != "one" else {}),
        "found": found,
        "measured": {
            **_score(config.search.objective, measurements),
            "seeds": [_lasting(m, config.search.objective) for m in measurements],
            **({"fresh": [_lasting(m, config.search.objective) for m in fresh]} if fresh else {}),
            "recipe": config.training.model_dump(mode="json"),
            **({"jitter": list(config.data.jitter)} if config.data.jitter != DataConfig().jitter else {}),
        },
        "data": {
            "name": data.name,
            "checksum": data.checksum,
            "train": data.train,
            "val": data.val,
            **({"test": data.test} if data.test else {}),
            "classes": list(data.classes),
        },
    }


def write_values(path: Path, values: Json) -> Path:
    """Write a model file in one step. Callers write its weights first, so that it never lacks them."""
    write_atomic(path, dump_yaml(values))
    return path


def network_values(
    name: str, space: SpaceConfig, architecture: Any, sampling: ClipSampling, classes: Sequence[str]
) -> Json:
    """The values that every model file has, of a search or of a full training; `factors` are left out."""
    found = load_space(space.name, space.settings)
    complexity = found.complexity(architecture, len(classes))
    return {
        "format": FORMAT,
        "xpand": VERSION,
        "name": name,
        "space": space.model_dump(mode="json"),
        "architecture": found.architecture_to_json(architecture),
        "sampling": asdict(sampling),
        "complexity": {
            "macs": complexity.macs,
            "params": complexity.params,
            "activations": complexity.activations,
        },
        "data": {"classes": list(classes)},
    }


def find_model(reference: str | Path, name: str | None = None) -> Model:
    """The model that a command names: a model file, a model of a run, or a published network.

    Args:
        reference: a model file, the folder of a run or a full training, or a name such as x3d-s.
        name: the model's name in a run, such as target-80M; None: the run's only model.

    Raises:
        UserError: no model is found, the model file is wrong, or a run has several models and `name` is None.
    """
    path = Path(reference)
    if path.is_dir():
        return read_model(_file_in_run(path, name))
    if name is not None and not path.exists():
        raise UserError(
            f"{reference} must be a run's folder, of which --model {name} is taken, but it does not exist: "
            "name one that is there."
        )
    if name is not None:
        raise UserError(f"--model goes with a run's folder only, got {reference}: leave --model {name} out.")
    if path.suffix in (".yaml", ".yml"):
        return read_model(path)
    if str(reference).lower() in PUBLISHED:
        return published_model(str(reference))
    raise UserError(
        f"the model must be one of {', '.join(PUBLISHED)}, a run's folder or a model's YAML, "
        f"got {str(reference)!r}."
    )


def published_model(name: str) -> Model:
    """A published network with the 400 classes of Kinetics, whose names are numbers here.

    Raises:
        UserError: there is no published network of this name.
    """
    space, found = X3DSpace(), published(name)
    architecture, sampling = space.architecture(found.factors), space.sampling(found.factors)
    classes = tuple(str(number) for number in range(400))
    values = network_values(found.name, SpaceConfig(), architecture, sampling, classes)
    return Model(
        name=found.name,
        space=space,
        architecture=architecture,
        sampling=sampling,
        classes=classes,
        values=values | {"factors": space.point_to_json(found.factors)},
    )


def _file_in_run(folder: Path, name: str | None) -> Path:
    """The model file of a full training, or that of the model `name` in a search's run folder."""
    trained = folder / TRAINED
    if name is None and trained.is_file():
        return trained
    models = {path.stem: path for path in sorted((folder / MODELS).glob("*.yaml"))}
    if not models:
        raise UserError(
            f"{folder} must be a run with models, but it has none: let its search accept a network first."
        )
    if name is None and len(models) == 1:
        return next(iter(models.values()))
    if name not in models:
        given = f"got {name!r}" if name is not None else "got nothing"
        raise UserError(f"--model must be one of {', '.join(models)} in {folder}, {given}.")
    return models[name]


def read_model(path: Path) -> Model:
    """The model of a model file.

    Raises:
        UserError: the file cannot be read, is not a model file, has another format, or is incomplete.
    """
    values = read_yaml(path)
    if not isinstance(values, dict) or "architecture" not in values or "space" not in values:
        raise UserError(f"{path} must be a model file with a space and an architecture, but it is not.")
    if values.get("format") != FORMAT:
        raise UserError(
            f"{path} must have format {FORMAT}, got {values.get('format')!r}: read it with the xpand that "
            f"wrote it ({values.get('xpand', 'unknown')})."
        )
    beside = path.with_suffix(".safetensors")
    return model_of(values, str(path), weights=beside if beside.exists() else None)


def model_of(values: Json, origin: str, *, weights: Path | None = None) -> Model:
    """The model of a model file's values.

    Args:
        values: of the file.
        origin: where they come from, such as the file's path; messages start with it.
        weights: the file with its weights; None: there is none.

    Raises:
        UserError: a value is missing or wrong.
    """
    chosen = validated(values["space"], f"{origin}: space", SpaceConfig)
    space = load_space(chosen.name, chosen.settings)
    try:
        return Model(
            name=str(values["name"]),
            space=space,
            architecture=space.architecture_from_json(values["architecture"]),
            sampling=ClipSampling(**values["sampling"]),
            classes=tuple(values["data"]["classes"]),
            values=values,
            weights=weights,
        )
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(
            f"{origin} must be a complete model file, but a value is missing or wrong: "
            f"{type(error).__name__}: {error}."
        ) from None


def load_model(
    reference: str | Path, name: str | None = None, *, weights: bool | None = None, **options: Any
) -> nn.Module:
    """A network in evaluation mode: (B, 3, T, S, S) clips to (B, classes) logits.

    Args:
        reference: a model file, the folder of a run or a full training, or a name such as x3d-s.
        name: the model's name in a run, such as target-80M; None: the run's only model.
        weights: whether to load the safetensors file beside the model file; None: if there is one.
        options: for the space's `build`, such as `dropout` or `head`.

    Raises:
        UserError: the model is missing or wrong, or its weights are missing or damaged.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    model = find_model(reference, name)
    network = model.build(**options)
    if weights and model.weights is None:
        raise UserError(
            f"{model.name} must have its weights beside its model file, but it has none: load it without "
            "weights, or set run.keep_weights and search again."
        )
    if weights is not False and model.weights is not None:
        try:
            network.load_state_dict(load_file(model.weights))
        except SafetensorError:
            raise UserError(
                f"{model.weights} must be a whole file of weights, but it is cut off or of an unknown "
                "format: get it again."
            ) from None
    return network.eval()


def _score(objective: str, measurements: Sequence[Measurement]) -> Json:
    """The mean score over the seeds; under the key `top1` if the objective is top-1. Empty without seeds."""
    if not measurements:
        return {}
    mean = sum(m.score for m in measurements) / len(measurements)
    return {"top1": mean} if objective == "top1" else {"objective": objective, "score": mean}


def _lasting(measurement: Measurement, objective: str) -> Json:
    """The numbers that are equal in every run of a job; scores are left out if they repeat top-1."""
    repeated = {"score", "test_score"} if objective == "top1" else set()
    left_out = {*Measurement.VARYING, "video_scores", "epoch_losses"} | repeated
    values = asdict(measurement)
    return {name: value for name, value in values.items() if name not in left_out and value is not None}
