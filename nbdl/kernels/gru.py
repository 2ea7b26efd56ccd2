"""The recurrence of a gated recurrent unit: one gate forgets, another keeps (Cho et al. 2014).

    r_t, k_t = sigmoid([x_t W + b + h_(t-1) U] of the first and the second third)
    n_t = tanh(x_t W + b + q_t U of the last third),   q = r h_(t-1)                with `after` 0: reset before the product
    n_t = tanh(x_t W + b + r q_t),   q = h_(t-1) U + c of the last third            with `after` 1: reset after it (PyTorch)
    h_t = (1 - k) n + k h_(t-1)

and backwards, from dh = dy_t + what comes from step t + 1:

    dn = dh (1 - k) (1 - n^2)        dk = dh (h_(t-1) - n) k (1 - k)
    after:   dq = dn r, dr = dn q r (1 - r),   dh_(t-1) = dh k + [dr dk] U^T + dq U^T
    before:  e = dn U^T, dr = e h_(t-1) r (1 - r),   dh_(t-1) = dh k + e r + [dr dk] U^T

A step at or behind the length of its sequence changes nothing: h passes through, y is 0. `turned` 1 walks from the last step
to the first. Forward leaves the gates r, k, n in z and q; backward puts dz in their place, and `after` dq in that of q.

Shape: z (steps, batch, 3 units), q (steps, batch, units), h (steps + 1, batch, units), x (steps, batch, inputs), w (inputs, 3
units), u (units, 3 units), b (3 units), c (units, or none when reset before); of_x, of_gates, of_candidate: room for W, and
for two thirds and the last third of U, packed as in `panels.py`; y and dy (batch, steps, ...) with this layer's units from
column `first` on, or (batch, 1, ...) with `sequences` 0, when y is the last h alone; lengths (batch); h0, h_last, dh (batch,
units). Order of the gates and of their weights as in PyTorch.
"""

import numpy as np
from numba import prange
from numba.extending import register_jitable

from nbdl.kernel import Kernel, cuda, threads
from nbdl.kernels.blocks import threads_for
from nbdl.kernels.elementary import sigmoid, tanh
from nbdl.kernels.matmul import GRAIN, piece
from nbdl.kernels.panels import BLOCKS, FEW, add_product, begin_product, pack, pack_turned, packed
from nbdl.kernels.recurrence import add_bias, add_error, add_rows, add_weights, begin_errors, project_all, show
from nbdl.kernels.tile import DEPTH


def _forward_reference(
    y, h, z, q, h_last, x, w, u, b, c, of_x, of_gates, of_candidate, lengths, h0, after, first, sequences, turned
):
    steps, units = len(z), h.shape[2]
    h[steps * turned] = h0
    for t in range(steps)[:: 1 - 2 * turned]:
        old, active = h[t + turned], (t < lengths)[:, None]
        z[t] = x[t] @ w + b
        r, k, n = (z[t, :, g * units : (g + 1) * units] for g in range(3))
        r[...] = sigmoid(r + old @ u[:, :units])
        k[...] = sigmoid(k + old @ u[:, units : 2 * units])
        if after:
            q[t] = old @ u[:, 2 * units :] + c
            n[...] = np.tanh(n + r * q[t])
        else:
            q[t] = r * old
            n[...] = np.tanh(n + q[t] @ u[:, 2 * units :])
        z[t], q[t] = z[t] * active, q[t] * active
        h[t + 1 - turned] = np.where(active, (1 - k) * n + k * old, old)
        if sequences:
            y[:, t, first : first + units] = np.where(active, h[t + 1 - turned], 0)
    h_last[...] = h[steps * (1 - turned)]
    if not sequences:
        y[:, 0, first : first + units] = h_last


@register_jitable
def _open(gates, q, old, after):
    """The first two gates of one sample, and q where the reset comes before the product."""
    units = q.size
    for j in range(2 * units):
        gates[j] = sigmoid(gates[j])
    if not after:
        for j in range(units):
            q[j] = gates[j] * old[j]


