"""scikit-learn's MLPClassifier, a batch at a time through partial_fit; for the record, since it is not built for this."""

import numpy as np
import sklearn
from sklearn.neural_network import MLPClassifier

import nbdl
from nbdl_benchmarks.harness import Contender
from nbdl_benchmarks.work import RATE, Batches, make


def build(net: str, batch: int, data: str) -> Contender:
    """One hidden layer: that much it can express of the networks here."""
    work = make(net, batch, data)
    hidden, outputs = (layer for layer in work.net.layers if isinstance(layer, nbdl.Dense))
    settings = {"solver": "sgd", "alpha": 0, "momentum": 0, "learning_rate_init": RATE, "batch_size": work.batch}
    model = MLPClassifier((hidden.units,), activation=hidden.activation, shuffle=False, **settings)
    classes = np.arange(max(2, outputs.units))
    targets = work.targets.reshape(-1).astype(np.int64)
    first = np.arange(work.batch)
    model.partial_fit(work.inputs[first].astype(np.float32) * work.scale, targets[first], classes=classes)
    w1, b1, w2, b2 = work.weights
    model.coefs_, model.intercepts_ = [w1.copy(), w2.copy()], [b1.copy(), b2.copy()]
    batches = Batches(work, lambda order: order)

    def run(count: int) -> None:
        for _ in range(count):
            order, start, stop = next(batches)
            rows = order[start:stop]
            model.partial_fit(work.inputs[rows].astype(np.float32) * np.float32(work.scale), targets[rows])

    def changes():
        return work.changes([model.coefs_[0], model.intercepts_[0], model.coefs_[1], model.intercepts_[1]])

    return Contender("scikit-learn", sklearn.__version__, run, changes)
