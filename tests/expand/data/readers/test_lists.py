"""Lists as people write them: what becomes of each, as docs/data.md has it in the same words."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from pathlib import Path

import pytest

from expand.config.data import DataConfig
from expand.data.base import Cut
from expand.data.readers.base import Listed
from expand.data.readers.lists import Lists
from expand.system.errors import UserError
from tests.expand.data.test_sources import error, opened, shown, touch

DOCS = Path(__file__).parents[4] / "docs" / "data.md"
PLAIN = [("a.mp4", "run"), ("b.mp4", "walk")]
NUMBERED = [("a.mp4", "0"), ("b.mp4", "1")]
ACCENTED = unicodedata.normalize("NFD", "é.mp4")
NAMES = "classes.txt"


@dataclass(frozen=True, kw_only=True)
class Case:
    """A list of `files`, and what becomes of it.

    Attributes:
        title: as the table of docs/data.md has it.
        becomes: videos with their labels; or what is said, after `train.txt:`.
        left_out: what is counted.
    """

    title: str
    text: str | bytes
    becomes: list[tuple[str, str]] | str
    files: tuple[str, ...] = ("a.mp4", "b.mp4")
    left_out: tuple[tuple[str, int], ...] = ()
    classes: str | None = None
    name: str = "train.txt"


CASES = [
    Case(title="`a.mp4 run`", text="a.mp4 run\nb.mp4 walk\n", becomes=PLAIN),
    Case(title="`a.mp4,run`", text="a.mp4,run\nb.mp4 , walk\n", becomes=PLAIN),
    Case(title="`a.mp4;run`", text="a.mp4;run\nb.mp4;walk\n", becomes=PLAIN),
    Case(title="a tab between path and label", text="a.mp4\trun\nb.mp4\twalk\n", becomes=PLAIN),
    Case(title="a no-break space between them", text="a.mp4\u00a0run\nb.mp4\u00a0walk\n", becomes=PLAIN),
    Case(title="`run<tab>a.mp4`: the label first", text="run\ta.mp4\nwalk\tb.mp4\n", becomes=PLAIN),
    Case(title="`a.mp4,run,`", text="a.mp4,run,\nb.mp4,walk,,\n", becomes=PLAIN),
    Case(title='`"a.mp4" "run"`', text='"a.mp4" "run"\n"b.mp4","walk"\n', becomes=PLAIN),
    Case(title="`'a.mp4' 'run'`", text="'a.mp4' 'run'\n'b.mp4','walk'\n", becomes=PLAIN),
    Case(title="`./a.mp4 run`", text="./a.mp4 run\n.//b.mp4 walk\n", becomes=PLAIN),
    Case(
        title="`/a.mp4 run`, and it is in the data's folder", text="/a.mp4 run\n/b.mp4 walk\n", becomes=PLAIN
    ),
    Case(
        title="`DATA/a.mp4 run` for the folder DATA", text="DATA/a.mp4 run\nDATA/b.mp4 walk\n", becomes=PLAIN
    ),
    Case(
        title="`run\\a.mp4 run`",
        text="run\\a.mp4 run\nwalk\\b.mp4 walk\n",
        files=("run/a.mp4", "walk/b.mp4"),
        becomes=[("run/a.mp4", "run"), ("walk/b.mp4", "walk")],
    ),
    Case(title="`a run`, and there is one such video", text="a run\nb walk\n", becomes=PLAIN),
    Case(
        title="`a run`, and there are `a.mp4` and `a.avi`",
        text="b.mp4 walk\na run\n",
        files=("a.mp4", "a.avi", "b.mp4"),
        becomes="2 must name one video, but 'a' may be any of a.avi, a.mp4: write its suffix.",
    ),
    Case(
        title="accents that the file's name writes in another way",
        text="é.mp4 run\nb.mp4 walk\n",
        files=(ACCENTED, "b.mp4"),
        becomes=[(ACCENTED, "run"), ("b.mp4", "walk")],
    ),
    Case(
        title="blanks and commas in names",
        text="my film, take (2) & co.mp4 run\nb 1.mp4,walk the dog\n",
        files=("my film, take (2) & co.mp4", "b 1.mp4"),
        becomes=[("my film, take (2) & co.mp4", "run"), ("b 1.mp4", "walk the dog")],
    ),
    Case(
        title="`a.mp4.b.avi run`",
        text="a.mp4.b.avi run\nb.mp4 walk\n",
        files=("a.mp4.b.avi", "b.mp4"),
        becomes=[("a.mp4.b.avi", "run"), ("b.mp4", "walk")],
    ),
    Case(
        title="other scripts",
        text="视频 1/第1个.mp4 跳\nb.mp4 walk\n",
        files=("视频 1/第1个.mp4", "b.mp4"),
        becomes=[("视频 1/第1个.mp4", "跳"), ("b.mp4", "walk")],
    ),
    Case(
        title="`#1_run.avi run`",
        text="#1_run.avi run\n#2_run.avi run\nb.mp4 walk\n",
        files=("#1_run.avi", "b.mp4"),
        becomes=[("#1_run.avi", "run"), ("#2_run.avi", "run"), ("b.mp4", "walk")],
    ),
    Case(
        title="`# a comment`, and rows behind a `#`",
        text="# of path and label\n# c.mp4 run\n#b.mp4 run\na.mp4 run\n\nb.mp4 walk\n",
        becomes=PLAIN,
        left_out=(("lines of train.txt that are comments", 3),),
    ),
    Case(title="`a.mp4 run # a comment`", text="a.mp4 run # slowly\nb.mp4 walk\n", becomes=PLAIN),
    Case(title="`a.mp4 0`", text="a.mp4 0\nb.mp4 01\n", becomes=NUMBERED),
    Case(title="`a.mp4 0.0`", text="a.mp4 0.0\nb.mp4 1.0\n", becomes=NUMBERED),
    Case(title="`a.mp4 ０`", text="a.mp4 ０\nb.mp4 １\n", becomes=NUMBERED),
    Case(
        title="numbers from 1, without classes.txt",
        text="a.mp4 1\nb.mp4 2\n",
        becomes=[("a.mp4", "1"), ("b.mp4", "2")],
    ),
    Case(
        title="numbers from 1, with `1 run` in classes.txt",
        text="a.mp4 1\nb.mp4 2\n",
        classes="1 run\n2 walk\n3 jump\n",
        becomes=PLAIN,
    ),
    Case(
        title="numbers from 0, with `0 run` or `run` in classes.txt",
        text="a.mp4 0\nb.mp4 walk\n",
        classes="run\nwalk\n",
        becomes=PLAIN,
    ),
    Case(
        title="numbers from 1, with `run` in classes.txt",
        text="a.mp4 1\nb.mp4 2\n",
        classes="run\nwalk\n",
        becomes="2 must have a class of classes.txt or its number from 0 to 1, got '2': correct the line or "
        "classes.txt; numbers that count from 1 need them before its names, as `1 run`.",
    ),
    Case(
        title="`a.mp4 -1`",
        text="a.mp4 0\nb.mp4 1\nc.mp4 -1\n",
        becomes=NUMBERED,
        left_out=(("rows of train without a label, as -1 says", 1),),
    ),
    Case(
        title="`a.mp4 0 1`",
        text="a.mp4 0 1\nb.mp4 1\n",
        becomes="1 must have one label, got '0 1': write several as `0;1`, and set data.format: multi-label.",
    ),
    Case(
        title="`a.mp4`",
        text="a.mp4 run\nb.mp4\n",
        becomes="2 must be `path label` or `path,label`, got 'b.mp4'.",
    ),
    Case(
        title="`a.mp4 run.avi`, and there is `a.mp4`",
        text="a.mp4 run.avi\nb.mp4 walk\n",
        becomes=[("a.mp4", "run.avi"), ("b.mp4", "walk")],
    ),
    Case(
        title="`a.mp4 run.avi`, and there is no `a.mp4`",
        text="c.mp4 run.avi\nb.mp4 walk\n",
        becomes="1 must be `path label` or `path,label`, got 'c.mp4 run.avi'.",
    ),
    Case(
        title="`a.mp4,run,0.6,train`",
        text="a.mp4,run,0.6,train\nb.mp4,walk,0.6,train\n",
        becomes="1 must be `path,label`, got 4 columns: name them in a first line such as "
        "`path,label,start,end`, or quote what has a ',' in it.",
    ),
    Case(
        title="the same row twice",
        text="a.mp4 run\nb.mp4 walk\n./a.mp4 run\n",
        becomes=PLAIN,
        left_out=(("rows of train that repeat another", 1),),
    ),
    Case(
        title="a video with two labels",
        text="a.mp4 run\nb.mp4 walk\na.mp4 walk\n",
        becomes="3 must give a.mp4 the label that {root}/train.txt:1 gives it, 'run', got 'walk': take one "
        "of them out, or set data.format: multi-label.",
    ),
    Case(
        title="`video_path,label,duration,split`",
        text="video_path,label,duration,split\na.mp4,run,0.6,train\nb.mp4,walk,0.6,train\n",
        name="train.csv",
        becomes=PLAIN,
    ),
    Case(
        title="`tag,video_name`",
        text="tag;video_name\nrun;a.mp4\nwalk;b.mp4\n",
        name="train.csv",
        becomes=PLAIN,
    ),
    Case(
        title="`,video_name,tag`: a column of numbers",
        text=",video_name,tag\n0,a.mp4,run\n1,b.mp4,walk\n",
        name="train.csv",
        becomes=PLAIN,
    ),
    Case(
        title="rows with more or fewer cells than the first line",
        text="video,label,seconds\na.mp4,run,0.6\nb.mp4,walk\n",
        becomes="3 must have the 3 columns of its first line, got 2: correct it, or quote what has a ',' in "
        "it.",
    ),
    Case(
        title="an empty cell",
        text="video,label,seconds\na.mp4,,0.6\n",
        becomes="2 must have a label, but its cell is empty: fill it in, or take the line out.",
    ),
    Case(
        title="`a 163 run`: a folder of pictures",
        text="a 163 run\nb 9 walk\n",
        files=("a/img_00001.jpg", "b/img_00001.jpg"),
        becomes=[("a", "run"), ("b", "walk")],
    ),
    Case(
        title="`take 1 run`, and there is `take 1.mp4`",
        text="take 1 run\ntake 2 walk\n",
        files=("take 1.mp4", "take 2.mp4"),
        becomes=[("take 1.mp4", "run"), ("take 2.mp4", "walk")],
    ),
    Case(
        title="`a.mp4 run 1.5 4`: a part of a video",
        text="a.mp4 run 1.5 4\na.mp4,walk,4,6.25\n",
        becomes=[("a.mp4 1.5-4", "run"), ("a.mp4 4-6.25", "walk")],
    ),
    Case(
        title="`label,start,end,video`: the same in a table",
        text="label,start,end,video\nrun,1.5,4,a.mp4\nwalk,00:00:04,00:00:06.25,a.mp4\n",
        becomes=[("a.mp4 1.5-4", "run"), ("a.mp4 4-6.25", "walk")],
    ),
    Case(
        title="a part that ends before it starts",
        text="a.mp4 run 4 1.5\n",
        becomes="1 must have a start and a later end, in seconds or as 00:01:02.5, got '4' and '1.5': "
        "correct the line.",
    ),
    Case(title="lines that end in CR, or in CR and LF", text="a.mp4 run\rb.mp4 walk\r\n", becomes=PLAIN),
    Case(title="UTF-16", text="a.mp4 run\nb.mp4 walk\n".encode("utf-16"), becomes=PLAIN),
    Case(
        title="UTF-8 with a mark in front", text="a.mp4 run\nb.mp4 walk\n".encode("utf-8-sig"), becomes=PLAIN
    ),
    Case(title="Latin-1 and other encodings", text="é.mp4 run\n".encode("latin-1"), becomes="text in UTF-8"),
]


def read(root: Path, **settings: object) -> Listed:
    return Lists().read(DataConfig.model_validate({"path": root, **settings}), ("train", "val", "test"))


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.title)
def test_a_list(tmp_path: Path, case: Case) -> None:
    root = touch(tmp_path / "DATA", *case.files)
    path = root / case.name
    path.write_bytes(case.text if isinstance(case.text, bytes) else case.text.encode())
    if case.classes is not None:
        (root / NAMES).write_text(case.classes)
    if isinstance(case.becomes, str):
        with pytest.raises(UserError) as caught:
            read(root)
        said = f"{path}:{case.becomes.format(root=root)}"
        if not case.becomes[0].isdigit():
            said = f"{path} must be {case.becomes}: convert it."
        assert str(caught.value) == said
        return
    listed = read(root)
    assert [(video.key, video.label) for video in listed.splits["train"]] == case.becomes
    assert tuple((out.what, out.count) for out in listed.left_out) == case.left_out
    rows = [line for line in path.read_text(errors="replace").splitlines() if line.strip()]
    known = len(case.becomes) + sum(count for _, count in case.left_out)
    assert isinstance(case.text, bytes) or len(rows) - known in (0, 1)  # the header: none vanishes


def test_the_table_of_the_documentation_has_each_of_these() -> None:
    table = DOCS.read_text(encoding="utf-8").partition("## What a line may be")[2].partition("\n## ")[0]
    titles = [match[1] for match in re.finditer(r"^\| (.+?) +\| ", table, re.MULTILINE)]
    assert titles[2:] == [case.title for case in CASES]


def test_parts_of_a_video_are_items_of_its_file(tmp_path: Path) -> None:
    touch(tmp_path, "long.mp4")
    (tmp_path / "train.txt").write_text("long.mp4 run 0.0004 4\nlong.mp4 run 4 5\nlong.mp4 walk 5 6\n")
    (tmp_path / "val.txt").write_text("long.mp4 run 12345.678 12346\n")
    source = opened(tmp_path)
    (item,) = source.splits["val"]
    assert item.key == "long.mp4 12345.678-12346"
    assert item.cut == Cut(file="long.mp4", start=12345.678, end=12346)
    assert source.splits["train"][1].cut == Cut(file="long.mp4", start=4, end=5)


def test_minus_one_is_refused_where_it_would_be_scored(tmp_path: Path) -> None:
    (tmp_path / "train.txt").write_text("a.mp4 0\nb.mp4 1\n")
    (tmp_path / "val.txt").write_text("c.mp4 1\nd.mp4 -1\n")
    assert error(tmp_path) == f"{tmp_path / 'val.txt'}:2 must have a label, got -1: label it, or take it out."


def test_one_table_for_all_splits(tmp_path: Path) -> None:
    rows = ("a.mp4,run,train", "b.mp4,walk,training", "c.mp4,run,validation", "d.mp4,walk,test")
    (tmp_path / "train.csv").write_text("\n".join(["path,label,split", *rows]))
    listed = read(tmp_path)
    assert {split: [video.key for video in videos] for split, videos in listed.splits.items()} == {
        "train": ["a.mp4", "b.mp4"],
        "val": ["c.mp4"],
        "test": ["d.mp4"],
    }
    (tmp_path / "val.txt").write_text("e.mp4 run\n")
    assert [(out.what, out.count, out.example) for out in read(tmp_path).left_out] == [
        ("rows of train.csv that it puts into another split", 1, "c.mp4")
    ]


def test_what_is_left_out_is_said_of_the_source(tmp_path: Path) -> None:
    (tmp_path / "train.txt").write_text("# rows\na.mp4 0\nb.mp4 1\nb.mp4 1\nc.mp4 -1\n")
    (tmp_path / "val.txt").write_text("d.mp4 1\n")
    assert opened(tmp_path).notes == (  # type: ignore[attr-defined]
        "left out: lines of train.txt that are comments: 1, such as '# rows'",
        "left out: rows of train that repeat another: 1, such as 'b.mp4'",
        "left out: rows of train without a label, as -1 says: 1, such as 'c.mp4'",
    )


def test_a_list_to_test_on_is_found_without_training(tmp_path: Path) -> None:
    (tmp_path / "test.txt").write_text("a.mp4 run\nb.mp4 walk\n")
    source = opened(tmp_path, splits=("test",))
    assert shown(source, "test") == PLAIN
    assert error(tmp_path) == f"data.train must name a list, but {tmp_path} has no train.txt or train.csv."


def test_a_test_txt_beside_class_folders_is_no_list(tmp_path: Path) -> None:
    touch(tmp_path, "run/a.mp4", "run/b.mp4", "walk/c.mp4")
    (tmp_path / "test.txt").write_text("it works\n")
    assert opened(tmp_path).classes == ("run", "walk")
