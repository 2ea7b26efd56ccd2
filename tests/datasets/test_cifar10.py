"""CIFAR-10's binary records: as published, as a subset, cut, wrong, fetched; and car-or-not with and without them."""

import gzip
import hashlib
import io
import tarfile

import numpy as np
import pytest

import nbdl_datasets
from nbdl.errors import NbdlError
from nbdl_datasets import cifar10

RECORD = 1 + 3 * 32 * 32


def records(n, seed=0, classes=10):
    """n records, the classes in turn, noise for pixels."""
    rows = np.random.default_rng(seed).integers(0, 256, (n, RECORD), np.uint8)
    rows[:, 0] = np.arange(n) % classes
    return rows.tobytes()


FILES = {f"data_batch_{i}.bin": records(40, i) for i in (1, 2)} | {"test_batch.bin": records(30, 9)}


def published(files=FILES):
    """The archive as Toronto packs it: a folder, a list of names, a page, and the records."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        folder = tarfile.TarInfo("cifar-10-batches-bin")
        folder.type = tarfile.DIRTYPE
        archive.addfile(folder)
        for name, body in {"batches.meta.txt": b"airplane\n", **files, "readme.html": b"<html>"}.items():
            member = tarfile.TarInfo(f"cifar-10-batches-bin/{name}")
            member.size = len(body)
            archive.addfile(member, io.BytesIO(body))
    return packed.getvalue()


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """$NBDL_DATA_DIR/cifar10, empty; nothing can be downloaded."""
    monkeypatch.setenv("NBDL_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("NBDL_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("NBDL_CIFAR10_URL", "http://127.0.0.1:9/")
    place = tmp_path / "data" / "cifar10"
    place.mkdir(parents=True)
    return place


def write(folder, files=FILES, zipped=False):
    folder.mkdir(parents=True, exist_ok=True)
    for name, body in files.items():
        (folder / f"{name}{'.gz' if zipped else ''}").write_bytes(gzip.compress(body) if zipped else body)


def everything(data, part="inputs"):
    return np.concatenate([getattr(split, part) for split in (data.train, data.validation)])


def test_planes_are_red_green_and_blue_by_rows():
    content = bytes([3]) + b"".join(bytes([plane + row] * 32) for plane in (0, 100, 200) for row in range(32))
    split = cifar10.records(content, "a.bin")
    assert (split.inputs.shape, split.targets.tolist()) == ((1, 3, 32, 32), [3])
    assert split.inputs[0, :, 5, 7].tolist() == [5, 105, 205]


@pytest.mark.parametrize("how", ["plain", "gzipped", "in its own folder", "both", "as published"])
def test_files_as_people_have_them(folder, how):
    write(folder if how != "in its own folder" else folder / "cifar-10-batches-bin", zipped=how == "gzipped")
    if how == "both":
        write(folder, zipped=True)
    if how == "as published":
        for path in folder.iterdir():
            path.unlink()
        (folder / cifar10.ARCHIVE).write_bytes(published())
    (folder / "._test_batch.bin").write_bytes(b"what a Mac leaves behind")
    data = nbdl_datasets.load("cifar10")
    assert (len(data.train), len(data.validation), len(data.test)) == (70, 10, 30)
    assert np.bincount(everything(data, "targets")).tolist() == [8] * 10
    raw = np.frombuffer(FILES["test_batch.bin"], np.uint8).reshape(-1, RECORD)
    assert np.array_equal(data.test.inputs.reshape(30, -1), raw[:, 1:])
    assert np.array_equal(data.test.targets, raw[:, 0])
    assert nbdl_datasets.info("cifar10").present


def test_the_complete_files_are_taken_where_others_are_not(folder, tmp_path):
    write(folder, {"data_batch_1.bin": FILES["data_batch_1.bin"]})
    write(tmp_path / "cache" / "cifar10")
    assert len(nbdl_datasets.load("cifar10").test) == 30


BAD = {
    "cut record": ({"test_batch.bin": FILES["test_batch.bin"][:-100]}, ["test_batch.bin", "92,090", "3,073"]),
    "empty": ({"data_batch_1.bin": b""}, ["data_batch_1.bin", "0 bytes"]),
    "class 10": ({"data_batch_2.bin": records(22, 0, 11)}, ["data_batch_2.bin", "class 10", "0 to 9"]),
    "not gzipped": ({"extra.bin.gz": FILES["test_batch.bin"]}, ["extra.bin.gz", "cannot be read"]),
    "gzip cut": ({"extra.bin.gz": gzip.compress(FILES["test_batch.bin"])[:-500]}, ["extra.bin.gz", "cannot be read"]),
    "gzip damaged": (
        {"extra.bin.gz": gzip.compress(FILES["test_batch.bin"])[:40] + b"\xff" * 500},
        ["extra.bin.gz", "cannot be read"],
    ),
}


@pytest.mark.parametrize("case", BAD)
@pytest.mark.parametrize("name", cifar10.NAMES)
def test_wrong_files_are_named(folder, case, name):
    changed, words = BAD[case]
    write(folder, FILES | changed)
    with pytest.raises(NbdlError) as error:
        nbdl_datasets.load(name)
    assert all(word in str(error.value) for word in [str(folder), *words]), str(error.value)


@pytest.mark.parametrize("name", cifar10.NAMES)
@pytest.mark.parametrize(("missing", "word"), [("test", "test on"), ("data", "learn from")])
@pytest.mark.parametrize("packed", [False, True])
def test_half_of_the_files_is_said_and_not_replaced(folder, name, missing, word, packed):
    half = {file: body for file, body in FILES.items() if missing not in file}
    if packed:
        (folder / cifar10.ARCHIVE).write_bytes(published(half))
    else:
        write(folder, half)
    with pytest.raises(NbdlError, match=word) as error:
        nbdl_datasets.load(name)
    assert str(folder) in str(error.value)


@pytest.mark.parametrize("damage", ["cut", "words", "record"])
def test_an_archive_that_is_damaged(folder, damage):
    wrong = {"cut": published()[:5000], "words": b"<html>", "record": published(FILES | {"test_batch.bin": b"x" * 99})}
    (folder / cifar10.ARCHIVE).write_bytes(wrong[damage])
    with pytest.raises(NbdlError, match="99 bytes" if damage == "record" else "cannot be read"):
        nbdl_datasets.load("cifar10")


def test_a_subset_of_few_classes(folder):
    write(folder, {"train.bin": records(60, 1, 3), "test.bin": records(9, 2, 3)})
    data = nbdl_datasets.load("cifar10")
    assert (len(data.classes), set(data.train.targets)) == (10, {0, 1, 2})
    write(folder, {"train.bin": records(60, 1, 1), "test.bin": records(9, 2, 1)})  # airplanes only
    with pytest.raises(NbdlError, match=r"automobiles.* have 0 and"):
        nbdl_datasets.load("car-or-not")


def test_car_or_not_from_photographs(folder):
    write(folder, {"train.bin": records(400, 1), "test.bin": records(50, 2)})
    data = nbdl_datasets.load("car-or-not")
    assert "photographs" in data.summary
    assert data.credit == cifar10.CREDIT
    assert data.classes == ("not a car", "car")
    assert np.bincount(data.test.targets).tolist() == [10, 5]  # at most two others a car
    assert np.bincount(data.validation.targets).tolist() == [8, 4]
    assert np.bincount(data.train.targets).tolist() == [144, 72]
    plain, mirrored = np.split(data.train.inputs, 2)
    assert np.array_equal(plain, mirrored[..., ::-1])
    seen = np.concatenate([data.train.inputs, data.validation.inputs, data.test.inputs]).reshape(216 + 12 + 15, -1)
    assert len(np.unique(seen, axis=0)) == len(seen)  # no picture, mirrored or not, is in two parts
    raw = np.frombuffer((folder / "test.bin").read_bytes(), np.uint8).reshape(-1, RECORD)
    cars = raw[raw[:, 0] == 1][:, 1:]
    assert np.array_equal(data.test.inputs[data.test.targets == 1].reshape(5, -1), cars)
    about = nbdl_datasets.info("car-or-not")
    assert (about.path, about.present) == (str(folder), True)


def test_car_or_not_without_photographs_draws_and_says_so(folder):
    data, again = (nbdl_datasets.load("car-or-not", seed=s) for s in (0, 0))
    assert "drawn" in data.summary
    assert data.credit == "generated"
    assert data.train.inputs.tobytes() == again.train.inputs.tobytes()
    assert (data.input_shape, data.train.inputs.dtype) == ((3, 32, 32), np.uint8)
    for part in (data.train, data.validation, data.test):
        assert np.bincount(part.targets).tolist() == [len(part) // 2] * 2
    rows = np.concatenate([data.train.inputs, data.validation.inputs, data.test.inputs]).reshape(-1, 3072)
    assert len(np.unique(rows, axis=0)) == len(rows)
    about = nbdl_datasets.info("car-or-not")
    assert (about.credit, about.path, about.present) == ("generated", None, True)
    assert not list(folder.parent.parent.glob("cache/**/*"))  # nothing was asked for


@pytest.fixture
def server(web, monkeypatch):
    web.files[cifar10.ARCHIVE] = published()
    monkeypatch.setattr(cifar10, "MD5", hashlib.md5(web.files[cifar10.ARCHIVE]).hexdigest())

    def serve(*folders):
        monkeypatch.setenv("NBDL_CIFAR10_URL", " ".join(f"{web.address}/{f}/{cifar10.ARCHIVE}" for f in folders))
        return web

    return serve


def test_it_is_downloaded_once(server):
    web, seen = server("forbidden", "good"), []
    assert not nbdl_datasets.info("cifar10").present
    data = nbdl_datasets.load("cifar10", progress=lambda *report: seen.append(report))
    assert (len(data.test), seen[-1][1]) == (30, len(published()))
    assert len(nbdl_datasets.load("cifar10").test) == 30
    assert "photographs" in nbdl_datasets.load("car-or-not").summary
    assert [folder for folder, *_ in web.asked] == ["forbidden", "good"]


def test_a_download_cut_half_way_goes_on(server, tmp_path):
    web = server("cut")
    with pytest.raises(NbdlError, match="could not be downloaded"):
        nbdl_datasets.load("cifar10")
    kept = (tmp_path / "cache" / "cifar10" / f"{cifar10.ARCHIVE}.part").stat().st_size
    assert 0 < kept <= len(published()) // 2
    assert len(nbdl_datasets.load("cifar10").test) == 30
    assert web.asked[1][2] == f"bytes={kept}-"


@pytest.mark.parametrize(("folder", "word"), [("forbidden", "403"), ("wrong", "checksum")])
def test_refusals_and_wrong_files_leave_nothing_behind(server, folder, word, tmp_path):
    server(folder)
    with pytest.raises(NbdlError, match=word) as error:
        nbdl_datasets.load("cifar10")
    assert "by other means" in str(error.value)
    assert str(tmp_path / "cache" / "cifar10") in str(error.value)
    assert not nbdl_datasets.info("cifar10").present
    with pytest.raises(NbdlError, match="datasets download cifar10"):
        nbdl_datasets.load("cifar10", download=False)
