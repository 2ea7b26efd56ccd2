"""Which learning rate? Train for a moment while the rate grows by the same factor at every update, and watch the loss.

Too small a rate changes nothing, a good one makes the loss fall, too large a one makes it rise (Smith 2017, "Cyclical
learning rates for training neural networks"). The network is put back as it was.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from nbdl.errors import NbdlError
from nbdl.losses import Loss
from nbdl.model import Sequential
from nbdl.optimizers import Optimizer, describe, optimizer
from nbdl.program import Announce, Data
from nbdl.training import Budget, Diverged, Training

LOW, HIGH = 1e-6, 10.0
UPDATES, EXAMPLES, MOST_UPDATES = 300, 9600, 3000
REACH = 30  # the smoothing reaches back over this part of the sweep
STOP = 4.0  # the sweep ends where the smoothed loss is this many times its lowest, and above its start
LEAST_FALL = 0.05  # a loss that falls by a smaller share of its start has not learnt
SURE = 5.0  # nor has one that falls by fewer standard errors of its smoothing


class Point(NamedTuple):
    """One update of the sweep: its rate, the loss of its batch before it, and the loss smoothed up to here."""

    update: int  # from 1
    rate: float
    loss: float
    smoothed: float


@dataclass(frozen=True)
class Suggestion:
    """A learning rate and why; `rate` is None where the curve shows none. The parts are None where there are none.

    steepest    the rate at which the smoothed loss falls fastest for the same factor on the rate
    lowest      the rate at which it is lowest: with any more it rises, so this is too much already
    tenth       lowest / 10, the rule of thumb that keeps a safe distance
    """

    rate: float | None
    reason: str
    steepest: float | None = None
    lowest: float | None = None
    tenth: float | None = None
    diverged: bool = False


def usual_updates(batch: int) -> int:
    """Updates of a sweep: 300, and more for small batches, whose losses jump about, up to 3000."""
    return min(MOST_UPDATES, max(UPDATES, EXAMPLES // batch))


def sweep(
    model: Sequential,
    data: Data,
    loss: Loss,
    method: Optimizer,
    *,
    batch: int | str = 32,
    low: float = LOW,
    high: float = HIGH,
    updates: int | None = None,
    clip: float | None = None,
    seed: int = 0,
    backend: str = "auto",
    announce: Announce = None,
) -> Iterator[Point]:
    """Train from the rate `low` to the rate `high`, each the same factor above the one before; yield every update.

        rate_t = low (high / low)^((t - 1) / (updates - 1))
        mean_t = beta mean_{t-1} + (1 - beta) loss_t,   smoothed_t = mean_t / (1 - beta^t)

    Ends early where training diverges. The model's parameters are put back, bit for bit, however the sweep ends; the
    optimizer's own learning rate plays no part. Raises NbdlError for a range or a number of updates that is none.
    """
    if not (0 < low < high and math.isfinite(high)):
        raise NbdlError(f"the rates run from {low:g} to {high:g}; expected two numbers above 0, the lower one first.")
    n = len(data)
    updates = usual_updates(n if batch == "full" else int(batch)) if updates is None else updates
    if updates < 20:
        raise NbdlError(f"a sweep of {updates} updates shows nothing; expected 20 or more.")
    before = model.snapshot()
    try:
        training = Training(
            model,
            data,
            loss,
            optimizer(**describe(method) | {"learning_rate": low}),
            batch=batch,
            budget=Budget(updates=updates),
            schedule=f"exponential:{(high / low) ** (updates / (updates - 1))!r}",
            clip=clip,
            seed=seed,
            backend=backend,
            announce=announce,
        )
        yield from _smoothed(training, smoothing(updates))
    finally:
        model.restore(before)


def smoothing(updates: int) -> float:
    """beta of a sweep of so many updates."""
    return 1 - 1 / max(2.0, updates / REACH)


def _smoothed(training: Training, beta: float) -> Iterator[Point]:
    mean, lowest, first = 0.0, math.inf, 0.0
    try:
        for step in training.steps():
            mean = beta * mean + (1 - beta) * step.loss
            point = Point(step.update, step.rate, step.loss, mean / (1 - beta**step.update))
            first = first or point.smoothed
            lowest = min(lowest, point.smoothed)
            yield point
            if _gone(point.smoothed, first, lowest):
                return
    except Diverged as error:
        yield Point(error.update, error.rate, error.loss, math.inf)


def _gone(smoothed: float, first: float, lowest: float) -> bool:
    return not smoothed <= max(first, STOP * lowest)


def suggest(points: Sequence[Point], updates: int) -> Suggestion:
    """Read a rate off a sweep that was planned for `updates`.

    Two rules of thumb are read: the rate at which the smoothed loss falls fastest (fastai's and Lightning's finders), and
    a tenth of the rate at which it is lowest (fastai's "minimum"). Each is moved by the noise of the batches, so their
    geometric mean is suggested. The slope at a point is that of the straight line through the smoothed losses around
    it, as far as the smoothing reaches.
    """
    beta = smoothing(updates)
    reach = max(2, round(1 / (1 - beta)))
    rates, losses = (np.array([getattr(p, name) for p in points]) for name in ("rate", "loss"))
    smooth: Any = np.array([p.smoothed for p in points])
    diverged = len(points) < updates or not np.isfinite(smooth[-1])
    if len(points) < 4 * reach:
        reason = f"training diverged at once, at a rate of {rates[-1]:.2g}: begin lower"
        return Suggestion(None, reason, diverged=diverged)
    bottom = int(np.nanargmin(np.where(np.arange(len(smooth)) < reach, np.inf, smooth)))
    start = float(np.median(losses[: 2 * reach]))
    fall = float(smooth[reach - 1 : 2 * reach].mean()) - float(smooth[bottom])
    jumps = losses[: bottom + 1] - smooth[: bottom + 1]
    error = float(np.std(jumps)) * math.sqrt((1 - beta) / (1 + beta))
    if fall < LEAST_FALL * abs(start) or fall < SURE * error:
        share = max(0.0, fall) / abs(start or 1)
        reason = (
            f"the loss hardly falls at any rate from {rates[0]:.2g} to {rates[-1]:.2g} (its lowest is "
            f"{100 * share:.1f} % below its start): " + ("begin lower" if diverged else "go higher")
        )
        return Suggestion(None, reason, diverged=diverged)
    place = reach + int(_slopes(np.log(rates[: bottom + 1]), smooth[: bottom + 1], reach)[reach:].argmin())
    steepest, lowest = float(rates[place]), float(rates[bottom])
    if bottom >= len(points) - reach and not diverged:
        reason = (
            f"the loss falls fastest there; it is still falling at {lowest:.2g}, where the sweep ends, so a higher rate "
            "may do as well"
        )
        return Suggestion(_short(steepest), reason, steepest)
    tenth = lowest / 10
    reason = (
        f"midway between {steepest:.2g}, where the loss falls fastest, and {tenth:.2g}, a tenth of the rate where it is "
        f"lowest ({lowest:.2g})"
    )
    return Suggestion(_short(math.sqrt(steepest * tenth)), reason, steepest, lowest, tenth, diverged)


def _short(rate: float) -> float:
    """Two digits: a sweep does not tell more."""
    return float(f"{rate:.1e}")


def _slopes(x: Any, y: Any, reach: int) -> Any:
    """Slope of the line of least squares through the points at most reach / 2 away, for each point; inf at the edges."""
    half = max(1, reach // 2)
    found = np.full(len(x), np.inf)
    for i in range(half, len(x) - half):
        part = slice(i - half, i + half + 1)
        found[i] = np.polyfit(x[part], y[part], 1)[0]
    return found
