"""A sample of a data set as a picture, whatever it is a sample of."""

from typing import Any

PICTURED = ("image", "spectrogram", "video", "sequence")
FRAMES = 4  # of a film are shown side by side


def across(kind: str) -> int:
    """How many pictures of this kind should find room beside each other."""
    return 2 if kind == "video" else 4


def picture(sample: Any, kind: str) -> Any:
    """(height, width) or (height, width, 3) numbers from 0 to 1; a spectrogram has its low pitches below.

    A sequence runs to the right like one.
    """
    import numpy as np

    array = np.asarray(sample, dtype=float)
    if kind == "video":
        frames = array[0][np.linspace(0, array.shape[1] - 1, FRAMES).round().astype(int)]
        array = np.concatenate([np.pad(frame, ((0, 0), (0, 1))) for frame in frames], axis=1)[:, :-1]
    elif kind in ("spectrogram", "sequence"):
        array = array.T if kind == "sequence" else array
        padding = ~array.any(axis=0)  # behind the end of a short sequence
        array = np.where(padding, 0, array[::-1] - array.min())
    elif array.ndim == 3:
        array = array.transpose(1, 2, 0)
    return array / (float(array.max()) or 1.0)
