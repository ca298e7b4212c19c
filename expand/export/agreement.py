"""Finds the arguments with which another project builds exactly the searched network, if there are any."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import count

from expand.export.project_networks import DEPTHS, Arguments, Target
from expand.export.solve import arguments_for, closest_arguments
from expand.system.errors import OtherNetwork, UserError
from expand.system.escaping import visible_line
from expand.system.units import show_count
from expand.weights.models import Model
from search_spaces.x3d import Factors, X3DSpace
from search_spaces.x3d.architecture import Architecture, Stage
from search_spaces.x3d.complexity import complexity

_REACH = 60  # grid steps, up and down, within which `_nearby` looks for a network that agrees


@dataclass(frozen=True, kw_only=True, slots=True)
class Agreement:
    """Arguments for a target project, and the network that it builds from them.

    Attributes:
        target: the project's X3D.
        arguments: the arguments for it.
        built: the network that it builds from them.
        searched: the network that it should build.
    """

    target: Target
    arguments: Arguments
    built: Architecture
    searched: Architecture

    @property
    def differing(self) -> tuple[str, ...]:
        """The parts in which the two networks differ, such as res4; BatchNorms of shortcuts are ignored."""
        built, searched = _parts(self.built), _parts(self.searched)
        return tuple(name for name in searched if searched[name] != built[name])

    @property
    def exact(self) -> bool:
        return not self.differing

    def remarks(self, *, classes: int, weights: bool) -> tuple[str, ...]:
        """Describe the differences of the two networks for the user, in sentences.

        Args:
            classes: number of outputs of both networks.
            weights: whether weights are exported too.
        """
        if not self.exact:
            built, searched = _parts(self.built), _parts(self.searched)
            parts = "; ".join(f"{name} {built[name]}, not {searched[name]}" for name in self.differing)
            theirs, ours = (complexity(each, classes) for each in (self.built, self.searched))
            return (
                f"Approximate: {self.target.name} builds another network than the searched one: {parts}.",
                f"That network takes {show_count(theirs.macs)} multiply-adds and has {theirs.params:,} "
                f"parameters, the searched one {show_count(ours.macs)} and {ours.params:,}.",
                "Weights are not taken along: they do not fit that network.",
            )
        return tuple(_norm_remarks(self, weights))


def agreement(model: Model, targets: Sequence[Target], *, allow_approximate: bool) -> Agreement:
    """Return the first target that builds exactly this network, with its arguments.

    Where no target does, return with `allow_approximate` the one that differs in the fewest parts.

    Raises:
        UserError: the targets cannot build such a network at all, or (OtherNetwork) none builds exactly this
            one.
    """
    searched = _checked(model, targets)
    near = factor_arguments(model)
    tried = []
    for target in targets:
        arguments = arguments_for(target, searched, near)
        exact = arguments is not None
        arguments = arguments or closest_arguments(target, searched, near)
        built = target.build(arguments, frames=searched.frames, size=searched.size)
        tried.append(Agreement(target=target, arguments=arguments, built=built, searched=searched))
        if exact:
            return tried[-1]
    closest = min(tried, key=lambda each: len(each.differing))
    if not allow_approximate:
        raise OtherNetwork(_refusal(model, closest, targets))
    return closest


def factor_arguments(model: Model) -> Arguments | None:
    """Return the model's factors as arguments; None where its file has no factors."""
    located = _point(model)
    return None if located is None else _arguments_at(*located)


def _point(model: Model) -> tuple[X3DSpace, Factors] | None:
    """Return the model's space and factors; None where its file has none of the x3d space."""
    space, factors = model.space, model.values.get("factors")
    if not isinstance(space, X3DSpace) or not isinstance(factors, dict):
        return None
    try:
        return space, space.point_from_json(factors)
    except (TypeError, ValueError):
        return None


