"""MNIST and Fashion-MNIST: 60 000 images to learn from and 10 000 to test on, 28 x 28 bytes each."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from nbdl_datasets import idx
from nbdl_datasets.base import Dataset, Split, cut
from nbdl_datasets.download import Progress, addresses, fetch, folders

FILES = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte")


@dataclass(frozen=True)
class Source:
    """Where the four files come from and what they are, checked by MD5 as their publishers give it."""

    name: str
    addresses: tuple[str, ...]
    md5: tuple[str, ...]
    classes: tuple[str, ...]
    summary: str
    credit: str

    def urls(self) -> tuple[str, ...]:
        return addresses(self.name, self.addresses)


SOURCES = {
    "mnist": Source(
        "mnist",
        ("https://storage.googleapis.com/cvdf-datasets/mnist/", "https://ossci-datasets.s3.amazonaws.com/mnist/"),
        (
            "f68b3c2dcbeaaa9fbdd348bbdeb94873",
            "d53e105ee54ea40749a09fcbcd1e9432",
            "9fb629c4189551a2d022fa330f9573f3",
            "ec29112dd5afa0611ce80d1b7f02629c",
        ),
        tuple("0123456789"),
        "handwritten digits, 28 x 28 pixels",
        "Y. LeCun, C. Cortes and C. Burges, The MNIST database, CC BY-SA 3.0",
    ),
    "fashion-mnist": Source(
        "fashion-mnist",
        ("http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",),
        (
            "8d4fb7e6c68d591d4c3dfef9ec88bf0d",
            "25c81989df183df01b3e8a0aad5dffbe",
            "bef4ecab320f06d8554ea6380940ec79",
            "bb300cfdad3c16e7a12a480ee83cd310",
        ),
        ("T-shirt", "trousers", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "boot"),
        "pictures of clothes, 28 x 28 pixels",
        "H. Xiao, K. Rasul and R. Vollgraf, Fashion-MNIST, MIT licence",
    ),
}


def find(name: str) -> dict[str, Path]:
    """Those of the four files that are already here, gzipped or not."""
    found: dict[str, Path] = {}
    for folder in folders(name):
        for file in FILES:
            for path in (folder / f"{file}.gz", folder / file):
                if file not in found and path.is_file():
                    found[file] = path
    return found


def load(name: str, seed: int, progress: Progress = None, download: bool = True) -> Dataset:
    """The four files, downloaded if need be; 10 % of the 60 000, stratified, are set apart to check on."""
    source, paths = SOURCES[name], find(name)
    for file, md5 in zip(FILES, source.md5, strict=True):
        if file not in paths:
            urls = tuple(f"{url}{file}.gz" for url in source.urls())
            paths[file] = fetch(name, f"{file}.gz", urls, f"md5:{md5}", progress, download)
    samples = pair(paths[FILES[0]], paths[FILES[1]])
    train, validation = cut(samples, (0.9,), seed, stratify=True)
    test = pair(paths[FILES[2]], paths[FILES[3]])
    return Dataset(
        name,
        train,
        validation,
        test,
        "classification",
        source.classes,
        scale=1 / 255,
        kind="image",
        summary=source.summary,
        credit=source.credit,
    )


def pair(images: Path, labels: Path) -> Split:
    """Images with their labels; raises NbdlError where their numbers differ."""
    from nbdl.errors import NbdlError

    inputs, targets = idx.read(images, 3), idx.read(labels, 1)
    if len(inputs) != len(targets):
        raise NbdlError(
            f"{images} holds {len(inputs)} images but {labels} {len(targets)} labels; do they belong together?"
        )
    return Split(inputs, targets.astype(np.int64))
