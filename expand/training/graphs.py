"""CUDA graphs: a function on tensors is recorded once and then started as a whole.

Small networks leave a GPU waiting for the next of a thousand kernels. A recorded step is a single launch of
the same kernels on the same numbers.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Protocol

import torch
from torch import Tensor

from expand.system.errors import first_line

log = logging.getLogger(__name__)

WARM_UP = 3  # calls before the recording: libraries set themselves up, an optimizer makes its state

Function = Callable[..., Tensor]


class Recording(Protocol):
    """A function as it was called once; a call does it again with new inputs of the same shapes."""

    def __call__(self, *inputs: Tensor) -> Tensor: ...


class Graphed:
    """A function that is recorded in the shapes of its first call.

        step = Graphed(function)
        step(clips, labels)     # calls 1 to 3 are calls of the function
        step(clips, labels)     # call 4 is recorded, and the recording played
        step(fewer, labels)     # other shapes: a call of the function
        step(clips, labels)     # played

    Every call is made exactly once: what the function changes (weights, statistics, random numbers) changes
    as without a graph. Where it can't be recorded, the log says why, and all calls are calls of the function.

    Args:
        function: of tensors to a tensor. It must not look at numbers on the device, and what it keeps
            between calls it must change in place.
        record: makes the recording.
    """

    def __init__(self, function: Function, record: Callable[..., Recording] | None = None) -> None:
        self._function = function
        self._record = record or CudaGraph
        self._shapes: list[tuple[torch.Size, torch.dtype]] | None = None
        self._calls = 0
        self._recording: Recording | None = None
        self._recordable = True
        # The default stream can't be recorded, and what is made in warming up belongs to its stream.
        self._stream = torch.cuda.Stream() if torch.cuda.is_available() else None  # type: ignore[no-untyped-call]

    def __call__(self, *inputs: Tensor) -> Tensor:
        if self._stream is None:
            return self._call(inputs)
        outer = torch.cuda.current_stream()
        self._stream.wait_stream(outer)
        with torch.cuda.stream(self._stream):
            output = self._call(inputs)
        outer.wait_stream(self._stream)
        return output

    def _call(self, inputs: tuple[Tensor, ...]) -> Tensor:
        shapes = [(x.shape, x.dtype) for x in inputs]
        if self._shapes is None:
            self._shapes = shapes
        if shapes != self._shapes or not self._recordable:
            return self._function(*inputs)
        self._calls += 1
        if self._calls > WARM_UP and self._recording is None:
            self._recording = self._try(inputs)
        return (self._recording or self._function)(*inputs)

    def _try(self, inputs: tuple[Tensor, ...]) -> Recording | None:
        try:
            return self._record(self._function, inputs)
        except Exception as error:  # torch's and CUDA's have no common kind
            self._recordable = False
            log.warning("no CUDA graph, so small networks train slower: %s", first_line(error))
            return None


class CudaGraph:
    """A function recorded as a CUDA graph, with buffers of its own for its inputs."""

    def __init__(self, function: Function, inputs: tuple[Tensor, ...]) -> None:
        self._inputs = [torch.empty_like(x, device="cuda") for x in inputs]
        self._graph = torch.cuda.CUDAGraph()
        # Recording runs nothing. Other threads may go on reading clips meanwhile, which takes pinned memory.
        stream = torch.cuda.current_stream()
        with torch.cuda.graph(self._graph, stream=stream, capture_error_mode="thread_local"):
            self._output = function(*self._inputs)

    def __call__(self, *inputs: Tensor) -> Tensor:
        for own, given in zip(self._inputs, inputs, strict=True):
            own.copy_(given, non_blocking=True)
        self._graph.replay()
        return self._output.clone()


def read_later(value: Tensor) -> Callable[[], float]:
    """A number of the device, sent for now and read later; nothing that is queued meanwhile is waited for."""
    host = torch.empty((), dtype=value.dtype, pin_memory=True)
    host.copy_(value, non_blocking=True)
    # Sleeps and does not spin: others may want the core.
    arrived = torch.cuda.Event(blocking=True)  # type: ignore[no-untyped-call]
    arrived.record()

    def read() -> float:
        arrived.synchronize()
        return float(host)

    return read
