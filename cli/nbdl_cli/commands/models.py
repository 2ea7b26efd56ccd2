"""`nbdl models`: the demos, what each shows and what it needs."""

import click

from nbdl_cli.options import json_option


@click.command()
@json_option
def command(as_json):
    """List the demo models."""
    from nbdl.optimizers import optimizer
    from nbdl.zoo import demos
    from nbdl_cli import console
    from nbdl_datasets import info

    found = demos()
    if as_json:
        fields = (
            "name",
            "summary",
            "lesson",
            "dataset",
            "layers",
            "optimizer",
            "settings",
            "batch",
            "schedule",
            "epochs",
        )
        console.emit_json({"schema": "nbdl.models/1", "models": [{f: getattr(d, f) for f in fields} for d in found]})
        return
    from rich.table import Table

    table = Table(title="demo models: nbdl train NAME", title_justify="left", show_lines=False)
    table.add_column("name", style="bold", no_wrap=True)
    table.add_column("what", overflow="fold")
    table.add_column("layers", overflow="fold")
    table.add_column("update", overflow="fold")
    table.add_column("data", overflow="fold")
    for d in found:
        about = info(d.dataset)
        settings = optimizer(d.optimizer, **d.settings)
        there = d.dataset if about.present else f"{d.dataset} (downloads)"
        table.add_row(
            d.name, d.summary, d.layers, f"{settings.name} {settings.learning_rate:g}, batch {d.batch}", there
        )
    console.out().print(table)
