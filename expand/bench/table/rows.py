"""What a table holds: a row for each training, as a parquet file that needs nothing of xpand to be read."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from expand.bench.table.measuring import WAYS
from expand.bench.table.networks import is_control, path_of
from expand.jobs.per_video import unpack_scores
from expand.run.record import RunRecord, read_run
from expand.search.base import Scored, network_key
from expand.system.errors import UserError
from expand.system.files import replacing
from expand.system.folders import STUDY
from expand.system.version import VERSION
from search_spaces.base import Json

FILE = "table.parquet"
_FACTS = b"xpand"  # the key of the facts about all rows in the file's metadata


def begun(folder: Path) -> list[str]:
    """The names of the ways that have a run in a table's folder."""
    return [way for way in WAYS if (folder / way / STUDY).exists()]


def write_table(folder: Path) -> Path:
    """Write all trainings so far of a table's runs as one file, and return its path.

    Raises:
        UserError: the folder has no runs, or their videos differ.
    """
    runs = {way: read_run(folder / way) for way in begun(folder)}
    if not runs:
        raise UserError(f"a table's folder must have runs, but {folder} has none: give --data to make them.")
    checksums = {record.data.checksum for record in runs.values()}
    if len(checksums) > 1:
        raise UserError(f"the runs of a table must have the same videos, but those of {folder} differ.")
    plans = {way: _plan(record) for way, record in runs.items()}
    rows = [row for way, record in runs.items() for row in _rows(way, record, plans[way])]
    table = pa.Table.from_pandas(pd.DataFrame(rows), preserve_index=False)
    facts = json.dumps(_facts(runs, plans))
    table = table.replace_schema_metadata({**(table.schema.metadata or {}), _FACTS: facts.encode()})
    with replacing(folder / FILE) as partial:
        pq.write_table(table, partial, compression="zstd")
    return folder / FILE


def read_table(file: Path) -> tuple[pd.DataFrame, Json]:
    """The rows of a table, and the facts about all of them.

    Raises:
        UserError: the file is missing, or is no table.
    """
    if not file.exists():
        raise UserError(f"a table must be a file, but {file} does not exist: make it with xpand bench table.")
    try:
        table = pq.read_table(file)
        facts: Json = json.loads(table.schema.metadata[_FACTS])
    except (OSError, pa.ArrowInvalid, KeyError, TypeError) as error:
        raise UserError(f"{file} must be a table that xpand bench table has written: {error}.") from None
    return table.to_pandas(), facts


def _facts(runs: Mapping[str, RunRecord], plans: Mapping[str, _Plan]) -> Json:
    """What holds for all rows."""
    first = next(iter(runs.values()))
    start = first.setup.space.complexity(
        first.setup.space.architecture(first.setup.problem.start.point), len(first.data.classes)
    )
    return {
        "version": VERSION,
        "data": {
            "name": first.data.name,
            "checksum": first.data.checksum,
            "classes": list(first.data.classes),
            "train": first.data.train,
            "val": first.data.val,
        },
        "stages": [stage.name for stage in start.stages],
        "ways": {way: record.config.deciding() for way, record in runs.items()},
        "planned": {way: dict(plan.trainings) for way, plan in plans.items()},
    }


@dataclass(frozen=True, kw_only=True, slots=True)
class _Plan:
    """What a way's strategy asks for in the end, if every network learns.

    Attributes:
        trainings: their number, by kind of network.
        kinds: by network, the kinds that it is of: one that is drawn may be one that is contracted to, too.
    """

    trainings: Mapping[str, int]
    kinds: Mapping[object, Sequence[str]]


def _plan(record: RunRecord) -> _Plan:
    trainings, known = Counter[str](), set[tuple[object, int]]()
    kinds: dict[object, dict[str, None]] = {}
    search = record.setup.strategy.search(record.setup.problem)
    try:
        round_ = next(search)
        while True:
            for training in round_.trainings:
                network = _identity(record, training.candidate.name, training.candidate.point)
                kind = "control" if is_control(training.candidate.name) else round_.kind
                kinds.setdefault(network, {})[kind] = None
                if (network, training.seed) not in known:
                    trainings[kind] += 1
                known.add((network, training.seed))
            round_ = search.send([Scored(score=1.0)] * len(round_.trainings))
    except StopIteration:
        return _Plan(trainings=trainings, kinds={one: tuple(found) for one, found in kinds.items()})


def _identity(record: RunRecord, name: str, point: Any) -> object:
    """What makes two trainings those of one network: of grown ones, the way that led there as well."""
    return name if record.setup.problem.grown else network_key(record.setup.space, point)


def _rows(way: str, record: RunRecord, plan: _Plan) -> Iterator[dict[str, Any]]:
    """The rows of a way's trainings; one that failed has no scores."""
    space, classes = record.setup.space, len(record.data.classes)
    for trial in record.trials:
        network, found = trial.network, trial.measurement
        architecture = space.architecture(network.point)
        stages = space.complexity(architecture, classes).stages
        kind, *also = plan.kinds[_identity(record, network.candidate, network.point)]
        yield {
            "way": way,
            "name": network.candidate,
            "kind": kind,
            "also": ", ".join(also),
            "path": "/".join(path_of(network.candidate)) if network.axis else "",
            "seed": trial.seed,
            **{f"factor_{name}": value for name, value in network.factors.items()},
            "architecture": json.dumps(space.architecture_to_json(architecture), sort_keys=True),
            **asdict(network.clips),
            "macs": network.macs,
            "params": network.params,
            "activations": network.activations,
            "stage_macs": [stage.macs for stage in stages],
            "stage_params": [stage.params for stage in stages],
            "stage_activations": [stage.activations for stage in stages],
            "failed": trial.reason,
            "score": None if found is None else found.score,
            "top1": None if found is None else found.top1,
            "mean_class_accuracy": None if found is None else found.mean_class_accuracy,
            "loss": None if found is None else found.loss,
            "train_loss": None if found is None else found.train_loss,
            "guess_loss": None if found is None else found.guess_loss,
            "epoch_losses": None if found is None else found.epoch_losses,
            "learned": None if found is None else found.learned,
            "video_scores": None if found is None else _scores(found.video_scores),
            "epochs": None if found is None else found.epochs,
            "spent": None if found is None else found.spent,
            "seconds": None if found is None else found.seconds,
        }


def _scores(packed: str | None) -> list[float] | None:
    return None if packed is None else unpack_scores(packed).astype(float).tolist()
