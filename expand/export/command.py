"""`xpand export`: writes a network in one format, with a model card; all files are written or none."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, cast

from expand.export.all_or_none import check_absent, together
from expand.export.base import Format, FormatFiles, NetworkToExport
from expand.export.card import card
from expand.export.checkpoints import CHECKPOINTS
from expand.run.candidates import chosen_model
from expand.system.errors import UserError
from expand.system.escaping import file_name
from expand.weights.models import Model
from search_spaces.base import Json

if TYPE_CHECKING:
    from torch import Tensor

# The module of this package that writes each format, by the format's name.
FORMATS: Mapping[str, str] = {
    "slowfast": "slowfast",
    "pytorchvideo": "pytorchvideo",
    "mmaction2": "mmaction2",
    "x3d-multigrid": "multigrid",
    "safetensors": "safetensors",
    "onnx": "onnx",
    "torch-export": "torch_export",
}

_CARD = ".md"
_SEED = 0  # seed of untrained weights


@dataclass(frozen=True, kw_only=True, slots=True)
class Exported:
    """The result of an export.

    Attributes:
        form: the format's name.
        model: the network's name.
        files: the written files, the main file first, the model card last.
        weights: a sentence on where the weights are from, or that there are none.
        remarks: sentences on what is left out, approximate or changed.
    """

    form: str
    model: str
    files: tuple[Path, ...]
    weights: str
    remarks: tuple[str, ...]

    def to_json(self) -> Json:
        return {
            "format": self.form,
            "model": self.model,
            "files": [str(path) for path in self.files],
            "weights": self.weights,
            "remarks": list(self.remarks),
        }


def export(
    reference: str,
    name: str | None,
    form: str,
    out: Path,
    *,
    candidate: str | None = None,
    weights: Path | None = None,
    fresh: bool = False,
    allow_approximate: bool = False,
) -> Exported:
    """Write the files of one format and a model card; a failure or an interrupt leaves no files.

    Args:
        reference: a run's folder, a model's YAML file, or the name of a published network.
        name: name of the model, in a run's folder.
        form: one of FORMATS.
        out: the main file, to which the format's suffix is added where it has none; or an existing folder, in
            which it is called NAME-FORMAT.
        candidate: a candidate of a run instead, such as `2/depth`.
        weights: a file with weights, instead of those beside the model.
        fresh: whether to use untrained weights from seed 0 if there are no others.
        allow_approximate: whether to write a similar network if the target cannot build exactly this one.

    Raises:
        UserError: the model does not exist or does not fit the format, or one of the files exists already.
    """
    writer = _format(form)
    model = chosen_model(reference, name, candidate)
    path = _main_file(out, model, form, writer.SUFFIX)
    remarks: list[str] = []
    state, weights_sentence = _weights(model, form, writer, weights, fresh=fresh, on_remark=remarks.append)
    source = NetworkToExport(
        model=model,
        state=state,
        fresh=weights_sentence == _FRESH,
        allow_approximate=allow_approximate,
    )
    with together(path) as folder:
        written = writer.write(source, folder / path.name)
        if state is not None and _left_out(written, writer):
            weights_sentence = _NONE
        page = folder / (path.name.removesuffix(writer.SUFFIX) + _CARD)
        page.write_text(
            card(source, written, name=page.name, form=form, weights=weights_sentence), encoding="utf-8"
        )
        made = [*written.files, page]
    return Exported(
        form=form,
        model=model.name,
        files=tuple(path.parent / each.name for each in made),
        weights=weights_sentence,
        remarks=(*remarks, *written.remarks),
    )


_FRESH = f"Its weights are untrained, drawn from seed {_SEED}."
_NONE = "No weights go with it."


def _format(form: str) -> Format:
    if form not in FORMATS:
        raise UserError(f"--format must be one of {', '.join(FORMATS)}, got {form!r}.")
    return cast(Format, importlib.import_module(f"expand.export.{FORMATS[form]}"))


def _main_file(out: Path, model: Model, form: str, suffix: str) -> Path:
    """Return the path of the main file, whose folder need not exist yet.

    Raises:
        UserError: `out` has another suffix, or the file or its model card exists already.
    """
    if out.is_dir():
        out = out / f"{file_name(model.name, 'model')}-{form}{suffix}"
    elif not out.suffix and not out.name.startswith("."):
        out = out.with_name(out.name + suffix)
    elif not out.name.endswith(suffix) or out.name == suffix:
        raise UserError(f"--out must end in {suffix} for {form}, or be an existing folder, got {out}.")
    check_absent(out, out.with_name(out.name.removesuffix(suffix) + _CARD))
    return out


def _weights(
    model: Model,
    form: str,
    writer: Format,
    file: Path | None,
    *,
    fresh: bool,
    on_remark: Callable[[str], None],
) -> tuple[Mapping[str, Tensor] | None, str]:
    """Return the weights, and a sentence on where they are from.

    Raises:
        UserError: the format needs weights and there are none, or it takes none and some are given.
    """
    if writer.WEIGHTS == "unused":
        if file is not None or fresh:
            option = "--weights" if file is not None else "--fresh-weights"
            raise UserError(f"{form} takes no weights along: leave {option} out.")
        return None, _NONE
    if file is None and model.weights is None:
        if fresh:
            return _untrained(model), _FRESH
        if writer.WEIGHTS == "needed":
            raise UserError(
                f"{form} must have weights, but {model.name} has none: "
                "give --weights FILE, or --fresh-weights for untrained ones."
            )
        return None, _NONE
    from expand.weights.reading import read_weights

    chosen = file or model.weights
    assert chosen is not None
    state = read_weights(chosen, model, on_remark=on_remark)
    return state, f"Its weights are those of {chosen.name}."


def _untrained(model: Model) -> Mapping[str, Tensor]:
    import torch

    with torch.random.fork_rng():
        torch.manual_seed(_SEED)
        return model.build().state_dict()


def _left_out(written: FormatFiles, writer: Format) -> bool:
    """Whether a format that takes weights along has written no checkpoint."""
    return writer.WEIGHTS == "taken along" and not any(
        path.suffix in CHECKPOINTS.values() for path in written.files
    )
