"""Recurrent layers: a network that remembers, one step of a sequence after the other."""

from collections.abc import Iterator
from dataclasses import dataclass
from math import prod
from typing import Any, ClassVar

from nbdl.errors import NbdlError
from nbdl.kernels.activation import KINDS
from nbdl.kernels.dense import dense_backward_input
from nbdl.kernels.gru import gru_backward, gru_backward_weights, gru_forward
from nbdl.kernels.lstm import lstm_backward, lstm_forward
from nbdl.kernels.panels import packed, packed_both
from nbdl.kernels.recurrence import recurrent_backward_weights, swap_axes
from nbdl.kernels.simple_rnn import simple_rnn_backward, simple_rnn_forward
from nbdl.layers.base import KernelCall, Layer, Parameter, Shape, Views

BACK = "back_"  # before the names of what the walk from the last step to the first owns


@dataclass(frozen=True)
class Direction:
    """One walk through the steps: its arrays by their short names, and which way it goes."""

    v: Views
    prefix: str
    first: int  # the column of y where its units begin
    sequences: int

    @property
    def turned(self) -> int:
        return int(self.prefix == BACK)

    @property
    def how(self) -> tuple[int, int, int]:
        return self.first, self.sequences, self.turned

    def room(self, name: str) -> Any:
        return self.v.saved[self.prefix + name]

    def panels(self, layer: "_Recurrent", turned: bool) -> Any:
        """The room for packed weights, seen as they are packed."""
        shape = layer._panels(*self.x.shape[1:])[turned]
        return self.room("panels")[: prod(shape)].reshape(shape)

    def weights(self, *names: str) -> tuple:
        return tuple(self.v.parameters[self.prefix + name] for name in names)

    def gradients(self, *names: str) -> tuple:
        return tuple(self.v.gradients[self.prefix + name] for name in names)

    def state(self, name: str) -> Any:
        return self.v.states[self.prefix + name]

    def last(self, name: str) -> Any:
        return self.v.last[self.prefix + name]

    def state_gradient(self, name: str) -> Any:
        return self.v.state_gradients[self.prefix + name]

    @property
    def x(self) -> Any:
        """The inputs, steps first."""
        return self.v.saved["xt"]

    @property
    def before(self) -> Any:
        """h as every step met it, one row for each step and sample."""
        h = self.room("h")
        return _rows(h[self.turned : h.shape[0] - 1 + self.turned])

    def shown(self, array: Any) -> Any:
        """y or dy as (batch, steps or 1, units of all directions)."""
        return array if self.sequences else array.reshape(array.shape[0], 1, array.shape[1])


