"""`nbdl reinforce`: a network learns by trial what to do in a world, and you watch."""

import click

from nbdl_cli.options import OPTIMIZERS, json_option


@click.command()
@click.argument("world", required=False, metavar="[WORLD]")
@click.option("--policy", "layers", metavar="NAME|LIST", help="dense, gru, lstm, or hidden layers: gru:32,64,tanh")
@click.option(
    "--method", type=click.Choice(["reinforce", "actor-critic"]), help="Returns as they were, or as foretold."
)
@click.option("--learning-rate", "--lr", "rate", type=float, metavar="RATE", help="Length of a step uphill.")
@click.option("--optimizer", type=OPTIMIZERS, help="How a gradient becomes an update  [default: adam]")
@click.option("--episodes", "copies", type=click.IntRange(1, 4096), metavar="N", help="Episodes an update.")
@click.option("--updates", type=click.IntRange(min=1), metavar="N", help="Stop after N updates, solved or not.")
@click.option("--target", type=float, metavar="RETURN", help="Mean return that counts as solved.")
@click.option("--discount", type=float, metavar="D", help="What a reward is worth a step later.")
@click.option("--trace", type=float, metavar="L", help="How far actor-critic trusts what really followed.")
@click.option("--entropy", type=float, metavar="B", help="Bonus for a policy that is not too sure.")
@click.option("--clip", type=float, metavar="NORM", help="Longest gradient allowed  [default: 1]")
@click.option("--schedule", metavar="NAME", help="constant, step:EVERY:FACTOR, exponential, cosine, warmup, one-cycle")
@click.option("--seed", type=click.IntRange(min=0), help="Seed of all chance  [default: 0]")
@click.option("--threads", type=int, metavar="N", help="CPU threads, for auto and parallel  [default: all cores]")
@click.option(
    "--backend",
    type=click.Choice(["auto", "numpy", "serial", "parallel"]),
    help="What runs the kernels  [default: serial, which small policies are fastest with]",
)
@click.option("--save", type=click.Path(dir_okay=False), metavar="FILE", help="Keep the policy, for nbdl play.")
@click.option("--resume", type=click.Path(), metavar="FILE", help="Go on with a saved run, bit for bit.")
@json_option
@click.option("--quiet", is_flag=True, help="Print only the result.")
def command(threads, save, resume, as_json, quiet, **wishes):
    """Let a network learn by trial: policy gradients, and what comes of them.

    WORLD is tmaze (when left out), cartpole, cartpole-masked, tmaze:LENGTH, or a world of Gymnasium with a few actions
    (pip install 'nbdl[gym]'), such as Acrobot-v1. NAME:masked hides its speeds, NAME:hide=1,3 any of its numbers.

    \b
    nbdl reinforce                           a maze that needs memory
    nbdl reinforce --policy dense            and a network without one
    nbdl reinforce cartpole --save pole.safetensors
    """
    from nbdl_cli.reinforcement import Run, Wishes

    Run(Wishes(**wishes), threads=threads, save=save, resume=resume, as_json=as_json, quiet=quiet).go()
