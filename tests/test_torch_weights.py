"""Weights from PyTorch: the same outputs, whatever the modules are called, and a clear word where they do not fit."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest
from safetensors.numpy import save_file

import nbdl
from nbdl import layers as L
from nbdl.errors import NbdlError
from nbdl.torch_weights import load_torch_weights, read_tensors

MEAN_SQUARED = nbdl.loss("mean_squared_error")


def networks(torch):
    """A PyTorch network, the same as text, and a sample's shape; everything that has weights, with every option."""
    nn = torch.nn
    return {
        "conv, batchnorm, pool, dense": (
            [
                nn.Conv2d(3, 8, (3, 2), stride=(1, 2), padding=1, bias=False),
                nn.BatchNorm2d(8),
                nn.ReLU(),
                nn.MaxPool2d(2),
                nn.Conv2d(8, 6, 3, groups=2, dilation=2),
                nn.GELU(),
                nn.Flatten(),
                nn.Linear(18, 9),
                nn.BatchNorm1d(9, affine=False),
                nn.Tanh(),
                nn.Linear(9, 4, bias=False),
            ],
            "conv:8:3x2:1x2:1,batchnorm,relu,pool,conv:6:3:groups=2:dilation=2,gelu,flatten,9,batchnorm,tanh,4",
            (3, 15, 18),
        ),
        "1d": (
            [nn.Conv1d(2, 5, 4, padding=2), nn.BatchNorm1d(5), nn.ReLU()],
            "conv1d:5:4:padding=2,batchnorm,relu",
            (2, 9),
        ),
        "3d": ([nn.Conv3d(2, 4, (1, 3, 2)), nn.BatchNorm3d(4)], "conv3d:4:1x3x2,batchnorm", (2, 3, 5, 4)),
        "decoder": (
            [
                nn.ConvTranspose2d(4, 6, 3, stride=2, padding=1, output_padding=1, groups=2),
                nn.ReLU(),
                nn.ConvTranspose2d(6, 1, 2, stride=2),
            ],
            "conv2dtranspose:6:3:strides=2:padding=1:groups=2:output_padding=1,relu,conv2dtranspose:1:2:2",
            (4, 3, 5),
        ),
    }


class Recurrent:
    """A recurrent network in PyTorch, as people write it: two layers in one module, then a Linear at every step."""

    def __new__(cls, torch, kind, bidirectional):
        class Net(torch.nn.Module):
            def __init__(self):
                super().__init__()
                self.embedding = torch.nn.Embedding(11, 6)
                self.rnn = getattr(torch.nn, kind)(6, 9, num_layers=2, batch_first=True, bidirectional=bidirectional)
                self.head = torch.nn.Linear(18 if bidirectional else 9, 4)

            def forward(self, x):
                return self.head(self.rnn(self.embedding(x))[0])

        return Net()


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize(("kind", "word"), [("RNN", "simplernn"), ("LSTM", "lstm"), ("GRU", "gru")])
def test_stacked_recurrent_networks(kind, word, bidirectional, tmp_path):
    torch = pytest.importorskip("torch")
    from safetensors.torch import save_file

    torch.manual_seed(2)
    theirs = Recurrent(torch, kind, bidirectional)
    save_file(theirs.state_dict(), str(tmp_path / "rnn.safetensors"))
    layer = f"{word}:9:return_sequences=true:bidirectional={str(bidirectional).lower()}"
    model = nbdl.Sequential(L.parse(f"embedding:11:6,{layer},{layer},timedense:4"), (7,), seed=3)
    matches = load_torch_weights(model, tmp_path / "rnn.safetensors")
    assert [match.module for match in matches] == ["embedding", "rnn.l0", "rnn.l1", "head"]
    x = np.random.default_rng(1).integers(0, 11, (5, 7))
    with torch.no_grad():
        expected = theirs(torch.from_numpy(x)).numpy().reshape(5, -1)
    ours = nbdl.predict(model, x, MEAN_SQUARED).reshape(5, -1)
    np.testing.assert_allclose(ours, expected, atol=1e-5)


def test_a_gru_that_resets_before_the_product_is_not_pytorchs():
    model = nbdl.Sequential(L.parse("gru:4:reset_after=false"), (7, 3))
    with pytest.raises(NbdlError, match="reset_after=true"):
        load_torch_weights(model, {"weight_ih_l0": np.zeros((12, 3)), "weight_hh_l0": np.zeros((12, 4))})


