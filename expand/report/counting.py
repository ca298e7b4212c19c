"""`xpand count`: the cost of a published network, a model file, or a point of the X3D space."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Group, RenderableType
from rich.text import Text

from expand.config.profile import read_profile
from expand.search.costs import activation_bytes, weight_bytes
from expand.search.latency import predicted
from expand.system.errors import UserError
from expand.system.folders import MODELS, STUDY
from expand.system.listing import Listing
from expand.system.units import show_bytes, show_count, show_milliseconds
from search_spaces.base import ClipSampling, Complexity, Json, peak_of
from search_spaces.x3d import Factors, X3DSpace, published
from search_spaces.x3d.factors import PUBLISHED

if TYPE_CHECKING:
    from torch import Tensor, nn

VIEWS = (1, 10, 30)  # numbers of views of a video whose cost is shown


@dataclass(frozen=True, kw_only=True, slots=True)
class NetworkCount:
    """A network with its cost for one clip.

    Attributes:
        name: its name, for the heading.
        space: its search space.
        architecture: its architecture in that space.
        sampling: the clips that it sees.
        classes: number of outputs of the classifier.
        complexity: its cost for one such clip.
        test: (size in pixels, cost) of a clip of the published 30-view test; None where none is published.
        latency: what a profile predicts for it, in nanoseconds, and the profile in words; None: no profile.
    """

    name: str
    space: Any
    architecture: Any
    sampling: ClipSampling
    classes: int
    complexity: Complexity
    test: tuple[int, Complexity] | None = None
    latency: tuple[int, str] | None = None

    @property
    def weights(self) -> int:
        """The bytes of its parameters in float32."""
        return weight_bytes(self.space, self.architecture, self.classes)

    @property
    def peak(self) -> int | None:
        """The bytes of activations in memory at once for one clip; None: the space does not say."""
        if peak_of(self.space) is None:
            return None
        return activation_bytes(self.space, self.architecture, self.classes)

    def views(self, views: int) -> tuple[int, int]:
        """Return (size of a clip in pixels, MACs of all views); 30 views have the size of `test`, if any."""
        size, complexity = self.test if views == 30 and self.test else (self.sampling.size, self.complexity)
        return size, views * complexity.macs

    def to_json(self) -> Json:
        return {
            "name": self.name,
            "frames": self.sampling.frames,
            "stride": self.sampling.stride,
            "size": self.sampling.size,
            "classes": self.classes,
            "macs": self.complexity.macs,
            "params": self.complexity.params,
            "activations": self.complexity.activations,
            "weights": self.weights,
            "peak": self.peak,
            **({} if self.latency is None else {"predicted_latency": self.latency[0]}),
            "views": {str(n): dict(zip(("size", "macs"), self.views(n), strict=True)) for n in VIEWS},
            "stages": [
                {"name": s.name, "macs": s.macs, "params": s.params, "activations": s.activations}
                for s in self.complexity.stages
            ],
        }


def counted(
    network: str | None,
    factors: str | None,
    profile: Path | None = None,
    model: str | None = None,
    candidate: str | None = None,
) -> NetworkCount:
    """Count the network that `xpand count` is given.

    Args:
        network: the name of a published network, the folder of a run or a training, or a model file.
        factors: factors of the X3D space, such as `bottleneck=2.25,depth=2.2`.
        profile: the profile of a device (`xpand profile`), whose latency is predicted; None: of none.
        model: a model of the run that `network` is, such as `target-80M`; None: its only one.
        candidate: a candidate of that run, such as `2/depth`.

    Raises:
        UserError: neither or both are given, there is no such network, a factor is wrong, or the profile is
            none of this space, or the run has no such candidate.
    """
    return _timed(_counted(network, factors, model, candidate), profile)


def published_counts(profile: Path | None = None) -> list[NetworkCount]:
    """Count the published networks."""
    return [counted(name, None, profile) for name in PUBLISHED]


def run_counts(reference: str, profile: Path | None = None) -> list[NetworkCount] | None:
    """Count the models of a run, the smallest first; None: `reference` is no search, or has one model."""
    folder = Path(reference)
    names = [path.stem for path in (folder / MODELS).glob("*.yaml")] if (folder / STUDY).is_file() else []
    if len(names) < 2:
        return None
    found = [counted(reference, None, profile, name) for name in sorted(names)]
    return sorted(found, key=lambda one: one.complexity.macs)


def _timed(found: NetworkCount, profile: Path | None) -> NetworkCount:
    """Add what a profile predicts, if there is one."""
    if profile is None:
        return found
    device = read_profile(profile)
    time = predicted(found.space, found.architecture, found.classes, device.pace)
    beyond = f"; extrapolated, from networks of up to {show_count(device.macs[1])} MACs"
    words = device.words + (beyond if device.extrapolates(found.complexity.macs) else "")
    return replace(found, latency=(time, words))


def _counted(
    network: str | None, factors: str | None, name: str | None, candidate: str | None
) -> NetworkCount:
    if (network is None) == (factors is None):
        raise UserError(
            f"name one network, a model's YAML or --factors: networks are {', '.join(PUBLISHED)}."
        )
    if factors is not None:
        return _of_factors(f"x3d at {factors}", parse_factors(factors))
    assert network is not None
    if network.lower() in PUBLISHED and name is None and candidate is None:
        found = published(network)
        return _of_factors(found.name, found.factors, found.test_size)
    return _of_model(network, name, candidate)


def parse_factors(text: str) -> Factors:
    """Parse factors such as `bottleneck=2.25,depth=2.2`; those not named are 1.

    Raises:
        UserError: an unknown factor, or a value that is no number above 0.
    """
    known = X3DSpace().point_to_json(Factors())
    values: dict[str, float] = {}
    for part in text.split(","):
        name, _, number = part.partition("=")
        name = name.strip()
        if name not in known:
            raise UserError(f"factors must be among {', '.join(known)}, got {name!r}.")
        try:
            values[name] = float(number)
        except ValueError:
            raise UserError(f"factor {name} must be a number above 0, got {number!r}.") from None
    try:
        return Factors(**values)
    except ValueError as error:
        raise UserError(str(error)) from None


def _of_factors(name: str, factors: Factors, test_size: int | None = None) -> NetworkCount:
    space = X3DSpace()
    architecture = space.architecture(factors)
    test = None
    if test_size is not None:
        test = (test_size, space.complexity(space.resized(architecture, test_size)))
    return NetworkCount(
        name=name,
        space=space,
        architecture=architecture,
        sampling=space.sampling(factors),
        classes=400,
        complexity=space.complexity(architecture),
        test=test,
    )


def _of_model(reference: str, name: str | None, candidate: str | None) -> NetworkCount:
    from expand.run.candidates import chosen_model

    model = chosen_model(reference, name, candidate)
    return NetworkCount(
        name=model.name,
        space=model.space,
        architecture=model.architecture,
        sampling=model.sampling,
        classes=len(model.classes),
        complexity=model.space.complexity(model.architecture, len(model.classes)),
    )


def verified(found: NetworkCount) -> Json:
    """Build the network and count it by fvcore: MACs, parameters, and whether both equal the closed form."""
    network = found.space.build(found.architecture, found.classes).eval()
    macs = macs_by_fvcore(network, found.space.example(found.architecture, 1))
    params = sum(parameter.numel() for parameter in network.parameters())
    equal = macs == found.complexity.macs and params == found.complexity.params
    return {"macs": macs, "params": params, "equal": equal}


def macs_by_fvcore(network: nn.Module, clips: Tensor) -> int:
    """Return a network's multiply-adds for these clips, traced by fvcore; BatchNorm is left out."""
    import torch

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # fvcore imports deprecated parts of torch
        from fvcore.nn import FlopCountAnalysis

    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")
        analysis = FlopCountAnalysis(network, clips).set_op_handle("aten::batch_norm", lambda *_: 0)
        return int(analysis.unsupported_ops_warnings(False).uncalled_modules_warnings(False).total())


