"""Two plain sentences that say what the intervals support, and nothing else."""

import math

from nbdl.comparison.experiment import Comparison
from nbdl.comparison.statistics import LEAST_SEEDS, Interval, coverage, quicker

LISTED = 4  # more contenders are counted, not named


def verdict(comparison: Comparison) -> tuple[str, str]:
    """The first sentence is about the result at the end of the budget, the second about the way to the target."""
    return _result(comparison), _way(comparison)


def score(value: float, accuracy: bool, signed: bool = False) -> str:
    """A score as people read it, or a difference of scores in points."""
    if not math.isfinite(value):
        return "–∞" if value < 0 else "+∞"
    sign = "+" if signed else ""
    return f"{100 * value:{sign}.1f}" if accuracy else f"{value:{sign}.3f}"


def between(interval: Interval, accuracy: bool) -> str:
    return f"{score(interval.low, accuracy, signed=True)} to {score(interval.high, accuracy, signed=True)}"


def listed(parts: list[str]) -> str:
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"


def plural(count: float, unit: str) -> str:
    """`1 epoch`, `2 epochs`, `0.5 seconds`."""
    return f"{count:g} {unit.removesuffix('s') if count == 1 else unit}"


def _named(parts: list[str], everyone: int) -> str:
    """Those contenders, or how many of the others they are."""
    if len(parts) <= LISTED:
        return listed(parts)
    return f"all {everyone} others" if len(parts) == everyone else f"{len(parts)} of the {everyone} others"


def _result(comparison: Comparison) -> str:
    accuracy, best = comparison.problem.classifies, comparison.summaries[comparison.best]
    name = "accuracy" if accuracy else "R²"
    spent = listed([plural(v, k) for k, v in vars(comparison.spec.budget).items() if v is not None])
    if not math.isfinite(best.score[1]):
        return f"With {spent} each, every contender lost at least half of its runs: there is nothing to compare."
    reached = f"{score(best.score[1], accuracy)}{' %' if accuracy else ''}"
    start = f"With {spent} each, {best.contender.label} has the highest median test {name}, {reached}"
    if not comparison.pairs:
        return f"{start}; it is the only contender."
    settled = [pair for pair in comparison.pairs if pair.settled and pair.difference.low > 0]
    other = [pair for pair in comparison.pairs if pair not in settled]
    parts = []
    if settled:
        unit = "points" if accuracy else "of R²"
        gains = [f"{pair.second.label} ({between(pair.difference, accuracy)})" for pair in settled]
        least = score(min(pair.difference.low for pair in settled), accuracy, signed=True)
        ends = f" (each {least} or more)" if len(gains) > LISTED else ""
        sure = coverage(settled[0].seeds)
        named = _named(gains, len(comparison.pairs))
        parts.append(f"better than {named}{ends}, {sure} % intervals of the paired difference in {unit}")
    if other:
        open_ = [f"{pair.second.label} ({between(pair.difference, accuracy)})" for pair in other]
        few = plural(len(comparison.spec.seeds), "seeds")
        parts.append(f"not told apart from {_named(open_, len(comparison.pairs))} by {few}")
    return f"{start}: {', but '.join(parts)}."


def _way(comparison: Comparison) -> str:
    accuracy, contended = comparison.problem.classifies, any(s.contended for s in comparison.summaries)
    clock = "examples" if contended else "seconds"
    goal = f"{score(comparison.target, accuracy)} %" if accuracy else f"an R² of {score(comparison.target, accuracy)}"
    why = ", the seconds being of a machine shared by several runs" if contended else ""
    ordered = sorted(comparison.reaches, key=lambda one: (one.median[clock], one.expected[clock]))
    if not math.isfinite(comparison.target):
        return "No baseline came to its end, so there is no target to reach."
    first, never = ordered[0], [one for one in ordered if not one.hits]
    if not first.hits:
        return f"No contender reached {goal} on validation."
    if not math.isfinite(first.median[clock]):
        hits = [f"{one.contender.label} in {one.hits} of {one.runs} runs" for one in ordered if one.hits]
        reached = listed(hits) if len(hits) <= LISTED else f"some of {len(hits)} contenders"
        return f"Most runs never reached {goal} on validation: {reached} did."
    start = f"To {goal} on validation {first.contender.label} took the fewest {clock} in the median{why}"
    sure: list[tuple[str, str]] = []
    unsure: list[tuple[str, str]] = []
    for other in ordered[1:]:
        if not other.hits:
            continue
        ratio = quicker(first, other, clock)
        if ratio is None:
            continue
        bounds = f"{_times(ratio.low)} to {_times(ratio.high)} times"
        settled = ratio.low > 1 and len(comparison.spec.seeds) >= LEAST_SEEDS
        (sure if settled else unsure).append((other.contender.label, bounds))
    parts = []
    others = len(comparison.pairs)
    if sure:
        parts.append("fewer than " + _named([f"{label} ({bounds})" for label, bounds in sure], others))
    if unsure:
        few = plural(len(comparison.spec.seeds), "seeds")
        tell = "does not" if len(comparison.spec.seeds) == 1 else "do not"
        parts.append(f"which {few} {tell} tell from {_named([u[0] for u in unsure], others)}")
    end = f"; {_named([one.contender.label for one in never], others)} never got there" if never else ""
    return start + (f", {', and '.join(parts)}" if parts else "") + f"{end}."


def _times(value: float) -> str:
    return "∞" if math.isinf(value) else f"{value:.2g}" if value < 10 else f"{value:.0f}"
