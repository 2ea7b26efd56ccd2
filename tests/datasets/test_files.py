"""A user's own files: good ones are read, every bad one gets a word that says what is wrong with it."""

import gzip
import struct

import numpy as np
import pytest

import nbdl_datasets
from nbdl.errors import NbdlError
from nbdl_datasets import idx


def table(path, text, encoding="utf-8"):
    path.write_bytes(text.encode(encoding))
    return str(path)


def rows(n=60, separator=",", label=lambda i: "cat" if i % 2 else "dog"):
    lines = [separator.join(("width", "height", "kind"))]
    return "\n".join([*lines, *(separator.join((f"{i * 0.5}", f"{-i}", label(i))) for i in range(n))])


@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_text_labels_become_classes(tmp_path, separator):
    data = nbdl_datasets.load(table(tmp_path / "a.csv", rows(separator=separator)))
    assert data.classes == ("cat", "dog")
    assert data.features == ("width", "height")
    assert (data.task, data.outputs, data.input_shape) == ("classification", 2, (2,))


def test_features_are_standardised_by_the_training_part_alone(tmp_path):
    data = nbdl_datasets.load(table(tmp_path / "a.csv", rows()))
    np.testing.assert_allclose(data.train.inputs.mean(axis=0), 0, atol=1e-6)
    np.testing.assert_allclose(data.train.inputs.std(axis=0), 1, atol=1e-6)
    assert abs(data.test.inputs.mean(axis=0)).max() > 1e-6


def test_many_numbers_as_label_are_values(tmp_path):
    path = table(tmp_path / "a.csv", rows(label=lambda i: f"{i / 7}"))
    data = nbdl_datasets.load(path)
    assert data.task == "regression"
    assert data.train.targets.dtype == np.float32
    by_name = nbdl_datasets.load(path, label="width")
    assert by_name.features == ("height", "kind")


def test_a_file_without_names_is_read_too(tmp_path):
    data = nbdl_datasets.load(
        table(tmp_path / "a.csv", rows().replace("width,height,kind\n", "").replace("dog", "0").replace("cat", "1"))
    )
    assert len(data.train) + len(data.validation) + len(data.test) == 60


