"""Who takes part: a way to cut the data into batches, an optimizer and its learning rate."""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from nbdl.errors import NbdlError
from nbdl.optimizers import Optimizer

METHODS = ("stochastic", "mini-batch", "batch")


@dataclass(frozen=True)
class Contender:
    """One row of a comparison; `batch` is a number of examples, or "full"."""

    method: str
    batch: int | str
    optimizer: Optimizer
    schedule: str = "constant"

    @property
    def label(self) -> str:
        batch = f" {self.batch}" if self.method == "mini-batch" else ""
        return f"{self.method}{batch}, {self.optimizer.name} {self.optimizer.learning_rate:g}"


def grid(
    methods: Iterable[str], batches: Iterable[int], optimizers: Iterable[Optimizer], rates: Iterable[float]
) -> list[Contender]:
    """Every method with every optimizer and rate; mini-batch once for each batch size."""
    found = []
    for method in methods:
        if method not in METHODS:
            raise NbdlError(f"method {method!r} is unknown; choose from {', '.join(METHODS)}.")
        sizes: list[int | str] = [1] if method == "stochastic" else ["full"] if method == "batch" else [*batches]
        found += [
            Contender(method, size, replace(optimizer, learning_rate=rate))
            for size in sizes
            for optimizer in optimizers
            for rate in rates
        ]
    return found
