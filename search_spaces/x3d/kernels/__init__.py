"""Faster ways to run the parts of an X3D network, with the same numbers; plain modules are the reference."""

from __future__ import annotations

from search_spaces.x3d.kernels.choice import plain, plain_chosen

__all__ = ["plain", "plain_chosen"]
