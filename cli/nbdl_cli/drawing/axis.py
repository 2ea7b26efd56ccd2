"""Where an axis gets its ticks, and how they are labelled."""

import math
from itertools import pairwise

_UNITS = ((1e12, 1e12, "T"), (1e9, 1e9, "G"), (1e6, 1e6, "M"), (1e4, 1e3, "k"))  # from, divided by, sign


def linear_ticks(low: float, high: float, most: int, whole: bool = False) -> list[float]:
    """At most `most` round numbers from low to high, steps of 1, 2, 2.5 or 5 times a power of ten; `whole` numbers only."""
    power = math.floor(math.log10((high - low) / max(most, 1)))
    for exponent in range(power, power + 3):
        for factor in (1, 2, 2.5, 5):
            step = factor * 10.0**exponent
            first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
            if last - first < most and (not whole or step.is_integer()):
                return [n * step for n in range(first, last + 1)]
    return []


def log_ticks(low: float, high: float, most: int) -> list[float]:
    """Ticks from 10^low to 10^high as logarithms: powers of ten, with 2 and 5 times each where there is room."""
    powers = range(math.floor(low), math.ceil(high) + 1)
    for factors in ((1, 2, 5), (1,)):
        ticks = [p + math.log10(f) for p in powers for f in factors if low - 1e-9 <= p + math.log10(f) <= high + 1e-9]
        if 2 <= len(ticks) <= most:
            return ticks
    if len(ticks) > most:
        return ticks[:: -(-len(ticks) // most)]
    return [math.log10(tick) for tick in linear_ticks(10**low, 10**high, most) if tick > 0]


def labels(ticks: list[float]) -> list[str]:
    """The numbers with one unit and as many digits as tell them apart: 0.25 0.5, 10k 20k, 1e-5 2e-5."""
    largest = max(map(abs, ticks), default=0.0)
    divisor, sign = next(((by, unit) for start, by, unit in _UNITS if largest >= 0.9995 * start), (1.0, ""))
    if 0 < largest < 1e-3 or largest >= 1e15:
        exponent = math.floor(math.log10(largest) + 1e-9)
        divisor, sign = 10.0**exponent, f"e{exponent}"
    values = [tick / divisor for tick in ticks]
    near = 1e-6 * min((b - a for a, b in pairwise(values)), default=largest / divisor)
    digits = next((d for d in range(10) if all(abs(round(v, d) - v) <= near for v in values)), 10)
    return [f"{v:.{digits}f}{sign}" if tick else "0" for v, tick in zip(values, ticks, strict=True)]
