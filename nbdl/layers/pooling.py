"""Pooling layers over one, two and three dimensions: the largest or the mean of every window."""

from dataclasses import dataclass
from typing import Any, ClassVar

from nbdl.errors import NbdlError
from nbdl.kernels.pooling import AVERAGE, AVERAGE_PADDED, MAX, MAX_RECTIFIED, pool_backward, pool_forward
from nbdl.kernels.pooling_samples_last import SQUARES, pool_backward_samples_last, pool_samples_last
from nbdl.layers.base import Cells, Layer, Shape, Views
from nbdl.layers.convolution import channels_first, per_axis


@dataclass(frozen=True)
class _Pool(Layer):
    size: Any = 2
    strides: Any = None
    padding: Any = 0
    ceil_mode: bool = False

    axes: ClassVar[int] = 2
    differentiates_relu: ClassVar[bool] = True

    def __post_init__(self):
        name = type(self).__name__
        for field, least in (("size", 1), ("strides", 1), ("padding", 0)):
            value = getattr(self, field)
            if field == "strides" and value is None:
                continue
            sizes = per_axis(name, field, value, self.axes, least)
            object.__setattr__(self, field, value if isinstance(value, int) else sizes)
        sizes, _, paddings = self._windows()
        if any(2 * p > s for s, p in zip(sizes, paddings, strict=True)):
            raise NbdlError(f"{name}: padding is {self.padding!r}; expected half the size {self.size!r} at most.")

    def _windows(self) -> tuple[tuple[int, ...], ...]:
        """Sizes, strides and paddings, one an axis."""
        strides = self.size if self.strides is None else self.strides
        return tuple(per_axis("", "", value, self.axes, 0) for value in (self.size, strides, self.padding))

    def _spec(self, shape: Shape) -> tuple[int, ...]:
        first = 3 - self.axes
        sizes, strides, paddings = self._windows()
        return (*(1,) * first, *sizes, *(1,) * first, *strides, *(0,) * first, *paddings)

    @property
    def _kind(self) -> int:
        return MAX

    def out_shape(self, shape: Shape) -> Shape:
        name = type(self).__name__
        channels, *cells = channels_first(name, shape, self.axes)
        out = []
        for cell, size, stride, padding in zip(cells, *self._windows(), strict=True):
            free = cell + 2 * padding - size
            if free < 0:
                raise NbdlError(
                    f"{name}: a window of {self.size!r} does not fit into samples of shape {shape}"
                    f"{f' with a padding of {self.padding!r}' if padding else ''}: nothing would be left."
                )
            windows = (free + (stride - 1 if self.ceil_mode else 0)) // stride + 1
            if self.ceil_mode and (windows - 1) * stride >= cell + padding:
                windows -= 1  # it would start behind the input
            out.append(windows)
        return (channels, *out)

    def window(self, shape: Shape, cells: Cells) -> Cells:
        return tuple(
            (max(0, first * stride - padding), min(there, (behind - 1) * stride - padding + size))
            for (first, behind), there, size, stride, padding in zip(
                cells, channels_first("", shape, self.axes)[1:], *self._windows(), strict=True
            )
        )

    def _arrays(self, v: Views, *names: str):
        channels, *cells = channels_first("", v.in_shape, self.axes)
        out = self.out_shape(v.in_shape)[1:]
        first = (len(v.x), channels, *(1,) * (3 - self.axes))
        shapes = {"x": cells, "dx": cells, "y": out, "dy": out}
        return tuple(getattr(v, name).reshape(*first, *shapes[name], *v.lanes) for name in names)

    def takes_samples_last(self, shape: Shape) -> bool:
        """Only the most common windows: squares of two by two cells, whole ones."""
        if self.axes != 2 or self._kind != MAX or self._spec(shape) != SQUARES:
            return False
        return self.out_shape(shape)[1:] == tuple(cells // 2 for cells in channels_first("", shape, 2)[1:])

    def forward(self, v: Views):
        if v.samples_last:
            yield pool_samples_last, self._arrays(v, "y", "x")
            return
        yield pool_forward, (*self._arrays(v, "y", "x"), self._spec(v.x.shape[1:]), self._kind)

    def backward(self, v: Views):
        if v.dx is not None and v.samples_last:
            yield pool_backward_samples_last, (*self._arrays(v, "dx", "dy", "x", "y"), int(v.from_relu))
        elif v.dx is not None:
            kind = MAX_RECTIFIED if v.from_relu else self._kind
            yield pool_backward, (*self._arrays(v, "dx", "dy", "x", "y"), self._spec(v.x.shape[1:]), kind)


class MaxPool1D(_Pool):
    """The largest of every window of `size` cells, `strides` (as a rule the size) apart; padding never wins.

    ceil_mode keeps the partial windows at the end. Shape: (channels, length) -> (channels, length')
    """

    axes = 1


class MaxPool2D(_Pool):
    """The largest of every window, as MaxPool1D. Shape: (channels, height, width) -> (channels, height', width')"""

    axes = 2


class MaxPool3D(_Pool):
    """The largest of every window, as MaxPool1D. Shape: (channels, depth, height, width) -> (channels, ...)"""

    axes = 3


@dataclass(frozen=True)
class _AvgPool(_Pool):
    count_include_pad: bool = False

    differentiates_relu: ClassVar[bool] = False

    @property
    def _kind(self) -> int:
        return AVERAGE_PADDED if self.count_include_pad else AVERAGE


class AvgPool1D(_AvgPool):
    """The mean of every window; with count_include_pad the zeros of the padding count. Shapes as MaxPool1D."""

    axes = 1


class AvgPool2D(_AvgPool):
    """The mean of every window, as AvgPool1D. Shape: (channels, height, width) -> (channels, height', width')"""

    axes = 2


class AvgPool3D(_AvgPool):
    """The mean of every window, as AvgPool1D. Shape: (channels, depth, height, width) -> (channels, ...)"""

    axes = 3


@dataclass(frozen=True)
class GlobalAveragePool(Layer):
    """The mean of every map (Lin et al. 2014). Shape: (channels, ...) -> (channels)"""

    def out_shape(self, shape: Shape) -> Shape:
        if not 2 <= len(shape) <= 4:
            raise NbdlError(f"GlobalAveragePool takes maps, not samples of shape {shape}.")
        return shape[:1]

    def _arrays(self, v: Views, *names: str):
        shape = v.x.shape[1:]
        cells = (*(1,) * (4 - len(shape)), *shape[1:])
        shapes = {"x": cells, "dx": cells, "y": (1, 1, 1), "dy": (1, 1, 1)}
        arrays = (getattr(v, name).reshape(len(v.x), shape[0], *shapes[name]) for name in names)
        return (*arrays, (*cells, 1, 1, 1, 0, 0, 0), AVERAGE)

    def forward(self, v: Views):
        yield pool_forward, self._arrays(v, "y", "x")

    def backward(self, v: Views):
        if v.dx is not None:
            yield pool_backward, self._arrays(v, "dx", "dy", "x", "y")
