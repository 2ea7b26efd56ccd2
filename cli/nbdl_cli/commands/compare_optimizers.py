"""`nbdl compare-optimizers`: the fairest comparison of gradient descent that fits in a terminal."""

import click

from nbdl_cli.options import OPTIMIZERS, data_options, json_option, machine_options, model_options

EXAMPLE = """\
# nbdl compare-optimizers --spec FILE.toml
demo = "digits"            # or dataset = "my.csv" and label = "price"; layers, loss, clip, backend, seed
budget = { epochs = 10 }   # or updates, examples, seconds
seeds = 10                 # fresh ones, that are reported; tuning_seeds = 3 before them
target = "auto"            # or a score on validation, such as 0.95
# rates = [0.001, 0.01, 0.1, 1]    the grid for those without a learning_rate; timeout = 60 (seconds of a run)

[[contender]]              # a list stands for one contender each
method = "mini-batch"      # stochastic, mini-batch or batch
batch = [32, 256]
optimizer = ["sgd", "adam"]

[[contender]]
method = "batch"
optimizer = "momentum"
momentum = 0.95            # any setting of the optimizer
learning_rate = 0.3        # as given, not tuned
schedule = "cosine"
"""


def _example(context: click.Context, parameter: click.Parameter, value: bool) -> None:
    if value and not context.resilient_parsing:
        click.echo(EXAMPLE, nl=False)
        context.exit()


@click.command()
@click.argument("demo", required=False, metavar="[DEMO]")
@data_options
@model_options
@click.option("--methods", default="stochastic,mini-batch,batch", show_default=True, metavar="LIST")
@click.option("--batch-sizes", default="32", show_default=True, metavar="LIST", help="Mini-batch sizes.")
@click.option("--optimizer", type=OPTIMIZERS, multiple=True, help="May be repeated  [default: sgd]")
@click.option("--schedule", multiple=True, metavar="NAME", help="May be repeated  [default: constant]")
@click.option("--clip", type=float, metavar="NORM", help="Longest gradient allowed.")
@click.option("--rates", metavar="LIST", help="Grid of learning rates  [default: 1e-4 to 10 in half decades]")
@click.option("--no-tune", is_flag=True, help="Compare the rates that are given instead of tuning them.")
@click.option(
    "--budget", metavar="KIND=N", help="What is equal: epochs, updates, examples, seconds  [default: epochs=10]"
)
@click.option("--seeds", type=click.IntRange(1, 1000), metavar="N", help="Fresh seeds that are reported  [default: 10]")
@click.option("--tuning-seeds", type=click.IntRange(1, 1000), metavar="N", help="Seeds to tune on  [default: 3]")
@click.option("--quick", is_flag=True, help="5 seeds, and 5 epochs unless --budget says otherwise.")
@click.option("--target", default="auto", show_default=True, metavar="SCORE|auto", help="Validation score to reach.")
@click.option("--timeout", type=float, metavar="S", help="Give a run up after S seconds.")
@click.option("--spec", "spec_file", type=click.Path(), metavar="FILE.toml", help="Read all of the above from a file.")
@click.option(
    "--example", is_flag=True, is_eager=True, expose_value=False, callback=_example, help="Print such a file."
)
@click.option("--from", "from_file", type=click.Path(), metavar="FILE.json", help="Repeat an exported experiment.")
@click.option("--jobs", type=click.IntRange(1, 512), default=1, show_default=True, metavar="N", help="Runs at a time.")
@click.option("--executor", metavar="dask://HOST:PORT", help="Run on the workers of a Dask cluster.")
@click.option("--ledger", type=click.Path(dir_okay=False), metavar="FILE", help="Where finished runs are kept.")
@click.option("--fresh", is_flag=True, help="Forget what the ledger has.")
@click.option("--retry-failed", is_flag=True, help="Do runs anew that ended in an error or a timeout.")
@click.option("--export", "exports", type=click.Path(dir_okay=False), multiple=True, metavar="FILE",
              help="Write .csv, .json, .md, .svg or .html; may be repeated.")  # fmt: skip
@machine_options
@json_option
@click.pass_context
def command(
    context, spec_file, from_file, jobs, executor, threads, ledger, fresh, retry_failed, exports, as_json, **options
):
    """Compare methods and optimizers: tuned alike, from the same beginnings.

    Every contender's learning rate is tuned on the same grid by validation, and then run from fresh seeds that give all
    contenders the same split, first weights and shuffles. One epoch is one pass over the data for all of them, but n
    updates for stochastic and one for batch descent: the tables show every clock.

    Finished runs are kept: interrupted, the same command goes on. Exit codes: 0 fine, also where runs diverged; 130
    interrupted.

    \b
    nbdl compare-optimizers --quick                     the three methods on digits
    nbdl compare-optimizers --optimizer sgd --optimizer adam --batch-sizes 32,256
    nbdl compare-optimizers mnist-mlp --budget seconds=5 --jobs 4 --export r.html
    """
    if spec_file or from_file:
        name = "--spec" if spec_file else "--from"
        free = {"spec_file", "from_file", "jobs", "executor", "threads", "ledger", "fresh", "retry_failed", "exports"}
        given = [
            parameter.opts[0]
            for parameter in context.command.params
            if parameter.name not in free | {"as_json"}
            and context.get_parameter_source(parameter.name or "") is click.core.ParameterSource.COMMANDLINE
        ]
        if spec_file and from_file:
            given.append("--from")
        if given:
            raise click.UsageError(f"{name} says what to compare: leave out {', '.join(given)}.")
    if executor is not None and jobs > 1:
        raise click.UsageError(
            "--jobs are processes on this machine, --executor takes those of a cluster: leave one out."
        )

    from nbdl_cli.comparison.flow import Flow

    Flow(
        options,
        spec_file=spec_file,
        from_file=from_file,
        jobs=jobs,
        executor=executor,
        threads=threads,
        ledger=ledger,
        fresh=fresh,
        retry_failed=retry_failed,
        exports=exports,
        as_json=as_json,
    ).go()
