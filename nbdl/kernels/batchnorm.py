"""Batch normalisation: every channel is brought to mean 0 and variance 1, then to a mean and spread of its own.

    mean_c, variance_c = of x[:, c, :], the variance divided by m, the numbers of a channel in the batch
    h = (x - mean) / sqrt(variance + epsilon)        y = gamma h + beta

and backwards, since the mean and the variance depend on every x of their channel:

    dgamma = sum of dy h        dbeta = sum of dy        dx = gamma / sqrt(variance + epsilon) (dy - dbeta / m - h dgamma / m)

The running statistics, which stand in for the batch's when the network is used, follow slowly (PyTorch's convention):

    running = (1 - momentum) running + momentum batch, with the variance divided by m - 1 instead of m

Shape: x, y, dx and dy (batch, channels, cells), all else (channels); behind a dense layer there is one cell. `room`
(4, channels, cells) is worked in. Source: Ioffe and Szegedy 2015.
"""

import math

import numpy as np
from numba import prange
from numba.extending import register_jitable

from nbdl.kernel import Kernel, cuda, threads
from nbdl.kernels.blocks import a_thread_each, block_sum, threads_for

# The loops of the processor see a sample as one line of channels * cells numbers: what belongs to a channel is written
# out once for each of its cells, so that one cell or a thousand run as the same vector code. Sums go down the batch
# first, cell by cell, and only then along the cells: the same order whoever computes them.
LEAST, MOST = 64, 1024  # numbers of a sample in a block: vectors filled, yet four lines of them in the first cache
VECTOR = 16  # cells from which a channel fills vectors by itself
PARALLEL_BYTES = 400_000  # every number is read three times: threads pay earlier than elsewhere


def _reference(y, mean, variance, x, gamma, beta, room, epsilon):
    mean[...], variance[...] = x.mean(axis=(0, 2)), x.var(axis=(0, 2))
    _apply_reference(y, x, gamma, beta, mean, variance, room, epsilon)


def _apply_reference(y, x, gamma, beta, mean, variance, room, epsilon):
    h = (x - mean[:, None]) / np.sqrt(variance + epsilon)[:, None]
    y[...] = gamma[:, None] * h + beta[:, None]


def _backward_reference(dx, dgamma, dbeta, dy, x, gamma, mean, variance, room, epsilon, blend):
    m, (scale, keep) = x.size // x.shape[1], blend
    spread = np.sqrt(variance + epsilon)[:, None]
    h = (x - mean[:, None]) / spread
    to_gamma, to_beta = (dy * h).sum(axis=(0, 2)), dy.sum(axis=(0, 2))
    if dx.size:
        dx[...] = gamma[:, None] / spread * (dy - to_beta[:, None] / m - h * to_gamma[:, None] / m)
    dgamma[...] = scale * to_gamma + (keep * dgamma if keep != 0 else 0)
    dbeta[...] = scale * to_beta + (keep * dbeta if keep != 0 else 0)


def _running_reference(running_mean, running_variance, mean, variance, momentum, m):
    running_mean[...] = (1 - momentum) * running_mean + momentum * mean
    running_variance[...] = (1 - momentum) * running_variance + momentum * variance * (m / (m - 1))


@register_jitable
def _lines(x):
    return x.reshape(x.shape[0], x.shape[1] * x.shape[2])


