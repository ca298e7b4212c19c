"""A run's study, as optuna-dashboard serves it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import optuna
import pytest

from tests.expand.made_up import failing, made_up_run, x3d_config

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


def ask(app: Any, path: str) -> Any:
    """What the dashboard answers to a GET."""
    status: list[str] = []
    environ = {
        "REQUEST_METHOD": "GET", "PATH_INFO": path, "SERVER_NAME": "here", "SERVER_PORT": "80",
        "wsgi.url_scheme": "http", "QUERY_STRING": "after=0",
    }  # fmt: skip
    body = b"".join(app(environ, lambda code, *_: status.append(code)))
    assert status == ["200 OK"], body
    return json.loads(body)


def test_the_dashboard_shows_the_run_by_readable_names(tmp_path: Path) -> None:
    from optuna_dashboard import wsgi

    run = made_up_run(
        tmp_path / "motion", x3d_config(search={"targets": ["6M"], "seeds": 2}), score=failing("depth", "nan")
    )
    app = wsgi(optuna.storages.RDBStorage(f"sqlite:///{run.folder / 'study.db'}"))
    (summary,) = ask(app, "/api/studies")["study_summaries"]
    assert summary["study_name"] == "motion"
    study = ask(app, f"/api/studies/{summary['study_id']}")
    assert study["objective_names"] == ["top1"]
    assert len(study["trials"]) == len(run.results())
    first = study["trials"][0]
    attrs = {attr["key"]: attr["value"] for attr in first["user_attrs"]}
    assert attrs["name"] == '"round 0: start, seed 0"' or attrs["name"] == "round 0: start, seed 0"
    assert [param["name"] for param in first["params"]] == [
        "frames", "rate", "size", "width", "bottleneck", "depth",
    ]  # fmt: skip
    states = {trial["state"] for trial in study["trials"]}
    assert states == {"Complete", "Fail"}


def test_factors_are_told_apart_by_their_importance(tmp_path: Path) -> None:
    run = made_up_run(tmp_path / "run", x3d_config(search={"targets": ["40M"], "seeds": 2}))
    found = optuna.importance.get_param_importances(run.study)
    assert found["frames"] == max(found.values())
    assert found["frames"] > 2 * found["bottleneck"]
