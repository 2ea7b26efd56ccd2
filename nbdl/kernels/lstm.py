"""The recurrence of an LSTM: gates decide what is written, what is forgotten and what is shown (Hochreiter, Schmidhuber 1997).

    [i f g o] = x_t W + h_(t-1) U + b
    i, f, o = sigmoid, g = tanh of these
    c_t = f c_(t-1) + i g
    h_t = o tanh(c_t)

and backwards, from dh_t = dy_t + what comes from step t + 1:

    do = dh tanh(c_t) o (1 - o)      dc += dh o (1 - tanh(c_t)^2)
    di = dc g i (1 - i)              df = dc c_(t-1) f (1 - f)        dg = dc i (1 - g^2)
    dh_(t-1) = [di df dg do] U^T     dc_(t-1) = dc f

A step at or behind the length of its sequence changes nothing: h and c pass through, y is 0. `turned` 1 walks from the last
step to the first. Forward leaves the gates in z (0 where nothing happens), and backward puts dz in their place.

Shape: z (steps, batch, 4 units), h and c (steps + 1, batch, units), x (steps, batch, inputs), w (inputs, 4 units), u (units,
4 units), b (4 units), panels: room for the weights as `panels.py` packs them, y and dy (batch, steps, ...) with
this layer's units from column `first` on, or (batch, 1, ...) with `sequences` 0, when y is the last h alone; lengths
(batch); h0, c0, h_last, c_last, dh, dc (batch, units). Order of the gates and of their weights as in PyTorch.
"""

import numpy as np
from numba import prange
from numba.extending import register_jitable

from nbdl.kernel import Kernel, cuda, threads
from nbdl.kernels.apart import read, write
from nbdl.kernels.blocks import threads_for
from nbdl.kernels.elementary import sigmoid, tanh
from nbdl.kernels.matmul import piece
from nbdl.kernels.panels import BLOCKS, add_product, begin_product, pack, pack_turned, packed, packed_both
from nbdl.kernels.recurrence import add_error, add_rows, begin_errors, project_all, show


def _forward_reference(y, h, c, z, h_last, c_last, x, w, u, b, panels, lengths, h0, c0, first, sequences, turned):
    steps, units = len(z), h.shape[2]
    h[steps * turned], c[steps * turned] = h0, c0
    y[:, :, first : first + units] = 0
    for t in range(steps)[:: 1 - 2 * turned]:
        before, after, active = t + turned, t + 1 - turned, (t < lengths)[:, None]
        z[t] = x[t] @ w + h[before] @ u + b
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
    written, kept, candidate, shown = (
        gates[:units], gates[units : 2 * units], gates[2 * units : 3 * units], gates[3 * units :]
    )  # fmt: skip
    for j in range(units):
        i, f = sigmoid(read(written, j, 0)), sigmoid(read(kept, j, 1))
        g, o = tanh(read(candidate, j, 2)), sigmoid(read(shown, j, 3))
        memory = f * read(before, j, 4) + i * g
        write(written, j, 0, i)
        write(kept, j, 1, f)
        write(candidate, j, 2, g)
        write(shown, j, 3, o)
        write(c, j, 4, memory)  # the next step's `before`
        write(h, j, 5, o * tanh(memory))


def _forward_cpu(y, h, c, z, h_last, c_last, x, w, u, b, panels, lengths, h0, c0, first, sequences, turned):
    steps, batch, units = z.shape[0], z.shape[1], h.shape[2]
    workers, inputs = max(1, min(threads(), batch)), panels.shape[1] - units  # 0 for few samples
    of_x, of_h = panels[:, :inputs], panels[:, inputs:]
    for number in prange(panels.shape[0]):
        pack(of_h[number], u, number)
        if inputs > 0:
            pack(of_x[number], w, number)
    if inputs == 0:
        project_all(z, x, w)
    for worker in prange(workers):
        i0, i1 = piece(worker, workers, batch, 1)
        h[steps * turned, i0:i1] = h0[i0:i1]
        c[steps * turned, i0:i1] = c0[i0:i1]
        for s in range(steps):
            t = steps - 1 - s if turned else s
            before, after = t + turned, t + 1 - turned
            if inputs > 0:  # a step of many samples stays in the cache from here to its gates
                begin_product(z[t, i0:i1], b, x[t, i0:i1], h[before, i0:i1], panels)
            else:
                add_rows(z, t, i0, i1, b)
                add_product(z[t, i0:i1], h[before, i0:i1], panels)
            for i in range(i0, i1):
                if t < lengths[i]:
                    _cell(h[after, i], c[after, i], z[t, i], c[before, i])
                else:
                    z[t, i] = 0
                    h[after, i] = h[before, i]
                    c[after, i] = c[before, i]
                if sequences:
                    show(y, i, t, first, h[after, i], t < lengths[i])
        end = steps * (1 - turned)
        h_last[i0:i1] = h[end, i0:i1]
        c_last[i0:i1] = c[end, i0:i1]
        if not sequences:
            for i in range(i0, i1):
                show(y, i, 0, first, h[end, i], True)


