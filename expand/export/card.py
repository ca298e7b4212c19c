"""Writes the model card of an export: the network, its origin, its data, and what its figures mean."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from expand.export.base import FormatFiles, NetworkToExport
from expand.export.clips import CROPS, UNIFORM_CLIPS, Views
from expand.export.snippet import head_of_card, snippet
from expand.export.text import escaped, one_line
from expand.full.scores import SCORES
from expand.predicting.preprocessing import Preprocessing
from expand.system.units import show_count, show_milliseconds
from expand.system.version import VERSION
from expand.weights.models import Model
from search_spaces.base import ClipSampling
from search_spaces.x3d import X3DSpace
from search_spaces.x3d.accuracies import KINETICS_400
from search_spaces.x3d.architecture import Architecture
from search_spaces.x3d.factors import PUBLISHED

# The project that reads a format's files, with its licence.
PROJECTS: Mapping[str, str] = {
    "slowfast": "SlowFast (facebookresearch/SlowFast, Apache-2.0)",
    "pytorchvideo": "PyTorchVideo (facebookresearch/pytorchvideo, Apache-2.0)",
    "mmaction2": "MMAction2 (open-mmlab/mmaction2, Apache-2.0)",
    "x3d-multigrid": "X3D-Multigrid (kkahatapitiya/X3D-Multigrid, MIT)",
}

_FRESH = (
    "The seeds are fresh: the search chose this network by others, whose scores are more likely too high. "
)
# Titles of the scores of a training, by their keys in model files.
_VALIDATED = {"top1": "top-1", "top5": "top-5", "mean_class_accuracy": "mean class accuracy"}
_TESTED = {"test_top1": "top-1", "test_mean_class_accuracy": "mean class accuracy"}
_LISTS = ("Preprocessing", "Remarks")  # sections that are lists
_NAMED_CLASSES = 100  # the most classes that are listed by name


def card(source: NetworkToExport, written: FormatFiles, *, name: str, form: str, weights: str) -> str:
    """Write the model card of an export, in Markdown; programs read the preprocessing from its head.

    Args:
        source: the exported network.
        written: the files that the format wrote, with its remarks.
        name: of the card's file.
        form: the format's name.
        weights: a sentence on where the weights are from, or that there are none.
    """
    model = source.model
    sections = [
        ("", _opening(model, written, form, weights)),
        ("Network", _network(model)),
        ("Preprocessing", [f"- {line}" for line in Preprocessing.of(model).words()]),
        ("How it came about", _origin(model)),
        ("Data", _data(model)),
        ("Accuracy", _accuracy(model)),
        ("From a video to probabilities", [f"```python\n{snippet(model, written, name)}\n```"]),
        ("Remarks", [f"- {escaped(remark)}" for remark in written.remarks]),
        ("Licence and sources", _licence(model, form)),
    ]
    parts = [f"{head_of_card(model, form)}\n# {escaped(model.name)}, for {escaped(form)}"]
    for title, content in sections:
        paragraphs = [paragraph for paragraph in content if paragraph]
        if not paragraphs:
            continue
        if title:
            parts.append(f"## {title}")
        parts.append("\n".join(paragraphs) if title in _LISTS else "\n\n".join(paragraphs))
    return "\n\n".join(parts) + "\n"


def _opening(model: Model, written: FormatFiles, form: str, weights: str) -> Iterator[str]:
    several = "several labels a clip" if model.several_labels else "one label a clip"
    each = "logits for each frame" if model.head == "frame" else "logits for a clip"
    classes = f"{len(model.classes)} {_plural('class', len(model.classes))}"
    yield (
        f"A video network with {classes} ({several}, {each}), "
        f"exported by xpand {VERSION} for {escaped(form)}. {escaped(weights)}"
    )
    yield "Files: " + ", ".join(_code(path.name) for path in written.files) + "."


def _network(model: Model) -> Iterator[str]:
    frames, size = model.sampling.frames, model.sampling.size
    yield f"Clips of {_clips(model.sampling)}, as float (batch, 3, {frames}, {size}, {size})."
    if isinstance(model.architecture, Architecture):
        yield _widths(model.architecture)
    yield _costs(model)
    yield (
        "Multiply-adds are those of convolutions and linear layers; BatchNorm, activations, pooling, "
        "additions and the products of squeeze-excite are left out. The X3D paper and SlowFast's model zoo "
        "call them FLOPs. Parameters are all learned ones; activations are the elements of the convolutions' "
        "and linear layers' outputs, for one view."
    )


def _clips(sampling: ClipSampling) -> str:
    if sampling.frames == 1:
        return f"1 frame, {sampling.size}×{sampling.size} pixels"
    each = "every frame" if sampling.stride == 1 else f"every {_ordinal(sampling.stride)} frame"
    return (
        f"{sampling.frames} frames, {each} of a video with {sampling.fps:g} frames a second "
        f"({sampling.span_seconds:.2f} s from the first to the last), {sampling.size}×{sampling.size} pixels"
    )


def _widths(network: Architecture) -> str:
    rows = [("stem", network.stem_width, "", "", "")]
    for number, stage in enumerate(network.stages, start=2):
        rows.append((f"res{number}", stage.width, stage.inner_width, stage.squeeze_width, stage.depth))  # type: ignore[arg-type]
    rows += [("conv5", network.conv5_width, "", "", ""), ("hidden", network.head_width, "", "", "")]
    return _table(("part", "channels", "inside a block", "squeeze-excite", "blocks"), rows)


def _costs(model: Model) -> str:
    classes = len(model.classes)
    cost = model.space.complexity(model.architecture, classes)
    sampling = model.sampling
    rows: list[tuple[object, ...]] = []
    for count in (1, UNIFORM_CLIPS, UNIFORM_CLIPS * CROPS):
        size, macs = sampling.size, cost.macs
        if count == UNIFORM_CLIPS * CROPS:
            size = Views.of(sampling).test_size
            macs = model.space.complexity(model.space.resized(model.architecture, size), classes).macs
        rows.append((count, f"{size}²", show_count(count * macs)))
    total = f"{cost.macs:,} multiply-adds, {cost.params:,} parameters, {cost.activations:,} activations."
    return f"{total}\n\n{_table(('views', 'pixels', 'multiply-adds'), rows)}"


def _origin(model: Model) -> Iterator[str]:
    """How the network was found, imported or trained, as far as its file tells."""
    values, found = model.values, model.values.get("found")
    if isinstance(found, Mapping):
        target = found.get("target")
        how = "contracted to" if found.get("step") is not None else "for"
        amount = found.get("target_words", f"{show_count(target)} multiply-adds" if target else "")
        for_target = f", {how} a target of {escaped(amount)}" if target else ""
        axis = f", grown last along {escaped(found['axis'])}" if found.get("axis") else ""
        strategy, step = found.get("strategy"), found.get("step")
        by = "progressive expansion" if strategy is None else f"the strategy {escaped(strategy)}"
        where = "" if step is None else f": step {escaped(step)} of a search"
        version = escaped(values.get("xpand", VERSION))
        yield f"Found by {by} with xpand {version}{where}{axis}{for_target}."
        if isinstance(factors := values.get("factors"), Mapping):
            yield "Factors over the start of that search: " + _pairs(factors) + "."
        yield _latency(found.get("latency"))
    elif _is_published(model):
        yield (
            "A published network of the X3D paper, built from its published factors: "
            + _pairs(values.get("factors") or {})
            + ". This is the network, not its published weights."
        )
    if isinstance(record := values.get("imported"), Mapping):
        yield f"Imported: {_pairs(record)}."
    if isinstance(record := values.get("trained"), Mapping):
        yield from _trained(record)


def _trained(record: Mapping[str, Any]) -> Iterator[str]:
    """How the weights were trained in full, and how good they were in the last validation."""
    start = record.get("start") or {}
    begun = f"the weights {escaped(start['weights'])}" if start.get("weights") else "random weights"
    of = f" of {escaped(start['network'])}" if start.get("network") else ""
    kept = record.get("weights_of_epoch", record["epochs"])
    best = "" if kept == record["epochs"] else f", with the weights of epoch {kept:g}, the best validation"
    yield f"Trained in full for {record['epochs']:g} epochs, from {begun}{of}{best}."
    rows = [
        (title, f"{record['validation'][key]:.1%}")
        for key, title in SCORES.items()
        if key != "loss" and key in record.get("validation", {})
    ]
    if rows:
        yield "On the validation videos, one centre-cropped clip each:"
        yield _table(("", "score"), rows)
    low, high = record["jitter"]
    yield (
        f"Recipe: {_pairs(record.get('recipe') or {})}. Training clips are cropped from frames with a short "
        f"side of {low:.4g} to {high:.4g} times the crop."
    )


def _latency(times: object) -> str:
    """What was predicted and timed on the device that the search was for; empty: the search was for none."""
    if not isinstance(times, Mapping):
        return ""
    shown = [
        f"{name} {show_milliseconds(times[name] / 1e9)}"
        for name in ("predicted", "timed")
        if isinstance(times.get(name), int)
    ]
    return f"Latency on {escaped(times.get('device', 'a device'))}: {', '.join(shown)}." if shown else ""


def _data(model: Model) -> Iterator[str]:
    data = model.values.get("data")
    data = data if isinstance(data, Mapping) else {}
    if "name" in data:
        tested = f", {escaped(data['test'])} for the test" if "test" in data else ""
        yield (
            f"{escaped(data['name'])}: {escaped(data.get('train', 'unknown'))} videos for training, "
            f"{escaped(data.get('val', 'unknown'))} for validation{tested}; checksum "
            f"{_code(data.get('checksum', 'unknown'))}."
        )
    names = model.classes
    if names == tuple(str(number) for number in range(len(names))):
        yield f"{len(names)} {_plural('class', len(names))}, which have numbers for names here."
    elif len(names) > _NAMED_CLASSES:
        yield f"{len(names)} classes, from {escaped(names[0])} to {escaped(names[-1])}."
    else:
        listed = ", ".join(f"{number} {escaped(name)}" for number, name in enumerate(names))
        yield f"{len(names)} {_plural('class', len(names))}, in the order of the outputs: {listed}."


def _accuracy(model: Model) -> Iterator[str]:
    measured = model.values.get("measured")
    if isinstance(measured, Mapping) and measured.get("seeds"):
        yield from _measured(measured)
    elif not model.values.get("trained"):
        yield "Nothing was measured on this network by xpand."
    if _is_published(model) and (published := KINETICS_400.get(model.name)) is not None:
        rows = [
            (10, f"{published.views_10:.1%}" if published.views_10 is not None else "not published"),
            (30, f"{published.views_30:.1%}"),
        ]
        yield (
            "Published by others, for their weights after full training on Kinetics-400, and not measured "
            "here (SlowFast's model zoo; XL: the paper):"
        )
        yield _table(("views", "top-1"), rows)


def _measured(measured: Mapping[str, Any]) -> Iterator[str]:
    fresh: Sequence[Mapping[str, Any]] = measured.get("fresh") or ()
    seeds: Sequence[Mapping[str, Any]] = fresh or measured["seeds"]
    recipe = measured.get("recipe") or {}
    budget = f"{recipe['epochs']:g} epochs" if recipe.get("epochs") else f"{recipe.get('clips')} clips"
    clips = recipe.get("val_clips", 1)
    each = f"{clips} centre-cropped {_plural('clip', clips)} each"
    tested = _scores(seeds, {"test_score": measured.get("objective"), **_TESTED})
    first = "test videos, which took no part in the search" if tested else "the validation videos"
    yield (
        f"Of short proxy trainings ({budget}, {len(seeds)} {_plural('seed', len(seeds))}), made to compare "
        "candidates of a search: how good the network is after a full training is not known from them. "
        f"{_FRESH if fresh else ''}On {first}, {each}:"
    )
    if tested:
        yield tested
        yield f"On the validation videos, which the search decided by, {each}:"
    yield _scores(seeds, {"score": f"{measured.get('objective')}, which the search decided by", **_VALIDATED})
    yield "Recipe: " + _pairs(recipe) + "."


def _scores(seeds: Sequence[Mapping[str, Any]], titles: Mapping[str, object]) -> str:
    """The table of the trainings' scores, titled by their keys; empty where they have none."""
    rows = []
    for key, title in titles.items():
        scores = [seed[key] for seed in seeds if key in seed]
        if scores:
            mean = sum(scores) / len(scores)
            rows.append((title, f"{mean:.1%}", f"{min(scores):.1%} to {max(scores):.1%}"))
    return _table(("", "mean", "range of the seeds"), rows) if rows else ""


