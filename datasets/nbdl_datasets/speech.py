"""Spoken digits: people saying 0 to 9 (Free Spoken Digit Dataset), as pictures of their sound.

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
from nbdl_datasets.spectrogram import BANDS, spectrogram

RATE, FRAMES, TEST_TAKES = 8000, 32, 5
FOLDER = "fsdd"
ADDRESSES = ("https://github.com/Jakobovski/free-spoken-digit-dataset/archive/refs/heads/master.zip",)
NAME = re.compile(r"([0-9])_([^_]+)_([0-9]+)\.wav")
CREDIT = "Z. Jackson and others, Free Spoken Digit Dataset, CC BY-SA 4.0"
SUMMARY = "people saying the digits 0 to 9, as pictures of their sound"
SHAPE = (BANDS, FRAMES)
SCALE = 0.4  # powers of ten reach from -5 to 6: in steps of this size a network starts near the cost of guessing


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


def load(seed: int, progress: Progress = None, download: bool = True) -> Dataset:
    """All recordings; a tenth of those that are not for the test is set apart to check on."""
    path = find() or fetch(
        "spoken-digits", "recordings.zip", addresses("spoken-digits", ADDRESSES), None, progress, download, FOLDER
    )
    pictures, digits, tests = [], [], []
    for name, content in _files(path):
        read = NAME.fullmatch(name)
        if read is None:
            raise NbdlError(f"{name} in {path}: expected a name like 7_jackson_12.wav (digit, speaker, take).")
        sound = _trimmed(wav.read(content, f"{path}/{name}", RATE))
        pictures.append(spectrogram(sound, RATE, FRAMES))
        digits.append(int(read[1]))
        tests.append(int(read[3]) < TEST_TAKES)
    if not any(tests) or all(tests):
        raise NbdlError(
            f"{path} holds {sum(tests)} recordings of the takes 0 to {TEST_TAKES - 1}, to test on, and "
            f"{len(tests) - sum(tests)} others, to learn from; expected both, named digit_speaker_take.wav."
        )
    samples, kept = Split(np.stack(pictures), np.array(digits)), np.array(tests)
    train, validation = cut(samples.take(np.flatnonzero(~kept)), (0.9,), seed, stratify=True)
    return Dataset(
        "spoken-digits", train, validation, samples.take(np.flatnonzero(kept)), "classification", tuple("0123456789"),
        scale=SCALE, kind="spectrogram", summary=SUMMARY, credit=CREDIT,
    )  # fmt: skip
