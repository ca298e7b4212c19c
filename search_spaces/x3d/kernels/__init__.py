"""Fast kernels for the modules of an X3D network, whose results are those of torch's plain modules."""

from __future__ import annotations

from search_spaces.x3d.kernels.switch import plain, plain_chosen

__all__ = ["plain", "plain_chosen"]
