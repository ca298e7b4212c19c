"""Exported networks, built by the real projects from the exported files, beside the networks they came from.

Nothing is timed here: this is the check that a config means to its project what it means to xpand. Each
network is exported with weights, of its own or random ones, its BatchNorms perturbed so that none of them is
an identity. The project then builds its network from the files alone and loads the weights; compared are the
widths and depths of all stages, the parameters, the multiply-adds and the logits of random clips.
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
from expand.export.targets import PYTORCHVIDEO, SLOWFAST, SLOWFAST_PTV, Target
from expand.report.counting import macs_by_fvcore
from expand.system.errors import UserError
from expand.weights.models import Model, find_model
from search_spaces.base import Json
from search_spaces.x3d.architecture import Architecture
from search_spaces.x3d.complexity import complexity

# The stem's width, then (width, inner width, squeeze width, depth) of each stage.
Stages = tuple[tuple[int, ...], ...]

_AGREE = 1e-4  # of the largest logit, in float32
_CLIPS = 2


@dataclass(frozen=True, kw_only=True, slots=True)
class Check:
    """One export of one network.

    Attributes:
        network: the model's name.
        form: the format.
        target: what the files tell their project to build; None: refused.
        widths: of the stem and each stage, as built.
        same_stages: whether these, inner and squeeze widths and depths are those of the searched network.
        params: of the built network; `expected_params` are the searched network's, less or plus the
            BatchNorms of shortcuts in which the project is known to differ.
        macs: of the built network for one clip, counted by fvcore without BatchNorm, and the closed form's.
        difference: largest difference of a logit, as a share of the largest logit.
        refused: why nothing was exported.
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
        """Whether the project's network is the searched one; a refusal is not one that disagrees."""
        if self.refused is not None:
            return True
        counts = self.params == self.expected_params and self.macs == self.expected_macs
        return self.same_stages and counts and self.difference <= _AGREE

    def to_json(self) -> Json:
        return {**asdict(self), "agrees": self.agrees}


@dataclass(frozen=True, kw_only=True, slots=True)
class Project:
    """A project that exports are built by.

    Attributes:
        form: the format that it reads.
        targets: what it may be told to build, the one that is preferred first.
        build: the network of an exported main file, with the weights beside it, giving logits.
        stages: read off such a network's layers.
    """

    form: str
    targets: tuple[Target, ...]
    build: Callable[[Path], nn.Module]
    stages: Callable[[nn.Module], Stages]


def open_projects(pytorchvideo: Path | None, slowfast: Path | None) -> list[Project]:
    """The projects whose checkouts are given.

    Raises:
        UserError: none is given, or what is given is no such checkout.
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
    """Export each network to each project and compare what that builds; refused ones are told as such."""
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
    found = agreement(model, project.targets, allow_approximate=False)
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
        target=found.target.name,
        widths=tuple(stage[0] for stage in stages),
        same_stages=stages == _stages(searched),
        params=sum(parameter.numel() for parameter in theirs.parameters()),
        expected_params=complexity(found.built, classes).params,
        searched_params=complexity(searched, classes).params,
        macs=macs_by_fvcore(theirs, clips[:1]),
        expected_macs=complexity(searched, classes).macs,
        difference=float((logits - expected).abs().max() / expected.abs().max()),
    )


def _stages(network: Architecture) -> Stages:
    stages = ((s.width, s.inner_width, s.squeeze_width, s.depth) for s in network.stages)
    return ((network.stem_width,), *stages)


def _state(model: Model) -> Mapping[str, Tensor]:
    """The model's weights, or random ones; BatchNorms are perturbed so that each one matters."""
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
    """From the YAML; the script beside it must say the same."""
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
    if cfg.MODEL.MODEL_NAME == "X3D":  # in evaluation both end in a softmax
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
    """A row for each export; what a project has more or less than the searched network in brackets."""
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
