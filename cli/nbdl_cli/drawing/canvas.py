"""A canvas of braille dots: two across and four down in every character."""

from rich.text import Text

_DOTS = ((0x01, 0x08), (0x02, 0x10), (0x04, 0x20), (0x40, 0x80))  # bit of the dot in row, column


class Canvas:
    """Dots in a grid of `columns` x `rows` characters; where series meet in a character they take turns by column.

    Without braille each character shows the mark of its series instead.
    """

    def __init__(self, columns: int, rows: int):
        self.columns, self.rows = columns, rows
        self.width, self.height = 2 * columns, 4 * rows
        self._bits = [[0] * columns for _ in range(rows)]
        self._lines: dict[tuple[int, int], list[int]] = {}
        self._shades: dict[tuple[int, int], int] = {}
        self._signs: dict[tuple[int, int], tuple[str, int]] = {}

    def _set(self, x: int, y: int) -> tuple[int, int] | None:
        if not (0 <= x < self.width and 0 <= y < self.height):
            return None
        self._bits[y // 4][x // 2] |= _DOTS[y % 4][x % 2]
        return y // 4, x // 2

    def dot(self, x: int, y: int, series: int = 0) -> None:
        """Set the dot at x from the left and y from the top; outside nothing happens."""
        place = self._set(x, y)
        if place is not None and series not in self._lines.setdefault(place, []):
            self._lines[place].append(series)

    def line(self, x0: int, y0: int, x1: int, y1: int, series: int = 0) -> None:
        """A straight line of dots."""
        steps = max(abs(x1 - x0), abs(y1 - y0), 1)
        for step in range(steps + 1):
            self.dot(round(x0 + (x1 - x0) * step / steps), round(y0 + (y1 - y0) * step / steps), series)

    def shade(self, x: int, y0: int, y1: int, series: int = 0) -> None:
        """Every fourth dot of the column x between y0 and y1: a tint that a line stays visible on."""
        for y in range(min(y0, y1), max(y0, y1) + 1):
            if x % 2 == 0 and (y + x) % 4 == 0:
                place = self._set(x, y)
                if place is not None:
                    self._shades.setdefault(place, series)

    def sign(self, x: int, y: int, character: str, series: int = 0) -> None:
        """Put a character over the dots."""
        if 0 <= x < self.width and 0 <= y < self.height:
            self._signs[y // 4, x // 2] = (character, series)

    def cell(self, row: int, column: int) -> tuple[str, int] | None:
        """The character there, a sign or its dots, and its series; None where no line came by."""
        place = row, column
        if place in self._signs:
            return self._signs[place]
        lines = self._lines.get(place)
        return (chr(0x2800 + self._bits[row][column]), lines[column % len(lines)]) if lines else None

    def row(self, number: int, styles: list[str], marks: str, braille: bool) -> Text:
        """One line of characters."""
        text = Text()
        for column, bits in enumerate(self._bits[number]):
            place = number, column
            lines = self._lines.get(place)
            if place in self._signs:
                character, series = self._signs[place]
                text.append(character, f"bold {styles[series % len(styles)]}")
            elif lines:
                series = lines[column % len(lines)]
                text.append(chr(0x2800 + bits) if braille else marks[series % len(marks)], styles[series % len(styles)])
            elif place in self._shades:
                series = self._shades[place]
                text.append(chr(0x2800 + bits) if braille else ".", f"dim {styles[series % len(styles)]}")
            else:
                text.append(" ")
        return text