@register_jitable
def _mix(new, gates, q, c, old):
    """The candidate and the new h of one sample; c of 0 numbers says that q is in the candidate's sum already."""
    units, one = new.size, new.dtype.type(1)
    r, k, n = gates[:units], gates[units : 2 * units], gates[2 * units :]
    if c.size > 0:
        for j in range(units):
            q[j] += c[j]
        for j in range(units):
            n[j] += r[j] * q[j]
    for j in range(units):
        n[j] = tanh(n[j])
    for j in range(units):
        new[j] = (one - k[j]) * n[j] + k[j] * old[j]


def _forward_cpu(
    y, h, z, q, h_last, x, w, u, b, c, of_x, of_gates, of_candidate, lengths, h0, after, first, sequences, turned
):
    steps, batch, units = z.shape[0], z.shape[1], h.shape[2]
    workers, many, start, end = max(1, min(threads(), batch)), batch >= FEW, steps * turned, steps * (1 - turned)
    for number in prange(of_gates.shape[0]):
        pack(of_gates[number], u[:, : 2 * units], number)
    for number in prange(of_candidate.shape[0]):
        pack(of_candidate[number], u[:, 2 * units :], number)
    if many:
        for number in prange(of_x.shape[0]):
            pack(of_x[number], w, number)
    else:
        project_all(z, x, w)
    for worker in prange(workers):
        i0, i1 = piece(worker, workers, batch, 1)
        h[start, i0:i1] = h0[i0:i1]
        for s in range(steps):
            t = steps - 1 - s if turned else s
            old, new, gates, side = h[t + turned, i0:i1], h[t + 1 - turned, i0:i1], z[t, i0:i1], q[t, i0:i1]
            if many:  # a step of many samples stays in the cache from here to its gates
                begin_product(gates, b, x[t, i0:i1], old[:, :0], of_x)
            else:
                add_rows(z, t, i0, i1, b)
            add_product(gates[:, : 2 * units], old, of_gates)
            for i in range(i1 - i0):
                _open(gates[i], side[i], old[i], after)
            if after:
                side[:] = 0
                add_product(side, old, of_candidate)
            else:
                add_product(gates[:, 2 * units :], side, of_candidate)
            for i in range(i1 - i0):
                row = new[i]
                if t < lengths[i0 + i]:
                    _mix(row, gates[i], side[i], c, old[i])
                else:
                    gates[i] = 0
                    side[i] = 0
                    row[:] = old[i]
                if sequences:
                    show(y, i0 + i, t, first, row, t < lengths[i0 + i])
        h_last[i0:i1] = h[end, i0:i1]
        if not sequences:
            for i in range(i0, i1):
                show(y, i, 0, first, h[end, i], True)


def _forward_cuda(
    y, h, z, q, h_last, x, w, u, b, c, of_x, of_gates, of_candidate, lengths, h0, after, first, sequences, turned
):
    m, steps, units, first_unit, jump = cuda.blockIdx.x, z.shape[0], h.shape[2], cuda.threadIdx.x, cuda.blockDim.x
    zero, one = z.dtype.type(0), z.dtype.type(1)
    for j in range(first_unit, units, jump):
        h[steps * turned, m, j] = h0[m, j]
    cuda.syncthreads()
    for s in range(steps):
        t = steps - 1 - s if turned else s
        here, active = t + turned, t < lengths[m]
        for j in range(first_unit, units, jump):
            r, k, n, side = b[j], b[units + j], b[2 * units + j], zero
            for i in range(w.shape[0]):
                value = x[t, m, i]
                r += value * w[i, j]
                k += value * w[i, units + j]
                n += value * w[i, 2 * units + j]
            for i in range(units):
                value = h[here, m, i]
                r += value * u[i, j]
                k += value * u[i, units + j]
                if after:
                    side += value * u[i, 2 * units + j]
            r, k = sigmoid(r), sigmoid(k)
            side = side + c[j] if after else r * h[here, m, j]
            z[t, m, j], z[t, m, units + j], z[t, m, 2 * units + j] = r, k, n
            q[t, m, j] = side if active else zero
        cuda.syncthreads()
        for j in range(first_unit, units, jump):
            r, k, n, old = z[t, m, j], z[t, m, units + j], z[t, m, 2 * units + j], h[here, m, j]
            if after:
                n += r * q[t, m, j]
            else:
                for i in range(units):
                    n += q[t, m, i] * u[i, 2 * units + j]
            n = tanh(n)
            new = (one - k) * n + k * old if active else old
            h[t + 1 - turned, m, j] = new
            z[t, m, j], z[t, m, units + j] = (r if active else zero), (k if active else zero)
            z[t, m, 2 * units + j] = n if active else zero
            if sequences:
                y[m, t, first + j] = new if active else zero
        cuda.syncthreads()
    for j in range(first_unit, units, jump):
        h_last[m, j] = h[steps * (1 - turned), m, j]
        if not sequences:
            y[m, 0, first + j] = h_last[m, j]


