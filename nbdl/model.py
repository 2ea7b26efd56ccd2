"""A network: layers in a row, their shapes, and their parameters in one flat vector."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np

from nbdl.arena import Arena
from nbdl.errors import NbdlError
from nbdl.initializers import initialize
from nbdl.layers import Layer
from nbdl.layers.base import Shape


@dataclass(frozen=True)
class Place:
    """One layer in its network: its number and name, and the shapes that go in and come out."""

    number: int
    name: str
    layer: Layer
    in_shape: Shape
    out_shape: Shape
    samples_last: bool = False  # whether a program lays its numbers so, see arrangement.py

    @property
    def parameter_count(self) -> int:
        return sum(prod(p.shape) for p in self.layer.parameters(self.in_shape).values())


def fitting(number: int, layer: Layer, shape: Shape) -> Shape:
    """Shape of a layer's output; raises NbdlError that says which layer of the network it is that does not fit."""
    try:
        return layer.out_shape(shape)
    except NbdlError as error:
        raise NbdlError(f"layer {number}, {error}") from None


class Sequential:
    """Layers applied one after the other to samples of `input_shape`.

    Parameters are drawn from `seed`, layer by layer, and live in `parameters`, an Arena whose views are named
    `dense_1.w` and so on; `buffers` holds, in the same way, what training keeps but no gradient moves. Raises NbdlError,
    before anything is allocated, when shapes do not fit.
    """

    def __init__(self, layers: Sequence[Layer], input_shape: Shape, *, seed: int = 0, dtype: Any = np.float32):
        if not layers:
            raise NbdlError("a network needs at least one layer.")
        self.layers, self.input_shape, self.seed = tuple(layers), tuple(input_shape), seed
        self.places: list[Place] = []
        self.parameters = Arena(dtype, f"A network of {len(self.layers)} layers")
        self.buffers = Arena(dtype, f"A network of {len(self.layers)} layers")
        shape, counts = self.input_shape, dict[str, int]()
        for number, layer in enumerate(self.layers):
            kind = type(layer).__name__.lower()
            counts[kind] = counts.get(kind, 0) + 1
            out = fitting(number + 1, layer, shape)
            place = Place(number, f"{kind}_{counts[kind]}", layer, shape, out)
            for name, parameter in layer.parameters(shape).items():
                self.parameters.reserve(f"{place.name}.{name}", parameter.shape)
            for name, buffer in layer.buffers(shape).items():
                self.buffers.reserve(f"{place.name}.{name}", buffer.shape)
            self.places.append(place)
            shape = out
        self.output_shape = shape
        self.parameters.allocate()
        self.buffers.allocate()
        self.initialize(seed)

    @property
    def dtype(self) -> np.dtype:
        return self.parameters.dtype

    @property
    def parameter_count(self) -> int:
        return sum(place.parameter_count for place in self.places)

    def initialize(self, seed: int) -> None:
        """Draw all parameters anew and forget what the buffers hold; the same seed gives the same network."""
        self.seed = seed
        random = np.random.default_rng([seed, 0])
        for place in self.places:
            for name, p in place.layer.parameters(place.in_shape).items():
                values = initialize(p.initializer, random, p.shape, p.inputs, p.outputs)
                self.parameters[f"{place.name}.{name}"][...] = values
            for name, b in place.layer.buffers(place.in_shape).items():
                self.buffers[f"{place.name}.{name}"][...] = initialize(b.initializer, random, b.shape, 1, 1)

    @property
    def arenas(self) -> tuple[Arena, Arena]:
        """All that makes this network answer as it does: its parameters and its buffers."""
        return self.parameters, self.buffers

    def snapshot(self) -> np.ndarray:
        """A copy of the parameters and buffers in one vector, for `restore`."""
        return np.concatenate([arena.flat for arena in self.arenas])

    def restore(self, snapshot: np.ndarray) -> None:
        """Go back to where `snapshot` was taken."""
        self.parameters.flat[:] = snapshot[: self.parameters.size]
        self.buffers.flat[:] = snapshot[self.parameters.size :]
