"""docs/settings.md, made from the configuration itself: python -m expand.reference > docs/settings.md."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator

from pydantic import BaseModel

from expand.config import Config

_HEAD = """\
# Settings

Every setting of a run, as `--config FILE` reads it and `config.yaml` in the run folder keeps it; `--set
key=value` sets one from the command line. Unknown keys are refused.

`space`, `search`, `data` and `training` decide what is measured, and are fixed for a run. `run` and
`data.cache` decide only where and how fast, and may change when a run is resumed.
"""


def reference() -> str:
    return _HEAD + "".join(_sections(Config, ""))


def _sections(model: type[BaseModel], prefix: str) -> Iterator[str]:
    """A table for a model's own settings, then those of the models in it."""
    inner, rows = [], []
    for name, field in model.model_fields.items():
        kind = field.annotation
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            inner.append((kind, f"{prefix}{name}."))
            continue
        default = json.dumps(field.get_default(call_default_factory=True), default=list)
        rows.append(f"| `{name}` | `{default}` | {field.description} |\n")
    if rows:
        about = (model.__doc__ or "").splitlines()[0]
        yield f"\n## `{prefix.rstrip('.')}`\n\n{about}\n\n"
        yield from ("| setting | default | meaning |\n", "| --- | --- | --- |\n", *rows)
    for kind, place in inner:
        yield from _sections(kind, place)


if __name__ == "__main__":
    sys.stdout.write(reference())
