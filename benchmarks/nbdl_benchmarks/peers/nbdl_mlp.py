"""nbdl, as `nbdl train` runs it: a Training and its generator of steps."""

import nbdl
from nbdl_benchmarks.harness import Contender
from nbdl_benchmarks.work import RATE, make

NAMES = ("dense_1.w", "dense_1.b", "dense_2.w", "dense_2.b")


def build(net: str, batch: int, data: str) -> Contender:
    work = make(net, batch, data)
    mlp = work.net == "mlp"
    layers = [nbdl.Dense(128, "relu"), nbdl.Dense(10)] if mlp else [nbdl.Dense(8, "tanh"), nbdl.Dense(1)]
    model = nbdl.Sequential(layers, (work.inputs.shape[1],))
    for name, values in zip(NAMES, work.weights, strict=True):
        model.parameters[name][...] = values
    loss = nbdl.loss("softmax_cross_entropy" if mlp else "binary_cross_entropy")
    samples = nbdl.Data(work.inputs, work.targets, 0.0, work.scale)
    budget = nbdl.Budget(updates=10**12)
    training = nbdl.Training(model, samples, loss, nbdl.SGD(RATE), batch=work.batch, budget=budget)
    steps = training.steps()

    def run(count: int) -> None:
        for _ in range(count):
            next(steps)

    return Contender("nbdl", nbdl.__version__, run, lambda: [model.parameters[name] for name in NAMES])
