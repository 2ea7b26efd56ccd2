"""The work of `nbdl gradient-flow`: the norms over time of three kinds of layers, and two short trainings."""

import math
from typing import TYPE_CHECKING, Any

import numpy as np
from rich.text import Text

from nbdl.errors import NbdlError
from nbdl_cli.compiling import compiling
from nbdl_cli.experiment import environment
from nbdl_cli.places import check_place

if TYPE_CHECKING:
    from nbdl_cli.drawing.plot import LinePlot, Series

SCHEMA = "nbdl.gradient-flow/1"
VANISHED, EXPLODED = 1e-3, 1e3  # of the norm at the end: what is left at the start, or has grown there
TITLE = "how strongly the last state hangs on the state after each step: norm of dL/ds"


def run(
    steps: int,
    units: int,
    gain: float,
    clip: float,
    rate: float,
    updates: int,
    seed: int,
    svg: str | None,
    as_json: bool,
) -> None:
    from nbdl import GRU, LSTM, SimpleRNN
    from nbdl.files import write_atomically
    from nbdl.gradient_flow import gradient_flow
    from nbdl.training import set_threads
    from nbdl_cli import console
    from nbdl_datasets import load

    out, err = console.out(), console.err()
    check_place("--svg", svg)
    for name, value in (("gain", gain), ("clip", clip), ("rate", rate)):
        if not (value > 0 and math.isfinite(value)):
            raise NbdlError(f"--{name} is {value}; expected a number above 0.")
    data = load("adding-problem", seed=seed, steps=steps)
    threads = set_threads(None)
    with compiling(err, not as_json) as announce:
        row = data.test.inputs[0]
        norms = {
            type(layer).__name__: gradient_flow(layer, row, gain=gain, seed=seed, announce=announce)
            for layer in (SimpleRNN(units), LSTM(units), GRU(units))
        }
        trainings = {
            name: _train(data, units, steps, gain, limit, rate, updates, seed, announce)
            for name, limit in (("not clipped", None), (f"clipped at {clip:g}", clip))
        }
    if svg:
        write_atomically(svg, _picture(norms).encode())
    if as_json:
        console.emit_json(
            {
                "schema": SCHEMA,
                "steps": steps,
                "units": units,
                "gain": gain,
                "seed": seed,
                "norms": {name: [float(value) for value in values] for name, values in norms.items()},
                "clip": clip,
                "learning_rate": rate,
                "trainings": trainings,
                "environment": environment(threads, "auto"),
            }
        )
        return
    from nbdl_cli.drawing.plot import LinePlot

    out.print(LinePlot(_flow(norms), title=TITLE, x_label="step", log_y=True, height=14))
    out.print()
    for name, values in norms.items():
        out.print(Text.assemble((f" {name:<10}", "bold"), _words(values, steps)))
    out.print()
    out.print(_norms_plot(trainings))
    out.print()
    for name, training in trainings.items():
        out.print(Text.assemble((f" {name}: ", "bold"), _ending(training)))
    if svg:
        out.print(f" wrote {svg}", style="dim", soft_wrap=True)


def _train(
    data: Any,
    units: int,
    steps: int,
    gain: float,
    clip: float | None,
    rate: float,
    updates: int,
    seed: int,
    announce: Any = None,
) -> dict[str, Any]:
    """Loss and norm of the whole gradient of every update of a simple recurrent network on the adding problem."""
    from nbdl import Data, Dense, Diverged, Sequential, SimpleRNN, loss
    from nbdl.gradient_flow import training_norms

    model = Sequential([SimpleRNN(units, activation="relu"), Dense(1)], (steps, 2), seed=seed)
    model.parameters["simplernn_1.u"][...] *= gain
    losses: list[float] = []
    norms: list[float] = []
    diverged = None
    samples = Data(data.train.inputs, data.train.targets)
    try:
        for _, cost, norm in training_norms(
            model,
            samples,
            loss("mean_squared_error"),
            rate=rate,
            updates=updates,
            clip=clip,
            seed=seed,
            announce=announce,
        ):
            losses.append(cost)
            norms.append(norm)
    except Diverged as error:
        diverged = {"kind": error.kind, "update": error.update}
    return {"clip": clip, "losses": losses, "norms": norms, "diverged": diverged}


def _flow(norms: dict[str, np.ndarray]) -> "list[Series]":
    from nbdl_cli.drawing.plot import Series

    return [
        Series(name, list(range(len(values))), [float(v) if v > 0 else None for v in values])
        for name, values in norms.items()
    ]


def _norms_plot(trainings: dict[str, dict[str, Any]]) -> "LinePlot":
    from nbdl_cli.drawing.plot import LinePlot, Series

    series = [
        Series(
            name, list(range(1, len(one["norms"]) + 1)), [n if 0 < n < math.inf else None for n in one["norms"]],
            diverged=one["diverged"] is not None,
        )
        for name, one in trainings.items()
    ]  # fmt: skip
    title = "a simple ReLU network learns to add: norm of its gradient, before clipping"
    return LinePlot(series, title=title, x_label="update", log_y=True, height=10)


def _words(values: np.ndarray, steps: int) -> str:
    """What became of the gradient on its way to the first state."""
    first = float(values[0])
    if not math.isfinite(first) or first > EXPLODED:
        return f"explodes: {first:.2g} times as large {steps} steps back as at the end"
    if first < VANISHED:
        heard = next((n for n in range(steps, -1, -1) if values[n] < VANISHED), 0)
        return f"vanishes: {steps - heard} steps back less than a thousandth is left, {first:.1g} at the start"
    return f"reaches the start: {first:.2g} of it {steps} steps back"


def _ending(training: dict[str, Any]) -> str:
    most = max((norm for norm in training["norms"] if math.isfinite(norm)), default=math.inf)
    if training["diverged"]:
        kind, update = training["diverged"]["kind"], training["diverged"]["update"]
        return f"the longest gradient was {most:.2g}, and at update {update} the loss was lost ({kind})"
    last = float(np.mean(training["losses"][-20:]))
    return f"the longest gradient was {most:.2g}; the loss of the last updates is {last:.3g}"


def _picture(norms: dict[str, np.ndarray]) -> str:
    from nbdl_cli.drawing.svg import LineChart

    return LineChart(_flow(norms), TITLE, x_label="step", y_label="norm", log_y=True).svg()
