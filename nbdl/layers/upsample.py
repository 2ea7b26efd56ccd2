"""Up-sampling, for decoders: maps grow by repeating every cell."""

from dataclasses import dataclass
from typing import Any

from nbdl.errors import NbdlError
from nbdl.kernels.upsample import upsample_backward, upsample_forward
from nbdl.layers.base import Cells, Layer, Shape, Views
from nbdl.layers.convolution import per_axis


@dataclass(frozen=True)
class UpSample(Layer):
    """Every cell `size` times along each axis behind the channels.

    Shape: (channels, ...) -> (channels, ... x size)
    """

    size: Any = 2

    def __post_init__(self):
        if not isinstance(self.size, int):
            object.__setattr__(self, "size", tuple(self.size))

    def _factors(self, shape: Shape) -> tuple[int, ...]:
        if not 2 <= len(shape) <= 4:
            raise NbdlError(f"UpSample takes maps (channels, ...), not samples of shape {shape}.")
        return per_axis("UpSample", "size", self.size, len(shape) - 1, 1)

    def out_shape(self, shape: Shape) -> Shape:
        return (shape[0], *(cells * by for cells, by in zip(shape[1:], self._factors(shape), strict=True)))

    def window(self, shape: Shape, cells: Cells) -> Cells:
        factors = self._factors(shape)
        return tuple((first // by, (behind - 1) // by + 1) for (first, behind), by in zip(cells, factors, strict=True))

    def _call(self, v: Views, large: Any, small: Any):
        shape = v.x.shape[1:]
        missing, factors = 4 - len(shape), self._factors(shape)
        maps = (len(v.x), shape[0], *(1,) * missing)
        return (
            large.reshape(*maps, *self.out_shape(shape)[1:]),
            small.reshape(*maps, *shape[1:]),
            ((1,) * missing + factors),
        )

    def forward(self, v: Views):
        yield upsample_forward, self._call(v, v.y, v.x)

    def backward(self, v: Views):
        if v.dx is not None:
            dy, dx, factors = self._call(v, v.dy, v.dx)
            yield upsample_backward, (dx, dy, factors)
