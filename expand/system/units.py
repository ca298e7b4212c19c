"""Counts (such as multiply-adds), memory and durations as people write them."""

from __future__ import annotations

import re

_UNITS = {"": 1, "K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}
_COUNT = re.compile(r"(\d+(?:\.\d+)?)\s*([KMGT]?)", re.IGNORECASE)


def parse_count(value: object) -> int:
    """Parse a count from `80M`, `1.5G` or a whole number.

    Raises:
        ValueError: the value is none of these, or not above 0.
    """
    number = value
    if isinstance(value, str) and (match := _COUNT.fullmatch(value.strip().replace("_", ""))):
        number = round(float(match[1]) * _UNITS[match[2].upper()])
    if isinstance(number, bool) or not isinstance(number, int) or number <= 0:
        raise ValueError(f"must be a number above 0 such as 80M, 1.5Mparams or 400Kact, got {value!r}")
    return number


def short_count(count: int) -> str:
    """Print a count exactly, for names: 80M, 1.25G; all digits if two decimals do not suffice: 20662304."""
    for unit, size in (("T", 10**12), ("G", 10**9), ("M", 10**6), ("K", 10**3)):
        if count >= size:
            value = f"{count / size:.2f}".rstrip("0").rstrip(".")
            if parse_count(value + unit) == count:
                return value + unit
    return str(count)


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
    """Print a short time with three digits, in milliseconds: 2.19 ms."""
    return f"{1000 * seconds:.3g} ms"


def show_seconds(seconds: float) -> str:
    """Print a duration with at most two units: 42 s, 3 min 10 s, 2 h 5 min."""
    whole = max(0, round(seconds))
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"
