"""Runs kernels on an NVIDIA GPU: builds their CUDA bodies, launches them, and moves arrays to the device and back.

Only this file imports numba.cuda, and only when the backend "cuda" is asked for. The package numba-cuda provides it;
Numba's simulator (NUMBA_ENABLE_CUDASIM=1) runs the same bodies in Python threads, without a GPU.
"""

import dis
import importlib.util
import math
import time
import types
import warnings
from collections.abc import Callable
from functools import cache

import numba
import numpy as np

from nbdl.errors import NbdlError
from nbdl.kernel import Compilation, Kernel, compilations
from nbdl.kernels import elementary


def _exp(x):
    return math.exp(x)


def _tanh(x):
    return math.tanh(x)


def _erf(x):
    return math.erf(x)


def _sigmoid(x):
    return np.float32(1) / (np.float32(1) + math.exp(-x))


# The device has these in hardware or its own library: the polynomials for the processor's vectors stay behind.
_ON_DEVICE = {
    elementary.exp: _exp,
    elementary.tanh: _tanh,
    elementary.erf: _erf,
    elementary.sigmoid: _sigmoid,
}


@cache
def _cuda():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from numba import cuda
    return cuda


def simulated() -> bool:
    """Whether Numba's simulator stands in for a GPU."""
    return bool(numba.config.ENABLE_CUDASIM)  # type: ignore[attr-defined]


@cache
def available() -> tuple[bool, str]:
    """(True, name of the device), or (False, why no kernel can run on one); raises nothing and prints nothing."""
    if simulated():
        return True, "simulator (NUMBA_ENABLE_CUDASIM is set)"
    if importlib.util.find_spec("numba_cuda") is None:
        return False, "numba-cuda is not installed; pip install 'nbdl[cuda]'"
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return _try()
    except Exception as error:  # drivers and toolkits fail in many ways, and each is a reason to give
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        return False, " ".join(lines[:2]) or type(error).__name__


def _try() -> tuple[bool, str]:
    cuda = _cuda()
    problem = cuda.cuda_error()
    if not cuda.is_available():
        text = f"{problem or ''} {_device_error(cuda)}"
        if "cannot be found" in text or "not found" in text:
            return False, "no NVIDIA driver was found"
        if "NO_DEVICE" in text:
            return False, "no NVIDIA GPU was found"
        if not text.strip():
            return False, "the compiler of the CUDA toolkit (NVVM) was not found; pip install 'nbdl[cuda]'"
        return False, " ".join(text.split())
    name = device_name()
    try:
        # One real launch: a driver older than the toolkit is found out only when it loads compiled code.
        cuda.jit(_probe)[1, 1](cuda.to_device(np.zeros(1, np.float32)))
        cuda.synchronize()
    except Exception as error:
        if "PTX" in str(error).upper().replace("_", ""):
            return False, f"{name}: the driver is too old for the installed CUDA toolkit"
        raise
    return True, name


def _device_error(cuda) -> str:
    try:
        return "" if len(cuda.gpus) else "NO_DEVICE"
    except Exception as error:
        return str(error)


def _probe(x):
    x[0] = x[0] + x[0]


def _require() -> None:
    usable, reason = available()
    if not usable:
        raise NbdlError(f"backend 'cuda' cannot run here: {reason}. Choose auto, numpy, serial or parallel.")


def to_device(array: np.ndarray):
    """A copy of a host array in device memory; slices and reshapes of the copy are views of it.

    Raises NbdlError, with the reason, where there is no device.
    """
    _require()
    return _cuda().to_device(np.ascontiguousarray(array))


def to_host(array) -> np.ndarray:
    """A copy of a device array in host memory."""
    return array.copy_to_host()


def synchronize() -> None:
    """Wait until the device has done all that was launched."""
    _cuda().synchronize()


def device_name() -> str:
    """The name of the GPU in use."""
    if simulated():
        return "simulator"
    name = _cuda().get_current_device().name
    return name.decode() if isinstance(name, bytes) else str(name)


def bodies(kernel: Kernel) -> tuple[Callable, ...]:
    """The CUDA bodies of a kernel, with numba.cuda and the device's own functions where they name the processor's."""
    return tuple(_twin(body, {}, {}) for body in kernel.cuda)


def _twin(function: Callable, space: dict, origins: dict) -> Callable:
    """A copy of a function whose globals, one set for it and all it calls, hold just the names that they mention.

    One set, because the simulator swaps the `cuda` among the globals of the body while it runs.
    """
    for name in {i.argval for i in dis.get_instructions(function) if i.opname == "LOAD_GLOBAL"}:
        if name not in function.__globals__:  # a builtin
            continue
        value = function.__globals__[name]
        if origins.setdefault(name, value) is not value:
            raise NameError(f"{name} means two things in a CUDA body and what it calls; rename one")
        if name == "cuda":
            space[name] = _cuda()
        elif isinstance(value, types.FunctionType) and value.__module__.startswith("nbdl.kernels."):
            if name not in space:
                called = value if simulated() else _ON_DEVICE.get(value, value)
                space[name] = _cuda().jit(device=True)(_twin(called, space, origins))
        else:
            space[name] = value
    copy = types.FunctionType(function.__code__, space, function.__name__)
    copy.__module__ = function.__module__
    return copy


def launcher(kernel: Kernel, arguments: tuple) -> Callable[..., None]:
    """A function that launches the kernel on the device, compiled and with grids for the types and shapes of these.

    Raises NbdlError, with the reason, where there is no device.
    """
    _require()
    compiled = _compiled(kernel)
    grids = [grid(*arguments) for grid in kernel.grid]
    if simulated():  # its body[grid] is the body itself, which forgets one grid for the next

        def simulate(*arguments):
            for body, grid in zip(compiled, grids, strict=True):
                body[grid](*arguments)

        return simulate

    signature = tuple(numba.typeof(a) for a in arguments)
    for body in compiled:
        if signature not in body.overloads:
            start = time.perf_counter()
            body.compile(signature)
            compilations.append(Compilation(kernel.name, "cuda", time.perf_counter() - start, False))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that a small grid leaves the device idle: small networks have small grids
        launches = [body[grid] for body, grid in zip(compiled, grids, strict=True)]

    def run(*arguments):
        for launch in launches:
            launch(*arguments)

    return run


@cache
def _compiled(kernel: Kernel) -> tuple:
    return tuple(_cuda().jit(body) for body in bodies(kernel))