def _forward_cuda(y, h, c, z, h_last, c_last, x, w, u, b, panels, lengths, h0, c0, first, sequences, turned):
    n, steps, units, first_unit, jump = cuda.blockIdx.x, z.shape[0], h.shape[2], cuda.threadIdx.x, cuda.blockDim.x
    for j in range(first_unit, units, jump):
        h[steps * turned, n, j] = h0[n, j]
        c[steps * turned, n, j] = c0[n, j]
    cuda.syncthreads()
    for s in range(steps):
        t = steps - 1 - s if turned else s
        before, after = t + turned, t + 1 - turned
        for j in range(first_unit, units, jump):
            if t < lengths[n]:
                i, f, g, o = b[j], b[units + j], b[2 * units + j], b[3 * units + j]
                for k in range(w.shape[0]):
                    value = x[t, n, k]
                    i += value * w[k, j]
                    f += value * w[k, units + j]
                    g += value * w[k, 2 * units + j]
                    o += value * w[k, 3 * units + j]
                for k in range(units):
                    value = h[before, n, k]
                    i += value * u[k, j]
                    f += value * u[k, units + j]
                    g += value * u[k, 2 * units + j]
                    o += value * u[k, 3 * units + j]
                i, f, g, o = sigmoid(i), sigmoid(f), tanh(g), sigmoid(o)
                z[t, n, j], z[t, n, units + j], z[t, n, 2 * units + j], z[t, n, 3 * units + j] = i, f, g, o
                c[after, n, j] = f * c[before, n, j] + i * g
                h[after, n, j] = o * tanh(c[after, n, j])
            else:
                for gate in range(4):
                    z[t, n, gate * units + j] = 0
                c[after, n, j] = c[before, n, j]
                h[after, n, j] = h[before, n, j]
            if sequences:
                y[n, t, first + j] = h[after, n, j] if t < lengths[n] else z.dtype.type(0)
        cuda.syncthreads()
    end = steps * (1 - turned)
    for j in range(first_unit, units, jump):
        h_last[n, j] = h[end, n, j]
        c_last[n, j] = c[end, n, j]
        if not sequences:
            y[n, 0, first + j] = h[end, n, j]


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
def _cell_backward(gates, dh, dc, memory, before):
    """dz of one step of one sample in place of its gates; dc goes on to the step before, dh is left at 0.

    Shape: gates (4 units), dh, dc, memory (c_t) and before (c_(t-1)) (units).
    """
    units, one = dh.size, dh.dtype.type(1)
    written, kept, candidate, shown = (
        gates[:units], gates[units : 2 * units], gates[2 * units : 3 * units], gates[3 * units :]
    )  # fmt: skip
    for j in range(units):
        i, f, g, o = read(written, j, 0), read(kept, j, 1), read(candidate, j, 2), read(shown, j, 3)
        error, content = read(dh, j, 5), tanh(read(memory, j, 4))
        through = read(dc, j, 6) + error * o * (one - content * content)
        write(written, j, 0, through * g * i * (one - i))
        write(kept, j, 1, through * read(before, j, 4) * f * (one - f))
        write(candidate, j, 2, through * i * (one - g * g))
        write(shown, j, 3, error * content * o * (one - o))
        write(dc, j, 6, through * f)
        write(dh, j, 5, dh.dtype.type(0))


def _backward_cpu(z, dh, dc, dy, c, u, panels, lengths, first, sequences, turned):
    steps, batch = z.shape[0], z.shape[1]
    workers = max(1, min(threads(), batch))
    for number in prange(panels.shape[0]):
        pack_turned(panels[number], u, number)
    for worker in prange(workers):
        i0, i1 = piece(worker, workers, batch, 1)
        dc[i0:i1] = 0
        begin_errors(dh, dy, i0, i1, first, sequences)
        for s in range(steps):
            t = s if turned else steps - 1 - s
            before, after = t + turned, t + 1 - turned
            for i in range(i0, i1):
                if t < lengths[i]:
                    if sequences:
                        add_error(dh[i], dy, i, t, first)
                    _cell_backward(z[t, i], dh[i], dc[i], c[after, i], c[before, i])
                else:
                    z[t, i] = 0
            add_product(dh[i0:i1], z[t, i0:i1], panels)


