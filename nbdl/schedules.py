"""Learning-rate schedules: a factor on the learning rate for each update, as plain functions of the update's number.

constant                 1
step:EVERY:FACTOR        FACTOR^(t // EVERY)
exponential:FACTOR       FACTOR^(t / total)                     the rate ends at FACTOR times its start
cosine                   (1 + cos(pi t / total)) / 2            Loshchilov and Hutter 2017
warmup:SHARE             t / (SHARE total) up to 1, then constant
one-cycle                up to 1 over 30 %, then down to 0, both as half cosines; Smith 2018
"""

import math
from collections.abc import Callable

from nbdl.errors import NbdlError

NAMES = ("constant", "step:EVERY:FACTOR", "exponential:FACTOR", "cosine", "warmup:SHARE", "one-cycle")
FORMS = {"constant": [], "step": [100.0, 0.5], "exponential": [0.01], "cosine": [], "warmup": [0.1], "one-cycle": [0.3]}


def schedule(text: str, total: int) -> Callable[[int], float]:
    """The factor as a function of the update t = 0, 1, ..., total - 1; raises NbdlError for a text it cannot read."""
    name, *given = text.split(":")
    if name not in FORMS or len(given) > len(FORMS[name]):
        raise NbdlError(f"schedule {text!r} is unknown; choose one of {', '.join(NAMES)}.")
    try:
        values = [float(value) for value in given] + FORMS[name][len(given) :]
    except ValueError:
        raise NbdlError(f"schedule {text!r}: expected numbers behind the name, as in step:100:0.5.") from None
    if not all(value > 0 and math.isfinite(value) for value in values) or (
        name in ("warmup", "one-cycle") and values[0] > 1
    ):
        raise NbdlError(f"schedule {text!r}: its numbers must be above 0, and a share at most 1.")
    total = max(1, total)

    def rise(t: float) -> float:
        return (1 - math.cos(math.pi * min(1.0, t))) / 2

    def one_cycle(t: int) -> float:
        top = values[0] * total
        return (
            max(0.01, rise((t + 1) / top)) if t + 1 <= top else 1 - rise((t + 1 - top) / max(1.0, total - top)) or 1e-6
        )

    factors: dict[str, Callable[[int], float]] = {
        "constant": lambda t: 1.0,
        "step": lambda t: values[1] ** (t // values[0]),
        "exponential": lambda t: values[0] ** (t / total),
        "cosine": lambda t: max(1e-6, 1 - rise(t / total)),
        "warmup": lambda t: min(1.0, (t + 1) / (values[0] * total)),
        "one-cycle": one_cycle,
    }
    return factors[name]
