"""Sound from .wav files, as one channel of numbers from -1 to 1.

A wav file is a row of chunks (four letters, a length, so many bytes, and one more where the length is odd), of which two
matter: `fmt ` says what a number is, `data` holds the numbers, one of each channel in turn. All others are passed over.

Source: Microsoft, Multiple Channel Audio Data and WAVE Files, 2007.
"""

import struct
from math import gcd

import numpy as np

from nbdl.errors import NbdlError

WHOLE, FLOAT, EXTENSIBLE = 1, 3, 0xFFFE
UNKNOWN = 0xFFFFFFFF  # the length that a recorder writes into a pipe, where it cannot come back


def read(content: bytes, name: str, rate: int) -> np.ndarray:
    """The samples, channels averaged, at `rate` a second. Shape: (length), float32

    Whole numbers of 8, 16, 24 or 32 bits and floating point of 32 or 64 are read. Raises NbdlError that names the file and
    what was expected.
    """
    form, raw = _chunks(content, name)
    kind, channels, found, _, frame, bits = struct.unpack_from("<HHIIHH", form)
    if kind == EXTENSIBLE and len(form) >= 26:  # the kind itself opens a longer name, behind all the rest
        kind = struct.unpack_from("<H", form, 24)[0]
    if (kind, bits) not in {(WHOLE, 8), (WHOLE, 16), (WHOLE, 24), (WHOLE, 32), (FLOAT, 32), (FLOAT, 64)}:
        raise NbdlError(
            f"{name} holds sound of kind {kind} with {bits} bits a sample; expected whole numbers (kind 1) of 8, 16, 24 or "
            "32 bits, or floating point (kind 3) of 32 or 64."
        )
    if not channels or frame != channels * bits // 8 or not 1000 <= found <= 1_000_000:
        raise NbdlError(
            f"{name} has a damaged header: {channels} channels of {bits} bits in {frame} bytes, {found} times a second; "
            "expected bytes for all channels, 1,000 to 1,000,000 times."
        )
    if len(raw) < frame:
        raise NbdlError(f"{name} holds no sound.")
    samples = _numbers(raw[: len(raw) - len(raw) % frame], kind, bits)
    if not np.isfinite(samples).all():
        raise NbdlError(f"{name} holds samples that are no numbers (nan or infinity).")
    return resample(samples.reshape(-1, channels).mean(axis=1), found, rate).astype(np.float32)


def _chunks(content: bytes, name: str) -> tuple[bytes, bytes]:
    """What the chunks `fmt ` and `data` hold."""
    if not content:
        raise NbdlError(f"{name} is empty; expected a wav file.")
    if content[:4] != b"RIFF" or content[8:12] != b"WAVE":
        raise NbdlError(f"{name} is not a wav file: it begins with {content[:12]!r}; expected RIFF, a length and WAVE.")
    at, form = 12, b""
    while at + 8 <= len(content):
        kind, length = struct.unpack_from("<4sI", content, at)
        body = content[at + 8 : at + 8 + length]
        if kind == b"data" and length == UNKNOWN:
            length = len(body)
        if len(body) < length:
            raise NbdlError(
                f"{name} is cut off: {len(body):,} bytes are there of the {length:,} that its part {kind.decode('latin-1')!r} "
                "promises."
            )
        if kind == b"fmt ":
            if length < 16:
                raise NbdlError(f"{name} has a damaged header: a format of {length} bytes; expected 16 or more.")
            form = body
        if kind == b"data":
            if not form:
                raise NbdlError(f"{name} has sound before its format; expected 'fmt ' before 'data'.")
            return form, body
        at += 8 + length + length % 2
    raise NbdlError(f"{name} is cut off: it ends before its sound; expected the parts 'fmt ' and 'data'.")


def _numbers(raw: bytes, kind: int, bits: int) -> np.ndarray:
    """Samples from -1 to 1; those of 8 bits have their zero at 128."""
    if kind == FLOAT:
        return np.frombuffer(raw, f"<f{bits // 8}").astype(float)
    if bits == 8:
        return (np.frombuffer(raw, np.uint8) - 128.0) / 128
    if bits == 24:  # behind an empty lowest byte
        padded = np.zeros((len(raw) // 3, 4), np.uint8)
        padded[:, 1:] = np.frombuffer(raw, np.uint8).reshape(-1, 3)
        return padded.view("<i4")[:, 0] / 2.0**31
    return np.frombuffer(raw, f"<i{bits // 8}") / 2.0 ** (bits - 1)


def resample(sound: np.ndarray, found: int, rate: int) -> np.ndarray:
    """The same sound with `rate` samples a second instead of `found`.

    Its spectrum is cut, or drawn out with zeros: pitches that the new rate cannot hold go, and are not folded down among
    the others as they would be by leaving samples out.
    """
    if found == rate:
        return sound
    old, new = found // gcd(found, rate), rate // gcd(found, rate)  # so many samples last as long as so many new ones
    n = len(sound)
    sound = np.pad(sound, (0, -n % old))
    whole = len(sound) // old * new
    spectrum = np.fft.rfft(sound)[: whole // 2 + 1]
    return np.fft.irfft(spectrum, whole)[: max(1, round(n * new / old))] * (new / old)
