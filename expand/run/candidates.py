"""Models of a run's candidates, also of those that were not accepted and have no model file."""

from __future__ import annotations

from pathlib import Path

from expand.config.spaces import look_in
from expand.run.record import replayed
from expand.run.study import Run
from expand.search.base import Candidate
from expand.search.confirmation import CONFIRMATION
from expand.search.replay import Replay, scored
from expand.system.errors import UserError
from expand.system.folders import MODELS, STUDY
from expand.weights.models import Model, find_model, model_of, searched_values


def chosen_model(reference: str | Path, name: str | None = None, candidate: str | None = None) -> Model:
    """The model that a command names: as `find_model` finds it, or a candidate of a run.

    Args:
        reference: a model file, the folder of a run or a full training, or a name such as x3d-s.
        name: the model's name in a run, such as target-80M; None: the run's only target, or its only model.
        candidate: the round and the name of a candidate of the run, such as `2/depth`; None: no candidate.

    Raises:
        UserError: no model is found, or the run has no such candidate.
    """
    if candidate is None:
        if (Path(reference) / STUDY).is_file():
            look_in(Run.open(Path(reference)).config.run.modules)
        return find_model(reference, name or _only_target(Path(reference)))
    if name is not None:
        raise UserError(f"give either --model or --candidate, got {name} and {candidate}.")
    so_far = replayed(Run.open(Path(reference)))
    known = _candidates(so_far.replay)
    if candidate not in known:
        rounds = {one.partition("/")[0]: None for one in known}
        own = [one for one in known if one.partition("/")[0] == candidate.partition("/")[0]]
        raise UserError(
            f"--candidate must be a round and a name, such as {', '.join(own or list(known)[:6])}, got "
            f"{candidate}: {reference} has the rounds {', '.join(rounds)}."
        )
    network = known[candidate]
    jobs = [job.key for job in so_far.replay.jobs[network]]
    measured = scored([so_far.results[key] for key in jobs if key in so_far.results])
    values = searched_values(candidate.replace("/", "-"), so_far.setup, network, measured)
    return model_of(values, f"{reference}, {candidate}")


def _only_target(folder: Path) -> str | None:
    """The name of the only model of a run that was found for a target; None: there are several, or none."""
    names = [path.stem for path in (folder / MODELS).glob("target-*.yaml")]
    return names[0] if len(names) == 1 else None


def _candidates(replay: Replay) -> dict[str, Candidate]:
    """The candidates of all rounds so far, by round and name."""
    return {
        f"{jobs.round.number}/{candidate.name}": candidate
        for jobs in replay.rounds
        if jobs.round.kind != CONFIRMATION
        for candidate in jobs.round.candidates
    }