def _backward_reference(z, q, dh, e, dy, h, u, of_gates, of_candidate, lengths, after, first, sequences, turned):
    steps, units = len(z), dh.shape[1]
    dh[...] = 0 if sequences else dy[:, 0, first : first + units]
    for t in range(steps)[:: 2 * turned - 1]:
        old, active = h[t + turned], (t < lengths)[:, None]
        r, k, n = (z[t, :, g * units : (g + 1) * units].copy() for g in range(3))
        error = dh + (dy[:, t, first : first + units] if sequences else 0)
        dn, dk = error * (1 - k) * (1 - n * n), error * (old - n) * k * (1 - k)
        if after:
            dr, dq = dn * q[t] * r * (1 - r), dn * r
            direct = error * k + dq @ u[:, 2 * units :].T
            q[t] = dq * active
        else:
            e[...] = (dn * active) @ u[:, 2 * units :].T
            dr, direct = e * old * r * (1 - r), error * k + e * r
        z[t] = np.hstack([dr, dk, dn]) * active
        dh[...] = np.where(active, direct + z[t, :, : 2 * units] @ u[:, : 2 * units].T, dh)


@register_jitable
def _close(gates, q, dh, old, after):
    """dn and dk of one sample in place of n and k, dh k in place of dh; `after` also dr and dq in place of r and q."""
    units, one = dh.size, dh.dtype.type(1)
    r, k, n = gates[:units], gates[units : 2 * units], gates[2 * units :]
    for j in range(units):
        kept, candidate, error = k[j], n[j], dh[j]
        n[j] = error * (one - kept) * (one - candidate * candidate)
        k[j] = error * (old[j] - candidate) * kept * (one - kept)
        dh[j] = error * kept
    if after:
        for j in range(units):
            reset, side = r[j], q[j]
            r[j] = n[j] * side * reset * (one - reset)
            q[j] = n[j] * reset


def _backward_cpu(z, q, dh, e, dy, h, u, of_gates, of_candidate, lengths, after, first, sequences, turned):
    steps, batch, units = z.shape[0], z.shape[1], dh.shape[1]
    workers, one = max(1, min(threads(), batch)), z.dtype.type(1)
    for number in prange(of_gates.shape[0]):
        pack_turned(of_gates[number], u[:, : 2 * units], number)
        pack_turned(of_candidate[number], u[:, 2 * units :], number)
    for worker in prange(workers):
        i0, i1 = piece(worker, workers, batch, 1)
        begin_errors(dh, dy, i0, i1, first, sequences)
        for s in range(steps):
            t = s if turned else steps - 1 - s
            gates, side, room = z[t, i0:i1], q[t, i0:i1], e[i0:i1]
            for i in range(i0, i1):
                error = dh[i]
                if t >= lengths[i]:
                    z[t, i] = 0
                    q[t, i] = 0
                    continue
                if sequences:
                    add_error(error, dy, i, t, first)
                _close(z[t, i], q[t, i], error, h[t + turned, i], after)
            if after:
                add_product(dh[i0:i1], side, of_candidate)
            else:
                room[:] = 0
                add_product(room, gates[:, 2 * units :], of_candidate)
                for i in range(i0, i1):
                    if t < lengths[i]:
                        r, error, old, back = z[t, i, :units], dh[i], h[t + turned, i], e[i]
                        for j in range(units):
                            reset = r[j]
                            error[j] += back[j] * reset
                            r[j] = back[j] * old[j] * reset * (one - reset)
            add_product(dh[i0:i1], gates[:, : 2 * units], of_gates)