BAD = {
    "empty": ("", "is empty"),
    "names only": ("a,b\n", "no values"),
    "one column": ("a\n1\n2\n", "one column"),
    "text in a feature": (rows().replace("2.5", "wide"), "'wide'"),
    "a gap": (rows().replace("2.5,", ",", 1), "empty"),
    "NaN": (rows().replace("2.5,", "nan,", 1), "finite"),
    "infinity": (rows().replace("2.5,", "inf,", 1), "finite"),
    "ragged": (rows().replace("-5,", "-5,1,", 1), "columns"),
    "a class with one sample": (rows(label=lambda i: "rare" if i == 3 else "common"), "'rare'"),
    "one class": (rows(label=lambda i: "same"), "nothing to tell apart"),
    "a gap in the label": (rows().replace("dog", "", 1), "label"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_tables_are_refused(tmp_path, case):
    text, word = BAD[case]
    with pytest.raises(NbdlError, match=word):
        nbdl_datasets.load(table(tmp_path / "a.csv", text))


def test_an_unknown_label_lists_the_columns(tmp_path):
    with pytest.raises(NbdlError, match="width, height, kind"):
        nbdl_datasets.load(table(tmp_path / "a.csv", rows()), label="price")


def test_text_that_is_not_utf8_is_refused(tmp_path):
    with pytest.raises(NbdlError, match="UTF-8"):
        nbdl_datasets.load(table(tmp_path / "a.csv", rows(label=lambda i: "één"), "latin-1"))


def arrays(path, **content):
    np.savez(path, **content)
    return str(path)


def test_npz_with_its_own_test_part(tmp_path):
    x, y = np.arange(120.0).reshape(60, 2), np.arange(60) % 3
    data = nbdl_datasets.load(arrays(tmp_path / "a.npz", x_train=x, y_train=y, x_test=x[:9], y_test=y[:9]))
    assert len(data.test) == 9
    assert data.outputs == 3


BAD_ARRAYS = {
    "missing": ({"a": np.zeros(3)}, "expected"),
    "no samples": ({"x": np.zeros((0, 2)), "y": np.zeros(0, int)}, r"inputs \(0, 2\)"),
    "lengths": ({"x": np.zeros((5, 2)), "y": np.zeros(4, int)}, "inputs"),
    "objects": ({"x": np.array([{}, {}]), "y": np.zeros(2, int)}, "objects"),
    "NaN": ({"x": np.full((30, 2), np.nan), "y": np.arange(30) % 2}, "NaN"),
    "negative labels": ({"x": np.zeros((30, 2)), "y": np.arange(30) % 2 - 1}, "from 0 on"),
}


@pytest.mark.parametrize("case", BAD_ARRAYS)
def test_bad_arrays_are_refused(tmp_path, case):
    content, word = BAD_ARRAYS[case]
    with pytest.raises(NbdlError, match=word):
        nbdl_datasets.load(arrays(tmp_path / "a.npz", **content))


def test_an_npz_that_is_not_one_is_refused(tmp_path):
    (tmp_path / "a.npz").write_bytes(b"PK not really")
    with pytest.raises(NbdlError, match="npz"):
        nbdl_datasets.load(str(tmp_path / "a.npz"))


def write_idx(path, array, zipped=True, magic=None, claim=None):
    shape = claim or array.shape
    head = (magic or bytes([0, 0, 8, array.ndim])) + struct.pack(f">{len(shape)}I", *shape)
    content = head + array.tobytes()
    path.write_bytes(gzip.compress(content) if zipped else content)
    return path


def test_idx_files_without_an_image_are_refused(tmp_path):
    write_idx(tmp_path / "train-images-idx3-ubyte.gz", np.zeros((0, 28, 28), np.uint8))
    write_idx(tmp_path / "train-labels-idx1-ubyte.gz", np.zeros(0, np.uint8))
    with pytest.raises(NbdlError, match="0 samples are too few"):
        nbdl_datasets.load(str(tmp_path / "train-images-idx3-ubyte.gz"))


def write_pair(folder, n=60, zipped=True, prefix="train"):
    random = np.random.default_rng(0)
    end = ".gz" if zipped else ""
    images = write_idx(
        folder / f"{prefix}-images-idx3-ubyte{end}", random.integers(0, 256, (n, 6, 5), np.uint8), zipped
    )
    write_idx(folder / f"{prefix}-labels-idx1-ubyte{end}", (np.arange(n) % 3).astype(np.uint8), zipped)
    return images


@pytest.mark.parametrize("zipped", [True, False])
def test_idx_files_find_their_labels_and_their_test_files(tmp_path, zipped):
    images = write_pair(tmp_path, zipped=zipped)
    assert len(nbdl_datasets.load(str(images)).test) == 12
    write_pair(tmp_path, 30, zipped, "t10k")
    data = nbdl_datasets.load(str(images))
    assert len(data.test) == 30
    assert data.input_shape == (6, 5)
    assert data.classes == ("0", "1", "2")


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize(
    ("settings", "word"),
    [
        ({"magic": b"\0\0\x09\3"}, "starts with"),
        ({"claim": (100, 6, 5)}, "promises"),
        ({"claim": (50, 6, 5)}, "more"),
        ({"claim": (100_000, 1000, 100)}, "damaged header"),
        ({"claim": (2000, 1000, 1000)}, "promises"),
    ],
)
def test_damaged_idx_files_are_refused(tmp_path, settings, word, zipped):
    path = write_idx(tmp_path / "train-images-idx3-ubyte", np.zeros((60, 6, 5), np.uint8), zipped, **settings)
    with pytest.raises(NbdlError, match=word):
        idx.read(path, 3)


def test_truncated_gzip_is_refused(tmp_path):
    images = write_pair(tmp_path)
    images.write_bytes(images.read_bytes()[:-40])
    with pytest.raises(NbdlError, match="to its end"):
        nbdl_datasets.load(str(images))


def test_missing_labels_are_named(tmp_path):
    images = write_pair(tmp_path)
    (tmp_path / "train-labels-idx1-ubyte.gz").unlink()
    with pytest.raises(NbdlError, match="train-labels-idx1-ubyte"):
        nbdl_datasets.load(str(images))


@pytest.mark.parametrize("name", ["seven.wav", "seven.PNG"])
def test_one_sample_is_not_a_data_set(tmp_path, name):
    (tmp_path / name).write_bytes(b"RIFF")
    with pytest.raises(NbdlError, match=r"holds one sample.*nbdl predict CHECKPOINT"):
        nbdl_datasets.load(str(tmp_path / name))
