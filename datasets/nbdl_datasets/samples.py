"""One sample from a file, as a network that learnt from such samples takes it: numbers, a picture or a sound."""

import zipfile
from math import prod
from pathlib import Path

import numpy as np

from nbdl.errors import NbdlError
from nbdl_datasets import speech, tones, wav
from nbdl_datasets.spectrogram import sequence, spectrogram

NETPBM = {b"P2": 1, b"P3": 3, b"P5": 1, b"P6": 3}  # channels; 5 and 6 hold bytes, 2 and 3 text
PICTURES = (".pgm", ".ppm", ".pnm")
ENDINGS = ".npy, .npz, .csv, .txt, .wav, .pgm, .ppm, or with Pillow .png and .jpg"


def read(path: str | Path, shape: tuple[int, ...], *, kind: str = "table", offset: float = 0.0, scale: float = 1.0):
    """The sample in `path` in the numbers of the data set, before (x - offset) * scale. Shape: `shape`, float32

    A picture's darkest and brightest become the 0 and 1 that the network sees; a grey one serves for three colours, a
    coloured one is turned grey for a network without colours. Raises NbdlError that names both shapes.
    """
    path = Path(path)
    try:
        content = path.read_bytes()
    except OSError as error:
        raise NbdlError(f"{path} cannot be read ({error.strerror or error}).") from None
    if not content:
        raise NbdlError(f"{path} is empty; expected one sample ({ENDINGS}).")
    ending = path.suffix.lower()
    if ending in (".npy", ".npz"):
        found = _array(path, shape)
    elif ending in (".csv", ".txt"):
        found = _numbers(path, content)
    elif ending == ".wav":
        return _sound(path, content, shape, kind)
    elif content[:2] in NETPBM or ending in PICTURES:
        return _fitting(path, _netpbm(path, content), shape, kind) / scale + offset
    else:
        return _fitting(path, _pillow(path), shape, kind) / scale + offset
    if found.shape != shape and not (found.ndim == 1 and found.size == prod(shape)):
        raise NbdlError(
            f"{path} holds {found.size} numbers of shape {found.shape}; this network takes samples of shape {shape}, "
            f"{prod(shape)} numbers. Give one sample of that shape."
        )
    if not np.isfinite(found).all():
        raise NbdlError(f"{path} holds numbers that are not finite (nan or infinity).")
    return found.reshape(shape).astype(np.float32)


def steps_of(sample: np.ndarray) -> int:
    """How many steps of a sequence there are before the zeros that pad it. Shape: (steps, features)"""
    some = np.flatnonzero(sample.reshape(len(sample), -1).any(axis=1))
    return int(some[-1]) + 1 if len(some) else 0


def _array(path: Path, shape: tuple[int, ...]) -> np.ndarray:
    """The array of a .npy, or the x, input or only one of a .npz; a batch of one is a sample."""
    try:
        loaded = np.load(path, allow_pickle=False)
        if isinstance(loaded, np.ndarray):
            found = loaded
        else:
            with loaded as file:
                name = next((n for n in ("x", "input", "inputs") if n in file.files), None)
                if name is None and len(file.files) != 1:
                    raise NbdlError(
                        f"{path} holds {', '.join(file.files) or 'nothing'}; expected one array, or one named x."
                    )
                found = file[name or file.files[0]]
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise NbdlError(f"{path} cannot be read as an array ({error}); save it with numpy.save or savez.") from None
    if found.dtype.kind not in "biuf":
        raise NbdlError(f"{path} holds {found.dtype}; expected numbers.")
    return found[0] if found.ndim == len(shape) + 1 and len(found) == 1 else found


def _numbers(path: Path, content: bytes) -> np.ndarray:
    """Numbers between commas, blanks or semicolons: one row, or the rows of a picture; a line of names is passed over."""
    try:
        lines = content.decode("utf-8-sig").splitlines()
    except UnicodeDecodeError:
        raise NbdlError(f"{path} is not text; expected numbers with commas between them.") from None
    rows = [line.replace(",", " ").replace(";", " ").split() for line in lines if line.strip()]
    values = []
    for number, row in enumerate(rows):
        try:
            values.append([float(word) for word in row])
        except ValueError as error:
            if number == 0 and len(rows) > 1:
                continue
            raise NbdlError(f"{path}, row {number + 1}: {error}; expected numbers.") from None
    if not values or len({len(row) for row in values}) != 1:
        raise NbdlError(
            f"{path} has rows of {', '.join(str(len(r)) for r in values) or 'no'} numbers; expected equal ones."
        )
    return np.array(values[0] if len(values) == 1 else values)


