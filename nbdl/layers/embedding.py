"""The embedding layer: numbers of a vocabulary, such as characters, as vectors that are learned."""

from dataclasses import dataclass

from nbdl.errors import NbdlError
from nbdl.kernels.activation import STEP, activation_backward
from nbdl.kernels.embedding import embedding_backward, embedding_forward
from nbdl.layers.base import Layer, Parameter, Shape, Views


@dataclass(frozen=True)
class Embedding(Layer):
    """y_t = W[x_t], W (vocabulary, units): row x of W is the vector of number x. W starts normal, as in PyTorch.

    The inputs are whole numbers from 0 to vocabulary - 1, so no gradient goes back to them.

    Shape: (steps) -> (steps, units)
    """

    vocabulary: int
    units: int
    initializer: str = "lecun_normal"

    def __post_init__(self):
        if self.vocabulary < 1 or self.units < 1:
            raise NbdlError(
                f"Embedding({self.vocabulary}, {self.units}): expected a vocabulary of 1 or more and 1 unit or more."
            )

    def out_shape(self, shape: Shape) -> Shape:
        if len(shape) != 1:
            raise NbdlError(
                f"Embedding({self.vocabulary}, {self.units}) takes sequences of whole numbers (steps), "
                f"not samples of shape {shape}."
            )
        return (*shape, self.units)

    def parameters(self, shape: Shape) -> dict[str, Parameter]:
        return {"w": Parameter((self.vocabulary, self.units), self.initializer, 1, self.units)}

    def forward(self, v: Views):
        yield embedding_forward, (v.y.reshape(-1, self.units), v.x.reshape(-1), v.parameters["w"])

    def backward(self, v: Views):
        if v.dx is not None:  # rounding is a step function: its slope is 0
            yield activation_backward, (v.dx, v.dx, v.x, STEP)
        yield embedding_backward, (v.gradients["w"], v.x.reshape(-1), v.dy.reshape(-1, self.units), v.blend)
