from __future__ import annotations

from pathlib import Path

from expand.config.reference import reference

ROOT = Path(__file__).parents[3]


def test_the_settings_page_is_that_of_the_configuration() -> None:
    written = (ROOT / "docs" / "settings.md").read_text(encoding="utf-8")
    assert written == reference(), "make it anew: python -m expand.config.reference > docs/settings.md"
