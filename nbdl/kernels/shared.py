"""Machine code that many kernels share: compiled once for each element type and called by its symbol.

A kernel that swallowed the tiles would compile them again, in every variant: seconds instead of milliseconds.
"""

from collections.abc import Iterable

import llvmlite.binding as llvm
import numba
import numpy as np
from numba import types
from numba.core.ccallback import CFunc
from numba.extending import overload

from nbdl import kernel
from nbdl.kernel import cache_on_disk, compile_, twin
from nbdl.kernels.tile import SIMD

_blocks: dict = {}  # name: body, count of whole numbers it takes, of numbers of the element type behind them, everywhere
_published: dict = {}


def share(name: str, body, integers: int, numbers: int, everywhere: bool = True):
    """Give the function that compiled kernels call for a body of whole numbers, such as addresses, then numbers.

    The type of the numbers chooses the machine code. A body that is not for kernels everywhere is compiled only for those
    that name it among their `blocks`.
    """
    _blocks[name] = body, integers, numbers, everywhere

    def call(*arguments):
        raise NotImplementedError(f"{name} is for compiled kernels only")

    @overload(call)
    def compiled(*arguments):
        block = external(name, arguments[integers])
        return lambda *arguments: block(*arguments)

    return call


def _signature(name: str, element: types.Type):
    _, integers, numbers, _ = _blocks[name]
    return types.void(*([types.intp] * integers), *([element] * numbers))


def external(name: str, element: types.Type):
    """The machine code as Numba code calls it."""
    element = types.float64 if element == types.float64 else types.float32
    return types.ExternalFunction(f"nbdl_{name}_{element}_{SIMD}", _signature(name, element))


def needed(named: tuple[str, ...]) -> list[str]:
    """The blocks that a kernel needs which names those: they and all that are for kernels everywhere, in order."""
    if SIMD == "plain":
        return []
    return [name for name, (_, _, _, everywhere) in _blocks.items() if everywhere or name in named]


def publish(dtype: np.dtype, names: Iterable[str], announce=None) -> None:
    """Compile blocks for one element type (or load them) and make their symbols known to LLVM.

    Those that are not for kernels everywhere may call those that are, which must stand before them.
    """
    for name in names:
        if (name, dtype) not in _published:
            compiled, signature = _block(name, dtype)
            compile_(compiled, signature, f"{name} tiles", dtype.name, announce)
            llvm.add_symbol(external(name, numba.from_dtype(dtype)).symbol, compiled.address)
            _published[name, dtype] = compiled


def is_missing(name: str, dtype: np.dtype) -> bool:
    """Whether neither this process nor the disk cache has a block, where there is one that could."""
    return (name, dtype) not in _published and kernel.is_missing(*_block(name, dtype))


def _block(name: str, dtype: np.dtype) -> tuple[CFunc, types.Type]:
    """A block that can be compiled or loaded, and its signature."""
    element = numba.from_dtype(dtype)
    signature = _signature(name, element)
    compiled = CFunc(twin(_blocks[name][0], f"{name}_{element}"), (signature.args, signature.return_type), {}, {})
    cache_on_disk(compiled)
    return compiled, signature
