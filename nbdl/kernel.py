"""What a kernel is, and how one call of it is compiled and bound to its arrays.

A kernel is one operation with three bodies of one argument list: `reference` (NumPy), `cpu` (Numba, compiled in a serial
and a parallel variant) and `cuda`. Outputs come first, then inputs, then plain numbers. `bind` picks the body for a
variant and compiles it for the arrays at hand, so that a training step only calls machine code.
"""

import hashlib
import pickle
import time
import types as python_types
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numba
import numpy as np
from numba.core.caching import NullCache

from nbdl.errors import NbdlError

VARIANTS = ("numpy", "serial", "parallel", "cuda")

# Every operation is rounded by itself: the serial and the parallel variant then give the same bits, and isnan tells the
# truth. Fusing and reassociating are done by hand where they pay, in the tile.
FASTMATH = {"nsz"}

# Starting and joining the threads costs a few microseconds: a call shorter than this stays on one thread.
PARALLEL_FLOPS = 2_000_000
PARALLEL_BYTES = 2_000_000

registry: dict[str, "Kernel"] = {}


@dataclass(frozen=True)
class Compilation:
    """One compiled (or loaded) variant: seconds spent, and whether the disk cache had it."""

    kernel: str
    variant: str
    seconds: float
    cached: bool


compilations: list[Compilation] = []

# Where this holds a list, `bind` only notes there what it should compile: (kernel, variant, types of the arguments).
planned: ContextVar[list[tuple["Kernel", str, tuple]] | None] = ContextVar("planned", default=None)


cuda: Any = None  # in CUDA bodies: `nbdl.cuda` puts numba.cuda in its place, so that nothing else need import it


def threads() -> int:
    """Threads that share a kernel body: the compiled serial variant sees 1, the parallel one Numba's number."""
    return 1


@dataclass(frozen=True)
class Call:
    """A kernel bound to its arrays: `run(*arguments)` is one step of a program."""

    kernel: "Kernel"
    variant: str
    run: Callable[..., Any]
    arguments: tuple
    label: str = ""

    @property
    def flops(self) -> int:
        return self.kernel.flops(*self.arguments)

    @property
    def bytes(self) -> int:
        return self.kernel.bytes(*self.arguments)


class Kernel:
    """One operation: its bodies, its cost and the cases on which its bodies are held against each other.

    flops(*arguments) counts floating-point operations (a fused multiply-add is two, a comparison or exp is one);
    bytes(*arguments) the least that must move: unless given, every array once.
    cases(random, dtype) yields argument tuples for tests; the first `outputs` of each are poisoned with NaN, but for
    those that are inputs too: all of them when `in_place` is True, else the positions that it names. grid(*arguments)
    gives (blocks, threads a block) of the CUDA launch. Where a body needs what every block of another has written, `cuda`
    and `grid` are tuples: the launches, in order.
    `blocks` names the shared machine code (kernels/shared.py) that it calls beside the matrix products. pieces(*arguments)
    says into how many a call can be cut at most, where that may be one: it then stays on one thread.
    """

    def __init__(
        self,
        name: str,
        reference: Callable,
        cpu: Callable,
        cuda: Callable | tuple[Callable, ...],
        *,
        flops: Callable[..., int],
        cases: Callable[[np.random.Generator, np.dtype], Iterator[tuple]],
        grid: Callable[..., tuple] | tuple[Callable[..., tuple], ...],
        bytes: Callable[..., int] | None = None,
        parallel_bytes: int = PARALLEL_BYTES,
        outputs: int = 1,
        in_place: bool | tuple[int, ...] = False,
        blocks: tuple[str, ...] = (),
        pieces: Callable[..., int] | None = None,
    ):
        self.name, self.reference, self.cpu = name, reference, cpu
        self.cuda = cuda if isinstance(cuda, tuple) else (cuda,)
        self.grid = grid if isinstance(grid, tuple) else (grid,)
        self.flops, self.cases, self.outputs = flops, cases, outputs
        self.in_place = tuple(range(outputs)) if in_place is True else in_place or ()
        self.bytes = bytes or (lambda *arguments: sum(a.nbytes for a in arguments if hasattr(a, "nbytes")))
        self.parallel_bytes, self.blocks, self.pieces = parallel_bytes, blocks, pieces
        self._dispatchers: dict[str, Any] = {}
        registry[name] = self

    def __repr__(self) -> str:
        return f"Kernel({self.name!r})"

    def choose(self, backend: str, *arguments) -> str:
        """The variant for these shapes: `auto` takes threads only where they win."""
        if backend != "auto":
            return backend
        large = self.flops(*arguments) > PARALLEL_FLOPS or self.bytes(*arguments) > self.parallel_bytes
        large = large and (self.pieces is None or self.pieces(*arguments) > 1)
        return "parallel" if large and numba.get_num_threads() > 1 else "serial"

    def bind(self, backend: str, *arguments, label: str = "", announce: Callable[[str], None] | None = None) -> Call:
        """Compile the variant for the types of these arguments and tie it to them.

        `announce(name)` is called before a compilation that the disk cache cannot save.
        """
        variant = self.choose(backend, *arguments)
        if variant == "numpy":
            return Call(self, variant, self.reference, arguments, label)
        if variant == "cuda":
            from nbdl.cuda import launcher

            return Call(self, variant, launcher(self, arguments), arguments, label)
        if variant not in VARIANTS:
            raise NbdlError(f"backend {backend!r} is unknown; choose auto, {', '.join(VARIANTS)}.")
        types = tuple(numba.typeof(argument) for argument in arguments)
        plan = planned.get()
        if plan is not None and self.is_missing(variant, types):
            plan.append((self, variant, types))
            return Call(self, variant, _not_yet, arguments, label)
        return Call(self, variant, self.compiled(variant, types, announce), arguments, label)

    def elements(self, types: tuple) -> list[np.dtype]:
        """The types of floating-point numbers in the arrays of a call, from Numba's types of its arguments."""
        found = {numba.np.numpy_support.as_dtype(t.dtype) for t in types if isinstance(t, numba.types.Array)}
        return sorted(dtype for dtype in found if dtype.kind == "f")

    def is_missing(self, variant: str, types: tuple) -> bool:
        """Whether neither this process nor the disk cache has that variant, where there is one that could."""
        dispatcher = self._dispatcher(variant)
        return types not in dispatcher.overloads and is_missing(dispatcher, types)

    def compiled(self, variant: str, types: tuple, announce: Callable[[str], None] | None = None) -> Callable:
        """The machine code of a variant for arguments of those types, compiled or loaded if need be."""
        from nbdl.kernels import shared

        dispatcher = self._dispatcher(variant)
        if types not in dispatcher.overloads:
            numba.get_num_threads()  # starts the threading layer, whose symbols parallel code links to
            for element in self.elements(types):
                shared.publish(element, shared.needed(self.blocks), announce)
            compile_(dispatcher, types, self.name, variant, announce)
        # The entry point skips Numba's look-up of the types, which binding has already settled.
        return dispatcher.overloads[types].entry_point

    def _dispatcher(self, variant: str) -> Any:
        if variant not in self._dispatchers:
            body = twin(self.cpu, f"{self.name}_{variant}", threads=_many if variant == "parallel" else _one)
            options: Any = {"parallel": variant == "parallel", "fastmath": FASTMATH, "error_model": "numpy"}
            self._dispatchers[variant] = numba.njit(**options)(body)
            cache_on_disk(self._dispatchers[variant])
        return self._dispatchers[variant]


