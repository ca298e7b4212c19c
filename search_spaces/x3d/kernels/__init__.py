"""Fast kernels for the modules of an X3D network, whose results are those of torch's plain modules.

The modules in layers.py use them by themselves, where they can. Callers turn them off by the context
`switch.plain`, ask whether they are off by `switch.plain_chosen`, and load the CPU kernels by
`build.load_kernels`.
"""

from __future__ import annotations

from search_spaces.x3d.kernels.switch import plain, plain_chosen

__all__ = ["plain", "plain_chosen"]
