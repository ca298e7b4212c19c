"""Other projects' X3D networks, from their checkouts: measured in the same run, never installed or copied.

Both projects import packages at their start that their X3D networks make no use of, some of which do not go
together with today's torch. While a checkout is imported, empty stand-ins answer for those that are missing.
"""

from __future__ import annotations

import importlib
import importlib.abc
import importlib.util
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import Any

from torch import nn

from expand.system.errors import UserError
from search_spaces.x3d import X3DSpace
from search_spaces.x3d.architecture import Architecture

# What neither project's X3D computes with: region pooling, image files, plots, logs.
_UNUSED = (
    "torchvision",
    "detectron2",
    "simplejson",
    "psutil",
    "matplotlib",
    "cv2",
    "sklearn",
    "scipy",
    "PIL",
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Peer:
    """Another project: builds its own network of an architecture, for clips and a number of classes."""

    name: str
    create: Callable[[Architecture, int], nn.Module]

    def build(self, architecture: Architecture, num_classes: int) -> nn.Module:
        """The peer's network.

        Raises:
            UserError: it has other parameters than ours of the same architecture.
        """
        network = self.create(architecture, num_classes)
        found = sum(parameter.numel() for parameter in network.parameters())
        ours = X3DSpace().complexity(architecture, num_classes).params
        norm = 2 * architecture.stages[0].width  # that of res2's shortcut, which PyTorchVideo leaves out
        if found not in (ours, ours - norm):
            raise UserError(
                f"{self.name} must build the network that is measured, with {ours:,} parameters, "
                f"but it has {found:,}: take a checkout that builds the published X3D."
            )
        return network


def open_pytorchvideo(path: Path) -> Peer:
    """PyTorchVideo's `create_x3d`, from its checkout."""
    with importable(path, "pytorchvideo/models/x3d.py", "--peer-pytorchvideo"):
        create_x3d = importlib.import_module("pytorchvideo.models.x3d").create_x3d

    def create(architecture: Architecture, num_classes: int) -> nn.Module:
        network: nn.Module = create_x3d(
            input_clip_length=architecture.frames,
            input_crop_size=architecture.size,
            model_num_class=num_classes,
            dropout_rate=0.0,
            width_factor=2.0 * architecture.stem_width / 24,
            depth_factor=_depth_factor(architecture),
            bottleneck_factor=_bottleneck_factor(architecture),
            head_activation=None,
        )
        return network

    return Peer(name="pytorchvideo", create=create)


def open_slowfast(path: Path) -> Peer:
    """SlowFast's `X3D`, from its checkout; it uses layers of PyTorchVideo, whose checkout must be there."""
    with importable(path, "slowfast/models/video_model_builder.py", "--peer-slowfast"):
        if importlib.util.find_spec("pytorchvideo") is None:
            raise UserError(
                "--peer-slowfast needs layers of PyTorchVideo, which is not there: "
                "give --peer-pytorchvideo PATH too."
            )
        get_cfg = importlib.import_module("slowfast.config.defaults").get_cfg
        network_class = importlib.import_module("slowfast.models.video_model_builder").X3D

    def create(architecture: Architecture, num_classes: int) -> nn.Module:
        config: Any = get_cfg()
        config.merge_from_list(
            [
                *("MODEL.ARCH", "x3d", "MODEL.MODEL_NAME", "X3D", "MODEL.NUM_CLASSES", num_classes),
                *("MODEL.DROPOUT_RATE", 0.0, "RESNET.TRANS_FUNC", "x3d_transform"),
                *("RESNET.STRIDE_1X1", False, "X3D.WIDTH_FACTOR", 2.0 * architecture.stem_width / 24),
                *("X3D.DEPTH_FACTOR", _depth_factor(architecture), "X3D.DIM_C5", architecture.head_width),
                *("X3D.BOTTLENECK_FACTOR", _bottleneck_factor(architecture)),
                *("DATA.NUM_FRAMES", architecture.frames, "DATA.TRAIN_CROP_SIZE", architecture.size),
                *("DATA.TEST_CROP_SIZE", architecture.size, "DATA.INPUT_CHANNEL_NUM", [3]),
                *("NUM_GPUS", 0),
            ]
        )
        return OnClips(network_class(config))

    return Peer(name="slowfast", create=create)


class OnClips(nn.Module):
    """SlowFast's networks take a list with an entry for each pathway."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, clips: Any) -> Any:
        return self.network([clips])


def _depth_factor(architecture: Architecture) -> float:
    """The factor whose rounding up gives these depths: of the published ones, the smallest."""
    depths = [stage.depth for stage in architecture.stages]
    return max((depth - 1 + 1e-3) / base for depth, base in zip(depths, (1, 2, 5, 3), strict=True))


def _bottleneck_factor(architecture: Architecture) -> float:
    stage = architecture.stages[0]
    return stage.inner_width / stage.width


@contextmanager
def importable(path: Path, wanted: str, option: str) -> Iterator[None]:
    """The checkout on the import path, with stand-ins for what it does not need.

    Raises:
        UserError: it is no such checkout, or it needs something else that is not installed.
    """
    if not (path / wanted).is_file():
        raise UserError(f"{option} must be a checkout that holds {wanted}, but {path} does not.")
    stand_ins = _StandIns([name for name in _UNUSED if importlib.util.find_spec(name) is None])
    sys.path.insert(0, str(path.resolve()))
    sys.meta_path.append(stand_ins)
    try:
        yield
    except ImportError as error:
        missing = (error.name or "").split(".")[0]
        raise UserError(
            f"{option} needs a package that is not installed, {missing}: pip install {missing}."
        ) from error
    finally:
        sys.meta_path.remove(stand_ins)
        for name in [name for name, module in sys.modules.items() if isinstance(module, _StandIn)]:
            del sys.modules[name]  # nobody else may take them for the packages


class _StandIns(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Finds packages that are not installed, as modules in which every name is an empty class."""

    def __init__(self, packages: Sequence[str]) -> None:
        self._packages = packages

    def find_spec(self, name: str, *_: object) -> ModuleSpec | None:
        return ModuleSpec(name, self, is_package=True) if name.split(".")[0] in self._packages else None

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        return _StandIn(spec.name)

    def exec_module(self, module: ModuleType) -> None:
        pass


class _StandIn(ModuleType):
    def __getattr__(self, name: str) -> type:
        if name.startswith("__"):
            raise AttributeError(name)
        return type(name, (), {})
