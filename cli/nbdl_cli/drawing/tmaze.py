"""A T-maze from above: the corridor, the walker, the cue at the start and the two arms at the end."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from rich.console import Console, ConsoleOptions, RenderResult
from rich.text import Text

from nbdl_cli.console import unicode_ok
from nbdl_cli.drawing.palette import RIGHT, WRONG, colour, style

CUE, WALKER = style(colour(1)), style(colour(0))


@dataclass(frozen=True)
class TMazeDrawing:
    """A maze as its `scene` tells it; a corridor that is too long for the line is drawn shorter."""

    scene: Mapping[str, Any]

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        length, place, cue, turned = (self.scene[name] for name in ("length", "place", "cue", "turned"))
        fancy = unicode_ok(console)
        side, floor, corners = ("│", "─", "┌┐└┘") if fancy else ("|", "-", "++++")
        walker, prize, sign = ("●", "◆", "▲" if cue == "north" else "▼") if fancy else ("@", "*", "^v"[cue == "south"])
        cells = min(length + 1, options.max_width - 4)
        at = 1 + round(place / length * (cells - 1))
        rows = [[" "] * (cells + 2) for _ in range(7)]
        styles: dict[tuple[int, int], str] = {}
        left, middle, right = cells - 1, cells, cells + 1  # of the arms
        for row in (2, 4):
            rows[row][0] = corners[0] if row == 2 else corners[2]
            rows[row][1:left] = [floor] * (left - 1)
            rows[row][left], rows[row][right] = corners[3] if row == 2 else corners[1], side
        rows[3][0] = rows[3][right] = side
        for row in (1, 5):
            rows[row][left] = rows[row][right] = side
        for row in (0, 6):
            rows[row][left : right + 1] = [
                *((corners[0], floor, corners[1]) if row == 0 else (corners[2], floor, corners[3]))
            ]

        def put(row: int, column: int, character: str, look: str) -> None:
            rows[row][column], styles[row, column] = character, look

        seen = place == 0 and turned is None
        put(2 if cue == "north" else 4, 1, sign, f"bold {CUE}" if seen else f"dim {CUE}")
        put(1 if cue == "north" else 5, middle, prize, f"dim {CUE}")
        if turned is None:
            put(3, at, walker, f"bold {WALKER}")
        else:
            put(1 if turned == "north" else 5, middle, walker, f"bold {RIGHT if turned == cue else WRONG}")
        for number, line in enumerate(rows):
            text = Text(" ")
            for column, character in enumerate(line):
                text.append(character, styles.get((number, column), "dim"))
            text.rstrip()
            yield text
