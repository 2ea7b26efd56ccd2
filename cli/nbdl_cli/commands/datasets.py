"""`nbdl datasets`: what there is to learn from."""

import click

from nbdl_cli.options import json_option


@click.group()
def command():
    """List, describe, show and download data sets."""


def _data(info):
    from dataclasses import asdict

    return asdict(info)


@command.command("list")
@json_option
def list_(as_json):
    """All data sets that have a name."""
    from nbdl_cli import console
    from nbdl_datasets import info, names

    found = [info(name) for name in names()]
    if as_json:
        console.emit_json({"schema": "nbdl.datasets/1", "datasets": [_data(one) for one in found]})
        return
    from rich.padding import Padding
    from rich.table import Table
    from rich.text import Text

    out = console.out()
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold", pad_edge=False)
    table.add_column("data set", style="bold cyan", no_wrap=out.width >= 60, overflow="fold")
    table.add_column("what", overflow="fold")
    for one in found:
        shape = " × ".join(map(str, one.input_shape))
        here = one.source if one.path is None else "here" if one.present else "not here yet"
        samples = "" if one.samples is None else f"{one.samples:,} of "
        table.add_row(one.name, Text(one.summary) + Text(f" [{samples}{shape}, {here}]", "dim"))
    out.print(Padding(table, (0, 0, 0, 1)))
    out.print(" nbdl train --dataset NAME learns from one; your own may be .csv, .npz, idx or .txt files.")


@command.command("info")
@click.argument("name")
@json_option
def info_(name, as_json):
    """What is known of a data set."""
    from nbdl_cli import console
    from nbdl_datasets import info

    one = info(name)
    if as_json:
        console.emit_json({"schema": "nbdl.dataset/1", **_data(one)})
        return
    from rich.table import Table

    table = Table.grid(padding=(0, 2))
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    for key, value in _data(one).items():
        text = " × ".join(map(str, value)) if isinstance(value, tuple) else "yes" if value is True else value
        table.add_row(key.replace("_", " "), str(text if text not in (None, False) else "–"))
    console.out().print(table)


@command.command("show")
@click.argument("name")
@click.option("--count", type=click.IntRange(1, 200), default=12, show_default=True, help="Samples to draw.")
@click.option("--label", metavar="COLUMN", help="Column of a .csv file that is the label.")
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True)
@json_option
def show(name, count, label, seed, as_json):
    """Draw some samples. NAME may be a file of your own."""
    from nbdl_cli import console
    from nbdl_cli.download import progress
    from nbdl_datasets import load

    out = console.out()
    with progress(None if as_json else console.err()) as report:
        data = load(name, seed=seed, progress=report, **({"label": label} if label else {}))
    n = len(data.train)
    chosen = [i * n // min(count, n) for i in range(min(count, n))]  # from all over: files may be sorted by class
    inputs, targets = data.train.inputs[chosen], data.train.targets[chosen]
    if as_json:
        shown = {"schema": "nbdl.samples/1", "name": data.name, "classes": data.classes}
        console.emit_json({**shown, "inputs": inputs, "targets": targets})
        return
    out.print(f" {data.name}: {data.summary}; {len(data.train)} + {len(data.validation)} + {len(data.test)} samples")
    from nbdl_cli.drawing.sample import PICTURED, across, picture

    if data.kind == "text":
        from nbdl_cli.commands.generate import shown as printable

        beginning = "".join(data.classes[k] for k in data.train.inputs[: 2 * count].reshape(-1))
        for line in beginning.split("\n")[:count]:
            out.print(f"   {printable(line, True)}", markup=False)
        return
    if data.kind in PICTURED and data.classes:
        from nbdl_cli.drawing.image import ImageRow

        pictures, names = [picture(i, data.kind) for i in inputs], [data.classes[t] for t in targets]
        out.print(ImageRow(pictures, names, across=across(data.kind)))
        return
    from nbdl_cli.drawing.plot import LinePlot, Series

    x, y = data.train.inputs, data.train.targets
    if data.kind == "points":
        parts = [x[y == number] for number in range(data.outputs)]
        series = [Series(c, p[:, 0], p[:, 1], dots=True) for c, p in zip(data.classes, parts, strict=True)]
        out.print(LinePlot(series, title="training samples", x_label=data.features[0] if data.features else "x"))
    elif data.kind == "sound":
        for sound, target in zip(inputs[:3], targets, strict=False):
            time = range(sound.shape[1])
            out.print(
                LinePlot([Series(data.classes[target], time, sound[0])], title=data.classes[target], x_label="sample")
            )
    elif data.kind == "series":
        ends = range(min(len(y), 300))
        out.print(LinePlot([Series(data.features[0], ends, y[: len(ends), 0])], title="its beginning", x_label="step"))
    elif data.kind == "sequence":
        for row, target in zip(inputs[:3], targets, strict=False):
            title = ", ".join(f"{v:.3g}" for v in target)
            steps = range(len(row))
            series = [Series(name, steps, row[:, k]) for k, name in enumerate(data.features)]
            out.print(LinePlot(series, title=f"answer {title}", x_label="step", height=8))
    elif data.kind == "curve":
        out.print(LinePlot([Series("samples", x[:, 0], y[:, 0], dots=True)], title="training samples"))
    else:
        _table(out, data, inputs, targets)


def _table(out, data, inputs, targets):
    from rich.table import Table

    width = min(inputs.reshape(len(inputs), -1).shape[1], max(1, out.width // 12 - 1))
    names = data.features or tuple(f"{i}" for i in range(inputs.reshape(len(inputs), -1).shape[1]))
    table = Table()
    for feature in names[:width]:
        table.add_column(feature, justify="right", overflow="fold")
    table.add_column("…" if len(names) > width else "")
    table.add_column("label", overflow="fold")
    for row, target in zip(inputs.reshape(len(inputs), -1), targets, strict=True):
        label = data.classes[target] if data.classes else ", ".join(f"{v:.4g}" for v in target)
        table.add_row(*(f"{v:.3g}" for v in row[:width]), "", label)
    out.print(table)


@command.command("download")
@click.argument("name")
@json_option
def download(name, as_json):
    """Download a data set now; what was cut off before goes on where it stopped."""
    from nbdl_cli import console
    from nbdl_cli.download import progress
    from nbdl_datasets import info, load

    with progress(None if as_json else console.err()) as report:
        load(name, progress=report)
    one = info(name)
    if as_json:
        console.emit_json({"schema": "nbdl.dataset/1", **_data(one)})
    else:
        console.out().print(f" {name} is here" + (f": {one.path}" if one.path else " (nothing to download)"))
