"""A canvas of braille dots: two across and four down in every character."""

from rich.style import Style
from rich.text import Text

_DOTS = ((0x01, 0x08), (0x02, 0x10), (0x04, 0x20), (0x40, 0x80))  # bit of the dot in row, column


class Canvas:
    """Dots in a grid of `columns` x `rows` characters; the last series to touch a character gives it its colour.

    Without unicode each character shows the mark of its series instead.
    """

    def __init__(self, columns: int, rows: int):
        self.columns, self.rows = columns, rows
        self.width, self.height = 2 * columns, 4 * rows
        self._bits = [[0] * columns for _ in range(rows)]
        self._series = [[0] * columns for _ in range(rows)]

    def dot(self, x: int, y: int, series: int = 0) -> None:
        """Set the dot at x from the left and y from the top; outside nothing happens."""
        if 0 <= x < self.width and 0 <= y < self.height:
            self._bits[y // 4][x // 2] |= _DOTS[y % 4][x % 2]
            self._series[y // 4][x // 2] = series

    def line(self, x0: int, y0: int, x1: int, y1: int, series: int = 0) -> None:
        """A straight line of dots."""
        steps = max(abs(x1 - x0), abs(y1 - y0), 1)
        for step in range(steps + 1):
            self.dot(round(x0 + (x1 - x0) * step / steps), round(y0 + (y1 - y0) * step / steps), series)

    def row(self, number: int, styles: list[str], marks: str, braille: bool) -> Text:
        """One line of characters."""
        text = Text()
        for bits, series in zip(self._bits[number], self._series[number], strict=True):
            character = " " if not bits else chr(0x2800 + bits) if braille else marks[series % len(marks)]
            text.append(character, Style.parse(styles[series % len(styles)]) if bits else None)
        return text
