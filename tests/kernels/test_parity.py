"""Every kernel's compiled variants against its NumPy reference, on the cases it names, with outputs poisoned."""

import copy

import numpy as np
import pytest

import nbdl.kernels  # noqa: F401  registers every kernel
from nbdl.kernel import registry

TOLERANCE = {np.float32: {"rtol": 2e-4, "atol": 2e-5}, np.float64: {"rtol": 1e-9, "atol": 1e-10}}


def poisoned(kernel, arguments):
    """A copy of the arguments in which every output that is not also an input holds NaN (or a wild integer)."""
    arguments = copy.deepcopy(arguments)
    if not kernel.in_place:
        for output in arguments[: kernel.outputs]:
            output[...] = np.nan if output.dtype.kind == "f" else -(10**9)
    return arguments


@pytest.mark.parametrize("dtype", [np.float32, np.float64], ids=["float32", "float64"])
@pytest.mark.parametrize("variant", ["serial", "parallel"])
@pytest.mark.parametrize("name", sorted(registry))
def test_variant_equals_reference(name, variant, dtype):
    kernel = registry[name]
    for arguments in kernel.cases(np.random.default_rng(1), np.dtype(dtype)):
        expected, given = poisoned(kernel, arguments), poisoned(kernel, arguments)
        kernel.reference(*expected)
        call = kernel.bind(variant, *given)
        call.run(*call.arguments)
        for wanted, got in zip(expected, given, strict=True):
            if isinstance(wanted, np.ndarray):
                np.testing.assert_allclose(got, wanted, **TOLERANCE[dtype], err_msg=f"{name} {variant}")
