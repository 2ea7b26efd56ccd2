"""Every kernel's CUDA body against its NumPy reference in Numba's simulator; test_simulator.py runs this file."""

import copy

import numpy as np
import pytest

import nbdl.cuda
from nbdl.kernel import registry
from nbdl.kernels import blocks, clip

TOLERANCE = {np.float32: {"rtol": 2e-4, "atol": 2e-5}, np.float64: {"rtol": 1e-9, "atol": 1e-10}}
# The hash behind dropout wraps around, which NumPy's scalars report and machine code does not.
pytestmark = pytest.mark.filterwarnings("ignore:.*overflow:RuntimeWarning")

# Small blocks: then small cases, too, take several blocks and several turns of a thread.
blocks.BLOCK = 32

THREADS, FLOPS = 1024, 20_000  # of one launch and one call: a thread of the simulator is a Python thread


def threads(blocks, block):
    return int(np.prod(blocks) * np.prod(block))


def small(kernel, dtype):
    """The cases of a kernel that the simulator runs in a moment; of many (shapes times activations), every third."""
    cases = [
        arguments
        for arguments in kernel.cases(np.random.default_rng(1), np.dtype(dtype))
        if kernel.flops(*arguments) <= FLOPS and max(threads(*grid(*arguments)) for grid in kernel.grid) <= THREADS
    ]
    return cases[::3] if len(cases) > 20 else cases


def check(kernel, arguments, dtype):
    for position, output in enumerate(arguments[: kernel.outputs]):
        if position not in kernel.in_place:
            output[...] = np.nan if output.dtype.kind == "f" else -(10**9)
    expected, given = copy.deepcopy(arguments), copy.deepcopy(arguments)
    kernel.reference(*expected)
    call = kernel.bind("cuda", *given)
    call.run(*call.arguments)
    for wanted, got in zip(expected, given, strict=True):
        if isinstance(wanted, np.ndarray):
            np.testing.assert_allclose(got, wanted, **TOLERANCE[dtype], err_msg=kernel.name)


@pytest.mark.parametrize("dtype", [np.float32, np.float64], ids=["float32", "float64"])
@pytest.mark.parametrize("name", sorted(registry))
def test_cuda_equals_reference(name, dtype):
    kernel = registry[name]
    cases = small(kernel, dtype)
    assert len(cases) >= 3
    for arguments in cases:
        check(kernel, arguments, dtype)


def test_clipping_over_several_chunks(monkeypatch):
    monkeypatch.setattr(clip, "CHUNK", 16)
    nbdl.cuda._compiled.cache_clear()
    random = np.random.default_rng(2)
    for limit in (0.5, 1e6):
        gradient = random.standard_normal(100).astype(np.float32)
        check(clip.clip_by_global_norm, (gradient, np.zeros(1, np.float32), np.zeros(7, np.float32), limit), np.float32)
    nbdl.cuda._compiled.cache_clear()
