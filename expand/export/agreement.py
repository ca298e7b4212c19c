"""Arguments with which another project builds exactly the searched network, or why there are none."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import count

from expand.export.solve import arguments_for, closest_arguments
from expand.export.targets import DEPTHS, Arguments, Target
from expand.system.errors import OtherNetwork, UserError
from expand.system.escaping import visible_line
from expand.system.units import show_count
from expand.weights.models import Model
from search_spaces.x3d import Factors, X3DSpace
from search_spaces.x3d.architecture import Architecture, Stage
from search_spaces.x3d.complexity import complexity

_REACH = 60  # grid steps, up and down, in which a network that agrees is looked for


@dataclass(frozen=True, kw_only=True, slots=True)
class Agreement:
    """How a target is told of a network, and what it builds.

    Attributes:
        target: whose X3D it is.
        arguments: for it.
        built: what it builds from them.
        searched: what it should build.
    """

    target: Target
    arguments: Arguments
    built: Architecture
    searched: Architecture

    @property
    def differing(self) -> tuple[str, ...]:
        """The parts in which the two differ, such as res4; BatchNorms of shortcuts are left out."""
        built, searched = _parts(self.built), _parts(self.searched)
        return tuple(name for name in searched if searched[name] != built[name])

    @property
    def exact(self) -> bool:
        return not self.differing

    def remarks(self, *, classes: int, weights: bool) -> tuple[str, ...]:
        """What a user must know of the two networks, in sentences.

        Args:
            classes: outputs of both.
            weights: whether weights are written too.
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
    """The first target that builds exactly this network, with its arguments.

    With `allow_approximate`, where there is none: the target that differs in the fewest parts.

    Raises:
        UserError: no target can hold such a network, or none builds exactly this one.
    """
    searched = _checked(model, targets)
    told = told_by_factors(model)
    found = []
    for target in targets:
        arguments = arguments_for(target, searched, told)
        exact = arguments is not None
        arguments = arguments or closest_arguments(target, searched, told)
        built = target.build(arguments, frames=searched.frames, size=searched.size)
        found.append(Agreement(target=target, arguments=arguments, built=built, searched=searched))
        if exact:
            return found[-1]
    closest = min(found, key=lambda each: len(each.differing))
    if not allow_approximate:
        raise OtherNetwork(_refusal(model, closest, targets))
    return closest


def told_by_factors(model: Model) -> Arguments | None:
    """The model's own factors as arguments; None where it does not say them."""
    told = _point(model)
    return None if told is None else _arguments_at(*told)


def _point(model: Model) -> tuple[X3DSpace, Factors] | None:
    """The model's own factors; None where its file has none, or none of the x3d space."""
    space, factors = model.space, model.values.get("factors")
    if not isinstance(space, X3DSpace) or not isinstance(factors, dict):
        return None
    try:
        return space, space.point_from_json(factors)
    except (TypeError, ValueError):
        return None


def _arguments_at(space: X3DSpace, point: Factors) -> Arguments:
    """A point as SlowFast and PyTorchVideo write it: twice γw on half of the width of res2."""
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
    """The model's architecture, where the targets' networks have such parts at all."""
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
    """What a network consists of, part by part, in words."""
    stages = {f"res{number}": _stage(stage) for number, stage in zip(count(2), network.stages, strict=False)}
    head = f"conv5 {network.conv5_width}, hidden {network.head_width}"
    return {"stem": f"width {network.stem_width}", **stages, "head": head}


def _stage(stage: Stage) -> str:
    return (
        f"width {stage.width}, inner {stage.inner_width}, squeeze {stage.squeeze_width}, depth {stage.depth}"
    )


def _refusal(model: Model, closest: Agreement, targets: Sequence[Target]) -> str:
    """Both networks side by side, and what to do."""
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
    """The next networks that agree, down and up one axis of the same space, such as `width 1.35 or 1.65`."""
    if (told := _point(model)) is None:
        return None
    space, point = told
    for axis in ("width", "bottleneck", "depth"):
        found = []
        for direction in (-1, 1):
            for steps in range(1, _REACH):
                moved = space.axes[axis].move(space, point, direction * steps)
                if moved is None:
                    break
                near, network = _arguments_at(space, moved), space.architecture(moved)
                if any(arguments_for(target, network, near) for target in targets):
                    found.append(f"{getattr(moved, axis):g}")
                    break
        if found:
            return f"{axis} {' or '.join(found)}"
    return None


def _norm_remarks(found: Agreement, weights: bool) -> Iterator[str]:
    """Where the BatchNorms of the stages' shortcuts are not the same."""
    name = found.target.name
    for number, ours, theirs in zip(count(2), found.searched.stages, found.built.stages, strict=False):
        parameters = f"{2 * ours.width} parameters"
        if ours.shortcut_norm and not theirs.shortcut_norm:
            how = "; the weights have it folded into the convolution, exact in evaluation" if weights else ""
            yield f"{name} leaves out the BatchNorm of res{number}'s shortcut, {parameters}{how}."
        if theirs.shortcut_norm and not ours.shortcut_norm:
            how = "; in the weights it changes nothing" if weights else ""
            yield f"{name} adds a BatchNorm to res{number}'s shortcut, {parameters}{how}."
