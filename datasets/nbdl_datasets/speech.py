"""Spoken digits: people saying 0 to 9 (Free Spoken Digit Dataset), as pictures of their sound.

Files are named digit_speaker_take.wav; takes 0 to 4 are kept for the test, as the publishers do.
"""

import os
import zipfile
from pathlib import Path

import numpy as np

from nbdl.errors import NbdlError
from nbdl_datasets import wav
from nbdl_datasets.base import Dataset, Split, cut
from nbdl_datasets.download import Progress, cache_folder, folders
from nbdl_datasets.spectrogram import BANDS, spectrogram

RATE, FRAMES = 8000, 32
FOLDER = "fsdd"
ADDRESS = "https://github.com/Jakobovski/free-spoken-digit-dataset/archive/refs/heads/master.zip"
CREDIT = "Z. Jackson and others, Free Spoken Digit Dataset, CC BY-SA 4.0"
SUMMARY = "people saying the digits 0 to 9, as pictures of their sound"
SHAPE = (BANDS, FRAMES)


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
    """Name and content of every wav file."""
    if path.is_dir():
        for file in sorted(path.glob("*_*_*.wav")):
            yield file.name, file.read_bytes()
        return
    try:
        with zipfile.ZipFile(path) as archive:
            for name in sorted(archive.namelist()):
                if name.endswith(".wav"):
                    yield Path(name).name, archive.read(name)
    except (zipfile.BadZipFile, OSError) as error:
        raise NbdlError(f"{path} cannot be read ({error}); fetch it again.") from None


def _trimmed(sound: np.ndarray) -> np.ndarray:
    """Without the silence before and behind: what is less than a fiftieth of the loudest."""
    loud = np.flatnonzero(np.abs(sound) > 0.02 * np.abs(sound).max())
    return sound[loud[0] : loud[-1] + 1] if len(loud) else sound


def load(seed: int, progress: Progress = None, download: bool = True) -> Dataset:
    """All recordings; a tenth of those that are not for the test is set apart to check on."""
    path = find() or _download(progress, download)
    pictures, digits, tests = [], [], []
    for name, content in _files(path):
        parts = Path(name).stem.split("_")
        if len(parts) != 3 or parts[0] not in set("0123456789") or not parts[2].isdigit():
            raise NbdlError(f"{name} in {path}: expected a name like 7_jackson_12.wav (digit, speaker, take).")
        sound = _trimmed(wav.read(content, f"{path}/{name}", RATE))
        pictures.append(spectrogram(sound, RATE, FRAMES))
        digits.append(int(parts[0]))
        tests.append(int(parts[2]) < 5)
    if not pictures:
        raise NbdlError(f"{path} holds no recordings named digit_speaker_take.wav.")
    samples, kept = Split(np.stack(pictures), np.array(digits)), np.array(tests)
    train, validation = cut(samples.take(np.flatnonzero(~kept)), (0.9,), seed, stratify=True)
    return Dataset(
        "spoken-digits", train, validation, samples.take(np.flatnonzero(kept)), "classification", tuple("0123456789"),
        kind="spectrogram", summary=SUMMARY, credit=CREDIT,
    )  # fmt: skip


def _download(progress: Progress, download: bool) -> Path:
    """The archive of the recordings. It grows with new speakers, so no checksum is known: zip's own must do."""
    import pooch
    import requests

    from nbdl_datasets.download import _reason, _resume

    folder, address = cache_folder() / FOLDER, os.environ.get("NBDL_SPOKEN_DIGITS_URL", ADDRESS)
    if not download:
        raise NbdlError("spoken-digits is not on this machine. Run `nbdl datasets download spoken-digits`.")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        return Path(
            pooch.retrieve(
                address, None, "recordings.zip", folder,
                downloader=lambda url, target, _: _resume(
                    url, Path(target), folder / "recordings.zip.part", progress
                ),
            )
        )  # fmt: skip
    except (OSError, requests.RequestException) as error:
        raise NbdlError(
            f"the recordings could not be downloaded ({address}: {_reason(error)}). Fetch them by other means and put the "
            f"zip archive in {folder}, or set NBDL_DATA_DIR."
        ) from None
