"""One `nbdl forecast` from start to end: read, train, test against the plain forecasts, look ahead."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import numpy as np
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from nbdl.forecasting import Forecasting
from nbdl_cli import console

if TYPE_CHECKING:
    from nbdl_datasets.series import Series

SCHEMA = "nbdl.forecast/1"
PATIENCE = 25  # epochs without improvement
HORIZON, STEPS = 12, 24  # where there is no season
NAMES = {"network": "network", "naive": "naive", "seasonal_naive": "seasonal naive"}


class Forecast:
    """The state of one command; `go` does everything."""

    def __init__(
        self, *, file, column, date, gaps, horizon, season, steps, layers, epochs, rate, seed, threads, as_json
    ):
        self.place = Path(file), column, date, gaps
        self.horizon, self.season, self.steps = horizon, season, steps
        self.layers, self.epochs, self.rate, self.seed, self.threads = layers, epochs, rate, seed, threads
        self.as_json, self.out, self.err = as_json, console.out(), console.err()

    def go(self) -> None:
        from nbdl.training import set_threads
        from nbdl_datasets.series import read

        self.series = read(*self.place)
        self.problem = self._problem(self.series)
        self.threads = set_threads(self.threads)
        if not self.as_json:
            self.out.print(self._header())
        self._train()
        self._test()
        if self.as_json:
            console.emit_json(self._document())
        else:
            self._draw()

    def _problem(self, series: "Series") -> Forecasting:
        """Window, horizon and season as asked for, or as the dates suggest and the length allows."""
        n = len(series.values)
        season = self.season
        if season is None:
            season = series.season if n >= 6 * series.season else 1
        seasonal = season > 1
        horizon, steps = self.horizon, self.steps
        if horizon is None:
            horizon = season if seasonal else min(HORIZON, max(1, n // 12))
        if steps is None:
            steps = max(season, min(STEPS, n // 6)) if seasonal else min(STEPS, max(2, n // 6))
        return Forecasting(series.values, steps, horizon, season)

    def _train(self) -> None:
        from nbdl import Adam, Budget, Diverged, EarlyStopping, Evaluation, Sequential, Training, loss
        from nbdl.history import History
        from nbdl.layers import Dense, parse
        from nbdl_cli.fitting import flattened, handed_on
        from nbdl_cli.interrupt import Interruptible

        p, cost = self.problem, loss("mean_squared_error")
        data, checked = p.data("train"), p.data("validation")
        layers = flattened(handed_on([*parse(self.layers), Dense(p.horizon)]), (p.steps, 2))
        self.model = Sequential(layers, (p.steps, 2), seed=self.seed)
        training = Training(
            self.model, data, cost, Adam(self.rate), batch=min(32, len(data)), budget=Budget(epochs=self.epochs),
            clip=1.0, seed=self.seed,
        )  # fmt: skip
        validation = Evaluation(self.model, checked, cost)
        stopping, history = EarlyStopping(PATIENCE), History()
        with Interruptible() as interrupt, self._progress() as tell:
            try:
                for epoch in history.record(training, validation, lambda step: interrupt.asked):
                    tell(epoch.epoch)
                    if stopping.stops(-(epoch.validation_loss or 0.0), self.model):
                        break
            except Diverged as error:
                self.err.print(f"[bold red]diverged[/] {error}", soft_wrap=True)
                raise click.exceptions.Exit(3) from None
        if interrupt.asked:
            raise click.exceptions.Abort
        stopping.restore(self.model)
        self.trained, self.seconds = history.epochs, training.seconds

    def _progress(self):
        """A bar for the epochs, on a terminal."""
        from contextlib import contextmanager

        from rich.progress import Progress

        @contextmanager
        def shown():
            if self.as_json or not self.err.is_terminal:
                yield lambda epoch: None
                return
            with Progress(console=self.err, transient=True) as bar:
                task = bar.add_task(" learning", total=self.epochs)
                yield lambda epoch: bar.update(task, completed=epoch)

        return shown()

    def _outputs(self, origins: np.ndarray) -> np.ndarray:
        from nbdl import loss, predict

        p = self.problem
        return p.forecasts(predict(self.model, p.windows(origins), loss("mean_squared_error")), origins)

    def _test(self) -> None:
        """All forecasts from every moment of the test, their errors, and the forecast from the end of the series on."""
        from nbdl.metrics import mean_absolute_error, mean_absolute_scaled_error

        p = self.problem
        every = np.arange(p.validation, len(p.values))
        self.truth, self.past = p.truth(every), p.values[: p.train]
        found = {"network": self._outputs(every), "naive": p.naive(every), "seasonal_naive": p.seasonal_naive(every)}
        if p.season == 1:
            del found["seasonal_naive"]  # it is the naive one
        self.found, whole = found, len(every) - p.horizon + 1
        self.scores: dict[str, dict[str, dict[str, float]]] = {}
        for name, values in found.items():
            parts = {"one_step": (values[:, 0], self.truth[:, 0]), "many_steps": (values[:whole], self.truth[:whole])}
            self.scores[name] = {
                part: {
                    "mae": mean_absolute_error(said, truth),
                    "mase": mean_absolute_scaled_error(said, truth, self.past, p.season),
                }
                for part, (said, truth) in parts.items()
            }
        self.ahead = self._outputs(np.array([len(p.values)]))[0]

    # -- what it looks like ------------------------------------------------------------------------------------------

    def _header(self) -> Panel:
        series, p = self.series, self.problem
        rows = Table.grid(padding=(0, 2))
        rows.add_column(style="dim", no_wrap=True)
        rows.add_column(overflow="fold")
        span = f", {series.every} apart" if series.every else ""
        dates = [date for date in series.dates if date]
        span += f", {dates[0]} to {dates[-1]}" if dates else ""
        rows.add_row("series", f"{series.name}: {len(p.values)} values{span}")
        for note in series.notes:
            rows.add_row("mended", note)
        rows.add_row("season", f"{p.season} values" if p.season > 1 else "none (--season N says otherwise)")
        rows.add_row("task", f"the next {p.horizon} values from the last {p.steps}")
        rows.add_row(
            "parts", f"{p.train} values to learn from, {p.validation - p.train} to check on, {len(p.values) - p.validation} "
            "to test on, in this order",
        )  # fmt: skip
        base = "the last season" if p.season > 1 else "the last value"
        rows.add_row("network", f"{self.layers}: it learns by how much {base} will be missed")
        return Panel(rows, title="nbdl forecast", title_align="left", border_style="cyan")

    def _draw(self) -> None:
        from nbdl_cli.drawing.folded import Folded
        from nbdl_cli.sequences import next_values, whole_horizon

        p = self.problem
        names = [name for name in NAMES if name in self.found]
        best_plain = names[-1]
        shown = [(NAMES[name], self.found[name][:, 0]) for name in ("network", best_plain)]
        self.out.print(next_values(self.truth[:, 0], shown, p.validation, "one step ahead, on the test"))
        if p.horizon > 1:
            past = p.values[max(0, p.validation - 2 * p.horizon) : p.validation]
            lines = [(NAMES[name], self.found[name][0]) for name in names]
            title = f"{p.horizon} steps ahead, from where the test begins"
            self.out.print(whole_horizon(past, self.truth[0], lines, p.validation - len(past), title))
        past = p.values[-3 * p.horizon :]
        title = f"the {p.horizon} values to come" if p.horizon > 1 else "the value to come"
        self.out.print(whole_horizon(past, [], [("network", self.ahead)], len(p.values) - len(past), title))
        self.out.print(Folded(", ".join(f"{value:.5g}" for value in self.ahead)))
        self.out.print()
        self.out.print(self._table(names))
        self.out.print(self._verdict(names))

    def _table(self, names: list[str]) -> Table:
        table = Table(box=None, padding=(0, 2, 0, 1), header_style="bold")
        table.add_column("test")
        columns = [
            ("one_step", "1 step"),
            *([("many_steps", f"{self.problem.horizon} steps")] * (self.problem.horizon > 1)),
        ]
        for _, words in columns:
            for measure in ("MAE", "MASE"):
                table.add_column(f"{words}\n{measure}", justify="right")
        lowest = {part: min(self.scores[name][part]["mae"] for name in names) for part, _ in columns}
        for name in names:
            cells: list[Any] = []
            for part, _ in columns:
                score = self.scores[name][part]
                look = "bold green" if score["mae"] == lowest[part] else ""
                mase = "–" if np.isnan(score["mase"]) else f"{score['mase']:.3f}"
                cells += [Text(f"{score['mae']:.4g}", look), Text(mase, look)]
            table.add_row(NAMES[name], *cells)
        return table

    def _verdict(self, names: list[str]) -> Text:
        """In words, also when the network has lost."""
        part = "many_steps" if self.problem.horizon > 1 else "one_step"
        plain = min(names[1:], key=lambda name: self.scores[name][part]["mae"])
        ours, theirs = self.scores["network"][part]["mae"], self.scores[plain][part]["mae"]
        ahead = f"{self.problem.horizon} steps ahead" if self.problem.horizon > 1 else "one step ahead"
        if ours < theirs:
            share = f"{100 * (1 - ours / theirs):.0f} %"
            return Text(f" {ahead} the network misses by {share} less than the {NAMES[plain]} forecast.")
        return Text(
            f" {ahead} the {NAMES[plain]} forecast is the better one here: use it, or try other --layers, --steps."
        )

    def _document(self) -> dict[str, Any]:
        from dataclasses import asdict

        from nbdl_cli.experiment import environment

        p, series, dates = self.problem, self.series, list(self.series.dates) or None
        return {
            "schema": SCHEMA,
            "series": {
                "file": str(self.place[0]), "column": series.name, "values": len(p.values), "every": series.every or None,
                "first": dates[0] if dates else None, "last": dates[-1] if dates else None, "notes": series.notes,
            },
            "steps": p.steps, "horizon": p.horizon, "season": p.season, "layers": self.layers,
            "parts": {"train": p.train, "validation": p.validation - p.train, "test": len(p.values) - p.validation},
            "scores": self.scores,
            "test": {
                "origins": list(range(p.validation, len(p.values))),
                "dates": dates[p.validation :] if dates else None,
                "truth": self.truth[:, 0],
                "one_step": {name: values[:, 0] for name, values in self.found.items()},
                "many_steps": {name: values[0] for name, values in self.found.items()},
            },
            "forecast": self.ahead,
            "epochs": [asdict(epoch) for epoch in self.trained],
            "train_seconds": self.seconds,
            "environment": environment(self.threads, "auto"),
        }  # fmt: skip
