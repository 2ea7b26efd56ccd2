"""Activation layers: the element-by-element functions and softmax."""

from dataclasses import dataclass

from nbdl.errors import NbdlError
from nbdl.kernels.activation import GELU, KINDS, activation_backward, activation_forward
from nbdl.kernels.softmax import softmax_backward, softmax_forward
from nbdl.layers.base import Layer, Shape, Views


def check(name: str) -> str:
    """The name, if such an activation exists."""
    if name not in KINDS and name != "softmax":
        raise NbdlError(f"activation {name!r} is unknown; choose one of {', '.join([*KINDS, 'softmax'])}.")
    return name


@dataclass(frozen=True)
class Activation(Layer):
    """y = f(x), f one of linear, step, sigmoid, tanh, relu, leaky_relu, gelu, or softmax over the last axis.

    Shape: (...) -> (...)
    """

    kind: str

    def __post_init__(self):
        check(self.kind)

    def takes_samples_last(self, shape: Shape) -> bool:
        return self.kind != "softmax"

    def forward(self, v: Views):
        if self.kind == "softmax":
            yield softmax_forward, (_rows(v.y), _rows(v.x))
        else:
            yield activation_forward, (v.y, v.x, KINDS[self.kind])

    def backward(self, v: Views):
        if v.dx is None:
            return
        if self.kind == "softmax":
            yield softmax_backward, (_rows(v.dx), _rows(v.dy), _rows(v.y))
        else:
            kind = KINDS[self.kind]
            yield activation_backward, (v.dx, v.dy, v.x if kind == GELU else v.y, kind)


def _rows(array):
    return array.reshape(-1, array.shape[-1])
