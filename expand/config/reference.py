"""The page docs/settings.md, made from the settings: python -m expand.config.reference > docs/settings.md."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from itertools import chain

from pydantic import BaseModel

from expand.config.full import FullConfig, FullRunConfig
from expand.config.search import Config

_HEAD = """\
# Settings

## Of a search

Every setting of a run, as `--config FILE` reads it and `config.yaml` in the run folder keeps it; `--set
key=value` sets one from the command line. Unknown keys are refused.

`space`, `search`, `data` and `training` decide what is measured, and are fixed for a run. `run` and
`data.cache` decide only where and how fast, and may change when a run is resumed.
"""


_FULL = """
## Of a full training

Every setting of a full training, in the same form. The defaults are the recipe that X3D was released with.
`data` is as above, but for `data.jitter`: where nothing is said, it is the released one, from 8/7 to 10/7 of
a crop.
"""


def reference() -> str:
    full = (_sections(FullConfig, "training."), _sections(FullRunConfig, "run."))
    return _HEAD + "".join(_sections(Config, "")) + _FULL + "".join(chain(*full))


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
        yield f"\n### `{prefix.rstrip('.')}`\n\n{about}\n\n"
        yield from ("| setting | default | meaning |\n", "| --- | --- | --- |\n", *rows)
    for kind, place in inner:
        yield from _sections(kind, place)


if __name__ == "__main__":
    sys.stdout.write(reference())
