"""One `nbdl reinforce` from start to end: settle, compile, learn, save, test, report."""

import time
from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, Any

import click
from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.progress import BarColumn, Progress, TextColumn
from rich.table import Table
from rich.text import Text

from nbdl.errors import NbdlError
from nbdl_cli.compiling import compiling
from nbdl_cli.drawing import figures
from nbdl_cli.drawing.plot import LinePlot, Series
from nbdl_cli.experiment import environment as machine
from nbdl_cli.interrupt import Interruptible
from nbdl_cli.places import check_place

if TYPE_CHECKING:
    from nbdl.checkpoint import Checkpoint
    from nbdl.reinforcement import Environment
    from nbdl.reinforcement.learning import Update
    from nbdl.reinforcement.rollout import Episodes

SCHEMA = "nbdl.reinforce/1"
SAVE_EVERY = 10.0  # seconds between two saves of a long run
TESTED = 100  # episodes at the end
LINES = 20  # updates printed of a run that uses up its budget


@dataclass(frozen=True)
class Wishes:
    """The options that a user gave; None means: as the demo has it."""

    world: str | None = None
    layers: str | None = None
    method: str | None = None
    rate: float | None = None
    optimizer: str | None = None
    copies: int | None = None
    updates: int | None = None
    target: float | None = None
    discount: float | None = None
    trace: float | None = None
    entropy: float | None = None
    clip: float | None = None
    schedule: str | None = None
    seed: int | None = None
    backend: str | None = None


