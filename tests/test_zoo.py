"""Every demo from its name to a trained network, by the commands themselves; data that would be downloaded is made here."""

import json
import os
import struct
import subprocess
import sys
import wave

import numpy as np
import pytest
from click.testing import CliRunner

from nbdl.zoo import DEMOS, demo
from nbdl_cli.main import group


@pytest.fixture(scope="module", autouse=True)
def files(tmp_path_factory):
    """Small files in the formats of MNIST, Fashion-MNIST, CIFAR-10 and the spoken digits, and a short text."""
    root, random = tmp_path_factory.mktemp("data"), np.random.default_rng(0)
    for name in ("mnist", "fashion-mnist"):
        (root / name).mkdir()
        for part, n in (("train", 300), ("t10k", 40)):
            images, labels = random.integers(0, 256, (n, 28, 28), np.uint8), np.arange(n, dtype=np.uint8) % 10
            head = struct.pack(">4B3I", 0, 0, 8, 3, n, 28, 28)
            (root / name / f"{part}-images-idx3-ubyte").write_bytes(head + images.tobytes())
            (root / name / f"{part}-labels-idx1-ubyte").write_bytes(
                struct.pack(">4BI", 0, 0, 8, 1, n) + labels.tobytes()
            )
    (root / "cifar10").mkdir()
    for part, n in (("train", 300), ("test", 40)):
        rows = random.integers(0, 256, (n, 3073), np.uint8)
        rows[:, 0] = np.arange(n) % 10
        (root / "cifar10" / f"{part}.bin").write_bytes(rows.tobytes())
    (root / "fsdd").mkdir()
    for digit in range(10):
        for take in range(15):
            with wave.open(str(root / "fsdd" / f"{digit}_ada_{take}.wav"), "wb") as file:
                file.setparams((1, 2, 8000, 0, "NONE", ""))
                file.writeframes(random.normal(0, 3000, 2000).astype("<i2").tobytes())
    (root / "tinyshakespeare").mkdir()
    (root / "tinyshakespeare" / "input.txt").write_text("To be, or not to be: that is the question.\n" * 60)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NBDL_DATA_DIR", str(root))
        patch.setenv("NBDL_CACHE_DIR", str(root / "cache"))
        yield root


def run(*arguments):
    result = CliRunner().invoke(group, arguments)
    assert result.exit_code == 0, (result.output, result.exception)
    return result.stdout


@pytest.mark.parametrize("name", DEMOS)
def test_trains_and_reports(name):
    found = json.loads(run("train", name, "--updates", "2", "--json"))
    assert found["updates"] == 2
    assert found["experiment"]["dataset"]["name"] == demo(name).dataset
    assert np.isfinite(found["test"]["loss"])
    assert found["parameters"] > 0


@pytest.mark.parametrize("name", DEMOS)
def test_explains_every_layer(name):
    found = json.loads(run("explain", name, "--json"))
    kernels = {(call["phase"], call["layer"]): call for call in found["calls"]}
    counts, layers = {}, found["experiment"]["layers"]
    for layer in layers:
        kind = layer["layer"].lower()
        counts[kind] = counts.get(kind, 0) + 1
        place = f"{kind}_{counts[kind]}"
        if kind != "flatten":
            assert ("forward", place) in kernels, place
            assert ("backward", place) in kernels, place
    assert all(call["shapes"] for call in kernels.values())
    assert found["flops"] == sum(call["flops"] for call in found["calls"])
    for kind in ("conv", "maxpool"):
        assert any(kind in layer["layer"].lower() for layer in layers) == (
            "cnn" in name or name.startswith("car") or "lenet" in name
        )


def test_models_lists_them_whole():
    models = json.loads(run("models", "--json"))["models"]
    assert [m["name"] for m in models] == list(DEMOS)
    for m in models:
        assert all(m[key] for key in ("summary", "lesson", "dataset", "optimizer", "settings", "batch", "epochs"))
        assert m["layers"] or m["name"] == "line"  # which has its output layer only
        assert m["present"]
    listed = run("models")
    assert all(name in listed for name in DEMOS)


def test_every_data_set_is_described():
    names = [one["name"] for one in json.loads(run("datasets", "list", "--json"))["datasets"]]
    for name in names:
        one = json.loads(run("datasets", "info", name, "--json"))
        assert all(one[key] for key in ("summary", "task", "input_shape", "source", "credit", "present"))
        assert name in run("datasets", "info", name)
    assert {demo(name).dataset for name in DEMOS} <= set(names)
    assert "None" not in run("datasets", "list")


@pytest.mark.parametrize(
    "name", ["motion", "tones", "tones-sequence", "spoken-digits", "spoken-digits-sequence", "car-or-not"]
)
def test_samples_of_several_classes_are_shown(name):
    shown = json.loads(run("datasets", "show", name, "--count", "6", "--json"))
    assert len(shown["inputs"]) == 6
    assert len(set(shown["targets"])) > 1
    assert shown["classes"][shown["targets"][0]] in run("datasets", "show", name, "--count", "3")


@pytest.mark.parametrize(
    ("name", "columns", "lines"),  # of a picture without colour, two pixels high each
    [
        ("motion-cnn", 80, 8),
        ("tones-cnn", 120, 0),
        ("spoken-digits-cnn", 40, 16),
        ("car-or-not", 80, 16),
        ("tones-rnn", 40, 16),
    ],
)
def test_the_command_draws_within_its_columns(name, columns, lines, files):
    environment = {**os.environ, "COLUMNS": str(columns)}
    command = [sys.executable, "-m", "nbdl_cli.main", "train", name, "--epochs", "2"]
    done = subprocess.run(
        [*command, "--save", str(files / "n.safetensors")], capture_output=True, text=True, env=environment
    )
    assert done.returncode == 0, done.stderr
    text = done.stdout.replace(str(files), "")
    assert "confus" in text
    assert ("mistakes" in text) == (name != "tones-cnn")
    assert max(len(line) for line in text.splitlines() if "saved" not in line) <= columns
    asked = subprocess.run(
        [*command[:3], "predict", str(files / "n.safetensors"), "--count", "2"], capture_output=True, text=True,
        env=environment,
    )  # fmt: skip
    assert asked.returncode == 0, asked.stderr
    assert max(map(len, asked.stdout.splitlines())) <= columns
    inked = sum(bool(set(line) & set("-=+*#%@")) for line in asked.stdout.splitlines() if "█" not in line)
    assert inked >= lines
