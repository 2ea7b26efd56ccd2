"""An experiment as plain data: what is compared, how long, from which seeds. The same data, the same experiment."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import product
from typing import Any

from nbdl.comparison.contenders import METHODS, Contender, batch_sizes
from nbdl.errors import NbdlError
from nbdl.optimizers import optimizer
from nbdl.schedules import schedule as check_schedule
from nbdl.training import Budget

RATES = tuple(float(f"{10 ** (k / 2):.3g}") for k in range(-8, 3))  # 1e-4 to 10 in half decades
TUNING_SEEDS, SEEDS, QUICK_SEEDS = 3, 10, 5
BUDGETS = {"epochs": int, "updates": int, "examples": int, "seconds": float}


@dataclass(frozen=True)
class Spec:
    """Contenders, the grid of rates for those that are tuned, seeds to tune on, fresh seeds to report, and the budget.

    `about` says what else the results depend on (demo, data, layers, ...) in words of the caller, who can rebuild the
    problem from it. `target` is a validation score to reach, or "auto".
    """

    contenders: tuple[Contender, ...]
    budget: Budget
    rates: tuple[float, ...] = RATES
    tuning_seeds: tuple[int, ...] = tuple(range(TUNING_SEEDS))
    seeds: tuple[int, ...] = tuple(range(TUNING_SEEDS, TUNING_SEEDS + SEEDS))
    timeout: float | None = None
    target: float | str = "auto"
    about: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self):
        if not self.contenders:
            raise NbdlError("a comparison needs at least one contender.")
        twice = [c.label for n, c in enumerate(self.contenders) if c in self.contenders[:n]]
        if twice:
            raise NbdlError(f"the contender {twice[0]!r} is there twice; leave one out.")
        if not self.seeds or (any(c.tune for c in self.contenders) and not self.tuning_seeds):
            raise NbdlError("a comparison needs at least one seed, and one more to tune on.")
        both = set(self.seeds) & set(self.tuning_seeds)
        if both and any(c.tune for c in self.contenders):
            raise NbdlError(f"seed {min(both)} is there to tune on and to report: a report needs fresh seeds.")
        if any(not 0 < rate < float("inf") for rate in self.rates) or not self.rates:
            raise NbdlError(f"the learning rates are {list(self.rates)}; expected finite numbers above 0.")
        again = [rate for n, rate in enumerate(self.rates) if rate in self.rates[:n]]
        if again:
            raise NbdlError(f"the learning rate {again[0]:g} is there twice; leave one out.")
        if self.timeout is not None and not self.timeout > 0:
            raise NbdlError(f"the timeout is {self.timeout} seconds; expected a number above 0.")
        if self.target != "auto" and not (isinstance(self.target, int | float) and self.target == self.target):
            raise NbdlError(f"the target is {self.target!r}; expected a number, such as 0.95, or auto.")

    def as_data(self) -> dict[str, Any]:
        """Plain data that `Spec.from_data` takes back."""
        return {
            **self.about,
            "budget": {name: value for name, value in vars(self.budget).items() if value is not None},
            "contenders": [contender.as_data() for contender in self.contenders],
            "rates": list(self.rates),
            "tuning_seeds": list(self.tuning_seeds),
            "seeds": list(self.seeds),
            "timeout": self.timeout,
            "target": self.target,
        }

    @classmethod
    def from_data(cls, data: dict[str, Any]) -> "Spec":
        data = dict(data)
        try:
            return cls(
                tuple(Contender.from_data(one) for one in data.pop("contenders")),
                Budget(**data.pop("budget")),
                tuple(data.pop("rates")),
                tuple(data.pop("tuning_seeds")),
                tuple(data.pop("seeds")),
                data.pop("timeout"),
                data.pop("target"),
                about=data,
            )
        except (KeyError, TypeError, AttributeError) as error:
            raise NbdlError(f"this is not the spec of a comparison: {error} is missing or of another kind.") from None


def seeds_from(first: int, tuning: int, reported: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Seeds to tune on, and the fresh ones behind them."""
    middle = first + tuning
    return tuple(range(first, middle)), tuple(range(middle, middle + reported))


