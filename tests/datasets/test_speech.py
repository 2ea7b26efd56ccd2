"""Spoken digits: who is tested on what, names that say nothing, archives that are damaged, and the download."""

import io
import wave
import zipfile

import numpy as np
import pytest

import nbdl_datasets
from nbdl.errors import NbdlError
from nbdl_datasets import speech, wav


def recording(digit, speaker, take):
    """A wav file of its own for every name."""
    random = np.random.default_rng([digit, *speaker.encode(), take])
    sound = random.normal(0, 3000, 900 + 300 * digit).astype("<i2")
    packed = io.BytesIO()
    with wave.open(packed, "wb") as file:
        file.setparams((1, 2, 8000, 0, "NONE", ""))
        file.writeframes(sound.tobytes())
    return packed.getvalue()


NAMES = {
    f"{d}_{who}_{take}.wav": (d, who, take)
    for d in range(10)
    for who in ("ada", "ben")
    for take in (0, 4, 5, 6, 7, 8, 9, 12)
}
FILES = {name: recording(*what) for name, what in NAMES.items()}


def archive(files=FILES, folder="free-spoken-digit-dataset-master/recordings/"):
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as file:
        file.writestr("free-spoken-digit-dataset-master/README.md", "words")
        for name, body in files.items():
            file.writestr(folder + name, body)
    return packed.getvalue()


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("NBDL_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("NBDL_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("NBDL_SPOKEN_DIGITS_URL", "http://127.0.0.1:9/recordings.zip")
    place = tmp_path / "data" / "fsdd"
    place.mkdir(parents=True)
    return place


def write(folder, files):
    folder.mkdir(exist_ok=True)
    for name, body in files.items():
        (folder / name).write_bytes(body)


@pytest.mark.parametrize("how", ["folder", "recordings", "zip"])
def test_takes_0_to_4_are_the_test_and_nowhere_else(folder, how):
    if how == "zip":
        (folder / "any name.zip").write_bytes(archive(FILES | {"._7_ada_1.wav": b"what a Mac leaves behind"}))
    else:
        write(folder if how == "folder" else folder / "recordings", FILES | {"._7_ada_1.wav": b"as above"})
    data = nbdl_datasets.load("spoken-digits")
    assert data.input_shape == speech.SHAPE
    learnt, tested = {}, {}
    for name, (_, _, take) in NAMES.items():
        sound = speech._trimmed(wav.read(FILES[name], name, speech.RATE))
        picture = speech.spectrogram(sound, speech.RATE, speech.FRAMES)
        (tested if take < 5 else learnt)[picture.tobytes()] = NAMES[name][0]
    found = [{x.tobytes(): y for x, y in zip(part.inputs, part.targets, strict=True)} for part in
             (data.train, data.validation, data.test)]  # fmt: skip
    assert found[2] == tested
    assert found[0] | found[1] == learnt
    assert not set(found[0]) & set(found[1])


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize(
    "name", ["seven_ada_1.wav", "7_ada.wav", "12_ada_1.wav", "7_ada_x.wav", "7_a_b_1.wav", "7_ada_².wav"]
)
def test_names_that_say_nothing(folder, name, packed):
    files = {**FILES, name: FILES["7_ada_0.wav"]}
    if packed:
        (folder / "a.zip").write_bytes(archive(files))
    else:
        write(folder, files)
    with pytest.raises(NbdlError) as error:
        nbdl_datasets.load("spoken-digits")
    assert all(word in str(error.value) for word in (name, str(folder), "7_jackson_12.wav"))


@pytest.mark.parametrize("takes", [(0, 4), (5, 6, 7, 8, 9, 12)])
def test_recordings_of_one_part_only(folder, takes):
    write(folder, {name: FILES[name] for name, (_, _, take) in NAMES.items() if take in takes})
    with pytest.raises(NbdlError, match=r"expected both"):
        nbdl_datasets.load("spoken-digits")


def test_a_broken_recording_is_named(folder):
    write(folder, FILES | {"3_ben_5.wav": FILES["3_ben_5.wav"][:500]})
    with pytest.raises(NbdlError, match=r"3_ben_5\.wav is cut off"):
        nbdl_datasets.load("spoken-digits")


@pytest.mark.parametrize("damage", [b"<html>", archive()[:3000], archive()[:600] + b"\xff" * 50 + archive()[650:]])
def test_a_broken_archive_is_named(folder, damage):
    (folder / "a.zip").write_bytes(damage)
    with pytest.raises(NbdlError, match=r"a\.zip cannot be read"):
        nbdl_datasets.load("spoken-digits")


def test_silence_and_a_click_are_sounds_too(folder):
    quiet = io.BytesIO()
    with wave.open(quiet, "wb") as file:
        file.setparams((1, 2, 8000, 0, "NONE", ""))
        file.writeframes(b"\0\0" * 400)
    write(folder, FILES | {"1_eve_7.wav": quiet.getvalue()})
    assert np.isfinite(nbdl_datasets.load("spoken-digits").train.inputs).all()


@pytest.fixture
def server(web, monkeypatch):
    web.files["master.zip"] = archive()

    def serve(*folders):
        monkeypatch.setenv("NBDL_SPOKEN_DIGITS_URL", " ".join(f"{web.address}/{f}/master.zip" for f in folders))
        return web

    return serve


def test_the_recordings_are_downloaded_once_and_go_on_after_a_cut(server):
    web = server("cut")
    with pytest.raises(NbdlError, match="could not be downloaded"):
        nbdl_datasets.load("spoken-digits")
    assert not nbdl_datasets.info("spoken-digits").present
    assert len(nbdl_datasets.load("spoken-digits").test) == 40
    assert web.asked[1][2].startswith("bytes=")
    assert nbdl_datasets.info("spoken-digits").present
    nbdl_datasets.load("spoken-digits")
    assert len(web.asked) == 2


@pytest.mark.parametrize(("place", "word"), [("forbidden", "403"), ("wrong", "no zip archive")])
def test_refusals_and_pages_leave_nothing_behind(server, place, word, tmp_path):
    server(place)
    with pytest.raises(NbdlError, match=word) as error:
        nbdl_datasets.load("spoken-digits")
    assert str(tmp_path / "cache" / "fsdd") in str(error.value)
    assert not [path for path in (tmp_path / "cache").rglob("*") if path.is_file()]
    with pytest.raises(NbdlError, match="datasets download spoken-digits"):
        nbdl_datasets.load("spoken-digits", download=False)


def test_sequences_are_as_long_as_the_sounds(folder):
    write(folder, FILES)
    data = nbdl_datasets.load("spoken-digits-sequence")
    pictures = nbdl_datasets.load("spoken-digits")
    assert (data.kind, data.input_shape) == ("sequence", speech.SEQUENCE)
    np.testing.assert_array_equal(data.test.targets, pictures.test.targets)
    assert len(set(data.test.lengths.tolist())) > 5
    found = {}
    for part in (data.train, data.validation, data.test):
        assert len(part.lengths) == len(part.inputs)
        for x, length in zip(part.inputs, part.lengths, strict=True):
            assert not x[length:].any()
            found[x[:length].tobytes()] = length
    for name in NAMES:
        sound = speech._trimmed(wav.read(FILES[name], name, speech.RATE))
        moments = speech.sequence(sound, speech.RATE, speech.MOMENTS)
        assert found[moments.tobytes()] == len(moments) == max(2, 1 + (len(sound) - 256) // 128)


def test_a_long_sound_is_cut_and_a_click_has_two_moments(folder):
    assert len(speech.sequence(np.random.default_rng(0).normal(size=60_000), 8000, 48)) == 48
    assert len(speech.sequence(np.ones(3), 8000, 48)) == 2
