"""Texts and sequences by the commands: train, generate, predict, resume, and what they refuse."""

import json
import os
import re
import subprocess
import sys

import numpy as np
import pytest

NBDL = [sys.executable, "-m", "nbdl_cli.main"]
SMALL = ["--layers", "lstm:24", "--steps", "24", "--batch-size", "8"]


def nbdl(*arguments, **settings):
    environment = {**os.environ, **settings.pop("env", {})}
    environment.pop("NBDL_DATA_DIR", None)
    done = subprocess.run(
        [*NBDL, *map(str, arguments)], capture_output=True, text=True, env=environment, timeout=300, **settings
    )
    assert "Traceback" not in done.stderr
    return done


@pytest.fixture(scope="module")
def text(tmp_path_factory):
    path = tmp_path_factory.mktemp("text") / "song.txt"
    path.write_text("row, row, row your böat gently down the stream;\nmerrily merrily, life is but a dream.\n" * 60)
    return path


@pytest.fixture(scope="module")
def writer(text):
    path = text.with_name("writer.safetensors")
    done = nbdl("train", "--text", text, *SMALL, "--epochs", 40, "--lr", 0.01, "--save", path)
    assert done.returncode == 0, done.stderr
    assert "nats per character" in done.stdout
    assert "what it writes" in done.stdout
    assert f"nbdl generate {path}" in done.stdout
    return path


def test_it_writes_what_it_was_taught(writer, text):
    done = nbdl("generate", writer, "--prompt", "row, ro", "--temperature", 0, "--length", 120)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("row, row")
    words = done.stdout.split()[:-1]
    assert sum(word in text.read_text().split() for word in words) > 0.9 * len(words)
    found = json.loads(nbdl("generate", writer, "--json", "--top-k", 3, "--seed", 4, "--length", 50).stdout)
    assert found["schema"] == "nbdl.generate/1"
    assert (len(found["text"]), found["prompt"], found["top_k"]) == (50, "\n", 3)
    again = json.loads(nbdl("generate", writer, "--json", "--top-k", 3, "--seed", 4, "--length", 50).stdout)
    assert again["text"] == found["text"]


def test_an_unknown_character_in_the_prompt(writer):
    done = nbdl("generate", writer, "--prompt", "rów")
    assert (done.returncode, done.stdout) == (1, "")
    assert "character 2 of the prompt is 'ó'" in done.stderr


def test_where_only_ascii_can_be_written(writer):
    done = nbdl("generate", writer, "--prompt", "row your b", "--temperature", 0, env={"PYTHONIOENCODING": "ascii"})
    assert done.returncode == 0, done.stderr
    assert done.stdout.isascii()


def test_predict_and_inspect_point_to_generate(writer):
    for command in ("predict", "inspect"):
        done = nbdl(command, writer)
        assert done.returncode == 1
        assert "nbdl generate" in done.stderr


@pytest.mark.parametrize("columns", [40, 80, 120])
def test_training_on_a_text_fits_the_terminal(text, columns):
    done = nbdl("train", "--text", text, *SMALL, "--epochs", 2, env={"COLUMNS": str(columns)})
    assert done.returncode == 0, done.stderr
    assert max(map(len, done.stdout.splitlines())) <= columns
    assert "nats" in done.stdout


def test_a_resumed_text_run_equals_one_never_stopped(text, tmp_path):
    """Stopped in the middle of an epoch: the states of all streams are kept with the weights."""
    from safetensors.numpy import load_file

    half, whole = tmp_path / "half.safetensors", tmp_path / "whole.safetensors"
    options = [*SMALL, "--schedule", "constant"]
    run = ["train", "--text", text, *options, "--epochs", 3, "--quiet"]
    assert nbdl(*run, "--save", whole).returncode == 0
    assert nbdl(*run, "--updates", 37, "--save", half).returncode == 0
    stopped = load_file(half)
    states = [name for name in stopped if name.startswith("state/")]
    assert states
    assert all(stopped[name].any() for name in states)
    done = nbdl("train", "--resume", half, "--epochs", 3, "--save", half, "--quiet")
    assert done.returncode == 0, done.stderr
    a, b = load_file(half), load_file(whole)
    assert set(a) == set(b)
    assert all(a[name].tobytes() == b[name].tobytes() for name in b)


