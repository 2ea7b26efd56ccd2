"""Forecasts of a series: the plain ones that every other must beat, and a network's, which learns what they miss.

For the origin t, where x[0] ... x[t - 1] are known, and h = 0 ... horizon - 1 steps ahead, with seasons of m values:

    naive            x[t - 1]
    seasonal naive   x[t + h - k m]           the same place in the last whole season, k = h // m + 1
    network          seasonal naive + mean_h + deviation_h z_h

The network sees a window of two columns, the value less the last one known and the change over a season, and answers z.
All means and deviations come from the training part alone.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from nbdl.errors import NbdlError
from nbdl.program import Data

LEAST = 8  # windows to learn from


@dataclass(frozen=True)
class Forecasting:
    """A series (n) cut in time: 70 % to learn from, 10 % to check on, 20 % to test on; a part holds a horizon at least.

    Raises NbdlError where it is too short for its windows, its season and its horizon.
    """

    values: np.ndarray
    steps: int
    horizon: int
    season: int = 1

    def __post_init__(self):
        n = len(self.values)
        for name in ("steps", "horizon", "season"):
            if getattr(self, name) < 1:
                raise NbdlError(f"the {name} is {getattr(self, name)}; expected 1 or more.")
        part = self.first + self.horizon + LEAST - 1  # the shortest that could teach something
        if self.train < part:
            needed = 1 + int(np.ceil(max(part / 0.7, (part + self.horizon) / 0.8, part + 2 * self.horizon)))
            raise NbdlError(
                f"{n} values are too few: with windows of {self.steps}, seasons of {self.season} and forecasts of "
                f"{self.horizon} it takes about {needed}. Take smaller ones (--steps, --season, --horizon)."
            )

    @property
    def train(self) -> int:
        """Where the training part ends."""
        return self.validation - max(round(0.1 * len(self.values)), self.horizon)

    @property
    def validation(self) -> int:
        """Where the part to check on ends and the test begins."""
        return len(self.values) - max(round(0.2 * len(self.values)), self.horizon)

    @property
    def first(self) -> int:
        """The first origin that has a whole window, with its changes, behind it."""
        return self.steps + self.season

    def naive(self, origins: np.ndarray) -> np.ndarray:
        """Shape: (origins, horizon)"""
        return np.repeat(self.values[origins - 1][:, None], self.horizon, axis=1)

    def seasonal_naive(self, origins: np.ndarray) -> np.ndarray:
        """Shape: (origins, horizon)"""
        ahead = np.arange(self.horizon)
        return self.values[origins[:, None] + ahead - self.season * (ahead // self.season + 1)]

    def truth(self, origins: np.ndarray) -> np.ndarray:
        """What came; NaN behind the end of the series. Shape: (origins, horizon)"""
        longer = np.concatenate([self.values, np.full(self.horizon, np.nan)])
        return longer[origins[:, None] + np.arange(self.horizon)]

    @cached_property
    def _scales(self) -> tuple[float, float, float, np.ndarray, np.ndarray]:
        """From the training part: deviation of values, mean and deviation of changes, and those of what the base misses."""
        x, m = self.values[: self.train], self.season
        changes = x[m:] - x[:-m]
        origins = self._origins(self.first, self.train)
        missed = self.truth(origins) - self.seasonal_naive(origins)
        return x.std() or 1.0, changes.mean(), changes.std() or 1.0, missed.mean(axis=0), _ones(missed.std(axis=0))

    def _origins(self, first: int, last: int) -> np.ndarray:
        return np.arange(max(first, self.first), last - self.horizon + 1)

    def windows(self, origins: np.ndarray) -> np.ndarray:
        """What the network sees at each origin. Shape: (origins, steps, 2), float32"""
        spread, mean, deviation, _, _ = self._scales
        at = origins[:, None] + np.arange(-self.steps, 0)
        level = (self.values[at] - self.values[origins - 1][:, None]) / spread
        change = (self.values[at] - self.values[at - self.season] - mean) / deviation
        return np.stack([level, change], axis=2).astype(np.float32)

    def data(self, part: str) -> Data:
        """Windows and what the base misses, scaled, for `train`, `validation` or `test`."""
        origins = self.origins(part)
        _, _, _, mean, deviation = self._scales
        targets = (self.truth(origins) - self.seasonal_naive(origins) - mean) / deviation
        return Data(self.windows(origins), targets.astype(np.float32))

    def origins(self, part: str) -> np.ndarray:
        """The origins whose whole forecast lies in this part of the series."""
        bounds = {"train": (0, self.train), "validation": (self.train, self.validation)}
        return self._origins(*bounds.get(part, (self.validation, len(self.values))))

    def forecasts(self, outputs: np.ndarray, origins: np.ndarray) -> np.ndarray:
        """A network's outputs in the unit of the series. Shape: (origins, horizon)"""
        _, _, _, mean, deviation = self._scales
        return self.seasonal_naive(origins) + mean + deviation * outputs


def _ones(deviations: np.ndarray) -> np.ndarray:
    return np.where(deviations > 0, deviations, 1.0)