def _licence(model: Model, form: str) -> Iterator[str]:
    yield (
        "xpand is under the Apache License 2.0. Weights are made from the videos that they were trained on: "
        "whether they may be passed on depends on those videos' terms too."
    )
    if form in PROJECTS:
        yield f"The files are written to be read by {PROJECTS[form]}; none of its code is in them."
    if isinstance(model.architecture, Architecture):
        yield (
            "Method and family of networks: Christoph Feichtenhofer, X3D: Expanding Architectures for "
            "Efficient Video Recognition, CVPR 2020 (arXiv 2004.04730)."
        )


def _is_published(model: Model) -> bool:
    """Whether the model is a published network, and not one of the user's with the same name."""
    if model.name not in PUBLISHED or {"found", "measured", "trained"} & model.values.keys():
        return False
    equal: bool = model.architecture == X3DSpace().architecture(PUBLISHED[model.name].factors)
    return equal


def _table(heads: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join("| " + " | ".join(str(cell) for cell in line) + " |" for line in lines)


def _pairs(values: Mapping[str, Any]) -> str:
    """List keys and values in words, such as `epochs 20, batch size 16`, without those that are None."""
    given = {str(key).replace("_", " "): value for key, value in values.items() if value is not None}
    shown = {key: f"{value:g}" if isinstance(value, float) else value for key, value in given.items()}
    return ", ".join(f"{escaped(key)} {escaped(value)}" for key, value in shown.items())


def _code(text: object) -> str:
    return f"`{one_line(text).replace('`', '')}`"


def _plural(noun: str, count: int) -> str:
    if count == 1:
        return noun
    return f"{noun}es" if noun.endswith("s") else f"{noun}s"


def _ordinal(number: int) -> str:
    ending = "th" if 10 <= number % 100 <= 20 else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{ending}"
