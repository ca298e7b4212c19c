"""The switch that turns the fast kernels off."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

_VARIABLE = "XPAND_KERNELS"  # the value `plain` turns the kernels off, in child processes too


def plain_chosen() -> bool:
    """Whether the fast kernels are turned off, so that networks run on torch's modules alone."""
    return os.environ.get(_VARIABLE) == "plain"


@contextmanager
def plain() -> Iterator[None]:
    """Turn the fast kernels off inside the block: the reference for tests and benchmarks."""
    previous = os.environ.get(_VARIABLE)
    os.environ[_VARIABLE] = "plain"
    try:
        yield
    finally:
        if previous is None:
            del os.environ[_VARIABLE]
        else:
            os.environ[_VARIABLE] = previous
