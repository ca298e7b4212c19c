"""Writes the page of all settings: python -m expand.config.reference > docs/settings.md."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from itertools import chain
from typing import Any

from pydantic import BaseModel

from expand.config.full import FullConfig, FullRunConfig
from expand.config.search import Config

_HEAD = """\
# Settings

## Of a search

All settings of a search. They are given in a YAML file by `--config FILE`, or one by one by `--set
key=value`; `config.yaml` in the run folder holds those of a run. Unknown keys are refused.

What is measured depends on `space`, `search`, `data` and `training`, which are fixed for a run. `run` and
`data.cache` say only where and how fast trainings run, and may change when a run is resumed: by
`xpand resume RUN --set run.time_limit=20` for that time, or in its `config.yaml` for good.
"""


_FULL = """
## Of a full training

All settings of a full training, in the same form. The defaults are the recipe that X3D was released with. The
settings of `data` are those above, with two other defaults: `data.jitter` is the released one, from 8/7 to
10/7 of the crop's side, and `data.oversampling` is 4.
"""


def reference() -> str:
    """The page in Markdown."""
    full = (_sections(FullConfig, "training."), _sections(FullRunConfig, "run."))
    return _HEAD + "".join(_sections(Config, "")) + _FULL + "".join(chain(*full))


def _sections(model: type[BaseModel], prefix: str) -> Iterator[str]:
    """A table of a section's settings, then the tables of the sections inside it."""
    inner, rows = [], []
    for name, field in model.model_fields.items():
        kind = field.annotation
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            inner.append((kind, f"{prefix}{name}."))
            continue
        default = json.dumps(_default(model, name))
        rows.append(f"| `{name}` | `{default}` | {field.description} |\n")
    if rows:
        about = (model.__doc__ or "").splitlines()[0]
        yield f"\n### `{prefix.rstrip('.')}`\n\n{about}\n\n"
        yield from ("| setting | default | meaning |\n", "| --- | --- | --- |\n", *rows)
    for kind, place in inner:
        yield from _sections(kind, place)


def _default(model: type[BaseModel], name: str) -> Any:
    """The default of a setting as a configuration file has it, as JSON."""
    field = model.model_fields[name]
    value = field.get_default(call_default_factory=True)
    return model.model_construct(**{name: value}).model_dump(mode="json", include={name})[name]


if __name__ == "__main__":
    sys.stdout.write(reference())
