from __future__ import annotations

from pathlib import Path

from expand.reference import reference

ROOT = Path(__file__).parents[2]


def test_the_settings_page_is_that_of_the_configuration() -> None:
    written = (ROOT / "docs" / "settings.md").read_text(encoding="utf-8")
    assert written == reference(), "make it anew: python -m expand.reference > docs/settings.md"
