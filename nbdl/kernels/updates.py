"""Weight updates: how each optimizer turns the gradient g into new parameters w, over one flat vector.

    sgd       g += decay w;  w -= rate g                                                       (plain gradient descent)
    momentum  g += decay w;  v = momentum v + g;                w -= rate v
    nesterov  g += decay w;  v = momentum v + g;                w -= rate (g + momentum v)
    adagrad   g += decay w;  s = s + g^2;                       w -= rate g / (sqrt(s) + epsilon)
    rmsprop   g += decay w;  s = rho s + (1 - rho) g^2;         w -= rate g / (sqrt(s) + epsilon)
    adam      g += decay w;  m = b1 m + (1 - b1) g;  s = b2 s + (1 - b2) g^2;
              w -= rate (m / (1 - b1^t)) / (sqrt(s / (1 - b2^t)) + epsilon)
    adamw     w -= rate decay w, then adam without decay

The order and the place of epsilon are PyTorch's, so that the same settings give the same path there.
Shape: w, g and the state vectors (n). `h` holds the numbers of this step: rate, decay, then the optimizer's own; the
optimizer writes them before the step, so that a schedule changes them without a new program.
Sources: Polyak 1964; Nesterov 1983; Duchi et al. 2011; Tieleman and Hinton 2012; Kingma and Ba 2015; Loshchilov and Hutter 2019.
"""

import math

import numpy as np
from numba import prange

from nbdl.kernel import Kernel, cuda
from nbdl.kernels.blocks import a_thread_each


def _sgd_reference(w, g, h):
    rate, decay = h
    w -= rate * (g + decay * w)


def _sgd_cpu(w, g, h):
    rate, decay = h[0], h[1]
    for i in prange(w.size):
        w[i] -= rate * (g[i] + decay * w[i])


def _sgd_cuda(w, g, h):
    i = cuda.grid(1)
    if i < w.size:
        w[i] -= h[0] * (g[i] + h[1] * w[i])


def _momentum_reference(w, v, g, h):
    rate, decay, momentum = h
    v[...] = momentum * v + (g + decay * w)
    w -= rate * v


def _momentum_cpu(w, v, g, h):
    rate, decay, momentum = h[0], h[1], h[2]
    for i in prange(w.size):
        v[i] = momentum * v[i] + (g[i] + decay * w[i])
        w[i] -= rate * v[i]


def _momentum_cuda(w, v, g, h):
    i = cuda.grid(1)
    if i < w.size:
        rate, decay, momentum = h[0], h[1], h[2]
        v[i] = momentum * v[i] + (g[i] + decay * w[i])
        w[i] -= rate * v[i]


def _nesterov_reference(w, v, g, h):
    rate, decay, momentum = h
    d = g + decay * w
    v[...] = momentum * v + d
    w -= rate * (d + momentum * v)


def _nesterov_cpu(w, v, g, h):
    rate, decay, momentum = h[0], h[1], h[2]
    for i in prange(w.size):
        d = g[i] + decay * w[i]
        v[i] = momentum * v[i] + d
        w[i] -= rate * (d + momentum * v[i])


def _nesterov_cuda(w, v, g, h):
    i = cuda.grid(1)
    if i < w.size:
        rate, decay, momentum = h[0], h[1], h[2]
        d = g[i] + decay * w[i]
        v[i] = momentum * v[i] + d
        w[i] -= rate * (d + momentum * v[i])


def _adagrad_reference(w, s, g, h):
    rate, decay, epsilon = h
    d = g + decay * w
    s += d * d
    w -= rate * d / (np.sqrt(s) + epsilon)


def _adagrad_cpu(w, s, g, h):
    rate, decay, epsilon = h[0], h[1], h[2]
    for i in prange(w.size):
        d = g[i] + decay * w[i]
        s[i] += d * d
        w[i] -= rate * d / (np.sqrt(s[i]) + epsilon)


def _adagrad_cuda(w, s, g, h):
    i = cuda.grid(1)
    if i < w.size:
        rate, decay, epsilon = h[0], h[1], h[2]
        d = g[i] + decay * w[i]
        s[i] += d * d
        w[i] -= rate * d / (math.sqrt(s[i]) + epsilon)


def _rmsprop_reference(w, s, g, h):
    rate, decay, rho, epsilon = h
    d = g + decay * w
    s[...] = rho * s + (1 - rho) * d * d
    w -= rate * d / (np.sqrt(s) + epsilon)


def _rmsprop_cpu(w, s, g, h):
    rate, decay, rho, epsilon = h[0], h[1], h[2], h[3]
    rest = w.dtype.type(1) - rho
    for i in prange(w.size):
        d = g[i] + decay * w[i]
        s[i] = rho * s[i] + rest * d * d
        w[i] -= rate * d / (np.sqrt(s[i]) + epsilon)


