"""A program: every kernel call of one model for one batch size, bound to its arrays before the first step.

A step walks the list. Nothing is decided, looked up or allocated inside it.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from math import prod
from typing import Any

import numpy as np

from nbdl.arena import Arena
from nbdl.arrangement import arranged
from nbdl.compiling import at_once
from nbdl.errors import NbdlError
from nbdl.kernel import Call, Kernel
from nbdl.kernels.gather import gather, gather_lengths
from nbdl.kernels.samples_last import blocks_for, lanes_of, plain_order
from nbdl.layers import Views
from nbdl.layers.base import Shape
from nbdl.losses import Loss
from nbdl.model import Place, Sequential

Announce = Callable[[str], None] | None


@dataclass(frozen=True)
class Data:
    """Samples in memory, in the type they came in; a network sees (inputs - offset) * scale."""

    inputs: Any  # (n, ...)
    targets: Any  # (n) class numbers, or (n, outputs) values
    offset: float = 0.0
    scale: float = 1.0
    lengths: Any = None  # (n) steps of each sequence that count, where they differ
    continuous: bool = False  # sample i + 1 goes on where sample i ends, as the windows of a text do

    def __len__(self) -> int:
        return len(self.inputs)

    @property
    def flat_inputs(self):
        return np.ascontiguousarray(self.inputs.reshape(len(self.inputs), -1))

    @property
    def flat_targets(self):
        return np.ascontiguousarray(self.targets.reshape(len(self.targets), -1))

    @cached_property
    def on_device(self) -> tuple[Any, Any]:
        """Flat inputs and targets on the GPU, copied once for all programs."""
        from nbdl.cuda import to_device

        return to_device(self.flat_inputs), to_device(self.flat_targets)

    @cached_property
    def lengths_on_device(self) -> Any:
        from nbdl.cuda import to_device

        return to_device(self.lengths)


def steps_of(shape: Shape, loss: Loss) -> int:
    """How many classes a network names for each sample: one, or one a step where its outputs are (steps, classes)."""
    return prod(shape[:-1]) if loss.takes_classes else 1


def fit_data(data: Data, loss: Loss, model: Sequential) -> Data:
    """The same data as the program takes them; raises NbdlError where they do not fit the network or its loss."""
    shape, targets = model.output_shape, np.asarray(data.targets)
    outputs, steps = prod(shape), steps_of(shape, loss)
    if len(targets) != len(data.inputs):
        raise NbdlError(f"{len(data.inputs)} inputs but {len(targets)} targets: expected one target for each input.")
    if loss.takes_classes:
        if targets.dtype.kind not in "iu" or targets.size != len(targets) * steps:
            each = "sample" if steps == 1 else f"of the {steps} steps of a sample"
            raise NbdlError(
                f"{loss.name} takes one whole class number for each {each}, not {targets.dtype} {targets.shape}."
            )
        classes, lowest = shape[-1], -1 if steps > 1 else 0
        if targets.size and (targets.min() < lowest or targets.max() >= classes):
            raise NbdlError(
                f"labels run from {targets.min()} to {targets.max()}; a network with {classes} outputs knows the "
                f"classes 0 to {classes - 1}."
            )
        targets = targets.astype(np.int64).reshape(len(targets), steps)
    else:
        targets = targets.astype(model.dtype).reshape(len(targets), -1)
        if targets.shape[1] != outputs:
            raise NbdlError(f"{targets.shape[1]} target values for each sample; the network has {outputs} outputs.")
    return replace(data, targets=targets, lengths=_fit_lengths(data, model))


def _fit_lengths(data: Data, model: Sequential) -> np.ndarray | None:
    if data.lengths is None:
        return None
    lengths, steps = np.asarray(data.lengths), model.input_shape[0]
    if lengths.dtype.kind not in "iu" or lengths.shape != (len(data),):
        raise NbdlError(f"lengths are {lengths.dtype} {lengths.shape}; expected one whole number for each sequence.")
    if lengths.size and (lengths.min() < 0 or lengths.max() > steps):
        raise NbdlError(f"lengths run from {lengths.min()} to {lengths.max()}; expected 0 to {steps} steps.")
    for place in model.places:
        if place.layer.states(place.in_shape) and place.in_shape[0] != steps:
            raise NbdlError(
                f"{place.name} sees {place.in_shape[0]} steps where the input has {steps}: sequences of unequal length "
                "need layers before it that keep the number of steps."
            )
    return lengths.astype(np.int64)


def states_of(model: Sequential, batch: int, backend: str = "auto") -> Arena:
    """The states of all recurrent layers for a batch, all 0: what they know before the first step."""
    arena = Arena(model.dtype, "The states of this network")
    for place in model.places:
        for name, shape in place.layer.states(place.in_shape).items():
            arena.reserve(f"{place.name}.{name}", (batch, *shape))
    return arena.allocate("cuda" if backend == "cuda" else "cpu")


def streams(n: int, batch: int) -> np.ndarray:
    """The order in which n samples that go on one from the other are read in `batch` streams side by side.

    Stream s is a run of neighbours, n // batch of them; what is left at the end is not read.
    """
    length = n // batch
    return np.arange(length * batch, dtype=np.int64).reshape(batch, length).T.reshape(-1).copy()


class Program:
    """The calls of a model for `batch` samples: `gather`, `forward`, `loss`, and when training `backward`.

    With `gradients` (an Arena like the parameters) backward fills them; with `blend` (scale, keep) other than (1, 0)
    the caller may pass the parameters themselves as gradients (see kernels/dense.py). Recurrent layers start from
    `states`, an Arena of their states named `lstm_1.h` and so on, and with `carry` leave there where they end.
    """

    def __init__(
        self,
        model: Sequential,
        batch: int,
        loss: Loss,
        data: Data,
        *,
        order: Any,
        position: Any,
        backend: str = "auto",
        parameters: Any = None,
        buffers: Any = None,
        gradients: Any = None,
        blend: Any = None,
        counter: Any = None,
        states: Any = None,
        carry: bool = False,
        input_gradient: bool = False,
        announce: Announce = None,
    ):
        self.model, self.batch, self._backend, self._announce = model, batch, backend, announce
        training = gradients is not None
        memory = Arena(model.dtype, f"A batch of {batch} samples")
        last = model.places[-1]
        memory.reserve("x", (batch, *model.input_shape))
        values, steps = data.flat_targets, steps_of(model.output_shape, loss)
        self.states = states if states is not None else states_of(model, batch, backend)
        self._carry = carry
        if not loss.takes_classes:
            memory.reserve("targets", (batch, values.shape[1]))
        memory.reserve("loss", (1,))
        memory.reserve("losses", (batch * steps,))
        if training and input_gradient:
            memory.reserve("dx", (batch, *model.input_shape))
        for name, shape in self.states.shapes.items():
            memory.reserve(f"{name}.last", shape)
            if training:
                memory.reserve(f"{name}.gradient", shape)
        self._places = arranged(model.places, batch, memory.dtype, backend)
        for place in self._places:
            if not place.layer.is_view(training):
                memory.reserve(f"{place.name}.y", self._whole(place, place.out_shape))
            for name, shape in self._rooms(place, training).items():
                memory.reserve(f"{place.name}.{name}", shape)
            if training and not place.layer.is_view(training):
                memory.reserve(f"{place.name}.dy", self._whole(place, place.out_shape))
        if not training:
            memory.reserve("dz", (batch, *last.out_shape))
        self.memory = memory.allocate("cuda" if backend == "cuda" else "cpu")

        labels: Any = memory["targets"] if not loss.takes_classes else np.zeros((batch, steps), np.int64)
        lengths: Any = np.full(batch, model.input_shape[0], np.int64)
        inputs, targets = data.flat_inputs, values
        if backend == "cuda":
            from nbdl.cuda import to_device

            inputs, targets = data.on_device
            labels = to_device(labels) if loss.takes_classes else labels
            lengths = to_device(lengths)
        self.labels = labels
        arguments = memory["x"].reshape(batch, -1), labels, inputs, targets, order, position, data.offset, data.scale
        gathering: list[tuple] = [(gather, arguments, "data")]
        if data.lengths is not None:
            theirs = data.lengths_on_device if backend == "cuda" else data.lengths
            gathering.append((gather_lengths, (lengths, theirs, order, position), "data"))

        parameters = parameters if parameters is not None else model.parameters
        buffers = buffers if buffers is not None else model.buffers
        views = self._views(parameters, buffers, gradients, training, input_gradient, counter, blend, lengths)
        forward = [
            (kernel, arguments, place.name)
            for place, v in zip(self._places, views, strict=True)
            if not place.layer.is_view(training)
            for kernel, arguments in place.layer.forward(v)
        ]
        self.outputs = views[-1].y
        flat = self.outputs.reshape(batch * steps, -1)
        target = labels.reshape(-1) if loss.takes_classes else labels
        dz = (views[-1].dy if training else memory["dz"]).reshape(batch * steps, -1)
        measuring = [(loss.kernel, (memory["loss"], memory["losses"], dz, flat, target, *loss.numbers), "loss")]
        backward = [
            (kernel, arguments, place.name)
            for place, v in zip(reversed(self._places), reversed(views), strict=True)
            if training and not place.layer.is_view(training)
            for kernel, arguments in place.layer.backward(v)
        ]
        parts = gathering, forward, measuring, backward
        self.gather, self.forward, self.loss, self.backward = at_once(
            lambda: [[self._bind(*call) for call in part] for part in parts], announce
        )
        self._views_of_layers = {v.number: v for v in views}

    @property
    def calls(self) -> list[Call]:
        return [*self.gather, *self.forward, *self.loss, *self.backward]

    @property
    def flops(self) -> int:
        return sum(call.flops for call in self.calls)

    def activation(self, number: int) -> Any:
        """The output of layer `number` for the last batch."""
        v = self._views_of_layers[number]
        return plain_order(v.y, self.batch) if v.samples_last else v.y

    @property
    def input_gradient(self) -> Any:
        return self.memory["dx"]

    def state_gradient(self, name: str) -> Any:
        """The gradient at the state that a recurrent layer started from."""
        return self.memory[f"{name}.gradient"]

    def _rooms(self, place: Place, training: bool) -> dict[str, Shape]:
        """The arrays that a layer needs beside its input and its output."""
        layer, shape = place.layer, place.in_shape
        if place.samples_last:
            saved = layer.saved(shape) if training else {}
            blocks, lanes = self._whole(place, ())
            rooms = {name: self._whole(place, room) for name, room in saved.items()}
            return rooms | layer.workspace_samples_last(shape, blocks, lanes)
        rooms = layer.scratch(shape) | (layer.saved(shape) if training else {})
        return {name: (self.batch, *room) for name, room in rooms.items()} | layer.workspace(shape, self.batch)

    def _whole(self, place: Place, shape: Shape) -> Shape:
        """The shape of the whole batch, in the order in which the layer's numbers lie."""
        if not place.samples_last:
            return (self.batch, *shape)
        dtype = self.model.dtype
        return (blocks_for(self.batch, dtype), *shape, lanes_of(dtype))

    def _bind(self, kernel: Kernel, arguments: tuple, label: str) -> Call:
        return kernel.bind(self._backend, *arguments, label=label, announce=self._announce)

    def _views(self, parameters, buffers, gradients, training, input_gradient, counter, blend, lengths) -> list[Views]:
        """Tie each layer to its arrays: its input is the output of the layer before, its dy the dx of the layer behind."""
        memory, batch, views = self.memory, self.batch, []
        x = memory["x"]
        dx = memory["dx"] if training and input_gradient else None
        asked = dx is not None  # whether anything before this layer wants a gradient
        for place in self._places:
            layer, names = place.layer, place.layer.parameters(place.in_shape)
            v = Views(place.number, x, None, dx, counter=counter, blend=blend, lengths=lengths, training=training)
            v.samples_last = place.samples_last
            v.parameters = {name: parameters[f"{place.name}.{name}"] for name in names}
            v.buffers = {name: buffers[f"{place.name}.{name}"] for name in layer.buffers(place.in_shape)}
            for name in layer.states(place.in_shape):
                key = f"{place.name}.{name}"
                v.states[name] = self.states[key]
                v.last[name] = self.states[key] if self._carry else memory[f"{key}.last"]
                if training:
                    v.state_gradients[name] = memory[f"{key}.gradient"]
            if layer.is_view(training):
                v.y = x.reshape(batch, *place.out_shape)
                v.dy = dx.reshape(batch, *place.out_shape) if dx is not None else None
            else:
                v.y = memory[f"{place.name}.y"]
                v.dy = memory[f"{place.name}.dy"] if training else None
            v.saved = {name: memory[f"{place.name}.{name}"] for name in self._rooms(place, training)}
            if training:
                v.gradients = {name: gradients[f"{place.name}.{name}"] for name in names}
            asked = asked or bool(names)
            views.append(v)
            x, dx = v.y, v.dy if asked else None
        layers = [place.layer for place in self._places]
        for i in range(1, len(layers)):
            if layers[i - 1].rectifies and layers[i].differentiates_relu:
                views[i - 1].dy_is_dz = views[i].from_relu = True
        if training and views[-1].dy is None:
            raise NbdlError("there is nothing to train: no layer of this network has parameters.")
        return views
