"""The plane as a network sees it: the colour of a place is the class the network would give it, stronger when surer."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from rich.console import Console, ConsoleOptions, RenderResult
from rich.text import Text

from nbdl_cli.drawing.image import colourful
from nbdl_cli.drawing.palette import MARKS, colour, style

DARK = (24, 24, 28)  # where the network does not know


def grid_inputs(extent: tuple[float, float, float, float], columns: int, rows: int) -> Any:
    """The middle of every cell of a map, row by row from the top. Shape: (rows * columns, 2) float32."""
    import numpy as np

    left, right, bottom, top = extent
    x = left + (np.arange(columns) + 0.5) / columns * (right - left)
    y = top - (np.arange(rows) + 0.5) / rows * (top - bottom)
    return np.stack(np.meshgrid(x, y), axis=-1).reshape(-1, 2).astype(np.float32)


@dataclass(frozen=True)
class DecisionMap:
    """`classes_` and `sure` (rows, columns) over `extent` (left, right, bottom, top), and points (n, 2) with labels (n).

    Two rows make one line of characters. Without colours a place shows the letter of its class where the network is
    sure, and points are shown by the class number.
    """

    classes_: Any
    sure: Any
    extent: tuple[float, float, float, float]
    points: Any
    labels: Any
    classes: Sequence[str]

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        rows, columns = self.classes_.shape
        left, right, bottom, top = self.extent
        marks: dict[tuple[int, int], int] = {}
        for (x, y), label in zip(self.points, self.labels, strict=True):
            column = int((x - left) / (right - left) * columns)
            row = int((top - y) / (top - bottom) * rows)
            if 0 <= column < columns and 0 <= row < rows:
                marks[row, column] = int(label)
        drawn = self._colour if colourful(console) else self._letters
        yield from drawn(marks)
        legend = Text(" ")
        for number, name in enumerate(self.classes):
            if colourful(console):
                legend.append("■ ", style(colour(number)))
                legend.append(f"{name}   ")
            else:
                legend.append(f"{MARKS[number].lower()} {name} (example {MARKS[number]})   ")
        yield legend

    def _colour(self, marks: dict[tuple[int, int], int]):
        rows, columns = self.classes_.shape
        least = 1 / max(2, len(self.classes))

        def shade(row: int, column: int) -> str:
            if (row, column) in marks:
                return style(tuple(min(255, c + 70) for c in colour(marks[row, column])))  # type: ignore[arg-type]
            sure = (float(self.sure[row, column]) - least) / (1 - least)
            blend = 0.08 + 0.42 * max(0.0, sure)
            base = colour(int(self.classes_[row, column]))
            return style(tuple(round(d + blend * (c - d)) for c, d in zip(base, DARK, strict=True)))  # type: ignore[arg-type]

        for row in range(0, rows - 1, 2):
            text = Text(" ", no_wrap=True)
            for column in range(columns):
                text.append("▀", f"{shade(row, column)} on {shade(row + 1, column)}")
            yield text

    def _letters(self, marks: dict[tuple[int, int], int]):
        rows, columns = self.classes_.shape
        for row in range(0, rows - 1, 2):
            line = []
            for column in range(columns):
                mark = marks.get((row, column), marks.get((row + 1, column)))
                sure = float(self.sure[row, column]) > 0.75
                place = MARKS[int(self.classes_[row, column])].lower() if sure else "."
                line.append(MARKS[mark] if mark is not None else place)
            yield Text(" " + "".join(line), no_wrap=True)
