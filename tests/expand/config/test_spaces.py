from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from expand.config.spaces import choose_axes, folder_of_modules, load_space
from expand.run.record import read_run
from expand.system.errors import UserError
from search_spaces.conformance import SpaceConformance
from search_spaces.x3d import X3DSpace
from tests.expand.made_up import made_up_run, x3d_config
from tests.expand.toy import Both, Point, ToySpace
from tests.expand.tuples import TupleSpace


class TestToySpace(SpaceConformance):
    """What the tests use as a space of one's own is one."""

    def space(self) -> ToySpace:
        return ToySpace(width=8)


class TestTupleSpace(SpaceConformance):
    """So is one whose architectures have no fields."""

    def space(self) -> TupleSpace:
        return TupleSpace(width=8)


def test_the_known_space_and_its_settings() -> None:
    assert load_space("x3d", {"size": 64}) == X3DSpace(size=64)


def test_a_space_and_an_axis_by_module_and_class() -> None:
    space = load_space("tests.expand.toy:ToySpace", {"width": 7})
    axes = choose_axes(space, ("width", "tests.expand.toy:Both"))
    assert space.start == Point(width=7)
    assert list(axes) == ["width", "both"]
    assert isinstance(axes["both"], Both)


def test_all_axes_of_the_space_where_none_are_named() -> None:
    assert list(choose_axes(X3DSpace(), None)) == [
        "fast", "temporal", "spatial", "depth", "width", "bottleneck",
    ]  # fmt: skip


@pytest.mark.slow
def test_a_file_in_the_current_folder_is_found(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text("from tests.expand.toy import ToySpace as Mine\n")
    script = "from expand.config.spaces import load_space; print(load_space('mine:Mine', {}).start)"
    root = Path(__file__).parents[3]
    done = subprocess.run(
        [sys.executable, "-P", "-c", script],
        cwd=tmp_path,
        env={"PYTHONPATH": str(root), "PATH": ""},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "Point(frames=1, width=4, size=32)\n"


def test_the_current_folder_is_that_of_a_module_in_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.py").touch()
    (tmp_path / "package").mkdir()
    assert folder_of_modules(["x3d", "mine:Space"]) == tmp_path
    assert folder_of_modules(["package.deep:Space"]) == tmp_path
    assert folder_of_modules(["mine", "expansion", "elsewhere:Space"]) is None


def test_a_run_is_read_from_any_folder_as_it_keeps_that_of_its_modules(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own, other = tmp_path / "own", tmp_path / "other"
    for folder in (own, other):
        folder.mkdir()
    (own / "kept_space.py").write_text("import search_spaces.x3d as x\n\nclass Mine(x.X3DSpace): pass\n")
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.chdir(own)
    run = made_up_run(own / "run", x3d_config(space={"name": "kept_space:Mine"}))
    assert run.config.run.modules == own
    monkeypatch.chdir(other)
    for before in (str(own), str(other)):
        if before in sys.path:
            sys.path.remove(before)
    del sys.modules["kept_space"]
    assert type(read_run(own / "run").setup.space).__name__ == "Mine"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("x4d", "space must be one of x3d, or your own as module:Class, got 'x4d'."),
        (
            "nowhere:Space",
            "space 'nowhere:Space' must be importable, but there is no module 'nowhere': run from the folder "
            "that holds it, name that folder (run.modules), or install it.",
        ),
        (
            "tests.expand.toy:Nothing",
            "space 'tests.expand.toy:Nothing' must name a class, but the module 'tests.expand.toy' has no "
            "'Nothing'.",
        ),
        ("os:mkdir", "space 'os:mkdir' must name a class, got builtin_function_or_method."),
        (":Space", "space must be one of x3d, or your own as module:Class, got ':Space'."),
        ("..up:Space", "space must be one of x3d, or your own as module:Class, got '..up:Space'."),
    ],
)
def test_a_name_that_leads_nowhere(name: str, message: str) -> None:
    with pytest.raises(UserError) as caught:
        load_space(name, {})
    assert str(caught.value) == message


def test_an_unknown_axis_is_told_the_known_ones() -> None:
    with pytest.raises(UserError) as caught:
        choose_axes(X3DSpace(), ("hight",))
    assert str(caught.value) == (
        "axis must be one of fast, temporal, spatial, depth, width, bottleneck, or your own as module:Class, "
        "got 'hight'."
    )


def test_a_setting_that_the_space_refuses() -> None:
    with pytest.raises(UserError) as caught:
        load_space("x3d", {"sise": 64})
    assert str(caught.value).startswith(
        "space.settings do not fit x3d: settings of the x3d space must be among"
    )


class Half:
    """Neither a space nor an axis, though it has a bit of both."""

    name, label = "half", "X-Half"
    start, axes = 1, ()


def test_a_class_that_lacks_members_is_refused_before_anything_is_trained() -> None:
    with pytest.raises(UserError) as caught:
        load_space("tests.expand.config.test_spaces:Half", {})
    assert str(caught.value) == (
        "space 'tests.expand.config.test_spaces:Half' must have all members of "
        "search_spaces.base.SearchSpace, but it lacks architecture, sampling, resized, complexity, "
        "build, example, describe, point_to_json, point_from_json, architecture_to_json, "
        "architecture_from_json: add it, and run search_spaces.conformance on it."
    )
    with pytest.raises(UserError) as caught:
        choose_axes(ToySpace(), ("tests.expand.config.test_spaces:Half",))
    assert str(caught.value) == (
        "axis 'tests.expand.config.test_spaces:Half' must have all members of "
        "search_spaces.base.Axis, but it lacks move: add it, and run search_spaces.conformance on it."
    )


class Shy:
    """One that tells when it is made."""

    def __init__(self) -> None:
        raise AssertionError("made before it was known to be a space")


def test_what_is_neither_is_not_made() -> None:
    with pytest.raises(UserError, match="it lacks architecture, sampling"):
        load_space("tests.expand.config.test_spaces:Shy", {})
    with pytest.raises(UserError, match="it lacks move"):
        choose_axes(ToySpace(), ("tests.expand.config.test_spaces:Shy",))


class Pair(Both):
    """An axis that cannot be made without arguments."""

    def __init__(self, first: str, *, second: str, third: int = 3) -> None:
        self.fields = (first, second, third)


def test_a_part_that_needs_arguments_is_told_which() -> None:
    with pytest.raises(UserError) as caught:
        choose_axes(ToySpace(), ("tests.expand.config.test_spaces:Pair",))
    assert str(caught.value) == (
        "axis 'tests.expand.config.test_spaces:Pair' must have a constructor that needs no arguments, but it "
        "needs first, second: give each a default."
    )


@pytest.mark.parametrize(
    ("code", "raised"),
    [
        ("import os\n\n1 / 0\n", "line 3 of {} raises ZeroDivisionError (division by zero)"),
        ("import os\nos.no\n", "line 2 of {} raises AttributeError (module 'os' has no attribute 'no')"),
        ("\nclass Mine\n", "line 2 of {} raises SyntaxError (expected ':')"),
    ],
)
def test_a_module_that_fails_is_told_where(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: str, raised: str
) -> None:
    (tmp_path / "failing_module.py").write_text(code)
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(UserError) as caught:
        load_space("failing_module:Mine", {})
    assert str(caught.value) == (
        "space 'failing_module:Mine' must name a module that can be imported, but "
        f"{raised.format(tmp_path / 'failing_module.py')}: correct it there."
    )
