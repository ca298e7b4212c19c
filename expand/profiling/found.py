"""Times networks that a search has found, on the device that its profile is of."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

import torch

from expand.config.profile import ProfileConfig
from expand.config.spaces import Space
from expand.profiling.runtimes import prepared
from expand.profiling.timing import timed
from expand.system.errors import UserError
from expand.system.machine import describe_machine
from expand.training.devices import has_device

log = logging.getLogger(__name__)


def time_networks(
    profile: ProfileConfig, space: Space, architectures: Sequence[Any], num_classes: int
) -> list[int] | None:
    """The nanoseconds that networks take as the profile's did, in turns; None: this is not its device.

    Args:
        profile: says what runs the networks, and where.
        space: of the architectures.
        architectures: of the networks.
        num_classes: of the networks.
    """
    own, here = profile.machine.get("processor"), describe_machine()["processor"]
    if own != here or not has_device(profile.device):
        log.warning("what was found is not timed: the profile is of %s, and this is %s", own, here)
        return None
    threads = torch.get_num_threads()
    torch.set_num_threads(profile.threads)
    try:
        runs = []
        for architecture in architectures:
            network = space.build(architecture, num_classes)
            clips = torch.rand_like(space.example(architecture, profile.batch))
            runs.append(prepared(network, clips, profile.runtime, profile.device, profile.threads))
        return [round(time) for time in timed(runs)]
    except UserError as error:
        log.warning("what was found is not timed: %s", error)
        return None
    finally:
        torch.set_num_threads(threads)
