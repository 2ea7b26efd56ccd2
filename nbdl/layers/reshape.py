"""Reshape: the same numbers in another shape, such as maps for a decoder from the vector before it."""

from dataclasses import dataclass
from math import prod
from typing import Any

from nbdl.errors import NbdlError
from nbdl.layers.base import Layer, Shape


@dataclass(frozen=True)
class Reshape(Layer):
    """y = x in the given shape, row by row. Shape: (...) -> shape"""

    shape: Any

    def __post_init__(self):
        shape = (self.shape,) if isinstance(self.shape, int) else tuple(self.shape)
        if not shape or not all(isinstance(n, int) and n > 0 for n in shape):
            raise NbdlError(f"Reshape's shape is {self.shape!r}; expected whole numbers above 0, such as 8x7x7.")
        object.__setattr__(self, "shape", shape)

    def out_shape(self, shape: Shape) -> Shape:
        if prod(shape) != prod(self.shape):
            raise NbdlError(
                f"Reshape: {prod(shape)} numbers of shape {shape} do not fill {self.shape}, which takes {prod(self.shape)}."
            )
        return self.shape

    def is_view(self, training: bool) -> bool:
        return True
