"""Sound as a picture: how loud each band of pitches is, moment by moment.

    frame    w(i) s(hop n + i), w the Hann window 0.5 - 0.5 cos(2 pi i / size)
    power    |FFT(frame)|^2
    mel      2595 log10(1 + f / 700): equal steps sound equally far apart; each band weighs the powers with a triangle
    picture  log10(1e-6 + band), less its mean, its moments drawn out or together to a fixed number
    sequence the same, its moments as they are: as many as the sound is long

Source: Davis and Mermelstein, Comparison of parametric representations, 1980.
"""

import numpy as np

WINDOW, HOP, BANDS = 256, 128, 32
SCALE = 0.4  # powers of ten reach from -5 to 6: in steps of this size a network starts near the cost of guessing


def bands(rate: int) -> np.ndarray:
    """The triangles. Shape: (BANDS, WINDOW / 2 + 1)"""
    top = 2595 * np.log10(1 + rate / 2 / 700)
    corners = 700 * (10 ** (np.linspace(0, top, BANDS + 2) / 2595) - 1)
    frequencies = np.fft.rfftfreq(WINDOW, 1 / rate)
    low, middle, high = corners[:-2, None], corners[1:-1, None], corners[2:, None]
    return np.maximum(0, np.minimum((frequencies - low) / (middle - low), (high - frequencies) / (high - middle)))


def frames(sound: np.ndarray, rate: int) -> np.ndarray:
    """The bands of every moment, log10(1e-6 + band), two moments at least. Shape: (moments, BANDS)"""
    sound = np.pad(sound, (0, max(0, WINDOW + HOP - len(sound))))
    pieces = np.lib.stride_tricks.sliding_window_view(sound, WINDOW)[::HOP]
    power = np.abs(np.fft.rfft(pieces * np.hanning(WINDOW + 1)[:-1], axis=1)) ** 2
    return np.log10(1e-6 + bands(rate) @ power.T).T


def spectrogram(sound: np.ndarray, rate: int, length: int) -> np.ndarray:
    """A picture of `length` moments: long and short sounds are brought to one length. Shape: (BANDS, length), float32"""
    picture = frames(sound, rate).T
    moments = np.linspace(0, picture.shape[1] - 1, length)
    before = np.minimum(moments.astype(int), picture.shape[1] - 2)
    share = moments - before
    picture = picture[:, before] * (1 - share) + picture[:, before + 1] * share
    return (picture - picture.mean()).astype(np.float32)


def sequence(sound: np.ndarray, rate: int, most: int) -> np.ndarray:
    """The moments in their order, `most` of them at most: what is longer is cut. Shape: (moments, BANDS), float32"""
    found = frames(sound, rate)[:most]
    return (found - found.mean()).astype(np.float32)
