"""First weights: small random numbers whose spread keeps signals the same size from layer to layer."""

import math

import numpy as np

from nbdl.errors import NbdlError

# variance = gain / fan, with fan the number of inputs, or the mean of inputs and outputs
_SCALED = {
    "glorot": (1.0, lambda inputs, outputs: (inputs + outputs) / 2),  # Glorot and Bengio 2010: sigmoid, tanh
    "he": (2.0, lambda inputs, outputs: inputs),  # He et al. 2015: ReLU halves the variance
    "lecun": (1.0, lambda inputs, outputs: inputs),  # LeCun et al. 1998
}
NAMES = [f"{kind}_{shape}" for kind in _SCALED for shape in ("uniform", "normal")] + ["zeros", "constant:VALUE"]


def initialize(name: str, random: np.random.Generator, shape: tuple[int, ...], inputs: int, outputs: int) -> np.ndarray:
    """Weights in float64: variance gain/fan for `glorot_`, `he_`, `lecun_` (`uniform` or `normal`), else a constant."""
    if name == "zeros":
        return np.zeros(shape)
    if name.startswith("constant:"):
        try:
            return np.full(shape, float(name.partition(":")[2]))
        except ValueError:
            raise NbdlError(f"initializer {name!r}: expected a number behind 'constant:'.") from None
    kind, _, spread = name.partition("_")
    if kind not in _SCALED or spread not in ("uniform", "normal"):
        raise NbdlError(f"initializer {name!r} is unknown; choose one of {', '.join(NAMES)}.")
    gain, fan = _SCALED[kind]
    deviation = math.sqrt(gain / fan(inputs, outputs))
    if spread == "normal":
        return random.standard_normal(shape) * deviation
    return random.uniform(-1, 1, shape) * deviation * math.sqrt(3)
