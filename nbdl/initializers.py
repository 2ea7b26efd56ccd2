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
NAMES = [f"{kind}_{shape}" for kind in _SCALED for shape in ("uniform", "normal")]
NAMES += ["orthogonal", "forget", "zeros", "constant:VALUE"]


def initialize(name: str, random: np.random.Generator, shape: tuple[int, ...], inputs: int, outputs: int) -> np.ndarray:
    """Weights in float64: variance gain/fan for `glorot_`, `he_`, `lecun_` (`uniform` or `normal`), or one of these:

    `orthogonal`: square blocks that neither stretch nor shrink what they turn (Saxe et al. 2014), `forget`: 1 for the second
    quarter, the forget gate of an LSTM, and 0 else (Jozefowicz et al. 2015), `zeros`, and `constant:VALUE`.
    """
    if name == "zeros":
        return np.zeros(shape)
    if name == "forget":
        return np.repeat([0.0, 1.0, 0.0, 0.0], shape[0] // 4)
    if name == "orthogonal":
        rows, blocks = shape[0], shape[1] // shape[0]
        return np.hstack([_rotation(random, rows) for _ in range(blocks)])
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


def _rotation(random: np.random.Generator, size: int) -> np.ndarray:
    """An orthogonal matrix, any as likely as any other: the signs of R make QR's answer unique."""
    q, r = np.linalg.qr(random.standard_normal((size, size)))
    return q * np.sign(np.diag(r))
