"""Checks exports: other projects build networks from exported files, which must equal the original ones.

Nothing is timed here. Each network is exported with its own weights or random ones, with BatchNorms perturbed
so that none is an identity. The project then builds its network from the files alone and loads the weights.
Widths and depths of all stages, parameters, multiply-adds and the logits of random clips are compared.
"""

from __future__ import annotations

import importlib
import runpy
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
import yaml
from rich.table import Table
from safetensors.torch import save_file
from torch import Tensor, nn

from expand.bench.peers import OnClips, importable
from expand.export.agreement import agreement
from expand.export.command import export
from expand.export.project_networks import PYTORCHVIDEO, SLOWFAST, SLOWFAST_PTV, Target
from expand.report.counting import macs_by_fvcore
from expand.system.errors import UserError
from expand.weights.models import Model, find_model
from search_spaces.base import Json
from search_spaces.x3d.architecture import Architecture
from search_spaces.x3d.complexity import complexity

# The stem's width, then (width, inner width, squeeze width, depth) of each stage.
Stages = tuple[tuple[int, ...], ...]

_AGREE = 1e-4  # tolerance relative to the largest logit, in float32
_CLIPS = 2


@dataclass(frozen=True, kw_only=True, slots=True)
class Check:
    """The comparison of one exported network with the original.

    Attributes:
        network: the model's name.
        form: the format's name.
        target: the name of the class of network that the project builds; None if the export was refused.
        widths: widths of the stem and of each stage, as built.
        same_stages: whether widths, inner and squeeze widths, and depths are those of the searched network.
        params: parameters of the built network.
        expected_params: those of the searched network, less or plus BatchNorms of shortcuts in which the
            project is known to differ.
        searched_params: those of the searched network.
        macs: multiply-adds of the built network for one clip, counted by fvcore without BatchNorm.
        expected_macs: those of the searched network by the closed form.
        difference: largest difference of a logit, relative to the largest logit.
        refused: why the export was refused; None if it was not.
    """

    network: str
    form: str
    target: str | None = None
    widths: tuple[int, ...] = ()
    same_stages: bool = False
    params: int = 0
    expected_params: int = 0
    searched_params: int = 0
    macs: int = 0
    expected_macs: int = 0
    difference: float = float("nan")
    refused: str | None = None

    @property
    def agrees(self) -> bool:
        """Whether the built network equals the searched one, or the export was refused."""
        if self.refused is not None:
            return True
        counts = self.params == self.expected_params and self.macs == self.expected_macs
        return self.same_stages and counts and self.difference <= _AGREE

    def to_json(self) -> Json:
        return {**asdict(self), "agrees": self.agrees}


@dataclass(frozen=True, kw_only=True, slots=True)
class Project:
    """A project that builds networks from exported files.

    Attributes:
        form: the format that it reads.
        targets: the classes of networks that it has, the preferred one first.
        build: builds the network of an exported main file, with the weights beside it; it gives logits.
        stages: reads the widths and depths off such a network's layers.
    """

    form: str
    targets: tuple[Target, ...]
    build: Callable[[Path], nn.Module]
    stages: Callable[[nn.Module], Stages]


def open_projects(pytorchvideo: Path | None, slowfast: Path | None) -> list[Project]:
    """Import the projects from their checkouts.

    Raises:
        UserError: the checkout of PyTorchVideo is not given, or a folder is not the project's checkout.
    """
    if pytorchvideo is None:
        raise UserError(
            "bench exports needs PyTorchVideo, and SlowFast's networks need its layers: "
            "give --peer-pytorchvideo CHECKOUT."
        )
    with importable(pytorchvideo, "pytorchvideo/models/x3d.py", "--peer-pytorchvideo"):
        create_x3d = importlib.import_module("pytorchvideo.models.x3d").create_x3d
    projects = [
        Project(
            form="pytorchvideo",
            targets=(PYTORCHVIDEO,),
            build=lambda path: _build_pytorchvideo(create_x3d, path),
            stages=_stages_of_pytorchvideo,
        )
    ]
    if slowfast is not None:
        with importable(slowfast, "slowfast/models/video_model_builder.py", "--peer-slowfast"):
            get_cfg = importlib.import_module("slowfast.config.defaults").get_cfg
            networks = {
                "X3D": importlib.import_module("slowfast.models.video_model_builder").X3D,
                "PTVX3D": importlib.import_module("slowfast.models.ptv_model_builder").PTVX3D,
            }
        projects.append(
            Project(
                form="slowfast",
                targets=(SLOWFAST, SLOWFAST_PTV),
                build=lambda path: _build_slowfast(get_cfg(), networks, path),
                stages=_stages_of_slowfast,
            )
        )
    return projects


def check_exports(references: Sequence[str], projects: Sequence[Project]) -> Iterator[Check]:
    """Export each network for each project, and compare the network that it builds; yields each Check."""
    for reference in references:
        model = find_model(reference)
        state = _state(model)
        for project in projects:
            with tempfile.TemporaryDirectory() as folder:
                weights = Path(folder) / "weights.safetensors"
                save_file(dict(state), weights)
                yield _checked(reference, model, state, project, Path(folder), weights)