def _rmsprop_cuda(w, s, g, h):
    i = cuda.grid(1)
    if i < w.size:
        rate, decay, rho, epsilon = h[0], h[1], h[2], h[3]
        d = g[i] + decay * w[i]
        s[i] = rho * s[i] + (w.dtype.type(1) - rho) * d * d
        w[i] -= rate * d / (math.sqrt(s[i]) + epsilon)


# h of adam: rate, decay, b1, b2, epsilon, 1 - b1^t, 1 - b2^t.
def _adam_reference(w, m, s, g, h):
    rate, decay, b1, b2, epsilon, c1, c2 = h
    d = g + decay * w
    m[...] = b1 * m + (1 - b1) * d
    s[...] = b2 * s + (1 - b2) * d * d
    w -= rate * (m / c1) / (np.sqrt(s / c2) + epsilon)


def _adam_cpu(w, m, s, g, h):
    rate, decay, b1, b2, epsilon, c1, c2 = h[0], h[1], h[2], h[3], h[4], h[5], h[6]
    one = w.dtype.type(1)
    step, root = rate / c1, one / np.sqrt(c2)
    for i in prange(w.size):
        d = g[i] + decay * w[i]
        m[i] = b1 * m[i] + (one - b1) * d
        s[i] = b2 * s[i] + (one - b2) * d * d
        w[i] -= step * m[i] / (np.sqrt(s[i]) * root + epsilon)


def _adam_cuda(w, m, s, g, h):
    i = cuda.grid(1)
    if i < w.size:
        rate, decay, b1, b2, epsilon, c1, c2 = h[0], h[1], h[2], h[3], h[4], h[5], h[6]
        one = w.dtype.type(1)
        d = g[i] + decay * w[i]
        m[i] = b1 * m[i] + (one - b1) * d
        s[i] = b2 * s[i] + (one - b2) * d * d
        w[i] -= rate * (m[i] / c1) / (math.sqrt(s[i] / c2) + epsilon)


def _adamw_reference(w, m, s, g, h):
    w *= 1 - h[0] * h[1]
    _adam_reference(w, m, s, g, np.where(np.arange(len(h)) == 1, 0, h).astype(h.dtype))


def _adamw_cpu(w, m, s, g, h):
    rate, decay, b1, b2, epsilon, c1, c2 = h[0], h[1], h[2], h[3], h[4], h[5], h[6]
    one = w.dtype.type(1)
    step, root, shrink = rate / c1, one / np.sqrt(c2), rate * decay
    for i in prange(w.size):
        m[i] = b1 * m[i] + (one - b1) * g[i]
        s[i] = b2 * s[i] + (one - b2) * g[i] * g[i]
        w[i] = w[i] - shrink * w[i] - step * m[i] / (np.sqrt(s[i]) * root + epsilon)


def _adamw_cuda(w, m, s, g, h):
    i = cuda.grid(1)
    if i < w.size:
        rate, decay, b1, b2, epsilon, c1, c2 = h[0], h[1], h[2], h[3], h[4], h[5], h[6]
        one = w.dtype.type(1)
        m[i] = b1 * m[i] + (one - b1) * g[i]
        s[i] = b2 * s[i] + (one - b2) * g[i] * g[i]
        w[i] = (one - rate * decay) * w[i] - rate * (m[i] / c1) / (math.sqrt(s[i] / c2) + epsilon)


def _cases(states, *numbers):
    def cases(random, dtype):
        for n in (1, 7, 1000):
            w, g = random.standard_normal(n).astype(dtype), random.standard_normal(n).astype(dtype)
            state = [random.uniform(0, 1, n).astype(dtype) for _ in range(states)]
            yield w, *state, g, np.array([0.1, 0.01, *numbers], dtype)

    return cases


def _kernel(name, reference, cpu, gpu, flops, states, *numbers):
    return Kernel(
        name,
        reference,
        cpu,
        gpu,
        grid=a_thread_each,
        flops=lambda w, *_: flops * w.size,
        cases=_cases(states, *numbers),
        outputs=1 + states,
        in_place=True,
    )


sgd = _kernel("sgd", _sgd_reference, _sgd_cpu, _sgd_cuda, 4, 0)
momentum = _kernel("momentum", _momentum_reference, _momentum_cpu, _momentum_cuda, 6, 1, 0.9)
nesterov = _kernel("nesterov", _nesterov_reference, _nesterov_cpu, _nesterov_cuda, 8, 1, 0.9)
adagrad = _kernel("adagrad", _adagrad_reference, _adagrad_cpu, _adagrad_cuda, 8, 1, 1e-8)
rmsprop = _kernel("rmsprop", _rmsprop_reference, _rmsprop_cpu, _rmsprop_cuda, 11, 1, 0.99, 1e-8)
adam = _kernel("adam", _adam_reference, _adam_cpu, _adam_cuda, 15, 2, 0.9, 0.999, 1e-8, 0.271, 0.003)
adamw = _kernel("adamw", _adamw_reference, _adamw_cpu, _adamw_cuda, 15, 2, 0.9, 0.999, 1e-8, 0.271, 0.003)
