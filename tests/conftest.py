"""What holds for every test."""

from __future__ import annotations

import os

from torch.utils.cpp_extension import get_default_build_root

# Tests have caches of their own, but the compiled kernels are built once for all of them.
os.environ.setdefault("TORCH_EXTENSIONS_DIR", get_default_build_root())