def _backward_cuda(z, dh, dc, dy, c, u, panels, lengths, first, sequences, turned):
    n, steps, units, first_unit, jump = cuda.blockIdx.x, z.shape[0], dh.shape[1], cuda.threadIdx.x, cuda.blockDim.x
    zero, one = z.dtype.type(0), z.dtype.type(1)
    for j in range(first_unit, units, jump):
        dh[n, j] = zero if sequences else dy[n, 0, first + j]
        dc[n, j] = zero
    for s in range(steps):
        t = s if turned else steps - 1 - s
        before, after = t + turned, t + 1 - turned
        for j in range(first_unit, units, jump):
            if t < lengths[n]:
                i, f, g, o = z[t, n, j], z[t, n, units + j], z[t, n, 2 * units + j], z[t, n, 3 * units + j]
                error = dh[n, j] + (dy[n, t, first + j] if sequences else zero)
                shown = tanh(c[after, n, j])
                memory = dc[n, j] + error * o * (one - shown * shown)
                z[t, n, j] = memory * g * i * (one - i)
                z[t, n, units + j] = memory * c[before, n, j] * f * (one - f)
                z[t, n, 2 * units + j] = memory * i * (one - g * g)
                z[t, n, 3 * units + j] = error * shown * o * (one - o)
                dc[n, j] = memory * f
            else:
                for gate in range(4):
                    z[t, n, gate * units + j] = zero
        cuda.syncthreads()
        if t < lengths[n]:
            for j in range(first_unit, units, jump):
                total = zero
                for k in range(4 * units):
                    total += z[t, n, k] * u[j, k]
                dh[n, j] = total
        cuda.syncthreads()


def _forward_cases(random, dtype):
    for steps, batch, units in ((1, 1, 1), (3, 2, 5), (4, 5, 3), (7, 33, 20), (5, 3, 40)):
        for sequences, turned in ((0, 0), (1, 0), (1, 1), (0, 1)):
            z, inputs = np.empty((steps, batch, 4 * units), dtype), batch + 1
            x, w = (random.standard_normal(s).astype(dtype) for s in ((steps, batch, inputs), (inputs, 4 * units)))
            b = random.standard_normal(4 * units).astype(dtype)
            u = random.standard_normal((units, 4 * units)).astype(dtype)
            h0, c0 = (random.standard_normal((batch, units)).astype(dtype) for _ in range(2))
            lengths = random.integers(0, steps + 1, batch)
            lengths[0] = steps
            h, c = (np.empty((steps + 1, batch, units), dtype) for _ in range(2))
            y = np.empty((batch, steps if sequences else 1, units), dtype)
            panels = np.zeros(packed_both(batch, inputs, units, 4 * units), dtype)
            yield y, h, c, z, h0 * 0, c0 * 0, x, w, u, b, panels, lengths, h0, c0, 0, sequences, turned


def _backward_cases(random, dtype):
    for arguments in _forward_cases(random, dtype):
        _forward_reference(*arguments)
        y, _, c, z, dh, dc, _, _, u, _, _, lengths, _, _, first, sequences, turned = arguments
        dy = random.standard_normal(y.shape).astype(dtype)
        panels = np.zeros(packed(len(dh), u.shape[1], len(u)), dtype)
        yield z, dh, dc, dy, c, u, panels, lengths, first, sequences, turned


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
    flops=lambda y, h, c, z, h_last, c_last, x, w, u, *_: z.size * 2 * (len(w) + len(u)) + _CELL * z.size // 4,
    pieces=lambda y, *_: len(y),
    cases=_forward_cases,
    blocks=BLOCKS,
    outputs=6,
)
lstm_backward = Kernel(
    "lstm_backward",
    _backward_reference,
    _backward_cpu,
    _backward_cuda,
    grid=lambda z, dh, *_: _grid(z, dh.shape[1]),
    flops=lambda z, dh, *_: z.size * 2 * dh.shape[1] + _CELL * z.size // 4,
    pieces=lambda z, dh, *_: len(dh),
    cases=_backward_cases,
    blocks=BLOCKS,
    outputs=3,
    in_place=(0,),
)
