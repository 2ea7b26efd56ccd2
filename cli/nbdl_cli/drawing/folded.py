"""A paragraph that keeps its indent when the terminal is too narrow for it."""

from rich.console import Console, ConsoleOptions, RenderResult
from rich.text import Text


class Folded:
    """Words one column in, broken between words, nothing behind their ends."""

    def __init__(self, words: str, look: str = ""):
        self.words, self.look = words, look

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        for line in Text(self.words).wrap(console, max(10, options.max_width - 2)):
            yield Text(f" {line.plain.rstrip()}", self.look)
