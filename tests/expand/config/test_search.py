from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from expand.config.base import load_config, to_yaml
from expand.config.command_settings import chosen_settings
from expand.config.options import build_config
from expand.config.search import Config, from_values
from expand.system.errors import UserError

AMOUNT = (
    "must be an amount above 0 such as 80M (multiply-adds), 1.5Mparams, 400Kact, 5ms, 6MB (weights) or "
    "peak 50MB (activations)"
)


def test_yaml_out_is_yaml_in(tmp_path: Path) -> None:
    config = from_values(
        {"search": {"targets": ["40M", "80M"], "axes": ["depth"]}, "data": {"flip": False}}, "test"
    )
    path = tmp_path / "config.yaml"
    path.write_text(to_yaml(config))
    assert load_config(path, Config) == config
    assert config.search.targets == (40_000_000, 80_000_000)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (
            {"serch": {}},
            "unknown key serch: did you mean search? known are space, search, data, training, run",
        ),
        (
            {"run": {"worker": 2}},
            "unknown key run.worker: did you mean workers? known are workers, threads, time_limit, ray, "
            "device, keep_weights, reuse, modules, tensorboard",
        ),
        (
            {"training": {"epochs": "ten"}},
            "training.epochs: input should be a valid number, unable to parse string as a number, got 'ten'",
        ),
        (
            {"search": {"axes": []}},
            "search.axes: name at least one axis, or leave `axes` out to use all of the space's",
        ),
        ({"search": {"axes": ["depth", "depth"]}}, "search.axes: name each axis once, got depth, depth"),
        (
            {"search": {"targets": ["80X"]}},
            f"search.targets.0: {AMOUNT}, got '80X'",
        ),
        (
            {"training": {"epochs": 1, "clips": 5}},
            "training: give the budget as epochs or as clips, not both",
        ),
        (
            {"data": {"jitter": [2, 1]}},
            "data.jitter: must be two numbers with 1 ≤ low ≤ high, got [2.0, 1.0]",
        ),
        ({"data": {"format": "synthetic", "path": "x"}}, "data: path must be null for synthetic clips"),
        (
            {"data": {"format": "synthetic", "share": 0.5}},
            "data: share must be 1 for synthetic clips, got 0.5: set synthetic.train instead",
        ),
        ({"data": {"flip": False, "flip_labels": {"a": "b"}}}, "data: flip_labels needs flip: true"),
        (
            {"search": {"seeds": 0}},
            "search.seeds: must be at least 1, and the most no less than the least, got [0, 0]",
        ),
        (
            {"search": {"seeds": [3, 2]}},
            "search.seeds: must be at least 1, and the most no less than the least, got [3, 2]",
        ),
        (
            {"search": {"seeds": "two"}},
            "search.seeds: must be a number or a range such as 2-8, got 'two'",
        ),
    ],
)
def test_a_mistake_is_one_line_that_names_the_key(values: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError) as caught:
        from_values(values, "mine.yaml")
    assert str(caught.value) == f"mine.yaml: {message}."


def test_several_mistakes_are_all_named() -> None:
    with pytest.raises(UserError) as caught:
        from_values({"run": {"workers": 0}, "space": {"nam": "x3d"}}, "mine.yaml")
    assert "unknown key space.nam" in str(caught.value)
    assert "run.workers" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: [1", "must be YAML, but it cannot be parsed at line 1."),
        ("- 1\n- 2\n", "must hold keys and values, got list."),
        (None, "cannot be read: No such file or directory."),
    ],
)
def test_a_file_that_is_no_configuration_is_named(tmp_path: Path, text: str | None, message: str) -> None:
    path = tmp_path / "mine.yaml"
    if text is not None:
        path.write_text(text)
    with pytest.raises(UserError) as caught:
        build_config(path)
    assert str(caught.value).startswith(str(path))
    assert str(caught.value).endswith(message)


def test_what_decides_leaves_out_where_and_how_fast() -> None:
    config = Config.model_validate({"data": {"path": "videos"}})
    moved = Config.model_validate(
        {
            "data": {
                "path": "elsewhere",
                "cache": {"limit_gb": 1},
                "allow_outside": True,
                "synthetic": {"train": 24},  # which are other videos
            },
            "run": {"workers": 3, "device": "cpu"},
        }
    )
    slower = Config.model_validate({"training": {"learning_rate": 0.01}})
    assert config.deciding() == moved.deciding()
    assert config.deciding() != slower.deciding()
    drawn = [
        Config.model_validate({"data": {"format": "synthetic", "synthetic": {"train": clips}}})
        for clips in (24, 48)
    ]
    assert drawn[0].deciding() != drawn[1].deciding()