@dataclass(frozen=True)
class _Recurrent(Layer):
    """What the recurrent layers share; subclasses name their states, their weights and their kernels."""

    units: int
    return_sequences: bool = False
    bidirectional: bool = False

    gates: ClassVar[int] = 1
    memory: ClassVar[tuple[str, ...]] = ("h",)

    def __post_init__(self):
        if self.units < 1:
            raise NbdlError(f"{type(self).__name__} needs 1 unit or more, not {self.units}.")

    @property
    def _prefixes(self) -> tuple[str, ...]:
        return ("", BACK) if self.bidirectional else ("",)

    def out_shape(self, shape: Shape) -> Shape:
        if len(shape) != 2 or not shape[0]:
            raise NbdlError(
                f"{type(self).__name__}({self.units}) takes sequences (steps, features) of 1 step or more, "
                f"not samples of shape {shape}."
            )
        units = self.units * len(self._prefixes)
        return (shape[0], units) if self.return_sequences else (units,)

    def parameters(self, shape: Shape) -> dict[str, Parameter]:
        return {p + name: values for p in self._prefixes for name, values in self._weights(shape[1]).items()}

    def _weights(self, inputs: int) -> dict[str, Parameter]:
        columns = self.gates * self.units
        return {
            "w": Parameter((inputs, columns), "glorot_uniform", inputs, self.units),
            "u": Parameter((self.units, columns), "orthogonal"),
            "b": Parameter((columns,), "zeros"),
        }

    def states(self, shape: Shape) -> dict[str, Shape]:
        return {p + name: (self.units,) for p in self._prefixes for name in self.memory}

    def saved(self, shape: Shape) -> dict[str, Shape]:
        return {"dxt": shape}

    def workspace(self, shape: Shape, batch: int) -> dict[str, Shape]:
        steps, inputs = shape
        rooms = self._rooms(steps, batch, inputs)
        return {"xt": (steps, batch, inputs)} | {p + n: room for p in self._prefixes for n, room in rooms.items()}

    def _rooms(self, steps: int, batch: int, inputs: int) -> dict[str, Shape]:
        """Arrays that one direction works in: sums and gates z, the states, the weights packed both ways."""
        columns = self.gates * self.units
        return {
            "z": (steps, batch, columns),
            "panels": (max(map(prod, self._panels(batch, inputs))),),
        } | dict.fromkeys(self.memory, (steps + 1, batch, self.units))

    def _panels(self, batch: int, inputs: int) -> tuple[Shape, Shape]:
        """How the weights are packed, forward and then, in the same room so that it stays in the cache, backward."""
        columns = self.gates * self.units
        return packed_both(batch, inputs, self.units, columns), packed(batch, columns, self.units)

    def _directions(self, v: Views) -> list[Direction]:
        return [
            Direction(v, prefix, number * self.units, int(self.return_sequences))
            for number, prefix in enumerate(self._prefixes)
        ]

    def forward(self, v: Views) -> Iterator[KernelCall]:
        yield swap_axes, (v.saved["xt"], v.x, 0)
        for d in self._directions(v):
            yield from self._forward(d)

    def backward(self, v: Views) -> Iterator[KernelCall]:
        for d in self._directions(v):
            yield from self._backward(d)
            if v.dx is not None:
                steps, batch, inputs = d.x.shape
                dx = v.saved["dxt"].reshape(steps, batch, inputs)
                yield dense_backward_input, (_rows(dx), _rows(d.room("z")), *d.weights("w"))
                yield swap_axes, (v.dx, dx, d.turned)  # the second direction is added to the first
            yield from self._backward_weights(d)

    def _forward(self, d: Direction) -> Iterator[KernelCall]:
        raise TypeError("a recurrent layer names its kernels")

    def _backward(self, d: Direction) -> Iterator[KernelCall]:
        raise TypeError("a recurrent layer names its kernels")

    def _backward_weights(self, d: Direction) -> Iterator[KernelCall]:
        yield (
            recurrent_backward_weights,
            (*d.gradients("w", "u", "b"), _rows(d.x), d.before, _rows(d.room("z")), d.v.blend),
        )


@dataclass(frozen=True)
class SimpleRNN(_Recurrent):
    """h_t = f(x_t W + h_(t-1) U + b), with f = tanh or relu (Elman 1990).

    With `return_sequences` every h_t comes out, else the last. `bidirectional` adds a second walk from the last step to the
    first, with weights of its own, whose units stand behind those of the first. U starts as an orthogonal matrix.

    Shape: (steps, features) -> (units) or (steps, units); twice the units when bidirectional
    """

    activation: str = "tanh"

    def __post_init__(self):
        super().__post_init__()
        if self.activation not in ("tanh", "relu"):
            raise NbdlError(f"SimpleRNN's activation is {self.activation!r}; expected tanh or relu.")

    def _forward(self, d: Direction) -> Iterator[KernelCall]:
        yield (
            simple_rnn_forward,
            (
                d.shown(d.v.y), d.room("h"), d.last("h"), d.x, *d.weights("w", "u", "b"), d.panels(self, False), d.v.lengths,
                d.state("h"), KINDS[self.activation], *d.how,
            ),
        )  # fmt: skip

    def _backward(self, d: Direction) -> Iterator[KernelCall]:
        yield (
            simple_rnn_backward,
            (
                d.room("z"), d.state_gradient("h"), d.shown(d.v.dy), d.room("h"), *d.weights("u"), d.panels(self, True),
                d.v.lengths, KINDS[self.activation], *d.how,
            ),
        )  # fmt: skip


