"""Benchmarks of data: loading a batch against a training step, and building a cache against PyAV."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path

import av
import numpy as np
from av.video.frame import VideoFrame
from av.video.stream import VideoStream
from torch import nn

from expand.bench.decoding import decode_all
from expand.bench.harness import Comparison, Figures, Timing, alternate
from expand.bench.trajectory import TRAJECTORY
from expand.config.data import CacheConfig, DataConfig, SyntheticConfig
from expand.config.training import TrainingConfig
from expand.data import pool
from expand.data.base import Decoded
from expand.data.cache import open_cache
from expand.data.cache_needs import CacheNeeds, cache_needs
from expand.data.cache_reader import Cached
from expand.data.clips import Augment, Batch, train_batches
from expand.data.file_source import FileSource
from expand.data.sources import open_source
from expand.data.synthetic import FPS, SyntheticSource
from expand.system.cores import cores
from expand.training.devices import place_network, prepare
from expand.training.trainer import make_optimizer, training_step
from search_spaces.base import ClipSampling
from search_spaces.x3d import X3DSpace
from search_spaces.x3d.factors import Factors

CLASSES = 12
SHARE = 10.0  # the largest cost of loading a batch, in percent of a training step

_BATCH = 16
_JITTER = (1.0, 1.25)
VIDEOS = 96  # videos in the cache that batches are read from
_CLIPS = 1 << 20  # more clips than are read

# The needs of the first rounds of a search on the data set motion.
_NEEDS = CacheNeeds(short_side=80, fps=10)
RENDERED = SyntheticConfig(train=72, val=24, size=160)
_DECODED = 32  # videos in a job of a decoding process


def measure_batches(*, rounds: int = 7) -> Figures:
    """Measure the milliseconds of loading a batch and of the training step on it, on one thread.

    The architectures are those from X2D to X3D-XS, and the first ones of the default search. The videos are
    synthetic, cached at the size that the largest architecture of each series needs, so most clips are
    resized. A row's `share` is the batch in percent of the step; it should stay under SHARE.

    Args:
        rounds: timed batches and steps of each architecture.
    """
    prepare("cpu", threads=1, seed=0)
    small = {
        f"32², {frames} frame{'s' if frames > 1 else ''}": Factors(frames=frames, rate=frames)
        for frames in (1, 2, 4)
    }
    rows = [
        *_batch_rows(X3DSpace(size=32), small, rounds),
        *_batch_rows(X3DSpace(), TRAJECTORY, rounds),
    ]
    return Figures(benchmark="data batches", unit="ms a batch of 16", rows=rows, settings={"rounds": rounds})


def _batch_rows(space: X3DSpace, points: Mapping[str, Factors], rounds: int) -> Iterator[Comparison]:
    samplings = {name: space.sampling(point) for name, point in points.items()}
    needs = cache_needs(DataConfig(jitter=_JITTER), tuple(samplings.values()))
    with tempfile.TemporaryDirectory() as folder:
        cached = _synthetic(needs, Path(folder))
        for name, point in points.items():
            yield _batch_row(name, space, point, samplings[name], cached, rounds)


def _synthetic(needs: CacheNeeds, folder: Path) -> Cached:
    config = DataConfig(
        format="synthetic",
        synthetic=SyntheticConfig(train=VIDEOS, val=CLASSES, size=max(96, needs.short_side)),
        cache=CacheConfig(folder=folder),
    )
    return open_cache(open_source(config), needs, config, processes=cores())


def _batch_row(
    name: str, space: X3DSpace, point: Factors, sampling: ClipSampling, cached: Cached, rounds: int
) -> Comparison:
    batches = train_batches(
        cached.train,
        sampling,
        augment=Augment(swaps=tuple(range(CLASSES)), jitter=_JITTER),
        batch_size=_BATCH,
        clips=_CLIPS,
        seed=0,
    )
    read: list[Batch] = []

    def load() -> None:
        read[:] = [next(batches)]

    network = place_network(space.build(space.architecture(point), CLASSES), "cpu")
    network.train()
    train = partial(
        training_step,
        network,
        make_optimizer(network, TrainingConfig()),
        nn.CrossEntropyLoss(),
        device="cpu",
        micro_batch=_BATCH,
    )
    timings = alternate({"batch": load, "step": lambda: train(*read[0])}, rounds=rounds)
    share = 100 * timings["batch"].fastest / timings["step"].fastest
    return Comparison(
        name=name, timings=timings, baseline="step", facts={"sampling": str(sampling), "share": share}
    )


def measure_cache(folder: Path | None = None, *, rounds: int = 3) -> Figures:
    """Measure the seconds of building the cache of a folder of videos, and of PyAV decoding them.

    A cache is built from scratch on all cores: videos are hashed, headers read, frames decoded, scaled to a
    short side of 80 pixels at 10 frames a second, and written with checksums. PyAV decodes every frame and
    discards it, in as many processes with one thread each, its fastest way for many videos. Starting the
    processes is included in both. The ratio is xpand's throughput over PyAV's.

    Args:
        folder: a folder of videos, as `data.path`; None renders a few of 160 pixels and 3 seconds.
        rounds: timed builds, after one that does not count.
    """
    with tempfile.TemporaryDirectory() as rendered:
        if folder is None:
            _render(Path(rendered))
        name = "rendered videos" if folder is None else folder.resolve().name
        return _measure_cache(name, folder or Path(rendered), rounds)


def _measure_cache(name: str, folder: Path, rounds: int) -> Figures:
    source = open_source(DataConfig(path=folder))
    assert isinstance(source, FileSource)
    paths = [str(source.path(item)) for items in source.splits.values() for item in items]
    chunks = [paths[at : at + _DECODED] for at in range(0, len(paths), _DECODED)]

    def decode() -> None:
        for _ in pool.work(decode_all, None, chunks, processes=cores()):
            pass

    seconds: dict[str, list[float]] = {"xpand": [], "pyav": []}
    for _ in range(1 + rounds):
        with tempfile.TemporaryDirectory() as cache:
            calls: dict[str, Callable[[], object]] = {
                "xpand": partial(_build, folder, Path(cache)),
                "pyav": decode,
            }
            for way, timing in alternate(calls, rounds=1, scale=1, warm_up=0).items():
                seconds[way].append(timing.fastest)
    row = Comparison(
        name=name,
        timings={way: Timing.of(values[1:]) for way, values in seconds.items()},
        baseline="pyav",
        facts={"videos": len(paths), "short_side": _NEEDS.short_side, "fps": _NEEDS.fps},
    )
    return Figures(benchmark="data cache", unit="s to decode", rows=[row], settings={"rounds": rounds})


def _build(folder: Path, cache: Path) -> None:
    config = DataConfig(path=folder, cache=CacheConfig(folder=cache))
    open_cache(open_source(config), _NEEDS, config, processes=cores())


def _render(folder: Path) -> None:
    """Write class folders of synthetic videos as H.264 files."""
    source = SyntheticSource(config=RENDERED)
    for item in source.splits["train"]:
        path = folder / source.classes[item.label] / f"{Path(item.key).name}.mp4"
        path.parent.mkdir(exist_ok=True)
        with av.open(os.fspath(path), "w") as container:
            stream = container.add_stream("libx264", rate=FPS)
            assert isinstance(stream, VideoStream)
            stream.width = stream.height = RENDERED.size
            stream.pix_fmt = "yuv420p"
            (drawn,) = source.read(
                [item], lambda seconds: np.arange(0, seconds, 1 / FPS), short_side=RENDERED.size
            )
            assert isinstance(drawn, Decoded)
            for pixels in drawn.frames:
                container.mux(stream.encode(VideoFrame.from_ndarray(pixels, format="rgb24")))
            container.mux(stream.encode())
