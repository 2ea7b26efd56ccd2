"""Optimizers: frozen settings that name an update kernel and the numbers of each step. They own no arrays."""

import math
from dataclasses import asdict, dataclass, fields
from typing import Any, ClassVar

from nbdl.errors import NbdlError
from nbdl.kernel import Kernel
from nbdl.kernels import updates


@dataclass(frozen=True)
class Optimizer:
    """Base of all: `states` vectors like the parameters, and `numbers(rate, t)` for the kernel at update t (from 1)."""

    learning_rate: float = 0.01
    weight_decay: float = 0.0

    kernel: ClassVar[Kernel]
    states: ClassVar[tuple[str, ...]] = ()

    def __post_init__(self):
        if not (self.learning_rate > 0 and math.isfinite(self.learning_rate)):
            raise NbdlError(f"the learning rate is {self.learning_rate}; expected a finite number above 0.")
        if not (self.weight_decay >= 0 and math.isfinite(self.weight_decay)):
            raise NbdlError(f"the weight decay is {self.weight_decay}; expected a finite number, 0 or more.")
        for field in fields(self)[2:]:
            value = getattr(self, field.name)
            if field.name == "epsilon" and not 0 < value < 1:
                raise NbdlError(f"{field.name} is {value}; expected a small number above 0.")
            if field.name != "epsilon" and not 0 <= value < 1:
                raise NbdlError(f"{field.name} is {value}; expected 0 or more and less than 1.")

    @property
    def name(self) -> str:
        return type(self).__name__.lower()

    def numbers(self, rate: float, t: int) -> tuple[float, ...]:
        """The vector h of kernels/updates.py for a learning rate and the number of this update."""
        return (rate, *(getattr(self, field.name) for field in fields(self)[1:]))


@dataclass(frozen=True)
class SGD(Optimizer):
    """Plain gradient descent: w -= rate g. Stochastic, mini-batch and batch descent differ only in the batch."""

    learning_rate: float = 0.1
    kernel = updates.sgd


@dataclass(frozen=True)
class Momentum(Optimizer):
    """Gradient descent with a velocity that forgets slowly."""

    momentum: float = 0.9
    kernel = updates.momentum
    states = ("velocity",)


@dataclass(frozen=True)
class Nesterov(Optimizer):
    """Momentum that looks one step ahead."""

    momentum: float = 0.9
    kernel = updates.nesterov
    states = ("velocity",)


@dataclass(frozen=True)
class Adagrad(Optimizer):
    """A rate per weight that shrinks with the squares of all its gradients."""

    epsilon: float = 1e-8
    kernel = updates.adagrad
    states = ("squares",)


@dataclass(frozen=True)
class RMSProp(Optimizer):
    """A rate per weight from a moving mean of its squared gradients."""

    learning_rate: float = 0.001
    rho: float = 0.99
    epsilon: float = 1e-8
    kernel = updates.rmsprop
    states = ("squares",)

    def numbers(self, rate: float, t: int) -> tuple[float, ...]:
        return rate, self.weight_decay, self.rho, self.epsilon


@dataclass(frozen=True)
class Adam(Optimizer):
    """Momentum and a rate per weight, both corrected for their start at zero."""

    learning_rate: float = 0.001
    beta_1: float = 0.9
    beta_2: float = 0.999
    epsilon: float = 1e-8
    kernel = updates.adam
    states = ("mean", "squares")

    def numbers(self, rate: float, t: int) -> tuple[float, ...]:
        b1, b2 = self.beta_1, self.beta_2
        return rate, self.weight_decay, b1, b2, self.epsilon, 1 - b1**t, 1 - b2**t


@dataclass(frozen=True)
class AdamW(Adam):
    """Adam with the weight decay taken off the weights directly, not through the gradient."""

    weight_decay: float = 0.01
    kernel = updates.adamw


OPTIMIZERS: dict[str, type[Optimizer]] = {
    cls.__name__.lower(): cls for cls in (SGD, Momentum, Nesterov, Adagrad, RMSProp, Adam, AdamW)
}


def optimizer(name: str, **settings: Any) -> Optimizer:
    """The optimizer of that name; settings left out or None keep their defaults."""
    if name not in OPTIMIZERS:
        raise NbdlError(f"optimizer {name!r} is unknown; choose one of {', '.join(OPTIMIZERS)}.")
    given = {key: value for key, value in settings.items() if value is not None}
    try:
        return OPTIMIZERS[name](**given)
    except TypeError:
        known = ", ".join(field.name for field in fields(OPTIMIZERS[name]))
        said = ", ".join(f"{key} = {value!r}" for key, value in given.items())
        raise NbdlError(f"optimizer {name} takes {known}, all of them numbers; given: {said}.") from None


def describe(settings: Optimizer) -> dict[str, Any]:
    """An optimizer as plain data that `optimizer(**data)` takes back."""
    return {"name": settings.name, **asdict(settings)}
