"""A dense layer at every step of a sequence, with the same weights."""

from dataclasses import dataclass, replace

from nbdl.errors import NbdlError
from nbdl.layers.base import Layer, Parameter, Shape, Views
from nbdl.layers.dense import Dense


@dataclass(frozen=True)
class TimeDistributedDense(Layer):
    """y_t = f(x_t W + b) for every step t, W (inputs, units) and b (units); to the kernels a step is one more sample.

    Shape: (steps, inputs) -> (steps, units)
    """

    units: int
    activation: str = "linear"
    initializer: str = "auto"

    def __post_init__(self):
        _ = self._dense

    @property
    def _dense(self) -> Dense:
        return Dense(self.units, self.activation, self.initializer)

    def out_shape(self, shape: Shape) -> Shape:
        if len(shape) != 2:
            raise NbdlError(
                f"TimeDistributedDense({self.units}) takes sequences (steps, features), not samples of shape {shape}."
            )
        return (shape[0], self.units)

    def parameters(self, shape: Shape) -> dict[str, Parameter]:
        return self._dense.parameters(shape[1:])

    def saved(self, shape: Shape) -> dict[str, Shape]:
        return _each_step(shape[0], self._dense.saved(shape[1:]))

    def scratch(self, shape: Shape) -> dict[str, Shape]:
        return _each_step(shape[0], self._dense.scratch(shape[1:]))

    def forward(self, v: Views):
        return self._dense.forward(_as_samples(v))

    def backward(self, v: Views):
        return self._dense.backward(_as_samples(v))


def _each_step(steps: int, rooms: dict[str, Shape]) -> dict[str, Shape]:
    return {name: (steps, *room) for name, room in rooms.items()}


def _as_samples(v: Views) -> Views:
    """The views with (batch, steps, ...) as (batch steps, ...)."""

    def rows(array):
        return None if array is None else array.reshape(array.shape[0] * array.shape[1], *array.shape[2:])

    saved = {name: rows(room) for name, room in v.saved.items()}
    return replace(v, x=rows(v.x), y=rows(v.y), dx=rows(v.dx), dy=rows(v.dy), saved=saved)
