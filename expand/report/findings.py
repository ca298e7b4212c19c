"""What a search's scores do not tell, and what to do about it, in sentences for terminals and pages."""

from __future__ import annotations

import statistics

from expand.data.splitting import few_words
from expand.report.sheets import share
from expand.run.guessing import Cheaper, Guessing, cheaper_ones, guessing
from expand.run.record import RunRecord


def findings(record: RunRecord) -> list[str]:
    """Return what to know before a network of a search is used, a text each; none of a search that is sound.

    They say that it has learned nothing, or found nothing that is better than guessing; else they name
    networks that cost less than a target's and score no less.
    """
    if not record.learned:
        return [nothing_learned(record)]
    found = guessing(record)
    if found is not None and not found.beaten:
        return [nothing_beats_guessing(record, found)]
    return [cheaper_words(record, one) for one in cheaper_ones(record)]


def nothing_learned(record: RunRecord) -> str:
    """Return what to do about a search whose networks have learned nothing."""
    losses = [
        (one.train_loss, one.guess_loss)
        for row in record.trajectory
        for one in row.seeds.measurements
        if one.guess_loss is not None
    ]
    loss, guess = (statistics.fmean(values) for values in zip(*losses, strict=True))
    recipe = record.config.training
    return (
        "Nothing was learned: no network that the search found does better than a guess (training loss "
        f"{loss:.2f}, a guess has {guess:.2f}), so its choices mean nothing. Train longer than "
        f"{recipe.budget} (--epochs), with more videos, or from a start with more frames or larger ones "
        "(space.settings)."
    )


def nothing_beats_guessing(record: RunRecord, found: Guessing) -> str:
    """Return that no candidate of a search scores better than guessing, and what to do."""
    videos, count = record.data.val - record.data.unlabelled, found.candidates
    best = f"the best of {count} candidates has" if count > 1 else "the only candidate has"
    guesses = "the best of as many guesses" if count > 1 else "a guess"
    beyond = ""
    if found.needed > 1:
        beyond = f", and on {videos:,} validation videos even 100.0% could be a guess"
    elif found.chance.videos is not None:
        beyond = (
            f", and on {videos:,} validation videos {guesses} reaches {share(found.needed)} in fewer than "
            "1 of 20 searches"
        )
    few, budget = few_words(videos), record.config.training.budget
    advice = (
        f"Networks have learned something of the training videos; trainings longer than {budget} (--epochs), "
        "or more training videos, may make it hold for others."
        if any(row.seeds.learned for row in record.measured)
        else f"Train longer than {budget} (--epochs), with more videos, or from a start with more frames or "
        "larger ones (space.settings)."
    )
    return (
        f"Nothing beats guessing: {best} {record.objective.words} {share(found.best)}, {found.chance.words} "
        f"has {share(found.chance.score)}{beyond}. So the choices of this search mean nothing. "
        f"{f'{few}: list more (data.val). ' if few else ''}{advice}"
    )


def cheaper_words(record: RunRecord, one: Cheaper) -> str:
    """Return that a network costs less than a target's and scores no less."""
    show, unit = record.setup.cost.show, record.setup.cost.unit
    target, instead = one.target, one.instead
    target_score, score = map(share, one.scores)
    seeds = " with fresh seeds" if one.fresh else ""
    return (
        f"{instead.name} costs less than {target.name} ({show(instead.network.cost)} against "
        f"{show(target.network.cost)} {unit}) and scored {score} against {target_score}{seeds}."
    )
