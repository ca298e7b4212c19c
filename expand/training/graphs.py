"""CUDA graphs: records the kernels of a function on tensors once, then launches all of them in one call.

A training step of a small network is a thousand short kernels, between which the GPU waits for the next
launch. The recorded step runs the same kernels on the same numbers, without the waiting.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Protocol

import torch
from torch import Tensor

from expand.system.errors import first_line

log = logging.getLogger(__name__)

# Calls before the recording, in which libraries are initialised and the optimizer allocates its state.
WARM_UP = 3

Function = Callable[..., Tensor]


class Recording(Protocol):
    """A recorded call of a function; calling it runs the function on new inputs of the same shapes."""

    def __call__(self, *inputs: Tensor) -> Tensor: ...


class Graphed:
    """A function that is recorded as a CUDA graph, for inputs with the shapes of its first call.

        step = Graphed(function)
        step(clips, labels)     # calls 1 to 3 call the function
        step(clips, labels)     # call 4 records the function, and replays the recording
        step(fewer, labels)     # other shapes: calls the function
        step(clips, labels)     # replays the recording

    The function takes effect exactly once in each call: what it changes (weights, statistics, random numbers)
    changes as without a graph. If it cannot be recorded, a warning in the log says why, and every call calls
    the function.

    Args:
        function: maps tensors to a tensor. It must not read values from the device, and must change in place
            whatever it keeps between calls.
        record: makes the recording; None: `CudaGraph`.
    """

    def __init__(self, function: Function, record: Callable[..., Recording] | None = None) -> None:
        self._function = function
        self._record = record or CudaGraph
        self._shapes: list[tuple[torch.Size, torch.dtype]] | None = None
        self._calls = 0
        self._recording: Recording | None = None
        self._recordable = True
        # The default stream can't be recorded, and tensors made during the warm-up belong to its stream.
        self._stream = torch.cuda.Stream() if torch.cuda.is_available() else None  # type: ignore[no-untyped-call]

    def __call__(self, *inputs: Tensor) -> Tensor:
        if self._stream is None:
            return self._run(inputs)
        outer = torch.cuda.current_stream()
        self._stream.wait_stream(outer)
        with torch.cuda.stream(self._stream):
            output = self._run(inputs)
        outer.wait_stream(self._stream)
        return output

    def _run(self, inputs: tuple[Tensor, ...]) -> Tensor:
        """Call the function, record it, or replay the recording."""
        shapes = [(x.shape, x.dtype) for x in inputs]
        if self._shapes is None:
            self._shapes = shapes
        if shapes != self._shapes or not self._recordable:
            return self._function(*inputs)
        self._calls += 1
        if self._calls > WARM_UP and self._recording is None:
            self._recording = self._try_to_record(inputs)
        return (self._recording or self._function)(*inputs)

    def _try_to_record(self, inputs: tuple[Tensor, ...]) -> Recording | None:
        """The recording; None, with a warning in the log, if the function cannot be recorded."""
        try:
            return self._record(self._function, inputs)
        except Exception as error:  # torch's and CUDA's errors have no common class
            self._recordable = False
            log.warning("no CUDA graph, so small networks run slower: %s", first_line(error))
            return None


class CudaGraph:
    """A function recorded as a CUDA graph, with buffers of its own for its inputs."""

    def __init__(self, function: Function, inputs: tuple[Tensor, ...]) -> None:
        self._inputs = [torch.empty_like(x, device="cuda") for x in inputs]
        self._graph = torch.cuda.CUDAGraph()
        # Recording executes no kernel. "thread_local" lets other threads read clips meanwhile, for which they
        # allocate pinned memory.
        stream = torch.cuda.current_stream()
        with torch.cuda.graph(self._graph, stream=stream, capture_error_mode="thread_local"):
            self._output = function(*self._inputs)

    def __call__(self, *inputs: Tensor) -> Tensor:
        for own, given in zip(self._inputs, inputs, strict=True):
            own.copy_(given, non_blocking=True)
        self._graph.replay()
        return self._output.clone()


def read_later(value: Tensor) -> Callable[[], float]:
    """Start to copy a number from the device; the returned function waits for that copy and gives the number.

    It does not wait for kernels that were queued after the copy.
    """
    host = torch.empty((), dtype=value.dtype, pin_memory=True)
    host.copy_(value, non_blocking=True)
    # "blocking" waits by sleeping, not by spinning, and so leaves the core to other processes.
    arrived = torch.cuda.Event(blocking=True)  # type: ignore[no-untyped-call]
    arrived.record()

    def read() -> float:
        arrived.synchronize()
        return float(host)

    return read
