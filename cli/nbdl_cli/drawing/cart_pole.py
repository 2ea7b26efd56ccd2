"""A pole on a cart, from the side, in braille dots."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from rich.console import Console, ConsoleOptions, RenderResult
from rich.text import Text

from nbdl_cli.console import unicode_ok
from nbdl_cli.drawing.canvas import Canvas
from nbdl_cli.drawing.plot import MARKS, STYLES

EDGE = 2.4  # of the track, where an episode ends
ROWS, WIDEST = 9, 78


@dataclass(frozen=True)
class CartPoleDrawing:
    """The cart's place from -2.4 to 2.4 and the pole's angle from upright, drawn as steep as it is."""

    state: Sequence[float]  # place, speed, angle, angular speed

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        place, _, angle, _ = self.state
        braille = unicode_ok(console)
        canvas = Canvas(max(10, min(options.max_width - 2, WIDEST)), ROWS)
        ground, half = canvas.height - 1, 6
        middle = round((place + EDGE) / (2 * EDGE) * (canvas.width - 1 - 2 * half)) + half
        top, length = ground - 6, ground - 8
        canvas.line(0, ground, canvas.width - 1, ground, 6)
        for y in range(top, ground - 1):
            canvas.line(middle - half, y, middle + half, y, 0)
        tip = middle + round(length * math.sin(angle)), top - 1 - round(length * math.cos(angle))
        for shift in (0, 1):
            canvas.line(middle + shift, top - 1, tip[0] + shift, tip[1], 1)
        for row in range(ROWS):
            text = Text(" ").append_text(canvas.row(row, STYLES, MARKS, braille))
            text.rstrip()
            yield text
        yield Text(f" place {place:+.2f}   angle {math.degrees(angle):+.1f}°", style="dim")
