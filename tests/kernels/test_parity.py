"""Every kernel's compiled variants against its NumPy reference, on the cases it names, with outputs poisoned."""

import copy
import inspect
import os
import subprocess
import sys

import numba
import numpy as np
import pytest

import nbdl.kernels  # noqa: F401  registers every kernel
from nbdl.kernel import registry
from nbdl.kernels.winograd import rooms as winograd_rooms

TOLERANCE = {np.float32: {"rtol": 2e-4, "atol": 2e-5}, np.float64: {"rtol": 1e-9, "atol": 1e-10}}


def poisoned(kernel, arguments):
    """A copy of the arguments in which every output that is not also an input holds NaN (or a wild integer)."""
    arguments = copy.deepcopy(arguments)
    for position, output in enumerate(arguments[: kernel.outputs]):
        if position not in kernel.in_place:
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
        for wanted, got in zip(expected[: kernel.outputs], given, strict=False):
            if isinstance(wanted, np.ndarray):
                np.testing.assert_allclose(got, wanted, **TOLERANCE[dtype], err_msg=f"{name} {variant}")


BLENDED = {
    name: list(inspect.signature(kernel.reference).parameters).index("blend")
    for name, kernel in sorted(registry.items())
    if "blend" in inspect.signature(kernel.reference).parameters
}


@pytest.mark.parametrize("blend", [(-0.1, 1), (0.5, 0.9)], ids=["a step of descent", "a share of both"])
@pytest.mark.parametrize("name", BLENDED)
def test_gradients_join_what_stands_there(name, blend):
    kernel, random = registry[name], np.random.default_rng(3)
    for arguments in kernel.cases(np.random.default_rng(1), np.dtype(np.float64)):
        arguments = copy.deepcopy(arguments)
        arguments[BLENDED[name]][:] = blend
        for output in arguments[: kernel.outputs]:
            output[...] = random.standard_normal(output.shape)
        expected = copy.deepcopy(arguments)
        kernel.reference(*expected)
        call = kernel.bind("parallel", *arguments)
        call.run(*call.arguments)
        for wanted, got in zip(expected[: kernel.outputs], arguments, strict=False):
            np.testing.assert_allclose(got, wanted, **TOLERANCE[np.float64], err_msg=name)


@pytest.mark.parametrize("dtype", [np.float32, np.float64], ids=["float32", "float64"])
@pytest.mark.parametrize("name", sorted(registry))
def test_same_bits_for_every_variant_and_number_of_threads(name, dtype):
    kernel = registry[name]
    most = numba.get_num_threads()
    for arguments in kernel.cases(np.random.default_rng(2), np.dtype(dtype)):
        found = set()
        for variant, threads in (("serial", 1), ("parallel", 1), ("parallel", 2), ("parallel", most)):
            numba.set_num_threads(min(threads, most))
            given = poisoned(kernel, arguments)
            call = kernel.bind(variant, *given)
            call.run(*call.arguments)
            found.add(b"".join(output.tobytes() for output in given[: kernel.outputs]))
        numba.set_num_threads(most)
        assert len(found) == 1, name


@pytest.mark.parametrize("batch", [8, 33])
def test_inputs_that_are_0_in_a_whole_batch_change_no_bit(batch):
    """They are left out of products: what they leave must be what the whole product has."""
    random, inputs, units = np.random.default_rng(5), 700, 40
    idle = random.permutation(inputs) < 300
    busy = random.standard_normal((batch, inputs)).astype(np.float32)
    quiet = np.where(idle, 0, busy).astype(np.float32)
    loud = quiet.copy()
    loud[-1] = busy[-1]  # one sample in which no input is 0
    w, b, dz = (random.standard_normal(shape).astype(np.float32) for shape in ((inputs, units), units, (batch, units)))

    def forward(x):
        y, partial = np.empty((batch, units), np.float32), np.empty((batch, units), np.float32)
        call = registry["dense_forward"].bind("serial", y, x, w, b, partial, 0)
        call.run(*call.arguments)
        return y

    def weights(x):
        dw, db = w.copy(), b.copy()
        call = registry["dense_backward_weights"].bind("serial", dw, db, x, dz, np.array([-0.1, 1], np.float32))
        call.run(*call.arguments)
        return dw

    assert forward(quiet)[:-1].tobytes() == forward(loud)[:-1].tobytes()
    assert weights(quiet)[~idle].tobytes() == weights(busy)[~idle].tobytes()
    assert weights(quiet)[idle].tobytes() == w[idle].tobytes()


@pytest.mark.parametrize("turned", [0, 1], ids=["forward", "input gradient"])
def test_winograd_rounds_little_over_many_channels(turned):
    random, spec = np.random.default_rng(7), (1, 1, 1, 0, 1, 1, 1, 1, 1, 1)
    x = np.maximum(random.standard_normal((4, 256, 1, 14, 14)), 0).astype(np.float32)
    w = (random.standard_normal((256, 256, 1, 3, 3)) / 48).astype(np.float32)
    found = []
    for dtype in (np.float32, np.float64):
        given, filters, y = x.astype(dtype), w.astype(dtype), np.empty(x.shape, dtype)
        rooms = [np.empty(size, dtype) for size in winograd_rooms(len(x), y, given, filters).values()]
        arguments = y, given, filters, np.empty(0, dtype), *rooms, spec, turned, 0
        if dtype == np.float64:
            registry["winograd"].reference(*arguments)
        else:
            call = registry["winograd"].bind("parallel", *arguments)
            call.run(*call.arguments)
        found.append(y)
    assert np.abs(found[0] - found[1]).max() < 5e-6 * np.abs(found[1]).max()


WORKERS = """
import os, numba, numpy as np
from nbdl.kernels.activation import TANH, activation_forward

def clocks():
    ticks = {}
    for task in os.listdir("/proc/self/task"):
        fields = open(f"/proc/self/task/{task}/stat").read().rsplit(")", 1)[1].split()
        ticks[task] = int(fields[11])
    return ticks

x = np.zeros((2000, 2000), np.float32)
y = np.empty_like(x)
numba.set_num_threads(2)
for variant in ("serial", "parallel"):
    call = activation_forward.bind(variant, y, x, TANH)
    before = clocks()
    for _ in range(60):
        call.run(*call.arguments)
    used = [after - before.get(task, 0) for task, after in clocks().items()]
    print(sum(ticks > max(used) / 4 for ticks in used))
"""


@pytest.mark.skipif(not os.path.isdir("/proc/self/task"), reason="counts the clocks of threads in /proc")
@pytest.mark.skipif(numba.get_num_threads() < 2, reason="needs two cores")
def test_the_parallel_variant_is_parallel_fresh_and_from_the_disk_cache(tmp_path):
    """Numba's cache once handed out the serial code for the parallel variant (numba#6845): see which threads work."""
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path), "OMP_WAIT_POLICY": "passive"}
    for _ in range(2):
        done = subprocess.run(
            [sys.executable, "-c", WORKERS], capture_output=True, text=True, check=True, env=environment
        )
        assert done.stdout.split() == ["1", "2"]
