"""nbdl, as `nbdl train` runs it: a Training and its generator of steps."""

import nbdl
from nbdl_benchmarks.harness import Contender
from nbdl_benchmarks.work import RATE, make


def build(net: str, batch: int, data: str) -> Contender:
    work = make(net, batch, data)
    model = nbdl.Sequential(work.net.layers, work.net.shape)
    names = list(model.parameters)
    for name, values in zip(names, work.weights, strict=True):
        model.parameters[name][...] = values
    samples = nbdl.Data(work.inputs, work.targets, 0.0, work.scale)
    budget = nbdl.Budget(updates=10**12)
    training = nbdl.Training(model, samples, nbdl.loss(work.net.loss), nbdl.SGD(RATE), batch=work.batch, budget=budget)
    steps = training.steps()

    def run(count: int) -> None:
        for _ in range(count):
            next(steps)

    return Contender("nbdl", nbdl.__version__, run, lambda: work.changes([model.parameters[name] for name in names]))
