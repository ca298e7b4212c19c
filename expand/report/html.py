r"""What the HTML pages share: their templates, figures inside a page, and how a page is written.

Texts from data and configs are escaped, and control characters in them are shown as `\x1b`.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from expand.plots.figures import to_bytes
from expand.system.errors import cannot_write
from expand.system.escaping import visible
from expand.system.files import write_atomic
from expand.system.version import VERSION


def fill(template: str, **values: Any) -> str:
    """Return the page that a template makes of values."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("expand.report", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=lambda value: visible(value) if type(value) is str else value,
    )
    return environment.get_template(template).render(version=VERSION, **values)


def inline(figure: Figure, name: str) -> str:
    """Return a figure as an SVG element, with ids that are unique on the page and marks of class `mark`."""
    svg = to_bytes(figure, "svg", name).decode()
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    svg = re.sub(r' (width|height)="[^"]*pt"', "", svg, count=2)  # the style sheet sets the width
    svg = re.sub(r'id="mark:[^:"]*:([^"]*)"', r'class="mark" data-key="\1"', svg)
    return re.sub(r'(id="|href="#|url\(#)', rf"\g<1>{name}-", svg)


def write_page(file: Path, page: str) -> Path:
    """Write a page, and its folder if need be.

    Raises:
        UserError: the file cannot be written.
    """
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(file, page)
    except OSError as error:
        raise cannot_write(file, error) from None
    return file
