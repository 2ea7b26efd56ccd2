"""Dropout: y = x * mask with mask 1 / (1 - rate) where a unit is kept, else 0; backwards dx = dy * mask.

Kept units are scaled up while training, so that nothing changes when the network is used (Srivastava et al. 2014).
Each element draws its own number from a hash of (seed, update, layer, element): the mask is the same for any number of
threads, and a resumed run draws what the uninterrupted one would have.
"""

import numpy as np
from numba import prange
from numba.extending import register_jitable

from nbdl.kernel import Kernel, cuda
from nbdl.kernels.blocks import a_thread_each

_STEP = np.uint64(0x9E3779B97F4A7C15)


def _uniform_reference(key, n):
    with np.errstate(over="ignore"):
        z = key + np.arange(1, n + 1, dtype=np.uint64) * _STEP
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return ((z ^ (z >> np.uint64(31))) >> np.uint64(40)).astype(np.float32) * np.float32(2.0**-24)


@register_jitable
def _uniform(key, i):
    # SplitMix64 (Steele, Lea and Flood 2014): the i-th number of the stream that starts at key, in [0, 1).
    z = key + np.uint64(i + 1) * _STEP
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.float32((z ^ (z >> np.uint64(31))) >> np.uint64(40)) * np.float32(2.0**-24)


@register_jitable
def _key(counter, layer):
    return (
        (counter[0] * np.uint64(0xD1B54A32D192ED03))
        ^ (counter[1] * np.uint64(0x8CB92BA72F3D8DD7))
        ^ (np.uint64(layer + 1) * np.uint64(0xAEF17502108EF2D9))
    )


def _forward_reference(y, mask, x, counter, layer, rate):
    with np.errstate(over="ignore"):
        kept = _uniform_reference(_key(counter, layer), x.size).reshape(x.shape) >= np.float32(rate)
    mask[...] = kept * mask.dtype.type(1 / (1 - rate))
    y[...] = x * mask


def _forward_cpu(y, mask, x, counter, layer, rate):
    y, mask, x = y.reshape(y.size), mask.reshape(mask.size), x.reshape(x.size)
    key, limit, gain, zero = _key(counter, layer), np.float32(rate), x.dtype.type(1 / (1 - rate)), x.dtype.type(0)
    for i in prange(x.size):
        mask[i] = gain if _uniform(key, i) >= limit else zero
        y[i] = x[i] * mask[i]


def _forward_cuda(y, mask, x, counter, layer, rate):
    i = cuda.grid(1)
    if i < x.size:
        one, zero = x.dtype.type(1), x.dtype.type(0)
        kept = _uniform(_key(counter, layer), i) >= np.float32(rate)
        factor = one / (one - x.dtype.type(rate)) if kept else zero
        mask.flat[i] = factor
        y.flat[i] = x.flat[i] * factor


def _backward_reference(dx, dy, mask):
    np.multiply(dy, mask, out=dx)


def _backward_cpu(dx, dy, mask):
    dx, dy, mask = dx.reshape(dx.size), dy.reshape(dy.size), mask.reshape(mask.size)
    for i in prange(dx.size):
        dx[i] = dy[i] * mask[i]


def _backward_cuda(dx, dy, mask):
    i = cuda.grid(1)
    if i < dx.size:
        dx.flat[i] = dy.flat[i] * mask.flat[i]


def _forward_cases(random, dtype):
    for shape in ((1, 1), (5, 7), (64, 33)):
        counter = random.integers(0, 2**60, 2).astype(np.uint64)
        x = random.standard_normal(shape).astype(dtype)
        for rate in (0.0, 0.2, 0.9):
            yield np.empty_like(x), np.empty_like(x), x, counter, 3, rate


def _backward_cases(random, dtype):
    for _, _, x, _, _, rate in _forward_cases(random, dtype):
        yield np.empty_like(x), x, (random.uniform(size=x.shape) >= rate).astype(dtype)


dropout_forward = Kernel(
    "dropout_forward",
    _forward_reference,
    _forward_cpu,
    _forward_cuda,
    grid=a_thread_each,
    flops=lambda y, *_: 2 * y.size,
    cases=_forward_cases,
    outputs=2,
)
dropout_backward = Kernel(
    "dropout_backward",
    _backward_reference,
    _backward_cpu,
    _backward_cuda,
    grid=a_thread_each,
    flops=lambda dx, *_: dx.size,
    cases=_backward_cases,
)
