"""What the outcomes say: medians with their spread, paired differences, times to a target. Nothing is averaged away.

A lost run counts: its loss and its time to a target are infinite, its score is minus infinity.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from nbdl.comparison.contenders import Contender
from nbdl.comparison.runs import FAILURES, Outcome, score

Spread = tuple[float, float, float]  # lower quartile, median, upper quartile
RESAMPLES = 10_000
LEAST_SEEDS = 5  # fewer settle nothing: the interval over them covers 87 % at most
Z = 1.959964  # standard errors to each side of a normal distribution's middle 95 %
CLOCKS = ("seconds", "updates", "examples", "epochs")


def spread(values: Sequence[float], high_is_good: bool = False) -> Spread:
    """Quartiles by order: each is one of the values, the worse one where it lies between two, so infinity stays."""
    method = "lower" if high_is_good else "higher"
    low, middle, high = np.quantile(np.array(values, float), (0.25, 0.5, 0.75), method=method)  # type: ignore[call-overload]
    return float(low), float(middle), float(high)


def failures(outcomes: Sequence[Outcome]) -> dict[str, int]:
    """How often each kind of failure happened, in their usual order."""
    kinds = [one.failure for one in outcomes]
    return {kind: kinds.count(kind) for kind in FAILURES if kind in kinds}


@dataclass(frozen=True)
class Summary:
    """One contender over all its reported seeds, every clock beside the result."""

    contender: Contender  # with its learning rate
    runs: int
    failures: dict[str, int]
    epochs: Spread
    updates: Spread
    examples: Spread
    seconds: Spread
    compile_seconds: float  # of all runs together, those that tuned it included
    contended: bool
    loss: Spread  # of training, at the end
    validation: Spread
    score: Spread  # on the test samples: accuracy or R²

    @property
    def rank(self) -> tuple[float, float]:
        """Sorts the better contender first: by median test score, then by median loss."""
        return -self.score[1], self.loss[1]


def summarize(outcomes: Sequence[Outcome], compile_seconds: float) -> Summary:
    """The reported runs of one contender; `compile_seconds` are of these and of those that tuned it."""
    return Summary(
        outcomes[0].run.contender,
        len(outcomes),
        failures(outcomes),
        spread([one.passes for one in outcomes]),
        spread([one.updates for one in outcomes]),
        spread([one.examples for one in outcomes]),
        spread([one.seconds for one in outcomes]),
        compile_seconds,
        any(one.contended for one in outcomes),
        spread([math.inf if one.lost or not one.epochs else one.epochs[-1].train_loss for one in outcomes]),
        spread([one.validation_score for one in outcomes], high_is_good=True),
        spread([one.test_score for one in outcomes], high_is_good=True),
    )


@dataclass(frozen=True)
class Interval:
    """An estimate and the bounds between which 95 % of its bootstrap resamples lie."""

    value: float
    low: float
    high: float

    def excludes(self, value: float) -> bool:
        return not self.low <= value <= self.high


def bootstrap(values: Sequence[float], statistic: Callable[[np.ndarray], np.ndarray], seed: int = 0) -> Interval:
    """The statistic of the values, and its 95 % percentile interval over resamples of the seeds.

    `statistic` takes (resamples, n) and gives (resamples). Efron, Bootstrap methods: another look at the jackknife, 1979.
    """
    array = np.array(values, float)
    rows = np.random.default_rng(seed).integers(0, len(array), (RESAMPLES, len(array)))
    resampled = np.sort(statistic(array[rows]))
    # By order, not by interpolation: between two infinities there is no number.
    low, high = resampled[int(0.025 * RESAMPLES)], resampled[int(0.975 * RESAMPLES) - 1]
    return Interval(float(statistic(array[None])[0]), float(low), float(high))


def coverage(seeds: int) -> int:
    """How many percent an interval over so many seeds can cover: the median lies outside of all of them once in 2^(n - 1)."""
    return min(95, math.floor(100 * (1 - 2 * 0.5**seeds)))


def share(wins: float, n: int) -> Interval:
    """The share of wins among n, and its 95 % interval, which is wide even where all are won.

    Wilson, Probable inference, the law of succession, and statistical inference, 1927.
    """
    p, z2 = wins / n, Z * Z / n
    middle, half = (p + z2 / 2) / (1 + z2), Z * math.sqrt(p * (1 - p) / n + z2 / (4 * n)) / (1 + z2)
    return Interval(p, max(0.0, middle - half), min(1.0, middle + half))


def _median(rows: np.ndarray) -> np.ndarray:
    ordered, n = np.sort(rows, axis=1), rows.shape[1]
    low, high = ordered[:, (n - 1) // 2], ordered[:, n // 2]
    with np.errstate(invalid="ignore"):
        between = low / 2 + high / 2
    return np.where(low == high, low, np.where(np.isnan(between), 0.0, between))  # between two infinities: a draw


@dataclass(frozen=True)
class Pair:
    """Two contenders seed by seed: median difference of their scores, and the probability that the first is better."""

    first: Contender
    second: Contender
    seeds: int
    difference: Interval
    better: Interval

    @property
    def settled(self) -> bool:
        """Whether the interval of the difference, over enough seeds, leaves no room for none."""
        return self.seeds >= LEAST_SEEDS and self.difference.excludes(0.0)


def pair(first: Sequence[Outcome], second: Sequence[Outcome]) -> Pair:
    """Both in the order of their seeds. Two lost runs are a draw."""
    a = [one.test_score for one in first]
    b = [one.test_score for one in second]
    gaps = [0.0 if x == y else x - y for x, y in zip(a, b, strict=True)]
    wins = [0.5 if gap == 0 else float(gap > 0) for gap in gaps]
    return Pair(
        first[0].run.contender,
        second[0].run.contender,
        len(gaps),
        bootstrap(gaps, _median),
        share(sum(wins), len(wins)),
    )


@dataclass(frozen=True)
class Reach:
    """How one contender came to the target: how often, and after how much of each clock. Never means infinity."""

    contender: Contender
    target: float
    hits: int
    runs: int
    median: dict[str, float]
    expected: dict[str, float]  # all that was spent, hit or not, for each hit
    each: dict[str, tuple[float, ...]]  # by seed


def arrival(outcome: Outcome, target: float) -> dict[str, float]:
    """Each clock at the first evaluation that reached the target; infinity where none did, or where there is no target."""
    for epoch in outcome.epochs:
        if score(epoch) >= target > -math.inf:
            return {
                "seconds": epoch.seconds,
                "updates": epoch.updates,
                "examples": epoch.examples,
                "epochs": epoch.examples / max(1, outcome.samples),
            }
    return dict.fromkeys(CLOCKS, math.inf)


def reach(outcomes: Sequence[Outcome], target: float) -> Reach:
    """Time, updates and examples to the target of one contender's reported runs."""
    arrivals = [arrival(one, target) for one in outcomes]
    each = {clock: tuple(float(one[clock]) for one in arrivals) for clock in CLOCKS}
    hits = sum(math.isfinite(value) for value in each["updates"])
    expected = {}
    for clock in CLOCKS:
        spent = [
            when if math.isfinite(when) else _spent(one, clock) for one, when in zip(outcomes, each[clock], strict=True)
        ]
        expected[clock] = sum(spent) / hits if hits else math.inf
    median = {clock: spread(values)[1] for clock, values in each.items()}
    return Reach(outcomes[0].run.contender, target, hits, len(outcomes), median, expected, each)


