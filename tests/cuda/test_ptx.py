"""Every CUDA body compiled for a real GPU, as far as that goes without one: to PTX, with nothing slow in it."""

import importlib.util
import re
from types import SimpleNamespace

import numba
import numpy as np
import pytest

import nbdl.kernels  # noqa: F401  registers every kernel
from nbdl.kernel import registry

pytestmark = [
    pytest.mark.skipif(importlib.util.find_spec("numba_cuda") is None, reason="needs numba-cuda"),
    pytest.mark.skipif(numba.config.ENABLE_CUDASIM, reason="the simulator compiles nothing"),
    pytest.mark.filterwarnings("ignore"),
]
CAPABILITY = (8, 0)


def ptx(kernel, dtype, monkeypatch):
    from numba import cuda
    from numba.cuda import dispatcher
    from numba.cuda.cudadrv import nvvm

    from nbdl.cuda import bodies

    try:
        nvvm.NVVM()
    except Exception as error:
        pytest.skip(f"needs NVVM: {error}")
    # Device functions ask the current device what to compile for; there may be none.
    device = SimpleNamespace(compute_capability=CAPABILITY)
    monkeypatch.setattr(dispatcher, "get_current_device", lambda: device)
    signatures = {tuple(map(numba.typeof, arguments)) for arguments in kernel.cases(np.random.default_rng(1), dtype)}
    return [cuda.compile_ptx(body, s, cc=CAPABILITY)[0] for body in bodies(kernel) for s in signatures]


@pytest.mark.parametrize("name", sorted(registry))
def test_body_compiles_to_lean_code(name, monkeypatch):
    for code in ptx(registry[name], np.dtype(np.float32), monkeypatch):
        assert ".visible .entry" in code
        assert "__local_depot" not in code, "a local array did not end up in registers"
        arithmetic = re.findall(
            r"^\s*(?:@\S+\s+)?((?:add|sub|mul|div|fma|sqrt|neg|min|max)\S*\.f64)", code, re.MULTILINE
        )
        assert not arithmetic, "float32 was promoted to float64"


def test_product_keeps_its_sums_in_registers(monkeypatch):
    from nbdl.kernels.blocks import EACH

    (code,) = ptx(registry["matmul"], np.dtype(np.float32), monkeypatch)
    assert code.count("fma.rn.f32") % EACH**2 == 0
    assert "ld.shared.f32" in code
