"""`nbdl predict`: what a saved network says about examples it has not learnt from."""

from typing import Any

import click

from nbdl_cli.options import json_option


@click.command()
@click.argument("checkpoint", type=click.Path())
@click.argument("files", metavar="[FILE]...", nargs=-1, type=click.Path())
@click.option("--dataset", metavar="NAME|FILE", help="Other data than the network was trained on.")
@click.option("--label", metavar="COLUMN", help="Column of a .csv file that holds the truth.")
@click.option("--values", metavar="A,B,...", help="One example, typed in.")
@click.option("--index", type=int, multiple=True, metavar="N", help="Number of a test example; may be repeated.")
@click.option("--count", type=click.IntRange(1, 1000), default=6, show_default=True, help="Test examples to show.")
@json_option
def command(checkpoint, files, dataset, label, values, index, count, as_json):
    """Show what the network in CHECKPOINT says about test examples, and how sure it is.

    Or about FILEs of your own with one sample each: a picture (.pgm, .ppm; with Pillow .png and .jpg) of the size that the
    network knows, a sound (.wav), or numbers (.npy, .npz, .csv).
    """
    import numpy as np

    from nbdl import load_checkpoint, predict
    from nbdl.errors import NbdlError
    from nbdl_cli import console

    if files and (dataset or label or values is not None or index):
        raise click.UsageError("give files, or --values, or --dataset and --index: one of the three.")
    saved = load_checkpoint(checkpoint)
    about = saved.extra.get("experiment")
    if about is None:
        raise NbdlError(
            f"{checkpoint} was not written by `nbdl train --save` or `nbdl import`: it does not say what its inputs mean."
        )
    data = about["dataset"]
    if data["kind"] == "text":
        raise NbdlError(f"the network in {checkpoint} writes text: nbdl generate {checkpoint} --prompt TEXT")
    shape = saved.model.input_shape
    truth: Any = None
    lengths: Any = None
    if files:
        from nbdl_datasets.samples import read

        samples = [read(file, shape, kind=data["kind"], offset=data["offset"], scale=data["scale"]) for file in files]
        inputs, chosen = np.stack(samples), list(files)
    elif values is not None:
        try:
            numbers = np.array([float(value) for value in values.split(",")], np.float32)
        except ValueError:
            raise NbdlError(f"--values {values!r}: expected numbers with commas between them.") from None
        if numbers.size != np.prod(shape):
            raise NbdlError(f"--values holds {numbers.size} numbers; this network takes {int(np.prod(shape))}.")
        inputs, chosen = numbers.reshape(1, *shape), [0]
    else:
        from nbdl_datasets import load

        options = {"label": label} if label else {}
        if not (dataset or data["name"]):
            raise NbdlError(f"{checkpoint} was imported without data: give --dataset NAME or --values A,B,...")
        found = load(dataset or data["name"], seed=about["seed"], **options)
        if data["name"] is None:
            data = _completed(data, found)
        if plain(found.input_shape) != plain(shape):
            raise NbdlError(
                f"{found.name} has samples of shape {found.input_shape}; the network in {checkpoint} takes {shape}."
            )
        n = len(found.test)
        chosen = list(index) or list(range(min(count, n)))
        wrong = [i for i in chosen if not 0 <= i < n]
        if wrong:
            raise NbdlError(f"--index {wrong[0]}: the test examples are numbered 0 to {n - 1}.")
        picked = found.test.take(np.array(chosen, int))
        inputs, truth, lengths = picked.inputs.reshape(len(chosen), *shape), picked.targets, picked.lengths

    if data.get("lengths") and lengths is None:
        from nbdl_datasets.samples import steps_of

        lengths = np.array([steps_of(sample) for sample in inputs])
    outputs = predict(saved.model, inputs, saved.loss, offset=data["offset"], scale=data["scale"], lengths=lengths)
    names: Any = data["classes"] or None
    if saved.loss.classifies:
        count = saved.loss.probabilities(outputs[:1]).shape[1]
        names = names if names and len(names) == count else [str(k) for k in range(count)]
    document: dict[str, Any] = {"schema": "nbdl.predict/1", "checkpoint": str(checkpoint), "predictions": []}
    for row, number in enumerate(chosen):
        entry: dict[str, Any] = {"file": number} if files else {"index": number}
        if saved.loss.classifies:
            p = saved.loss.probabilities(outputs[row : row + 1])[0]
            entry |= {"prediction": int(p.argmax()), "class": names[int(p.argmax())], "probabilities": p.tolist()}
        else:
            entry |= {"prediction": outputs[row].tolist()}
        entry["truth"] = None if truth is None else truth[row].tolist()
        document["predictions"].append(entry)
    if as_json:
        console.emit_json(document)
        return
    _draw(console.out(), document["predictions"], inputs, data, names)


def plain(shape: tuple[int, ...]) -> tuple[int, ...]:
    """A shape without the axes of one: 1 x 28 x 28 is a picture of 28 x 28."""
    return tuple(size for size in shape if size != 1)


def _completed(data: dict[str, Any], found: Any) -> dict[str, Any]:
    """What an import without data left open, as these data have it; an offset or a scale that was given stays."""
    scaling = {} if (data["offset"], data["scale"]) != (0, 1) else {"offset": found.offset, "scale": found.scale}
    return {**data, **scaling, "kind": found.kind, "classes": list(found.classes)}


def _name(entry: dict[str, Any]) -> str:
    return entry["file"] if "file" in entry else f"example {entry['index']}"


def _values(values: list[float], most: int = 5) -> str:
    return ", ".join(f"{v:.4g}" for v in values[:most]) + (", ..." if len(values) > most else "")


def _draw(out, predictions, inputs, data, names):
    from rich.columns import Columns
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    from nbdl_cli.drawing import figures
    from nbdl_cli.drawing.image import Image
    from nbdl_cli.drawing.sample import PICTURED, picture

    if names is None:
        table = Table("example", "prediction", "truth")
        for entry in predictions:
            truth = "" if entry["truth"] is None else _values(entry["truth"])
            table.add_row(_name(entry), _values(entry["prediction"]), truth)
        out.print(table)
        return
    cards = []
    for entry, sample in zip(predictions, inputs, strict=True):
        p = entry["probabilities"]
        lines = Text()
        for k in sorted(range(len(p)), key=lambda k: -p[k])[:3]:
            lines.append(f"{names[k]:>10.10} {'█' * round(12 * p[k]):<12} {figures.percent(p[k])}\n")
        verdict = Text(f"{_name(entry)}: ")
        if entry["truth"] is None:
            verdict.append(names[entry["prediction"]], "bold")
        else:
            right = entry["truth"] == entry["prediction"]
            verdict.append("right" if right else f"wrong, it is {names[entry['truth']]}", "green" if right else "red")
        parts: list[Any] = [verdict]
        if data["kind"] in PICTURED:
            parts.append(Image(picture(sample, data["kind"])))
        cards.append(Group(*parts, lines))
    out.print(Columns(cards, padding=(0, 3)))
