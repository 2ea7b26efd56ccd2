"""Cost functions by name: the kernel, what targets it takes, and how its outputs become predictions."""

import math
from dataclasses import dataclass

import numpy as np

from nbdl.errors import NbdlError
from nbdl.kernel import Kernel
from nbdl.kernels import losses as kernels
from nbdl.kernels import policy


@dataclass(frozen=True)
class Loss:
    """A cost function; `takes_classes` says whether targets are class numbers or values like the outputs.

    `numbers` are what its kernel takes behind its arrays.
    """

    name: str
    kernel: Kernel
    takes_classes: bool
    numbers: tuple[float, ...] = ()

    def predictions(self, outputs: np.ndarray) -> np.ndarray:
        """Class numbers for the two cross entropies, the outputs themselves else."""
        if self.name == "softmax_cross_entropy":
            return outputs.argmax(axis=1)
        return (outputs > 0).astype(np.int64)[:, 0] if self.name == "binary_cross_entropy" else outputs

    def probabilities(self, outputs: np.ndarray) -> np.ndarray:
        """Probabilities of the classes, shape (n, classes), from the logits of a cross entropy."""
        if self.name == "binary_cross_entropy":
            p = 1 / (1 + np.exp(-outputs[:, :1].astype(np.float64)))
            return np.hstack([1 - p, p])
        e = np.exp(outputs.astype(np.float64) - outputs.max(axis=1, keepdims=True))
        return e / e.sum(axis=1, keepdims=True)

    @property
    def classifies(self) -> bool:
        return self.name.endswith("cross_entropy")


LOSSES = {
    name: Loss(name, getattr(kernels, name), name == "softmax_cross_entropy")
    for name in ("softmax_cross_entropy", "binary_cross_entropy", "mean_squared_error", "mean_absolute_error")
}


def policy_gradient(actions: int, entropy: float = 0.0, value: float = 0.5) -> Loss:
    """The loss of kernels/policy.py, for targets (action, advantage, return) of every step of an episode."""
    for what, number in (("entropy bonus", entropy), ("weight of the value", value)):
        if not (number >= 0 and math.isfinite(number)):
            raise NbdlError(f"the {what} is {number}; expected a finite number, 0 or more.")
    name = f"policy_gradient:{actions}:{entropy}:{value}"
    return Loss(name, policy.policy_gradient, False, (int(actions), float(entropy), float(value)))


def loss(name: str) -> Loss:
    """The cost function of that name; raises NbdlError that lists the names."""
    word, *numbers = name.split(":")
    if word == "policy_gradient" and len(numbers) == 3:
        return policy_gradient(int(numbers[0]), float(numbers[1]), float(numbers[2]))
    if name not in LOSSES:
        raise NbdlError(f"loss {name!r} is unknown; choose one of {', '.join(LOSSES)}.")
    return LOSSES[name]
