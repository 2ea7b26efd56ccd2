"""CIFAR-10: small colour photographs of ten kinds of things, in its own binary records; and `car-or-not` made from it.

A record is one byte of class and 3072 of pixels: the red plane of 32 x 32, then green, then blue. Any files of such
records do, gzipped or not: those with `test` in their name are kept for the test. The published archive is read as it is.
"""

import gzip
import tarfile
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from nbdl.errors import NbdlError
from nbdl_datasets.base import Dataset, Split, cut
from nbdl_datasets.download import Progress, addresses, cache_folder, fetch, folders

NAMES = ("cifar10", "car-or-not")
CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
CAR = CLASSES.index("automobile")
ARCHIVE, MD5 = "cifar-10-binary.tar.gz", "c32a1d4ab5d03f1284b67883e8d87530"
ADDRESSES = (f"https://www.cs.toronto.edu/~kriz/{ARCHIVE}",)
CREDIT = "A. Krizhevsky, Learning Multiple Layers of Features from Tiny Images, 2009"
SUMMARIES = {
    "cifar10": "photographs of ten kinds of things, 3 x 32 x 32 pixels",
    "car-or-not": "is there a car in the picture? 3 x 32 x 32 pixels",
}
RECORD = 1 + 3 * 32 * 32


def find() -> list[Path]:
    """The files of records (or the archive of them) that are already here; the first that are complete, if any are."""
    incomplete: list[Path] = []
    for folder in folders("cifar10"):
        for place in (folder, folder / "cifar-10-batches-bin"):
            named = {
                path.name.removesuffix(".gz"): path for path in (*place.glob("[!.]*.bin.gz"), *place.glob("[!.]*.bin"))
            }
            found = [named[name] for name in sorted(named)]  # each once, gzipped or not
            if len({"test" in name for name in named}) == 2:
                return found
            incomplete = incomplete or found
        if (folder / ARCHIVE).is_file():
            return [folder / ARCHIVE]
    return incomplete


def records(content: bytes, name: str) -> Split:
    """Images (n, 3, 32, 32) and classes; raises NbdlError for records that are cut or that have no such class."""
    if not content or len(content) % RECORD:
        raise NbdlError(
            f"{name} holds {len(content):,} bytes; expected a multiple of {RECORD:,} (a class and 3 x 32 x 32 pixels): "
            "is the file cut off?"
        )
    rows = np.frombuffer(content, np.uint8).reshape(-1, RECORD)
    classes = rows[:, 0].astype(np.int64)
    if classes.max() >= len(CLASSES):
        raise NbdlError(f"{name} has a record of class {classes.max()}; CIFAR-10 has the classes 0 to 9.")
    return Split(rows[:, 1:].reshape(-1, 3, 32, 32).copy(), classes)


def _contents(path: Path) -> Iterator[tuple[str, bytes]]:
    """Name and records of every file of records."""
    if not path.name.endswith(".tar.gz"):
        yield path.name, gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
        return
    with tarfile.open(path) as archive:
        for member in sorted(archive.getmembers(), key=lambda m: m.name):
            content = archive.extractfile(member)  # None for a folder
            if member.name.endswith(".bin") and content is not None:
                yield Path(member.name).name, content.read()


def _read(paths: list[Path]) -> tuple[Split, Split]:
    parts: dict[bool, list[Split]] = {False: [], True: []}
    for path in paths:
        try:
            for name, content in _contents(path):
                parts["test" in name].append(records(content, str(path.parent / name)))
        except (OSError, EOFError, zlib.error, tarfile.TarError) as error:
            raise NbdlError(f"{path} cannot be read ({error}); fetch it again.") from None
    for is_test, needed in ((False, "other files of records (data_batch_1.bin ...)"), (True, "a file test_batch.bin")):
        if not parts[is_test]:
            place = paths[0] if paths[0].name == ARCHIVE else paths[0].parent
            what = "to test on" if is_test else "to learn from"
            raise NbdlError(f"{place} holds no records of CIFAR-10 {what}; expected {needed}, gzipped or not.")
    train, test = (
        Split(np.concatenate([p.inputs for p in found]), np.concatenate([p.targets for p in found]))
        for found in (parts[False], parts[True])
    )
    return train, test


def load(name: str, seed: int, progress: Progress = None, download: bool = True) -> Dataset:
    """CIFAR-10, downloaded if need be; 10 % of what is there to learn from is set apart to check on.

    `car-or-not` takes all automobiles, at most twice as many other pictures, and shows the network every training
    picture as in a mirror as well. Without CIFAR-10 on this machine it draws its own pictures.
    """
    paths = find()
    if name == "car-or-not" and not paths:
        from nbdl_datasets import drawings

        return _cars(*drawings.pictures(seed), seed, "drawn", "generated")
    if not paths:
        paths = [fetch("cifar10", ARCHIVE, addresses("cifar10", ADDRESSES), f"md5:{MD5}", progress, download)]
    samples, test = _read(paths)
    if name == "car-or-not":
        return _cars(_balanced(samples, seed), _balanced(test, seed), seed, "photographs of CIFAR-10", CREDIT)
    train, validation = cut(samples, (0.9,), seed, stratify=True)
    return Dataset(
        name, train, validation, test, "classification", CLASSES, scale=1 / 255, kind="image",
        summary=SUMMARIES[name], credit=CREDIT,
    )  # fmt: skip


def _balanced(samples: Split, seed: int) -> Split:
    """Class 1 for cars, 0 for the rest, of which at most twice as many are kept."""
    cars, others = np.flatnonzero(samples.targets == CAR), np.flatnonzero(samples.targets != CAR)
    if not len(cars) or not len(others):
        raise NbdlError(
            f"car-or-not needs automobiles (class {CAR}) and other things to learn from and to test on; the records of "
            f"CIFAR-10 in {where()} have {len(cars)} and {len(others)} in one part."
        )
    others = np.random.default_rng([seed, 11]).permutation(others)[: 2 * len(cars)]
    rows = np.sort(np.concatenate([cars, others]))
    return Split(samples.inputs[rows], (samples.targets[rows] == CAR).astype(np.int64))


def _cars(samples: Split, test: Split, seed: int, source: str, credit: str) -> Dataset:
    train, validation = cut(samples, (0.9,), seed, stratify=True)
    mirrored = np.concatenate([train.inputs, train.inputs[..., ::-1]])
    return Dataset(
        "car-or-not", Split(mirrored, np.tile(train.targets, 2)), validation, test, "classification",
        ("not a car", "car"), scale=1 / 255, kind="image", summary=f"{SUMMARIES['car-or-not']} ({source})", credit=credit,
    )  # fmt: skip


def where() -> str:
    """The folder of the files, or the one where a download would put them."""
    paths = find()
    return str(paths[0].parent if paths else cache_folder() / "cifar10")
