"""The recurrence of a simple recurrent network (Elman 1990): what it knew a step ago is one more input.

    h_t = f(x_t W + h_(t-1) U + b),    f = tanh or relu

and backwards, from dh_t = dy_t + what comes from step t + 1:

    dz_t = dh_t f'(z_t), which h_t tells: 1 - h_t^2, or 1 where h_t > 0        dh_(t-1) = dz_t U^T

A step at or behind the length of its sequence changes nothing: h passes through, y is 0. `turned` 1 walks from the last step
to the first.

Shape: h (steps + 1, batch, units), x (steps, batch, inputs), w (inputs, units), u (units, units), b (units), dz (steps,
batch, units), panels: room for the weights as `panels.py` packs them, y and dy (batch, steps, ...) with this layer's
units from column `first` on, or (batch, 1, ...) with `sequences` 0, when y is the last h alone; lengths (batch); h0, h_last
and dh (batch, units).
"""

import numpy as np
from numba import prange

from nbdl.kernel import Kernel, cuda, threads
from nbdl.kernels.activation import RELU, TANH, activate
from nbdl.kernels.blocks import threads_for
from nbdl.kernels.elementary import tanh
from nbdl.kernels.matmul import piece
from nbdl.kernels.panels import BLOCKS, add_product, begin_product, pack, pack_turned, packed, packed_both
from nbdl.kernels.recurrence import add_error, add_rows, begin_errors, project_all, show


def _forward_reference(y, h, h_last, x, w, u, b, panels, lengths, h0, kind, first, sequences, turned):
    steps, units = len(x), h.shape[2]
    h[steps * turned] = h0
    for t in range(steps)[:: 1 - 2 * turned]:
        before, after, active = t + turned, t + 1 - turned, (t < lengths)[:, None]
        z = x[t] @ w + h[before] @ u + b
        h[after] = np.where(active, np.tanh(z) if kind == TANH else np.maximum(z, 0), h[before])
        if sequences:
            y[:, t, first : first + units] = np.where(active, h[after], 0)
    h_last[...] = h[steps * (1 - turned)]
    if not sequences:
        y[:, 0, first : first + units] = h_last


def _forward_cpu(y, h, h_last, x, w, u, b, panels, lengths, h0, kind, first, sequences, turned):
    steps, batch, units = x.shape[0], x.shape[1], h.shape[2]
    workers, inputs = max(1, min(threads(), batch)), panels.shape[1] - units  # 0 for few samples
    zero = h.dtype.type(0)
    of_x, of_h, start, end = panels[:, :inputs], panels[:, inputs:], steps * turned, steps * (1 - turned)
    for number in prange(panels.shape[0]):
        pack(of_h[number], u, number)
        if inputs > 0:
            pack(of_x[number], w, number)
    if inputs == 0:
        project_all(h[1 - turned : steps + 1 - turned], x, w)
    for worker in prange(workers):
        i0, i1 = piece(worker, workers, batch, 1)
        h[start, i0:i1] = h0[i0:i1]
        for s in range(steps):
            t = steps - 1 - s if turned else s
            before, after = h[t + turned, i0:i1], h[t + 1 - turned, i0:i1]
            if inputs > 0:  # a step of many samples stays in the cache from here to its activation
                begin_product(after, b, x[t, i0:i1], before, panels)
            else:
                add_rows(h, t + 1 - turned, i0, i1, b)
                add_product(after, before, panels)
            for i in range(i1 - i0):
                row = after[i]
                if t >= lengths[i0 + i]:
                    row[:] = before[i]
                elif kind == TANH:
                    for j in range(units):
                        row[j] = tanh(row[j])
                else:
                    for j in range(units):
                        row[j] = zero if row[j] < zero else row[j]
                if sequences:
                    show(y, i0 + i, t, first, row, t < lengths[i0 + i])
        h_last[i0:i1] = h[end, i0:i1]
        if not sequences:
            for i in range(i0, i1):
                show(y, i, 0, first, h[end, i], True)


def _forward_cuda(y, h, h_last, x, w, u, b, panels, lengths, h0, kind, first, sequences, turned):
    n, steps, units, first_unit, jump = cuda.blockIdx.x, x.shape[0], h.shape[2], cuda.threadIdx.x, cuda.blockDim.x
    for j in range(first_unit, units, jump):
        h[steps * turned, n, j] = h0[n, j]
    cuda.syncthreads()
    value = cuda.local.array(1, h.dtype)
    for s in range(steps):
        t = steps - 1 - s if turned else s
        before, after = t + turned, t + 1 - turned
        for j in range(first_unit, units, jump):
            if t < lengths[n]:
                z = b[j]
                for k in range(w.shape[0]):
                    z += x[t, n, k] * w[k, j]
                for k in range(units):
                    z += h[before, n, k] * u[k, j]
                value[0] = z
                activate(value, kind)
                h[after, n, j] = value[0]
            else:
                h[after, n, j] = h[before, n, j]
            if sequences:
                y[n, t, first + j] = h[after, n, j] if t < lengths[n] else h.dtype.type(0)
        cuda.syncthreads()
    for j in range(first_unit, units, jump):
        h_last[n, j] = h[steps * (1 - turned), n, j]
        if not sequences:
            y[n, 0, first + j] = h_last[n, j]


