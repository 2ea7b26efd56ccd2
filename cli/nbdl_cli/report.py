"""What training looks like in a terminal: the model, the epochs, the result. Everything here only draws."""

from typing import TYPE_CHECKING, Any

from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from nbdl_cli.drawing import figures
from nbdl_cli.sequences import bits, text_result

if TYPE_CHECKING:
    from nbdl import Sequential, Training
    from nbdl.evaluation import Result
    from nbdl.history import Epoch
    from nbdl_cli.experiment import Experiment

METHOD_SAYS = {
    "stochastic": "one example an update",
    "mini-batch": "{batch} examples an update",
    "batch": "all {n} examples an update",
}


def shape(dimensions: tuple[int, ...]) -> str:
    return " × ".join(map(str, dimensions))


def header(experiment: "Experiment") -> RenderableType:
    """What is about to be learnt, from what, and how."""
    demo, data, method = experiment.demo, experiment.dataset, experiment.method
    rows = Table.grid(padding=(0, 2))
    rows.add_column(style="dim", no_wrap=True)
    rows.add_column(overflow="fold")
    what = f"windows of {data.input_shape[0]} characters" if data.kind == "text" else "examples"
    rows.add_row(
        "data",
        f"{data.name}: {data.summary}; {len(data.train)} {what} to learn from, {len(data.validation)} to check on, "
        f"{len(data.test)} kept for the end",
    )
    says = METHOD_SAYS[method].format(batch=experiment.batch, n=len(data.train))
    optimizer = experiment.optimizer
    rate = f"learning rate {optimizer.learning_rate:g}"
    schedule = "" if experiment.schedule == "constant" else f", {experiment.schedule} schedule"
    rows.add_row("method", f"{method} gradient descent, {says}")
    rows.add_row("update", f"{optimizer.name}, {rate}{schedule}")
    unit = ", in nats per character" if data.kind == "text" else ""
    rows.add_row("cost", experiment.loss.name.replace("_", " ") + unit)
    parts: list[RenderableType] = [Text(demo.lesson, style="italic"), Text()] if demo.lesson else []
    return Panel(Group(*parts, rows), title=f"nbdl train {demo.name}", title_align="left", border_style="cyan")


def _sizes(value: Any) -> str:
    return str(value) if isinstance(value, int) else "x".join(map(str, value))


def describe_layer(layer: Any) -> str:
    """A layer in a few words."""
    kind = type(layer).__name__
    then = f", {layer.activation}" if getattr(layer, "activation", "linear") != "linear" else ""
    if kind in ("Dense", "TimeDistributedDense"):
        return f"{kind}{then}"
    if kind.startswith("Conv"):
        step = f", step {_sizes(layer.strides)}" if layer.strides != 1 else ""
        return f"{kind} {_sizes(layer.kernel_size)}{step}{then}"
    if kind.startswith(("MaxPool", "AvgPool")):
        return f"{kind} {_sizes(layer.size)}"
    if kind == "Embedding":
        return f"Embedding of {layer.vocabulary}"
    if getattr(layer, "bidirectional", False):
        return f"{kind}, both ways{then}"
    if kind == "Dropout":
        return f"Dropout {layer.rate:g}"
    return layer.kind if kind == "Activation" else kind


def model_table(model: "Sequential", training: "Training | None" = None) -> RenderableType:
    """Layer, output shape, parameters, and the arithmetic of one training step for one example."""
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    for name, justify in (("layer", "left"), ("output", "right"), ("parameters", "right"), ("FLOPs a sample", "right")):
        longest = max(map(len, name.split()))  # on narrow screens names are broken between words only
        table.add_column(name, justify=justify, overflow="fold", min_width=longest)  # type: ignore[arg-type]
    table.add_row("input", shape(model.input_shape), "", "")
    flops: dict[str, int] = {}
    if training is not None:
        for call in training.calls:
            flops[call.label] = flops.get(call.label, 0) + call.flops
    batch = training.batch if training is not None else 1
    for place in model.places:
        count = figures.count(place.parameter_count) if place.parameter_count else "–"
        work = figures.count(flops[place.name] / batch) if flops.get(place.name) else "–"
        table.add_row(describe_layer(place.layer), shape(place.out_shape), count, work)
    total = figures.count(sum(flops.values()) / batch) if flops else ""
    table.add_row("total", "", figures.count(model.parameter_count), total, style="bold")
    return Padding(table, (0, 0, 1, 1))


def epoch_line(epoch: "Epoch", experiment: "Experiment", width: int) -> str:
    """One epoch in one line, as wide as the terminal allows."""
    checked = "validation" if width >= 50 else "valid."
    parts = [f"epoch {epoch.epoch:>{4 if width > 40 else 3}}", f"loss {epoch.train_loss:7.4f}"]
    if experiment.dataset.kind == "text" and epoch.validation_loss is not None:
        parts.append(f"{checked} {epoch.validation_loss:6.4f} nats")
        parts += [f"{bits(epoch.validation_loss):.2f} bits"] if width >= 60 else []
        return "  ".join([*parts, *([f"{figures.seconds(epoch.seconds):>9}"] if width >= 76 else [])])
    if epoch.validation_accuracy is not None:
        parts.append(f"{checked} {figures.percent(epoch.validation_accuracy):>7}")
    elif epoch.validation_r2 is not None:
        parts.append(f"{checked} R² {epoch.validation_r2:6.3f}")
    if width >= 60:
        parts.append(f"{epoch.updates:>7} updates")
    if width >= 76:
        parts.append(f"{figures.seconds(epoch.seconds):>9}")
    return "  ".join(parts)


