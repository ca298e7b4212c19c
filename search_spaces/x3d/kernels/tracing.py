"""Whether tracing, compiling or functorch must see the plain modules, so that no kernel may replace them."""

from __future__ import annotations

import torch
from torch.utils._python_dispatch import is_in_torch_dispatch_mode


def watched() -> bool:
    """Whether operations on tensors are traced, compiled, counted or transformed just now."""
    return (
        torch.jit.is_tracing()  # type: ignore[attr-defined, no-untyped-call]
        or torch.compiler.is_compiling()
        or torch._C._are_functorch_transforms_active()
        or is_in_torch_dispatch_mode()
    )
