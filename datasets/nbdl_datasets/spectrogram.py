"""Sound as a picture: how loud each band of pitches is, moment by moment.

    frame    w(i) s(hop n + i), w the Hann window 0.5 - 0.5 cos(2 pi i / size)
    power    |FFT(frame)|^2
    mel      2595 log10(1 + f / 700): equal steps sound equally far apart; each band weighs the powers with a triangle
    picture  log10(1e-6 + band), less its mean, its moments drawn out or together to a fixed number

Source: Davis and Mermelstein, Comparison of parametric representations, 1980.
"""

import numpy as np

WINDOW, HOP, BANDS = 256, 128, 32


def bands(rate: int) -> np.ndarray:
    """The triangles. Shape: (BANDS, WINDOW / 2 + 1)"""
    top = 2595 * np.log10(1 + rate / 2 / 700)
    corners = 700 * (10 ** (np.linspace(0, top, BANDS + 2) / 2595) - 1)
    frequencies = np.fft.rfftfreq(WINDOW, 1 / rate)
    low, middle, high = corners[:-2, None], corners[1:-1, None], corners[2:, None]
    return np.maximum(0, np.minimum((frequencies - low) / (middle - low), (high - frequencies) / (high - middle)))


def spectrogram(sound: np.ndarray, rate: int, frames: int) -> np.ndarray:
    """A picture of `frames` moments: long and short sounds are brought to one length. Shape: (BANDS, frames), float32"""
    sound = np.pad(sound, (0, max(0, WINDOW + HOP - len(sound))))
    pieces = np.lib.stride_tricks.sliding_window_view(sound, WINDOW)[::HOP]
    power = np.abs(np.fft.rfft(pieces * np.hanning(WINDOW + 1)[:-1], axis=1)) ** 2
    picture = np.log10(1e-6 + bands(rate) @ power.T)
    moments = np.linspace(0, len(pieces) - 1, frames)
    before = np.minimum(moments.astype(int), len(pieces) - 2)
    share = moments - before
    picture = picture[:, before] * (1 - share) + picture[:, before + 1] * share
    return (picture - picture.mean()).astype(np.float32)
