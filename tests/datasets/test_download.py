"""Downloads from a real server on this machine: whole, cut half way, wrong, refused, absent."""

import gzip
import hashlib
import struct
from dataclasses import replace

import numpy as np
import pytest

import nbdl_datasets
from nbdl.errors import NbdlError
from nbdl_datasets import download, mnist


def content(file, n):
    random = np.random.default_rng(len(file))
    if "images" in file:
        head, body = struct.pack(">4B3I", 0, 0, 8, 3, n, 28, 28), random.integers(0, 256, n * 784, np.uint8).tobytes()
    else:
        head, body = struct.pack(">4BI", 0, 0, 8, 1, n), (np.arange(n) % 10).astype(np.uint8).tobytes()
    return gzip.compress(head + body, mtime=0)


FILES = {f"{file}.gz": content(file, 200 if file.startswith("train") else 50) for file in mnist.FILES}


@pytest.fixture
def server(web, monkeypatch):
    web.files.update(FILES)
    md5 = tuple(hashlib.md5(FILES[f"{file}.gz"]).hexdigest() for file in mnist.FILES)
    monkeypatch.setitem(mnist.SOURCES, "mnist", replace(mnist.SOURCES["mnist"], md5=md5))

    def serve(*folders):
        monkeypatch.setenv("NBDL_MNIST_URL", " ".join(f"{web.address}/{folder}/" for folder in folders))

    serve.web = web
    return serve


def test_whole_files_arrive_once_with_progress(server):
    server("good")
    seen = []
    data = nbdl_datasets.load("mnist", progress=lambda *report: seen.append(report))
    assert (len(data.train), len(data.validation), len(data.test)) == (180, 20, 50)
    assert data.train.inputs.dtype == np.uint8
    name, received, total = seen[-1]
    assert name.endswith(".gz")
    assert received == total
    assert nbdl_datasets.info("mnist").present
    asked = len(server.web.asked)
    nbdl_datasets.load("mnist")
    assert len(server.web.asked) == asked


def test_a_download_cut_half_way_goes_on_where_it_stopped(server):
    server("cut")
    with pytest.raises(NbdlError, match="could not be downloaded"):
        nbdl_datasets.load("mnist")
    first = "train-images-idx3-ubyte.gz"
    part = download.cache_folder() / "mnist" / f"{first}.part"
    kept = part.read_bytes()
    assert 0 < len(kept) <= len(FILES[first]) // 2
    assert FILES[first].startswith(kept)
    server.web.cut_once = set(FILES)
    nbdl_datasets.load("mnist")
    assert ("cut", first, f"bytes={len(kept)}-") in server.web.asked
    assert not part.exists()


def test_the_second_address_is_tried(server):
    server("forbidden", "good")
    assert len(nbdl_datasets.load("mnist").test) == 50


@pytest.mark.parametrize(("folder", "word"), [("forbidden", "403"), ("wrong", "checksum")])
def test_refusals_and_wrong_files_are_named(server, folder, word):
    server(folder)
    with pytest.raises(NbdlError, match=word) as caught:
        nbdl_datasets.load("mnist")
    assert "by other means" in str(caught.value)
    assert not list(download.cache_folder().rglob("*.gz"))


def test_without_a_network_it_says_where_to_put_the_file(server, monkeypatch, tmp_path):
    monkeypatch.setenv("NBDL_MNIST_URL", "http://127.0.0.1:9/")
    with pytest.raises(NbdlError, match="no connection") as caught:
        nbdl_datasets.load("mnist")
    assert str(tmp_path / "cache" / "mnist") in str(caught.value)


def test_a_cache_that_cannot_be_made_is_named(server, monkeypatch, tmp_path):
    server("good")
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("NBDL_CACHE_DIR", str(tmp_path / "file" / "below"))
    with pytest.raises(NbdlError, match="NBDL_CACHE_DIR"):
        nbdl_datasets.load("mnist")


def test_files_of_a_shared_folder_are_taken(server, monkeypatch, tmp_path):
    folder = tmp_path / "shared" / "mnist"
    folder.mkdir(parents=True)
    for name, body in FILES.items():
        (folder / name).write_bytes(body)
    monkeypatch.setenv("NBDL_DATA_DIR", str(tmp_path / "shared"))
    monkeypatch.setenv("NBDL_MNIST_URL", "http://127.0.0.1:9/")
    assert len(nbdl_datasets.load("mnist").test) == 50
    with pytest.raises(NbdlError, match="datasets download"):
        nbdl_datasets.load("fashion-mnist", download=False)