def _checked(
    reference: str, model: Model, state: Mapping[str, Tensor], project: Project, folder: Path, weights: Path
) -> Check:
    try:
        done = export(reference, None, project.form, folder, weights=weights)
    except UserError as error:
        return Check(network=model.name, form=project.form, refused=str(error))
    agreed = agreement(model, project.targets, allow_approximate=False)
    classes, searched = len(model.classes), model.architecture
    theirs = project.build(done.files[0]).eval()
    stages = project.stages(theirs)
    clips = torch.randn_like(model.space.example(searched, _CLIPS))
    ours = model.build().eval()
    ours.load_state_dict(state)
    with torch.no_grad():
        expected, logits = ours(clips), theirs(clips)
    return Check(
        network=model.name,
        form=project.form,
        target=agreed.target.name,
        widths=tuple(stage[0] for stage in stages),
        same_stages=stages == _stages(searched),
        params=sum(parameter.numel() for parameter in theirs.parameters()),
        expected_params=complexity(agreed.built, classes).params,
        searched_params=complexity(searched, classes).params,
        macs=macs_by_fvcore(theirs, clips[:1]),
        expected_macs=complexity(searched, classes).macs,
        difference=float((logits - expected).abs().max() / expected.abs().max()),
    )


def _stages(network: Architecture) -> Stages:
    stages = ((s.width, s.inner_width, s.squeeze_width, s.depth) for s in network.stages)
    return ((network.stem_width,), *stages)


def _state(model: Model) -> Mapping[str, Tensor]:
    """Return the model's weights, or random ones with BatchNorms perturbed so that none is an identity."""
    torch.manual_seed(0)
    network = model.build()
    if model.weights is not None:
        from expand.weights.reading import read_weights

        network.load_state_dict(read_weights(model.weights, model))
        return network.state_dict()
    with torch.no_grad():
        for module in network.modules():
            if isinstance(module, nn.BatchNorm3d):
                assert module.running_mean is not None
                assert module.running_var is not None
                module.weight.uniform_(0.5, 1.5)
                module.bias.normal_(std=0.1)
                module.running_mean.normal_(std=0.1)
                module.running_var.uniform_(0.5, 1.5)
            elif isinstance(module, nn.Linear):
                module.weight.normal_(std=0.1)
                module.bias.normal_(std=0.1)
    return network.state_dict()


def _build_pytorchvideo(create_x3d: Callable[..., nn.Module], path: Path) -> nn.Module:
    """Build the network from the exported YAML; the script beside it must have the same arguments."""
    values = yaml.safe_load(path.read_text(encoding="utf-8"))
    values.pop("_target_")
    assert runpy.run_path(str(path.with_suffix(".py")))["ARGUMENTS"] == values
    network = create_x3d(**values)
    network.load_state_dict(torch.load(path.with_suffix(".pth"), weights_only=True)["model_state"])
    return network


def _build_slowfast(cfg: Any, networks: Mapping[str, Callable[..., nn.Module]], path: Path) -> nn.Module:
    cfg.merge_from_file(str(path))
    cfg.merge_from_list(["NUM_GPUS", 0])
    network: Any = networks[cfg.MODEL.MODEL_NAME](cfg)
    network.load_state_dict(torch.load(path.with_suffix(".pyth"), weights_only=True)["model_state"])
    if cfg.MODEL.MODEL_NAME == "X3D":  # without the softmax that both apply in evaluation
        network.head.act = nn.Identity()
    else:
        network.post_act = nn.Identity()
    return OnClips(network)


def _stages_of_pytorchvideo(network: Any) -> Stages:
    stages: list[tuple[int, ...]] = [(network.blocks[0].conv.conv_t.out_channels,)]
    for stage in list(network.blocks)[1:-1]:
        first = stage.res_blocks[0].branch2
        squeeze = first.norm_b[1].block[0].out_channels
        widths = first.conv_c.out_channels, first.conv_a.out_channels
        stages.append((*widths, squeeze, len(stage.res_blocks)))
    return tuple(stages)


def _stages_of_slowfast(network: Any) -> Stages:
    network = network.network
    if hasattr(network, "model"):  # PTVX3D
        return _stages_of_pytorchvideo(network.model)
    stages: list[tuple[int, ...]] = [(network.s1.pathway0_stem.conv.out_channels,)]
    for stage in (network.s2, network.s3, network.s4, network.s5):
        blocks = [block for name, block in stage.named_children() if name.startswith("pathway0_res")]
        first = blocks[0].branch2
        stages.append((first.c.out_channels, first.a.out_channels, first.se.fc1.out_channels, len(blocks)))
    return tuple(stages)


def table(checks: Sequence[Check]) -> Table:
    """Make a table of the checks; brackets have the parameters above or below the searched network's."""
    shown = Table(box=None, header_style="dim", padding=(0, 1))
    for heading in ("network", "built by", "stem and stages"):
        shown.add_column(heading, no_wrap=True)
    for heading in ("parameters", "multiply-adds", "logits off by", ""):
        shown.add_column(heading, justify="right", no_wrap=True)
    for check in checks:
        if check.refused is not None:
            shown.add_row(check.network, check.form, "refused, see below", "", "", "", "")
            continue
        more = check.params - check.searched_params
        shown.add_row(
            check.network,
            check.target,
            ("" if check.same_stages else "≠ ") + " ".join(str(width) for width in check.widths),
            ("" if check.params == check.expected_params else "≠ ")
            + f"{check.params:,}"
            + (f" ({more:+,})" if more else ""),
            ("" if check.macs == check.expected_macs else "≠ ") + f"{check.macs:,}",
            f"{check.difference:.0e}",
            "agrees" if check.agrees else "DIFFERENT",
        )
    return shown
