"""Gradient check: the gradient by the chain rule, held against the slope measured by moving one number at a time.

    dL/dw_i  ~  (L(w + h e_i) - L(w - h e_i)) / 2h,    in float64

The error is |ours - measured| / max(|ours|, |measured|, 1e-4 of the largest): 1e-6 or less is what a right backward pass
gives; at the kinks of ReLU a measured slope can be off by itself. Where the true slope is 0, as that of a bias before a
batch normalisation, the last digit of L still measures as a slope of 1e-16 L / 2h; so the divisor is also kept at 1e5 times
that. Source: Goodfellow et al., Deep Learning, 11.5.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from nbdl.arena import Arena
from nbdl.losses import Loss
from nbdl.model import Sequential
from nbdl.program import Announce, Data, Program, fit_data

STEP = 1e-5


@dataclass(frozen=True)
class Check:
    """One parameter (or the input): how many of its numbers were moved, and the largest relative error among them."""

    name: str
    checked: int
    error: float
    gradient: np.ndarray
    measured: np.ndarray


def gradient_check(
    model: Sequential,
    data: Data,
    loss: Loss,
    *,
    batch: int = 5,
    most: int = 50,
    seed: int = 0,
    backend: str = "serial",
    announce: Announce = None,
) -> Iterator[Check]:
    """Check up to `most` numbers of every parameter, of the input and of the states that recurrent layers start from.

    The first `batch` samples are used.

    The network is copied to float64 first; its own parameters are not touched. Parameters that are all 0, as biases are at
    first, are given small random values in the copy.
    """
    double = Sequential(model.layers, model.input_shape, seed=model.seed, dtype=np.float64)
    for ours, theirs in zip(double.arenas, model.arenas, strict=True):
        for name in ours:
            ours[name][...] = theirs[name]
    away = np.random.default_rng([seed, 1])
    for name in double.parameters:  # with biases of 0, blank parts of a picture lie on the very kink of ReLU
        if not double.parameters[name].any():
            double.parameters[name][...] = 0.1 * away.standard_normal(double.parameters.shapes[name])
    batch = min(batch, len(data))
    inputs = (np.asarray(data.inputs[:batch], np.float64) - data.offset) * data.scale
    lengths = None if data.lengths is None else data.lengths[:batch]
    samples = fit_data(Data(inputs, data.targets[:batch], lengths=lengths), loss, double)
    gradients = Arena(np.float64, "The gradient")
    for name, shape in double.parameters.shapes.items():
        gradients.reserve(name, shape)
    flat_inputs = samples.flat_inputs
    program = Program(
        double,
        batch,
        loss,
        replace(samples, inputs=flat_inputs.reshape(inputs.shape)),
        order=np.arange(batch, dtype=np.int64),
        position=np.zeros(1, np.int64),
        backend=backend,
        gradients=gradients.allocate(),
        blend=np.array([1.0, 0.0]),
        counter=np.array([seed, 0], np.uint64),
        input_gradient=True,
        announce=announce,
    )
    random = np.random.default_rng(seed)
    program.states.flat[:] = random.standard_normal(program.states.size)
    gradients.flat[:] = np.nan  # backward must overwrite, never add
    program.memory.flat[:] = np.nan

    def run(calls) -> float:
        for call in calls:
            call.run(*call.arguments)
        return float(program.memory["loss"][0])

    run(program.calls)
    cost = run(program.calls)  # twice, so that nothing left over from the first step can hide
    rounding = float(np.finfo(np.float64).eps) * abs(cost) / (2 * STEP)
    found = {"input": (program.memory["x"], program.input_gradient.copy())}
    found |= {name: (double.parameters[name], gradients[name].copy()) for name in double.parameters}
    found |= {name: (program.states[name], program.state_gradient(name).copy()) for name in program.states}
    for name, (values, gradient) in found.items():
        chosen = random.permutation(values.size)[:most]
        flat, measured = values.reshape(-1), np.empty(len(chosen))
        for number, i in enumerate(chosen):
            kept = flat[i]
            flat[i] = kept + STEP
            above = run([*program.forward, *program.loss])
            flat[i] = kept - STEP
            below = run([*program.forward, *program.loss])
            flat[i] = kept
            measured[number] = (above - below) / (2 * STEP)
        ours = gradient.reshape(-1)[chosen]
        floor = max(1e-10, 1e-4 * float(np.abs(gradient).max()), 1e5 * rounding)
        error = np.abs(ours - measured) / np.maximum(np.maximum(np.abs(ours), np.abs(measured)), floor)
        worst = float(np.where(np.isnan(error), np.inf, error).max())  # NaN: backward never wrote there
        yield Check(name, len(chosen), worst, ours, measured)
