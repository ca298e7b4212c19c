"""The closed form against counts made by others' code.

Golden values: multiply-adds and parameters of SlowFast (287ec007), PyTorchVideo (f3142bb0) and X3D-Multigrid
(d63d8fe6) as built and counted by fvcore 0.1.5 and torch 2.13 on CPU, in tests/facts/*.csv and below; fvcore
itself on drawn networks.
"""

from __future__ import annotations

import csv
import re
import subprocess
import sys
import warnings
from pathlib import Path

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from search_spaces.x3d import Architecture, Factors, X3DSpace, published

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)  # fvcore scripts a loss function as it is imported
    from fvcore.nn import ActivationCountAnalysis, FlopCountAnalysis

FACTS = Path(__file__).parents[1] / "facts"
SPACE = X3DSpace()
LIKE_PYTORCHVIDEO = X3DSpace(norm_every_shortcut=False)


def rows(name: str) -> list[dict[str, str]]:
    with (FACTS / name).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def macs(point: Factors, space: X3DSpace = SPACE) -> int:
    return space.complexity(space.architecture(point)).macs


# The published networks


@pytest.mark.parametrize(
    ("name", "gmacs", "params", "params_pytorchvideo"),
    [
        ("x2d", 0.0207, 1_633_560, 1_633_512),
        ("x3d-xs", 0.6053, 3_794_322, 3_794_274),
        ("x3d-s", 1.9629, 3_794_322, 3_794_274),
        ("x3d-m", 4.7325, 3_794_322, 3_794_274),
        ("x3d-l", 18.3677, 6_153_432, 6_153_384),
        ("x3d-xl", 35.8376, 11_095_904, 11_095_840),
    ],
)
def test_published_networks(name: str, gmacs: float, params: int, params_pytorchvideo: int) -> None:
    factors = published(name).factors
    cost = SPACE.complexity(SPACE.architecture(factors))
    assert round(cost.macs / 1e9, 4) == gmacs
    assert cost.params == params
    like_pytorchvideo = LIKE_PYTORCHVIDEO.complexity(LIKE_PYTORCHVIDEO.architecture(factors))
    assert like_pytorchvideo.macs == cost.macs
    assert like_pytorchvideo.params == params_pytorchvideo


