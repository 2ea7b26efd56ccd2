"""Small grids of numbers, with one window of them marked and cells that are still to come."""

from collections.abc import Sequence
from typing import Any

from rich.console import Console, ConsoleOptions, RenderResult
from rich.text import Text

Window = tuple[int, int, int, int]  # first row, one behind the last, first column, one behind the last


def number(value: float) -> str:
    """As short as it is exact: 3, -0.5, 1.25."""
    return f"{value:.10g}"


def lines(values: Any, window: Window | None = None, known: int | None = None, colour: bool = True) -> list[Text]:
    """The grid line by line; `window` is marked in colour or in brackets, and only the first `known` cells are shown."""
    cells = [[number(v) for v in row] for row in values]
    width = max((len(cell) for row in cells for cell in row), default=1)
    found, shown = [], 0
    for y, row in enumerate(cells):
        text = Text(no_wrap=True)
        for x, cell in enumerate(row):
            inside = window is not None and window[0] <= y < window[1] and window[2] <= x < window[3]
            first = inside and window is not None and x == window[2]
            behind = window is not None and window[0] <= y < window[1] and x == window[3]
            separator = "[" if first and not colour else "]" if behind and not colour else " "
            text.append(separator if x or not colour else "")
            visible = cell if known is None or shown < known else "·"
            text.append(f"{visible:>{width}}", style="bold black on #e69f00" if inside and colour else "")
            shown += 1
        if window is not None and not colour:
            text.append("]" if window[0] <= y < window[1] and window[3] == len(row) else " ")
        found.append(text)
    return found


def pooled_lines(values: Any, size: int, winners: Any = None, colour: bool = True) -> list[Text]:
    """The grid cut into pooling windows of size x size, the largest cell of each marked (`winners` true)."""
    cells = [[number(v) for v in row] for row in values]
    width = max((len(cell) for row in cells for cell in row), default=1)
    found = []
    for y, row in enumerate(cells):
        if y and y % size == 0:
            found.append(Text(_ruled(len(row), size, width + (0 if colour else 2)), no_wrap=True))
        text = Text(no_wrap=True)
        for x, cell in enumerate(row):
            if x:
                text.append(" | " if x % size == 0 else " ")
            wins = winners is not None and bool(winners[y][x])
            if colour:
                text.append(f"{cell:>{width}}", style="bold black on #e69f00" if wins else "")
            else:
                text.append(f"[{cell:>{width}}]" if wins else f" {cell:>{width}} ")
        found.append(text)
    return found


def _ruled(columns: int, size: int, width: int) -> str:
    """A line between pooling windows."""
    pieces = [min(size, columns - x) * (width + 1) - 1 for x in range(0, columns, size)]
    return "-+-".join("-" * piece for piece in pieces)


class Beside:
    """Blocks of lines side by side with a sign between them, or below each other where the width is too small."""

    def __init__(self, *blocks: Sequence[Text] | str):
        self.blocks = blocks

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        blocks = [[Text(b)] if isinstance(b, str) else list(b) for b in self.blocks]
        widths = [max((line.cell_len for line in block), default=0) for block in blocks]
        if sum(widths) + 2 * len(blocks) > options.max_width:
            for block, width in zip(blocks, widths, strict=True):
                yield from (Text(" ").append_text(_cut(line, options.max_width - 1, width)) for line in block)
            return
        height = max(map(len, blocks))
        for y in range(height):
            row = Text(" ", no_wrap=True)
            for block, width in zip(blocks, widths, strict=True):
                above = (height - len(block)) // 2
                line = block[y - above].copy() if 0 <= y - above < len(block) else Text()
                line.pad_right(width - line.cell_len + 2)
                row.append_text(line)
            row.rstrip()
            yield row


def _cut(line: Text, room: int, width: int) -> Text:
    """A line of a grid that is too wide for the terminal, with a sign that it goes on."""
    if width <= room:
        return line
    line = line.copy()
    line.truncate(room - 2, overflow="crop", pad=True)
    return line.append(" >")
