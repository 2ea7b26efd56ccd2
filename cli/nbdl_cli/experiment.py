"""From what a user asked for to a network, its data and its training: shared by the commands that train."""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from nbdl.errors import NbdlError

if TYPE_CHECKING:
    from nbdl import Budget, Data, Evaluation, Sequential, Training
    from nbdl.losses import Loss
    from nbdl.zoo import Demo
    from nbdl_datasets import Dataset, Split


@dataclass(frozen=True)
class Wishes:
    """The options that a user gave; None means: as the demo has it."""

    demo: str | None = None
    dataset: str | None = None
    text: str | None = None
    steps: int | None = None
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

        about = self.dataset
        return Data(split.inputs, split.targets, about.offset, about.scale, split.lengths, about.continuous)

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
                "lengths": data.train.lengths is not None,
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


def plan(wishes: Wishes, progress=None) -> Experiment:
    """Read the demo and the data, and settle everything that the user left open."""
    from nbdl import Budget, loss, optimizer
    from nbdl.layers import parse
    from nbdl.schedules import schedule
    from nbdl_cli.fitting import fitted

    demo, dataset = chosen(wishes, progress)
    cost = loss(wishes.loss or demo.loss or usual_loss(dataset))
    if cost.classifies != (dataset.task == "classification"):
        raise NbdlError(f"loss {cost.name} does not fit {dataset.name}, which is a {dataset.task} problem.")
    outputs = 1 if cost.name == "binary_cross_entropy" else dataset.outputs
    if cost.name == "binary_cross_entropy" and dataset.outputs != 2:
        raise NbdlError(f"binary_cross_entropy tells 2 classes apart; {dataset.name} has {dataset.outputs}.")
    text = wishes.layers or demo.layers
    layers = fitted(parse(text) if text else [], dataset, outputs, settled=wishes.layers is not None)

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
        demo.clip if wishes.clip is None else wishes.clip,
        Budget(**budget),
        wishes.seed,
        wishes.backend,
    )


# Whose network and settings serve for data of a kind, when no demo is named.
USUAL = {"text": "char-rnn", "sequence": "tones-rnn", "series": "sine-forecast"}


def chosen(wishes: Wishes, progress=None) -> "tuple[Demo, Dataset]":
    """The demo and the data: the demo's own, or others, which then take its network and its settings."""
    from nbdl.zoo import demo as find
    from nbdl_datasets import load

    if wishes.text is not None and wishes.dataset is not None:
        raise NbdlError("--text and --dataset both say what to learn from: leave one out.")
    demo = find(wishes.demo or ("char-rnn" if wishes.text is not None else "digits"))
    other = wishes.text if wishes.text is not None else wishes.dataset
    options: dict[str, Any] = {
        n: value for n in ("label", "test", "steps") if (value := getattr(wishes, n)) is not None
    }
    if other is None or other == demo.dataset:
        return demo, load(demo.dataset, seed=wishes.seed, progress=progress, **{**demo.options, **options})
    if wishes.text is not None:
        options["task"] = "text"
    dataset = load(other, seed=wishes.seed, progress=progress, **options)
    if wishes.text is not None and demo.dataset != "number-names":
        raise NbdlError(f"demo {demo.name} does not learn from texts; leave it out, or say char-rnn.")
    words: dict[str, Any] = {"name": other, "dataset": other, "summary": "your data", "lesson": ""}
    if wishes.demo is None and dataset.kind in USUAL:
        demo = find(USUAL[dataset.kind])
    elif wishes.demo is None:
        words |= {"layers": "64,relu", "optimizer": "adam", "settings": {"learning_rate": 0.003}, "epochs": 30}
    return replace(demo, **words, loss=None, options={}), dataset


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
