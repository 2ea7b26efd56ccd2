"""`nbdl models`: the demos, what each shows and what it needs."""

import click

from nbdl_cli.options import json_option


@click.command()
@json_option
def command(as_json):
    """List the demo models."""
    from dataclasses import asdict

    from nbdl.reinforcement.demos import TRIALS
    from nbdl.zoo import demos
    from nbdl_cli import console
    from nbdl_datasets import info

    found = [(demo, info(demo.dataset)) for demo in demos()]
    if as_json:
        models = [{**asdict(demo), "present": about.present} for demo, about in found]
        trials = [asdict(trial) for trial in TRIALS.values()]
        console.emit_json({"schema": "nbdl.models/1", "models": models, "trials": trials})
        return
    from rich.padding import Padding
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold", pad_edge=False)
    table.add_column("demo", style="bold cyan", no_wrap=True)
    table.add_column("what it shows", overflow="fold")
    for demo, about in found:
        data = Text(f" [{demo.dataset}{'' if about.present else ', downloads'}]", "dim")
        table.add_row(demo.name, Text(demo.summary) + data)
    for trial in TRIALS.values():
        table.add_row(trial.name, Text(trial.summary) + Text(" [learnt by trial]", "dim"))
    out = console.out()
    out.print(Padding(table, (0, 0, 0, 1)))
    out.print(" nbdl train DEMO (nbdl reinforce DEMO, by trial) trains one; nbdl explain DEMO shows its layers.")
