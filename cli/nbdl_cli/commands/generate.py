"""`nbdl generate`: a saved network writes, character by character."""

import sys

import click

from nbdl_cli.options import json_option


@click.command()
@click.argument("checkpoint", type=click.Path())
@click.option("--prompt", default="\n", metavar="TEXT", help="How the text begins  [default: an empty line]")
@click.option("--length", type=click.IntRange(min=0), default=400, show_default=True, help="Characters to write.")
@click.option(
    "--temperature", type=float, default=0.8, show_default=True, help="0 always takes the likeliest; above 1 is wild."
)
@click.option("--top-k", type=click.IntRange(min=1), metavar="K", help="Choose among the K likeliest  [default: all]")
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Seed of all chance.")
@json_option
def command(checkpoint, prompt, length, temperature, top_k, seed, as_json):
    """Let the network in CHECKPOINT, which learnt from a text, write more of it.

    \b
    nbdl train char-rnn --save names.safetensors
    nbdl generate names.safetensors --prompt "42 " --temperature 0
    """
    from nbdl import load_checkpoint
    from nbdl.generation import generate
    from nbdl_cli import console

    saved = load_checkpoint(checkpoint)
    characters = characters_of(checkpoint, saved)
    if prompt == "\n" and "\n" not in characters:
        prompt = characters[0]
    settings = {"temperature": temperature, "top_k": top_k, "seed": seed}
    written = generate(saved.model, characters, prompt, length, **settings)
    if as_json:
        document = {"schema": "nbdl.generate/1", "checkpoint": str(checkpoint), "prompt": prompt, **settings}
        console.emit_json({**document, "length": length, "text": "".join(written)})
        return
    out = console.out()
    if prompt.strip():
        out.print(shown(prompt, out.is_terminal), style="bold", end="", markup=False, soft_wrap=True)
    for character in written:
        sys.stdout.write(shown(character, out.is_terminal))
        sys.stdout.flush()
    sys.stdout.write("\n")


def characters_of(checkpoint: str, saved) -> list[str]:
    """The characters that a network was trained on; raises NbdlError for one that learnt something else than text."""
    from nbdl.errors import NbdlError

    data = saved.extra.get("experiment", {}).get("dataset", {})
    if data.get("kind") != "text":
        what = (
            f"learnt from {data['name']}, which is no text" if data.get("name") else "does not say what it learnt from"
        )
        raise NbdlError(
            f"the network in {checkpoint} {what}; train one that can write: nbdl train char-rnn --save FILE."
        )
    return data["classes"]


def shown(text: str, terminal: bool) -> str:
    """The text as a terminal may have it: codes that would move its cursor or its colours are dots."""
    return "".join(c if c.isprintable() or c in "\n\t" else "·" for c in text) if terminal else text
