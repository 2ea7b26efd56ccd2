"""The bundled digits: 5620 handwritten digits of 43 people, 8 x 8 pixels with 17 shades."""

from importlib.resources import files

import numpy as np

from nbdl_datasets.base import Dataset, Split, cut

CREDIT = "E. Alpaydin and C. Kaynak, Optical Recognition of Handwritten Digits, UCI Repository, CC BY 4.0"
WRITERS = 3823  # samples of the first 30 writers; those behind them are by 13 other people


def load(name: str, seed: int) -> Dataset:
    """`digits` cuts all samples at random into 70 %, 10 % and 20 %; `digits-writers` tests on people never seen."""
    with files("nbdl_datasets").joinpath("digits.npz").open("rb") as file, np.load(file, allow_pickle=False) as bundle:
        samples = Split(bundle["images"], bundle["labels"].astype(np.int64))
    if name == "digits":
        train, validation, test = cut(samples, (0.7, 0.1), seed, stratify=True)
        summary = "handwritten digits, 8 x 8 pixels"
    else:
        known = samples.take(np.arange(WRITERS))
        train, validation = cut(known, (0.85,), seed, stratify=True)
        test = samples.take(np.arange(WRITERS, len(samples)))
        summary = "handwritten digits, tested on 13 people whose writing was never seen"
    return Dataset(
        name,
        train,
        validation,
        test,
        "classification",
        classes=tuple("0123456789"),
        scale=1 / 16,
        kind="image",
        summary=summary,
        credit=CREDIT,
    )
