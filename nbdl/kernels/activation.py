"""Activation functions, element by element: y = f(x), and their backward pass dx = dy f'(x).

    linear      x                    1
    step        1 if x > 0 else 0    0: nothing to follow downhill, which is why networks stopped using it
    sigmoid     1 / (1 + exp(-x))    y (1 - y)
    tanh        tanh(x)              1 - y^2
    relu        max(x, 0)            1 if y > 0 else 0
    leaky_relu  x if x > 0 else x/100   1 if y > 0 else 1/100
    gelu        x Phi(x)             Phi(x) + x phi(x), Phi and phi the normal distribution and its density

All but gelu have their derivative from y, so x need not be kept: `saved` is y, and x for gelu (Hendrycks and Gimpel 2016).
"""

import math

import numpy as np
from numba import prange
from numba.extending import register_jitable

from nbdl.kernel import Kernel, cuda
from nbdl.kernels.blocks import a_thread_each
from nbdl.kernels.elementary import erf, exp, sigmoid, tanh

LINEAR, STEP, SIGMOID, TANH, RELU, LEAKY_RELU, GELU = range(7)
KINDS = {
    "linear": LINEAR,
    "step": STEP,
    "sigmoid": SIGMOID,
    "tanh": TANH,
    "relu": RELU,
    "leaky_relu": LEAKY_RELU,
    "gelu": GELU,
}
SLOPE = 0.01  # of leaky ReLU below zero
CHUNK = 4096  # elements a thread takes at a time
_ROOT_HALF, _DENSITY = math.sqrt(0.5), 1 / math.sqrt(2 * math.pi)


def _forward_reference(y, x, kind):
    y[...] = {
        LINEAR: lambda: x,
        STEP: lambda: x > 0,
        SIGMOID: lambda: sigmoid(x),
        TANH: lambda: np.tanh(x),
        RELU: lambda: np.maximum(x, 0),
        LEAKY_RELU: lambda: np.where(x > 0, x, SLOPE * x),
        GELU: lambda: x * (0.5 + 0.5 * erf(_ROOT_HALF * x)),
    }[kind]()


def _backward_reference(dx, dy, saved, kind):
    s = saved
    dx[...] = {
        LINEAR: lambda: dy,
        STEP: lambda: 0,
        SIGMOID: lambda: dy * s * (1 - s),
        TANH: lambda: dy * (1 - s * s),
        RELU: lambda: dy * (s > 0),
        LEAKY_RELU: lambda: dy * np.where(s > 0, 1, SLOPE),
        GELU: lambda: dy * (0.5 + 0.5 * erf(_ROOT_HALF * s) + s * _DENSITY * np.exp(-0.5 * s * s)),
    }[kind]()


@register_jitable
def activate(y, kind):
    """y = f(y) on a one-dimensional piece; each kind has a loop of its own, so that each becomes vector code.

    In place, because a loop over two arrays that may be the same is not made vector code.
    """
    zero, one, slope, half = y.dtype.type(0), y.dtype.type(1), y.dtype.type(SLOPE), y.dtype.type(0.5)
    if kind == STEP:
        for i in range(y.size):
            y[i] = one if y[i] > zero else zero
    elif kind == SIGMOID:
        for i in range(y.size):
            y[i] = sigmoid(y[i])
    elif kind == TANH:
        for i in range(y.size):
            y[i] = tanh(y[i])
    elif kind == RELU:
        # Written so that NaN passes through: a network that has diverged must look so.
        for i in range(y.size):
            y[i] = zero if y[i] < zero else y[i]
    elif kind == LEAKY_RELU:
        for i in range(y.size):
            y[i] = y[i] * slope if y[i] < zero else y[i]
    elif kind == GELU:
        root = y.dtype.type(_ROOT_HALF)
        for i in range(y.size):
            y[i] = y[i] * (half + half * erf(root * y[i]))


@register_jitable
def _derive(dx, dy, s, kind):
    zero, one, slope, half = dx.dtype.type(0), dx.dtype.type(1), dx.dtype.type(SLOPE), dx.dtype.type(0.5)
    if kind == LINEAR:
        for i in range(dx.size):
            dx[i] = dy[i]
    elif kind == STEP:
        for i in range(dx.size):
            dx[i] = zero
    elif kind == SIGMOID:
        for i in range(dx.size):
            dx[i] = dy[i] * s[i] * (one - s[i])
    elif kind == TANH:
        for i in range(dx.size):
            dx[i] = dy[i] * (one - s[i] * s[i])
    elif kind == RELU:
        for i in range(dx.size):
            dx[i] = dy[i] if s[i] > zero else zero
    elif kind == LEAKY_RELU:
        for i in range(dx.size):
            dx[i] = dy[i] if s[i] > zero else dy[i] * slope
    else:
        root, density = dx.dtype.type(_ROOT_HALF), dx.dtype.type(_DENSITY)
        for i in range(dx.size):
            x = s[i]
            dx[i] = dy[i] * (half + half * erf(root * x) + x * density * exp(-half * x * x))


def _forward_cpu(y, x, kind):
    y, x = y.reshape(y.size), x.reshape(x.size)
    for chunk in prange((y.size + CHUNK - 1) // CHUNK):
        here = slice(chunk * CHUNK, min(y.size, (chunk + 1) * CHUNK))
        target, source = y[here], x[here]
        for i in range(target.size):
            target[i] = source[i]
        activate(target, kind)


def _backward_cpu(dx, dy, saved, kind):
    dx, dy, saved = dx.reshape(dx.size), dy.reshape(dy.size), saved.reshape(saved.size)
    for chunk in prange((dx.size + CHUNK - 1) // CHUNK):
        here = slice(chunk * CHUNK, min(dx.size, (chunk + 1) * CHUNK))
        _derive(dx[here], dy[here], saved[here], kind)


def _forward_cuda(y, x, kind):
    i = cuda.grid(1)
    if i < y.size:
        value = cuda.local.array(1, y.dtype)
        value[0] = x.flat[i]
        activate(value, kind)
        y.flat[i] = value[0]


def _backward_cuda(dx, dy, saved, kind):
    i = cuda.grid(1)
    if i < dx.size:
        error = cuda.local.array(1, dx.dtype)
        kept = cuda.local.array(1, dx.dtype)
        error[0], kept[0] = dy.flat[i], saved.flat[i]
        _derive(error, error, kept, kind)
        dx.flat[i] = error[0]


def _forward_cases(random, dtype):
    for kind in KINDS.values():
        for shape in ((1, 1), (5, 7), (130, 67)):
            yield np.empty(shape, dtype), 3 * random.standard_normal(shape).astype(dtype), kind


def _backward_cases(random, dtype):
    for y, x, kind in _forward_cases(random, dtype):
        _forward_reference(y, x, kind)
        yield np.empty_like(x), random.standard_normal(x.shape).astype(dtype), x if kind == GELU else y, kind


_FLOPS = {LINEAR: 0, STEP: 1, SIGMOID: 4, TANH: 5, RELU: 1, LEAKY_RELU: 2, GELU: 10}

activation_forward = Kernel(
    "activation_forward",
    _forward_reference,
    _forward_cpu,
    _forward_cuda,
    grid=a_thread_each,
    flops=lambda y, x, kind: y.size * _FLOPS[kind],
    cases=_forward_cases,
)
activation_backward = Kernel(
    "activation_backward",
    _backward_reference,
    _backward_cpu,
    _backward_cuda,
    grid=a_thread_each,
    flops=lambda dx, dy, saved, kind: dx.size * (_FLOPS[kind] + 1),
    cases=_backward_cases,
)
