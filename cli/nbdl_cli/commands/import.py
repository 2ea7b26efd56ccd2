"""`nbdl import`: the weights of a PyTorch network in a checkpoint of nbdl."""

from dataclasses import asdict
from typing import Any

import click

from nbdl_cli.options import LOSSES, json_option


@click.command()
@click.argument("file", type=click.Path())
@click.option("--layers", required=True, metavar="LIST", help="All layers, the last too: conv:8:3,batchnorm,relu,10")
@click.option("--shape", metavar="AxBxC", help="Shape of a sample, such as 1x28x28  [default: the data's]")
@click.option("--dataset", metavar="NAME", help="Data that the network is for; it is then tested on them.")
@click.option("--offset", type=float, help="The network takes (input - offset) * scale  [default: the data's]")
@click.option("--scale", type=float, help="See --offset.")
@click.option("--loss", type=LOSSES, help="What the outputs mean  [default: by the data]")
@click.option("--order", metavar="A,B,...", help="Modules in the network's order, where names leave that open.")
@click.option("--save", required=True, type=click.Path(dir_okay=False), metavar="CHECKPOINT", help="File to write.")
@json_option
def command(file, layers, shape, dataset, offset, scale, loss, order, save, as_json):
    """Read the state_dict of a PyTorch network from the safetensors FILE and write a checkpoint of nbdl.

    \b
    In Python:  safetensors.torch.save_file(model.state_dict(), "net.safetensors")
    Then:       nbdl import net.safetensors --layers conv:8:3,batchnorm,relu,pool,flatten,10 \\
                    --dataset mnist --save mnist.safetensors
                nbdl predict mnist.safetensors
    """
    from nbdl import Sequential, load_torch_weights, save_model
    from nbdl import loss as cost_named
    from nbdl.errors import NbdlError
    from nbdl.layers import parse
    from nbdl_cli import console
    from nbdl_cli.commands.predict import plain
    from nbdl_cli.experiment import usual_loss
    from nbdl_cli.fitting import flattened

    if shape is None and dataset is None:
        raise click.UsageError("say what a sample looks like: --shape 1x28x28, or --dataset NAME.")
    found = _load(dataset)
    sizes = _sizes(shape) if shape is not None else found.input_shape
    model = Sequential(flattened(parse(layers), sizes), sizes)
    names = [name.strip() for name in order.split(",")] if order is not None else None
    matches = load_torch_weights(model, file, names)
    cost = cost_named(loss or (usual_loss(found) if found is not None else "softmax_cross_entropy"))
    data = {
        "name": None,
        "input_shape": list(sizes),
        "classes": [],
        "features": [],
        "kind": "table",
        "task": "classification" if cost.classifies else "regression",
        "offset": 0.0,
        "scale": 1.0,
    }
    if found is not None:
        if plain(found.input_shape) != plain(sizes):
            raise NbdlError(f"{found.name} has samples of shape {found.input_shape}; --shape says {sizes}.")
        data |= {name: getattr(found, name) for name in ("name", "kind", "task", "offset", "scale")}
        data |= {name: list(getattr(found, name)) for name in ("classes", "features")}
    data |= {name: value for name, value in (("offset", offset), ("scale", scale)) if value is not None}
    result = _test(model, found, cost, data) if found is not None else None
    save_model(save, model, cost, {"experiment": {"demo": None, "imported": file, "dataset": data, "seed": 0}})

    if as_json:
        test = {"loss": result.loss, "accuracy": result.accuracy, "r2": result.r2} if result is not None else None
        document = {"schema": "nbdl.import/1", "file": file, "checkpoint": save, "parameters": model.parameter_count}
        console.emit_json({**document, "layers": [asdict(match) for match in matches], "test": test})
        return
    _draw(console.out(), model, matches, result, found, file, save)


def _load(name: str | None) -> Any:
    if name is None:
        return None
    from nbdl_cli import console
    from nbdl_cli.download import progress
    from nbdl_datasets import load

    with progress(console.err()) as report:
        return load(name, progress=report)


def _sizes(text: str) -> tuple[int, ...]:
    parts = text.lower().split("x")
    if not all(part.isdigit() and int(part) > 0 for part in parts):
        raise click.UsageError(f"--shape {text!r}: expected whole numbers with x between them, such as 1x28x28 or 784.")
    return tuple(map(int, parts))


def _test(model, found, cost, data):
    from nbdl import Data, Evaluation

    if not len(found.test):
        return None
    inputs = found.test.inputs.reshape(len(found.test), *model.input_shape)
    return Evaluation(
        model, Data(inputs, found.test.targets, data["offset"], data["scale"], found.test.lengths), cost
    ).run()


def _draw(out, model, matches, result, found, file, save):
    from rich.table import Table
    from rich.text import Text

    from nbdl_cli.drawing import figures
    from nbdl_cli.report import describe_layer, shape

    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    columns = (("layer", "left"), ("output", "right"), ("from", "left"), ("tensors", "left"))
    shown = len(columns) if out.width >= 60 else 3
    for name, justify in columns[:shown]:
        table.add_column(name, justify=justify, overflow="fold")  # type: ignore[arg-type]
    table.add_row(*("input", shape(model.input_shape), "", "")[:shown])
    sources = {match.layer: match for match in matches}
    for place in model.places:
        match = sources.get(place.name)
        tensors = ", ".join(f"{name} {shape(s)}" for name, s in match.shapes.items()) if match else ""
        source = (match.module if match else "") or "–"
        table.add_row(*(describe_layer(place.layer), shape(place.out_shape), source, tensors)[:shown])
    out.print(table)
    out.print(f" {figures.count(model.parameter_count)} parameters from {file}", soft_wrap=True, highlight=False)
    if result is not None:
        good = f"{figures.percent(result.accuracy)} right" if result.accuracy is not None else f"R² {result.r2:.3f}"
        n = len(found.test)
        out.print(Text.assemble(" test ", (good, "bold green"), f" on {n} examples of {found.name}"))
    out.print(f" saved {save}; try: nbdl predict {save}", style="dim", soft_wrap=True)
