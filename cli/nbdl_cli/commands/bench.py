"""`nbdl bench`: every kernel on its own shapes, as a share of the machine's peak."""

import click

from nbdl_cli.options import json_option


@click.command()
@click.option("--threads", type=int, metavar="N", help="CPU threads  [default: all cores]")
@click.option("--batch-size", "batch", metavar="N|full", help="Examples a step  [default: the demo's own]")
@click.argument("demo", required=False, metavar="[DEMO]")
@json_option
def command(threads, batch, demo, as_json):
    """Time each kernel call of a training step, in place, on this machine.

    Against NumPy, PyTorch and JAX: python -m nbdl_benchmarks training (needs the extra nbdl[peers]).
    """
    from nbdl.kernels.peak import fma_peak
    from nbdl.training import set_threads
    from nbdl_cli import console
    from nbdl_cli.experiment import Wishes, environment, plan
    from nbdl_cli.profile import measure, profile_table

    threads = set_threads(threads)
    experiment = plan(Wishes(demo=demo, batch=batch))
    training = experiment.training(experiment.model())
    peak = fma_peak(threads)
    if as_json:
        rows = [
            {
                "layer": c.label,
                "kernel": c.kernel.name,
                "variant": c.variant,
                "seconds": s,
                "flops": c.flops,
                "bytes": c.bytes,
            }
            for c, s in measure(training)
        ]
        environment_ = environment(threads, experiment.backend)
        console.emit_json({"schema": "nbdl.bench/1", "peak_flops": peak, "calls": rows, "environment": environment_})
        return
    out = console.out()
    out.print(profile_table(training, peak, out.width))
