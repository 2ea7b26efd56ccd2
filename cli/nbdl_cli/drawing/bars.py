"""Bars: how likely each of some choices is, and numbers to the left and right of nought."""

from collections.abc import Sequence
from dataclasses import dataclass

from rich.console import Console, ConsoleOptions, RenderResult
from rich.text import Text

from nbdl_cli.drawing import figures
from nbdl_cli.drawing.palette import colour, style

WIDEST = 40
NAMED = 16  # characters of a name that are written


@dataclass(frozen=True)
class Shares:
    """A bar for each share from 0 to 1; the chosen ones stand out, and of more than `most` only the largest are drawn."""

    names: Sequence[str]
    shares: Sequence[float]
    chosen: int | None = None
    most: int = 8

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        rows = range(len(self.names))
        if len(rows) > self.most:
            largest = sorted(rows, key=lambda row: -self.shares[row])[: self.most]
            rows = sorted(largest)  # type: ignore[assignment]
        wide = min(NAMED, max(len(self.names[row]) for row in rows))
        room = max(4, min(WIDEST, options.max_width - wide - 12))
        for row in rows:
            bold = "bold " if row == self.chosen else ""
            text = Text(f" {self.names[row]:>{wide}.{wide}} ", style=f"{bold}".strip())
            text.append(f"{'█' * round(room * self.shares[row]):<{room}}", style=f"{bold}{style(colour(row))}")
            text.append(f" {figures.percent(self.shares[row]):>7}")
            yield text


@dataclass(frozen=True)
class Numbers:
    """A bar for each number, from the middle to the left or right; `largest` is as long as there is room."""

    names: Sequence[str]
    values: Sequence[float]
    largest: float
    most: int = 12

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        names, values = self.names[: self.most], self.values[: self.most]
        wide = min(NAMED, max(map(len, names)))
        half = max(3, min(WIDEST, options.max_width - wide - 14) // 2)
        for name, value in zip(names, values, strict=True):
            length = round(half * min(1.0, abs(value) / self.largest)) if self.largest else 0
            left, right = ("█" * length, "") if value < 0 else ("", "█" * length)
            bar = f"{left:>{half}}|{right:<{half}}"
            yield Text.assemble((f" {name:>{wide}.{wide}} ", ""), (bar, style(colour(0))), f" {value:9.3f}")
        if len(self.names) > self.most:
            yield Text(f" and {len(self.names) - self.most} more", style="dim")
