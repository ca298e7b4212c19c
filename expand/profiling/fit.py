"""Finds the pace of each kind of work from times, and how far off the times it predicts are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from expand.config.profile import ErrorsConfig
from expand.profiling.design import Network
from expand.search.latency import Pace
from expand.system.errors import UserError

_FOLDS = 5

Array = NDArray[np.float64]
Column = tuple[str, str]  # a kind of part and a name of work


def fitted(networks: Sequence[Network], times: Sequence[float]) -> Pace:
    """The pace of each kind of work, none of them below 0, by which the squares of relative errors are least.

    Args:
        networks: what was timed.
        times: in nanoseconds.

    Raises:
        UserError: the packages of the extra `xpand[profile]` are not installed.
    """
    columns = _columns(networks)
    found = _least_squares(_work(networks, columns), np.asarray(times))
    pace: dict[str, dict[str, float]] = {}
    for (kind, name), value in zip(columns, found, strict=True):
        pace.setdefault(kind, {})[name] = float(f"{value:.6g}")
    return pace


def checked(networks: Sequence[Network], times: Sequence[float]) -> tuple[ErrorsConfig, ErrorsConfig]:
    """How far off is what is predicted for each network by the times of others: by all work, by MACs alone.

    The networks are divided into five groups; each group is predicted by what is fitted to all others.
    """
    measured = np.asarray(times)
    macs = np.array([[one.macs, 1.0] for one in networks])
    return _errors(_work(networks, _columns(networks)), measured), _errors(macs, measured)


def _errors(work: Array, measured: Array) -> ErrorsConfig:
    predicted = np.zeros(len(measured))
    for fold in range(_FOLDS):
        out = np.arange(len(measured)) % _FOLDS == fold
        predicted[out] = work[out] @ _least_squares(work[~out], measured[~out])
    errors = np.abs(predicted / measured - 1)
    one, other = (values.argsort().argsort().astype(float) for values in (predicted, measured))
    return ErrorsConfig(
        median=_rounded(np.median(errors)),
        percentile_95=_rounded(np.quantile(errors, 0.95)),
        rank=_rounded(np.corrcoef(one, other)[0, 1]),
    )


def _rounded(value: Any) -> float:
    return round(float(value), 4)


def _columns(networks: Sequence[Network]) -> list[Column]:
    return [*{(part.kind, name): None for one in networks for part in one.parts for name in part.work}]


def _work(networks: Sequence[Network], columns: Sequence[Column]) -> Array:
    """(networks, columns) amounts of work."""
    at = {column: index for index, column in enumerate(columns)}
    work = np.zeros((len(networks), len(columns)))
    for row, one in zip(work, networks, strict=True):
        for part in one.parts:
            for name, amount in part.work.items():
                row[at[part.kind, name]] += part.count * amount
    return work


def _least_squares(work: Array, times: Array) -> Array:
    """The factors of at least 0 by which the squares of relative errors are least."""
    try:
        from scipy.optimize import nnls
    except ImportError:
        raise UserError(
            "xpand profile needs packages that are not installed: pip install 'xpand[profile]'."
        ) from None
    shares = work / times[:, None]
    scale = shares.max(axis=0)
    scale[scale == 0] = 1.0  # work that none of these do
    factors: Array = nnls(shares / scale, np.ones(len(times)))[0] / scale
    return factors
