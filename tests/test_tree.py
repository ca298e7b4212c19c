from __future__ import annotations

from tests.tree import PAGE, page, tree


def test_the_tree_in_contributing_is_that_of_the_code() -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert page(text) == text, "make it anew: python -m tests.tree"


def test_every_module_says_what_it_is() -> None:
    assert not [line for line in tree().splitlines() if len(line.split()) < 3]
