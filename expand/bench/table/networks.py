"""The networks of a table: all that expansion can come to in some rounds, and others near the targets.

A network that several orders of axes lead to is in the table once, with the name of the first of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from expand.search.base import CONTROL, START, Candidate, Problem, Round, State, network_key
from expand.search.budget import Purse
from expand.search.expansion import Expansion, contracted
from expand.search.hand_scaled import scaled
from expand.search.random_networks import RandomNetworks

Kind = Literal["start", "expansion", "contraction", "drawn", "scaled"]

_TO = " to "  # between the axes of a network that is contracted, and its target


@dataclass(frozen=True, kw_only=True, slots=True)
class Group:
    """Networks of one kind, each once."""

    kind: Kind
    networks: tuple[Candidate, ...]


def path_of(name: str) -> tuple[str, ...]:
    """The axes along which a network was grown, by its name in the table."""
    path = name.partition(_TO)[0]
    return () if path.startswith(START) else tuple(path.split("/"))


def growth(problem: Problem, parent: Candidate, *, step: float) -> Round:
    """The round that grows a network along each axis, whose candidates are named such as `temporal/fast`."""
    path = path_of(parent.name)
    state = State(step=len(path), candidate=parent, score=0.0)
    round_ = Expansion(step=step).growth(problem, [state])
    named = {one: replace(one, name="/".join((*path, one.name))) for one in round_.candidates}
    return replace(
        round_,
        trainings=tuple(replace(one, candidate=named[one.candidate]) for one in round_.trainings),
        control=None if round_.control is None else named[round_.control],
        states=(),
    )


def reachable(problem: Problem, rounds: int, *, step: float) -> list[list[Candidate]]:
    """By round, the networks that expansion comes to along every order of axes.

    Args:
        problem: has the start and the axes.
        rounds: their number.
        step: as for `Expansion`.
    """
    found = [[problem.start]]
    for _ in range(rounds):
        grown = (growth(problem, parent, step=step).contenders for parent in found[-1])
        found.append([child for contenders in grown for child in contenders])
    return found[1:]


def is_control(name: str) -> bool:
    """Whether a network with this name is a control: one that was trained on, ungrown."""
    return name.rpartition("/")[2] == CONTROL


def contractions(problem: Problem, grown: Sequence[Candidate]) -> list[Candidate]:
    """What networks are contracted to, where their last growth passes a target.

    Where no network lies between the target and the one that was grown, there is nothing to contract to.
    """
    found = []
    for one in grown:
        for target in sorted(set(problem.targets)):
            if one.parent is not None and one.parent.cost < target < one.cost:
                smaller = contracted(problem, one, target)
                if smaller != one.parent:
                    name = f"{one.name}{_TO}{problem.cost.short(target)}"
                    found.append(problem.candidate(name, smaller.point, axis=one.axis, parent=one))
    return found


def once(problem: Problem, networks: Iterable[Candidate]) -> tuple[Candidate, ...]:
    """The networks, each once, in order; of equal ones the first."""
    found: dict[object, Candidate] = {}
    for one in networks:
        found.setdefault(network_key(problem.space, one.point), one)
    return tuple(found.values())


def expanded(problem: Problem, rounds: Sequence[int], *, step: float) -> list[Group]:
    """The networks of some rounds, and those that they are contracted to; with round 1, the start as well."""
    levels = reachable(problem, max(rounds), step=step)
    of_rounds = [levels[number - 1] for number in rounds]
    groups = [Group(kind="start", networks=(problem.start,))] if 1 in rounds else []
    groups += [Group(kind="expansion", networks=once(problem, level)) for level in of_rounds]
    smaller = [one for level in of_rounds for one in contractions(problem, level)]
    return [*groups, Group(kind="contraction", networks=once(problem, smaller))]


def near_targets(problem: Problem, drawn: Sequence[int]) -> list[Group]:
    """For each target, so many networks that are drawn near it, and those that are scaled to it by hand."""
    groups = []
    for target, networks in zip(sorted(set(problem.targets)), drawn, strict=True):
        at_random = RandomNetworks(networks=networks).drawn(problem, target, Purse(problem))
        groups.append(Group(kind="drawn", networks=at_random))
        groups.append(Group(kind="scaled", networks=tuple(scaled(problem, target))))
    return groups


def divided(groups: Sequence[Group], target: int) -> tuple[list[Group], list[Group]]:
    """The groups with their networks within a target alone, and with those above it alone."""

    def some(within: bool) -> list[Group]:
        return [
            replace(group, networks=tuple(one for one in group.networks if (one.cost <= target) == within))
            for group in groups
        ]

    return some(within=True), some(within=False)


def sample(groups: Sequence[Group], number: int) -> tuple[Candidate, ...]:
    """Networks of all groups, spread evenly over axes and costs; of each group about an equal share.

    Without the start, as all searches have it.
    """
    groups = [group for group in groups if group.kind != "start" and group.networks]
    shares = _even_shares([len(group.networks) for group in groups], number)
    found = []
    for group, share in zip(groups, shares, strict=True):
        in_order = sorted(group.networks, key=lambda one: (one.axis or "", one.cost))
        found += [in_order[(2 * at + 1) * len(in_order) // (2 * share)] for at in range(share)]
    return tuple(found)


def _even_shares(sizes: Sequence[int], number: int) -> list[int]:
    """How many to take of each size, so that they are as even as the sizes allow."""
    shares = [0] * len(sizes)
    for _ in range(min(number, sum(sizes))):
        open_ = [at for at, size in enumerate(sizes) if shares[at] < size]
        shares[min(open_, key=lambda at: shares[at])] += 1
    return shares
