"""The plane as a network sees it: the colour of a place is the class the network would give it, stronger when surer."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from rich.console import Console, ConsoleOptions, RenderResult
from rich.text import Text

from nbdl_cli.console import colourful
from nbdl_cli.drawing.legend import legend
from nbdl_cli.drawing.palette import colour, mark, style

DARK = (24, 24, 28)  # where the network does not know
SURE = 0.75  # without colour a place that is less sure shows a dot


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

    Two rows make one line of characters. Without colours a place shows the small letter of its class where the network
    is sure, and an example the capital of its own. A map that is too wide loses columns evenly, not its right side.
    """

    classes_: Any
    sure: Any
    extent: tuple[float, float, float, float]
    points: Any
    labels: Any
    classes: Sequence[str]

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        columns = self.classes_.shape[1]
        room = options.max_width - 1
        chosen = [i * columns // room for i in range(room)] if columns > room else list(range(columns))
        classes, sure = self.classes_[:, chosen], self.sure[:, chosen]
        drawn = self._in_colour if colourful(console) else self._in_letters
        yield from drawn(classes, sure, self._examples(*classes.shape))
        yield from legend(list(self._entries(colourful(console))), 1, options.max_width)

    def _examples(self, rows: int, columns: int) -> dict[tuple[int, int], int]:
        """Class of the last example in each place that has one."""
        left, right, bottom, top = self.extent
        found: dict[tuple[int, int], int] = {}
        for (x, y), label in zip(self.points, self.labels, strict=True):
            across, down = (x - left) / ((right - left) or 1), (top - y) / ((top - bottom) or 1)
            if 0 <= across < 1 and 0 <= down < 1:
                found[int(down * rows), int(across * columns)] = int(label)
        return found

    def _entries(self, in_colour: bool) -> Iterator[Text]:
        for number, name in enumerate(self.classes):
            if in_colour:
                yield Text.assemble(("■", style(colour(number))), f" {name}")
            else:
                yield Text(f"{mark(number).lower()} = {name} (examples: {mark(number)})")
        if not in_colour:
            yield Text(". = unsure")

    def _in_colour(self, classes: Any, sure: Any, examples: dict[tuple[int, int], int]) -> Iterator[Text]:
        rows, columns = classes.shape
        least = 1 / max(2, len(self.classes))

        def shade(row: int, column: int) -> str:
            if (row, column) in examples:
                return style([min(255, part + 70) for part in colour(examples[row, column])])
            blend = 0.08 + 0.42 * max(0.0, (float(sure[row, column]) - least) / (1 - least))
            base = colour(int(classes[row, column]))
            return style([round(dark + blend * (part - dark)) for part, dark in zip(base, DARK, strict=True)])

        for row in range(0, rows - 1, 2):
            text = Text(" ", no_wrap=True)
            for column in range(columns):
                text.append("▀", f"{shade(row, column)} on {shade(row + 1, column)}")
            yield text

    def _in_letters(self, classes: Any, sure: Any, examples: dict[tuple[int, int], int]) -> Iterator[Text]:
        rows, columns = classes.shape
        for row in range(0, rows - 1, 2):
            line = []
            for column in range(columns):
                example = examples.get((row, column), examples.get((row + 1, column)))
                place = mark(int(classes[row, column])).lower() if float(sure[row, column]) > SURE else "."
                line.append(place if example is None else mark(example))
            yield Text(" " + "".join(line), no_wrap=True)