@dataclass(frozen=True)
class LSTM(_Recurrent):
    """Long short-term memory: gates i, f and o decide what is written to c, kept in it and shown of it.

        [i f g o] = x_t W + h_(t-1) U + b,    c_t = s(f) c_(t-1) + s(i) tanh(g),    h_t = s(o) tanh(c_t),    s the sigmoid

    With `return_sequences` every h_t comes out, else the last; `bidirectional` as in SimpleRNN. Order of the gates as in
    PyTorch; the forget gate's b starts at 1, so that at first much is kept (Hochreiter and Schmidhuber 1997).

    Shape: (steps, features) -> (units) or (steps, units); twice the units when bidirectional
    """

    gates: ClassVar[int] = 4
    memory: ClassVar[tuple[str, ...]] = ("h", "c")

    def _weights(self, inputs: int) -> dict[str, Parameter]:
        return super()._weights(inputs) | {"b": Parameter((4 * self.units,), "forget")}

    def _forward(self, d: Direction) -> Iterator[KernelCall]:
        yield (
            lstm_forward,
            (
                d.shown(d.v.y), d.room("h"), d.room("c"), d.room("z"), d.last("h"), d.last("c"), d.x,
                *d.weights("w", "u", "b"), d.panels(self, False), d.v.lengths, d.state("h"), d.state("c"), *d.how,
            ),
        )  # fmt: skip

    def _backward(self, d: Direction) -> Iterator[KernelCall]:
        yield (
            lstm_backward,
            (
                d.room("z"), d.state_gradient("h"), d.state_gradient("c"), d.shown(d.v.dy), d.room("c"), *d.weights("u"),
                d.panels(self, True), d.v.lengths, *d.how,
            ),
        )  # fmt: skip


@dataclass(frozen=True)
class GRU(_Recurrent):
    """Gated recurrent unit: gate r resets what the candidate n sees of the past, gate k keeps the past itself.

        h_t = (1 - k) n + k h_(t-1),    n = tanh(x_t W + b + r (h_(t-1) U + c))    or    tanh(x_t W + b + (r h_(t-1)) U)

    `reset_after` says whether r comes after the product, as in PyTorch, or before it, as first published (Cho et al. 2014).
    With `return_sequences` every h_t comes out, else the last; `bidirectional` as in SimpleRNN. Order of the gates as in
    PyTorch: r, k, n; c is the bias of the recurrent side of n, `b_hidden`.

    Shape: (steps, features) -> (units) or (steps, units); twice the units when bidirectional
    """

    reset_after: bool = True

    gates: ClassVar[int] = 3

    def _weights(self, inputs: int) -> dict[str, Parameter]:
        side = {"b_hidden": Parameter((self.units,), "zeros")} if self.reset_after else {}
        return super()._weights(inputs) | side

    def _rooms(self, steps: int, batch: int, inputs: int) -> dict[str, Shape]:
        units = self.units
        return {
            "z": (steps, batch, 3 * units),
            "q": (steps, batch, units),
            "h": (steps + 1, batch, units),
            "e": (batch, units),
            "of_x": packed(batch, inputs, 3 * units),
            "of_gates": packed(batch, units, 2 * units),
            "of_candidate": packed(batch, units, units),
            "gates_turned": packed(batch, 2 * units, units),
            "candidate_turned": packed(batch, units, units),
        }

    def _side(self, d: Direction, arrays: dict[str, Any]) -> Any:
        """The bias of the recurrent side or its gradient: none of its numbers when reset before."""
        return arrays[f"{d.prefix}b_hidden"] if self.reset_after else arrays[f"{d.prefix}b"][:0]

    def _forward(self, d: Direction) -> Iterator[KernelCall]:
        yield (
            gru_forward,
            (
                d.shown(d.v.y), d.room("h"), d.room("z"), d.room("q"), d.last("h"), d.x, *d.weights("w", "u", "b"),
                self._side(d, d.v.parameters), d.room("of_x"), d.room("of_gates"), d.room("of_candidate"), d.v.lengths,
                d.state("h"), int(self.reset_after), *d.how,
            ),
        )  # fmt: skip

    def _backward(self, d: Direction) -> Iterator[KernelCall]:
        yield (
            gru_backward,
            (
                d.room("z"), d.room("q"), d.state_gradient("h"), d.room("e"), d.shown(d.v.dy), d.room("h"),
                *d.weights("u"), d.room("gates_turned"), d.room("candidate_turned"), d.v.lengths, int(self.reset_after),
                *d.how,
            ),
        )  # fmt: skip

    def _backward_weights(self, d: Direction) -> Iterator[KernelCall]:
        yield (
            gru_backward_weights,
            (
                *d.gradients("w", "u", "b"), self._side(d, d.v.gradients), _rows(d.x), d.before, _rows(d.room("z")),
                _rows(d.room("q")), d.v.blend, int(self.reset_after),
            ),
        )  # fmt: skip


def _rows(array: Any) -> Any:
    """(steps, batch, n) as (steps batch, n)."""
    return array.reshape(array.shape[0] * array.shape[1], array.shape[2])
