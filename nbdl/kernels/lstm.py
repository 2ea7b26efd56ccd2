"""The recurrence of an LSTM: gates decide what is written, what is forgotten and what is shown (Hochreiter, Schmidhuber 1997).

    [i f g o] = z_t + h_(t-1) U,    z_t = x_t W + b, of all steps at once
    i, f, o = sigmoid, g = tanh of these
    c_t = f c_(t-1) + i g
    h_t = o tanh(c_t)

and backwards, from dh_t = dy_t + what comes from step t + 1:

    do = dh tanh(c_t) o (1 - o)      dc += dh o (1 - tanh(c_t)^2)
    di = dc g i (1 - i)              df = dc c_(t-1) f (1 - f)        dg = dc i (1 - g^2)
    dh_(t-1) = [di df dg do] U^T     dc_(t-1) = dc f

A step at or behind the length of its sequence changes nothing: h and c pass through, y is 0. `turned` 1 walks from the last
step to the first. z holds the sums when forward begins and the gates (0 where nothing happens) when it ends; backward puts dz in their place.

Shape: z (steps, batch, 4 units), h and c (steps + 1, batch, units), u (units, 4 units), y and dy (batch, steps, ...) with
this layer's units from column `first` on, or (batch, 1, ...) with `sequences` 0, when y is the last h alone; lengths
(batch); h0, c0, h_last, c_last, dh, dc (batch, units). Order of the gates and of their weights as in PyTorch.
"""

import numpy as np
from numba import prange
from numba.extending import register_jitable

from nbdl.kernel import Kernel, cuda, threads
from nbdl.kernels.blocks import threads_for
from nbdl.kernels.elementary import sigmoid, tanh
from nbdl.kernels.matmul import piece
from nbdl.kernels.recurrence import FEW, PANEL, add_product, add_product_turned, pack, pack_turned, panels_of


def _forward_reference(y, h, c, z, h_last, c_last, u, panels, lengths, h0, c0, first, sequences, turned):
    steps, units = len(z), h.shape[2]
    h[steps * turned], c[steps * turned] = h0, c0
    y[:, :, first : first + units] = 0
    for t in range(steps)[:: 1 - 2 * turned]:
        before, after, active = t + turned, t + 1 - turned, (t < lengths)[:, None]
        z[t] += h[before] @ u
        i, f, g, o = (z[t, :, k * units : (k + 1) * units] for k in range(4))
        i[...], f[...], g[...], o[...] = sigmoid(i), sigmoid(f), np.tanh(g), sigmoid(o)
        z[t] *= active
        c[after] = np.where(active, f * c[before] + i * g, c[before])
        h[after] = np.where(active, o * np.tanh(c[after]), h[before])
        if sequences:
            y[:, t, first : first + units] = np.where(active, h[after], 0)
    end = steps * (1 - turned)
    h_last[...], c_last[...] = h[end], c[end]
    if not sequences:
        y[:, 0, first : first + units] = h[end]


@register_jitable
def _cell(h, c, gates, before):
    """One step of one sample. Shape: h, c and before (c_(t-1)) (units), gates (4 units)."""
    units = h.size
    i, f, g, o = gates[:units], gates[units : 2 * units], gates[2 * units : 3 * units], gates[3 * units :]
    for j in range(2 * units):
        gates[j] = sigmoid(gates[j])
    for j in range(units):
        g[j] = tanh(g[j])
    for j in range(units):
        o[j] = sigmoid(o[j])
    for j in range(units):
        c[j] = f[j] * before[j] + i[j] * g[j]
    for j in range(units):
        h[j] = o[j] * tanh(c[j])


def _forward_cpu(y, h, c, z, h_last, c_last, u, panels, lengths, h0, c0, first, sequences, turned):
    steps, batch, units = z.shape[0], z.shape[1], h.shape[2]
    packed, workers = batch >= FEW, max(1, min(threads(), batch))
    if packed:
        for number in prange(panels.shape[0]):
            pack(panels[number], u, number)
    for worker in prange(workers):
        i0, i1 = piece(worker, workers, batch, 1)
        h[steps * turned, i0:i1] = h0[i0:i1]
        c[steps * turned, i0:i1] = c0[i0:i1]
        for s in range(steps):
            t = steps - 1 - s if turned else s
            before, after = t + turned, t + 1 - turned
            add_product(z[t, i0:i1], h[before, i0:i1], u, panels, packed)
            for i in range(i0, i1):
                if t < lengths[i]:
                    _cell(h[after, i], c[after, i], z[t, i], c[before, i])
                else:
                    z[t, i] = 0
                    h[after, i] = h[before, i]
                    c[after, i] = c[before, i]
                if sequences:
                    shown, row = y[i, t, first : first + units], h[after, i]
                    if t < lengths[i]:
                        for j in range(units):
                            shown[j] = row[j]
                    else:
                        shown[:] = 0
        end = steps * (1 - turned)
        h_last[i0:i1] = h[end, i0:i1]
        c_last[i0:i1] = c[end, i0:i1]
        if not sequences:
            for i in range(i0, i1):
                y[i, 0, first : first + units] = h[end, i]