def _spent(outcome: Outcome, clock: str) -> float:
    if clock == "epochs":
        return outcome.passes
    return float(getattr(outcome, clock))


def quicker(first: Reach, second: Reach, clock: str) -> Interval | None:
    """How many times less of a clock the first needed, seed by seed, as a median; None where both never arrived."""
    pairs = [(a, b) for a, b in zip(first.each[clock], second.each[clock], strict=True) if math.isfinite(min(a, b))]
    if not pairs:
        return None
    ratios = [
        math.inf if not math.isfinite(b) else 0.0 if not math.isfinite(a) else b / max(a, 1e-12) for a, b in pairs
    ]
    return bootstrap(ratios, _median)


def profile(reaches: Sequence[Reach], clock: str) -> list[tuple[list[float], list[float]]]:
    """For each contender the share of seeds on which it arrived within x times the best contender's time.

    Dolan and More, Benchmarking optimization software with performance profiles, 2002.
    """
    times = np.array([one.each[clock] for one in reaches], float)
    best = times.min(axis=0)
    with np.errstate(invalid="ignore"):
        ratios = np.where(np.isfinite(times), times / np.maximum(best, 1e-12), np.inf)
    steps = sorted({1.0, *ratios[np.isfinite(ratios)].tolist()})
    return [(steps, [float((row <= x * (1 + 1e-12)).mean()) for x in steps]) for row in ratios]


@dataclass(frozen=True)
class Curve:
    """Training loss over one clock: the median of the seeds and its quartiles, at the evaluations of the run."""

    x: list[float]
    low: list[float]
    middle: list[float]
    high: list[float]


def curve(outcomes: Sequence[Outcome], clock: str, value: str = "train_loss") -> Curve:
    """Epoch by epoch over the runs that got that far; x is the median of the clock at that epoch."""
    found = Curve([], [], [], [])
    for at in range(max((len(one.epochs) for one in outcomes), default=0)):
        here = [(one.epochs[at], max(1, one.samples)) for one in outcomes if len(one.epochs) > at]
        values = [getattr(epoch, value) for epoch, _ in here]
        if any(v is None for v in values):
            continue
        low, middle, high = np.quantile(values, (0.25, 0.5, 0.75))
        x = [epoch.examples / samples if clock == "epochs" else getattr(epoch, clock) for epoch, samples in here]
        found.x.append(float(np.median(x)))
        found.low.append(float(low))
        found.middle.append(float(middle))
        found.high.append(float(high))
    return found
