"""Calls linked into one: the same bits as one by one, whatever kinds of arguments they take."""

import copy
import gc

import numpy as np
import pytest

import nbdl
import nbdl.kernels
from nbdl import layers as L
from nbdl import linking
from nbdl.kernel import registry


@pytest.mark.parametrize("name", sorted(registry))
def test_a_linked_call_does_the_same(name):
    kernel = registry[name]
    for variant in ("serial", "parallel"):
        for arguments in list(kernel.cases(np.random.default_rng(1), np.dtype(np.float32)))[:3]:
            alone, linked = copy.deepcopy(arguments), copy.deepcopy(arguments)
            call = kernel.bind(variant, *alone)
            call.run(*call.arguments)
            step = linking.link([kernel.bind(variant, *linked)])
            step()
            for ours, wanted in zip(linked, alone, strict=True):
                if isinstance(ours, np.ndarray):
                    np.testing.assert_array_equal(ours, wanted, err_msg=f"{name} {variant}")


NETS = {
    "dense": ("16,relu,dropout:0.2,3", (6,)),
    "lenet": ("conv:6:3,relu,pool,flatten,3", (9, 9)),
    "lstm": ("lstm:5,3", (4, 6)),
}


def trained(name, batch):
    layers, shape = NETS[name]
    model = nbdl.Sequential(L.parse(layers), shape, seed=1)
    random = np.random.default_rng(2)
    data = nbdl.Data(random.standard_normal((37, *shape)).astype(np.float32), random.integers(0, 3, 37))
    training = nbdl.Training(
        model, data, nbdl.loss("softmax_cross_entropy"), nbdl.Adam(0.01), batch=batch, budget=nbdl.Budget(epochs=6)
    )
    losses = [step.loss for step in training.steps()]
    return training, losses, model.parameters.flat.tobytes()


@pytest.mark.parametrize("batch", [1, 16])
@pytest.mark.parametrize("name", NETS)
def test_training_goes_on_with_the_same_bits(name, batch, monkeypatch):
    _, losses, parameters = trained(name, batch)
    monkeypatch.setattr(linking, "AFTER", 3)
    asked = []
    link = linking.link
    monkeypatch.setattr(linking, "link", lambda calls: asked.append(len(calls)) or link(calls))
    training, found, same = trained(name, batch)
    assert asked == [len(training.calls)] * (1 if batch == 1 else 2)  # the short last batch has a step of its own
    assert found == losses
    assert same == parameters


def test_a_linked_step_keeps_its_arrays():
    x, y = np.full(1000, 2, np.float32), np.zeros(1000, np.float32)
    step = linking.link([registry["activation_forward"].bind("serial", y, x, 0)])
    del x
    gc.collect()
    np.full(1000, 7, np.float32)  # would take the place of x
    step()
    assert (y == 2).all()


def test_numpy_is_called_from_python(monkeypatch):
    monkeypatch.setattr(linking, "AFTER", 1)
    x, y = np.ones(3, np.float32), np.zeros(3, np.float32)
    step = linking.Step([registry["activation_forward"].bind("numpy", y, x, 0)])
    for _ in range(3):
        step.run()
    assert (y == 1).all()
    assert step.run == step._one_by_one
