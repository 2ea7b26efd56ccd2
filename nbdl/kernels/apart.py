"""Elements read and written with the promise that arrays of other numbers lie elsewhere.

A loop over many arrays, some of them written, becomes vector code only where the compiler knows that none overlaps another.
It can ask at run time for a few arrays, not for the eight of a gate. Here each access carries the number of its array
(https://llvm.org/docs/LangRef.html, `alias.scope` and `noalias`). What is kept of one step and read in the next
must have one number throughout: the promise holds for the whole kernel, not for one loop.
"""

from numba import types
from numba.extending import intrinsic
from numba.np.arrayobj import make_array

NUMBERS = 8


def _promise(instruction, module, number):
    domain = module.add_metadata(["nbdl"])
    scopes = [module.add_metadata([f"nbdl {i}", domain]) for i in range(NUMBERS)]
    instruction.set_metadata("alias.scope", module.add_metadata([scopes[number]]))
    instruction.set_metadata("noalias", module.add_metadata(scopes[:number] + scopes[number + 1 :]))


def _place(context, builder, kind, array, index):
    return builder.gep(make_array(kind)(context, builder, array).data, [index])


@intrinsic(prefer_literal=True)
def read(typingctx, array, index, number):
    """array[index] of a contiguous one-dimensional array whose number, a literal below NUMBERS, no overlapping one shares."""
    own = number.literal_value

    def codegen(context, builder, signature, arguments):
        loaded = builder.load(_place(context, builder, signature.args[0], *arguments[:2]))
        _promise(loaded, builder.module, own)
        return loaded

    return array.dtype(array, types.intp, number), codegen


@intrinsic(prefer_literal=True)
def write(typingctx, array, index, number, value):
    """array[index] = value, with the same promise."""
    own = number.literal_value

    def codegen(context, builder, signature, arguments):
        array, index, _, value = arguments
        _promise(builder.store(value, _place(context, builder, signature.args[0], array, index)), builder.module, own)
        return context.get_dummy_value()

    return types.void(array, types.intp, number, array.dtype), codegen
