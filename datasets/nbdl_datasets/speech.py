"""Spoken digits: people saying 0 to 9 (Free Spoken Digit Dataset), as pictures of their sound or as sequences of moments.

Files are named digit_speaker_take.wav; takes 0 to 4 are kept for the test, as the publishers do.
"""

import re
import zipfile
import zlib
from pathlib import Path

import numpy as np

from nbdl.errors import NbdlError
from nbdl_datasets import wav
from nbdl_datasets.base import Dataset, Split, cut
from nbdl_datasets.download import Progress, addresses, fetch, folders
from nbdl_datasets.spectrogram import BANDS, SCALE, sequence, spectrogram

RATE, FRAMES, TEST_TAKES = 8000, 32, 5
MOMENTS = 48  # of a sequence at most: three quarters of a second, which one recording in 300 exceeds
FOLDER = "fsdd"
ADDRESSES = ("https://github.com/Jakobovski/free-spoken-digit-dataset/archive/refs/heads/master.zip",)
NAME = re.compile(r"([0-9])_([^_]+)_([0-9]+)\.wav")
CREDIT = "Z. Jackson and others, Free Spoken Digit Dataset, CC BY-SA 4.0"
SUMMARIES = {
    "spoken-digits": "people saying the digits 0 to 9, as pictures of their sound",
    "spoken-digits-sequence": "people saying the digits 0 to 9, moment by moment, as long as they take",
}
SHAPE = (BANDS, FRAMES)
SEQUENCE = (MOMENTS, BANDS)


def find() -> Path | None:
    """A folder of wav files or a zip archive of them, if there is one here."""
    for folder in folders(FOLDER):
        for place in (folder, folder / "recordings"):
            if any(place.glob("*_*_*.wav")):
                return place
        archives = sorted(folder.glob("*.zip"))
        if archives:
            return archives[0]
    return None


def _files(path: Path):
    """Name and content of every wav file; what macOS hides in its archives (`._7_a_1.wav`) is none."""
    try:
        if path.is_dir():
            for file in sorted(path.glob("[!.]*.wav")):
                yield file.name, file.read_bytes()
            return
        with zipfile.ZipFile(path) as archive:
            for name in sorted(archive.namelist()):
                if name.endswith(".wav") and not Path(name).name.startswith("."):
                    yield Path(name).name, archive.read(name)
    except (OSError, EOFError, RuntimeError, zipfile.BadZipFile, zlib.error) as error:
        raise NbdlError(f"{path} cannot be read ({error}); fetch it again.") from None


def _trimmed(sound: np.ndarray) -> np.ndarray:
    """Without the silence before and behind: what is less than a fiftieth of the loudest."""
    loud = np.flatnonzero(np.abs(sound) > 0.02 * np.abs(sound).max())
    return sound[loud[0] : loud[-1] + 1] if len(loud) else sound


def _sounds(progress: Progress, download: bool) -> tuple[list[np.ndarray], np.ndarray, np.ndarray]:
    """All recordings without their silence, the digits said, and whether each is for the test."""
    path = find() or fetch(
        "spoken-digits", "recordings.zip", addresses("spoken-digits", ADDRESSES), None, progress, download, FOLDER
    )
    sounds, digits, tests = [], [], []
    for name, content in _files(path):
        read = NAME.fullmatch(name)
        if read is None:
            raise NbdlError(f"{name} in {path}: expected a name like 7_jackson_12.wav (digit, speaker, take).")
        sounds.append(_trimmed(wav.read(content, f"{path}/{name}", RATE)))
        digits.append(int(read[1]))
        tests.append(int(read[3]) < TEST_TAKES)
    if not any(tests) or all(tests):
        raise NbdlError(
            f"{path} holds {sum(tests)} recordings of the takes 0 to {TEST_TAKES - 1}, to test on, and "
            f"{len(tests) - sum(tests)} others, to learn from; expected both, named digit_speaker_take.wav."
        )
    return sounds, np.array(digits), np.array(tests)


def _pictures(sounds: list[np.ndarray], digits: np.ndarray) -> Split:
    return Split(np.stack([spectrogram(sound, RATE, FRAMES) for sound in sounds]), digits)


def _sequences(sounds: list[np.ndarray], digits: np.ndarray) -> Split:
    """Moments of every sound, zeros behind those of the shorter ones, and how many there are."""
    found = [sequence(sound, RATE, MOMENTS) for sound in sounds]
    inputs = np.zeros((len(found), *SEQUENCE), np.float32)
    for row, one in zip(inputs, found, strict=True):
        row[: len(one)] = one
    return Split(inputs, digits, np.array([len(one) for one in found]))


def load(name: str, seed: int, progress: Progress = None, download: bool = True) -> Dataset:
    """All recordings; a tenth of those that are not for the test is set apart to check on."""
    sounds, digits, kept = _sounds(progress, download)
    pictured = name == "spoken-digits"
    samples = (_pictures if pictured else _sequences)(sounds, digits)
    train, validation = cut(samples.take(np.flatnonzero(~kept)), (0.9,), seed, stratify=True)
    return Dataset(
        name, train, validation, samples.take(np.flatnonzero(kept)), "classification", tuple("0123456789"),
        scale=SCALE, kind="spectrogram" if pictured else "sequence", summary=SUMMARIES[name], credit=CREDIT,
    )  # fmt: skip
