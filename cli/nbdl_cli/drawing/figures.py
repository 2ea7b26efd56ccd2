"""Numbers as people read them."""

import re
from math import isfinite


def _scaled(value: float, step: float, units: tuple[str, ...]) -> str:
    if not isfinite(value):
        return "–"
    level = 0
    while level < len(units) - 1 and abs(value) >= step * 0.9995:
        value, level = value / step, level + 1
    size, unit = abs(value), units[level]
    digits = 0 if size >= 99.95 or (unit == units[0] and value == int(value)) else 1 if size >= 9.995 else 2
    return f"{value:.{digits}f} {unit}".rstrip()


def count(value: float) -> str:
    """12345 becomes 12.3 k."""
    return f"{value:.0f}" if abs(value) < 999.5 else _scaled(value, 1000, ("", "k", "M", "G", "T", "P"))


def size(value: float) -> str:
    """Bytes: 123456 becomes 121 KiB."""
    return _scaled(value, 1024, ("B", "KiB", "MiB", "GiB", "TiB"))


def seconds(value: float) -> str:
    """0.00123 becomes 1.23 ms, 75 becomes 1 min 15 s, 7500 becomes 2 h 5 min."""
    if not isfinite(value):
        return "–"
    if value >= 59.95:
        minutes, rest = divmod(round(value), 60)
        return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"
    for factor, unit in ((1, "s"), (1e3, "ms"), (1e6, "µs")):
        if value * factor >= 0.9995:
            return _scaled(value * factor, 1e9, (unit, unit))
    return f"{value * 1e9:.0f} ns"


def percent(share: float) -> str:
    """0.973 becomes 97.3 %; 99.96 % is not 100 %."""
    if not isfinite(share):
        return "–"
    text = f"{abs(100 * share) if abs(share) < 0.0005 else 100 * share:.1f}"  # no -0.0
    return f"{'99.9' if text == '100.0' and share < 1 else text} %"


def flops_rate(value: float) -> str:
    """Floating-point operations a second: 3.4e9 becomes 3.40 GFLOP/s."""
    return _scaled(value, 1000, tuple(f"{prefix}FLOP/s" for prefix in ("", "k", "M", "G", "T", "P")))


def broken(name: str, width: int) -> str:
    """A kernel's name in lines, broken behind underscores where it is wider than that."""
    lines = [""]
    for part in re.split("(?<=_)", name):
        if lines[-1] and len(lines[-1]) + len(part) > width:
            lines.append("")
        lines[-1] += part
    return "\n".join(lines)
