from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from expand.system.units import (
    parse_bytes,
    parse_count,
    parse_nanoseconds,
    short_bytes,
    short_count,
    short_nanoseconds,
    show_bytes,
    show_count,
    show_milliseconds,
    show_seconds,
)


@pytest.mark.parametrize(
    ("text", "macs"),
    [("80M", 80_000_000), ("1.5G", 1_500_000_000), ("40_000", 40_000), ("12 m", 12_000_000), ("7", 7)],
)
def test_multiply_adds_are_read_as_people_write_them(text: str, macs: int) -> None:
    assert parse_count(text) == macs


@pytest.mark.parametrize("text", ["80X", "-1", "", "0", "1e6", "80MB", "5ms", "M"])
def test_what_is_no_count_is_none(text: str) -> None:
    assert parse_count(text) is None


def test_bytes_and_times_need_a_unit() -> None:
    assert [parse_bytes(text) for text in ("6MB", "1.5 gb", "12B", "6", "0MB")] == [
        *(6_000_000, 1_500_000_000, 12),
        *(None, None),
    ]
    assert [parse_nanoseconds(text) for text in ("5ms", "0.8 ms", "2S", "7us", "5", "5m")] == [
        *(5_000_000, 800_000, 2_000_000_000, 7_000),
        *(None, None),
    ]


@given(st.integers(1, 10**14))
def test_the_short_form_is_exact(number: int) -> None:
    assert parse_count(short_count(number)) == number
    assert parse_bytes(short_bytes(number)) == number
    assert parse_nanoseconds(short_nanoseconds(number)) == number


@pytest.mark.parametrize(
    ("macs", "short", "shown"),
    [
        (80_000_000, "80M", "80 M"),
        (1_250_000_000, "1.25G", "1.25 G"),
        (20_662_304, "20662304", "20.66 M"),
        (999, "999", "999"),
    ],
)
def test_multiply_adds_in_names_and_tables(macs: int, short: str, shown: str) -> None:
    assert (short_count(macs), show_count(macs)) == (short, shown)


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(-3, "0 s"), (42.4, "42 s"), (59.9, "1 min 0 s"), (190, "3 min 10 s"), (7_500, "2 h 5 min")],
)
def test_durations(seconds: float, shown: str) -> None:
    assert show_seconds(seconds) == shown


def test_short_times_have_three_digits() -> None:
    assert [show_milliseconds(one) for one in (0.00219, 0.0500012, 0.9996, 12.345)] == [
        *("2.19 ms", "50 ms", "1 s", "12.3 s")
    ]


def test_memory_is_shown_in_three_digits() -> None:
    assert [show_bytes(n) for n in (5_120, 512e6, 9.614e9, 3.43e11, 2e12, 3e15)] == [
        "0.00512 MB",
        "512 MB",
        "9.61 GB",
        "343 GB",
        "2 TB",
        "3 PB",
    ]
