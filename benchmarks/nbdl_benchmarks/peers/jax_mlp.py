"""JAX: one jitted step that gives its parameters away, and `lax.scan` over many steps, compiled as one program.

Bytes are made float32 in the step: beforehand is no faster, and neither are indices that stay on the device.
"""

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from nbdl_benchmarks.harness import Contender
from nbdl_benchmarks.work import RATE, Batches, Work, make

SCAN = 256  # steps compiled into one scan


def _parts(work: Work):
    mlp = work.net == "mlp"

    def cost(weights, x, t):
        w1, b1, w2, b2 = weights
        h = x @ w1 + b1
        z = (jax.nn.relu(h) if mlp else jnp.tanh(h)) @ w2 + b2
        if mlp:
            return -jnp.take_along_axis(jax.nn.log_softmax(z), t[:, None], axis=1).mean()
        return (jnp.maximum(z, 0) - z * t + jnp.log1p(jnp.exp(-jnp.abs(z)))).mean()

    def step(weights, inputs, targets, rows):
        x = inputs[rows].astype(jnp.float32) * work.scale
        gradient = jax.grad(cost)(weights, x, targets[rows])
        return jax.tree.map(lambda w, g: w - RATE * g, weights, gradient)

    arrays = jnp.asarray(work.inputs), jnp.asarray(work.targets.astype(np.int32) if mlp else work.targets)
    return step, arrays


def build(net: str, batch: int, data: str) -> Contender:
    """A jitted step, called from Python."""
    work = make(net, batch, data)
    step, (inputs, targets) = _parts(work)
    jitted = jax.jit(step, donate_argnums=0)
    batches = Batches(work, lambda order: order.astype(np.int32))
    state = {"weights": [jnp.asarray(w) for w in work.weights]}

    def run(count: int) -> None:
        weights = state["weights"]
        for _ in range(count):
            order, start, stop = next(batches)
            weights = jitted(weights, inputs, targets, order[start:stop])
        state["weights"] = jax.block_until_ready(weights)

    return Contender("jax jit", jax.__version__, run, lambda: [np.asarray(w) for w in state["weights"]])


def build_scan(net: str, batch: int, data: str) -> Contender:
    """Many steps in one compiled program: no Python between them, and nobody sees a loss on the way."""
    work = make(net, batch, data)
    step, (inputs, targets) = _parts(work)

    @jax.jit
    def many(weights, inputs, targets, rows):
        return lax.scan(lambda w, r: (step(w, inputs, targets, r), None), weights, rows)[0]

    batches = Batches(work, lambda order: order.astype(np.int32))
    state = {"weights": [jnp.asarray(w) for w in work.weights]}

    def run(count: int) -> None:
        weights = state["weights"]
        for first in range(0, count, SCAN):
            rows = []
            for _ in range(min(SCAN, count - first)):
                order, start, stop = next(batches)
                rows.append(order[start:stop])
            weights = many(weights, inputs, targets, np.stack(rows))
        state["weights"] = jax.block_until_ready(weights)

    return Contender("jax scan", jax.__version__, run, lambda: [np.asarray(w) for w in state["weights"]])
