"""Learning rates tuned on validation: the same grid for all, extended while the best is at an edge of it."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from nbdl.comparison.runs import Outcome
from nbdl.comparison.statistics import Spread, failures, spread

FURTHEST = 8  # rates added at an edge, at the most: four decades of half decades
NEAR = 0.9  # of the best score: what still counts as a good rate


@dataclass(frozen=True)
class Rate:
    """What the tuning seeds made of one learning rate."""

    rate: float
    score: Spread  # on validation
    loss: Spread
    failures: dict[str, int]
    runs: int

    @property
    def rank(self) -> tuple[float, float, float]:
        """Sorts the better rate first: by median score, then by median loss, then the smaller."""
        return -self.score[1], self.loss[1], self.rate


@dataclass(frozen=True)
class Sensitivity:
    """The scores over all rates tried, the best of them, and how wide the good ones spread around it."""

    rates: tuple[Rate, ...]  # from the smallest to the largest

    @property
    def best(self) -> Rate:
        return min(self.rates, key=lambda one: one.rank)

    @property
    def good(self) -> tuple[float, float]:
        """From the lowest to the highest rate, without a gap, whose median score is within 10 % of the best."""
        at = self.rates.index(self.best)
        least = self.best.score[1] * NEAR if self.best.score[1] > 0 else self.best.score[1]
        low = high = at
        while low > 0 and self.rates[low - 1].score[1] >= least:
            low -= 1
        while high < len(self.rates) - 1 and self.rates[high + 1].score[1] >= least:
            high += 1
        return self.rates[low].rate, self.rates[high].rate

    @property
    def width(self) -> float:
        """In decades."""
        low, high = self.good
        return math.log10(high / low)

    @property
    def at_edge(self) -> bool:
        """The best rate is the first or the last one tried: a better one may lie beyond."""
        return self.best.rate in (self.rates[0].rate, self.rates[-1].rate)


def sensitivity(outcomes: Sequence[Outcome]) -> Sensitivity:
    """The tuning runs of one contender, rate by rate."""
    groups: dict[float, list[Outcome]] = {}
    for outcome in outcomes:
        groups.setdefault(outcome.run.contender.optimizer.learning_rate, []).append(outcome)
    return Sensitivity(
        tuple(
            Rate(
                rate,
                spread([one.validation_score for one in runs], high_is_good=True),
                spread([one.validation_loss for one in runs]),
                failures(runs),
                len(runs),
            )
            for rate, runs in sorted(groups.items())
        )
    )


def next_rate(found: Sensitivity, grid: Sequence[float]) -> float | None:
    """The rate to add beyond the edge at which the best one lies, or None where the best has a neighbour on each side."""
    if not found.at_edge or len(found.rates) >= len(grid) + 2 * FURTHEST:
        return None
    if all(one.failures == {"error": one.runs} for one in found.rates):
        return None  # no rate will mend that
    rates = sorted(grid)
    steps = [b / a for a, b in pairwise(rates)] or [math.sqrt(10)]
    lowest, highest = found.rates[0].rate, found.rates[-1].rate
    if found.best.rate == highest and len(found.rates) > 1:
        return _round(highest * steps[-1]) if highest < rates[-1] * steps[-1] ** (FURTHEST - 0.5) else None
    return _round(lowest / steps[0]) if lowest > rates[0] / steps[0] ** (FURTHEST - 0.5) else None


def _round(rate: float) -> float:
    return float(f"{rate:.3g}")
