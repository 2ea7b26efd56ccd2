"""Many kernel calls as one: a few lines of machine code that call one kernel after the other.

From Python each call costs a fifth of a microsecond, because Numba takes every array apart anew; in a small network that is
a fifth of the step. A program's arrays never move, so their addresses, shapes and strides stand in the code as constants.
"""

import ctypes
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
from llvmlite import ir
from numba.core.compiler_lock import global_compiler_lock
from numba.core.registry import cpu_target

from nbdl.kernel import Call, machine_code

AFTER = 1000  # steps one by one before they are linked: to build the code takes as long as some thousand of them save


class Step:
    """All these calls in order, `run()`: from Python at first, then linked; those to a GPU or to NumPy always from Python."""

    def __init__(self, calls: Sequence[Call]):
        self.calls = list(calls)
        self._bound = [(call.run, call.arguments) for call in calls]
        compiled = all(call.variant in ("serial", "parallel") for call in calls)
        self._left = AFTER if compiled else -1
        self.run: Callable[[], Any] = self._one_by_one

    def _one_by_one(self) -> None:
        for run, arguments in self._bound:
            run(*arguments)
        self._left -= 1
        if self._left == 0:
            self.run = link(self.calls)


@global_compiler_lock
def link(calls: Sequence[Call]) -> Callable[[], Any]:
    """One function of machine code that makes all these calls of compiled kernels.

    Its constants are addresses: it keeps the arrays alive, and they must stay where they are.
    """
    context = cpu_target.target_context
    library = context.codegen().create_library("nbdl step")
    module = library.create_ir_module("nbdl step")
    function = ir.Function(module, ir.FunctionType(ir.VoidType(), []), "nbdl_step")
    builder = ir.IRBuilder(function.append_basic_block("entry"))
    for call in calls:
        _emit(context, builder, call)
    builder.ret_void()
    library.add_ir_module(module)
    library.finalize()
    # PYFUNCTYPE keeps Python's lock, as a call of each kernel would.
    step: Any = ctypes.PYFUNCTYPE(None)(library.get_pointer_to_function("nbdl_step"))
    step.keeps = library, calls
    return step


def _emit(context, builder: ir.IRBuilder, call: Call) -> None:
    compiled, address = machine_code(call)
    result, kinds = compiled.fndesc.restype, compiled.signature.args
    kind = context.call_conv.get_function_type(result, kinds)
    function = builder.inttoptr(ir.Constant(ir.IntType(64), address), kind.as_pointer())
    values = [number for kind, value in zip(kinds, call.arguments, strict=True) for number in _numbers(kind, value)]
    rooms = [
        builder.alloca(argument.pointee) for argument in kind.args[:2]
    ]  # a result's and an error's: there are none
    theirs = [_constant(k, value) for k, value in zip(kind.args[2:], values, strict=True)]
    builder.call(function, [*rooms, *theirs])


def _numbers(kind, value) -> Iterator[Any]:
    """What machine code takes for a value, number by number: those of a tuple, and all that describes an array.

    (Numba's ArrayModel: who owns it, twice, elements, bytes of one, address, shape, strides.)
    """
    if isinstance(value, np.ndarray):
        yield from (0, 0, value.size, value.itemsize, value.ctypes.data, *value.shape, *value.strides)
    elif isinstance(value, tuple):
        for element in zip(kind, value, strict=True):
            yield from _numbers(*element)
    else:
        yield value


def _constant(kind: ir.Type, value: Any) -> ir.Constant:
    if isinstance(kind, ir.PointerType):
        return ir.Constant(ir.IntType(64), value).inttoptr(kind)
    return ir.Constant(kind, float(value) if isinstance(kind, (ir.FloatType, ir.DoubleType)) else int(value))