@register_jitable
def _blocks(channels, cells, workers):
    """Into how many blocks the channels are cut, and how many are in each; no sum depends on it."""
    each = max(1, max(LEAST, min(MOST, channels * cells // workers)) // cells)
    return (channels + each - 1) // each, each


@register_jitable
def _spread(line, cells, first, values):
    """Write the value of each channel of a block, the first of which is `first`, once for each of its cells."""
    for c in range(line.size // cells):
        for j in range(c * cells, (c + 1) * cells):
            line[j] = values[first + c]


@register_jitable
def _total(line):
    a = b = c = d = line.dtype.type(0)  # four chains of additions, because each waits for its last sum
    whole = line.size - line.size % 4
    for j in range(0, whole, 4):
        a, b, c, d = a + line[j], b + line[j + 1], c + line[j + 2], d + line[j + 3]
    for j in range(whole, line.size):
        a += line[j]
    return (a + b) + (c + d)


@register_jitable
def _down(line, x, here):
    """Add up the columns of a block, four rows at a time: then its line is fetched and stored only once for them."""
    line[:] = line.dtype.type(0)
    whole = x.shape[0] - x.shape[0] % 4
    for n in range(0, whole, 4):
        a, b, c, d = x[n, here], x[n + 1, here], x[n + 2, here], x[n + 3, here]
        for j in range(line.size):
            line[j] += (a[j] + b[j]) + (c[j] + d[j])
    for n in range(whole, x.shape[0]):
        a = x[n, here]
        for j in range(line.size):
            line[j] += a[j]


@register_jitable
def _down_squares(line, x, shift, here):
    line[:] = line.dtype.type(0)
    whole = x.shape[0] - x.shape[0] % 4
    for n in range(0, whole, 4):
        a, b, c, d = x[n, here], x[n + 1, here], x[n + 2, here], x[n + 3, here]
        for j in range(line.size):
            p, q, r, s = a[j] - shift[j], b[j] - shift[j], c[j] - shift[j], d[j] - shift[j]
            line[j] += (p * p + q * q) + (r * r + s * s)
    for n in range(whole, x.shape[0]):
        a = x[n, here]
        for j in range(line.size):
            line[j] += (a[j] - shift[j]) * (a[j] - shift[j])


@register_jitable
def _down_products(sums, products, dy, x, shift, here):
    sums[:], products[:] = sums.dtype.type(0), sums.dtype.type(0)
    whole = x.shape[0] - x.shape[0] % 4
    for n in range(0, whole, 4):
        a, b, c, d = dy[n, here], dy[n + 1, here], dy[n + 2, here], dy[n + 3, here]
        p, q, r, s = x[n, here], x[n + 1, here], x[n + 2, here], x[n + 3, here]
        for j in range(sums.size):
            sums[j] += (a[j] + b[j]) + (c[j] + d[j])
            products[j] += (a[j] * (p[j] - shift[j]) + b[j] * (q[j] - shift[j])) + (
                c[j] * (r[j] - shift[j]) + d[j] * (s[j] - shift[j])
            )
    for n in range(whole, x.shape[0]):
        a, p = dy[n, here], x[n, here]
        for j in range(sums.size):
            sums[j] += a[j]
            products[j] += a[j] * (p[j] - shift[j])


@register_jitable
def _normalise(y, x, gamma, beta, mean, variance, lines, epsilon, cells, c0, c1):
    """The last step, for channels c0 to c1."""
    here, small = slice(c0 * cells, c1 * cells), x.dtype.type(epsilon)
    shift, factor, offset = lines[0, here], lines[1, here], lines[2, here]
    if cells >= VECTOR:  # then a channel's own numbers can stay in registers
        for c in range(c0, c1):
            centre, slope, level = mean[c], gamma[c] / np.sqrt(variance[c] + small), beta[c]
            for n in range(x.shape[0]):
                source, target = x[n, c * cells : (c + 1) * cells], y[n, c * cells : (c + 1) * cells]
                for j in range(target.size):
                    target[j] = (source[j] - centre) * slope + level
        return
    _spread(shift, cells, c0, mean)
    _spread(offset, cells, c0, beta)
    for c in range(c0, c1):
        factor[(c - c0) * cells : (c - c0 + 1) * cells] = gamma[c] / np.sqrt(variance[c] + small)
    for n in range(x.shape[0]):
        source, target = x[n, here], y[n, here]
        for j in range(target.size):
            target[j] = (source[j] - shift[j]) * factor[j] + offset[j]


def _cpu(y, mean, variance, x, gamma, beta, room, epsilon):
    channels, cells = x.shape[1], x.shape[2]
    x, y, lines = _lines(x), _lines(y), _lines(room)
    m = x.dtype.type(x.shape[0] * cells)
    blocks, each = _blocks(channels, cells, threads())
    for block in prange(blocks):
        c0, c1 = block * each, min(channels, (block + 1) * each)
        here = slice(c0 * cells, c1 * cells)
        shift, sums = lines[0, here], lines[1, here]
        _down(sums, x, here)
        for c in range(c0, c1):
            mean[c] = _total(sums[(c - c0) * cells : (c - c0 + 1) * cells]) / m
        _spread(shift, cells, c0, mean)
        _down_squares(sums, x, shift, here)
        for c in range(c0, c1):
            variance[c] = _total(sums[(c - c0) * cells : (c - c0 + 1) * cells]) / m
        _normalise(y, x, gamma, beta, mean, variance, lines, epsilon, cells, c0, c1)


def _apply_cpu(y, x, gamma, beta, mean, variance, room, epsilon):
    channels, cells = x.shape[1], x.shape[2]
    x, y, lines = _lines(x), _lines(y), _lines(room)
    blocks, each = _blocks(channels, cells, threads())
    for block in prange(blocks):
        c0, c1 = block * each, min(channels, (block + 1) * each)
        _normalise(y, x, gamma, beta, mean, variance, lines, epsilon, cells, c0, c1)


def _backward_cpu(dx, dgamma, dbeta, dy, x, gamma, mean, variance, room, epsilon, blend):
    channels, cells, wanted = x.shape[1], x.shape[2], dx.size > 0
    x, dy, dx, lines = _lines(x), _lines(dy), _lines(dx), _lines(room)
    one, m, small = x.dtype.type(1), x.dtype.type(x.shape[0] * cells), x.dtype.type(epsilon)
    scale, keep = blend[0], blend[1]
    blocks, each = _blocks(channels, cells, threads())
    for block in prange(blocks):
        c0, c1 = block * each, min(channels, (block + 1) * each)
        here = slice(c0 * cells, c1 * cells)
        shift, factor, sums, products = lines[0, here], lines[1, here], lines[2, here], lines[3, here]
        _spread(shift, cells, c0, mean)
        _down_products(sums, products, dy, x, shift, here)
        for c in range(c0, c1):
            mine = slice((c - c0) * cells, (c - c0 + 1) * cells)
            inverse = one / np.sqrt(variance[c] + small)
            to_beta, to_gamma = _total(sums[mine]), _total(products[mine]) * inverse
            factor[mine] = gamma[c] * inverse  # before gamma moves, where dgamma is gamma itself
            sums[mine] = to_beta / m
            products[mine] = to_gamma * inverse / m
            dgamma[c] = scale * to_gamma + (keep * dgamma[c] if keep != 0 else keep)
            dbeta[c] = scale * to_beta + (keep * dbeta[c] if keep != 0 else keep)
        if wanted:
            for n in range(x.shape[0]):
                error, source, target = dy[n, here], x[n, here], dx[n, here]
                for j in range(target.size):
                    target[j] = factor[j] * (error[j] - sums[j] - (source[j] - shift[j]) * products[j])


def _running_cpu(running_mean, running_variance, mean, variance, momentum, m):
    share = mean.dtype.type(momentum)
    rest, unbiased = mean.dtype.type(1) - share, share * mean.dtype.type(m / (m - 1))
    for c in prange(mean.size):
        running_mean[c] = rest * running_mean[c] + share * mean[c]
        running_variance[c] = rest * running_variance[c] + unbiased * variance[c]


def _cuda(y, mean, variance, x, gamma, beta, room, epsilon):
    c, first, step, cells = cuda.blockIdx.x, cuda.threadIdx.x, cuda.blockDim.x, x.shape[2]
    count, zero = x.shape[0] * cells, x.dtype.type(0)
    m, total = x.dtype.type(count), zero
    for i in range(first, count, step):
        total += x[i // cells, c, i % cells]
    centre, total = block_sum(total, x) / m, zero
    for i in range(first, count, step):
        away = x[i // cells, c, i % cells] - centre
        total += away * away
    square = block_sum(total, x) / m
    factor = gamma[c] / math.sqrt(square + x.dtype.type(epsilon))
    for i in range(first, count, step):
        y[i // cells, c, i % cells] = (x[i // cells, c, i % cells] - centre) * factor + beta[c]
    if first == 0:
        mean[c], variance[c] = centre, square


def _apply_cuda(y, x, gamma, beta, mean, variance, room, epsilon):
    i = cuda.grid(1)
    if i < x.size:
        p, c, n = i % x.shape[2], i // x.shape[2] % x.shape[1], i // (x.shape[2] * x.shape[1])
        factor = gamma[c] / math.sqrt(variance[c] + x.dtype.type(epsilon))
        y[n, c, p] = (x[n, c, p] - mean[c]) * factor + beta[c]


def _backward_cuda(dx, dgamma, dbeta, dy, x, gamma, mean, variance, room, epsilon, blend):
    c, first, step, cells = cuda.blockIdx.x, cuda.threadIdx.x, cuda.blockDim.x, x.shape[2]
    count, one, zero = x.shape[0] * cells, x.dtype.type(1), x.dtype.type(0)
    m, shift = x.dtype.type(count), mean[c]
    inverse = one / math.sqrt(variance[c] + x.dtype.type(epsilon))
    factor = gamma[c] * inverse  # before gamma moves, where dgamma is gamma itself
    to_beta, to_gamma = zero, zero
    for i in range(first, count, step):
        error = dy[i // cells, c, i % cells]
        to_beta += error
        to_gamma += error * (x[i // cells, c, i % cells] - shift)
    to_beta, to_gamma = block_sum(to_beta, x), block_sum(to_gamma, x) * inverse
    if dx.size > 0:
        level, slope = to_beta / m, to_gamma * inverse / m
        for i in range(first, count, step):
            n, p = i // cells, i % cells
            dx[n, c, p] = factor * (dy[n, c, p] - level - (x[n, c, p] - shift) * slope)
    if first == 0:
        scale, keep = blend[0], blend[1]
        dgamma[c] = scale * to_gamma + (keep * dgamma[c] if keep != zero else zero)
        dbeta[c] = scale * to_beta + (keep * dbeta[c] if keep != zero else zero)


def _running_cuda(running_mean, running_variance, mean, variance, momentum, m):
    c = cuda.grid(1)
    if c < mean.size:
        one, share, count = mean.dtype.type(1), mean.dtype.type(momentum), mean.dtype.type(m)
        running_mean[c] = (one - share) * running_mean[c] + share * mean[c]
        unbiased = variance[c] * count / (count - one)
        running_variance[c] = (one - share) * running_variance[c] + share * unbiased


def _arrays(random, dtype):
    """x, gamma, beta and room: one cell and several, fewer and more channels than a block holds, short last rows."""
    for shape in [(2, 1, 1), (5, 3, 1), (13, 150, 1), (1, 2, 9), (4, 3, 20), (9, 70, 4), (3, 2, 130), (6, 40, 49)]:
        x = (random.standard_normal(shape) + 3 * random.standard_normal((shape[1], 1))).astype(dtype)
        gamma, beta = (random.standard_normal(shape[1]).astype(dtype) for _ in range(2))
        yield x, gamma, beta, np.full((4, *shape[1:]), np.nan, dtype)


def _cases(random, dtype):
    for x, gamma, beta, room in _arrays(random, dtype):
        yield np.empty_like(x), np.empty_like(beta), np.empty_like(beta), x, gamma, beta, room, 1e-5


def _apply_cases(random, dtype):
    for x, gamma, beta, room in _arrays(random, dtype):
        mean, variance = random.standard_normal(beta.shape), random.uniform(0.5, 2, beta.shape)
        yield np.empty_like(x), x, gamma, beta, mean.astype(dtype), variance.astype(dtype), room, 1e-5


def _backward_cases(random, dtype):
    for number, (x, gamma, beta, room) in enumerate(_arrays(random, dtype)):
        dx = np.empty_like(x) if number % 3 else np.empty_like(x)[:0]  # where nobody asks for it
        dy, mean, variance = random.standard_normal(x.shape).astype(dtype), x.mean(axis=(0, 2)), x.var(axis=(0, 2))
        gradients = np.empty_like(gamma), np.empty_like(beta)
        yield dx, *gradients, dy, x, gamma, mean, variance, room, 1e-5, np.array([1, 0], dtype)


def _running_cases(random, dtype):
    for channels, momentum, m in [(1, 0.1, 2), (7, 0.01, 9), (200, 1.0, 1000)]:
        yield *(random.uniform(0.5, 2, channels).astype(dtype) for _ in range(4)), momentum, m


batchnorm_forward = Kernel(
    "batchnorm_forward",
    _reference,
    _cpu,
    _cuda,
    grid=lambda y, mean, *_: (mean.size, threads_for(y.size // mean.size)),
    flops=lambda y, *_: 7 * y.size,
    bytes=lambda y, *_: 2 * y.nbytes,
    parallel_bytes=PARALLEL_BYTES,
    cases=_cases,
    outputs=3,
)
batchnorm_apply = Kernel(
    "batchnorm_apply",
    _apply_reference,
    _apply_cpu,
    _apply_cuda,
    grid=a_thread_each,
    flops=lambda y, *_: 3 * y.size,
    bytes=lambda y, *_: 2 * y.nbytes,
    parallel_bytes=PARALLEL_BYTES,
    cases=_apply_cases,
)
batchnorm_backward = Kernel(
    "batchnorm_backward",
    _backward_reference,
    _backward_cpu,
    _backward_cuda,
    grid=lambda dx, dgamma, dbeta, dy, *_: (dgamma.size, threads_for(dy.size // dgamma.size)),
    flops=lambda dx, dgamma, dbeta, dy, *_: 4 * dy.size + 5 * dx.size,
    bytes=lambda dx, dgamma, dbeta, dy, *_: 2 * dy.nbytes + dx.nbytes,
    parallel_bytes=PARALLEL_BYTES,
    cases=_backward_cases,
    outputs=3,
)
batchnorm_running = Kernel(
    "batchnorm_running",
    _running_reference,
    _running_cpu,
    _running_cuda,
    grid=a_thread_each,
    flops=lambda running_mean, *_: 7 * running_mean.size,
    cases=_running_cases,
    outputs=2,
    in_place=True,
)
