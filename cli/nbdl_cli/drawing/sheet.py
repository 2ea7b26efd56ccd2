"""Sections as one large picture, for handouts and slides: SVG of squares and text, or PNG of pixels."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from textwrap import wrap
from typing import Any
from xml.sax.saxutils import escape

from nbdl_cli.drawing.cards import Section
from nbdl_cli.drawing.figures import percent
from nbdl_cli.drawing.palette import style
from nbdl_cli.drawing.plate import Plate, colours, fitted
from nbdl_cli.drawing.png import LETTER_HEIGHT, png, text_width, write

WIDTH, MARGIN, GUTTER, GAP = 1120, 24, 76, 14  # pixels
LINE = 20
SIDE = 96  # of a plate, about
SINGLE = 260  # of one that stands alone
MOST = 24  # cards of a section, unless another number is asked for
STEPS = 24  # shades a colour has in an SVG, so that neighbours can be one shape
INK, FAINT, BAR = (34, 34, 34), (89, 89, 89), (0, 114, 178)
FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, Helvetica, Arial, sans-serif"


@dataclass(frozen=True)
class Words:
    """A line of text whose letters hang from y."""

    x: int
    y: int
    text: str
    bold: bool = False
    faint: bool = False


@dataclass(frozen=True)
class Picture:
    """A plate whose cells are `cell` pixels wide and high (a strip: `cell` wide, `tall` high)."""

    x: int
    y: int
    plate: Plate
    cell: int
    tall: int


@dataclass(frozen=True)
class Bar:
    x: int
    y: int
    width: int


@dataclass(frozen=True)
class Sheet:
    """A page of sections below each other."""

    title: str
    sections: Sequence[Section]

    def _items(self) -> tuple[list[Any], int]:
        """Everything on the page, and the page's height."""
        items: list[Any] = [Words(MARGIN, MARGIN, self.title, bold=True)]
        y = MARGIN + LINE + GAP
        for section in self.sections:
            items.append(Words(MARGIN, y, section.title, bold=True))
            y += LINE
            shown = section.chosen(MOST)
            note = section.left_out(len(shown)) if section.cards else ""
            for line in wrap(f"{section.sentence} {note}".strip(), 120):
                items.append(Words(MARGIN, y, line))
                y += LINE
            y += GAP // 2
            for item in self._cards(section, shown, y):
                items.append(item)
            y = max((_below(item) for item in items), default=y) + GAP // 2
            for name, share in section.bars:
                items += [
                    Words(MARGIN, y, name), Bar(MARGIN + GUTTER, y, max(1, round(300 * share))),
                    Words(MARGIN + GUTTER + 310, y, percent(share)),
                ]  # fmt: skip
                y += LINE
            y += GAP
        return items, y + MARGIN

    def _cards(self, section: Section, shown: Sequence[Any], y: int) -> Iterator[Any]:
        room = WIDTH - 2 * MARGIN - GUTTER
        side = SINGLE if len(section.cards) == 1 else SIDE
        sized = [[self._sized(plate, side, room) for plate in card.plates] for card in shown]
        if not sized:
            return
        width = max([p.plate.width * p.cell for one in sized for p in one if p] + [90])
        across = max(1, (room + GAP) // (width + GAP))
        for first in range(0, len(shown), across):
            band = list(zip(shown, sized, strict=True))[first : first + across]
            lefts = [MARGIN + GUTTER + n * (width + GAP) for n in range(len(band))]
            if any(card.caption for card, _ in band):
                yield from (Words(x, y, card.caption) for x, (card, _) in zip(lefts, band, strict=True))
                y += LINE
            for row, name in enumerate(section.rows):
                yield Words(MARGIN, y, name, faint=True)
                tall = LINE
                for x, (_, plates) in zip(lefts, band, strict=True):
                    picture = plates[row]
                    if picture is not None:
                        yield Picture(x, y, picture.plate, picture.cell, picture.tall)
                        tall = max(tall, picture.plate.height * picture.tall)
                y += tall + GAP // 2
            y += GAP // 2

    @staticmethod
    def _sized(plate: Plate | None, side: int, room: int) -> Picture | None:
        if plate is None:
            return None
        if plate.strip:
            return Picture(0, 0, fitted(plate, room // 2), 2, LINE)
        if plate.width > room:
            plate = fitted(plate, room)
        cell = max(2 if plate.width * 2 <= room else 1, min(24, side // plate.width))
        return Picture(0, 0, plate, cell, cell)

    def png(self) -> bytes:
        import numpy as np

        items, height = self._items()
        pixels = np.full((height, WIDTH, 3), 255, np.uint8)
        for item in items:
            if isinstance(item, Words):
                words, scale = item.text, 2
                while words and item.x + text_width(words, scale) > WIDTH:
                    words = words[:-1]
                y = item.y + (LINE - scale * LETTER_HEIGHT) // 2
                colour = BAR if item.bold else FAINT if item.faint else INK
                write(pixels, item.x, y, words, colour, scale)
            elif isinstance(item, Bar):
                pixels[item.y + 3 : item.y + LINE - 3, item.x : item.x + item.width] = BAR
            else:
                found, gaps = colours(item.plate)
                found[gaps] = 255
                found = found.repeat(item.tall, axis=0).repeat(item.cell, axis=1)
                pixels[item.y : item.y + len(found), item.x : item.x + found.shape[1]] = found
        return png(pixels)

    def svg(self) -> bytes:
        items, height = self._items()
        rows = [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}" '
            f'role="img" font-family="{FONT}" font-size="14" fill="{style(INK)}">',
            f"<title>{escape(self.title)}</title>",
            f'<rect width="{WIDTH}" height="{height}" fill="#ffffff"/>',
        ]
        for item in items:
            if isinstance(item, Words):
                look = ' font-weight="600"' if item.bold else f' fill="{style(FAINT)}"' if item.faint else ""
                rows.append(f'<text x="{item.x}" y="{item.y + 15}"{look}>{escape(item.text)}</text>')
            elif isinstance(item, Bar):
                rows.append(
                    f'<rect x="{item.x}" y="{item.y + 3}" width="{item.width}" height="{LINE - 6}" fill="{style(BAR)}"/>'
                )
            else:
                rows.append(
                    f'<g transform="translate({item.x} {item.y}) scale({item.cell} {item.tall})" '
                    f'shape-rendering="crispEdges">{"".join(_shapes(item.plate))}</g>'
                )
        return "\n".join([*rows, "</svg>", ""]).encode()


def _below(item: Any) -> int:
    return item.y + (item.plate.height * item.tall if isinstance(item, Picture) else LINE)


def _shapes(plate: Plate) -> Iterator[str]:
    """One shape for all cells of a colour; cells beside each other are one rectangle."""
    pixels, gaps = colours(plate)
    pixels = (pixels.astype(float) / 255 * STEPS).round() * 255 / STEPS
    ways: dict[str, list[str]] = {}
    for y, row in enumerate(pixels.round().astype(int)):
        cells = [None if gaps[y, x] else style(pixel) for x, pixel in enumerate(row)]
        x = 0
        for colour, run in groupby(cells):
            length = len(list(run))
            if colour is not None:
                ways.setdefault(colour, []).append(f"M{x} {y}h{length}v1h-{length}z")
            x += length
    for colour, way in ways.items():
        yield f'<path fill="{colour}" d="{"".join(way)}"/>'