class Run:
    """The state of one command; `go` does everything."""

    def __init__(self, wishes: Wishes, *, threads, save: str | None, resume: str | None, as_json: bool, quiet: bool):
        from nbdl_cli import console

        self.wishes, self.save, self.resume, self._threads = wishes, save, resume, threads
        self.as_json, self.talks, self.quiet = as_json, not (as_json or quiet), quiet
        self.out, self.err = console.out(), console.err()

    def go(self) -> None:
        from nbdl.schedules import schedule
        from nbdl.training import Diverged, set_threads

        check_place("--save", self.save)
        checkpoint = self._read_checkpoint()
        self.threads = set_threads(self._threads)
        schedule(self.wishes.schedule or "constant", 1)
        self._prepare(checkpoint)
        diverged = None
        with Interruptible() as interrupt:
            try:
                self._learn(interrupt)
            except Diverged as error:
                diverged = error
        if interrupt.asked:
            self._stop_for_interrupt()
        if diverged is not None:
            self._report_diverged(diverged)
        if self.save:
            self._save()
        self._report()

    # -- before ------------------------------------------------------------------------------------------------------

    def _read_checkpoint(self) -> "Checkpoint | None":
        if not self.resume:
            return None
        from nbdl.checkpoint import load_checkpoint

        checkpoint = load_checkpoint(self.resume)
        if "reinforcement" not in checkpoint.extra:
            raise NbdlError(f"{self.resume} was not written by `nbdl reinforce --save`, so it cannot be resumed here.")
        kept = Wishes(**checkpoint.extra["reinforcement"]["wishes"])
        free = ("updates", "target", "backend")
        changed = [
            field.name
            for field in fields(Wishes)
            if field.name not in free and getattr(self.wishes, field.name) not in (None, getattr(kept, field.name))
        ]
        if changed:
            raise NbdlError(
                f"a resumed run keeps its settings: leave out {', '.join(changed)}, or start anew without --resume."
            )
        given = {name: value for name in free if (value := getattr(self.wishes, name)) is not None}
        self.wishes = Wishes(**{**asdict(kept), **given})
        return checkpoint

    def _prepare(self, checkpoint: "Checkpoint | None") -> None:
        from nbdl.kernel import compilations
        from nbdl.optimizers import optimizer
        from nbdl.reinforcement import environment
        from nbdl.reinforcement.demos import trial
        from nbdl.reinforcement.learning import Learning
        from nbdl.reinforcement.policy import policy

        def settled(wish: Any, usual: Any) -> Any:
            return usual if wish is None else wish

        w = self.wishes
        self.trial = t = trial(w.world or "tmaze")
        world = environment(t.environment, settled(w.copies, t.copies))
        self.seed, self.layers = settled(w.seed, 0), w.layers or t.layers
        self.model = policy(world, self.layers, seed=self.seed)
        if self.talks:
            self.out.print(self._header(world))
        start, first = time.perf_counter(), len(compilations)
        with compiling(self.err, self.talks) as announce:
            self.learning = Learning(
                self.model,
                world,
                optimizer(w.optimizer or "adam", learning_rate=settled(w.rate, t.learning_rate)),
                method=w.method or t.method,
                updates=settled(w.updates, t.updates),
                discount=settled(w.discount, t.discount),
                trace=settled(w.trace, t.trace),
                entropy=settled(w.entropy, t.entropy),
                clip=settled(w.clip, 1.0),
                schedule=w.schedule or "constant",
                target=settled(w.target, settled(t.target, world.target)),
                seed=self.seed,
                backend=w.backend or "serial",
                announce=announce,
            )
        self.compile_seconds = time.perf_counter() - start
        if checkpoint is not None:
            self.learning.restore(checkpoint)
        if self.talks:
            from nbdl_cli import report

            compiled = sum(not c.cached for c in compilations[first:])
            if compiled:
                self.err.print(
                    f" compiled {compiled} kernels for this processor in {self.compile_seconds:.1f} s; kept for the "
                    "next time",
                    style="dim",
                )
            self.out.print(report.model_table(self.model, self.learning.training))
            if checkpoint is not None:
                self.out.print(f" resumed after {self.learning.training.updates} updates", style="dim")

    def _header(self, world: "Environment") -> RenderableType:
        """Which world it is, what the policy sees and may do, and how it learns."""
        w, t = self.wishes, self.trial
        rows = Table.grid(padding=(0, 2))
        rows.add_column(style="dim", no_wrap=True)
        rows.add_column(overflow="fold")
        rows.add_row("world", f"{world.name}: {t.summary}")
        rows.add_row("sees", ", ".join(world.signals) if len(world.signals) <= 12 else f"{len(world.signals)} numbers")
        rows.add_row("does", ", ".join(world.actions) if len(world.actions) <= 12 else f"one of {len(world.actions)}")
        says = "REINFORCE with a baseline" if (w.method or t.method) == "reinforce" else "actor-critic"
        rows.add_row("method", f"{says}, {world.copies} whole episodes of {world.most_steps} steps at most an update")
        rows.add_row("update", f"{w.optimizer or 'adam'}, learning rate {w.rate or t.learning_rate:g}")
        lesson: list[RenderableType] = [Text(t.lesson, style="italic"), Text()] if t.lesson else []
        return Panel(Group(*lesson, rows), title=f"nbdl reinforce {t.name}", title_align="left", border_style="cyan")

    # -- during ------------------------------------------------------------------------------------------------------

    def _learn(self, interrupt: Interruptible) -> None:
        saved = time.monotonic()
        most = self.learning.training.budget.updates or 1
        every = -(-most // LINES)
        live = self.talks and self.out.is_terminal and not self.out.is_dumb_terminal
        with Progress(
            TextColumn(" {task.description}"),
            BarColumn(bar_width=None if self.out.width < 60 else 30),
            TextColumn("{task.completed}/{task.total} updates"),
            console=self.out,
            transient=True,
            disable=not live,
        ) as progress:
            task = progress.add_task("learning", total=most)
            for update in self.learning.updates():
                progress.update(task, completed=update.update)
                ends = update.update >= most or self.learning.solved
                if self.talks and (update.update == 1 or update.update % every == 0 or ends):
                    progress.console.print(self._line(update))
                if self.save and time.monotonic() - saved > SAVE_EVERY:
                    self._save()
                    saved = time.monotonic()
                if interrupt.asked:
                    return

    def _line(self, update: "Update") -> str:
        width = self.out.width
        parts = [f" {'update ' if width >= 46 else ''}{update.update:>4}", f"return {update.mean_return:7.2f}"]
        if update.right is not None:
            parts.append(f"right {figures.percent(update.right):>7}")
        if width >= 60:
            parts.append(f"{update.mean_length:6.1f} steps")
        if width >= 76:
            parts.append(f"{update.episodes:>7} episodes")
        if width >= 88:
            parts.append(f"{figures.seconds(update.acting_seconds + update.learning_seconds):>9}")
        return "  ".join(parts)

    # -- after -------------------------------------------------------------------------------------------------------

    def _save(self) -> None:
        from nbdl.checkpoint import save_checkpoint

        assert self.save
        about = {**self.learning.record, "policy": self.layers, "wishes": asdict(self.wishes)}
        save_checkpoint(self.save, self.learning.training, {"reinforcement": about})

    def _stop_for_interrupt(self) -> None:
        done = f"after {self.learning.training.updates} updates"
        if self.save:
            self._save()
            again = f"nbdl reinforce --resume {self.save} --save {self.save}"
            self.err.print(f"interrupted {done}; saved to {self.save}. Go on with: {again}", soft_wrap=True)
        else:
            self.err.print(f"interrupted {done}; nothing was saved (--save FILE would have).", soft_wrap=True)
        raise click.exceptions.Exit(130)

    def _report_diverged(self, error) -> None:
        if self.as_json:
            from nbdl_cli.console import emit_json

            emit_json({**self._document(None), "diverged": {"kind": error.kind, "update": error.update}})
        self.err.print(f"[bold red]diverged[/] {error}", soft_wrap=True)
        raise click.exceptions.Exit(3)

    def _report(self) -> None:
        from nbdl.reinforcement import environment
        from nbdl.reinforcement.rollout import evaluate

        world = environment(self.learning.environment.name, TESTED)
        tested = evaluate(self.model, world, seed=self.seed)
        world.close()
        if self.as_json:
            from nbdl_cli.console import emit_json

            emit_json(self._document(tested))
            return
        if not self.quiet:
            if len(self.learning.history) > 1:
                self.out.print(self._curve())
            self.out.print(self._ending())
        self.out.print(result_line(tested))
        if not self.quiet:
            self.out.print(self._speed())
            if self.save:
                self.out.print(f" saved {self.save}; watch it: nbdl play {self.save}", style="dim", soft_wrap=True)

    def _curve(self) -> RenderableType:
        history = self.learning.history
        episodes = [update.episodes for update in history]
        if history[0].right is not None:
            right = Series("share of right turns", episodes, [update.right for update in history])
            return LinePlot([right], title="right turns", x_label="episodes", height=10)
        brought = Series("mean return", episodes, [update.mean_return for update in history])
        return LinePlot([brought], title="mean return", x_label="episodes", height=10)

    def _ending(self) -> Text:
        learning = self.learning
        last, target = learning.history[-1] if learning.history else None, learning.target
        if last is None:
            return Text(" nothing was learnt")
        after = (
            f"after {last.update} updates, {figures.count(last.episodes)} episodes, {figures.count(last.steps)} steps"
        )
        if learning.solved:
            return Text.assemble((" solved", "bold green"), f" {after}: a mean return of {target:g} or more")
        if target is None:
            return Text(f" stopped {after}")
        return Text.assemble((" not solved", "bold"), f" {after}: solved is a mean return of {target:g}")

    def _speed(self) -> Text:
        learning = self.learning
        last = learning.history[-1] if learning.history else None
        if last is None:
            return Text("")
        seconds = last.acting_seconds + last.learning_seconds
        text = Text(" speed ", style="bold")
        text.append(
            f"{figures.count(last.steps / max(seconds, 1e-9))} steps/s: {figures.seconds(last.acting_seconds)} acting, "
            f"{figures.seconds(last.learning_seconds)} learning; kernels ready in {figures.seconds(self.compile_seconds)}",
            style="not bold",
        )
        return text

    def _document(self, tested: "Episodes | None") -> dict[str, Any]:
        from nbdl.layers import describe
        from nbdl.optimizers import describe as describe_optimizer

        learning, training = self.learning, self.learning.training
        record = learning.record
        history = record.pop("history")
        return {
            "schema": SCHEMA,
            "experiment": {
                **record,
                "world": self.trial.name,
                "policy": self.layers,
                "layers": [describe(layer) for layer in self.model.layers],
                "loss": training.loss.name,
                "optimizer": describe_optimizer(training.optimizer),
                "clip": training.clip,
                "schedule": training.schedule,
                "seed": self.seed,
            },
            "parameters": self.model.parameter_count,
            "updates": history,
            "solved": learning.solved,
            "test": None if tested is None else summary(tested),
            "compile_seconds": self.compile_seconds,
            "environment": machine(self.threads, self.wishes.backend or "serial"),
            "diverged": None,
        }


def summary(episodes: "Episodes") -> dict[str, Any]:
    """What some episodes brought, as plain data."""
    returns = episodes.returns
    return {
        "episodes": len(returns),
        "mean_return": float(returns.mean()),
        "lowest_return": float(returns.min()),
        "highest_return": float(returns.max()),
        "mean_length": float(episodes.lengths.mean()),
        "right": episodes.share_right,
    }


def result_line(tested: "Episodes") -> Text:
    """The outcome in one line."""
    about = summary(tested)
    text = Text(" test  ")
    spread = f"{about['lowest_return']:.4g} to {about['highest_return']:.4g}"
    if about["right"] is not None:
        text.append(f"{figures.percent(about['right'])} right", style="bold green")
        text.append(f"  ({round(about['right'] * about['episodes'])} of {about['episodes']} new episodes), ")
        text.append(f"mean return {about['mean_return']:.3g}")
    else:
        text.append(f"mean return {about['mean_return']:.4g}", style="bold green")
        text.append(f"  ({spread}) over {about['episodes']} new episodes, the likeliest action taken each time")
    return text
