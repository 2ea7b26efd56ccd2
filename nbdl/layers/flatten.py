"""Flatten: the numbers of a sample in one row, as a dense layer takes them."""

from dataclasses import dataclass
from math import prod

from nbdl.layers.base import Layer, Shape


@dataclass(frozen=True)
class Flatten(Layer):
    """The same numbers in one dimension; nothing is copied.

    Shape: (...) -> (product of ...)
    """

    def out_shape(self, shape: Shape) -> Shape:
        return (prod(shape),)

    def is_view(self, training: bool) -> bool:
        return True
