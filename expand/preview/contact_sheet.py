"""Clips of a data set as training and validation see them, a few a class, on pages to look at.

N frames of a clip are shown, side by side: its strip.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import matplotlib
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from expand.data.cache import OnProgress, StageProgress
from expand.preview.feed import Clip, Feed, chosen_clips, chosen_views, training_clip, validation_clip
from expand.preview.frames import Written, filled, save_picture, write_list
from expand.system.escaping import visible_line

LIST = "clips.csv"
_NAMES = ("page", "class", "split", "video", "clip", "label", "start", "end", "seconds", "mirrored", "looped")

_FONTS = Path(matplotlib.get_data_path()) / "fonts" / "ttf"  # has more scripts than Pillow's own
_MARGIN, _GAP, _LINE = 20, 2, 18  # pixels
_HEAD, _TITLE, _BELOW = 74, 34, 12
_PAGE = 1500  # pixels that a page is high at most, where a class is not higher
_STRIP = 810  # pixels that a strip is wide at most
_NARROWEST = 380  # that its two lines of words need
_CELL = (96, 160)  # smallest and largest side of a picture
_MOST_CELLS = 8
_INK, _GREY, _MARK, _RULE = "#1a1a1a", "#6b6b6b", "#b3400e", "#d0d0d0"


def write_sheets(feed: Feed, folder: Path, *, clips: int, on_progress: OnProgress) -> Written:
    """Pages with so many clips of training and of validation for each class, and a list of them.

    Args:
        feed: of what.
        folder: for the pages.
        clips: of each class and split; a video is shown once.
        on_progress: is told how far it is.
    """
    train, val = chosen_clips(feed, clips), chosen_views(feed, clips)
    rows: list[tuple[object, ...]] = []
    layout = Layout.of(feed)
    pages = layout.pages([max(len(one), len(other)) for one, other in zip(train, val, strict=True)])
    names = [visible_line(name) for name in feed.videos.classes]
    done = 0
    with filled(folder):
        for page, labels in enumerate(pages, 1):
            blocks = []
            for label in labels:
                blocks.append(
                    Block(
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
    return Written(folder=folder, pictures=len(pages), listed=listed)


def _row(page: int, block: Block, clip: Clip) -> tuple[object, ...]:
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
class Block:
    """A class on a page: clips of training to the left, of validation to the right."""

    title: str
    train: Sequence[Clip]
    val: Sequence[Clip]


@dataclass(frozen=True, kw_only=True, slots=True)
class Layout:
    """Where things are on a page; lengths in pixels.

    Attributes:
        feed: what is shown.
        cell: side of a picture.
        cells: (N,) which frames of a clip are shown.
    """

    feed: Feed
    cell: int
    cells: tuple[int, ...]

    @classmethod
    def of(cls, feed: Feed) -> Layout:
        """Small pictures are enlarged by a whole number, so that each pixel of a network's is seen."""
        smallest, largest = _CELL
        size, frames = feed.sampling.size, feed.sampling.frames
        cell = size * max(1, -(-smallest // size)) if size < smallest else min(size, largest)
        count = min(frames, _MOST_CELLS, max(1, (_STRIP + _GAP) // (cell + _GAP)))
        cells = np.linspace(0, frames - 1, count).round().astype(int)
        return cls(feed=feed, cell=cell, cells=tuple(cells.tolist()))

    @property
    def half(self) -> int:
        """How wide a strip is with its words."""
        return max(_NARROWEST, len(self.cells) * (self.cell + _GAP) - _GAP)

    @property
    def row(self) -> int:
        return 2 * _LINE + self.cell + _BELOW

    def height(self, rows: int) -> int:
        """Of a class with so many rows."""
        return _TITLE + max(1, rows) * self.row

    def pages(self, rows: Sequence[int]) -> list[list[int]]:
        """Which classes stand on which page, given how many rows each of them has."""
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

    def draw(self, blocks: Sequence[Block], *, page: int, pages: int) -> Image.Image:
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
        self, picture: Image.Image, pen: ImageDraw.ImageDraw, place: tuple[int, int], clip: Clip, title: str
    ) -> None:
        left, top = place
        _write(pen, place, visible_line(clip.video), self.half, cut="middle")
        part = f"{clip.start:.2f} to {clip.end:.2f} s of {clip.seconds:.2f} s"
        if len(self.cells) == 1:
            part = f"at {clip.start:.2f} s of {clip.seconds:.2f} s"
        if clip.split == "train":
            part = f"clip {clip.number:,}: {part}"
        used = _write(pen, (left, top + _LINE), part, self.half, ink=_GREY)
        marks = [name for name in ("mirrored", "looped") if getattr(clip, name)]
        told = visible_line(", ".join(clip.labels) or "nothing")
        marks += [f"label: {told}"] if told != title else []
        _write(pen, (left + used + 10, top + _LINE), ", ".join(marks), self.half - used - 10, ink=_MARK)
        for at, frame in enumerate(self.cells):
            shown = Image.fromarray(clip.frames[frame])
            if shown.width != self.cell:
                way = Image.Resampling.NEAREST if shown.width < self.cell else Image.Resampling.LANCZOS
                shown = shown.resize((self.cell, self.cell), way)
            picture.paste(shown, (left + at * (self.cell + _GAP), top + 2 * _LINE))


def _write(
    pen: ImageDraw.ImageDraw,
    place: tuple[int, int],
    text: str,
    room: int,
    *,
    bold: bool = False,
    ink: str = _INK,
    cut: str = "end",
) -> int:
    """Writes a line that is no wider than `room`, with … where it is cut; how wide it is."""
    file, size = ("DejaVuSans-Bold.ttf", 16) if bold else ("DejaVuSans.ttf", 13)
    font = ImageFont.truetype(_FONTS / file, size)
    kept, shown = len(text), text
    while kept > 1 and font.getlength(shown) > room:
        kept -= 1
        tail = kept * 2 // 3 if cut == "middle" else 0  # what tells videos apart is at the end
        shown = f"{text[: kept - tail]}…{text[len(text) - tail :]}"
    if room > 0:
        pen.text(place, shown, font=font, fill=ink)
    return round(font.getlength(shown))
