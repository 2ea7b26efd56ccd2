"""A user's own data: a table in .csv, arrays in .npz, images in idx files, or a text."""

import csv
import io
import zipfile
from pathlib import Path

import numpy as np

from nbdl.errors import NbdlError
from nbdl_datasets.base import Dataset, Split, cut
from nbdl_datasets.mnist import pair
from nbdl_datasets.text import load_file as load_text

ONE_SAMPLE = (".wav", ".pgm", ".ppm", ".png", ".jpg", ".jpeg")
CREDIT = "your own"
MANY = 20  # distinct numbers in a label column from which it is taken for a value to predict, not for a class
PAIRS = (("x", "y"), ("inputs", "targets"), ("x_train", "y_train"), ("images", "labels"))


def load(
    path: Path,
    seed: int,
    label: str | None = None,
    test: str | None = None,
    task: str | None = None,
    steps: int | None = None,
) -> Dataset:
    """A data set from a file, by its ending; `test` names a file of the same kind with the test samples.

    A text (`task` text, or .txt) is cut into windows of `steps` characters.
    """
    if not path.is_file():
        raise NbdlError(f"there is no data file {path}.")
    if task == "text" or (task is None and path.suffix == ".txt"):
        if label is not None or test is not None:
            raise NbdlError(f"{path} is a text: it has no column to predict, and its end is the test.")
        return load_text(path, steps)
    if steps is not None:
        raise NbdlError(f"{path} holds no sequences that could be {steps} steps long; leave the steps out.")
    if task not in (None, "classification", "regression"):
        raise NbdlError(f"task {task!r}: expected classification, regression or text.")
    if path.suffix == ".csv":
        return _table(path, seed, label, Path(test) if test else None, task)
    if path.suffix == ".npz":
        return _arrays(path, seed, Path(test) if test else None, task)
    return _images(path, seed, Path(test) if test else None)


