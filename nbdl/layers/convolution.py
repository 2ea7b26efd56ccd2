"""Convolution layers over one, two and three dimensions, and their transposed counterparts for decoders."""

from collections.abc import Iterable
from dataclasses import dataclass
from math import prod
from typing import Any, ClassVar, NamedTuple

from nbdl.errors import NbdlError
from nbdl.kernels.activation import GELU, KINDS, LINEAR, activation_backward, activation_forward
from nbdl.kernels.convolution import convolve, rooms, turned_size
from nbdl.kernels.convolution_samples_last import convolve_samples_last, fits
from nbdl.kernels.convolution_samples_last import rooms as rooms_samples_last
from nbdl.kernels.convolution_transposed import convolve_transposed
from nbdl.kernels.convolution_weights import bias_backward, convolve_weights, partial_size, parts
from nbdl.kernels.convolution_weights_samples_last import convolve_weights_samples_last
from nbdl.kernels.convolution_weights_samples_last import rooms as weights_rooms_samples_last
from nbdl.kernels.winograd import rooms as winograd_rooms
from nbdl.kernels.winograd import winograd
from nbdl.kernels.winograd_tiles import suits
from nbdl.kernels.winograd_weights import partial_size as winograd_partial_size
from nbdl.kernels.winograd_weights import parts as winograd_parts
from nbdl.kernels.winograd_weights import room_size, suits_weights, winograd_weights
from nbdl.layers.activation import check
from nbdl.layers.base import Cells, Layer, Parameter, Shape, Views

Sizes = int | tuple[int, ...]
FEWEST = 8  # samples of a batch that may lie last


def per_axis(layer: str, name: str, value: Any, axes: int, least: int) -> tuple[int, ...]:
    """One whole number an axis from one number for all, or from one for each; raises NbdlError for anything else."""
    values = (value,) * axes if isinstance(value, int) else tuple(value) if isinstance(value, Iterable) else ()
    if isinstance(value, (str, bool)) or len(values) != axes or not all(isinstance(v, int) for v in values):
        raise NbdlError(f"{layer}: {name} is {value!r}; expected a whole number, or {axes} of them.")
    if min(values) < least:
        raise NbdlError(f"{layer}: {name} is {value!r}; expected {least} or more.")
    return values


def channels_first(layer: str, shape: Shape, axes: int) -> Shape:
    """The sample's shape with its channels in front; a sample of as many numbers as there are axes has one channel."""
    if len(shape) == axes:
        return (1, *shape)
    if len(shape) != axes + 1:
        names = {1: "(channels, length)", 2: "(channels, height, width)", 3: "(channels, depth, height, width)"}
        raise NbdlError(f"{layer} takes samples of shape {names[axes]}; these have shape {shape}.")
    return shape


class Geometry(NamedTuple):
    """A convolution as its kernels see it, in three dimensions: `small` is the side of the filters' maps."""

    spec: tuple[int, ...]
    large: Shape  # (channels, depth, height, width)
    small: Shape  # (filters, depth, height, width)
    weights: Shape  # (filters, channels / groups, kernel)


class _Sized(NamedTuple):
    """Stands for an array where only its shape matters."""

    shape: Shape


