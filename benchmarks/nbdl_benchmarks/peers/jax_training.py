"""JAX: one jitted step that gives its parameters away, and `lax.scan` over many steps, compiled as one program.

Bytes are made float32 in the step: beforehand is no faster, and neither are indices that stay on the device. Pictures have
their channels last, which is faster here than in front, and pooling is a maximum over two axes more: `reduce_window`'s
gradient is slower.
"""

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

import nbdl
from nbdl_benchmarks.harness import Contender
from nbdl_benchmarks.work import RATE, Batches, Work, make

SCAN = 256  # steps compiled into one scan
ACTIVATIONS = {"linear": lambda z: z, "relu": jax.nn.relu, "tanh": jnp.tanh}


def _forward(layers, weights, x):
    """The network's outputs; `weights` holds a matrix or filters, then a bias, for each layer that has them."""
    rest = iter(weights)
    for layer in layers:
        match layer:
            case nbdl.Dense():
                x = ACTIVATIONS[layer.activation](x @ next(rest) + next(rest))
            case nbdl.Conv2D():
                x = ACTIVATIONS[layer.activation](_convolve(layer, x, next(rest)) + next(rest))
            case nbdl.MaxPool2D():
                n, height, width, channels = x.shape
                x = x.reshape(n, height // layer.size, layer.size, width // layer.size, layer.size, channels).max(
                    (2, 4)
                )
            case nbdl.SimpleRNN() | nbdl.LSTM() | nbdl.GRU():
                x = _recur(layer, x, rest)
            case nbdl.Flatten():
                x = x.transpose(0, 3, 1, 2).reshape(len(x), -1)  # into a dense layer's order
            case _:
                raise NotImplementedError(layer)
    return x


def _recur(layer, x, rest):
    """The last h; the inputs of all steps in one product, then a scan over the steps."""
    w, u, b = next(rest), next(rest), next(rest)
    side = next(rest) if isinstance(layer, nbdl.GRU) else 0.0
    sums, h = (x @ w + b).swapaxes(0, 1), jnp.zeros((len(x), layer.units), jnp.float32)
    sigmoid = jax.nn.sigmoid

    def simple(h, z):
        return ACTIVATIONS[layer.activation](z + h @ u), None

    def lstm(state, z):
        h, c = state
        i, f, g, o = jnp.split(z + h @ u, 4, axis=1)
        c = sigmoid(f) * c + sigmoid(i) * jnp.tanh(g)
        return (sigmoid(o) * jnp.tanh(c), c), None

    def gru(h, z):
        r, k, n = jnp.split(z, 3, axis=1)
        of_r, of_k, of_n = jnp.split(h @ u, 3, axis=1)
        keep = sigmoid(k + of_k)
        return (1 - keep) * jnp.tanh(n + sigmoid(r + of_r) * (of_n + side)) + keep * h, None

    match layer:
        case nbdl.SimpleRNN():
            return lax.scan(simple, h, sums)[0]
        case nbdl.LSTM():
            return lax.scan(lstm, (h, h), sums)[0][0]
        case _:
            return lax.scan(gru, h, sums)[0]


def _convolve(layer, x, w):
    padding = layer.padding if isinstance(layer.padding, str) else [(layer.padding, layer.padding)] * 2
    return lax.conv_general_dilated(
        x, w, (layer.strides, layer.strides), padding, dimension_numbers=("NHWC", "HWIO", "NHWC")
    )


def _channels_last(arrays):
    """First weights as this network takes them: filters are (height, width, channels, filters)."""
    return [jnp.asarray(a.transpose(2, 3, 1, 0) if a.ndim == 4 else a) for a in arrays]


def _channels_first(arrays):
    """Weights in nbdl's order."""
    return [np.asarray(a.transpose(3, 2, 0, 1) if a.ndim == 4 else a) for a in arrays]


def _parts(work: Work):
    layers = work.net.layers

    def cost(weights, x, t):
        z = _forward(layers, weights, x)
        if work.classifies:
            return -jnp.take_along_axis(jax.nn.log_softmax(z), t[:, None], axis=1).mean()
        return (jnp.maximum(z, 0) - z * t + jnp.log1p(jnp.exp(-jnp.abs(z)))).mean()

    def step(weights, inputs, targets, rows):
        x = inputs[rows].astype(jnp.float32) * work.scale
        gradient = jax.grad(cost)(weights, x, targets[rows])
        return jax.tree.map(lambda w, g: w - RATE * g, weights, gradient)

    targets = work.targets.astype(np.int32) if work.classifies else work.targets
    inputs = np.moveaxis(work.inputs, 1, -1) if len(work.net.shape) == 3 else work.inputs
    return step, (jnp.asarray(inputs), jnp.asarray(targets))


def build(net: str, batch: int, data: str) -> Contender:
    """A jitted step, called from Python."""
    work = make(net, batch, data)
    step, (inputs, targets) = _parts(work)
    jitted = jax.jit(step, donate_argnums=0)
    batches = Batches(work, lambda order: order.astype(np.int32))
    state = {"weights": _channels_last(work.weights)}

    def run(count: int) -> None:
        weights = state["weights"]
        for _ in range(count):
            order, start, stop = next(batches)
            weights = jitted(weights, inputs, targets, order[start:stop])
        state["weights"] = jax.block_until_ready(weights)

    return Contender("jax jit", jax.__version__, run, lambda: work.changes(_channels_first(state["weights"])))


def build_scan(net: str, batch: int, data: str) -> Contender:
    """Many steps in one compiled program: no Python between them, and nobody sees a loss on the way."""
    work = make(net, batch, data)
    step, (inputs, targets) = _parts(work)

    @jax.jit
    def many(weights, inputs, targets, rows):
        return lax.scan(lambda w, r: (step(w, inputs, targets, r), None), weights, rows)[0]

    batches = Batches(work, lambda order: order.astype(np.int32))
    state = {"weights": _channels_last(work.weights)}

    def run(count: int) -> None:
        weights = state["weights"]
        for first in range(0, count, SCAN):
            rows = []
            for _ in range(min(SCAN, count - first)):
                order, start, stop = next(batches)
                rows.append(order[start:stop])
            weights = many(weights, inputs, targets, np.stack(rows))
        state["weights"] = jax.block_until_ready(weights)

    return Contender("jax scan", jax.__version__, run, lambda: work.changes(_channels_first(state["weights"])))
