"""A made-up profile of a device that does not exist."""

from __future__ import annotations

from typing import Any

from search_spaces.x3d import X3DSpace

_CALL, _MAC, _OTHER = 20_000.0, 0.1, 0.5  # nanoseconds


def pace_of(space: X3DSpace) -> dict[str, dict[str, float]]:
    """A pace for all work of a space's networks."""
    large = space.architecture(space.point_from_json({"depth": 3.0}))
    found: dict[str, dict[str, float]] = {}
    for part in space.parts(large, 10):
        for name in part.work:
            nanoseconds = _CALL if "calls" in name else _MAC if "MACs" in name else _OTHER
            found.setdefault(part.kind, {})[name] = nanoseconds
    return found


_ERRORS = {"median": 0.02, "percentile_95": 0.08, "rank": 0.99}
PROFILE: dict[str, Any] = {
    "space": "x3d",
    "settings": {},
    "num_classes": 10,
    "runtime": "torch",
    "device": "cpu",
    "threads": 1,
    "batch": 1,
    "machine": {"processor": "made up"},
    "networks": 100,
    "macs": [5_000_000, 200_000_000],
    "errors": _ERRORS,
    "errors_by_macs": _ERRORS,
    "pace": pace_of(X3DSpace()),
}