def _not_yet(*arguments):
    raise NotImplementedError("this call was only planned; bind it again")


def machine_code(call: Call) -> tuple[Any, int]:
    """What Numba knows of the compiled variant that a call runs, and the address of its machine code."""
    dispatcher = call.kernel._dispatchers[call.variant]
    compiled = dispatcher.overloads[tuple(numba.typeof(a) for a in call.arguments)]
    return compiled, compiled.library.get_pointer_to_function(compiled.fndesc.llvm_func_name)


@numba.extending.register_jitable
def _one():
    return 1


# numba.get_num_threads by its symbol: compiled code that calls the function itself cannot be kept on disk.
_many = numba.types.ExternalFunction("get_num_threads", numba.types.intp())


@cache
def _sources_digest() -> str:
    """Changes with any kernel source, so that no cached machine code outlives a helper it has swallowed."""
    digest = hashlib.sha256()
    for path in [Path(__file__), *sorted((Path(__file__).parent / "kernels").glob("*.py"))]:
        digest.update(path.read_bytes())
    return digest.hexdigest()[:8]


def twin(function: Callable, name: str, **replaced) -> Callable:
    """A copy of a function under its own qualified name, with some of its globals replaced.

    Numba's disk cache tells functions apart by name and not by compile options (numba#6845): each variant needs its own.
    """
    from nbdl.kernels.tile import SIMD

    copy = python_types.FunctionType(
        function.__code__, {**function.__globals__, **replaced}, function.__name__, function.__defaults__
    )
    copy.__module__ = function.__module__
    copy.__qualname__ = f"{name}_{SIMD}_{_sources_digest()}"
    return copy


def cache_on_disk(compiled) -> None:
    """Turn the disk cache on where some folder can hold it; without one, every process compiles anew."""
    try:
        compiled.enable_caching()
    except (RuntimeError, OSError):
        compiled._cache = NullCache()


def cache_folder(compiled) -> Path | None:
    """Where the machine code of a compiled function is kept, or None."""
    path = compiled._cache.cache_path
    return Path(path) if path else None


def compile_(compiled, signature, name: str, variant: str, announce=None) -> None:
    """Compile a dispatcher or C function for one signature, or load it from the disk cache, and record what it took."""
    start = time.perf_counter()
    stored = is_stored(compiled, signature)
    if not stored and announce is not None:
        announce(f"{name} ({variant})")
    build = (lambda: compiled.compile(signature)) if hasattr(compiled, "overloads") else compiled.compile
    with _one_filler(compiled):
        try:
            build()
        except (OSError, EOFError, pickle.UnpicklingError):  # a full, read-only or damaged cache: run without it
            compiled._cache = NullCache()
            build()
    compilations.append(Compilation(name, variant, time.perf_counter() - start, stored))


def is_stored(compiled, signature) -> bool:
    """Whether the disk cache has the machine code of a dispatcher or C function for one signature."""
    context = compiled.targetctx if hasattr(compiled, "targetctx") else compiled._targetdescr.target_context
    try:
        key = compiled._cache._index_key(signature, context.codegen())
        return key in compiled._cache._cache_file._load_index()
    except (AttributeError, OSError, EOFError, pickle.UnpicklingError):
        return False


def is_missing(compiled, signature) -> bool:
    """Whether the disk cache could have that machine code, but has not."""
    return cache_folder(compiled) is not None and not is_stored(compiled, signature)


@contextmanager
def _one_filler(compiled):
    """Let one process at a time compile a function: the others wait and load it; Numba's index would tear or lose entries."""
    folder = cache_folder(compiled)
    if folder is None:
        yield
        return
    try:
        import fcntl

        folder.mkdir(parents=True, exist_ok=True)
        with open(folder / "nbdl.lock", "w") as lock:
            # One byte of the file for each function.
            fcntl.lockf(lock, fcntl.LOCK_EX, 1, zlib.crc32(compiled._cache._cache_file._index_name.encode()))
            yield
    except (ImportError, OSError):
        yield
