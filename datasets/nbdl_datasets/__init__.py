"""Data to learn from: bundled, generated, downloaded or your own, always in three parts."""

from difflib import get_close_matches
from pathlib import Path
from typing import Any

from nbdl.errors import NbdlError
from nbdl_datasets.base import Dataset, Info, Split
from nbdl_datasets.download import Progress, cache_folder

__all__ = ["Dataset", "Info", "Split", "cache_folder", "info", "load", "names"]

BUNDLED = ("digits", "digits-writers")
MADE = ("tones", "motion")
SEQUENCES = ("number-names", "adding-problem", "sine-series", "tones-sequence")
DOWNLOADED = (
    "mnist", "fashion-mnist", "cifar10", "car-or-not", "spoken-digits", "spoken-digits-sequence", "tiny-shakespeare",
)  # fmt: skip
WINDOWED = ("number-names", "adding-problem", "sine-series", "tiny-shakespeare")  # as many steps as one asks for


def names() -> list[str]:
    """All data sets that have a name."""
    from nbdl_datasets import generated

    return [*BUNDLED, *generated.NAMES, *MADE, *SEQUENCES, *DOWNLOADED]


def _check(name: str) -> None:
    if name not in names():
        near = get_close_matches(name, names(), n=1)
        hint = f" Did you mean {near[0]}?" if near else ""
        raise NbdlError(
            f"data set {name!r} is unknown; choose one of {', '.join(names())}, or a .csv, .npz, idx or .txt file.{hint}"
        )


def load(
    name: str,
    *,
    seed: int = 0,
    label: str | None = None,
    test: str | None = None,
    steps: int | None = None,
    progress: Progress = None,
    download: bool = True,
    **options: Any,
) -> Dataset:
    """A data set by name, or from a file of your own.

    `label` names the column of a .csv file to predict, `test` a file with the test samples; `progress(file, received,
    total)` is told of downloads; `steps` is the length of the sequences of texts, series and the adding problem. Further
    options: `n` and `noise` of generated sets, `task` of files.
    Raises NbdlError that says what was given, what was expected and what to do.
    """
    path = Path(name)
    own = path.suffix in (".csv", ".npz", ".gz", ".txt") or "idx" in path.name or path.is_file()
    if own or options.get("task") == "text":
        from nbdl_datasets import files

        return files.load(path, seed, label, test, steps=steps, **options)
    _check(name)
    if steps is not None and name not in WINDOWED:
        raise NbdlError(
            f"--steps sets the length of sequences: of {', '.join(WINDOWED)} and texts; {name} has its own."
        )
    if label is not None or test is not None:
        raise NbdlError(f"--label and --test are for files of your own; {name} has its labels and its test samples.")
    if name in BUNDLED:
        from nbdl_datasets import digits

        return digits.load(name, seed)
    if name == "motion":
        from nbdl_datasets import motion

        return motion.load(seed)
    if name in ("tones", "tones-sequence"):
        from nbdl_datasets import tones

        return tones.load(name, seed)
    if name in SEQUENCES:
        from nbdl_datasets import adding_problem, number_names, waves

        makers = {"number-names": number_names, "adding-problem": adding_problem, "sine-series": waves}
        return makers[name].load(seed, steps)
    if name in ("spoken-digits", "spoken-digits-sequence"):
        from nbdl_datasets import speech

        return speech.load(name, seed, progress, download)
    if name == "tiny-shakespeare":
        from nbdl_datasets import text

        return text.load_shakespeare(steps, progress, download)
    if name in ("cifar10", "car-or-not"):
        from nbdl_datasets import cifar10

        return cifar10.load(name, seed, progress, download)
    if name in DOWNLOADED:
        from nbdl_datasets import mnist

        return mnist.load(name, seed, progress, download)
    from nbdl_datasets import generated

    return generated.load(name, seed, **options)


