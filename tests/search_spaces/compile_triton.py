"""Compiles the Triton kernels for an H100, which needs none, and says what they take: a JSON object a line.

A program of its own, because Triton either compiles or interprets in a process.
"""

from __future__ import annotations

import json
import math
import re
from typing import Any

import triton
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource

from search_spaces.x3d.kernels import triton_depthwise, triton_kernels

H100 = GPUTarget("cuda", 90, 32)


def compiled(kernel: Any, channels: int, precision: str, constants: dict[str, int]) -> dict[str, object]:
    """What a kernel takes for 28×28 images."""
    sums = kernel is triton_kernels.sum_products
    pixels, each = (
        (triton_depthwise.SUM_PIXELS, triton_depthwise.SUM_EACH)
        if sums
        else (triton_depthwise.MAP_PIXELS, triton_depthwise.MAP_EACH)
    )
    tile = triton_depthwise.tile_of(channels, 28, 28, pixels=pixels, each=each)
    constants = constants | {
        "UNIT": math.gcd(channels, triton_depthwise.VECTOR),
        "TILE_H": tile.height,
        "TILE_W": tile.width,
        "TILE_C": tile.channels,
    }
    names = kernel.arg_names
    pointers = {name for name in names if name.endswith("_pointer")}
    signature = {
        name: "constexpr"
        if name in constants
        else ("*fp32" if name == "parts_pointer" else f"*{precision}" if name in pointers else "i32")
        for name in names
    }
    source = ASTSource(
        kernel,
        signature,
        constexprs={(names.index(name),): value for name, value in constants.items()},
        attrs={(names.index(name),): [["tt.divisibility", 16]] for name in pointers},
    )
    ptx = triton.compile(source, target=H100, options={"num_warps": tile.warps}).asm["ptx"]
    vectors = [int(width or 1) for width in re.findall(r"ld\.global(?:\.v(\d))?\.b32", ptx)]
    return {"kernel": kernel.fn.__name__, "bytes_a_load": 4 * max(vectors), "atomics": "atom." in ptx}


def main() -> None:
    cube, line = {"KT": 3, "KH": 3, "KW": 3}, {"KT": 5, "KH": 1, "KW": 1}
    for kernel, channels, precision, constants in (
        (triton_kernels.map_frames, 432, "bf16", {**cube, "DOWN": 1, "UP": 1}),
        (triton_kernels.map_frames, 54, "bf16", {**cube, "DOWN": 1, "UP": 2}),
        (triton_kernels.map_frames, 24, "fp32", {**line, "DOWN": 1, "UP": 1}),
        (triton_kernels.sum_products, 432, "bf16", {**cube, "STRIDE": 2}),
    ):
        print(json.dumps(compiled(kernel, channels, precision, constants)))  # noqa: T201


if __name__ == "__main__":
    main()
