"""From what a user asked for to a network, its data and its training: shared by the commands that train."""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from nbdl.errors import NbdlError

if TYPE_CHECKING:
    from nbdl import Budget, Data, Evaluation, Sequential, Training
    from nbdl.layers import Layer
    from nbdl.losses import Loss
    from nbdl.zoo import Demo
    from nbdl_datasets import Dataset, Split


@dataclass(frozen=True)
class Wishes:
    """The options that a user gave; None means: as the demo has it."""

    demo: str | None = None
    dataset: str | None = None
    label: str | None = None
    test: str | None = None
    layers: str | None = None
    loss: str | None = None
    method: str | None = None
    batch: str | None = None
    optimizer: str | None = None
    rate: float | None = None
    momentum: float | None = None
    weight_decay: float | None = None
    clip: float | None = None
    schedule: str | None = None
    epochs: int | None = None
    updates: int | None = None
    examples: int | None = None
    seconds: float | None = None
    seed: int = 0
    backend: str = "auto"


@dataclass(frozen=True)
class Experiment:
    """All that one training needs, before anything is allocated or compiled."""

    demo: "Demo"
    dataset: "Dataset"
    layers: list
    loss: "Loss"
    optimizer: Any
    batch: int | str
    method: str
    schedule: str
    clip: float | None
    budget: "Budget"
    seed: int
    backend: str

    def data(self, split: "Split") -> "Data":
        """One part of the data as a training sees it."""
        from nbdl import Data

        return Data(split.inputs, split.targets, self.dataset.offset, self.dataset.scale)

    def model(self) -> "Sequential":
        """The network with its first weights, drawn from the seed."""
        from nbdl import Sequential

        return Sequential(self.layers, self.dataset.input_shape, seed=self.seed)

    def training(self, model: "Sequential", announce=None) -> "Training":
        from nbdl import Training

        return Training(
            model,
            self.data(self.dataset.train),
            self.loss,
            self.optimizer,
            batch=self.batch,
            budget=self.budget,
            schedule=self.schedule,
            clip=self.clip,
            seed=self.seed,
            backend=self.backend,
            announce=announce,
        )

    def evaluation(self, model: "Sequential", split: "Split", announce=None) -> "Evaluation":
        from nbdl import Evaluation

        return Evaluation(model, self.data(split), self.loss, backend=self.backend, announce=announce)

    def summary(self) -> dict[str, Any]:
        """What was trained and how, as plain data: for JSON documents and checkpoints."""
        from nbdl.layers import describe
        from nbdl.optimizers import describe as describe_optimizer

        data = self.dataset
        return {
            "demo": self.demo.name,
            "dataset": {
                "name": data.name,
                "summary": data.summary,
                "train": len(data.train),
                "validation": len(data.validation),
                "test": len(data.test),
                "input_shape": list(data.input_shape),
                "classes": list(data.classes),
                "features": list(data.features),
                "kind": data.kind,
                "task": data.task,
                "offset": data.offset,
                "scale": data.scale,
            },
            "layers": [describe(layer) for layer in self.layers],
            "loss": self.loss.name,
            "method": self.method,
            "batch": self.batch,
            "optimizer": describe_optimizer(self.optimizer),
            "schedule": self.schedule,
            "clip": self.clip,
            "budget": {name: value for name, value in vars(self.budget).items() if value is not None},
            "seed": self.seed,
            "backend": self.backend,
        }


METHODS = ("stochastic", "mini-batch", "batch")


def batch_size(method: str | None, batch: str | None, default: int | str, n: int) -> tuple[int | str, str]:
    """Batch size and the name of its method; raises NbdlError where the two contradict each other."""
    if batch is None:
        if method == "mini-batch":
            size: int | str = default if isinstance(default, int) and default > 1 else 32
        else:
            size = {"stochastic": 1, "batch": "full", None: default}[method]
        size = min(size, n) if isinstance(size, int) else size
    elif batch.lower() == "full":
        size = "full"
    else:
        try:
            size = int(batch)
        except ValueError:
            raise NbdlError(f"the batch size is {batch!r}; expected a whole number from 1 to {n}, or full.") from None
        if not 1 <= size <= n:
            raise NbdlError(f"the batch size is {size}; expected a whole number from 1 to {n} (all samples), or full.")
    name = "batch" if size in ("full", n) else "stochastic" if size == 1 else "mini-batch"
    if method is not None and batch is not None and method != name:
        raise NbdlError(f"--batch-size {batch} is {name} gradient descent, but --method says {method}: leave one out.")
    return size, name