def read_budget(text: str) -> dict[str, Any]:
    """`epochs=10`, or several with commas between them: whichever is spent first ends a run."""
    found: dict[str, Any] = {}
    for part in text.split(","):
        name, _, value = (piece.strip() for piece in part.partition("="))
        try:
            found[name] = BUDGETS[name](float(value) if BUDGETS[name] is int and float(value).is_integer() else value)
        except (KeyError, ValueError, OverflowError):
            kinds = ", ".join(f"{name}={'S' if kind is float else 'N'}" for name, kind in BUDGETS.items())
            raise NbdlError(f"the budget {part.strip()!r} cannot be read; expected one of {kinds}.") from None
    return found


def contenders_from_table(table: dict[str, Any]) -> list[Contender]:
    """The contenders of one [[contender]] of a TOML file; a list in place of a value stands for one contender each.

    Keys are method, batch, optimizer, learning_rate (left out: tuned), schedule, and the settings of the optimizer.
    """
    known = dict(table)
    methods, sizes = _list(known.pop("method", None)), _list(known.pop("batch", None))
    chosen = _batches(methods, sizes)
    names = _list(known.pop("optimizer", "sgd"))
    rates = _list(known.pop("learning_rate", None))
    schedules = _list(known.pop("schedule", "constant"))
    lists = [(key, _list(value)) for key, value in known.items()]
    for rate in rates:
        if rate is not None and (isinstance(rate, bool) or not isinstance(rate, int | float)):
            raise NbdlError(f"learning_rate is {rate!r}; expected a number, or a list of numbers.")
    found = []
    for batch, name, schedule, rate, *values in product(chosen, names, schedules, rates, *(v for _, v in lists)):
        check_schedule(str(schedule), 1)
        settings = {key: value for (key, _), value in zip(lists, values, strict=True)}
        contender = Contender(batch, optimizer(name, **settings), schedule, tune=True)
        found.append(contender if rate is None else contender.at(float(rate)))
    return found


def _batches(methods: Sequence[Any], sizes: Sequence[Any]) -> list[int | str]:
    if sizes == [None]:
        sizes = [32]
    elif methods == [None]:
        return ["full" if size == "full" else _whole(size) for size in sizes]
    if methods == [None]:
        raise NbdlError(f"a contender needs a method ({', '.join(METHODS)}) or a batch (a number, or full).")
    return [size for method in methods for size in batch_sizes(method, [_whole(size) for size in sizes])]


def _whole(size: Any) -> int:
    if isinstance(size, bool) or not isinstance(size, int):
        raise NbdlError(f"a batch of {size!r}; expected a whole number, or full.")
    return size


def _list(value: Any) -> list[Any]:
    return list(value) if isinstance(value, list | tuple) else [value]


def check_batches(contenders: Iterable[Contender], n: int) -> None:
    """Raises NbdlError for a batch that is larger than the samples to learn from."""
    for contender in contenders:
        if contender.batch != "full" and not 1 <= int(contender.batch) <= n:
            raise NbdlError(f"the batch size is {contender.batch}; expected a whole number from 1 to {n}.")


def differences(before: Any, now: Any, where: str = "") -> list[str]:
    """What changed between two specs, in words: `budget.epochs was 10 and is 20`."""
    if isinstance(before, dict) and isinstance(now, dict):
        return [
            line
            for key in sorted({*before, *now})
            for line in differences(before.get(key), now.get(key), f"{where}.{key}" if where else key)
        ]
    if isinstance(before, list) and isinstance(now, list) and before != now:
        gone, new = [_short(x) for x in before if x not in now], [_short(x) for x in now if x not in before]
        parts = [f"no longer has {', '.join(gone)}"] * bool(gone) + [f"now has {', '.join(new)}"] * bool(new)
        return [f"{where} {' and '.join(parts) or 'is in another order'}"]
    return [] if before == now else [f"{where} was {_short(before)} and is {_short(now)}"]


def _short(value: Any) -> str:
    if isinstance(value, dict) and "optimizer" in value:
        return f"({Contender.from_data(value).label})"
    return "not given" if value is None else str(value)
