"""Cards in a row: one a map, with its pictures below each other, and the names of the pictures at the left."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from rich.console import Console, ConsoleOptions, RenderResult
from rich.text import Text

from nbdl_cli.console import colourful
from nbdl_cli.drawing.figures import percent
from nbdl_cli.drawing.folded import Folded
from nbdl_cli.drawing.plate import Plate, fitted, in_characters, in_colour

GAP = 2
NEAT = 10  # columns that small plates are enlarged to
LARGE = 16  # cells that larger ones are shrunk to, where many stand side by side
BAND = 5  # cards in a band, from which one band is enough


@dataclass(frozen=True)
class Card:
    """One map: its name, how much the sample excites it, and its plates (None: nothing to draw)."""

    caption: str
    strength: float
    plates: Sequence[Plate | None]


@dataclass(frozen=True)
class Section:
    """One part of a page: a title, a sentence that teaches, and cards whose plates are named by `rows`.

    `most` cards are drawn at most, those of the largest strength (None: as many as fit one or two rows).
    """

    title: str
    sentence: str
    rows: Sequence[str] = ()
    cards: Sequence[Card] = ()
    most: int | None = None
    more: str = ""  # how to see the cards that are left out
    detail: bool = False  # plates as large as the room
    neat: int = NEAT
    plain: str = ""  # the sentence where there are no colours, if it is another one
    bars: Sequence[tuple[str, float]] = ()  # names and shares, below the cards

    def chosen(self, fits: int) -> Sequence[Card]:
        """The strongest cards, in their order; silent ones only where they are asked for."""
        loud = sum(card.strength > 0 for card in self.cards) or len(self.cards)
        count = min(len(self.cards), self.most or min(fits, loud))
        best = sorted(range(len(self.cards)), key=lambda n: -self.cards[n].strength)[:count]
        return [self.cards[n] for n in sorted(best)]

    def left_out(self, shown: int) -> str:
        """A word about those that are not drawn."""
        if shown == len(self.cards):
            return ""
        most = f"The {shown} most excited" if shown > 1 else "The most excited"
        return f"{most} of {len(self.cards)}; {self.more}."

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        yield Folded(self.title, "bold")
        sentence = self.sentence if colourful(console) else self.plain or self.sentence
        if sentence:
            yield Folded(sentence)
        if self.cards:
            yield from self._cards(console, options)
        for name, share in self.bars:
            room = max(4, min(30, options.max_width - 26))
            yield Text(f" {name:>10.10} {'█' * round(room * share):<{room}} {percent(share)}", no_wrap=True)

    def _cards(self, console: Console, options: ConsoleOptions) -> RenderResult:
        colour = colourful(console)
        gutter = max(map(len, self.rows)) + 2
        room = max(8, options.max_width - 1 - gutter)
        cells = room if colour else room // 2
        drawn = [self._drawn(card, cells, colour) for card in self.cards]
        width = max(
            [len(card.caption) for card in self.cards]
            + [line.cell_len for blocks in drawn for block in blocks for line in block]
        )
        width = min(width, room)
        across = max(1, (room + GAP) // (width + GAP))
        fits = across if across >= BAND else 2 * across if across > 1 else 2
        chosen = self.chosen(fits)
        for first in range(0, len(chosen), across):
            band = chosen[first : first + across]
            blocks = [drawn[self.cards.index(card)] for card in band]
            captions = [Text(card.caption[:width], style="bold") for card in band]
            if any(card.caption for card in band):
                yield _line("", gutter, captions, width)
            for row, name in enumerate(self.rows):
                height = max(len(one[row]) for one in blocks)
                for number in range(height):
                    line = [one[row][number] if number < len(one[row]) else Text() for one in blocks]
                    yield _line(name if not number else "", gutter, line, width)
            if first + across < len(chosen):
                yield Text()
        note = self.left_out(len(chosen))
        if note:
            yield Folded(note)

    def _drawn(self, card: Card, cells: int, colour: bool) -> list[list[Text]]:
        draw = in_colour if colour else in_characters
        small = cells if self.detail else min(cells, LARGE if colour else LARGE // 2 + 1)
        found = []
        for plate in card.plates:
            if plate is None:
                found.append([Text("–" if colour else "-")])
                continue
            most = cells if plate.whole or plate.strip else small
            zoom = max(1, min(4, (self.neat if colour else self.neat // 2) // plate.width))
            found.append(draw(fitted(plate, most, zoom)))
        return found


def _line(name: str, gutter: int, pieces: Sequence[Any], width: int) -> Text:
    text = Text(f" {name:<{gutter - 1}}", style="", no_wrap=True)
    for piece in pieces:
        line = piece.copy()
        line.pad_right(width + GAP - line.cell_len)
        text.append_text(line)
    text.rstrip()
    return text
