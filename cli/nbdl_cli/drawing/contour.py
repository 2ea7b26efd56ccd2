"""A surface on a grid: which heights to draw, how dark a height is, and lines of equal height."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

LEVELS = 12


@dataclass(frozen=True)
class Track:
    """A path over the surface: the places (x, y) that it went through, its `series` for the colour, and its letter."""

    name: str
    places: Sequence[tuple[float, float]]
    letter: str
    series: int = 0
    diverged: bool = False


@dataclass(frozen=True)
class Surface:
    """Heights `values` (rows, columns) over `extent` (left, right, bottom, top); the first row lies at the bottom.

    The levels are spaced by their square roots: low + (k / LEVELS)^2 (high - low), so that the rings of a bowl lie
    evenly, as its sides do.
    """

    values: Any
    extent: tuple[float, float, float, float]
    x_label: str
    y_label: str

    @property
    def low(self) -> float:
        return float(self._finite().min())

    @property
    def high(self) -> float:
        return float(self._finite().max())

    def _finite(self) -> Any:
        import numpy as np

        finite = self.values[np.isfinite(self.values)]
        return finite if finite.size else np.zeros(1)

    def shades(self, rows: int, columns: int) -> Any:
        """The surface on another grid, from the top, as 0 (lowest) to 1 (highest, or not finite). Shape: (rows, columns)."""
        import numpy as np

        low, span = self.low, (self.high - self.low) or 1.0
        share = np.sqrt(np.clip((np.nan_to_num(self.values, nan=np.inf) - low) / span, 0, 1))
        down = np.linspace(len(share) - 1, 0, rows)
        across = np.linspace(0, share.shape[1] - 1, columns)
        tall = np.stack([np.interp(down, np.arange(len(share)), column) for column in share.T], axis=1)
        return np.stack([np.interp(across, np.arange(share.shape[1]), row) for row in tall])

    def levels(self) -> list[float]:
        """The heights of the lines."""
        low, high = self.low, self.high
        return [low + (k / LEVELS) ** 2 * (high - low) for k in range(1, LEVELS)] if high > low else []

    def line(self, level: float) -> Iterator[tuple[tuple[float, float], tuple[float, float]]]:
        """Pieces of the line of this height, from edge to edge of a cell (marching squares), as places (x, y)."""
        import numpy as np

        values = np.nan_to_num(self.values, nan=1e300, posinf=1e300)
        above = values >= level
        mixed = above[:-1, :-1].astype(int) + above[1:, :-1] + above[:-1, 1:] + above[1:, 1:]
        left, right, bottom, top = self.extent
        wide, tall = (right - left) / (values.shape[1] - 1), (top - bottom) / (values.shape[0] - 1)
        for row, column in zip(*np.nonzero((mixed > 0) & (mixed < 4)), strict=True):
            corners = [(row, column), (row, column + 1), (row + 1, column + 1), (row + 1, column)]
            met = []
            for one, two in pairwise([*corners, corners[0]]):
                if above[one] != above[two]:
                    share = float((level - values[one]) / (values[two] - values[one]))
                    y, x = (a + share * (b - a) for a, b in zip(one, two, strict=True))
                    met.append((left + x * wide, bottom + y * tall))
            yield from zip(met[::2], met[1::2], strict=True)
