"""The same matrix product C = A B in each library: m × k by k × n, float32, into memory that is there."""

from collections.abc import Callable
from typing import Any

import numpy as np

from nbdl_benchmarks.harness import Contender


def build_nbdl(m: int, k: int, n: int) -> Contender:
    """The register tile."""
    import nbdl
    from nbdl.kernels.matmul import matmul

    a, b, c = _arrays(m, k, n)
    call = matmul.bind("auto", c, a, b)
    return _contender("nbdl", nbdl.__version__, c, lambda: call.run(*call.arguments))


def build_nbdl_transposed(m: int, k: int, n: int) -> Contender:
    """The same where B lies in memory as its transpose."""
    import nbdl
    from nbdl.kernels.matmul import matmul_transposed

    a, b, c = _arrays(m, k, n)
    call = matmul_transposed.bind("auto", c, a, np.ascontiguousarray(b.T))
    return _contender("nbdl, B turned", nbdl.__version__, c, lambda: call.run(*call.arguments))


def build_numpy(m: int, k: int, n: int) -> Contender:
    """The BLAS that NumPy brings."""
    a, b, c = _arrays(m, k, n)
    return _contender("numpy", np.__version__, c, lambda: np.matmul(a, b, out=c))


def build_torch(m: int, k: int, n: int) -> Contender:
    """The BLAS that torch brings."""
    import torch

    a, b, c = _arrays(m, k, n)
    x, y, z = torch.from_numpy(a), torch.from_numpy(b), torch.from_numpy(c)
    return _contender("torch", torch.__version__, c, lambda: torch.mm(x, y, out=z))


def _arrays(m: int, k: int, n: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    random = np.random.default_rng(0)
    a, b = (random.standard_normal(shape).astype(np.float32) for shape in ((m, k), (k, n)))
    return a, b, np.zeros((m, n), np.float32)


def _contender(name: str, version: str, c: np.ndarray, product: Callable[[], Any]) -> Contender:
    def run(count: int) -> None:
        for _ in range(count):
            product()

    return Contender(name, version, run, lambda: [c])