def curve(epochs: list["Epoch"], width: int) -> RenderableType:
    """The cost going down: training and validation loss over epochs."""
    from nbdl_cli.drawing.plot import LinePlot, Series

    xs = [e.epoch for e in epochs]
    series = [Series("training", xs, [e.train_loss for e in epochs])]
    if epochs[0].validation_loss is not None:
        series.append(Series("validation", xs, [e.validation_loss for e in epochs]))
    return LinePlot(series, title="cost", x_label="epoch", y_label="", height=10 if width < 100 else 12)


def result_lines(result: "Result", experiment: "Experiment") -> Text:
    """How good the network is on examples it has never seen."""
    data = experiment.dataset
    if data.kind == "text":
        return text_result(result)
    n = len(data.test)
    new = "it has never seen" if data.test is not data.train else "that it learnt from: there are no others"
    text = Text(" test  ", style="bold")
    if result.accuracy is not None:
        right = round(result.accuracy * n)
        text.append(f"{figures.percent(result.accuracy)} right", style="bold green")
        text.append(f"  ({right} of {n} examples {new}), loss {result.loss:.4f}", style="not bold")
    else:
        text.append(f"R² {result.r2:.3f}", style="bold green")
        text.append(
            f"  mean error {result.mean_absolute_error:.4g}, loss {result.loss:.4g}, {n} examples", style="not bold"
        )
    return text


def mistakes(result: "Result", experiment: "Experiment", width: int, most: int = 12) -> RenderableType | None:
    """Test images that the network got wrong, the most confident mistakes first."""
    from nbdl_cli.drawing.image import ImageRow
    from nbdl_cli.drawing.sample import PICTURED, across, picture

    data = experiment.dataset
    if data.kind not in PICTURED or result.accuracy is None or not len(data.test):
        return None
    targets = data.test.targets
    p = experiment.loss.probabilities(result.outputs)
    said = p.argmax(axis=1)
    wrong = (said != targets).nonzero()[0]
    if not len(wrong):
        return Text(" no mistakes on the test examples")
    wrong = wrong[(-p[wrong, said[wrong]]).argsort()][:most]
    images = [picture(data.test.inputs[i], data.kind) for i in wrong]
    names = data.classes
    captions = [f"{names[said[i]]}? is {names[targets[i]]}" for i in wrong]
    return Group(
        Text(" mistakes, the surest first", style="bold"), ImageRow(images, captions, across=across(data.kind))
    )


def confusion(result: "Result", experiment: "Experiment") -> RenderableType | None:
    """Which class was taken for which."""
    from nbdl.metrics import confusion_matrix
    from nbdl_cli.drawing.confusion import confusion_table

    data = experiment.dataset
    if result.accuracy is None or data.outputs > 20 or not len(data.test):
        return None
    matrix = confusion_matrix(experiment.loss.predictions(result.outputs), data.test.targets, data.outputs)
    return confusion_table(matrix, data.classes)


def decision_map(experiment: "Experiment", model: "Sequential", width: int, rows: int) -> RenderableType:
    """The plane as the network sees it, with the examples on it."""
    import numpy as np

    from nbdl import predict
    from nbdl_cli.drawing.decision_map import DecisionMap, grid_inputs

    data = experiment.dataset
    points = data.train.inputs.reshape(len(data.train), -1)
    low, high = points.min(axis=0), points.max(axis=0)
    margin = 0.15 * np.maximum(high - low, 1e-3)
    extent = (low[0] - margin[0], high[0] + margin[0], low[1] - margin[1], high[1] + margin[1])
    columns = min(width - 2, 72)
    inputs = grid_inputs(extent, columns, 2 * rows)
    outputs = predict(model, inputs, experiment.loss, offset=data.offset, scale=data.scale)
    p = experiment.loss.probabilities(outputs).reshape(2 * rows, columns, -1)
    return DecisionMap(p.argmax(axis=2), p.max(axis=2), extent, points[:400], data.train.targets[:400], data.classes)


def fit_plot(experiment: "Experiment", model: "Sequential") -> RenderableType:
    """A curve through points: what the network has made of one input."""
    import numpy as np

    from nbdl import predict
    from nbdl_cli.drawing.plot import LinePlot, Series

    data = experiment.dataset
    x = data.train.inputs.reshape(-1)
    xs = np.linspace(x.min(), x.max(), 120, dtype=np.float32)
    ys = predict(model, xs[:, None], experiment.loss, offset=data.offset, scale=data.scale)[:, 0]
    order = data.test.inputs.reshape(-1).argsort()
    truth = Series("test examples", data.test.inputs.reshape(-1)[order], data.test.targets.reshape(-1)[order])
    return LinePlot([truth, Series("network", xs, ys)], title="what it learnt", x_label=data.features[0], height=12)


def speed(training: "Training", compiled: float, peak: float | None) -> Text:
    """How fast it went, and how much of the machine that was."""
    rate = training.examples / training.seconds if training.seconds else 0.0
    text = Text(" speed ", style="bold")
    text.append(f"{figures.count(rate)} examples/s", style="bold")
    text.append(f": {training.updates} updates in {figures.seconds(training.seconds)}")
    if peak:
        flops = training.flops * training.examples / training.batch / max(training.seconds, 1e-9)
        text.append(f", {figures.flops_rate(flops)}")
        if flops / peak > 0.0005:
            text.append(f" = {figures.percent(flops / peak)} of this machine's peak")
    text.append(f"; kernels ready in {figures.seconds(compiled)}")
    text.stylize("not bold", 7)
    return text


def show(console: Console, *parts: RenderableType | None) -> None:
    """Print what is there."""
    for part in parts:
        if part is not None:
            console.print(part)
