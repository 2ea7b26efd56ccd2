"""What a comparison's numbers say: medians with their spread; a diverged run is counted, never averaged away."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf

import numpy as np

from nbdl.comparison.contenders import Contender
from nbdl.comparison.engine import Outcome

Spread = tuple[float, float, float]  # lower quartile, median, upper quartile


@dataclass(frozen=True)
class Summary:
    """One contender over all its seeds. The loss of a diverged run is infinite and its score nought."""

    contender: Contender
    runs: int
    diverged: int
    kinds: tuple[str, ...]
    updates: int
    examples: int
    seconds: Spread
    loss: Spread
    score: Spread  # test accuracy, or R² for regression

    @property
    def rank(self) -> tuple[float, float]:
        """Sorts the better contender first: by median score, then by median loss."""
        return -self.score[1], self.loss[1]


def spread(values: Sequence[float]) -> Spread:
    """Quartiles by order: each is one of the values, so that infinity stays infinity."""
    low, middle, high = np.quantile(np.array(values, float), (0.25, 0.5, 0.75), method="higher")
    return float(low), float(middle), float(high)


def summarize(outcomes: Sequence[Outcome]) -> list[Summary]:
    """A summary for each contender, in the order in which they first appear."""
    groups: dict[Contender, list[Outcome]] = {}
    for outcome in outcomes:
        groups.setdefault(outcome.contender, []).append(outcome)
    return [_summarize(contender, runs) for contender, runs in groups.items()]


def _summarize(contender: Contender, runs: list[Outcome]) -> Summary:
    lost = [run for run in runs if run.diverged]
    longest = max(runs, key=lambda run: run.updates)
    scores = [run.test_accuracy if run.test_accuracy is not None else run.test_r2 for run in runs]
    return Summary(
        contender,
        len(runs),
        len(lost),
        tuple(sorted({run.diverged for run in lost if run.diverged})),
        longest.updates,
        longest.examples,
        spread([run.seconds for run in runs]),
        spread([inf if run.diverged else run.epochs[-1].train_loss for run in runs]),
        spread([0.0 if score is None else score for score in scores]),
    )
