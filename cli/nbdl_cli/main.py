"""The entry point: a group of commands that are imported only when they are called, so that `nbdl --help` is instant."""

import os
import sys
from contextlib import suppress
from difflib import get_close_matches
from importlib import import_module

import click

from nbdl import __version__
from nbdl_cli.ctrl_c import CtrlC

COMMANDS = {
    "train": "Train a network and watch it learn.",
    "compare-optimizers": "Methods and optimizers side by side, tuned alike.",
    "find-lr": "Which learning rate? Sweep it and see.",
    "landscape": "The cost as a landscape, and the paths down it.",
    "gradient-flow": "How far back in time gradients reach; clipping.",
    "predict": "What a saved network says about new examples.",
    "generate": "Let a network that learnt from a text write more of it.",
    "forecast": "How does a series of your own go on?",
    "inspect": "Look into a network: filters, maps, pooling, windows.",
    "import": "Weights of a PyTorch network, from safetensors.",
    "reinforce": "A policy that learns by trial: a maze, a pole on a cart.",
    "play": "Watch a policy act in its world.",
    "models": "List the demo models.",
    "explain": "Every kernel call of a training step, with its cost.",
    "gradcheck": "Hold backpropagation against measured slopes.",
    "convolve": "One small convolution by hand, window by window.",
    "datasets": "List, show and download data.",
    "bench": "Time every kernel of a training step on this machine.",
    "doctor": "What this machine has: cores, SIMD, GPU, peak, folders.",
}

EPILOG = """\b
Exit codes: 0 fine, 1 an error (said on stderr), 2 wrong usage, 3 training
diverged, 130 interrupted. NBDL_DEBUG=1 shows where an error came from.
\b
Start here:  nbdl train"""


class Commands(click.Group):
    """Knows its commands by name; imports the module of one when it is asked for."""

    def list_commands(self, context: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, context: click.Context, name: str) -> click.Command | None:
        if name not in COMMANDS:
            return None
        return import_module(f"nbdl_cli.commands.{name.replace('-', '_')}").command

    def format_commands(self, context: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))

    def resolve_command(self, context: click.Context, arguments: list[str]):
        try:
            return super().resolve_command(context, arguments)
        except click.UsageError as error:
            near = get_close_matches(arguments[0], COMMANDS, n=1)
            hint = f" Did you mean {near[0]}?" if near else " See nbdl --help."
            raise click.UsageError(f"No such command {arguments[0]!r}.{hint}", context) from error


@click.group(cls=Commands, epilog=EPILOG, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="nbdl")
def group() -> None:
    """Deep learning that you can read, run and trust: networks that learn in your terminal, timed honestly."""


def main() -> None:
    """Run the command line; no traceback and no warning ever reaches a user."""
    debug = bool(os.environ.get("NBDL_DEBUG"))
    if not debug:
        import warnings

        warnings.simplefilter("ignore")
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:  # closed by the caller (`>&-`)
            setattr(sys, name, open(os.devnull, "w"))  # noqa: SIM115
    ctrl_c = CtrlC()
    ctrl_c.listen()
    try:
        code = _invoke()
    except (click.exceptions.Abort, KeyboardInterrupt):
        ctrl_c.ignore()
        code = _say("interrupted", 130)
    except click.ClickException as error:
        code = error.exit_code
        with suppress(BrokenPipeError):
            error.show()
    except BrokenPipeError:
        # The reader has seen enough (`| head`): point stdout elsewhere, so that closing it says nothing.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 0
    except MemoryError:
        code = _say("error: there is not enough memory for this; use a smaller network or batch.", 1)
    except Exception as error:
        if ctrl_c.pressed:  # what was cut off fails in its own words
            code = _say("interrupted", 130)
        elif debug:
            raise
        else:
            code = _say(_explain(error), 1)
    ctrl_c.ignore()
    sys.exit(code)


def _invoke() -> int:
    """Run the command to its last written character. `group.main` would do, but it ends a closed pipe with code 1."""
    if "_NBDL_COMPLETE" in os.environ:
        from click.shell_completion import shell_complete

        return shell_complete(group, {}, "nbdl", "_NBDL_COMPLETE", os.environ["_NBDL_COMPLETE"])
    code = 0
    try:
        with group.make_context("nbdl", sys.argv[1:]) as context:
            group.invoke(context)
    except click.exceptions.Exit as end:
        code = end.exit_code
    sys.stdout.flush()
    return code


def _explain(error: Exception) -> str:
    from nbdl.errors import NbdlError

    if isinstance(error, NbdlError):
        return f"error: {error}"
    if isinstance(error, OSError):
        where = f" ({error.filename})" if error.filename else ""
        return f"error: {error.strerror or error}{where}"
    return (
        f"error: nbdl made a mistake, {type(error).__name__}: {error}. "
        "Run it again with NBDL_DEBUG=1 and report what it prints."
    )


def _say(message: str, code: int) -> int:
    """One paragraph on stderr, red on a terminal that has colours."""
    from rich.text import Text

    from nbdl_cli import console

    head, colon, rest = message.partition(":")
    text = Text.assemble((head + colon, "bold red"), rest) if head == "error" else Text(message)
    err = console.err()
    with suppress(BrokenPipeError):
        err.print(text, soft_wrap=not err.is_terminal)
    return code


if __name__ == "__main__":
    main()
