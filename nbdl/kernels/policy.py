"""The loss of policy gradients: make actions that turned out well more likely, and foretell how well things will go.

Every step of an episode has logits l, one for each action, and a value v, the return that the network expects there:

    p = softmax(l),  H = -sum_j p_j log p_j
    loss of a step = -A log p_a  -  entropy H  +  value (v - R)^2
    dl_j = A (p_j - [j = a]) + entropy p_j (log p_j + H),    dv = 2 value (v - R)

with a the action taken, A its advantage and R the return, all three constants here. The loss is the mean over the steps
that count: those behind the end of an episode have the action -1, and nothing flows back from them.
Shape: loss (1), each (batch), dz and z (batch, steps * (actions + 1)) with l and then v of every step, t like z with
(a, A, R) first in every step and the rest unused; actions, entropy and value are numbers.
Source: Williams 1992 (REINFORCE), Mnih et al. 2016 (with entropy and value).
"""

import math

import numpy as np
from numba import prange

from nbdl.kernel import Kernel, cuda
from nbdl.kernels.blocks import block_sum, threads_for
from nbdl.kernels.elementary import exp


def _reference(loss, each, dz, z, t, actions, entropy, value):
    batch, width = len(z), actions + 1
    z, t, out = (array.reshape(batch, -1, width) for array in (z, t, dz))
    logits, v = z[..., :-1], z[..., -1]
    taken, advantage, wanted = t[..., 0].astype(int), t[..., 1], t[..., 2]
    counts = taken >= 0
    chosen = np.eye(actions, dtype=z.dtype)[np.maximum(taken, 0)]
    shifted = logits - logits.max(axis=2, keepdims=True)
    log_p = shifted - np.log(np.exp(shifted).sum(axis=2, keepdims=True))
    p = np.exp(log_p)
    h = -(p * log_p).sum(axis=2)
    cost = -advantage * (chosen * log_p).sum(axis=2) - entropy * h + value * (v - wanted) ** 2
    steps = max(counts.sum(), 1)
    each[...] = np.where(counts, cost, 0).sum(axis=1) * (batch / steps)
    out[..., :-1] = advantage[..., None] * (p - chosen) + entropy * p * (log_p + h[..., None])
    out[..., -1] = 2 * value * (v - wanted)
    out[~counts] = 0
    out /= steps
    loss[0] = each.mean()


def _cpu(loss, each, dz, z, t, actions, entropy, value):
    batch, width = z.shape[0], actions + 1
    steps = z.shape[1] // width
    counted = 0
    for i in range(batch):
        for s in range(steps):
            counted += t[i, s * width] >= 0
    share = z.dtype.type(1.0 / max(counted, 1))
    bonus, weight, zero, two = z.dtype.type(entropy), z.dtype.type(value), z.dtype.type(0), z.dtype.type(2)
    for i in prange(batch):
        total = zero
        for s in range(steps):
            first = s * width
            here, out = z[i, first : first + width], dz[i, first : first + width]
            if not t[i, first] >= 0:
                for j in range(width):
                    out[j] = zero
                continue
            action, advantage, wanted = int(t[i, first]), t[i, first + 1], t[i, first + 2]
            highest = here[0]
            for j in range(1, actions):
                highest = here[j] if here[j] > highest else highest
            mass = zero
            for j in range(actions):
                out[j] = exp(here[j] - highest)
                mass += out[j]
            norm = highest + np.log(mass)
            h = zero
            for j in range(actions):
                out[j] /= mass
                h -= out[j] * (here[j] - norm)
            error = here[actions] - wanted
            total += weight * error * error - bonus * h - advantage * (here[action] - norm)
            for j in range(actions):
                out[j] = share * out[j] * (advantage + bonus * (here[j] - norm + h))
            out[action] -= share * advantage
            out[actions] = two * share * weight * error
        each[i] = total * (z.dtype.type(batch) * share)
    total_loss = 0.0
    for i in range(batch):  # one thread adds in order: the same bits for any number of threads
        total_loss += each[i]
    loss[0] = total_loss / batch


def _each_cuda(loss, each, dz, z, t, actions, entropy, value):
    i, thread, step, width = cuda.blockIdx.x, cuda.threadIdx.x, cuda.blockDim.x, actions + 1
    kind, zero, one = z.dtype.type, z.dtype.type(0), z.dtype.type(1)
    steps = z.shape[1] // width
    counted = zero
    for place in range(thread, z.shape[0] * steps, step):
        counted += one if t[place // steps, place % steps * width] >= zero else zero
    share = one / max(block_sum(counted, z), one)
    bonus, weight, total = kind(entropy), kind(value), zero
    for s in range(thread, steps, step):
        first = s * width
        if not t[i, first] >= zero:
            for j in range(first, first + width):
                dz[i, j] = zero
            continue
        action, advantage, wanted = first + int(t[i, first]), t[i, first + 1], t[i, first + 2]
        highest = z[i, first]
        for j in range(first + 1, first + actions):
            highest = max(highest, z[i, j])
        mass = zero
        for j in range(first, first + actions):
            dz[i, j] = exp(z[i, j] - highest)
            mass += dz[i, j]
        norm, h = highest + math.log(mass), zero
        for j in range(first, first + actions):
            dz[i, j] /= mass
            h -= dz[i, j] * (z[i, j] - norm)
        error = z[i, first + actions] - wanted
        total += weight * error * error - bonus * h - advantage * (z[i, action] - norm)
        for j in range(first, first + actions):
            dz[i, j] = share * dz[i, j] * (advantage + bonus * (z[i, j] - norm + h))
        dz[i, action] -= share * advantage
        dz[i, first + actions] = kind(2) * share * weight * error
    total = block_sum(total, z)
    if thread == 0:
        each[i] = total * (kind(z.shape[0]) * share)


def _mean_cuda(loss, each, dz, z, t, actions, entropy, value):
    total = each.dtype.type(0)
    for i in range(cuda.threadIdx.x, each.size, cuda.blockDim.x):
        total += each[i]
    total = block_sum(total, each)
    if cuda.threadIdx.x == 0:
        loss[0] = total / each.dtype.type(each.size)


def _cases(random, dtype):
    for batch, steps, actions in ((1, 1, 2), (3, 1, 4), (5, 7, 3), (2, 40, 2), (33, 5, 6)):
        z = 3 * random.standard_normal((batch, steps, actions + 1)).astype(dtype)
        t = random.standard_normal(z.shape).astype(dtype)
        t[..., 0] = random.integers(0, actions, (batch, steps))
        ends = random.integers(0, steps + 1, batch)
        for i in range(batch):  # some episodes end early, one before its first step
            t[i, ends[i] :, 0] = -1 if batch > 1 else 0
        z, t = z.reshape(batch, -1), t.reshape(batch, -1)
        yield np.empty(1, dtype), np.empty(batch, dtype), np.empty_like(z), z, t, actions, 0.01, 0.5
    nothing = np.full((2, 6), -1, dtype)
    yield np.empty(1, dtype), np.empty(2, dtype), np.empty_like(nothing), nothing + 2, nothing, 2, 0.01, 0.5


policy_gradient = Kernel(
    "policy_gradient",
    _reference,
    _cpu,
    (_each_cuda, _mean_cuda),
    grid=(
        lambda loss, each, dz, z, t, actions, *_: (len(z), threads_for(z.shape[1] // (actions + 1))),
        lambda loss, each, *_: (1, threads_for(each.size)),
    ),
    flops=lambda loss, each, dz, z, *_: 12 * z.size,
    cases=_cases,
    outputs=3,
)
