"""What a network does with one sample, layer by layer: its maps, what pooling keeps, and which window excites a map most.

window of a cell    the input cells that it sees: from the last layer to the first, each layer's window of the block
                    before; all other input cells could change without moving that cell
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from nbdl.layers import Dense, Flatten, Views
from nbdl.layers.base import Cells
from nbdl.losses import Loss
from nbdl.model import Place, Sequential
from nbdl.program import Data, Program

SAMPLES = 64  # run at once in a search


@dataclass(frozen=True)
class Peak:
    """Where a map is largest: the value, the cell (empty for a single unit), and the window of the input that it sees."""

    value: float
    cell: tuple[int, ...]
    window: Cells | None  # None: all of the input


@dataclass(frozen=True)
class Inspected:
    """One layer at work on one sample; `x` and `y` (channels, ...) are what came in and what went out.

    `weights` (maps, channels, ...) as pictures; `kept` like x, for pooling: the share of each cell in what went out.
    """

    place: Place
    x: np.ndarray
    y: np.ndarray
    peaks: Sequence[Peak]
    weights: np.ndarray | None = None
    kept: np.ndarray | None = None


def _program(model: Sequential, loss: Loss, inputs: np.ndarray, offset: float, scale: float, backend: str) -> Program:
    """A program run forward over all inputs at once."""
    values = int(np.prod(model.output_shape))
    targets = np.zeros((len(inputs), 1), np.int64) if loss.takes_classes else np.zeros((len(inputs), values))
    order, position = np.arange(len(inputs), dtype=np.int64), np.zeros(1, np.int64)
    data = Data(inputs, targets, offset, scale)
    program = Program(model, len(inputs), loss, data, order=order, position=position, backend=backend)
    for call in (*program.gather, *program.forward):
        call.run(*call.arguments)
    return program


def inspect(
    model: Sequential, loss: Loss, sample: np.ndarray, *, offset: float = 0.0, scale: float = 1.0
) -> list[Inspected]:
    """Every layer at work on `sample`, computed by the NumPy bodies of the kernels. Shape: sample like input_shape"""
    program = _program(model, loss, np.asarray(sample)[None], offset, scale, "numpy")
    x = program.memory["x"]
    found = []
    for place in model.places:
        y = np.array(program.activation(place.number))
        maps = maps_of(model, place, y[0])
        found.append(
            Inspected(
                place, np.array(x[0]), maps, [peak(model, place, one) for one in maps], weights(model, place),
                _kept(place, x, y),
            )
        )  # fmt: skip
        x = y
    return found


def outputs(
    model: Sequential, loss: Loss, inputs: np.ndarray, *, offset: float = 0.0, scale: float = 1.0
) -> np.ndarray:
    """What the network says, computed by the NumPy bodies of the kernels. Shape: (n, outputs)"""
    return np.array(_program(model, loss, inputs, offset, scale, "numpy").outputs.reshape(len(inputs), -1))


def maps_of(model: Sequential, place: Place, y: np.ndarray) -> np.ndarray:
    """The output of a layer for one sample as (maps, cells ...): before the first filters a picture has no channels."""
    layers = model.layers[: place.number + 1]
    return y[None] if y.ndim == 2 and not any(hasattr(layer, "axes") for layer in layers) else y


def peak(model: Sequential, place: Place, one: np.ndarray) -> Peak:
    """The largest cell of one map of the layer at `place`."""
    cell = tuple(int(i) for i in np.unravel_index(int(np.argmax(one)), one.shape))
    return Peak(float(one[cell]), cell, window(model, place, cell))


def window(model: Sequential, place: Place, cell: tuple[int, ...]) -> Cells | None:
    """The block of the network's input that a cell of this layer's maps sees; None where it is all of it."""
    cells: Cells | None = tuple((i, i + 1) for i in cell)
    for before in reversed(model.places[: place.number + 1]):
        if not cells or len(before.in_shape) < 2:
            return None
        cells = before.layer.window(before.in_shape, cells)
    return cells


def weights(model: Sequential, place: Place) -> np.ndarray | None:
    """A layer's weights as pictures, one a map or unit: (maps, channels, ...); None where it has none."""
    shapes = place.layer.parameters(place.in_shape)
    if "w" not in shapes:
        return None
    w = np.array(model.parameters[f"{place.name}.w"])
    if isinstance(place.layer, Dense):
        return w.T.reshape(place.layer.units, *_pictured(model, place))
    groups = getattr(place.layer, "groups", None)
    if groups is None:
        return None
    if w.shape[0] != place.out_shape[0] or "Transpose" in type(place.layer).__name__:
        channels, filters = w.shape[0] // groups, w.shape[1]  # (channels, filters / groups, ...)
        w = w.reshape(groups, channels, filters, *w.shape[2:]).swapaxes(1, 2)
        w = w.reshape(groups * filters, channels, *w.shape[3:])
    return w


def _pictured(model: Sequential, place: Place) -> tuple[int, ...]:
    """The shape that the inputs of a dense layer had before they were put in one row: (channels, ...)."""
    for before in reversed(model.places[: place.number]):
        if isinstance(before.layer, Flatten) and len(before.in_shape) > 1:
            shape = before.in_shape
            return (1, *shape) if len(shape) == 2 and before.number == 0 else shape
        if before.out_shape != before.in_shape:
            break
    return (1, *place.in_shape)


def _kept(place: Place, x: np.ndarray, y: np.ndarray) -> np.ndarray | None:
    """The share of every input cell in what pooling lets through: its gradient, where every output has the slope 1."""
    if "Pool" not in type(place.layer).__name__:
        return None
    v = Views(place.number, x, y, np.empty_like(x), np.ones_like(y))
    for kernel, arguments in place.layer.backward(v):
        kernel.reference(*arguments)
    return v.dx[0] if x.ndim == y.ndim or y.ndim == 2 else v.dx


def strongest(
    model: Sequential,
    loss: Loss,
    inputs: np.ndarray,
    place: Place,
    number: int,
    count: int,
    *,
    offset: float = 0.0,
    scale: float = 1.0,
) -> list[tuple[int, Peak]]:
    """The samples that excite map `number` of a layer most, with the place where they do: (sample, peak), best first."""
    found: list[tuple[int, Peak]] = []
    for start in range(0, len(inputs), SAMPLES):
        program = _program(model, loss, np.asarray(inputs[start : start + SAMPLES]), offset, scale, "auto")
        y = program.activation(place.number)
        found += [
            (start + n, peak(model, place, np.array(maps_of(model, place, one)[number]))) for n, one in enumerate(y)
        ]
        found = sorted(found, key=lambda entry: -entry[1].value)[:count]
    return found
