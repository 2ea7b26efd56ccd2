"""exp, tanh, erf and the logistic function, in plain arithmetic that compilers turn into vector code.

A loop that calls the mathematical library runs one element at a time (tanh: 15 ns an element); these run in every lane.
In float64, used for gradient checks, they are the library's own. As Python functions they are NumPy's and exact.

    exp(x) = 2^n (1 + p(r)),  n = round(x / ln 2),  r = x - n ln 2,  p(r) = exp(r) - 1
    tanh(x) = t / (t + 2),    t = exp(2 x) - 1 = 2^n p(r) + (2^n - 1), which near 0 loses no digits

Errors in float32, measured over the whole range, relative: exp 9e-8, tanh 2e-7, sigmoid 2e-7; erf 5e-7 absolute.
"""

import math

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic, overload, register_jitable

from nbdl.kernels.tile import SIMD

LOG2_E = np.float32(1 / math.log(2))
LN_2_HIGH = np.float32(355 / 512)  # so few digits that n times it is exact
LN_2_LOW = np.float32(math.log(2) - 355 / 512)
ROUND = np.float32(1.5 * 2**23)  # added to a small number, it leaves a whole number in the lowest bits
# (exp(r) - 1 - r) / r^2 for |r| <= ln(2) / 2, fitted so that exp(r) - 1 is nowhere wrong by more than 1.4e-8 of itself.
C0, C1, C2, C3, C4 = (
    np.float32(c) for c in (0.4999999815, 0.1666654342, 0.04166720071, 0.008366547138, 0.001388251645)
)


@intrinsic
def _fused(typingctx, a, b, c):
    """a b + c, rounded once."""

    def codegen(context, builder, signature, arguments):
        kind = arguments[0].type
        function = ir.FunctionType(kind, [kind] * 3)
        return builder.call(cgutils.get_or_insert_function(builder.module, function, "llvm.fma.f32"), arguments)

    return types.float32(types.float32, types.float32, types.float32), codegen


@register_jitable
def _rounded_twice(a, b, c):
    return a * b + c


# Where the processor has no such instruction, LLVM would call a function for each element.
_fma = _fused if SIMD in ("avx512", "avx2", "neon") else _rounded_twice


@register_jitable
def _expm1_parts(x):
    """p(r) and 2^n."""
    low, high = np.float32(-87.0), np.float32(88.0)
    x = low if x < low else x  # written so that NaN stays NaN, and without branches
    x = high if x > high else x
    shifted = np.float32(_fma(x, LOG2_E, ROUND))
    n = shifted - ROUND
    r = _fma(-n, LN_2_LOW, _fma(-n, LN_2_HIGH, x))
    series = _fma(_fma(_fma(_fma(C4, r, C3), r, C2), r, C1), r, C0)
    power = np.int32((shifted.view(np.int32) + np.int32(127)) << np.int32(23)).view(np.float32)
    return _fma(series * r, r, r), power


@register_jitable
def _exp32(x):
    p, power = _expm1_parts(x)
    return _fma(p, power, power)


@register_jitable
def _tanh32(x):
    most = np.float32(20)  # where tanh has long been 1, and its quotient is still one of finite numbers
    p, power = _expm1_parts(most if x > most else x + x)
    t = _fma(p, power, power - np.float32(1))
    return t / (t + np.float32(2))


@register_jitable
def _erf32(x):
    # Abramowitz and Stegun, Handbook of Mathematical Functions, 7.1.26.
    a = abs(x)
    t = np.float32(1) / (np.float32(1) + np.float32(0.3275911) * a)
    series = np.float32(1.061405429)
    series = series * t - np.float32(1.453152027)
    series = series * t + np.float32(1.421413741)
    series = series * t - np.float32(0.284496736)
    series = series * t + np.float32(0.254829592)
    return math.copysign(np.float32(1) - series * t * _exp32(-a * a), x)


def exp(x):
    """e to the power x."""
    return np.exp(x)


def tanh(x):
    """Hyperbolic tangent."""
    return np.tanh(x)


def erf(x):
    """Error function, 2/sqrt(pi) times the integral of exp(-t^2) from 0 to x."""
    return np.vectorize(math.erf, otypes=[np.asarray(x).dtype])(x)


def sigmoid(x):
    """The logistic function 1 / (1 + exp(-x))."""
    return 1 / (1 + np.exp(-x))


@register_jitable
def _sigmoid32(x):
    return np.float32(1) / (np.float32(1) + _exp32(-x))


def _fast(function, ours, exact):
    @overload(function)
    def choose(x):
        return ours if x == types.float32 else exact


_fast(exp, lambda x: _exp32(x), lambda x: math.exp(x))
_fast(tanh, lambda x: _tanh32(x), lambda x: math.tanh(x))
_fast(erf, lambda x: _erf32(x), lambda x: math.erf(x))
_fast(sigmoid, lambda x: _sigmoid32(x), lambda x: 1 / (1 + math.exp(-x)))