@pytest.mark.parametrize("name", ["conv, batchnorm, pool, dense", "1d", "3d", "decoder"])
def test_outputs_are_pytorchs(name, tmp_path):
    torch = pytest.importorskip("torch")
    from safetensors.torch import save_file

    torch.manual_seed(1)
    modules, text, shape = networks(torch)[name]
    theirs = torch.nn.Sequential(*modules)
    for _ in range(3):  # so that the running statistics are not what they start as
        theirs(2 * torch.randn(16, *shape) + 1)
    with torch.no_grad():
        for parameter in theirs.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    x = torch.randn(7, *shape)
    expected = theirs.eval()(x).detach().flatten(1).numpy()
    save_file(theirs.state_dict(), tmp_path / "net.safetensors")
    for source in (tmp_path / "net.safetensors", theirs.state_dict()):
        model = nbdl.Sequential(L.parse(text), shape, seed=3)
        load_torch_weights(model, source)
        np.testing.assert_allclose(nbdl.predict(model, x.numpy(), MEAN_SQUARED), expected, rtol=1e-5, atol=1e-5)


def dense_pair(first, second, size=5):
    random = np.random.default_rng(0)
    return {
        f"{name}.{key}": random.standard_normal(shape).astype(np.float32)
        for name in (first, second)
        for key, shape in (("weight", (size, size)), ("bias", (size,)))
    }


def pair(size=5):
    return nbdl.Sequential([L.Dense(size), L.Dense(size)], (size,))


def test_modules_are_counted_as_people_do():
    tensors = dense_pair("net.10", "net.9")
    found = load_torch_weights(pair(), tensors)
    assert [match.module for match in found] == ["net.9", "net.10"]
    model = pair()
    load_torch_weights(model, tensors)
    np.testing.assert_array_equal(model.parameters["dense_1.w"], tensors["net.9.weight"].T)


def test_names_that_do_not_say_their_order_are_not_guessed():
    tensors, model = dense_pair("inner", "outer"), pair()
    before = model.snapshot()
    with pytest.raises(NbdlError, match=r"layer 1 \(dense_1\) could be inner or outer.*order"):
        load_torch_weights(model, tensors)
    assert model.snapshot().tobytes() == before.tobytes()
    load_torch_weights(model, tensors, ["outer", "inner"])
    np.testing.assert_array_equal(model.parameters["dense_1.w"], tensors["outer.weight"].T)


@pytest.mark.parametrize(
    ("order", "words"),
    [
        (["outer"], "the order names 1 modules; expected 2 different ones, for dense_1, dense_2"),
        (["outer", "outer"], "expected 2 different ones"),
        (["outer", "fc"], "no module 'fc'; it has inner, outer"),
    ],
)
def test_an_order_that_is_none(order, words):
    with pytest.raises(NbdlError, match=words):
        load_torch_weights(pair(), dense_pair("inner", "outer"), order)


def test_what_does_not_fit_is_named_and_nothing_is_changed():
    model = nbdl.Sequential(L.parse("conv:2:3,batchnorm,flatten,4,3"), (1, 5, 5))
    before = model.snapshot()
    whole = {"c.weight": np.ones((2, 1, 3, 3)), "c.bias": np.ones(2), "n.num_batches_tracked": np.array(7)}
    whole |= {f"n.{name}": np.ones(2) for name in ("weight", "bias", "running_mean", "running_var")}
    whole |= {"a1.weight": np.ones((4, 18)), "a1.bias": np.ones(4), "a2.weight": np.ones((3, 4)), "a2.bias": np.ones(3)}
    load_torch_weights(nbdl.Sequential(model.layers, (1, 5, 5)), whole)
    for change, words in [
        ({"a1.weight": np.ones((4, 20))}, r"layer 4 \(dense_1\).*weight \(4, 18\).*next one.*a1.*weight \(4, 20\)"),
        ({"a2.weight": None, "a2.bias": None}, r"layer 5 \(dense_2\).*Linear.*the file has no module left"),
        ({"n.running_mean": None}, r"layer 2 \(batchnorm_1\).*BatchNorm.*running_mean.*only a1"),
        ({"more.weight": np.ones((9, 9))}, r"leave 1 of the file's modules over: more \(weight \(9, 9\)\)"),
        ({"c.weight": np.ones((2, 1, 3))}, r"layer 1 \(conv2d_1\) takes a Conv2d with weight \(2, 1, 3, 3\)"),
    ]:
        tensors = {name: tensor for name, tensor in {**whole, **change}.items() if tensor is not None}
        with pytest.raises(NbdlError, match=words):
            load_torch_weights(model, tensors)
    assert model.snapshot().tobytes() == before.tobytes()


