"""Times networks that a search has found, on the device that its profile is of."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

from expand.config.profile import ProfileConfig
from expand.config.spaces import Space
from expand.profiling.runtimes import prepared_network
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
    try:
        runs = [
            prepared_network(
                space,
                architecture,
                num_classes,
                batch=profile.batch,
                runtime=profile.runtime,
                device=profile.device,
                threads=profile.threads,
            )
            for architecture in architectures
        ]
    except UserError as error:
        log.warning("what was found is not timed: %s", error)
        return None
    return [round(time) for time in timed(runs, profile.threads)]
