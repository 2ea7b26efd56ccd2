"""A curve one line high, for a cell of a table."""

import math
from collections.abc import Iterable

from rich.console import Console, ConsoleOptions, RenderResult
from rich.measure import Measurement
from rich.text import Text

from nbdl_cli.console import unicode_ok

BLOCKS = "▁▂▃▄▅▆▇█"
ASCII = "_.-~=*#@"


class Sparkline:
    """One character a number from the lowest to the highest; numbers that are not finite leave a gap.

    More numbers than columns are thinned evenly; the last one stays.
    """

    def __init__(self, values: Iterable[float]):
        self.values = [float(value) for value in values]

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        levels = BLOCKS if unicode_ok(console) else ASCII
        values, room = self.values, options.max_width
        if len(values) > room:
            values = [values[round(i * (len(values) - 1) / max(room - 1, 1))] for i in range(room)]
        finite = [value for value in values if math.isfinite(value)]
        low, high = (min(finite), max(finite)) if finite else (0.0, 0.0)
        share = (lambda v: (v - low) / (high - low)) if high > low else (lambda v: 0.5)
        yield Text(
            "".join(levels[round(share(v) * (len(levels) - 1))] if math.isfinite(v) else " " for v in values),
            no_wrap=True,
        )

    def __rich_measure__(self, console: Console, options: ConsoleOptions) -> Measurement:
        return Measurement(1, max(1, min(len(self.values), options.max_width)))
