"""The last step of a sequence, where all that was seen comes together."""

from dataclasses import dataclass

from nbdl.errors import NbdlError
from nbdl.kernels.last_step import last_step_backward, last_step_forward
from nbdl.layers.base import Layer, Shape, Views


@dataclass(frozen=True)
class LastStep(Layer):
    """y = x_t at the last step t that counts: of sequences with a length of their own, the one before it; 0 where it is 0.

    Shape: (steps, features) -> (features)
    """

    def out_shape(self, shape: Shape) -> Shape:
        if len(shape) != 2 or not shape[0]:
            raise NbdlError(
                f"LastStep takes sequences (steps, features) of 1 step or more, not samples of shape {shape}."
            )
        return shape[1:]

    def forward(self, v: Views):
        yield last_step_forward, (v.y, v.x, v.lengths)

    def backward(self, v: Views):
        if v.dx is not None:
            yield last_step_backward, (v.dx, v.dy, v.lengths)
