"""`nbdl play`: a policy acts in its world while you watch."""

import click

from nbdl_cli.options import json_option


@click.command()
@click.argument("checkpoint", type=click.Path())
@click.option("--episodes", type=click.IntRange(1, 1000), default=3, show_default=True, metavar="N", help="How many.")
@click.option(
    "--delay", type=click.FloatRange(0, 10), metavar="S", help="Seconds between two steps  [default: by the world]"
)
@click.option("--world", metavar="WORLD", help="Another world that shows and takes the same, such as tmaze:60.")
@click.option("--by-chance", is_flag=True, help="Draw actions from the policy instead of taking the likeliest.")
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Seed of all chance.")
@json_option
def command(checkpoint, episodes, delay, world, by_chance, seed, as_json):
    """Watch the policy in CHECKPOINT, which `nbdl reinforce --save` wrote, act in its world.

    The bars say how likely each action is to the policy. In a T-maze the last line asks at every step which way it would
    turn if it stood at the junction now: what it remembers of the cue.
    """
    from nbdl_cli.play import play

    play(checkpoint, episodes, delay, world, not by_chance, seed, as_json)
