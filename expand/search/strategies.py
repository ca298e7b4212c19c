"""Finds strategies by name, or a user's own as `module:Class`."""

from __future__ import annotations

from typing import Any

from expand.config.search import SearchConfig
from expand.config.spaces import check_methods, load_class
from expand.search.base import Strategy
from expand.search.expansion import Expansion
from expand.search.hand_scaled import HandScaled
from expand.search.random_networks import RandomNetworks
from expand.search.samplers import NSGA2, TPE
from expand.system.errors import UserError

STRATEGIES: dict[str, type[Any]] = {
    "expansion": Expansion,
    "random": RandomNetworks,
    "hand-scaled": HandScaled,
    "tpe": TPE,
    "nsga2": NSGA2,
}


def load_strategy(options: SearchConfig) -> Strategy:
    """The strategy that a configuration names, made with its settings.

    Raises:
        UserError: the name is unknown or cannot be imported, or the strategy does not accept a setting.
    """
    name, settings = options.strategy, dict(options.settings)
    if name in STRATEGIES:
        kind = STRATEGIES[name]
    else:
        kind = load_class(name, "search.strategy", f"one of {', '.join(STRATEGIES)}")
        check_methods(kind, Strategy, "strategy", name)
    if name == "expansion":
        settings = {"step": options.step, **settings}
    try:
        strategy: Strategy = kind(**settings)
    except (TypeError, ValueError) as error:
        raise UserError(f"search.settings do not fit {name}: {error}") from None
    return strategy
