"""Dropout: in training each unit falls out with probability `rate`; in use nothing happens."""

from dataclasses import dataclass

from nbdl.errors import NbdlError
from nbdl.kernels.dropout import dropout_backward, dropout_forward
from nbdl.layers.base import Layer, Shape, Views


@dataclass(frozen=True)
class Dropout(Layer):
    """y = x * mask / (1 - rate) in training, y = x in use (Srivastava et al. 2014).

    Shape: (...) -> (...)
    """

    rate: float

    def __post_init__(self):
        if not 0 <= self.rate < 1:
            raise NbdlError(f"Dropout's rate is {self.rate}; expected 0 or more and less than 1.")

    def saved(self, shape: Shape) -> dict[str, Shape]:
        return {"mask": shape}

    def is_view(self, training: bool) -> bool:
        return not training

    def forward(self, v: Views):
        yield dropout_forward, (v.y, v.saved["mask"], v.x, v.counter, v.number, float(self.rate))

    def backward(self, v: Views):
        if v.dx is not None:
            yield dropout_backward, (v.dx, v.dy, v.saved["mask"])
