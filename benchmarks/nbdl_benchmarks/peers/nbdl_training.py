"""nbdl, as `nbdl train` runs it: a Training and its generator of steps."""

from collections.abc import Sequence

import numpy as np

import nbdl
from nbdl_benchmarks.harness import Contender
from nbdl_benchmarks.work import RATE, Work, lenet, make


def build(net: str, batch: int, data: str) -> Contender:
    work = make(net, batch, data)
    training = _training(work, RATE, 10**12)
    model, steps = training.model, training.steps()
    names = list(model.parameters)

    def run(count: int) -> None:
        for _ in range(count):
            next(steps)

    return Contender("nbdl", nbdl.__version__, run, lambda: work.changes([model.parameters[name] for name in names]))


def build_runs(net: str, n: int, data: str, runs: Sequence[tuple[int, float, int]]) -> Contender:
    """Every step is the next whole training of `runs`: batch, learning rate, updates. The result is its mean loss."""
    work = make(net, 1, data)
    waiting = iter([_training(work.cut(n, batch), rate, updates) for batch, rate, updates in runs])
    loss = [0.0]

    def run(count: int) -> None:
        for _ in range(count):
            training = next(waiting)
            loss[0] = 0.0
            for step in training.steps():
                loss[0] += step.loss
            loss[0] /= training.updates

    return Contender("nbdl", nbdl.__version__, run, lambda: [np.array(loss)])


def build_accuracy(epochs: int, seed: int) -> Contender:
    """Every step is an epoch of `mnist-lenet`; the result is the accuracy on MNIST's test digits."""
    task = lenet(seed)
    work, demo = task.work, task.demo
    model, samples = _model(work), nbdl.Data(work.inputs, work.targets, 0.0, work.scale)
    cost = nbdl.loss(work.net.loss)
    training = nbdl.Training(
        model, samples, cost, nbdl.Adam(**demo.settings), batch=work.batch, budget=nbdl.Budget(epochs=epochs),
        schedule=demo.schedule, seed=seed,
    )  # fmt: skip
    test = nbdl.Evaluation(model, nbdl.Data(task.inputs, task.targets, 0.0, work.scale), cost)
    steps = training.steps()

    def run(count: int) -> None:
        for _ in range(count):
            while not next(steps).ends_epoch:
                pass

    return Contender("nbdl", nbdl.__version__, run, lambda: [np.array(test.run().accuracy)])


def _model(work: Work) -> nbdl.Sequential:
    model = nbdl.Sequential(work.net.layers, work.net.shape)
    for name, values in zip(model.parameters, work.weights, strict=True):
        model.parameters[name][...] = values
    return model


def _training(work: Work, rate: float, updates: int) -> nbdl.Training:
    model, samples = _model(work), nbdl.Data(work.inputs, work.targets, 0.0, work.scale)
    budget = nbdl.Budget(updates=updates)
    return nbdl.Training(model, samples, nbdl.loss(work.net.loss), nbdl.SGD(rate), batch=work.batch, budget=budget)