def flattened(layers: "list[Layer]", shape: tuple[int, ...]) -> "list[Layer]":
    """The layers with a Flatten before each Dense that would otherwise meet maps."""
    from nbdl.layers import Dense, Flatten
    from nbdl.model import fitting

    found: list[Layer] = []
    for layer in layers:
        if isinstance(layer, Dense) and len(shape) != 1:
            found.append(Flatten())
            shape = Flatten().out_shape(shape)
        found.append(layer)
        shape = fitting(len(found), layer, shape)
    return found


def plan(wishes: Wishes, progress=None) -> Experiment:
    """Read the demo and the data, and settle everything that the user left open."""
    from nbdl import Budget, loss, optimizer
    from nbdl.layers import Dense, parse
    from nbdl.schedules import schedule
    from nbdl.zoo import demo as find
    from nbdl_datasets import load

    demo = find(wishes.demo or "digits")
    if wishes.dataset is not None and wishes.dataset != demo.dataset:
        demo = replace(
            demo, name=wishes.dataset, summary="your data", lesson="", dataset=wishes.dataset, loss=None, options={}
        )
        if wishes.demo is None:
            demo = replace(demo, layers="64,relu", optimizer="adam", settings={"learning_rate": 0.003}, epochs=30)
    options = {name: value for name in ("label", "test") if (value := getattr(wishes, name)) is not None}
    dataset = load(demo.dataset, seed=wishes.seed, progress=progress, **demo.options, **options)

    cost = loss(wishes.loss or demo.loss or usual_loss(dataset))
    if cost.classifies != (dataset.task == "classification"):
        raise NbdlError(f"loss {cost.name} does not fit {dataset.name}, which is a {dataset.task} problem.")
    outputs = 1 if cost.name == "binary_cross_entropy" else dataset.outputs
    if cost.name == "binary_cross_entropy" and dataset.outputs != 2:
        raise NbdlError(f"binary_cross_entropy tells 2 classes apart; {dataset.name} has {dataset.outputs}.")
    text = wishes.layers or demo.layers
    layers = parse(text) if text else []
    if wishes.layers is None or not (isinstance(layers[-1], Dense) and layers[-1] == Dense(outputs)):
        layers.append(Dense(outputs))
    layers = flattened(layers, dataset.input_shape)

    schedule(wishes.schedule or demo.schedule, 1)
    if wishes.backend == "cuda":
        from nbdl.cuda import available

        works, reason = available()
        if not works:
            raise NbdlError(f"backend cuda cannot be used: {reason}. Leave --backend out to use the processor.")

    name = wishes.optimizer or demo.optimizer
    settings = dict(demo.settings) if name == demo.optimizer else {}
    settings |= {
        key: value
        for key, value in (
            ("learning_rate", wishes.rate),
            ("momentum", wishes.momentum),
            ("weight_decay", wishes.weight_decay),
        )
        if value is not None
    }
    batch, method = batch_size(wishes.method, wishes.batch, demo.batch, len(dataset.train))
    budget = {name: getattr(wishes, name) for name in ("epochs", "updates", "examples", "seconds")}
    if all(value is None for value in budget.values()):
        budget["epochs"] = demo.epochs
    return Experiment(
        demo,
        dataset,
        layers,
        cost,
        optimizer(name, **settings),
        batch,
        method,
        wishes.schedule or demo.schedule,
        wishes.clip,
        Budget(**budget),
        wishes.seed,
        wishes.backend,
    )


def usual_loss(dataset: "Dataset") -> str:
    """The cost function for data when nobody says another."""
    if dataset.task == "regression":
        return "mean_squared_error"
    return "binary_cross_entropy" if dataset.kind == "points" and dataset.outputs == 2 else "softmax_cross_entropy"


def environment(threads: int, backend: str) -> dict[str, Any]:
    """The machine and the versions behind a number."""
    import platform

    import numba
    import numpy

    import nbdl
    from nbdl.kernels.tile import SIMD

    return {
        "nbdl": nbdl.__version__,
        "python": platform.python_version(),
        "numpy": numpy.__version__,
        "numba": numba.__version__,
        "system": f"{platform.system()} {platform.machine()}",
        "simd": SIMD,
        "threads": threads,
        "backend": backend,
    }