def read_table(path: Path, least: int = 2) -> tuple[list[str], list[list[str]]]:
    """Column names (of its first line, or made up) and the lines of cells; raises NbdlError below `least` columns."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise NbdlError(f"{path} is not UTF-8 text (byte {error.start}); save it as UTF-8.") from None
    try:
        dialect = csv.Sniffer().sniff(text[:4096], delimiters=",;\t") if text.strip() else csv.excel
    except csv.Error:
        dialect = csv.excel
    rows = [
        row for row in csv.reader(io.StringIO(text), delimiter=dialect.delimiter) if any(cell.strip() for cell in row)
    ]
    if not rows:
        raise NbdlError(f"{path} is empty; expected a line of column names and lines of values.")
    names, *body = [[cell.strip() for cell in row] for row in rows]
    if len(names) < least:
        raise NbdlError(f"{path} has one column, {names[0]!r}; expected at least one feature and a label.")
    if all(_is_number(cell) for cell in names):  # no line of names
        names, body = [f"column_{i + 1}" for i in range(len(names))], [names, *body]
    if not body:
        raise NbdlError(f"{path} has a line of names but no values.")
    for number, row in enumerate(body, len(rows) - len(body) + 1):
        if len(row) != len(names):
            raise NbdlError(f"{path}, line {number}: {len(row)} values, but there are {len(names)} columns.")
    return names, body


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def _numbers(path: Path, names: list[str], columns: list[int], body: list[list[str]]) -> np.ndarray:
    values = np.empty((len(body), len(columns)))
    for i, row in enumerate(body):
        for j, column in enumerate(columns):
            cell = row[column]
            where = f"{path}, sample {i + 1}, column {names[column]!r}"
            if not cell:
                raise NbdlError(f"{where} is empty; fill the gap or leave the line out.")
            if not _is_number(cell):
                raise NbdlError(f"{where} holds {cell!r}; features must be numbers (only the label may be text).")
            values[i, j] = float(cell)
            if not np.isfinite(values[i, j]):
                raise NbdlError(f"{where} holds {cell}; expected a finite number.")
    return values


def _table(path: Path, seed: int, label: str | None, test: Path | None, task: str | None) -> Dataset:
    names, body = read_table(path)
    if label is not None and label not in names:
        raise NbdlError(f"{path} has no column {label!r}; its columns are {', '.join(names)}.")
    target = names.index(label) if label is not None else len(names) - 1
    columns = [i for i in range(len(names)) if i != target]
    cells = [row[target] for row in body]
    if "" in cells:
        raise NbdlError(f"{path}, sample {cells.index('') + 1}: the label {names[target]!r} is empty.")
    numeric = all(map(_is_number, cells))
    distinct = sorted(set(cells), key=float) if numeric else sorted(set(cells))
    if task is None:
        whole = numeric and all(float(cell).is_integer() for cell in distinct)
        task = "regression" if numeric and (len(distinct) > MANY or not whole) else "classification"
    if task == "regression":
        targets = _numbers(path, names, [target], body).astype(np.float32)
        classes: tuple[str, ...] = ()
    else:
        targets = np.array([distinct.index(cell) for cell in cells], np.int64)
        classes = tuple(distinct)
        _check_classes(path, targets, classes)
    samples = Split(_numbers(path, names, columns, body), targets)
    if test is not None:
        other_names, other_body = read_table(test)
        if other_names != names:
            raise NbdlError(f"{test} has the columns {', '.join(other_names)}; {path} has {', '.join(names)}.")
        if task == "regression":
            held = _numbers(test, names, [target], other_body).astype(np.float32)
        else:
            unknown = sorted({row[target] for row in other_body} - set(classes))
            if unknown:
                raise NbdlError(f"{test} has the class {unknown[0]!r}, which is not in {path}.")
            held = np.array([distinct.index(row[target]) for row in other_body], np.int64)
        tested = Split(_numbers(test, names, columns, other_body), held)
        train, validation = cut(samples, (0.85,), seed, stratify=bool(classes))
        parts = [train, validation, tested]
    else:
        parts = cut(samples, (0.7, 0.1), seed, stratify=bool(classes))
    # Means and spreads come from the training part alone: the others are to tell how it does on what it has not seen.
    mean, deviation = parts[0].inputs.mean(axis=0), parts[0].inputs.std(axis=0)
    deviation[deviation == 0] = 1
    parts = [Split(((p.inputs - mean) / deviation).astype(np.float32), p.targets) for p in parts]
    train, validation, held_out = parts
    kind = "points" if len(columns) == 2 and classes else "table"
    features = tuple(names[i] for i in columns)
    summary = f"{len(body)} lines, {names[target]} from {len(columns)} columns (standardised)"
    return Dataset(
        str(path),
        train,
        validation,
        held_out,
        task,
        classes,
        kind=kind,
        features=features,
        summary=summary,
        credit=CREDIT,
    )


def _check_classes(path: Path, targets: np.ndarray, classes: tuple[str, ...]) -> None:
    counts = np.bincount(targets, minlength=len(classes))
    if len(classes) < 2:
        raise NbdlError(f"{path}: every sample has the class {classes[0]!r}; there is nothing to tell apart.")
    if counts.min() < 3:
        rare = classes[int(counts.argmin())]
        raise NbdlError(f"{path}: class {rare!r} has {counts.min()} samples; each needs 3, one for every part.")


def _arrays(path: Path, seed: int, test: Path | None, task: str | None) -> Dataset:
    arrays = _read_npz(path)
    names = next((pair_ for pair_ in PAIRS if set(pair_) <= set(arrays)), None)
    if names is None:
        wanted = " or ".join(f"{a} and {b}" for a, b in PAIRS)
        raise NbdlError(f"{path} holds {', '.join(arrays) or 'nothing'}; expected {wanted}.")
    samples = Split(arrays[names[0]], arrays[names[1]])
    held = None
    if test is not None:
        other = _read_npz(test)
        if not set(names) <= set(other):
            raise NbdlError(f"{test} holds {', '.join(other)}; expected {names[0]} and {names[1]} as in {path}.")
        held = Split(other[names[0]], other[names[1]])
    elif {"x_test", "y_test"} <= set(arrays):
        held = Split(arrays["x_test"], arrays["y_test"])
    checked = [_check_arrays(path, part, task) for part in ([samples] if held is None else [samples, held])]
    task = "classification" if checked[0].targets.ndim == 1 else "regression"
    classes: tuple[str, ...] = ()
    if task == "classification":
        classes = tuple(map(str, range(int(max(part.targets.max() for part in checked)) + 1)))
        _check_classes(path, checked[0].targets, classes)
    if held is None:
        parts = cut(checked[0], (0.7, 0.1), seed, stratify=bool(classes))
    else:
        parts = [*cut(checked[0], (0.85,), seed, stratify=bool(classes)), checked[1]]
    train, validation, held_out = parts
    inputs = train.inputs
    image = inputs.ndim in (3, 4)
    bytes_ = inputs.dtype == np.uint8
    return Dataset(
        str(path),
        train,
        validation,
        held_out,
        task,
        classes,
        scale=1 / 255 if bytes_ else 1.0,
        kind="image" if image else "points" if inputs.shape[1:] == (2,) and classes else "table",
        summary=f"{len(checked[0])} samples of shape {inputs.shape[1:]}",
        credit=CREDIT,
    )


def _read_npz(path: Path) -> dict[str, np.ndarray]:
    try:
        with np.load(path, allow_pickle=False) as file:
            return {name: file[name] for name in file.files}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        reason = "it holds Python objects, which could be programs" if "pickle" in str(error) else str(error)
        raise NbdlError(f"{path} cannot be read as .npz ({reason}); save plain arrays with numpy.savez.") from None


def _check_arrays(path: Path, part: Split, task: str | None) -> Split:
    inputs, targets = part.inputs, part.targets
    if inputs.ndim < 2 or not inputs.size or not targets.size or len(inputs) != len(targets):
        raise NbdlError(
            f"{path}: inputs {inputs.shape} and targets {targets.shape}; expected (n, ...) and (n) or (n, values)."
        )
    if inputs.dtype.kind not in "iuf" or targets.dtype.kind not in "iufb":
        raise NbdlError(f"{path}: inputs are {inputs.dtype} and targets {targets.dtype}; expected numbers.")
    if inputs.dtype.kind == "f" and not np.isfinite(inputs).all():
        raise NbdlError(f"{path}: the inputs hold NaN or infinity.")
    if targets.dtype.kind == "f" and not np.isfinite(targets).all():
        raise NbdlError(f"{path}: the targets hold NaN or infinity.")
    if task == "regression" or (task is None and targets.dtype.kind == "f"):
        return Split(inputs, targets.reshape(len(targets), -1).astype(np.float32))
    if targets.size != len(targets) or (targets != np.floor(targets)).any() or targets.min() < 0:
        raise NbdlError(
            f"{path}: class labels must be whole numbers from 0 on, one for each sample; these are "
            f"{targets.shape} from {targets.min()} to {targets.max()}."
        )
    return Split(inputs, targets.reshape(-1).astype(np.int64))


def _images(path: Path, seed: int, test: Path | None) -> Dataset:
    if path.suffix.lower() in ONE_SAMPLE:
        raise NbdlError(
            f"{path} holds one sample, not a data set. To ask a saved network about it: nbdl predict CHECKPOINT {path}"
        )
    labels = _labels_beside(path)
    train, validation = cut(pair(path, labels), (0.9,), seed, stratify=True)
    tested = test or next(
        (p for p in _renamed(path, "train", "t10k") + _renamed(path, "train", "test") if p.is_file()), None
    )
    if tested is None or tested == path:
        train, validation, held = cut(pair(path, labels), (0.7, 0.1), seed, stratify=True)
    else:
        held = pair(tested, _labels_beside(tested))
    classes = tuple(map(str, range(int(max(p.targets.max() for p in (train, validation, held))) + 1)))
    return Dataset(
        str(path), train, validation, held, "classification", classes, scale=1 / 255, kind="image",
        summary=f"{len(train) + len(validation) + len(held)} images", credit=CREDIT,
    )  # fmt: skip


def _renamed(path: Path, old: str, new: str) -> list[Path]:
    """The path under another name, gzipped or not."""
    name = path.name.removesuffix(".gz").replace(old, new)
    return [path.with_name(f"{name}.gz"), path.with_name(name)]


def _labels_beside(path: Path) -> Path:
    tried = [
        p
        for p in _renamed(path, "images-idx3", "labels-idx1") + _renamed(path, "images.idx3", "labels.idx1")
        if p != path
    ]
    for candidate in tried:
        if candidate.is_file():
            return candidate
    raise NbdlError(
        f"no labels beside {path}; expected {tried[0].name if tried else 'a file named …labels-idx1-ubyte'} in the "
        "same folder. Own data can be .csv, .npz or idx files named as MNIST's are."
    )