def _forward_cuda(y, h, c, z, h_last, c_last, u, panels, lengths, h0, c0, first, sequences, turned):
    b, steps, units, first_unit, jump = cuda.blockIdx.x, z.shape[0], h.shape[2], cuda.threadIdx.x, cuda.blockDim.x
    for j in range(first_unit, units, jump):
        h[steps * turned, b, j] = h0[b, j]
        c[steps * turned, b, j] = c0[b, j]
    cuda.syncthreads()
    for s in range(steps):
        t = steps - 1 - s if turned else s
        before, after = t + turned, t + 1 - turned
        for j in range(first_unit, units, jump):
            if t < lengths[b]:
                i, f, g, o = z[t, b, j], z[t, b, units + j], z[t, b, 2 * units + j], z[t, b, 3 * units + j]
                for k in range(units):
                    value = h[before, b, k]
                    i += value * u[k, j]
                    f += value * u[k, units + j]
                    g += value * u[k, 2 * units + j]
                    o += value * u[k, 3 * units + j]
                i, f, g, o = sigmoid(i), sigmoid(f), tanh(g), sigmoid(o)
                z[t, b, j], z[t, b, units + j], z[t, b, 2 * units + j], z[t, b, 3 * units + j] = i, f, g, o
                c[after, b, j] = f * c[before, b, j] + i * g
                h[after, b, j] = o * tanh(c[after, b, j])
            else:
                for gate in range(4):
                    z[t, b, gate * units + j] = 0
                c[after, b, j] = c[before, b, j]
                h[after, b, j] = h[before, b, j]
            if sequences:
                y[b, t, first + j] = h[after, b, j] if t < lengths[b] else z.dtype.type(0)
        cuda.syncthreads()
    end = steps * (1 - turned)
    for j in range(first_unit, units, jump):
        h_last[b, j] = h[end, b, j]
        c_last[b, j] = c[end, b, j]
        if not sequences:
            y[b, 0, first + j] = h[end, b, j]


def _backward_reference(z, dh, dc, dy, c, u, panels, lengths, first, sequences, turned):
    steps, units = len(z), dh.shape[1]
    dh[...] = 0 if sequences else dy[:, 0, first : first + units]
    dc[...] = 0
    for t in range(steps)[:: 2 * turned - 1]:
        before, after, active = t + turned, t + 1 - turned, (t < lengths)[:, None]
        i, f, g, o = (z[t, :, k * units : (k + 1) * units].copy() for k in range(4))
        error = dh + (dy[:, t, first : first + units] if sequences else 0)
        shown = np.tanh(c[after])
        memory = dc + error * o * (1 - shown * shown)
        z[t] = np.hstack(
            [memory * g * i * (1 - i), memory * c[before] * f * (1 - f), memory * i * (1 - g * g),
             error * shown * o * (1 - o)]
        ) * active  # fmt: skip
        dc[...] = np.where(active, memory * f, dc)
        dh[...] = np.where(active, z[t] @ u.T, dh)


@register_jitable
def _cell_backward(gates, dh, dc, shown, before):
    """dz of one step of one sample in place of its gates; dc goes on to the step before, dh is left at 0.

    `shown` is c_t when it begins and scratch then. Shape: gates (4 units), all others (units).
    """
    units, one, zero = dh.size, dh.dtype.type(1), dh.dtype.type(0)
    i, f, g, o = gates[:units], gates[units : 2 * units], gates[2 * units : 3 * units], gates[3 * units :]
    for j in range(units):
        shown[j] = tanh(shown[j])
    for j in range(units):
        dc[j] += dh[j] * o[j] * (one - shown[j] * shown[j])
        o[j] = dh[j] * shown[j] * o[j] * (one - o[j])
    for j in range(units):
        written, candidate = i[j], g[j]
        i[j] = dc[j] * candidate * written * (one - written)
        g[j] = dc[j] * written * (one - candidate * candidate)
    for j in range(units):
        kept = f[j]
        f[j] = dc[j] * before[j] * kept * (one - kept)
        dc[j] *= kept
        dh[j] = zero