@pytest.mark.parametrize(
    ("given", "seeds", "kept", "words"),
    [
        (1, (1, 1), 1, "one seed"),
        ("3", (3, 3), 3, "3 seeds"),
        ("2-8", (2, 8), [2, 8], "2 to 8 seeds"),
        ([2, 8], (2, 8), [2, 8], "2 to 8 seeds"),
    ],
)
def test_seeds_are_a_number_or_a_range(
    given: object, seeds: tuple[int, int], kept: object, words: str
) -> None:
    search = from_values({"search": {"seeds": given}}, "mine.yaml").search
    assert (search.seeds, search.seeds_in_words) == (seeds, words)
    assert search.model_dump(mode="json")["seeds"] == kept
    assert from_values({"search": {"seeds": kept}}, "mine.yaml").search == search


def test_options_go_over_the_file(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text("search: {targets: [80M], seeds: 2}\ndata: {path: here}\n")
    config = build_config(
        path, data=Path("there"), targets=["1G"], settings={"training.epochs": 2.5, "data.jitter": (1, 1)}
    )
    assert config.search.targets == (1_000_000_000,)
    assert config.search.seeds == (2, 2)
    assert config.data.path == Path("there")
    assert config.training.epochs == 2.5
    assert config.data.jitter == (1.0, 1.0)


def test_without_file_and_data_it_is_the_embedded_default() -> None:
    config = build_config(None)
    assert config.data.format == "synthetic"
    assert config.search.targets


def test_with_data_alone_the_basis_is_x2d_at_112_pixels() -> None:
    config = build_config(None, data=Path("videos"))
    assert config.data.path == Path("videos")
    assert config.space.settings == {}


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("epochs", "--set must be key=value such as training.epochs=5, got 'epochs'."),
        ("training.epochs=[", "--set training.epochs must have a value in YAML, got '['."),
        (
            "training=3",
            "options: training: input should be a valid dictionary or instance of TrainingConfig, got 3.",
        ),
    ],
)
def test_a_setting_that_cannot_be_is_refused(setting: str, message: str) -> None:
    with pytest.raises(UserError) as caught:
        build_config(None, data=Path("videos"), settings=chosen_settings([setting]))
    assert str(caught.value) == message


def test_a_setting_inside_of_one_that_has_no_keys_is_refused() -> None:
    with pytest.raises(UserError) as caught:
        build_config(None, settings={"training.epochs": 3, "training.epochs.more": 4})
    assert str(caught.value) == "setting training.epochs.more: epochs must hold keys and values, got 3."


def test_settings_stay_the_values_that_they_are(tmp_path: Path) -> None:
    synthetic = {"train": 24}
    config = build_config(
        None,
        targets=[6_000_000],
        settings={
            "data.cache.folder": tmp_path,
            "data.synthetic": synthetic,
            "data.synthetic.val": 12,
            "training.learning_rate": 5e-5,
            "space.settings.resolution": 5e-5,
            "run.ray.address": "10:6379",  # a number in base 60, were it YAML
        },
    )
    assert config.search.targets == (6_000_000,)
    assert config.data.cache.folder == tmp_path
    assert (config.data.synthetic.train, config.data.synthetic.val) == (24, 12)
    assert synthetic == {"train": 24}  # the caller's own
    assert config.training.learning_rate == 5e-5
    assert config.space.settings["resolution"] == 5e-5
    assert config.run.ray.address == "10:6379"
    path = tmp_path / "config.yaml"
    path.write_text(to_yaml(config))
    assert load_config(path, Config) == config


def test_a_list_as_the_data_lies_beside_its_videos(tmp_path: Path) -> None:
    (tmp_path / "mine.csv").write_text("a.mp4,walk\n")
    config = build_config(None, data=tmp_path / "mine.csv", targets=["80M"])
    assert (config.data.path, config.data.train) == (tmp_path, tmp_path / "mine.csv")


def test_a_target_that_is_no_number_is_refused() -> None:
    with pytest.raises(UserError) as caught:
        build_config(None, targets=["fast"])
    assert str(caught.value) == (f"--target: {AMOUNT}, got 'fast'.")


def test_a_setting_by_the_name_that_stored_runs_have_it_under() -> None:
    config = from_values({"data": {"ucf101_split": 2, "val_share": 0.2}}, "config.yaml")
    assert (config.data.official_split, config.data.val_share) == (2, 0.2)
    assert "ucf101_split" not in config.deciding()["data"]