def _sound(path: Path, content: bytes, shape: tuple[int, ...], kind: str) -> np.ndarray:
    if kind == "spectrogram" and shape == speech.SHAPE:
        return spectrogram(speech._trimmed(wav.read(content, str(path), speech.RATE)), speech.RATE, speech.FRAMES)
    if kind == "sequence" and shape == speech.SEQUENCE:
        moments = sequence(speech._trimmed(wav.read(content, str(path), speech.RATE)), speech.RATE, speech.MOMENTS)
        return np.pad(moments, ((0, speech.MOMENTS - len(moments)), (0, 0)))
    if kind == "sequence" and shape == tones.SHAPES["tones-sequence"]:
        return sequence(_sound(path, content, tones.SHAPES["tones"], "sound")[0], tones.RATE, tones.MOMENTS)
    if kind != "sound":
        what = f"pictures of {shape[-1]} x {shape[-2]} pixels" if kind == "image" else "other samples"
        raise NbdlError(f"{path} is a sound; this network takes {what}, of shape {shape}. Give a file of that kind.")
    sound = wav.read(content, str(path), tones.RATE)
    if len(sound) < shape[-1] or prod(shape) != shape[-1]:
        raise NbdlError(
            f"{path} holds {len(sound)} samples at {tones.RATE} a second, of shape (1, {len(sound)}); this network takes "
            f"samples of shape {shape}, {shape[-1] / tones.RATE:.3g} seconds. Give a longer sound; its beginning is used."
        )
    return sound[: shape[-1]].reshape(shape).astype(np.float32)


def _netpbm(path: Path, content: bytes) -> np.ndarray:
    """A PGM or PPM picture, (height, width) or (height, width, 3), from 0 to 1."""
    words: list[bytes] = []
    at = 0
    while len(words) < 4 and at < len(content):  # kind, width, height, largest; comments run to the end of a line
        if content[at : at + 1] == b"#":
            at = content.find(b"\n", at) % (len(content) + 1)
        elif content[at : at + 1].isspace():
            at += 1
        else:
            end = at
            while end < len(content) and not content[end : end + 1].isspace():
                end += 1
            words.append(content[at:end])
            at = end
    if len(words) < 4 or words[0] not in NETPBM or not all(word.isdigit() and int(word) for word in words[1:]):
        raise NbdlError(
            f"{path} is not a PGM or PPM picture: expected P2, P3, P5 or P6, a width, a height, a largest grey."
        )
    width, height, top = map(int, words[1:])
    channels = NETPBM[words[0]]
    needed = width * height * channels
    if top > 65535:
        raise NbdlError(f"{path} says that its brightest is {top}; expected 65535 at most.")
    if words[0] in (b"P2", b"P3"):
        try:
            values = np.array(content[at:].split(), dtype=float)
        except ValueError:
            raise NbdlError(f"{path} holds something that is not a number.") from None
    else:
        body = content[at + 1 :]
        values = np.frombuffer(body[: len(body) // 2 * 2], ">u2") if top > 255 else np.frombuffer(body, np.uint8)
    if values.size < needed:
        raise NbdlError(f"{path} is cut off: {values.size} numbers, where {width} x {height} pixels need {needed}.")
    picture = values[:needed].astype(np.float32).reshape(height, width, channels) / top
    return picture[:, :, 0] if channels == 1 else picture


def _pillow(path: Path) -> np.ndarray:
    try:
        from PIL import Image, UnidentifiedImageError
    except ImportError:
        raise NbdlError(
            f"{path} is not of a kind that nbdl reads by itself ({ENDINGS}); install Pillow (pip install pillow), or turn "
            "it into a .ppm."
        ) from None
    try:
        with Image.open(path) as image:
            grey = image.mode in ("1", "L", "I", "I;16", "F")
            return np.asarray(image.convert("L" if grey else "RGB"), dtype=np.float32) / 255
    except (UnidentifiedImageError, OSError, ValueError) as error:
        raise NbdlError(f"{path} cannot be read as a picture ({error}); expected {ENDINGS}.") from None


def _fitting(path: Path, picture: np.ndarray, shape: tuple[int, ...], kind: str) -> np.ndarray:
    """The picture as the network takes pictures: (height, width) or (channels, height, width)."""
    height, width = picture.shape[:2]
    colours = shape[0] if len(shape) == 3 else 1
    if kind != "image" or len(shape) not in (2, 3) or colours not in (1, 3):
        sounds = kind in ("sound", "spectrogram")
        raise NbdlError(
            f"{path} is a picture of {width} x {height} pixels, shape {(height, width)}; this network takes "
            f"{'sounds' if sounds else 'samples'} of shape {shape}. Give {'a .wav' if sounds else 'a .npz or .csv'} file."
        )
    if (height, width) != shape[-2:]:
        raise NbdlError(
            f"{path} is {width} pixels wide and {height} high, shape {(height, width)}; this network takes {shape[-1]} wide "
            f"and {shape[-2]} high, samples of shape {shape}. Cut out what matters and scale it to "
            f"{shape[-1]} x {shape[-2]} pixels."
        )
    if colours == 3:
        found = np.repeat(picture[None], 3, axis=0) if picture.ndim == 2 else picture.transpose(2, 0, 1)
    else:
        found = picture if picture.ndim == 2 else picture @ np.array([0.299, 0.587, 0.114], np.float32)
    return np.ascontiguousarray(found, np.float32).reshape(shape)
