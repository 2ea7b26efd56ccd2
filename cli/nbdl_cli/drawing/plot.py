"""Curves: several series over one x axis."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from rich.console import Console, ConsoleOptions, RenderResult
from rich.text import Text

from nbdl_cli.console import colourful, unicode_ok
from nbdl_cli.drawing.axis import labels, linear_ticks, log_ticks
from nbdl_cli.drawing.canvas import Canvas
from nbdl_cli.drawing.legend import legend
from nbdl_cli.drawing.palette import COLOURS, style

MARKS = "*o+x#@%&"
STYLES = [style(rgb) for rgb in COLOURS]
WIDEST = 100  # a longer line is hard to follow from end to end


@dataclass(frozen=True)
class Series:
    """One curve; NaN and None are gaps.

    `dots` draws the points without a line between them, `band` tints the space between two curves (low, high), and a
    `diverged` curve ends in a cross; `ending` says in the legend what that means.
    """

    name: str
    x: Any  # numbers, in a list or an array
    y: Any
    dots: bool = False
    band: tuple[Any, Any] | None = None
    diverged: bool = False
    ending: str = "diverged"


@dataclass(frozen=True)
class LinePlot:
    """Curves with axes and a legend, `height` lines high and as wide as there is room, at most 100 columns."""

    series: Sequence[Series]
    title: str = ""
    x_label: str = ""
    y_label: str = ""
    log_x: bool = False
    log_y: bool = False
    height: int = 12

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        curves = [self._points(one.x, one.y) for one in self.series]
        bands = [[self._points(one.x, edge) for edge in one.band or ()] for one in self.series]
        every = [p for curve in [*curves, *(edge for band in bands for edge in band)] for p in curve if p is not None]
        if self.title:
            yield Text(f" {self.title}", style="bold")
        if not every:
            yield Text("  nothing to draw yet")
            return
        left, right = _range([x for x, _ in every], pad=0.0)
        low, high = _range([y for _, y in every], pad=0.03)
        lines = unicode_ok(console)
        # One colour is enough for one curve; several without colour need marks to be told apart.
        braille = lines and (colourful(console) or len(self.series) == 1)

        marked = self._marked(low, high, self.height // 2 + 1, self.log_y)
        places = {round((high - value) / (high - low) * (self.height - 1)): label for value, label in marked}
        gutter = max(map(len, places.values()), default=0)
        columns = max(10, min(options.max_width, WIDEST) - gutter - 4)
        canvas = Canvas(columns, self.height)

        def spot(point: tuple[float, float]) -> tuple[int, int]:
            x = round((point[0] - left) / (right - left) * (canvas.width - 1))
            return x, round((high - point[1]) / (high - low) * (canvas.height - 1))

        for number, band in enumerate(bands):
            if band:
                _shade(canvas, [p and spot(p) for p in band[0]], [p and spot(p) for p in band[1]], number)
        for number, (one, curve) in enumerate(zip(self.series, curves, strict=True)):
            spots = [point and spot(point) for point in curve]
            for before, here, after in zip([None, *spots], spots, [*spots[1:], None], strict=False):
                if here and before and not one.dots:
                    canvas.line(*before, *here, number)
                elif here and not after and not one.dots and lines:
                    canvas.sign(*here, "•", number)  # one braille dot is easily missed
                elif here:
                    canvas.dot(*here, number)
        for number, (one, curve) in enumerate(zip(self.series, curves, strict=True)):
            ends = [spot(point) for point in curve if point is not None]
            if one.diverged and ends:
                canvas.sign(*ends[-1], "✗" if lines else "X", number)

        wall, notch, corner, floor, tick = "│┤└─┬" if lines else "|++-+"
        if self.y_label:
            yield Text(f" {'':>{gutter}} {self.y_label}", style="dim")
        for line in range(self.height):
            edge = notch if line in places else wall
            text = Text.assemble((f" {places.get(line, ''):>{gutter}} {edge}", "dim"))
            text.append_text(canvas.row(line, STYLES, MARKS, braille))
            text.rstrip()
            yield text
        indent = gutter + 3
        xs = self._x_axis(left, right, columns)
        whole = Text(f" {'':>{gutter}} {corner}", style="dim", no_wrap=True)
        beside = len(self.x_label) + 2 <= columns // 2
        room = columns - len(self.x_label) - 1 if beside and self.x_label else columns
        ticks = {at for at, _, _ in xs}
        whole.append("".join(tick if at in ticks else floor for at in range(room)))
        whole.append(f" {self.x_label}" if room < columns else "")
        yield whole
        yield Text(" " * indent + _written(xs, columns), style="dim", no_wrap=True)
        if self.x_label and not beside:
            yield Text(" " * indent + self.x_label, style="dim")
        if len(self.series) > 1 or not self.title:
            yield from legend(list(self._entries(braille)), indent, options.max_width)

    def _entries(self, braille: bool) -> Iterator[Text]:
        for number, one in enumerate(self.series):
            sign = ("⠂⠂" if one.dots else "⠒⠒") if braille else MARKS[number % len(MARKS)]
            ending = f" ({one.ending})" if one.diverged else ""
            yield Text(f"{sign} {one.name}{ending}", style=STYLES[number % len(STYLES)])

    def _points(self, xs: Any, ys: Any) -> list[tuple[float, float] | None]:
        found: list[tuple[float, float] | None] = []
        for x, y in zip(xs, ys, strict=True):
            missing = x is None or y is None or not (math.isfinite(x) and math.isfinite(y))
            if missing or (self.log_x and x <= 0) or (self.log_y and y <= 0):
                found.append(None)
            else:
                found.append((math.log10(x) if self.log_x else float(x), math.log10(y) if self.log_y else float(y)))
        return found

    def _marked(self, low: float, high: float, most: int, log: bool, whole: bool = False) -> list[tuple[float, str]]:
        """Ticks on the axis and what is written at each."""
        if not log:
            ticks = linear_ticks(low, high, most, whole)
            return list(zip(ticks, labels(ticks), strict=True))
        return [(tick, labels([10**tick])[0]) for tick in log_ticks(low, high, most)]

    def _x_axis(self, left: float, right: float, columns: int) -> list[tuple[int, int, str]]:
        """Of each tick that has room: its column, where its label starts, and the label."""
        whole = all(x is not None and float(x).is_integer() for one in self.series for x in one.x)
        placed: list[tuple[int, int, str]] = []
        free = 0
        for value, label in self._marked(left, right, columns // (6 if self.log_x else 10) + 1, self.log_x, whole):
            at = round((value - left) / (right - left) * (columns - 1))
            start = min(max(at - len(label) // 2, 0), columns - len(label))
            if start >= free:
                placed.append((at, start, label))
                free = start + len(label) + 1
        return placed


def _written(ticks: list[tuple[int, int, str]], columns: int) -> str:
    line = [" "] * columns
    for _, start, label in ticks:
        line[start : start + len(label)] = label
    return "".join(line).rstrip()


def _shade(canvas: Canvas, low: list, high: list, series: int) -> None:
    """Tint between two curves, column by column."""
    for (a, b), (c, d) in pairwise(zip(low, high, strict=True)):
        if a and b and c and d:
            for x in range(a[0], c[0] + 1):
                share = (x - a[0]) / max(c[0] - a[0], 1)
                canvas.shade(x, round(a[1] + share * (c[1] - a[1])), round(b[1] + share * (d[1] - b[1])), series)


def _range(values: list[float], pad: float) -> tuple[float, float]:
    low, high = min(values), max(values)
    if high - low < 1e-12 * max(1.0, abs(high)):
        return low - 0.5, high + 0.5
    return low - pad * (high - low), high + pad * (high - low)
