"""Whether the fast ways are used at all."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

_VARIABLE = "XPAND_KERNELS"  # `plain` switches the fast ways off, in every process


def plain_chosen() -> bool:
    """Whether networks run on torch's own modules alone."""
    return os.environ.get(_VARIABLE) == "plain"


@contextmanager
def plain() -> Iterator[None]:
    """Within it, networks run on torch's own modules alone: the reference of tests and benchmarks."""
    previous = os.environ.get(_VARIABLE)
    os.environ[_VARIABLE] = "plain"
    try:
        yield
    finally:
        if previous is None:
            del os.environ[_VARIABLE]
        else:
            os.environ[_VARIABLE] = previous
