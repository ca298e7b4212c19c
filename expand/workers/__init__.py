"""Workers, which train candidates: in this process, in local processes, or on a Ray cluster.

    with open_workers(2) as workers:
        for ended in workers.run([Task(folder) for folder in folders]):   # in the order in which they end
            read_result(ended.folder)         # a Measurement or a Failure, unless ended.lost is set

Other packages call `workers.open_workers`, or `supervisor.Supervised` with `cluster.Cluster` for Ray. Workers
get the folders of jobs, and know nothing of a search. A job whose worker dies is retried from its last epoch,
three times at most. A job that exceeds its time limit is ended, with a Failure as its result. Leaving the
`with` block early, by an exception or a signal, ends all processes at once.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence

from expand.workers.base import TRAINER, Ended, Task, Workers

__all__ = ["TRAINER", "Ended", "Task", "Workers", "open_workers"]


@contextlib.contextmanager
def open_workers(count: int, *, gpus: Sequence[str] = (), trainer: str = TRAINER) -> Iterator[Workers]:
    """Open one worker in this process, or several local processes.

    Args:
        count: number of workers.
        gpus: names of CUDA devices, as in CUDA_VISIBLE_DEVICES, that the processes are spread over.
        trainer: the function that does a job, as `module:function`; its argument is the job's folder.
    """
    if count == 1:
        from expand.workers.in_process import Here

        yield Here(trainer)
        return
    from expand.workers.local import LocalProcesses
    from expand.workers.supervisor import Supervised

    processes = LocalProcesses(count, gpus=gpus, trainer=trainer)
    try:
        yield Supervised(processes)
    finally:
        processes.stop()