def _arguments_at(space: X3DSpace, point: Factors) -> Arguments:
    """Return a point as SlowFast's and PyTorchVideo's arguments: twice γw on half the width of res2."""
    res2 = space.basis.widths[0]
    base, width = (res2 // 2, 2 * point.width) if res2 % 2 == 0 else (res2, point.width)
    return Arguments(
        width=width,
        bottleneck=point.bottleneck,
        depth=point.depth,
        base=base,
        hidden=space.basis.head_width,
    )


def _checked(model: Model, targets: Sequence[Target]) -> Architecture:
    """Return the model's architecture.

    Raises:
        UserError: the network has parts that no target can build, such as shortcuts of type A.
    """
    searched, name = model.architecture, targets[0].name
    if not isinstance(searched, Architecture):
        raise UserError(
            f"{name} can only hold networks of the x3d space, but {model.name} is of another: "
            "take safetensors, onnx or torch-export."
        )
    if model.head == "frame":
        raise UserError(f"{name} must have a head for clips, but that of {model.name} is for frames.")
    if any(stage.shortcut == "A" for stage in searched.stages):
        raise UserError(
            f"{name} must have shortcuts with a convolution, but those of {model.name} are of type A."
        )
    if len(searched.stages) != len(DEPTHS):
        raise UserError(
            f"{name} must have {len(DEPTHS)} stages, but {model.name} has {len(searched.stages)}."
        )
    return searched


def _parts(network: Architecture) -> dict[str, str]:
    """Describe a network part by part, such as `width 24, inner 54, squeeze 8, depth 3` for res2."""
    stages = {f"res{number}": _stage(stage) for number, stage in zip(count(2), network.stages, strict=False)}
    head = f"conv5 {network.conv5_width}, hidden {network.head_width}"
    return {"stem": f"width {network.stem_width}", **stages, "head": head}


def _stage(stage: Stage) -> str:
    return (
        f"width {stage.width}, inner {stage.inner_width}, squeeze {stage.squeeze_width}, depth {stage.depth}"
    )


def _refusal(model: Model, closest: Agreement, targets: Sequence[Target]) -> str:
    """Write the error message: a table of both networks, and what the user can do."""
    searched, built = _parts(closest.searched), _parts(closest.built)
    name, called = closest.target.name, visible_line(model.name)
    wide = max(len(text) for text in searched.values())
    lines = [f"      {'searched':<{wide}}    {name}"]
    for part, text in searched.items():
        sign = "≠" if part in closest.differing else "="
        lines.append(f"{part:<4}  {text:<{wide}}  {sign} {built[part]}")
    near = _nearby(model, targets)
    instead = f"{near[0].upper()}{near[1:]} would agree: take that, or add" if near else "Add"
    return "\n".join(
        [
            f"{name} must build {called} exactly, but by its rounding it builds another network:",
            *lines,
            f"{instead} --allow-approximate to write the other network, without weights.",
        ]
    )


def _nearby(model: Model, targets: Sequence[Target]) -> str | None:
    """Return the next networks down and up an axis that a target can build, as `width 1.35 or 1.65`."""
    if (located := _point(model)) is None:
        return None
    space, point = located
    for axis in ("width", "bottleneck", "depth"):
        values = []
        for direction in (-1, 1):
            for steps in range(1, _REACH):
                moved = space.axes[axis].move(space, point, direction * steps)
                if moved is None:
                    break
                near, network = _arguments_at(space, moved), space.architecture(moved)
                if any(arguments_for(target, network, near) for target in targets):
                    values.append(f"{getattr(moved, axis):g}")
                    break
        if values:
            return f"{axis} {' or '.join(values)}"
    return None


def _norm_remarks(agreed: Agreement, weights: bool) -> Iterator[str]:
    """Yield a remark for each stage whose shortcut has a BatchNorm in only one of the networks."""
    name = agreed.target.name
    for number, ours, theirs in zip(count(2), agreed.searched.stages, agreed.built.stages, strict=False):
        parameters = f"{2 * ours.width} parameters"
        if ours.shortcut_norm and not theirs.shortcut_norm:
            how = "; the weights have it folded into the convolution, exact in evaluation" if weights else ""
            yield f"{name} leaves out the BatchNorm of res{number}'s shortcut, {parameters}{how}."
        if theirs.shortcut_norm and not ours.shortcut_norm:
            how = "; in the weights it changes nothing" if weights else ""
            yield f"{name} adds a BatchNorm to res{number}'s shortcut, {parameters}{how}."