def test_files_that_are_none(tmp_path):
    path = tmp_path / "net.safetensors"
    with pytest.raises(NbdlError, match="there is no file"):
        read_tensors(path)
    save_file(dense_pair("a", "b"), path)
    content = path.read_bytes()
    for keep in (0, 5, 60, len(content) - 1):
        path.write_bytes(content[:keep])
        with pytest.raises(NbdlError, match="not a whole safetensors file"):
            read_tensors(path)
    path.write_bytes(b"PK\x03\x04" + bytes(500))  # PyTorch's own format is a zip
    with pytest.raises(NbdlError, match=r"safetensors\.torch\.save_file"):
        read_tensors(path)
    save_file({"n.num_batches_tracked": np.array(7)}, path)
    with pytest.raises(NbdlError, match="holds no weights"):
        load_torch_weights(pair(), path)


def test_a_checkpoint_of_nbdl_is_told_apart(tmp_path):
    nbdl.save_model(tmp_path / "own.safetensors", pair(), MEAN_SQUARED)
    with pytest.raises(NbdlError, match="as nbdl does"):
        load_torch_weights(pair(), tmp_path / "own.safetensors")


@pytest.mark.parametrize("kind", ["float64", "float16", "bfloat16"])
def test_other_types_of_numbers(kind, tmp_path):
    torch = pytest.importorskip("torch")
    from safetensors.torch import save_file

    linear = torch.nn.Linear(5, 5).to(getattr(torch, kind))
    save_file(linear.state_dict(), tmp_path / "net.safetensors")
    for source in (tmp_path / "net.safetensors", linear.state_dict()):
        model = nbdl.Sequential([L.Dense(5)], (5,))
        load_torch_weights(model, source)
        np.testing.assert_array_equal(model.parameters["dense_1.w"], linear.weight.detach().float().numpy().T)


def command(*arguments, cwd):
    environment = {name: value for name, value in os.environ.items() if name != "NBDL_DATA_DIR"}
    done = [sys.executable, "-m", "nbdl_cli.main", *map(str, arguments)]
    return subprocess.run(done, capture_output=True, text=True, cwd=cwd, env=environment, timeout=300)


def test_imported_by_command_and_asked(tmp_path):
    """A network that tells nothing apart, but whose outputs are known: its bias."""
    tensors = {"fc.weight": np.zeros((10, 64), np.float32), "fc.bias": np.arange(10, dtype=np.float32)}
    save_file(tensors, tmp_path / "net.safetensors")
    options = ["--layers", "10", "--save", "own.safetensors", "--json"]
    done = command("import", "net.safetensors", *options, "--dataset", "digits", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    assert document["schema"] == "nbdl.import/1"
    assert document["layers"] == [{"layer": "dense_1", "module": "fc", "shapes": {"weight": [10, 64], "bias": [10]}}]
    assert 0.05 < document["test"]["accuracy"] < 0.15
    asked = json.loads(command("predict", "own.safetensors", "--count", "2", "--json", cwd=tmp_path).stdout)
    p = np.exp(np.arange(10)) / np.exp(np.arange(10)).sum()
    np.testing.assert_allclose(asked["predictions"][1]["probabilities"], p, rtol=1e-5)

    done = command("import", "net.safetensors", *options, "--shape", "1x8x8", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    for way in (["--dataset", "digits"], ["--values", ",".join(["1"] * 64)]):
        asked = json.loads(command("predict", "own.safetensors", *way, "--json", cwd=tmp_path).stdout)
        assert asked["predictions"][0]["class"] == "9"
    said = command("predict", "own.safetensors", cwd=tmp_path)
    assert (said.returncode, "--dataset NAME" in said.stderr) == (1, True)


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["nothing.safetensors", "--shape", "64"], 1, "there is no file nothing.safetensors"),
        (["net.safetensors", "--shape", "63"], 1, "layer 1 (dense_1) takes a Linear with weight (10, 63)"),
        (["net.safetensors", "--shape", "8xeight"], 2, "such as 1x28x28"),
        (["net.safetensors"], 2, "--shape 1x28x28, or --dataset NAME"),
        (["net.safetensors", "--shape", "64", "--dataset", "digits"], 1, "--shape says (64,)"),
        (["net.safetensors", "--shape", "64", "--order", "a,b"], 1, "no module 'a'; it has fc"),
    ],
)
def test_mistakes_get_a_word_and_a_code(tmp_path, arguments, code, words):
    save_file({"fc.weight": np.zeros((10, 64), np.float32)}, tmp_path / "net.safetensors")
    done = command("import", *arguments, "--layers", "10", "--save", "own.safetensors", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (code, "")
    assert words in " ".join(done.stderr.split())
    assert os.listdir(tmp_path) == ["net.safetensors"]
