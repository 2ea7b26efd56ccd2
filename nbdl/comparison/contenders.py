"""Who takes part: how the data are cut into batches, an optimizer, its learning rate and its schedule."""

from collections.abc import Iterable
from dataclasses import dataclass, fields, replace
from typing import Any

from nbdl.errors import NbdlError
from nbdl.optimizers import OPTIMIZERS, Optimizer, describe, optimizer

METHODS = ("stochastic", "mini-batch", "batch")


@dataclass(frozen=True)
class Contender:
    """One row of a comparison; `batch` is a number of examples, or "full".

    With `tune` the learning rate of its optimizer is only a placeholder: the best one on validation takes its place.
    """

    batch: int | str
    optimizer: Optimizer
    schedule: str = "constant"
    tune: bool = False

    @property
    def method(self) -> str:
        return {1: "stochastic", "full": "batch"}.get(self.batch, "mini-batch")

    @property
    def label(self) -> str:
        """`mini-batch 32, adam 0.001, momentum 0.5, cosine`: what is not as usual is said."""
        settings = self.optimizer
        usual = OPTIMIZERS[settings.name]()
        parts = [f"{self.method} {self.batch}" if self.method == "mini-batch" else self.method]
        parts.append(settings.name if self.tune else f"{settings.name} {settings.learning_rate:g}")
        for field in fields(settings)[1:]:
            value = getattr(settings, field.name)
            if value != getattr(usual, field.name):
                parts.append(f"{field.name.replace('_', ' ')} {value:g}")
        return ", ".join([*parts, *([] if self.schedule == "constant" else [self.schedule])])

    def at(self, rate: float) -> "Contender":
        """The same contender with this learning rate."""
        return replace(self, optimizer=replace(self.optimizer, learning_rate=rate), tune=False)

    def as_data(self) -> dict[str, Any]:
        """Plain data that `Contender.from_data` takes back; the learning rate is null where it is to be tuned."""
        settings = {**describe(self.optimizer), **({"learning_rate": None} if self.tune else {})}
        return {"method": self.method, "batch": self.batch, "optimizer": settings, "schedule": self.schedule}

    @classmethod
    def from_data(cls, data: dict[str, Any]) -> "Contender":
        settings = dict(data["optimizer"])
        tune = settings["learning_rate"] is None
        return cls(data["batch"], optimizer(**settings), data["schedule"], tune)


def batch_sizes(method: str, sizes: Iterable[int]) -> list[int | str]:
    """The batch sizes that a method stands for; raises NbdlError for a method that it does not know."""
    if method not in METHODS:
        raise NbdlError(f"method {method!r} is unknown; choose from {', '.join(METHODS)}.")
    return [1] if method == "stochastic" else ["full"] if method == "batch" else [*sizes]


def grid(
    methods: Iterable[str],
    sizes: Iterable[int],
    optimizers: Iterable[Optimizer],
    schedules: Iterable[str] = ("constant",),
    rates: Iterable[float] | None = None,
) -> list[Contender]:
    """Every method with every optimizer, schedule and rate, mini-batch once for each size; `rates` None means: tune."""
    sizes, optimizers, schedules = list(sizes), list(optimizers), list(schedules)
    found = [
        Contender(size, settings, schedule, tune=True)
        for method in methods
        for size in batch_sizes(method, sizes)
        for settings in optimizers
        for schedule in schedules
    ]
    if rates is None:
        return found
    rates = list(rates)
    return [contender.at(rate) for contender in found for rate in rates]
