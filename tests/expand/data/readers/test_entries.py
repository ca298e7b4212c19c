"""Where entries of lists lead: what is a video of the data, and what is refused, in every kind of list."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from expand.data.readers.entries import Entries
from expand.system.errors import UserError
from tests.expand.commands import Xpand, refused
from tests.expand.data.readers.test_annotations import CLASSES, HEADER
from tests.expand.data.test_sources import error, opened, shown, touch, write_lists, write_ucf101
from tests.expand.models import write_tiny

ROOT, LISTS = Path("/data/videos"), Path("/data/lists")
OUTSIDE = pytest.mark.fault("a list entry that leads outside", "one line that names it, exit 2")


def message(entry: str, *, allow_outside: bool = False) -> str:
    with pytest.raises(UserError) as caught:
        Entries(ROOT, allow_outside=allow_outside).key(entry, "train.txt:7")
    return str(caught.value)


@pytest.mark.parametrize(
    ("entry", "key"),
    [
        ("walk/a.mp4", "walk/a.mp4"),
        ("./walk//a.mp4", "walk/a.mp4"),
        ("walk/../run/a.mp4", "run/a.mp4"),
        ("../videos/a.mp4", "a.mp4"),
        ("..a.mp4", "..a.mp4"),
        ("/data/videos/walk/a.mp4", "walk/a.mp4"),
        ("/data/elsewhere/../videos/a.mp4", "a.mp4"),
        ("//data/videos/a.mp4", "a.mp4"),
        ("http:a.mp4", "http:a.mp4"),
        ("~/a.mp4", "~/a.mp4"),
        ("a\nb.mp4", "a\nb.mp4"),
    ],
)
@pytest.mark.parametrize("allow_outside", [False, True])
def test_entries_within_the_folder(entry: str, key: str, allow_outside: bool) -> None:
    assert Entries(ROOT, allow_outside=allow_outside).key(entry, "here") == key


@OUTSIDE
@pytest.mark.parametrize("allow_outside", [False, True])
@pytest.mark.parametrize("entry", ["../a.mp4", "walk/../../a.mp4", "../videos-2/a.mp4", "..", ".", "walk/.."])
def test_a_relative_entry_that_leads_outside(entry: str, allow_outside: bool) -> None:
    assert message(entry, allow_outside=allow_outside) == (
        f"train.txt:7 must name a video in /data/videos, but {entry!r} leads outside: write it as an "
        "absolute path and give --allow-outside, or take it out."
    )


@OUTSIDE
@pytest.mark.parametrize(
    "entry", ["/etc/passwd", "/data/videos/../a.mp4", "/data/videos-2/a.mp4", "/data/videos", "/"]
)
def test_an_absolute_entry_outside(entry: str) -> None:
    assert message(entry) == (
        f"train.txt:7 must name a video in /data/videos, but {entry!r} is outside: give --allow-outside "
        "(data.allow_outside: true), or take it out."
    )
    key = Entries(ROOT, allow_outside=True).key(entry, "here")
    assert key == os.path.normpath(entry)


@pytest.mark.parametrize("entry", ["", "a\0.mp4", "/data/videos/\0"])
def test_an_entry_that_names_nothing(entry: str) -> None:
    for allow_outside in (False, True):
        assert message(entry, allow_outside=allow_outside) == (
            f"train.txt:7 must name a video, got {entry!r}: correct the line."
        )


Parts = st.lists(st.sampled_from(["..", ".", "", "a", "b.mp4", "videos", "lists", "data", "…", "\x1b"]))


@given(entry=Parts.map("/".join), allow_outside=st.booleans(), beside=st.sampled_from([None, LISTS]))
def test_no_relative_entry_that_leads_outside_is_ever_accepted(
    entry: str, allow_outside: bool, beside: Path | None
) -> None:
    entry = entry.lstrip("/")
    try:
        key = Entries(ROOT, beside=beside, allow_outside=allow_outside).key(entry, "here")
    except UserError:
        return
    place = os.path.normpath(ROOT / key)
    assert place == os.path.normpath(ROOT / entry) or place == os.path.normpath(LISTS / entry)
    assert place.startswith(("/data/videos/", "/data/lists/") if beside else "/data/videos/")
    assert not key.startswith("../")


@given(entry=Parts.map("/".join))
def test_without_permission_no_key_is_absolute(entry: str) -> None:
    try:
        key = Entries(ROOT).key("/" + entry, "here")
    except UserError:
        return
    assert not key.startswith(("/", "../"))
    assert os.path.normpath(ROOT / key) == os.path.normpath("/" + entry.lstrip("/"))


def test_a_folder_that_is_a_link_has_two_names(tmp_path: Path) -> None:
    touch(tmp_path, "there/a.mp4")
    (tmp_path / "data").symlink_to("there")
    entries = Entries(tmp_path / "data")
    for folder in ("data", "there"):
        assert entries.key(f"{tmp_path}/{folder}/a.mp4", "here") == "a.mp4"


def test_links_within_the_folder_are_followed(tmp_path: Path) -> None:
    touch(tmp_path / "elsewhere", "a.mp4", "b.mp4")
    write_lists(tmp_path / "data", "in/a.mp4 run\nin/b.mp4 walk\n")
    (tmp_path / "data/in").symlink_to(tmp_path / "elsewhere")
    source = opened(tmp_path / "data")
    assert {key for split in ("train", "val") for key, _ in shown(source, split)} == {"in/a.mp4", "in/b.mp4"}


def test_beside_the_list_is_no_outside(tmp_path: Path) -> None:
    touch(tmp_path, "videos/a.mp4", "lists/b.mp4", "lists/a.mp4")
    entries = Entries(tmp_path / "videos", beside=tmp_path / "lists")
    assert entries.key("a.mp4", "here") == "a.mp4"
    assert entries.key("b.mp4", "here") == str(tmp_path / "lists/b.mp4")
    assert entries.key("neither.mp4", "here") == "neither.mp4"
    assert entries.key("../videos/a.mp4", "here") == "a.mp4"
    assert entries.key("../lists/b.mp4", "here") == str(tmp_path / "lists/b.mp4")
    assert entries.key("n" * 5000, "here") == "n" * 5000  # a name that no file can have
    with pytest.raises(UserError, match=r"but '../c.mp4' leads outside"):
        entries.key("../c.mp4", "here")


# In every kind of list


@OUTSIDE
@pytest.mark.parametrize("name", ["train.txt", "val.txt"])
@pytest.mark.parametrize("kind", ["list", "multi-label"])
@pytest.mark.parametrize("entry", ["../out.mp4", "/etc/out.mp4"])
def test_lists(tmp_path: Path, name: str, kind: str, entry: str) -> None:
    for each in ("train.txt", "val.txt"):
        (tmp_path / each).write_text("a.mp4 run\nb.mp4 walk\n")
    (tmp_path / name).write_text(f"a.mp4 run\nb.mp4 walk\n{entry} run\n")
    message = error(tmp_path, format=kind)
    assert message.startswith(f"{tmp_path / name}:3 must name a video in {tmp_path}, but {entry!r} ")
    if entry.startswith("/"):
        allowed = opened(tmp_path, format=kind, allow_outside=True)
        assert entry in {item.key for split in allowed.splits.values() for item in split}
    else:
        assert error(tmp_path, format=kind, allow_outside=True) == message


@OUTSIDE
def test_a_list_elsewhere_without_a_folder(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("a.mp4 run\n../b.mp4 walk\n")
    assert error(train=tmp_path / "mine.txt") == (
        f"{tmp_path / 'mine.txt'}:2 must name a video in {tmp_path}, but '../b.mp4' leads outside: write it "
        "as an absolute path and give --allow-outside, or take it out."
    )


@OUTSIDE
def test_ucf101(tmp_path: Path) -> None:
    root = write_ucf101(tmp_path / "ucf")
    lists = root / "ucfTrainTestlist"
    (lists / "trainlist02.txt").write_text("Archery/a.avi 2\nArchery/../../../out.avi 2\n")
    assert error(root, official_split=2, allow_outside=True) == (
        f"{lists / 'trainlist02.txt'}:2 must name a video in {root}, but "
        "'UCF-101/Archery/../../../out.avi' leads outside: write it as an absolute path and give "
        "--allow-outside, or take it out."
    )
    (lists / "classInd.txt").write_text("1 ..\n2 Archery\n")
    (lists / "trainlist02.txt").write_text("Archery/a.avi 2\n../../out.avi 1\n")
    assert "trainlist02.txt:2 must name a video in" in error(root, official_split=2)


@OUTSIDE
@pytest.mark.parametrize("video", ["../../out", "/etc/out"])
def test_charades(tmp_path: Path, video: str) -> None:
    (tmp_path / "Charades_v1_480").mkdir()
    (tmp_path / "Charades_v1_classes.txt").write_text(CLASSES)
    (tmp_path / "Charades_v1_train.csv").write_text(f"{HEADER}A,S,c000 1 2,5\n{video},S,c000 1 2,5\n")
    (tmp_path / "Charades_v1_test.csv").write_text(f"{HEADER}A,S,c000 1 2,5\n")
    message = error(tmp_path)
    assert message.startswith(f"{tmp_path / 'Charades_v1_train.csv'}:3 must name a video in {tmp_path}, but ")
    if video.startswith("/"):
        keys = [item.key for item in opened(tmp_path, allow_outside=True).splits["train"]]
        assert keys == ["Charades_v1_480/A.mp4", "/etc/out.mp4"]


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (",S,c000 1 2,5\n", ":2 must have a video's id, got nothing: correct the line."),
        (
            "a" * 200_000 + ",S,c000 1 2,5\n",
            " must be a table, but line 2 is none: field larger than field limit (131072).",
        ),
    ],
)
def test_odd_rows_of_charades(tmp_path: Path, rows: str, message: str) -> None:
    (tmp_path / "Charades_v1_classes.txt").write_text(CLASSES)
    (tmp_path / "Charades_v1_train.csv").write_text(HEADER + rows)
    assert error(tmp_path) == f"{tmp_path / 'Charades_v1_train.csv'}{message}"


def test_absolute_entries_have_the_checksum_of_relative_ones(tmp_path: Path) -> None:
    checksums = set()
    for folder, before in (("one", ""), ("two", f"{tmp_path}/two/"), ("three", "../three/")):
        touch(tmp_path / folder, "a.mp4", "b.mp4")
        write_lists(tmp_path / folder, f"{before}a.mp4 run\n{before}b.mp4 walk\n")
        checksums.add(opened(tmp_path / folder).checksum())
    assert len(checksums) == 1


@OUTSIDE
def test_every_verb_that_takes_data_refuses_until_it_is_allowed(tmp_path: Path, xpand: Xpand) -> None:
    outside = tmp_path / "elsewhere/a.mp4"
    touch(tmp_path, "elsewhere/a.mp4", "data/b.mp4")
    write_lists(tmp_path / "data", f"{outside} run\nb.mp4 walk\n")
    model = write_tiny(tmp_path / "tiny.yaml", ("run", "jump"), weights=True)
    data = ("--data", tmp_path / "data")
    small = ("--set", "space.settings.size=32", "--target", "3M", "--dry-run")
    told = (
        f"error: {tmp_path / 'data/train.txt'}:1 must name a video in {tmp_path / 'data'}, but "
        f"{str(outside)!r} is outside: give --allow-outside (data.allow_outside: true), or take it out."
    )
    for verb in (
        ("doctor", tmp_path / "data"),
        ("search", *data, *small),
        ("train", model, *data, "--dry-run"),
        ("test", model, *data),
    ):
        assert refused(xpand(*verb)) == told
        done = xpand(*verb, "--allow-outside")
        if verb[0] == "test":
            assert "the network must know all classes of data, but of its 2 none is walk" in refused(done)
        else:  # empty files are bad
            assert done.returncode == {"doctor": 1, "search": 2, "train": 0}[verb[0]], done.stderr
    assert xpand("doctor", tmp_path / "data", "--set", "data.allow_outside=true").returncode == 1
