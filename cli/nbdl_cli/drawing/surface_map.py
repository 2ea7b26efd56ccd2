"""A surface seen from above, with paths over it: grey heights in half blocks and paths in braille, or lines and letters."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from rich.console import Console, ConsoleOptions, RenderResult
from rich.text import Text

from nbdl_cli.console import colourful, unicode_ok
from nbdl_cli.drawing.axis import labels, linear_ticks
from nbdl_cli.drawing.canvas import Canvas
from nbdl_cli.drawing.contour import LEVELS, Surface, Track
from nbdl_cli.drawing.legend import legend
from nbdl_cli.drawing.palette import COLOURS, style

DEEP, STEEP = (20, 20, 24), (128, 128, 136)  # colour of the lowest and the highest place: paths are seen on both
STYLES = [style(rgb) for rgb in (COLOURS[1], COLOURS[0], (255, 255, 255))]
START = "#f0e442"  # yellow
WIDEST = 90


@dataclass(frozen=True)
class SurfaceMap:
    """The picture, `height` lines high; where lines of equal cost lie close together the surface is steep."""

    surface: Surface
    tracks: Sequence[Track]
    height: int = 20

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        left, right, bottom, top = self.surface.extent
        painted, lines = colourful(console), unicode_ok(console)
        ticks = linear_ticks(bottom, top, self.height // 4 + 1)
        places = {
            round((top - value) / (top - bottom) * (self.height - 1)): name
            for value, name in zip(ticks, labels(ticks), strict=True)
        }
        gutter = max(map(len, places.values()), default=0)
        columns = max(10, min(options.max_width, WIDEST) - gutter - 4)
        wall, notch, corner, floor, tick = "│┤└─┬" if lines else "|++-+"

        yield Text(f" {'':>{gutter}} {self.surface.y_label}", style="dim")
        rows = self._painted(columns) if painted else self._drawn(columns, lines)
        for number, row in enumerate(rows):
            edge = notch if number in places else wall
            yield Text.assemble((f" {places.get(number, ''):>{gutter}} {edge}", "dim"), row, no_wrap=True)
        marks, written = [floor] * columns, [" "] * columns
        values, free = linear_ticks(left, right, columns // 9 + 1), 0
        for value, name in zip(values, labels(values), strict=True):
            at = round((value - left) / (right - left) * (columns - 1))
            start = min(max(at - len(name) // 2, 0), columns - len(name))
            if start >= free:
                marks[at], written[start : start + len(name)] = tick, name
                free = start + len(name) + 1
        yield Text(f" {'':>{gutter}} {corner}{''.join(marks)}", style="dim", no_wrap=True)
        yield Text(" " * (gutter + 3) + "".join(written).rstrip(), style="dim", no_wrap=True)
        yield Text(f"{self.surface.x_label:>{gutter + 3 + columns}}", style="dim")
        yield from legend(list(self._entries(painted)), gutter + 3, options.max_width)

    def _spots(self, track: Track, width: int, height: int) -> list[tuple[int, int]]:
        """Dots of the track, those outside the picture as far outside as they matter."""
        left, right, bottom, top = self.surface.extent
        found = []
        for x, y in track.places:
            across, up = (x - left) / (right - left), (top - y) / (top - bottom)
            far = 2.0
            across, up = max(-far, min(1 + far, across)), max(-far, min(1 + far, up))
            found.append((round(across * (width - 1)), round(up * (height - 1))))
        return found

    def _canvas(self, columns: int, start: str, end: str | None) -> Canvas:
        """The paths as dots, with signs where they start and end."""
        canvas = Canvas(columns, self.height)
        tracks = [(track, self._spots(track, canvas.width, canvas.height)) for track in self.tracks]
        for track, spots in tracks:
            for one, two in pairwise(spots):
                canvas.line(*one, *two, track.series)
        for track, spots in reversed(tracks):
            if spots:
                canvas.sign(*spots[-1], end or track.letter.upper(), track.series)
        for track, spots in tracks[:1]:
            canvas.sign(*spots[0], start, track.series)
        return canvas

    def _painted(self, columns: int) -> Iterator[Text]:
        canvas = self._canvas(columns, "○", "●")
        shades = self.surface.shades(2 * self.height, columns)
        bands = (shades * LEVELS).astype(int).clip(0, LEVELS - 1) / (LEVELS - 1)
        for row in range(self.height):
            text = Text(no_wrap=True)
            for column in range(columns):
                upper, lower = bands[2 * row, column], bands[2 * row + 1, column]
                found = canvas.cell(row, column)
                if found is None:
                    text.append("▀", f"{_grey(upper)} on {_grey(lower)}")
                else:
                    sign, series = found
                    ink = START if sign == "○" else STYLES[series]
                    text.append(sign, f"bold {ink} on {_grey((upper + lower) / 2)}")
            yield text

    def _drawn(self, columns: int, lines: bool) -> Iterator[Text]:
        canvas = self._canvas(columns, "o", None)
        ground = Canvas(columns, self.height)
        for level in self.surface.levels():
            for piece in self.surface.line(level):
                one, two = self._spots(Track("", piece, ""), ground.width, ground.height)
                ground.line(*one, *two)
        letters = {track.series: track.letter for track in self.tracks}
        for row in range(self.height):
            text = ""
            for column in range(columns):
                path, line = canvas.cell(row, column), ground.cell(row, column)
                if path is not None:
                    text += path[0] if path[0].isascii() else letters[path[1]]
                else:
                    text += " " if line is None else line[0] if lines else "."
            yield Text(text.rstrip(), no_wrap=True)

    def _entries(self, painted: bool) -> Iterator[Text]:
        yield Text.assemble(("○", f"bold {START} on {_grey(0)}"), " start") if painted else Text("o start")
        for track in self.tracks:
            ending = " (diverged)" if track.diverged else ""
            if painted:
                yield Text.assemble(("⠒●", f"bold {STYLES[track.series]} on {_grey(0)}"), f" {track.name}{ending}")
            else:
                yield Text(f"{track.letter}..{track.letter.upper()} {track.name}{ending}")
        low, high = (f"{value:.3g}" for value in (self.surface.low, self.surface.high))
        if painted:
            yield Text.assemble(
                ("▀", f"{_grey(0)} on {_grey(0)}"), f" cost {low} to ", ("▀", f"{_grey(1)} on {_grey(1)}"), f" {high}"
            )
        else:
            yield Text(f"lines: equal cost, {low} to {high}")


def _grey(share: float) -> str:
    return style([round(a + float(share) * (b - a)) for a, b in zip(DEEP, STEEP, strict=True)])
