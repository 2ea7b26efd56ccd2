"""Curves: several series over one x axis."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from rich.console import Console, ConsoleOptions, RenderResult
from rich.text import Text

from nbdl_cli.console import unicode_ok
from nbdl_cli.drawing import figures
from nbdl_cli.drawing.canvas import Canvas
from nbdl_cli.drawing.palette import COLOURS, style

MARKS = "*o+x#@%&"


@dataclass(frozen=True)
class Series:
    """One curve; NaN and None are gaps. `dots` draws the points without a line between them."""

    name: str
    x: Any  # numbers, in a list or an array
    y: Any
    dots: bool = False


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
        curves = [self._points(one) for one in self.series]
        every = [point for curve in curves for point in curve if point is not None]
        if self.title:
            yield Text(f" {self.title}", style="bold")
        if not every:
            yield Text("  nothing to draw yet")
            return
        left, right = _range([x for x, _ in every], pad=0.0)
        low, high = _range([y for _, y in every], pad=0.03)
        labels = {}
        for value in _decades(low, high) if self.log_y else _ticks(low, high, max(2, self.height // 3)):
            line = round((high - value) / (high - low) * (self.height - 1))
            labels[line] = self._label(value, self.log_y)
        gutter = max(map(len, labels.values()), default=0)
        columns = max(10, min(options.max_width, 100) - gutter - 4)
        # One colour is enough for one curve; several without colour need marks to be told apart.
        plain = console.no_color or console.color_system is None
        lines = unicode_ok(console)
        braille = lines and not (plain and len(self.series) > 1)
        canvas = Canvas(columns, self.height)
        for number, (one, curve) in enumerate(zip(self.series, curves, strict=True)):
            before = None
            for point in curve:
                here = None
                if point is not None:
                    x = round((point[0] - left) / (right - left) * (canvas.width - 1))
                    y = round((high - point[1]) / (high - low) * (canvas.height - 1))
                    here = (x, y)
                    canvas.dot(x, y, number)
                    if before is not None and not one.dots:
                        canvas.line(*before, x, y, number)
                before = here
        styles = [style(rgb) for rgb in COLOURS]
        wall, floor, corner = ("│", "─", "└") if lines else ("|", "-", "+")
        for line in range(self.height):
            text = Text(f" {labels.get(line, ''):>{gutter}} {wall}", style="dim")
            text.append_text(canvas.row(line, styles, MARKS, braille))
            yield text
        yield Text(f" {'':>{gutter}} {corner}{floor * columns}", style="dim")
        yield Text(f" {'':>{gutter}}  {self._x_axis(left, right, columns)}", style="dim")
        if len(self.series) > 1 or not self.title:
            legend = Text(f" {'':>{gutter}}  ")
            for number, one in enumerate(self.series):
                sign = ("⠒⠒" if not one.dots else "⠂⠂") if braille else MARKS[number % len(MARKS)]
                legend.append(f"{sign} {one.name}   ", style=styles[number % len(styles)])
            yield legend

    def _points(self, one: Series) -> list[tuple[float, float] | None]:
        found: list[tuple[float, float] | None] = []
        for x, y in zip(one.x, one.y, strict=True):
            bad = y is None or not math.isfinite(y) or (self.log_x and x <= 0) or (self.log_y and y <= 0)
            if bad or y is None:
                found.append(None)
            else:
                found.append((math.log10(x) if self.log_x else float(x), math.log10(y) if self.log_y else float(y)))
        return found

    def _label(self, value: float, logarithmic: bool) -> str:
        if logarithmic:
            value = 10**value
            return figures.count(value).replace(" ", "") if value >= 1000 else f"{value:.2g}"
        return f"{round(value, 10):.4g}"

    def _x_axis(self, left: float, right: float, columns: int) -> str:
        line = [" "] * columns
        for value in self._x_ticks(left, right, columns):
            label = self._label(value, self.log_x)
            at = round((value - left) / (right - left) * (columns - 1)) - len(label) // 2
            at = min(max(at, 0), columns - len(label))
            if all(character == " " for character in line[max(0, at - 1) : at + len(label) + 1]):
                line[at : at + len(label)] = label
        room = columns - len("".join(line).rstrip()) - 2
        text = "".join(line).rstrip()
        return f"{text}  {self.x_label}" if self.x_label and room >= len(self.x_label) else self._label_over(line)

    def _x_ticks(self, left: float, right: float, columns: int) -> list[float]:
        if self.log_x:
            return _decades(left, right)
        whole = all(float(x).is_integer() for one in self.series for x in one.x)
        ticks = _ticks(left, right, max(2, columns // 14))
        return [tick for tick in ticks if float(round(tick, 9)).is_integer()] if whole else ticks

    def _label_over(self, line: list[str]) -> str:
        """The axis with its name in the widest gap between the ticks, where there is one."""
        text, name = "".join(line), f" {self.x_label} "
        at = text.find(" " * (len(name) + 2)) if self.x_label else -1
        return text if at < 0 else f"{text[: at + 1]}{name}{text[at + 1 + len(name) :]}"


def _range(values: list[float], pad: float) -> tuple[float, float]:
    low, high = min(values), max(values)
    if high - low < 1e-12 * max(1.0, abs(high)):
        return low - 0.5, high + 0.5
    return low - pad * (high - low), high + pad * (high - low)


def _ticks(low: float, high: float, most: int) -> list[float]:
    """Round numbers between low and high: steps of 1, 2 or 5 times a power of ten."""
    rough = (high - low) / most
    power = 10 ** math.floor(math.log10(rough))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough * 0.999)
    first = math.ceil(low / step - 1e-9)
    return [n * step for n in range(first, math.floor(high / step + 1e-9) + 1)]


def _decades(low: float, high: float) -> list[float]:
    """Powers of ten between 10^low and 10^high, with 2 and 5 times each where there are few; as logarithms."""
    factors = (1, 2, 5) if high - low < 2.5 else (1,)
    powers = range(math.floor(low), math.ceil(high) + 1)
    ticks = [power + math.log10(factor) for power in powers for factor in factors]
    return [tick for tick in ticks if low - 1e-9 <= tick <= high + 1e-9]
