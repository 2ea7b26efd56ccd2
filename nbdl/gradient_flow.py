"""How far a gradient reaches back in time: its norm at the state after each step, and what clipping makes of the whole one.

    dL/ds_t,    s_t = h_t, of an LSTM (h_t, c_t);    L moves with the last h alone

A recurrent network multiplies this gradient by about the same matrix at every step on the way back: it shrinks or grows like
a power of it (Bengio, Simard and Frasconi 1994; Pascanu, Mikolov and Bengio 2013).
"""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from nbdl.arena import Arena
from nbdl.errors import NbdlError
from nbdl.layers.recurrent import BACK
from nbdl.losses import Loss, loss
from nbdl.model import Sequential
from nbdl.optimizers import SGD
from nbdl.program import Announce, Data, Program
from nbdl.stepper import Stepper
from nbdl.training import Budget, Training

NEVER = 1e30  # clipping at this norm only measures it


def scaled(layer: Any, features: int, steps: int, gain: float, seed: int) -> Sequential:
    """A network of one recurrent layer whose recurrent weights, an orthogonal matrix, are multiplied by `gain`."""
    if not gain > 0:
        raise NbdlError(f"the gain is {gain}; expected a number above 0, such as 1.")
    model = Sequential([layer], (steps, features), seed=seed)
    model.parameters[f"{model.places[0].name}.u"][...] *= gain
    return model


def gradient_flow(
    layer: Any, inputs: np.ndarray, *, gain: float = 1.0, seed: int = 0, announce: Announce = None
) -> np.ndarray:
    """Norms of dL/ds_t for t = 0, 1, ... steps, for one sequence and a dL/dh of norm 1 at its end.

    Sample t of a batch walks from the state after step t to the end, so that its state gradient is the one at t. For that
    the sequence is read backwards, where what a length leaves out comes first.
    Shape: inputs (steps, features) -> (steps + 1). Raises NbdlError where the gain is not above 0.
    """
    steps, features = inputs.shape
    model = scaled(layer, features, steps, gain, seed)
    one, stepper = model.places[0].name, Stepper(model, 1, announce=announce)
    states = [{name: stepper.states[name].copy() for name in stepper.states}]
    for row in inputs:
        stepper.step(row)
        states.append({name: stepper.states[name].copy() for name in stepper.states})

    both = Sequential([replace(layer, bidirectional=True)], (steps, features), dtype=model.dtype)
    for name in model.parameters:
        both.parameters[name.replace(f"{one}.", f"{one}.{BACK}")][...] = model.parameters[name]
    batch, units = steps + 1, layer.units
    gradients = Arena(model.dtype, "The gradient")
    for name, shape in both.parameters.shapes.items():
        gradients.reserve(name, shape)
    program = Program(
        both,
        batch,
        loss("mean_squared_error"),
        Data(
            np.repeat(inputs[None, ::-1], batch, axis=0).astype(model.dtype),
            np.zeros((batch, 2 * units), model.dtype),
            lengths=np.arange(steps, -1, -1),
        ),
        order=np.arange(batch),
        position=np.zeros(1, np.int64),
        gradients=gradients.allocate(),
        blend=np.array([1, 0], model.dtype),
        announce=announce,
    )
    names = [name for name in program.states if BACK in name]
    for name in names:
        program.states[name][...] = [state[name.replace(BACK, "")][0] for state in states]
    for call in (*program.gather, *program.forward):
        call.run(*call.arguments)
    dy = program.memory[f"{one}.dy"]
    dy[:, :units], dy[:, units:] = 0, 1 / np.sqrt(units)
    for call in program.backward:
        call.run(*call.arguments)
    squares: Any = sum((program.state_gradient(name).astype(np.float64) ** 2).sum(axis=1) for name in names)
    return np.sqrt(squares)


def training_norms(
    model: Sequential,
    data: Data,
    cost: Loss,
    *,
    rate: float,
    updates: int,
    clip: float | None,
    seed: int = 0,
    announce: Announce = None,
) -> Iterator[tuple[int, float, float]]:
    """Train by plain gradient descent and yield (update, loss, norm of the whole gradient before any clipping).

    Raises Diverged when the loss is lost.
    """
    training = Training(
        model,
        data,
        cost,
        SGD(rate),
        budget=Budget(updates=updates),
        clip=NEVER if clip is None else clip,
        seed=seed,
        announce=announce,
    )
    for step in training.steps():
        yield step.update, step.loss, float(training.norm[0])
