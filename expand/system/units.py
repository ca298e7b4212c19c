"""Counts (such as multiply-adds), memory and durations as people write them."""

from __future__ import annotations

import re
from collections.abc import Mapping

_COUNTS = {"": 1, "K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}
GB = 10**9  # bytes
_BYTES = {"B": 1, "KB": 10**3, "MB": 10**6, "GB": GB}
_NANOSECONDS = {"ns": 1, "us": 10**3, "ms": 10**6, "s": 10**9}
_NUMBER = re.compile(r"(\d+(?:\.\d+)?)\s*([A-Za-z]*)")


def parse_count(text: str) -> int | None:
    """The number in a text such as `80M`, `1.5G` or `40_000`; None: it is none above 0."""
    return _parse(text.replace("_", ""), _COUNTS)


def short_count(count: int) -> str:
    """Print a count exactly, for names: 80M, 1.25G; all digits if two decimals do not suffice: 20662304."""
    return _short(count, _COUNTS)


def parse_bytes(text: str) -> int | None:
    """The bytes in a text such as `6MB`; None: it is no amount above 0 with a unit."""
    return _parse(text, _BYTES)


def short_bytes(count: int) -> str:
    """Print bytes exactly, for names: 6MB, 1.25GB, 20662304B."""
    return _short(count, _BYTES)


def parse_nanoseconds(text: str) -> int | None:
    """The nanoseconds in a text such as `5ms` or `800us`; None: it is no time above 0 with a unit."""
    return _parse(text, _NANOSECONDS)


def short_nanoseconds(time: int) -> str:
    """Print nanoseconds exactly, for names: 5ms, 1.25s, 20662304ns."""
    return _short(time, _NANOSECONDS)


def _parse(text: str, units: Mapping[str, int]) -> int | None:
    match = _NUMBER.fullmatch(text.strip())
    size = next((size for unit, size in units.items() if match and unit.lower() == match[2].lower()), None)
    if match is None or size is None:
        return None
    return round(float(match[1]) * size) or None


def _short(number: int, units: Mapping[str, int]) -> str:
    for unit, size in reversed(list(units.items())):
        if number >= size:
            value = f"{number / size:.2f}".rstrip("0").rstrip(".")
            if _parse(value + unit, units) == number:
                return value + unit
    return f"{number}{next(iter(units))}"


def show_count(count: float) -> str:
    """Print a count with four digits, for tables: 20.66 M, 1.963 G."""
    for unit, size in (("T", 1e12), ("G", 1e9), ("M", 1e6), ("K", 1e3)):
        if count >= size:
            return f"{count / size:.4g} {unit}"
    return f"{count:.4g}"


def show_points(difference: float) -> str:
    """Return a difference of shares in percentage points, such as `+4.1`."""
    return f"{100 * difference:+.1f}"


def show_bytes(count: float) -> str:
    """Print bytes with three digits: 9.61 GB, 512 MB."""
    for unit, size in (("PB", 1e15), ("TB", 1e12), ("GB", 1e9)):
        if count >= size:
            return f"{count / size:.3g} {unit}"
    return f"{count / 1e6:.3g} MB"


def show_milliseconds(seconds: float) -> str:
    """Print a short time with three digits: 2.19 ms, 1.2 s."""
    return f"{1000 * seconds:.3g} ms" if seconds < 0.9995 else f"{seconds:.3g} s"


def show_seconds(seconds: float) -> str:
    """Print a duration with at most two units: 42 s, 3 min 10 s, 2 h 5 min."""
    whole = max(0, round(seconds))
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"
