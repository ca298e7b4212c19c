"""Imports other projects' X3D networks from their checkouts, to measure them in the same run.

Both projects import packages that their X3D networks do not use, and some of these do not work with the
current torch. While a checkout is imported, empty modules stand in for packages that are missing.
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

# Packages that neither project's X3D uses: for region pooling, image files, plots and logs.
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
    """Another project, with a function that builds its network of an architecture and a number of classes."""

    name: str
    create: Callable[[Architecture, int], nn.Module]

    def build(self, architecture: Architecture, num_classes: int) -> nn.Module:
        """Build the project's network.

        Raises:
            UserError: the network has another number of parameters than xpand's of the same architecture.
        """
        network = self.create(architecture, num_classes)
        theirs = sum(parameter.numel() for parameter in network.parameters())
        ours = X3DSpace().complexity(architecture, num_classes).params
        norm = 2 * architecture.stages[0].width  # BatchNorm of res2's shortcut, which PyTorchVideo leaves out
        if theirs not in (ours, ours - norm):
            raise UserError(
                f"{self.name} must build the network that is measured, with {ours:,} parameters, "
                f"but it has {theirs:,}: take a checkout that builds the published X3D."
            )
        return network


def open_pytorchvideo(path: Path) -> Peer:
    """Import PyTorchVideo's `create_x3d` from its checkout.

    Raises:
        UserError: `path` is not a checkout, or it needs a package that is not installed.
    """
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
    """Import SlowFast's `X3D` from its checkout, after PyTorchVideo, whose layers it uses.

    Raises:
        UserError: `path` is not a checkout, PyTorchVideo is missing, or another package is not installed.
    """
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
    """Adapts SlowFast's networks, which take a list with a batch of clips for each pathway."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, clips: Any) -> Any:
        return self.network([clips])


def _depth_factor(architecture: Architecture) -> float:
    """Return a depth factor that gives these depths when rounded up."""
    depths = [stage.depth for stage in architecture.stages]
    return max((depth - 1 + 1e-3) / base for depth, base in zip(depths, (1, 2, 5, 3), strict=True))


def _bottleneck_factor(architecture: Architecture) -> float:
    stage = architecture.stages[0]
    return stage.inner_width / stage.width


@contextmanager
def importable(path: Path, wanted: str, option: str) -> Iterator[None]:
    """Put a checkout on the import path inside the block, with stand-ins for packages that it does not need.

    Args:
        path: the checkout.
        wanted: a file that the checkout must have.
        option: the command's option that names the checkout, for messages.

    Raises:
        UserError: `path` is not such a checkout, or it needs another package that is not installed.
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
            del sys.modules[name]  # so that later imports do not get the stand-ins


class _StandIns(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """An importer that gives, for missing packages, modules in which every name is an empty class."""

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