def _backward_cuda(z, q, dh, e, dy, h, u, of_gates, of_candidate, lengths, after, first, sequences, turned):
    m, steps, units, first_unit, jump = cuda.blockIdx.x, z.shape[0], dh.shape[1], cuda.threadIdx.x, cuda.blockDim.x
    zero, one = z.dtype.type(0), z.dtype.type(1)
    for j in range(first_unit, units, jump):
        dh[m, j] = zero if sequences else dy[m, 0, first + j]
    for s in range(steps):
        t = s if turned else steps - 1 - s
        active = t < lengths[m]
        for j in range(first_unit, units, jump):
            r, k, n, old = z[t, m, j], z[t, m, units + j], z[t, m, 2 * units + j], h[t + turned, m, j]
            error = dh[m, j] + (dy[m, t, first + j] if sequences else zero)
            dn, dk = error * (one - k) * (one - n * n), error * (old - n) * k * (one - k)
            if active:
                dh[m, j] = error * k
            if after:
                z[t, m, j] = dn * q[t, m, j] * r * (one - r) if active else zero
                q[t, m, j] = dn * r if active else zero
            z[t, m, units + j] = dk if active else zero
            z[t, m, 2 * units + j] = dn if active else zero
        cuda.syncthreads()
        if not after:
            for j in range(first_unit, units, jump):
                total, r = zero, z[t, m, j]
                for k in range(units):
                    total += z[t, m, 2 * units + k] * u[j, 2 * units + k]
                e[m, j] = total
                if active:
                    dh[m, j] += total * r
                z[t, m, j] = total * h[t + turned, m, j] * r * (one - r) if active else zero
            cuda.syncthreads()
        if active:
            for j in range(first_unit, units, jump):
                total = dh[m, j]
                for k in range(2 * units):
                    total += z[t, m, k] * u[j, k]
                if after:
                    for k in range(units):
                        total += q[t, m, k] * u[j, 2 * units + k]
                dh[m, j] = total
        cuda.syncthreads()


def _weights_reference(dw, du, db, dc, x, h, z, q, blend, after):
    (scale, keep), units = blend, h.shape[1]
    candidate = h.T @ q if after else q.T @ z[:, 2 * units :]
    recurrent = np.hstack([h.T @ z[:, : 2 * units], candidate])
    for gradient, value in ((dw, x.T @ z), (du, recurrent), (db, z.sum(axis=0)), (dc, q.sum(axis=0)[: dc.size])):
        gradient[...] = (keep * gradient if keep else 0) + scale * value