@dataclass(frozen=True)
class _Convolution(Layer):
    filters: int
    kernel_size: Any = 3
    strides: Any = 1
    padding: Any = "valid"
    dilation: Any = 1
    groups: int = 1
    activation: str = "linear"
    initializer: str = "auto"

    axes: ClassVar[int] = 2

    def __post_init__(self):
        name = type(self).__name__
        for field, least in (("kernel_size", 1), ("strides", 1), ("dilation", 1)):
            self._set_sizes(field, least)
        if self.padding not in ("valid", "same"):
            if isinstance(self.padding, str):
                raise NbdlError(f"{name}: padding is {self.padding!r}; expected valid, same, or numbers of cells.")
            self._set_sizes("padding", 0)
        for field in ("filters", "groups"):
            if not isinstance(getattr(self, field), int) or getattr(self, field) < 1:
                raise NbdlError(f"{name}: {field} is {getattr(self, field)!r}; expected 1 or more.")
        if check(self.activation) == "softmax":
            raise NbdlError(f"{name} takes no softmax: put Activation('softmax') behind it.")

    def _set_sizes(self, field: str, least: int) -> None:
        value = getattr(self, field)
        sizes = per_axis(type(self).__name__, field, value, self.axes, least)
        object.__setattr__(self, field, value if isinstance(value, int) else sizes)

    def _sizes(self, field: str) -> tuple[int, ...]:
        return per_axis(type(self).__name__, field, getattr(self, field), self.axes, 0)

    def _three(self, sizes: Iterable[int], missing: int) -> tuple[int, ...]:
        """Sizes of all three dimensions: a picture has depth 1, a sound height 1 as well."""
        return (missing,) * (3 - self.axes) + tuple(sizes)

    def _check_groups(self, channels: int) -> None:
        for what, number in (("channels", channels), ("filters", self.filters)):
            if number % self.groups:
                raise NbdlError(
                    f"{type(self).__name__}: {number} {what} cannot be dealt to {self.groups} groups; "
                    "expected a number that the groups divide."
                )

    def _spec(self, paddings: Iterable[int]) -> tuple[int, ...]:
        return (
            *self._three(self._sizes("strides"), 1),
            *self._three(paddings, 0),
            *self._three(self._sizes("dilation"), 1),
            self.groups,
        )

    def geometry(self, shape: Shape) -> Geometry:
        """Shapes of the whole convolution for samples of this shape; raises NbdlError where they do not fit."""
        raise NotImplementedError

    def _out(self, geometry: Geometry) -> Shape:
        return geometry.small

    def out_shape(self, shape: Shape) -> Shape:
        channels, *sizes = self._out(self.geometry(shape))
        return (channels, *sizes[3 - self.axes :])

    def _initializer(self) -> str:
        if self.initializer != "auto":
            return self.initializer
        return "he_normal" if self.activation in ("relu", "leaky_relu", "gelu") else "glorot_uniform"

    def parameters(self, shape: Shape) -> dict[str, Parameter]:
        geometry = self.geometry(shape)
        filters, channels, *kernel = geometry.weights
        kernel = kernel[3 - self.axes :]
        taps = prod(kernel)
        fans = (channels * taps, filters // self.groups * taps)
        inputs, outputs = fans if self._out(geometry) is geometry.small else fans[::-1]
        return {
            "w": Parameter((filters, channels, *kernel), self._initializer(), inputs, outputs),
            "b": Parameter((self._out(geometry)[0],), "zeros"),
        }

    def _rooms(self, shape: Shape) -> dict[str, Shape]:
        geometry = self.geometry(shape)
        small, large = _Sized((1, *geometry.small)), _Sized((1, *geometry.large))
        return {name: (n,) for name, n in rooms(small, large, _Sized(geometry.weights), geometry.spec).items()}

    @property
    def rectifies(self) -> bool:
        return self.activation == "relu"

    def saved(self, shape: Shape) -> dict[str, Shape]:
        return {} if self.activation == "linear" else {"dz": self.out_shape(shape)}

    def scratch(self, shape: Shape) -> dict[str, Shape]:
        room = self._rooms(shape)
        return room | {"z": self.out_shape(shape)} if self.activation == "gelu" else room

    def workspace(self, shape: Shape, batch: int) -> dict[str, Shape]:
        geometry = self.geometry(shape)
        w = _Sized(geometry.weights)
        found: dict[str, Shape] = {"partial": (parts(batch, w), partial_size(w))}
        small, large = _Sized((1, *geometry.small)), _Sized((1, *geometry.large))
        if not suits(batch, small, w, geometry.spec):
            return found | {"turned": (turned_size(w, self.groups),)}
        sizes = winograd_rooms(batch, small, large, w)
        if suits_weights(batch, small, w, geometry.spec):
            sizes["room"] = max(sizes["room"], room_size(w))
            found["partial"] = (winograd_parts(batch, small, w), winograd_partial_size(w))
        return found | {name: (size,) for name, size in sizes.items()}

    def _convolve(self, v: Views, y: Any, x: Any, w: Any, b: Any, kind: int):
        """The call from the large side to the small one."""
        spec = self.geometry(v.in_shape).spec
        if v.samples_last:
            return convolve_samples_last, (y, x, w, b, v.saved["stage"], v.saved["weights"], spec, 0, kind)
        if suits(len(x), y, w, spec):
            return winograd, (y, x, w, b, v.saved["weights"], v.saved["room"], spec, 0, kind)
        return convolve, (y, x, w, b, v.saved["stage"], v.saved["turned"], spec, kind)

    def _convolve_transposed(self, v: Views, y: Any, x: Any, w: Any, b: Any, kind: int):
        """The call from the small side to the large one."""
        spec = self.geometry(v.in_shape).spec
        if v.samples_last:
            return convolve_samples_last, (y, x, w, b, v.saved["stage"], v.saved["weights"], spec, 1, kind)
        if suits(len(x), x, w, spec):
            return winograd, (y, x, w, b, v.saved["weights"], v.saved["room"], spec, 1, kind)
        room = v.saved["stage_back"], v.saved["turned"], v.saved["spread"]
        return convolve_transposed, (y, x, w, b, *room, spec, kind)

    def _weights(self, v: Views, db: Any, x: Any, dz: Any):
        """The call for the gradients of the weights, where x is on the large side and dz on the small one."""
        spec, (dw,) = self.geometry(v.in_shape).spec, self._arrays(v, "dw")
        if v.samples_last:
            room = v.saved["stage_weights"], v.saved["partial"]
            return convolve_weights_samples_last, (dw, db, x, dz, *room, spec, v.blend)
        if suits_weights(len(x), dz, dw, spec):
            return winograd_weights, (dw, db, x, dz, v.saved["room"], v.saved["partial"], spec, v.blend)
        return convolve_weights, (dw, db, x, dz, v.saved["stage"], v.saved["partial"], spec, v.blend)

    def _axes(self, shape: Shape) -> list[tuple[int, ...]]:
        """Cells of the input, kernel, stride, padding and dilation of every axis."""
        geometry = self.geometry(shape)
        sizes = channels_first("", shape, self.axes)[1:]
        spec = geometry.spec
        columns = (geometry.weights[2:], spec[0:3], spec[3:6], spec[6:9])
        return list(zip(sizes, *(column[3 - self.axes :] for column in columns), strict=True))

    def _arrays(self, v: Views, *names: str) -> list[Any]:
        """Arrays as the kernels see them: all with three dimensions."""
        geometry = self.geometry(v.in_shape)
        inside, outside = geometry.large, geometry.small
        if self._out(geometry) is geometry.large:
            inside, outside = outside, inside
        shapes = {"x": inside, "dx": inside, "y": outside, "dy": outside}
        found: list[Any] = []
        for name in names:
            if name in ("w", "dw"):
                array = v.parameters["w"] if name == "w" else v.gradients["w"]
                found.append(array.reshape(geometry.weights))
            elif name in shapes:
                found.append(getattr(v, name).reshape(len(v.x), *shapes[name], *v.lanes))
            else:
                found.append(v.saved[name].reshape(len(v.x), *outside, *v.lanes))
        return found

    def _run(self, v: Views, y: Any, kind: int):
        """The call that fills y, seen with three dimensions."""
        raise NotImplementedError

    def forward(self, v: Views):
        kind = KINDS[self.activation]
        if kind == GELU:  # its derivative needs z itself
            yield self._run(v, self._arrays(v, "z")[0], LINEAR)
            yield activation_forward, (v.y, v.saved["z"], GELU)
        else:
            yield self._run(v, self._arrays(v, "y")[0], kind)

    def _errors(self, v: Views):
        """The gradient before the activation, and the call that fills it, if there is one."""
        kind = KINDS[self.activation]
        if kind == LINEAR or v.dy_is_dz:
            return self._arrays(v, "dy")[0], []
        saved = v.saved["z"] if kind == GELU else v.y
        return self._arrays(v, "dz")[0], [(activation_backward, (v.saved["dz"], v.dy, saved, kind))]


@dataclass(frozen=True)
class _Forward(_Convolution):
    def geometry(self, shape: Shape) -> Geometry:
        name = type(self).__name__
        channels, *sizes = channels_first(name, shape, self.axes)
        self._check_groups(channels)
        kernel, strides, dilation = (self._sizes(field) for field in ("kernel_size", "strides", "dilation"))
        reach = [(k - 1) * d + 1 for k, d in zip(kernel, dilation, strict=True)]
        if self.padding == "same":
            out = [-(-size // s) for size, s in zip(sizes, strides, strict=True)]
            needed = [(o - 1) * s + r - size for o, s, r, size in zip(out, strides, reach, sizes, strict=True)]
            paddings = [max(0, n) // 2 for n in needed]
        else:
            paddings = [0] * self.axes if self.padding == "valid" else list(self._sizes("padding"))
            bordered = [size + 2 * p for size, p in zip(sizes, paddings, strict=True)]
            if any(r > size for r, size in zip(reach, bordered, strict=True)):
                raise NbdlError(
                    f"{name}: the filter reaches over {'x'.join(map(str, reach))} cells, but the input with its padding "
                    f"has only {'x'.join(map(str, bordered))} (samples of shape {shape}); take a smaller kernel_size or "
                    "more padding."
                )
            out = [(size - r) // s + 1 for size, r, s in zip(bordered, reach, strides, strict=True)]
        return Geometry(
            self._spec(paddings),
            (channels, *self._three(sizes, 1)),
            (self.filters, *self._three(out, 1)),
            (self.filters, channels // self.groups, *self._three(kernel, 1)),
        )

    def window(self, shape: Shape, cells: Cells) -> Cells:
        return tuple(
            (max(0, first * stride - padding), min(size, (behind - 1) * stride - padding + (kernel - 1) * dilation + 1))
            for (first, behind), (size, kernel, stride, padding, dilation) in zip(cells, self._axes(shape), strict=True)
        )

    def takes_samples_last(self, shape: Shape) -> bool:
        geometry = self.geometry(shape)
        w = _Sized(geometry.weights)
        small = self.axes == 2 and self.activation != "gelu" and fits(w, geometry.spec)
        return small and not suits(FEWEST, _Sized((1, *geometry.small)), w, geometry.spec)

    def products(self, shape: Shape) -> int:
        geometry = self.geometry(shape)
        return 2 * prod(geometry.small) * prod(geometry.weights[1:])

    def workspace_samples_last(self, shape: Shape, blocks: int, lanes: int) -> dict[str, Shape]:
        geometry = self.geometry(shape)
        w = _Sized(geometry.weights)
        small, large = _Sized((blocks, *geometry.small)), _Sized((blocks, *geometry.large))
        found = rooms_samples_last(blocks, small, large, w, geometry.spec, lanes)
        found |= weights_rooms_samples_last(blocks, small, large, w, geometry.spec, lanes)
        return {name: (size,) for name, size in found.items()}

    def _run(self, v: Views, y: Any, kind: int):
        x, w = self._arrays(v, "x", "w")
        return self._convolve(v, y, x, w, v.parameters["b"], kind)

    def backward(self, v: Views):
        dz, calls = self._errors(v)
        yield from calls
        if v.dx is not None:
            dx, w = self._arrays(v, "dx", "w")
            yield self._convolve_transposed(v, dx, dz, w, v.parameters["b"][:0], LINEAR)
        yield self._weights(v, v.gradients["b"], self._arrays(v, "x")[0], dz)


class Conv1D(_Forward):
    """y = f(x * w + b) over one axis: `filters` windows of `kernel_size` slide over all channels in `strides`.

    padding is valid (none), same (output = input / stride), or cells of zeros at both ends; dilation spreads a window;
    with groups, a filter sees only its share of the channels.

    Shape: (channels, length) -> (filters, length'); w (filters, channels / groups, kernel), b (filters)
    """

    axes = 1


class Conv2D(_Forward):
    """y = f(x * w + b) over height and width, as Conv1D does over one axis (LeCun et al. 1989).

    Shape: (channels, height, width) -> (filters, height', width'); w (filters, channels / groups, *kernel), b (filters)
    """

    axes = 2


class Conv3D(_Forward):
    """y = f(x * w + b) over depth (or time), height and width, as Conv1D does over one axis.

    Shape: (channels, depth, height, width) -> (filters, depth', height', width')
    """

    axes = 3


@dataclass(frozen=True)
class _Transposed(_Convolution):
    output_padding: Any = 0

    def __post_init__(self):
        super().__post_init__()
        self._set_sizes("output_padding", 0)
        extra, strides, dilation = (self._sizes(field) for field in ("output_padding", "strides", "dilation"))
        if any(e >= max(s, d) for e, s, d in zip(extra, strides, dilation, strict=True)):
            raise NbdlError(
                f"{type(self).__name__}: output_padding is {self.output_padding!r}; expected less than the strides "
                f"{self.strides!r} or the dilation {self.dilation!r}."
            )

    def geometry(self, shape: Shape) -> Geometry:
        name = type(self).__name__
        channels, *sizes = channels_first(name, shape, self.axes)
        self._check_groups(channels)
        kernel, strides, dilation = (self._sizes(field) for field in ("kernel_size", "strides", "dilation"))
        reach = [(k - 1) * d + 1 for k, d in zip(kernel, dilation, strict=True)]
        extra = self._sizes("output_padding")
        whole = [
            (size - 1) * s + r + e for size, s, r, e in zip(sizes, strides, reach, extra, strict=True)
        ]  # without padding
        if self.padding == "same":
            out = [size * s for size, s in zip(sizes, strides, strict=True)]
            paddings = [max(0, w - o) // 2 for w, o in zip(whole, out, strict=True)]
        else:
            paddings = [0] * self.axes if self.padding == "valid" else list(self._sizes("padding"))
            out = [w - 2 * p for w, p in zip(whole, paddings, strict=True)]
        if min(out) < 1:
            raise NbdlError(f"{name}: a padding of {self.padding!r} leaves nothing of samples of shape {shape}.")
        return Geometry(
            self._spec(paddings),
            (self.filters, *self._three(out, 1)),
            (channels, *self._three(sizes, 1)),
            (channels, self.filters // self.groups, *self._three(kernel, 1)),
        )

    def _out(self, geometry: Geometry) -> Shape:
        return geometry.large

    def window(self, shape: Shape, cells: Cells) -> Cells:
        return tuple(
            (
                max(0, -(((kernel - 1) * dilation - first - padding) // stride)),
                min(size, (behind - 1 + padding) // stride + 1),
            )
            for (first, behind), (size, kernel, stride, padding, dilation) in zip(cells, self._axes(shape), strict=True)
        )

    def _run(self, v: Views, y: Any, kind: int):
        x, w = self._arrays(v, "x", "w")
        return self._convolve_transposed(v, y, x, w, v.parameters["b"], kind)

    def backward(self, v: Views):
        dz, calls = self._errors(v)
        yield from calls
        if v.dx is not None:
            dx, w = self._arrays(v, "dx", "w")
            yield self._convolve(v, dx, dz, w, v.parameters["b"][:0], LINEAR)
        yield self._weights(v, v.gradients["b"][:0], dz, self._arrays(v, "x")[0])
        yield bias_backward, (v.gradients["b"], dz, v.blend)


class Conv1DTranspose(_Transposed):
    """The reverse of Conv1D's way from large to small: every input cell paints its filter onto the output.

    output = (input - 1) strides + (kernel_size - 1) dilation + 1 - 2 padding + output_padding; same gives input x strides.

    Shape: (channels, length) -> (filters, length'); w (channels, filters / groups, kernel), b (filters)
    """

    axes = 1


class Conv2DTranspose(_Transposed):
    """The reverse of Conv2D, see Conv1DTranspose (Zeiler et al. 2010).

    Shape: (channels, height, width) -> (filters, height', width')
    """

    axes = 2


class Conv3DTranspose(_Transposed):
    """The reverse of Conv3D, see Conv1DTranspose.

    Shape: (channels, depth, height, width) -> (filters, depth', height', width')
    """

    axes = 3