def fixed_pool_positions(train_size: int, size: int) -> int:
    """Where a pool of the training crop's map fits into the map of a larger crop, at stride 1."""
    kernel, side = -(-train_size // 32), size
    for _ in range(5):  # the stem and four stages
        side = (side + 1) // 2
    return (side - kernel + 1) ** 2


@pytest.mark.parametrize(
    "row", rows("parity.csv"), ids=lambda row: f"{row['config']}-{row['impl']}-{row['crop']}"
)
def test_other_implementations(row: dict[str, str]) -> None:
    space = {
        "slowfast": X3DSpace(width_multiple=1),  # its own X3D; only XL's widths differ for it
        "pytorchvideo": LIKE_PYTORCHVIDEO,
        "multigrid": SPACE,
    }[row["impl"]]
    crop = int(row["crop"])
    architecture = space.architecture(
        Factors(
            frames=float(row["frames"]),
            size=crop / 112,
            width=float(row["width_factor_code"]) / 2,
            bottleneck=float(row["bottleneck_factor"]),
            depth=float(row["depth_factor"]),
        )
    )
    assert architecture.size == crop
    cost = space.complexity(architecture)
    count = cost.macs
    if row["impl"] != "multigrid":
        # SlowFast and PyTorchVideo pool with a kernel fixed to the training crop. On a larger test crop it
        # fits at several places, and the two layers after it run at each. Ours and Multigrid's is global.
        train_size = {"XS": 160, "S": 160, "M": 224, "L": 312, "XL": 312}[row["config"]]
        after_pool = architecture.conv5_width * architecture.head_width + architecture.head_width * 400
        count += (fixed_pool_positions(train_size, crop) - 1) * after_pool
    assert round(count / 1e9, 4) == float(row["gmacs_conv_linear"])
    assert cost.params == int(row["params"])


def point_of(setting: str) -> Factors:
    """The point of a row of x2d_expansions.csv, such as `gw=1.25 (code 2.5)`; code is 2·γw."""
    if setting.startswith("X2D"):
        return Factors()
    if match := re.search(r"code ([\d.]+)", setting):
        return Factors(width=float(match[1]) / 2)
    key, value = setting.split(" ")[0].split("=")
    number = float(value)
    return {
        "T": Factors(frames=number),
        "crop": Factors(size=number / 112),
        "gd": Factors(depth=number),
        "gb": Factors(bottleneck=number),
    }[key]


@pytest.mark.parametrize("row", rows("x2d_expansions.csv"), ids=lambda row: row["setting"])
def test_one_expansion_from_x2d(row: dict[str, str]) -> None:
    cost = LIKE_PYTORCHVIDEO.complexity(LIKE_PYTORCHVIDEO.architecture(point_of(row["setting"])))
    assert cost.macs == int(row["macs_conv_linear"])
    assert cost.params == int(row["params"])


# The paper's way from X2D to XL. Costs of the states: as above. The rule: the largest point along the axis
# that does not cost more than twice the current one.


def largest_doubling(axis: str, point: Factors, space: X3DSpace = SPACE) -> Factors:
    limit, found = 2 * macs(point, space), point
    for steps in range(1, 200):
        grown = space.axes[axis].move(space, point, steps)
        assert grown is not None
        if macs(grown, space) > limit:
            return found
        found = grown
    raise AssertionError("no end within 200 steps")


PATH: list[tuple[str, dict[str, float], float]] = [  # axis, what it must reach, MACs in millions
    ("bottleneck", {"bottleneck": 2.25}, 41.00),
    ("fast", {"frames": 2}, 80.21),
    ("spatial", {"size": 160 / 112}, 153.40),
    ("depth", {"depth": 2.2}, 303.56),
    ("fast", {"frames": 4}, 605.26),  # XS
    ("temporal", {"frames": 8}, 1208.7),
    ("temporal", {"frames": 16}, 2415.4),
    ("spatial", {"size": 224 / 112}, 4732.5),  # M, but for its stride
    ("spatial", {"size": 312 / 112}, 9451.6),
    ("depth", {"depth": 5.0}, 18367.7),  # L
    ("width", {"width": 1.45}, 35837.6),  # XL
]


def test_doubling_along_the_papers_axes_gives_the_papers_networks() -> None:
    point = Factors()
    assert macs(point) == 20_662_304
    for axis, reached, millions in PATH:
        point = largest_doubling(axis, point)
        assert {name: getattr(point, name) for name in reached} == reached
        assert macs(point) / 1e6 == pytest.approx(millions, abs=0.05 if millions > 1000 else 0.005)
        if axis == "fast" and point.frames == 4:
            xs = published("x3d-xs").factors
            assert SPACE.architecture(point) == SPACE.architecture(xs)
            assert SPACE.sampling(point) == SPACE.sampling(xs)
        if point.frames == 16 and axis == "temporal":
            # Contracted to the paper's target of 2 G, 16×6 becomes S.
            frames = [SPACE.axes["temporal"].move(SPACE, point, -steps) for steps in range(1, 16)]
            small = next(other for other in frames if other is not None and macs(other) <= 2_000_000_000)
            s = published("x3d-s").factors
            assert SPACE.architecture(small) == SPACE.architecture(s)
            assert SPACE.sampling(small) == SPACE.sampling(s)
    assert SPACE.architecture(point) == SPACE.architecture(published("x3d-xl").factors)


def test_a_finer_grid_leaves_the_papers_bottleneck() -> None:
    fine = X3DSpace(resolution=0.01)
    point = largest_doubling("bottleneck", Factors(), fine)
    assert point.bottleneck == 2.28
    assert round(macs(point, fine) / 1e6, 1) == 41.3


# fvcore


@st.composite
def architectures(draw: st.DrawFn) -> Architecture:
    stages = draw(st.integers(1, 4))
    width = st.integers(1, 20)
    space = X3DSpace(
        frames=draw(st.integers(1, 3)),
        size=draw(st.integers(32, 70)),
        stem_width=draw(width),
        widths=draw(st.lists(width, min_size=stages, max_size=stages)),
        depths=draw(st.lists(st.integers(1, 4), min_size=stages, max_size=stages)),
        head_width=draw(st.integers(1, 30)),
        width_multiple=1,
        norm_every_shortcut=draw(st.booleans()),
    )
    factor = st.floats(0.3, 2.5)
    return space.architecture(Factors(width=draw(factor), bottleneck=draw(factor), depth=draw(factor)))


@pytest.mark.slow
@settings(max_examples=4, deadline=None, derandomize=True, database=None, phases=[Phase.generate])
@given(architecture=architectures(), num_classes=st.integers(1, 9))
def test_fvcore_counts_the_same(architecture: Architecture, num_classes: int) -> None:
    network = SPACE.build(architecture, num_classes).eval()
    clip = SPACE.example(architecture, 1)
    cost = SPACE.complexity(architecture, num_classes)
    flops = FlopCountAnalysis(network, clip)
    flops.set_op_handle("aten::batch_norm", lambda inputs, outputs: 0)
    activations = ActivationCountAnalysis(network, clip)
    modules = ["stem", *(f"stages.{number}" for number in range(len(architecture.stages))), "head"]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # fvcore traces with an API that torch is about to drop
        for analysis in (flops, activations):
            analysis.unsupported_ops_warnings(False).uncalled_modules_warnings(False)
        assert flops.total() == cost.macs
        assert activations.total() == cost.activations
        assert [flops.by_module()[name] for name in modules] == [stage.macs for stage in cost.stages]
        assert [activations.by_module()[name] for name in modules] == [
            stage.activations for stage in cost.stages
        ]
    assert [sum(p.numel() for p in network.get_submodule(name).parameters()) for name in modules] == [
        stage.params for stage in cost.stages
    ]


# Around the count


def test_stages_have_the_names_of_the_paper() -> None:
    stages = SPACE.complexity(SPACE.architecture(Factors())).stages
    assert [stage.name for stage in stages] == ["stem", "res2", "res3", "res4", "res5", "head"]


def test_classes_change_the_classifier_only() -> None:
    architecture = SPACE.architecture(Factors())
    paper, own = SPACE.complexity(architecture), SPACE.complexity(architecture, num_classes=10)
    assert paper.stages[:-1] == own.stages[:-1]
    assert paper.macs - own.macs == 390 * 2048
    assert paper.params - own.params == 390 * 2049
    assert paper.activations - own.activations == 390


def test_counting_imports_no_torch() -> None:
    code = (
        "import sys\n"
        "from search_spaces.x3d import Architecture, Basis, Factors, X3DSpace, published\n"
        "from search_spaces.x3d import architecture, complexity, factors, space\n"
        "x3d = X3DSpace()\n"
        "x3d.complexity(x3d.architecture(published('x3d-m').factors))\n"
        "sys.exit(' '.join({'torch', 'numpy'} & set(sys.modules)) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
