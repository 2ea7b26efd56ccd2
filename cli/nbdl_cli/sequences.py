"""What training on sequences looks like: text that a network writes, and forecasts beside the truth."""

from collections.abc import Sequence
from math import log
from typing import TYPE_CHECKING, Any

from rich.console import RenderableType
from rich.text import Text

if TYPE_CHECKING:
    from nbdl import Sequential
    from nbdl.evaluation import Result
    from nbdl_cli.experiment import Experiment
    from nbdl_datasets import Dataset

TEMPERATURE = 0.8  # of samples: a little surer than the network is
SAMPLE = 300  # characters written after a training
SHOWN = 160  # values of a series that a plot can show one by one


def bits(nats: float) -> float:
    return nats / log(2)


def sample(model: "Sequential", dataset: "Dataset", length: int, seed: int = 0) -> str:
    """Some text from the network as it is now, from the beginning of a line on."""
    from nbdl.generation import generate

    prompt = "\n" if "\n" in dataset.classes else dataset.classes[0]
    return "".join(generate(model, dataset.classes, prompt, length, temperature=TEMPERATURE, seed=seed))


def sample_line(model: "Sequential", dataset: "Dataset", width: int, unicode: bool) -> Text:
    """One line of it, ends of lines drawn as signs."""
    from nbdl_cli.commands.generate import shown

    words = sample(model, dataset, max(10, width - 6)).replace("\n", "⏎" if unicode else "/").replace("\t", " ")
    return Text(f"   {shown(words, True)}", style="dim italic", no_wrap=True, overflow="crop")


def sample_text(model: "Sequential", dataset: "Dataset") -> Text:
    """What the network writes after its training."""
    from nbdl_cli.commands.generate import shown

    words = shown(sample(model, dataset, SAMPLE), True).strip("\n")
    text = Text(" what it writes\n", style="bold")
    return text.append("\n".join(f"   {line}" for line in words.split("\n")), style="not bold italic")


def spelling(model: "Sequential", dataset: "Dataset", most: int = 200, shown: int = 4) -> Text:
    """Numbers that the network has never seen: whether it names them as it should, and some of its answers."""
    from nbdl.generation import complete
    from nbdl_cli.drawing.palette import RIGHT, WRONG

    unseen = "".join(dataset.classes[k] for k in dataset.test.inputs.reshape(-1)).split("\n")[1:-1][:most]
    numbers, names = zip(*(line.split(" ", 1) for line in unseen), strict=True)
    said = complete(model, dataset.classes, [f"\n{number} " for number in numbers], "\n", 2 * max(map(len, names)))
    right = [a == b for a, b in zip(said, names, strict=True)]
    english = sum(
        a.startswith(b.removesuffix(dutch)) for a, b, dutch in zip(said, names, map(_dutch, numbers), strict=True)
    )
    text = Text(f" spelled right: {sum(right)} of {len(right)} numbers that it has never seen", style="bold")
    text.append(f" ({english} in English)", style="not bold")
    for k in sorted(range(len(right)), key=lambda k: right[k])[:shown]:
        text.append(f"\n   {numbers[k]} ", style="not bold")
        text.append(said[k], style=f"not bold {RIGHT if right[k] else WRONG}")
        text.append("" if right[k] else f"  ({names[k]})", style="not bold dim")
    return text


def _dutch(number: str) -> str:
    from nbdl_datasets.number_names import dutch

    return dutch(int(number))


def text_result(result: "Result") -> Text:
    """How well the next character is foretold in a text never seen."""
    from nbdl_cli.drawing import figures

    text = Text(" test  ", style="bold")
    text.append(f"{result.loss:.3f} nats per character", style="bold green")
    text.append(f" = {bits(result.loss):.2f} bits", style="not bold")
    if result.accuracy is not None:
        share, n = figures.percent(result.accuracy), len(result.outputs)
        text.append(f"; the likeliest was right for {share} of {n:,} characters it has never seen", style="not bold")
    return text


def answers(result: "Result", dataset: "Dataset") -> RenderableType:
    """Every answer above its truth: on the diagonal where it is right."""
    from nbdl_cli.drawing.plot import LinePlot, Series

    truth, said = dataset.test.targets[:400, 0], result.outputs[:400, 0]
    ends = [float(truth.min()), float(truth.max())]
    series = [Series("right", ends, ends), Series("answers to test examples", truth, said, dots=True)]
    return LinePlot(series, title="its answers (up) to each truth (right)", x_label="truth", height=12)


def next_values(truth: Any, forecasts: Sequence[tuple[str, Any]], first: int = 0, title: str = "") -> RenderableType:
    """Forecasts of one step beside what came."""
    from nbdl_cli.drawing.plot import LinePlot, Series

    n = min(len(truth), SHOWN)
    steps = range(first, first + n)
    series = [Series("truth", steps, truth[:n]), *(Series(name, steps, values[:n]) for name, values in forecasts)]
    return LinePlot(series, title=title or "one step ahead, test", x_label="step", height=12)


def whole_horizon(
    past: Any, truth: Any, forecasts: Sequence[tuple[str, Any]], first: int = 0, title: str = ""
) -> RenderableType:
    """Forecasts of many steps from one moment on, beside what came; `truth` may end sooner, or be empty."""
    from nbdl_cli.drawing.plot import LinePlot, Series

    origin = first + len(past)
    known = [*past, *truth]
    series = [Series("truth" if len(truth) else "known", range(first, first + len(known)), known)]
    for name, values in forecasts:
        series.append(Series(name, range(origin, origin + len(values)), values))
    return LinePlot(series, title=title or f"{len(forecasts[0][1])} steps ahead", x_label="step", height=12)


def series_plots(result: "Result", experiment: "Experiment") -> list[RenderableType]:
    """The test of a forecast: one step ahead everywhere, and all steps ahead from the first moment of the test."""
    data = experiment.dataset
    truth, said = data.test.targets, result.outputs
    plots = [next_values(truth[:, 0], [("network", said[:, 0])])]
    if truth.shape[1] > 1:
        plots.append(whole_horizon(data.test.inputs[0, :, 0], truth[0], [("network", said[0])]))
    return plots