def _backward_reference(dz, dh, dy, h, u, panels, lengths, kind, first, sequences, turned):
    steps, units = len(dz), dh.shape[1]
    dh[...] = 0 if sequences else dy[:, 0, first : first + units]
    for t in range(steps)[:: 2 * turned - 1]:
        shown, active = h[t + 1 - turned], (t < lengths)[:, None]
        error = dh + (dy[:, t, first : first + units] if sequences else 0)
        dz[t] = error * ((1 - shown * shown) if kind == TANH else (shown > 0)) * active
        dh[...] = np.where(active, dz[t] @ u.T, dh)


def _backward_cpu(dz, dh, dy, h, u, panels, lengths, kind, first, sequences, turned):
    steps, batch, units = dz.shape
    workers, one, zero = max(1, min(threads(), batch)), dz.dtype.type(1), dz.dtype.type(0)
    for number in prange(panels.shape[0]):
        pack_turned(panels[number], u, number)
    for worker in prange(workers):
        i0, i1 = piece(worker, workers, batch, 1)
        begin_errors(dh, dy, i0, i1, first, sequences)
        for s in range(steps):
            t = s if turned else steps - 1 - s
            for i in range(i0, i1):
                slope, error, shown = dz[t, i], dh[i], h[t + 1 - turned, i]
                if t >= lengths[i]:
                    slope[:] = 0
                    continue
                if sequences:
                    add_error(error, dy, i, t, first)
                if kind == TANH:
                    for j in range(units):
                        slope[j] = error[j] * (one - shown[j] * shown[j])
                else:
                    for j in range(units):
                        slope[j] = error[j] if shown[j] > zero else zero
                for j in range(units):
                    error[j] = zero
            add_product(dh[i0:i1], dz[t, i0:i1], panels)


def _backward_cuda(dz, dh, dy, h, u, panels, lengths, kind, first, sequences, turned):
    n, steps, units, first_unit, jump = cuda.blockIdx.x, dz.shape[0], dz.shape[2], cuda.threadIdx.x, cuda.blockDim.x
    zero, one = dz.dtype.type(0), dz.dtype.type(1)
    for j in range(first_unit, units, jump):
        dh[n, j] = zero if sequences else dy[n, 0, first + j]
    for s in range(steps):
        t = s if turned else steps - 1 - s
        for j in range(first_unit, units, jump):
            error, shown = dh[n, j] + (dy[n, t, first + j] if sequences else zero), h[t + 1 - turned, n, j]
            slope = one - shown * shown if kind == TANH else (one if shown > zero else zero)
            dz[t, n, j] = error * slope if t < lengths[n] else zero
        cuda.syncthreads()
        if t < lengths[n]:
            for j in range(first_unit, units, jump):
                total = zero
                for k in range(units):
                    total += dz[t, n, k] * u[j, k]
                dh[n, j] = total
        cuda.syncthreads()


def _forward_cases(random, dtype):
    for steps, batch, units in ((1, 1, 1), (3, 2, 5), (4, 5, 3), (7, 33, 20), (5, 3, 40)):
        for sequences, turned, kind in ((0, 0, TANH), (1, 0, RELU), (1, 1, TANH), (0, 1, RELU)):
            inputs = batch + 1
            x, w = (random.standard_normal(s).astype(dtype) for s in ((steps, batch, inputs), (inputs, units)))
            u, b = (random.standard_normal(s).astype(dtype) for s in ((units, units), units))
            h0, lengths = random.standard_normal((batch, units)).astype(dtype), random.integers(0, steps + 1, batch)
            lengths[0] = steps
            h, y = (
                np.empty((steps + 1, batch, units), dtype),
                np.empty((batch, steps if sequences else 1, units), dtype),
            )
            panels = np.zeros(packed_both(batch, inputs, units, units), dtype)
            yield y, h, h0 * 0, x, w, u / units, b, panels, lengths, h0, kind, 0, sequences, turned


def _backward_cases(random, dtype):
    for arguments in _forward_cases(random, dtype):
        _forward_reference(*arguments)
        y, h, dh, _, _, u, _, _, lengths, _, kind, first, sequences, turned = arguments
        dy, dz = random.standard_normal(y.shape).astype(dtype), np.empty_like(h[1:])
        panels = np.zeros(packed(len(dh), len(u), len(u)), dtype)
        yield dz, dh, dy, h, u, panels, lengths, kind, first, sequences, turned


simple_rnn_forward = Kernel(
    "simple_rnn_forward",
    _forward_reference,
    _forward_cpu,
    _forward_cuda,
    grid=lambda y, h, *_: (h.shape[1], threads_for(h.shape[2])),
    flops=lambda y, h, h_last, x, w, u, *_: h[1:].size * (2 * len(w) + 2 * len(u) + 5),
    pieces=lambda y, *_: len(y),
    cases=_forward_cases,
    blocks=BLOCKS,
    outputs=3,
)
simple_rnn_backward = Kernel(
    "simple_rnn_backward",
    _backward_reference,
    _backward_cpu,
    _backward_cuda,
    grid=lambda dz, *_: (dz.shape[1], threads_for(dz.shape[2])),
    flops=lambda dz, dh, *_: dz.size * (2 * dh.shape[1] + 4),
    pieces=lambda dz, dh, *_: len(dh),
    cases=_backward_cases,
    blocks=BLOCKS,
    outputs=2,
)
