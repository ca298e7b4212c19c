"""Contact sheets: pages with a few clips of each class, as training and validation see them.

N frames of a clip are shown side by side, as a strip.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import matplotlib
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from expand.data.progress import OnProgress, StageProgress
from expand.preview.feed import Clip, Feed, chosen_clips, chosen_views, training_clip, validation_clip
from expand.preview.frames import WrittenPictures, filled, save_picture, write_list
from expand.system.escaping import visible_line

LIST = "clips.csv"
_NAMES = ("page", "class", "split", "video", "clip", "label", "start", "end", "seconds", "mirrored", "looped")

_FONTS = Path(matplotlib.get_data_path()) / "fonts" / "ttf"  # cover more scripts than Pillow's own font
_MARGIN, _GAP, _LINE = 20, 2, 18  # pixels
_HEAD, _TITLE, _BELOW = 74, 34, 12
_PAGE = 1500  # the largest height of a page in pixels, unless a single class is higher
_STRIP = 810  # the largest width of a strip in pixels
_NARROWEST = 380  # the least width of a strip with its two lines of text, in pixels
_CELL = (96, 160)  # smallest and largest side of a picture in pixels
_MOST_CELLS = 8
_INK, _GREY, _MARK, _RULE = "#1a1a1a", "#6b6b6b", "#b3400e", "#d0d0d0"


def write_sheets(feed: Feed, folder: Path, *, clips: int, on_progress: OnProgress) -> WrittenPictures:
    """Write pages with clips of training and validation for each class, and a list of these clips.

    Args:
        feed: gives the clips.
        folder: the folder to write to.
        clips: number of clips of each class and split, each of another video.
        on_progress: called with the progress.

    Raises:
        UserError: the folder cannot be written.
    """
    train, val = chosen_clips(feed, clips), chosen_views(feed, clips)
    rows: list[tuple[object, ...]] = []
    layout = SheetLayout.of(feed)
    pages = layout.pages([max(len(one), len(other)) for one, other in zip(train, val, strict=True)])
    names = [visible_line(name) for name in feed.videos.classes]
    done = 0
    with filled(folder):
        for page, labels in enumerate(pages, 1):
            blocks = []
            for label in labels:
                blocks.append(
                    ClassClips(
                        title=names[label],
                        train=[training_clip(feed, number) for number in train[label]],
                        val=[validation_clip(feed, number) for number in val[label]],
                    )
                )
                done += 1
                on_progress(StageProgress(what="drawing classes", done=done, total=len(names)))
            file = folder / f"page-{page:0{max(2, len(str(len(pages))))}}.png"
            save_picture(file, layout.draw(blocks, page=page, pages=len(pages)))
            rows += [_row(page, block, clip) for block in blocks for clip in (*block.train, *block.val)]
        listed = write_list(folder / LIST, _NAMES, rows)
    return WrittenPictures(folder=folder, pictures=len(pages), listed=listed)


def _row(page: int, block: ClassClips, clip: Clip) -> tuple[object, ...]:
    return (
        page,
        block.title,
        clip.split,
        visible_line(clip.video),
        clip.number,
        visible_line(";".join(clip.labels)),
        f"{clip.start:.4f}",
        f"{clip.end:.4f}",
        f"{clip.seconds:.4f}",
        int(clip.mirrored),
        int(clip.looped),
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class ClassClips:
    """A class on a page: clips of training at the left, of validation at the right."""

    title: str
    train: Sequence[Clip]
    val: Sequence[Clip]


@dataclass(frozen=True, kw_only=True, slots=True)
class SheetLayout:
    """The layout of a page; lengths are in pixels.

    Attributes:
        feed: gives the clips.
        cell: side of a picture.
        cells: (N,) indices of the frames of a clip that are shown.
    """

    feed: Feed
    cell: int
    cells: tuple[int, ...]

    @classmethod
    def of(cls, feed: Feed) -> SheetLayout:
        """Choose the layout; small pictures are enlarged by an integer, so that each pixel can be seen."""
        smallest, largest = _CELL
        size, frames = feed.sampling.size, feed.sampling.frames
        cell = size * max(1, -(-smallest // size)) if size < smallest else min(size, largest)
        count = min(frames, _MOST_CELLS, max(1, (_STRIP + _GAP) // (cell + _GAP)))
        cells = np.linspace(0, frames - 1, count).round().astype(int)
        return cls(feed=feed, cell=cell, cells=tuple(cells.tolist()))

    @property
    def half(self) -> int:
        """The width of a strip with its text."""
        return max(_NARROWEST, len(self.cells) * (self.cell + _GAP) - _GAP)

    @property
    def row(self) -> int:
        return 2 * _LINE + self.cell + _BELOW

    def height(self, rows: int) -> int:
        """Return the height of a class with so many rows."""
        return _TITLE + max(1, rows) * self.row

    def pages(self, rows: Sequence[int]) -> list[list[int]]:
        """Distribute the classes over pages, given the number of rows of each; returns indices of classes."""
        pages: list[list[int]] = []
        left = 0
        for label, count in enumerate(rows):
            height = self.height(count)
            if not pages or height > left:
                pages.append([])
                left = _PAGE - _HEAD - 2 * _MARGIN
            pages[-1].append(label)
            left -= height
        return pages

    def draw(self, blocks: Sequence[ClassClips], *, page: int, pages: int) -> Image.Image:
        heights = [self.height(max(len(block.train), len(block.val))) for block in blocks]
        picture = Image.new("RGB", (3 * _MARGIN + 2 * self.half, _HEAD + sum(heights) + 2 * _MARGIN), "white")
        pen = ImageDraw.Draw(picture)
        right = 2 * _MARGIN + self.half
        self._draw_head(pen, page, pages, right)
        top = _MARGIN + _HEAD
        for block, height in zip(blocks, heights, strict=True):
            pen.line((_MARGIN, top, picture.width - _MARGIN - 1, top), fill=_RULE)
            _write(pen, (_MARGIN, top + 8), block.title, 2 * self.half, bold=True)
            for left, name, clips in ((_MARGIN, "training", block.train), (right, "validation", block.val)):
                if not clips:
                    text = f"no {name} video that can be read"
                    _write(pen, (left, top + _TITLE), text, self.half, ink=_MARK)
                for at, clip in enumerate(clips):
                    self._draw_clip(picture, pen, (left, top + _TITLE + at * self.row), clip, block.title)
            top += height
        return picture

    def _draw_head(self, pen: ImageDraw.ImageDraw, page: int, pages: int, right: int) -> None:
        feed = self.feed
        sampling, whole = feed.sampling, 2 * self.half
        of_all = f", {len(self.cells)} of {sampling.frames} frames shown" * (
            len(self.cells) < sampling.frames
        )
        _write(
            pen,
            (_MARGIN, _MARGIN),
            f"{visible_line(feed.videos.cached.name)}: clips of {sampling}{of_all} · page {page} of {pages}",
            whole,
            bold=True,
        )
        low, high = feed.augment.jitter
        flip = "flipped half of the time" if feed.augment.swaps is not None else "never flipped"
        clips = f"{feed.views.clips} clips a video" if feed.views.clips > 1 else "the clip in the middle"
        train = f"training, seed {feed.seed}: short side {low:.3g} to {high:.3g} crops, {flip}"
        val = f"validation: {clips}, short side {feed.views.scale:.3g} crops"
        _write(pen, (_MARGIN, _MARGIN + 30), train, self.half)
        _write(pen, (right, _MARGIN + 30), val, self.half)

    def _draw_clip(
        self, picture: Image.Image, pen: ImageDraw.ImageDraw, corner: tuple[int, int], clip: Clip, title: str
    ) -> None:
        left, top = corner
        _write(pen, corner, visible_line(clip.video), self.half, cut="middle")
        part = f"{clip.start:.2f} to {clip.end:.2f} s of {clip.seconds:.2f} s"
        if len(self.cells) == 1:
            part = f"at {clip.start:.2f} s of {clip.seconds:.2f} s"
        if clip.split == "train":
            part = f"clip {clip.number:,}: {part}"
        used = _write(pen, (left, top + _LINE), part, self.half, ink=_GREY)
        marks = [name for name in ("mirrored", "looped") if getattr(clip, name)]
        labels = visible_line(", ".join(clip.labels) or "nothing")
        marks += [f"label: {labels}"] if labels != title else []
        _write(pen, (left + used + 10, top + _LINE), ", ".join(marks), self.half - used - 10, ink=_MARK)
        for at, frame in enumerate(self.cells):
            shown = Image.fromarray(clip.frames[frame])
            if shown.width != self.cell:
                way = Image.Resampling.NEAREST if shown.width < self.cell else Image.Resampling.LANCZOS
                shown = shown.resize((self.cell, self.cell), way)
            picture.paste(shown, (left + at * (self.cell + _GAP), top + 2 * _LINE))


def _write(
    pen: ImageDraw.ImageDraw,
    corner: tuple[int, int],
    text: str,
    room: int,
    *,
    bold: bool = False,
    ink: str = _INK,
    cut: str = "end",
) -> int:
    """Write a line of text, shortened with … to at most `room` pixels; return its width in pixels."""
    file, size = ("DejaVuSans-Bold.ttf", 16) if bold else ("DejaVuSans.ttf", 13)
    font = ImageFont.truetype(_FONTS / file, size)
    kept, shown = len(text), text
    while kept > 1 and font.getlength(shown) > room:
        kept -= 1
        tail = kept * 2 // 3 if cut == "middle" else 0  # keep the end, in which names of videos differ
        shown = f"{text[: kept - tail]}…{text[len(text) - tail :]}"
    if room > 0:
        pen.text(corner, shown, font=font, fill=ink)
    return round(font.getlength(shown))
