"""The confusion matrix: which class was taken for which."""

from collections.abc import Sequence
from typing import Any

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderResult
from rich.table import Table
from rich.text import Text

from nbdl_cli.drawing.palette import RIGHT, WRONG

PAIRS = 6  # confusions named where the matrix does not fit


class confusion_table:
    """Counts with the true class down and the network's answer across; a list of the worst pairs where it is too wide."""

    def __init__(self, matrix: Any, classes: Sequence[str]):
        import numpy as np

        self.matrix, self.classes = np.asarray(matrix), list(classes)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        matrix, names = self.matrix, self.classes
        columns = [max(cell_len(name), len(str(matrix[:, j].max()))) + 2 for j, name in enumerate(names)]
        if sum(columns) + max(map(cell_len, names)) + 2 > options.max_width:
            yield from self._pairs()
            return
        wrong = matrix.copy()
        wrong[range(len(names)), range(len(names))] = 0
        most = wrong.max()
        yield Text(" confusions: the truth down, the answer across", style="bold")
        table = Table(box=None, padding=(0, 1))
        table.add_column("", style="bold")
        for name in names:
            table.add_column(name, justify="right")
        for i, name in enumerate(names):
            cells = []
            for j, count in enumerate(matrix[i]):
                worst = f"bold underline {WRONG}" if count == most else WRONG
                style = RIGHT if i == j else worst if count else "dim"
                cells.append(Text.assemble((str(count) if count or i == j else "·", style)))
            table.add_row(name, *cells)
        yield table

    def _pairs(self):
        matrix, names = self.matrix, self.classes
        pairs = [
            (int(matrix[i, j]), i, j) for i in range(len(names)) for j in range(len(names)) if i != j and matrix[i, j]
        ]
        yield Text(" most confused", style="bold")
        for count, i, j in sorted(pairs, key=lambda pair: -pair[0])[:PAIRS]:
            yield Text(f"  {names[i]} taken for {names[j]}: {count}")
        if not pairs:
            yield Text("  nothing")
