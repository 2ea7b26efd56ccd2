"""Sound from .wav files, as one channel of numbers from -1 to 1."""

import io
import wave

import numpy as np

from nbdl.errors import NbdlError


def read(content: bytes, name: str, rate: int) -> np.ndarray:
    """The samples of a wav file of 8, 16, 24 or 32 bits; channels are averaged, another rate is brought to `rate`.

    Raises NbdlError that names the file when it is empty, cut off or not a wav.
    """
    try:
        with wave.open(io.BytesIO(content)) as file:
            channels, width, found, frames = file.getparams()[:4]
            raw = file.readframes(frames)
    except (wave.Error, EOFError) as error:
        raise NbdlError(f"{name} is not a whole wav file of plain numbers ({error or 'it is empty'}).") from None
    if not frames:
        raise NbdlError(f"{name} holds no sound.")
    if len(raw) < frames * channels * width:
        raise NbdlError(
            f"{name} is cut off: {len(raw):,} bytes of sound, where it promises {frames * channels * width:,}."
        )
    if width == 1:
        samples = (np.frombuffer(raw, np.uint8).astype(np.float32) - 128) / 128
    elif width == 3:  # three bytes, put behind an empty lowest one
        padded = np.zeros((len(raw) // 3, 4), np.uint8)
        padded[:, 1:] = np.frombuffer(raw, np.uint8).reshape(-1, 3)
        samples = padded.view("<i4")[:, 0].astype(np.float32) / 2**31
    elif width in (2, 4):
        samples = np.frombuffer(raw, f"<i{width}").astype(np.float32) / 2 ** (8 * width - 1)
    else:
        raise NbdlError(f"{name} has {8 * width} bits a sample; expected 8, 16, 24 or 32.")
    mono = samples.reshape(-1, channels).mean(axis=1)
    if found == rate:
        return mono
    times = np.arange(int(len(mono) * rate / found)) / rate
    return np.interp(times, np.arange(len(mono)) / found, mono).astype(np.float32)
