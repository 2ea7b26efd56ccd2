"""Texts: number names spelled right, windows that follow each other, files of every bad kind, and the download."""

import hashlib

import numpy as np
import pytest

import nbdl_datasets
from nbdl.errors import NbdlError
from nbdl_datasets import text
from nbdl_datasets.number_names import dutch, english

NAMES = {
    0: ("zero", "nul"),
    1: ("one", "een"),
    12: ("twelve", "twaalf"),
    14: ("fourteen", "veertien"),
    20: ("twenty", "twintig"),
    21: ("twenty-one", "eenentwintig"),
    22: ("twenty-two", "tweeëntwintig"),
    42: ("forty-two", "tweeënveertig"),
    83: ("eighty-three", "drieëntachtig"),
    99: ("ninety-nine", "negenennegentig"),
    100: ("one hundred", "honderd"),
    105: ("one hundred and five", "honderdvijf"),
    223: ("two hundred and twenty-three", "tweehonderddrieëntwintig"),
    345: ("three hundred and forty-five", "driehonderdvijfenveertig"),
    1000: ("one thousand", "duizend"),
    1005: ("one thousand and five", "duizend vijf"),
    1100: ("one thousand one hundred", "duizend honderd"),
    4302: ("four thousand three hundred and two", "vierduizend driehonderdtwee"),
    22_022: ("twenty-two thousand and twenty-two", "tweeëntwintigduizend tweeëntwintig"),
}


@pytest.mark.parametrize("n", NAMES)
def test_numbers_are_spelled_as_they_should_be(n):
    assert (english(n), dutch(n)) == NAMES[n]


def test_every_number_has_a_name_of_its_own():
    for name in (english, dutch):
        assert len({name(n) for n in range(10_000)}) == 10_000


def whole(data, part):
    """The text of a part, put together again."""
    return "".join(data.classes[k] for k in getattr(data, part).inputs.reshape(-1))


def test_number_names_are_lines_of_three_columns_and_the_test_is_of_numbers_never_seen():
    data = nbdl_datasets.load("number-names", seed=1)
    assert data.continuous
    assert len(data.classes) == nbdl_datasets.info("number-names").classes
    seen = {part: whole(data, part).splitlines()[1:-1] for part in ("train", "test")}
    for line in seen["train"] + seen["test"]:
        number = int(line.split()[0])
        assert line == f"{number} {english(number)} {dutch(number)}"
    assert len(seen["test"]) > 150
    assert not set(seen["train"]) & set(seen["test"])
    assert whole(data, "train") == whole(nbdl_datasets.load("number-names", seed=1), "train")
    assert whole(data, "train") != whole(nbdl_datasets.load("number-names", seed=2), "train")


def write(tmp_path, content, name="a.txt"):
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return str(path)


def test_a_window_goes_on_where_the_one_before_it_ended(tmp_path):
    words = "".join(chr(97 + (7 * i * i + i) % 26) for i in range(3000)) + "é€𝄞" * 30
    data = nbdl_datasets.load(write(tmp_path, words), steps=16)
    assert (data.kind, data.task, data.input_shape) == ("text", "classification", (16,))
    parts = [getattr(data, part) for part in ("train", "validation", "test")]
    for part in parts:
        assert part.inputs.dtype == np.uint8
        np.testing.assert_array_equal(part.inputs.reshape(-1)[1:], part.targets.reshape(-1)[:-1])
    assert words.startswith(whole(data, "train"))
    assert words[round(0.9 * len(words)) :].startswith(whole(data, "validation"))
    assert words[round(0.95 * len(words)) :].startswith(whole(data, "test"))


def test_many_characters_take_two_bytes(tmp_path):
    data = nbdl_datasets.load(write(tmp_path, "".join(chr(0x4E00 + k % 500) for k in range(5000))), steps=8)
    assert data.train.inputs.dtype == np.uint16
    assert data.classes[0] == "\u4e00"


def test_line_ends_and_marks_are_made_alike(tmp_path):
    a = nbdl_datasets.load(write(tmp_path, b"\xef\xbb\xbf" + b"one\r\ntwo\rthree\n" * 200), steps=4)
    b = nbdl_datasets.load(write(tmp_path, b"one\ntwo\nthree\n" * 200, "b.txt"), steps=4)
    assert a.classes == b.classes
    np.testing.assert_array_equal(a.train.inputs, b.train.inputs)


BAD = {
    "empty": (b"", "is empty"),
    "one character": ("a" * 5000, "one distinct character, 'a'"),
    "latin-1": ("één en één is twee. ".encode("latin-1") * 200, "not UTF-8 text: byte 0 is 0xe9"),
    "zip": (b"PK\x03\x04\xff\xfe" * 900, "not UTF-8"),
    "short": ("ab" * 300, "takes 1,320 or more"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_texts_are_refused(tmp_path, case):
    content, word = BAD[case]
    with pytest.raises(NbdlError, match=word):
        nbdl_datasets.load(write(tmp_path, content, "a.md"), task="text")


def test_as_short_as_it_may_be(tmp_path):
    assert len(nbdl_datasets.load(write(tmp_path, "ab" * 660)).test) == 1


def test_what_is_no_text_file(tmp_path):
    with pytest.raises(NbdlError, match=r"no (data|text) file"):
        nbdl_datasets.load(str(tmp_path / "none.txt"))
    with pytest.raises(NbdlError, match=r"no (data|text) file"):
        nbdl_datasets.load(str(tmp_path), task="text")
    with pytest.raises(NbdlError, match="1 or more"):
        nbdl_datasets.load(write(tmp_path, "ab" * 660), steps=0)
    with pytest.raises(NbdlError, match="no column"):
        nbdl_datasets.load(write(tmp_path, "ab" * 660), label="a")


def test_shakespeare_is_downloaded_once_and_checked(web, monkeypatch):
    content = b"To be, or not to be: that is the question.\n" * 100
    web.files["input.txt"] = content
    monkeypatch.setattr(text, "SHA256", hashlib.sha256(content).hexdigest())
    monkeypatch.setenv("NBDL_TINY_SHAKESPEARE_URL", f"{web.address}/good/input.txt")
    assert not nbdl_datasets.info("tiny-shakespeare").present
    with pytest.raises(NbdlError, match="datasets download tiny-shakespeare"):
        nbdl_datasets.load("tiny-shakespeare", download=False)
    data = nbdl_datasets.load("tiny-shakespeare", steps=20)
    assert whole(data, "train").startswith("To be, or not to be")
    assert nbdl_datasets.info("tiny-shakespeare").present
    nbdl_datasets.load("tiny-shakespeare")
    assert len(web.asked) == 1


def test_another_file_is_not_shakespeare(web, monkeypatch):
    web.files["input.txt"] = b"something else\n" * 500
    monkeypatch.setenv("NBDL_TINY_SHAKESPEARE_URL", f"{web.address}/good/input.txt")
    with pytest.raises(NbdlError, match="checksum differs"):
        nbdl_datasets.load("tiny-shakespeare")
    assert not nbdl_datasets.info("tiny-shakespeare").present