BAD = {
    "no file": (["--text", "nothing.txt"], "no data file"),
    "one character": (["--text", "a.txt"], "one distinct character, 'a'"),
    "latin-1": (["--text", "latin.txt"], "not UTF-8"),
    "short": (["--text", "short.txt"], "too short"),
    "empty": (["--text", "empty.txt"], "is empty"),
    "twice": (["--text", "a.txt", "--dataset", "moons"], "leave one out"),
    "demo": (["digits", "--text", "fine.txt"], "does not learn from texts"),
    "steps": (["--text", "fine.txt", "--steps", "0"], "1 or more"),
    "steps of pictures": (["digits", "--steps", "5"], "has its own"),
    "both ways": (["--text", "fine.txt", "--layers", "lstm:8:bidirectional=true"], "tells what comes next"),
    "embedding": (["--text", "fine.txt", "--layers", "embedding:3:8,lstm:8"], "knows 3 characters"),
    "setting": (["--text", "fine.txt", "--layers", "lstm:8:relu"], "expected true or false"),
    "batch": (["--text", "fine.txt", "--batch-size", "99999"], "from 1 to"),
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    root = tmp_path_factory.mktemp("bad")
    (root / "a.txt").write_text("a" * 9999)
    (root / "latin.txt").write_bytes("één twee ".encode("latin-1") * 500)
    (root / "short.txt").write_text("ab" * 20)
    (root / "empty.txt").write_text("")
    (root / "fine.txt").write_text("one two three four " * 200)
    return root


@pytest.mark.parametrize("case", BAD)
def test_bad_wishes_get_a_word(folder, case):
    arguments, word = BAD[case]
    done = nbdl("train", *arguments, cwd=folder)
    assert (done.returncode, done.stdout) == (1, ""), done.stderr
    assert re.search(word, done.stderr), done.stderr


@pytest.mark.parametrize("settings", [["--temperature", "-1"], ["--temperature", "nan"]])
def test_temperatures_that_make_no_sense(writer, settings):
    done = nbdl("generate", writer, *settings)
    assert (done.returncode, done.stdout) == (1, "")
    assert "temperature" in done.stderr


def test_a_network_that_learnt_no_text_cannot_write(tmp_path):
    path = tmp_path / "moons.safetensors"
    assert nbdl("train", "moons", "--epochs", 1, "--quiet", "--save", path).returncode == 0
    done = nbdl("generate", path)
    assert done.returncode == 1
    assert "no text" in done.stderr


def test_layers_of_sequences_hand_on_what_the_next_one_needs():
    found = json.loads(
        nbdl("train", "tones-rnn", "--layers", "gru:6,dropout:0.1,lstm:5,8,relu", "--updates", 2, "--json").stdout
    )
    layers = found["experiment"]["layers"]
    assert [layer["layer"] for layer in layers] == ["GRU", "Dropout", "LSTM", "Dense", "Dense"]
    assert (layers[0]["return_sequences"], layers[2]["return_sequences"]) == (True, False)


def test_exploding_gradients_are_named_with_the_option_that_helps():
    done = nbdl(
        "train", "adding-problem", "--layers", "simplernn:16,relu", "--optimizer", "sgd", "--lr", "30", "--epochs", 1
    )  # fmt: skip
    assert done.returncode == 3, done.stderr
    assert "diverged" in done.stderr
    assert "--clip" in done.stderr


def test_a_sequence_is_asked_by_its_checkpoint(tmp_path):
    path = tmp_path / "tones.safetensors"
    assert nbdl("train", "tones-rnn", "--layers", "gru:8", "--epochs", 2, "--quiet", "--save", path).returncode == 0
    found = json.loads(nbdl("predict", path, "--count", 3, "--json").stdout)["predictions"]
    assert len(found) == 3
    assert np.isclose(sum(found[0]["probabilities"]), 1)
    assert nbdl("predict", path, "--count", 2).returncode == 0


def test_steps_and_layers_of_a_demo_can_be_others():
    found = json.loads(
        nbdl("train", "char-rnn", "--steps", 32, "--layers", "gru:6,8,relu", "--updates", 2, "--json").stdout
    )
    assert found["experiment"]["dataset"]["input_shape"] == [32]
    layers = [layer["layer"] for layer in found["experiment"]["layers"]]
    assert layers == ["Embedding", "GRU", "TimeDistributedDense", "TimeDistributedDense"]