def info(name: str) -> Info:
    """What is known of a named data set; nothing is loaded or downloaded."""
    _check(name)
    if name in BUNDLED:
        from nbdl_datasets import digits

        text = "handwritten digits, 8 x 8 pixels"
        text += ", tested on people whose writing was never seen" if name == "digits-writers" else ""
        return Info(name, text, "classification", 5620, (8, 8), 10, "bundled", digits.CREDIT, None, True)
    if name in ("tones", "tones-sequence"):
        from nbdl_datasets import tones

        shape: tuple[int, ...] = tones.SHAPES[name]
        samples, classes = tones.SAMPLES, len(tones.INSTRUMENTS)
        return Info(
            name, tones.SUMMARIES[name], "classification", samples, shape, classes, "generated", "generated", None, True
        )
    if name in SEQUENCES:
        return _info_of_sequences(name)
    if name == "tiny-shakespeare":
        from nbdl_datasets import text as texts

        file = texts.find()
        folder = str(file.parent if file else cache_folder() / texts.FOLDER)
        return Info(
            name, texts.SUMMARY, "classification", None, (texts.STEPS,), 65, texts.ADDRESSES[0], texts.CREDIT, folder,
            bool(file),
        )  # fmt: skip
    if name == "motion":
        from nbdl_datasets import motion

        shape = (1, motion.FRAMES, motion.SIZE, motion.SIZE)
        samples, classes = motion.SAMPLES, len(motion.WAYS)
        return Info(
            name, motion.SUMMARY, "classification", samples, shape, classes, "generated", "generated", None, True
        )
    if name in ("spoken-digits", "spoken-digits-sequence"):
        from nbdl_datasets import speech

        here = speech.find()
        folder = str(here if here else cache_folder() / speech.FOLDER)
        shape = speech.SHAPE if name == "spoken-digits" else speech.SEQUENCE
        return Info(
            name, speech.SUMMARIES[name], "classification", None, shape, 10, speech.ADDRESSES[0], speech.CREDIT, folder,
            bool(here),
        )  # fmt: skip
    if name in ("cifar10", "car-or-not"):
        from nbdl_datasets import cifar10, drawings

        text, photographs = cifar10.SUMMARIES[name], bool(cifar10.find())
        if name == "car-or-not" and not photographs:
            drawn, samples = "drawn here, unless cifar10 is on this machine", drawings.TRAIN + drawings.TEST
            return Info(name, text, "classification", samples, (3, 32, 32), 2, drawn, "generated", None, True)
        return Info(
            name, text, "classification", None, (3, 32, 32), 10 if name == "cifar10" else 2, cifar10.ADDRESSES[0],
            cifar10.CREDIT, cifar10.where(), photographs,
        )  # fmt: skip
    if name in DOWNLOADED:
        from nbdl_datasets import mnist

        source, found = mnist.SOURCES[name], mnist.find(name)
        present = len(found) == len(mnist.FILES)
        path = next(iter(found.values())).parent if present else cache_folder() / name
        return Info(
            name,
            source.summary,
            "classification",
            70_000,
            (28, 28),
            10,
            source.urls()[0],
            source.credit,
            str(path),
            present,
        )
    from nbdl_datasets import generated

    samples, classes = generated.size(name)
    task, shape = ("classification", (2,)) if classes else ("regression", (1,))
    return Info(name, generated.SUMMARIES[name], task, samples, shape, classes, "generated", "generated", None, True)


def _info_of_sequences(name: str) -> Info:
    from nbdl_datasets import adding_problem, number_names, text, waves

    known: dict[str, tuple] = {
        "number-names": (number_names.SUMMARY, "classification", None, (text.STEPS,), number_names.CHARACTERS),
        "adding-problem": (
            adding_problem.SUMMARY, "regression", sum(adding_problem.SIZES), (adding_problem.STEPS, 2), 0,
        ),
        "sine-series": (waves.SUMMARY, "regression", waves.LENGTH, (waves.STEPS, 1), 0),
    }  # fmt: skip
    summary, task, samples, shape, classes = known[name]
    return Info(name, summary, task, samples, shape, classes, "generated", "generated", None, True)
