"""One file per operation: the equation (NumPy), then the loops (Numba), then the threads of a GPU (CUDA)."""

from nbdl.kernels import (
    activation,
    batchnorm,
    clip,
    convolution,
    dense,
    dropout,
    gather,
    losses,
    lstm,
    matmul,
    policy,
    pooling,
    recurrence,
    softmax,
    updates,
    upsample,
)

__all__ = [
    "activation",
    "batchnorm",
    "clip",
    "convolution",
    "dense",
    "dropout",
    "gather",
    "losses",
    "lstm",
    "matmul",
    "policy",
    "pooling",
    "recurrence",
    "softmax",
    "updates",
    "upsample",
]