def _weights_cpu(dw, du, db, dc, x, h, z, q, blend, after):
    scale, keep, rows, units = blend[0], blend[1], len(z), h.shape[1]
    parts = max(1, min(threads(), units // GRAIN))
    for part in prange(parts):
        j0, j1 = piece(part, parts, units, GRAIN)
        total = np.empty(j1 - j0, db.dtype)
        for k0 in range(0, rows, DEPTH):  # a block of dz is read from afar once, and then from the cache
            k1, held = min(rows, k0 + DEPTH), keep if k0 == 0 else keep * 0 + 1
            for gate in range(3):
                first, last = gate * units + j0, gate * units + j1
                error, seen = z[k0:k1, first:last], h[k0:k1]
                add_bias(db[first:last], total, z, k0, k1, first, scale, held)
                add_weights(dw[:, first:last], x[k0:k1], error, scale, held)
                if gate == 2 and after:
                    error = q[k0:k1, j0:j1]
                    add_bias(dc[j0:j1], total, q, k0, k1, j0, scale, held)
                elif gate == 2:
                    seen = q[k0:k1]
                add_weights(du[:, first:last], seen, error, scale, held)


def _weights_cuda(dw, du, db, dc, x, h, z, q, blend, after):
    scale, keep, zero = blend[0], blend[1], du.dtype.type(0)
    number, inputs, units = cuda.grid(1), dw.shape[0], du.shape[0]
    i, j = number // db.size, number % db.size  # rows of dW, then of dU, then db, then dc
    if i > inputs + units + 1 or (i == inputs + units + 1 and j >= dc.size):
        return
    last, total = j >= 2 * units, zero
    for row in range(z.shape[0]):
        error = z[row, j]
        if i < inputs:
            total += x[row, i] * error
        elif i < inputs + units:
            if last and after:
                total += h[row, i - inputs] * q[row, j - 2 * units]
            elif last:
                total += q[row, i - inputs] * error
            else:
                total += h[row, i - inputs] * error
        elif i == inputs + units:
            total += error
        else:
            total += q[row, j]
    total *= scale
    if i < inputs:
        dw[i, j] = total + (keep * dw[i, j] if keep != zero else zero)
    elif i < inputs + units:
        du[i - inputs, j] = total + (keep * du[i - inputs, j] if keep != zero else zero)
    elif i == inputs + units:
        db[j] = total + (keep * db[j] if keep != zero else zero)
    else:
        dc[j] = total + (keep * dc[j] if keep != zero else zero)


def _forward_cases(random, dtype):
    for steps, batch, units in ((1, 1, 1), (3, 2, 4), (4, 5, 3), (7, 33, 20), (5, 3, 40)):
        for sequences, turned, after in ((0, 0, 1), (1, 0, 0), (1, 1, 1), (0, 1, 0)):
            inputs = batch + 1
            shapes = (steps, batch, inputs), (inputs, 3 * units), (units, 3 * units), 3 * units, units * after
            x, w, u, b, c = (random.standard_normal(shape).astype(dtype) for shape in shapes)
            h0, lengths = random.standard_normal((batch, units)).astype(dtype), random.integers(0, steps + 1, batch)
            lengths[0] = steps
            z, q, h = (
                np.empty((n, batch, k), dtype) for n, k in ((steps, 3 * units), (steps, units), (steps + 1, units))
            )
            y = np.empty((batch, steps if sequences else 1, units), dtype)
            sizes = (inputs, 3 * units), (units, 2 * units), (units, units)
            rooms = (np.zeros(packed(batch, *size), dtype) for size in sizes)
            yield y, h, z, q, h0 * 0, x, w, u / units, b, c, *rooms, lengths, h0, after, 0, sequences, turned


def _backward_cases(random, dtype):
    for arguments in _forward_cases(random, dtype):
        _forward_reference(*arguments)
        y, h, z, q, dh, _, _, u, *_, lengths, _, after, first, sequences, turned = arguments
        dy = random.standard_normal(y.shape).astype(dtype)
        rooms = (np.zeros(packed(len(dh), rows, len(u)), dtype) for rows in (2 * len(u), len(u)))
        yield z, q, dh, np.zeros_like(dh), dy, h, u, *rooms, lengths, after, first, sequences, turned


def _weights_cases(random, dtype):
    for after in (0, 1):
        for rows, inputs, units in ((1, 1, 1), (3, 2, 5), (30, 4, 3), (600, 20, 40)):
            sizes = inputs, units, 3 * units, units
            x, h, z, q = (random.standard_normal((rows, size)).astype(dtype) for size in sizes)
            shapes = (inputs, 3 * units), (units, 3 * units), 3 * units, units * after
            yield *(np.empty(shape, dtype) for shape in shapes), x, h, z, q, np.array([1, 0], dtype), after


def _weights_grid(dw, du, db, *_):
    count = (len(dw) + len(du) + 2) * db.size
    return -(-count // threads_for(count)), threads_for(count)


gru_forward = Kernel(
    "gru_forward",
    _forward_reference,
    _forward_cpu,
    _forward_cuda,
    grid=lambda y, h, *_: (h.shape[1], threads_for(h.shape[2])),
    flops=lambda y, h, z, q, h_last, x, w, u, *_: z.size * (2 * len(w) + 2 * len(u) + 6),
    pieces=lambda y, *_: len(y),
    cases=_forward_cases,
    blocks=BLOCKS,
    outputs=5,
)
gru_backward = Kernel(
    "gru_backward",
    _backward_reference,
    _backward_cpu,
    _backward_cuda,
    grid=lambda z, q, dh, *_: (z.shape[1], threads_for(dh.shape[1])),
    flops=lambda z, q, dh, *_: z.size * (2 * dh.shape[1] + 6),
    pieces=lambda z, q, dh, *_: len(dh),
    cases=_backward_cases,
    blocks=BLOCKS,
    outputs=3,
    in_place=(0, 1),
)
gru_backward_weights = Kernel(
    "gru_backward_weights",
    _weights_reference,
    _weights_cpu,
    _weights_cuda,
    grid=_weights_grid,
    flops=lambda dw, du, db, dc, x, h, z, q, *_: z.size * (2 * len(dw) + 2 * len(du) + 1),
    cases=_weights_cases,
    outputs=4,
)