def _backward_cpu(z, dh, dc, dy, c, u, panels, lengths, first, sequences, turned):
    steps, batch, units = z.shape[0], z.shape[1], dh.shape[1]
    packed, workers = batch >= FEW, max(1, min(threads(), batch))
    if packed:
        for number in prange(panels.shape[0]):
            pack_turned(panels[number], u, number)
    for worker in prange(workers):
        i0, i1 = piece(worker, workers, batch, 1)
        shown = np.empty(units, z.dtype)
        dc[i0:i1] = 0
        for i in range(i0, i1):
            if sequences:
                dh[i] = 0
            else:
                dh[i] = dy[i, 0, first : first + units]
        for s in range(steps):
            t = s if turned else steps - 1 - s
            before, after = t + turned, t + 1 - turned
            for i in range(i0, i1):
                if t < lengths[i]:
                    error, memory = dh[i], c[after, i]
                    if sequences:
                        here = dy[i, t, first : first + units]
                        for j in range(units):
                            error[j] += here[j]
                    for j in range(units):
                        shown[j] = memory[j]
                    _cell_backward(z[t, i], error, dc[i], shown, c[before, i])
                else:
                    z[t, i] = 0
            add_product_turned(dh[i0:i1], z[t, i0:i1], u, panels, packed)


def _backward_cuda(z, dh, dc, dy, c, u, panels, lengths, first, sequences, turned):
    b, steps, units, first_unit, jump = cuda.blockIdx.x, z.shape[0], dh.shape[1], cuda.threadIdx.x, cuda.blockDim.x
    zero, one = z.dtype.type(0), z.dtype.type(1)
    for j in range(first_unit, units, jump):
        dh[b, j] = zero if sequences else dy[b, 0, first + j]
        dc[b, j] = zero
    for s in range(steps):
        t = s if turned else steps - 1 - s
        before, after = t + turned, t + 1 - turned
        for j in range(first_unit, units, jump):
            if t < lengths[b]:
                i, f, g, o = z[t, b, j], z[t, b, units + j], z[t, b, 2 * units + j], z[t, b, 3 * units + j]
                error = dh[b, j] + (dy[b, t, first + j] if sequences else zero)
                shown = tanh(c[after, b, j])
                memory = dc[b, j] + error * o * (one - shown * shown)
                z[t, b, j] = memory * g * i * (one - i)
                z[t, b, units + j] = memory * c[before, b, j] * f * (one - f)
                z[t, b, 2 * units + j] = memory * i * (one - g * g)
                z[t, b, 3 * units + j] = error * shown * o * (one - o)
                dc[b, j] = memory * f
            else:
                for gate in range(4):
                    z[t, b, gate * units + j] = zero
        cuda.syncthreads()
        if t < lengths[b]:
            for j in range(first_unit, units, jump):
                total = zero
                for k in range(4 * units):
                    total += z[t, b, k] * u[j, k]
                dh[b, j] = total
        cuda.syncthreads()


def _forward_cases(random, dtype):
    for steps, batch, units in ((1, 1, 1), (3, 2, 5), (4, 5, 3), (7, 33, 20), (5, 3, 40)):
        for sequences, turned in ((0, 0), (1, 0), (1, 1), (0, 1)):
            z = random.standard_normal((steps, batch, 4 * units)).astype(dtype)
            u = random.standard_normal((units, 4 * units)).astype(dtype)
            h0, c0 = (random.standard_normal((batch, units)).astype(dtype) for _ in range(2))
            lengths = random.integers(0, steps + 1, batch)
            lengths[0] = steps
            h, c = (np.empty((steps + 1, batch, units), dtype) for _ in range(2))
            y = np.empty((batch, steps if sequences else 1, units), dtype)
            panels = np.zeros((panels_of(4 * units), units, PANEL), dtype)
            yield y, h, c, z, h0 * 0, c0 * 0, u, panels, lengths, h0, c0, 0, sequences, turned


def _backward_cases(random, dtype):
    for y, h, c, z, h_last, c_last, u, panels, lengths, h0, c0, first, sequences, turned in _forward_cases(
        random, dtype
    ):
        _forward_reference(y, h, c, z, h_last, c_last, u, panels, lengths, h0, c0, first, sequences, turned)
        dy = random.standard_normal(y.shape).astype(dtype)
        panels = np.zeros((panels_of(h.shape[2]), u.shape[1], PANEL), dtype)
        yield z, h_last, c_last, dy, c, u, panels, lengths, first, sequences, turned


_CELL = 30  # operations of one unit and step beside the product: five exps and what joins them


def _grid(z, units: int) -> tuple[int, int]:
    """A block each sample, a thread for each unit."""
    return z.shape[1], threads_for(units)


lstm_forward = Kernel(
    "lstm_forward",
    _forward_reference,
    _forward_cpu,
    _forward_cuda,
    grid=lambda y, h, c, z, *_: _grid(z, h.shape[2]),
    flops=lambda y, h, c, z, *_: z.size * 2 * h.shape[2] + _CELL * z.size // 4,
    cases=_forward_cases,
    outputs=6,
    in_place=(3,),
)
lstm_backward = Kernel(
    "lstm_backward",
    _backward_reference,
    _backward_cpu,
    _backward_cuda,
    grid=lambda z, dh, *_: _grid(z, dh.shape[1]),
    flops=lambda z, dh, *_: z.size * 2 * dh.shape[1] + _CELL * z.size // 4,
    cases=_backward_cases,
    outputs=3,
    in_place=(0,),
)
