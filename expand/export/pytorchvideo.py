"""Exports arguments for PyTorchVideo's `create_x3d`, as YAML for Hydra and as Python, and a checkpoint.

Source of the arguments: pytorchvideo/models/x3d.py of facebookresearch/pytorchvideo at f3142bb0.
"""

from __future__ import annotations

from pathlib import Path

from expand.data.base import MEAN, STD
from expand.export.agreement import agreement
from expand.export.base import RUN_TORCH, FormatFiles, NetworkToExport
from expand.export.checkpoints import CHECKPOINTS, save_project_weights
from expand.export.clips import CROPS, UNIFORM_CLIPS, Views
from expand.export.project_networks import PYTORCHVIDEO, Arguments
from expand.export.text import assigned, comment, python, to_yaml
from expand.weights.models import Model
from search_spaces.base import Json

SUFFIX = ".yaml"
WEIGHTS = "taken along"

_TARGET = "pytorchvideo.models.x3d.create_x3d"


def write(source: NetworkToExport, path: Path) -> FormatFiles:
    """Write the arguments, STEM.py, which builds the network, and, if there are weights, STEM.pth."""
    model = source.model
    agreed = agreement(model, (PYTORCHVIDEO,), allow_approximate=source.allow_approximate)
    checkpoint = (
        path.with_suffix(CHECKPOINTS["pytorchvideo"]) if source.state is not None and agreed.exact else None
    )
    remarks = agreed.remarks(classes=len(model.classes), weights=checkpoint is not None)
    values, script = arguments(model, agreed.arguments), path.with_suffix(".py")
    head = comment([f"{model.name}, clips {model.sampling}, for PyTorchVideo; exported by xpand.", *remarks])
    text = to_yaml({"_target_": _TARGET, **values})
    path.write_text(head + text, encoding="utf-8")
    script.write_text(
        head + _script(model, values, checkpoint.name if checkpoint else None), encoding="utf-8"
    )
    files = [path, script]
    if checkpoint is not None and source.state is not None:
        files.append(
            save_project_weights(checkpoint, source.state, model.architecture, layout="pytorchvideo")
        )
    return FormatFiles(
        files=tuple(files),
        loading=_loading(script.name, checkpoint.name if checkpoint else None),
        running=RUN_TORCH,
        remarks=remarks,
    )


def arguments(model: Model, chosen: Arguments) -> Json:
    """Return every argument of `create_x3d` that is a plain value; types of layers keep their defaults."""
    return {
        "input_channel": 3,
        "input_clip_length": model.sampling.frames,
        "input_crop_size": model.sampling.size,
        "model_num_class": len(model.classes),
        "dropout_rate": 0.5,
        "width_factor": float(chosen.width),
        "depth_factor": float(chosen.depth),
        "bottleneck_factor": float(chosen.bottleneck),
        "stem_dim_in": chosen.base,
        "stem_conv_kernel_size": [5, 3, 3],
        "stem_conv_stride": [1, 2, 2],
        "stage_conv_kernel_size": [[3, 3, 3] for _ in range(4)],
        "stage_spatial_stride": [2, 2, 2, 2],
        "stage_temporal_stride": [1, 1, 1, 1],
        "se_ratio": 0.0625,
        "head_dim_out": chosen.hidden,
        "head_bn_lin5_on": False,
        "head_activation": None,
        "head_output_with_global_average": True,
    }


def _script(model: Model, values: Json, checkpoint: str | None) -> str:
    """Write the Python file that builds the network and describes its clips."""
    views = Views.of(model.sampling)
    labels = "several" if model.several_labels else "one"
    return f'''\
"""An X3D network for PyTorchVideo: `build()`, and what its clips must be."""

from pytorchvideo.models.x3d import create_x3d

{assigned("ARGUMENTS", values)}
CHECKPOINT = {python(checkpoint)}  # beside this file; its weights are under "model_state"
LABELS = {python(labels)}  # of a clip: logits are for a softmax where it has one, for sigmoids where several

# Clips: float (batch, 3, FRAMES, CROP, CROP), RGB, (value / 255 - MEAN) / STD.
MEAN = ({MEAN}, {MEAN}, {MEAN})
STD = ({STD}, {STD}, {STD})
FRAMES = {views.frames}
STRIDE = {views.stride}  # frames of a video with FPS frames a second
FPS = {views.fps}
CLIP_SECONDS = {views.seconds!r}  # FRAMES * STRIDE / FPS
CROP = {views.size}
SIDE = {views.jitter[0]}  # short side that a frame is scaled to before its centre crop
JITTER = {views.jitter!r}  # short sides in training
UNIFORM_CLIPS = {UNIFORM_CLIPS}  # of a video in a test: {UNIFORM_CLIPS} views with a centre crop each, or
TEST_CROPS = {CROPS}  # {UNIFORM_CLIPS * CROPS} views with so many crops of
TEST_CROP = {views.test_size}


def build():
    """The network with fresh weights."""
    return create_x3d(**ARGUMENTS)


if __name__ == "__main__":
    print(build())
'''


def _loading(script: str, checkpoint: str | None) -> str:
    lines = ["import runpy, torch", f'network = runpy.run_path({python(script)})["build"]()']
    if checkpoint is not None:
        loaded = f"torch.load({python(checkpoint)}, weights_only=True)"
        lines.append(f'network.load_state_dict({loaded}["model_state"])')
    return "\n".join(lines)
