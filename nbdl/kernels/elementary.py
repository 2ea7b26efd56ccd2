"""exp, tanh, erf and the logistic function, in plain arithmetic that compilers turn into vector code.

A loop that calls the mathematical library runs one element at a time (tanh: 15 ns an element); these run in every lane.
In float64, used for gradient checks, they are the library's own. As Python functions they are NumPy's and exact.

Errors in float32, measured over the whole range: exp 2e-7 relative, tanh 2e-7, sigmoid 2e-7, erf 5e-7 absolute.
"""

import math

import numpy as np
from numba import types
from numba.extending import overload, register_jitable

LOG2_E = np.float32(1 / math.log(2))
LN_2_HIGH = np.float32(355 / 512)  # so few digits that n times it is exact
LN_2_LOW = np.float32(math.log(2) - 355 / 512)


@register_jitable
def _exp32(x):
    # exp(x) = 2^n exp(r), |r| <= ln(2)/2, and a Taylor series for exp(r): its next term is below 6e-9.
    low, high = np.float32(-87.0), np.float32(88.0)
    x = low if x < low else x  # written so that NaN stays NaN, and without branches
    x = high if x > high else x
    n = np.floor(x * LOG2_E + np.float32(0.5))
    r = (x - n * LN_2_HIGH) - n * LN_2_LOW
    series = np.float32(1 / 5040)
    series = series * r + np.float32(1 / 720)
    series = series * r + np.float32(1 / 120)
    series = series * r + np.float32(1 / 24)
    series = series * r + np.float32(1 / 6)
    series = series * r + np.float32(0.5)
    series = series * r + np.float32(1)
    series = series * r + np.float32(1)
    return series * np.int32((np.int32(n) + np.int32(127)) << np.int32(23)).view(np.float32)


@register_jitable
def _tanh32(x):
    # Near 0 the quotient would lose digits, so there the odd Taylor series takes over.
    e = _exp32(np.float32(-2) * abs(x))
    far = math.copysign((np.float32(1) - e) / (np.float32(1) + e), x)
    s = x * x
    series = np.float32(21844 / 6081075)
    series = series * s - np.float32(1382 / 155925)
    series = series * s + np.float32(62 / 2835)
    series = series * s - np.float32(17 / 315)
    series = series * s + np.float32(2 / 15)
    series = series * s - np.float32(1 / 3)
    near = x + x * s * series
    return near if s < np.float32(0.16) else far


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