def render(found: NetworkCount, check: Json | None) -> RenderableType:
    """Return the table of a network's cost by stage, and its cost for several views.

    Args:
        found: the network.
        check: the count of fvcore, from `verified`; None if it is not wanted.
    """
    lines = [f"{found.name}: clip {found.sampling}, {found.classes} classes; multiply-adds of one clip"]
    views = []
    for count in VIEWS:
        size, macs = found.views(count)
        views.append(f"  {count:>2} {'view ' if count == 1 else 'views'} at {size}²: {show_count(macs)} MACs")
    memory = "" if found.peak is None else f", activations in memory at once {show_bytes(found.peak)}"
    after = f"  weights {show_bytes(found.weights)}{memory} (float32)\n" + "\n".join(views)
    if found.latency is not None:
        nanoseconds, device = found.latency
        after += f"\n  predicted latency {show_milliseconds(nanoseconds / 1e9)} ({device})"
    if check is not None:
        verdict = "equal" if check["equal"] else "DIFFERENT"
        after += f"\nfvcore: {check['macs']:,} MACs, {check['params']:,} parameters: {verdict}"
    return Group(Text(lines[0]), _table(found.complexity), Text(after))


def _table(complexity: Complexity) -> Listing:
    """Return the table of MACs, parameters and activations by stage, for one clip."""
    numbers = ("MACs", "parameters", "activations")
    table = Listing(["stage", *numbers], right=numbers, spare=["activations", "parameters"], gap=2)
    for stage in complexity.stages:
        table.row(stage.name, f"{stage.macs:,}", f"{stage.params:,}", f"{stage.activations:,}")
    whole = (f"{complexity.macs:,}", f"{complexity.params:,}", f"{complexity.activations:,}")
    table.row("total", *whole, style="bold")
    return table


def networks_table(networks: Sequence[NetworkCount], *, verify: bool) -> Listing:
    """Return the table of several networks.

    Args:
        networks: the networks.
        verify: whether to say if fvcore counts the same.
    """
    timed = any(found.latency is not None for found in networks)
    numbers = ("MACs", "parameters", "activations", *(["latency"] if timed else []))
    headings = ["network", "clip", *numbers, *(["fvcore"] if verify else [])]
    table = Listing(headings, right=headings[2:], spare=["activations", "parameters", "clip"])
    for found in networks:
        cost = found.complexity
        cells = [f"{cost.macs:,}", f"{cost.params:,}", f"{cost.activations:,}"]
        if timed:
            cells.append("" if found.latency is None else show_milliseconds(found.latency[0] / 1e9))
        if verify:
            cells.append("equal" if verified(found)["equal"] else "DIFFERENT")
        table.row(found.name, str(found.sampling), *cells)
    return table
