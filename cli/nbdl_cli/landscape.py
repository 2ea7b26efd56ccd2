"""The work of `nbdl landscape`: the paths first, then a plane that shows them, then the cost over it."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from rich.progress import BarColumn, Progress, TextColumn
from rich.text import Text

from nbdl.errors import NbdlError
from nbdl_cli.drawing import figures
from nbdl_cli.experiment import METHODS, Experiment, Wishes, environment, plan
from nbdl_cli.places import check_place

if TYPE_CHECKING:
    from nbdl import Data, Sequential
    from nbdl.landscape import Path, Plane
    from nbdl_cli.drawing.contour import Surface, Track

SCHEMA = "nbdl.landscape/1"
START = (-1.0, 1.0)  # of the line: far from its bottom in both weights, where a seed would start it with b = 0
SAMPLES = 1000
STEPS = 20_000  # of stochastic descent, where nobody says how long to train
WORK = 1.5e11  # floating-point operations that the grid may take when nobody says how fine it is
STRAIGHT, WINDING = 1.2, 2.0  # length of the way over its distance: up to this straight, from this winding
EQUAL = 1.02  # costs this near are called equal


@dataclass(frozen=True)
class Wanted:
    """The options of the picture; None or () means: as it suits the network."""

    methods: Sequence[str]
    plane: str | None
    weights: tuple[str, str] | None
    start: tuple[float, float] | None
    x_range: tuple[float, float] | None
    y_range: tuple[float, float] | None
    grid: int | None
    samples: int | None

    def check(self) -> None:
        for name, pair in (("--x", self.x_range), ("--y", self.y_range), ("--start", self.start)):
            if pair and not all(map(math.isfinite, pair)):
                raise NbdlError(f"{name} {pair[0]:g} {pair[1]:g}: expected two finite numbers.")
            if pair and name != "--start" and not pair[0] < pair[1]:
                raise NbdlError(f"{name} {pair[0]:g} {pair[1]:g}: expected the lower number first.")
        if self.weights and self.plane not in (None, "weights"):
            raise NbdlError(f"--weights names the plane; leave out --plane {self.plane}.")


def run(wanted: Wanted, threads: int | None, svg_file: str | None, as_json: bool, wishes: dict[str, Any]) -> None:
    from nbdl import Budget
    from nbdl.files import write_atomically
    from nbdl.training import set_threads
    from nbdl_cli import console
    from nbdl_cli.download import progress

    out, err = console.out(), console.err()
    wanted.check()
    check_place("--svg", svg_file)
    threads = set_threads(threads)
    if wishes["demo"] is None and wishes["dataset"] is None:
        wishes["demo"] = "line"
    batch = wishes.pop("batch")
    with progress(None if as_json else err) as report:
        experiment = plan(Wishes(**wishes), report)
    if all(wishes[name] is None for name in ("epochs", "updates", "examples", "seconds")):
        passes = max(1, min(experiment.demo.epochs, STEPS // len(experiment.dataset.train)))
        experiment = replace(experiment, budget=Budget(epochs=passes))
    bar = Progress(
        TextColumn(" {task.description}"), BarColumn(), console=err, transient=True,
        disable=as_json or not err.is_terminal,
    )  # fmt: skip
    with bar:
        task = bar.add_task("preparing", total=None)

        def tell(words: str, done: int = 0, total: int | None = None) -> None:
            bar.update(task, description=words, completed=done, total=total)

        model, kind, names = _beginning(wanted, experiment)
        paths = _paths(wanted, experiment, model, batch, tell)
        best = min(paths, key=lambda path: path.cost)
        model.buffers.flat[:] = best.buffers  # BatchNorm looks at the landscape as it did from there
        plane = _plane(kind, names, model, paths, best, experiment.seed)
        data = _some(experiment, wanted.samples)
        surface = _surface(wanted, experiment, model, data, plane, paths, tell)
    tracks = _tracks(plane, paths)
    share, words = plane.share(paths), lesson(paths, experiment)
    about = f"{experiment.demo.name}, {experiment.optimizer.name} {experiment.optimizer.learning_rate:g}"
    shown = _shown(plane, share, data, experiment)
    if svg_file:
        from nbdl_cli.drawing.svg_map import SurfaceChart

        chart = SurfaceChart(surface, tracks, f"the cost as a landscape: {about}", f"{words} {shown}")
        write_atomically(svg_file, chart.svg().encode())
    if as_json:
        console.emit_json(
            {
                "schema": SCHEMA,
                "experiment": {
                    k: v for k, v in experiment.summary().items() if k not in ("method", "batch", "schedule")
                },
                "plane": {"kind": plane.kind, "names": plane.names, "share_of_movement": share, "samples": len(data)},
                "extent": surface.extent,
                "cost": surface.values,
                "paths": [_path_data(path, plane) for path in paths],
                "lesson": words,
                "environment": environment(threads, experiment.backend),
            }
        )
        return
    from nbdl_cli.drawing.surface_map import SurfaceMap

    out.print(Text.assemble((" the cost as a landscape", "bold"), f": {about}; {shown}"))
    out.print(SurfaceMap(surface, tracks, height=max(12, min(22, out.width // 4))))
    out.print()
    out.print(f" {words}")
    if svg_file:
        out.print(f" wrote {svg_file}", style="dim", soft_wrap=True)


def _beginning(wanted: Wanted, experiment: Experiment) -> "tuple[Sequential, str, tuple[str, str]]":
    """The network at its start, and what the plane is to be."""
    from nbdl.landscape import only_weights, weight_place

    model = experiment.model()
    kind = wanted.plane or ("weights" if wanted.weights or model.parameter_count == 2 else "principal")
    names = ("", "")
    if kind == "weights":
        names = wanted.weights or only_weights(model)
    start = wanted.start or (START if experiment.demo.name == "line" and kind == "weights" else None)
    if start is not None:
        if kind != "weights":
            raise NbdlError(
                f"--start gives values of two weights, and the plane is {kind}: name the two with --weights."
            )
        for name, value in zip(names, start, strict=True):
            model.parameters.flat[weight_place(model, name)] = value
    elif kind == "weights":
        for name in names:
            weight_place(model, name)  # a mistake is told before the trainings
    return model, kind, names


def _paths(wanted: Wanted, experiment: Experiment, model: "Sequential", batch: int | None, tell) -> "list[Path]":
    from nbdl.landscape import descend

    data = experiment.data(experiment.dataset.train)
    n = len(data)
    if batch is None:
        usual = experiment.batch if isinstance(experiment.batch, int) and 1 < experiment.batch < n else 32
        batch = max(1, min(usual, n // 2))
    if not 1 <= batch <= n:
        raise NbdlError(f"the batch size is {batch}; expected a whole number from 1 to {n} (all samples).")
    sizes: dict[str, int | str] = {"stochastic": 1, "mini-batch": batch, "batch": "full"}
    found = []
    for method in METHODS:
        if wanted.methods and method not in wanted.methods:
            continue
        tell(f"{method} descent")
        try:
            path = descend(
                model,
                data,
                experiment.loss,
                experiment.optimizer,
                method,
                batch=sizes[method],
                budget=experiment.budget,
                clip=experiment.clip,
                seed=experiment.seed,
                backend=experiment.backend,
                announce=lambda name: tell(f"compiling {name}"),
            )
        except NbdlError as error:
            raise NbdlError(f"{method} descent: {error} (--method says which of the three to draw.)") from None
        found.append(path)
    return found


def _plane(
    kind: str, names: tuple[str, str], model: "Sequential", paths: "list[Path]", best: "Path", seed: int
) -> "Plane":
    from nbdl.landscape import plane_of_paths, plane_of_random_directions, plane_of_weights

    end = best.points[0 if best.diverged else -1]
    if kind == "principal":
        return plane_of_paths(paths)
    if kind == "random":
        return plane_of_random_directions(model, end, seed)
    plane = plane_of_weights(model, names, end)
    if model.parameter_count == 2:  # w and b say enough
        across, up = (name.split(".")[1].split("[")[0] for name in names)
        plane = replace(plane, names=(across, up))
    return plane


def _some(experiment: Experiment, samples: int | None) -> "Data":
    """The samples whose cost is drawn: all, or as many of them, chosen by the seed."""
    import numpy as np

    train = experiment.dataset.train
    count = min(len(train), SAMPLES if samples is None else samples)
    rows = np.sort(np.random.default_rng([experiment.seed, 6]).permutation(len(train))[:count])
    return experiment.data(train.take(rows) if count < len(train) else train)


def _surface(
    wanted: Wanted, experiment: Experiment, model: "Sequential", data: "Data", plane: "Plane", paths: "list[Path]", tell
) -> "Surface":
    import numpy as np

    from nbdl import Evaluation
    from nbdl.landscape import surface
    from nbdl_cli.drawing.contour import Surface

    left, right, bottom, top = _extent(plane, paths)
    left, right = wanted.x_range or (left, right)
    bottom, top = wanted.y_range or (bottom, top)
    work = Evaluation(model, data, experiment.loss, backend=experiment.backend).flops or 1
    columns = wanted.grid or int(max(21, min(81, math.sqrt(WORK / work * 4 / 3))))
    rows = max(5, columns * 3 // 4)
    xs, ys = np.linspace(left, right, columns), np.linspace(bottom, top, rows)
    values = []
    for number, row in enumerate(
        surface(model, data, experiment.loss, plane, xs, ys, backend=experiment.backend)  # type: ignore[arg-type]
    ):
        values.append(row)
        tell("the cost of every place", number + 1, rows)
    return Surface(np.array(values), (float(left), float(right), float(bottom), float(top)), *plane.names)


def _extent(plane: "Plane", paths: "list[Path]") -> tuple[float, float, float, float]:
    """A picture with all paths in it, and the best end in the middle of a plane of weights; -1 to 1 where it is random."""
    import numpy as np

    if plane.kind == "random":
        return -1.0, 1.0, -1.0, 1.0
    kept = []
    for path in paths:
        places = plane.coordinates(path.points)
        kept.append(places[: max(2, min(4, len(places)))] if path.diverged else places)
    places, best = np.concatenate(kept), min(zip(paths, kept, strict=True), key=lambda pair: pair[0].cost)[1][-1]
    low, high = places.min(axis=0), places.max(axis=0)
    if plane.kind == "weights":
        half = np.maximum(high - best, best - low)
        low, high = best - half, best + half
    middle, half = (low + high) / 2, (high - low) / 2
    half = 1.2 * np.maximum(half, max(0.3 * half.max(), 1e-3))
    (left, bottom), (right, top) = middle - half, middle + half
    return float(left), float(right), float(bottom), float(top)


def _tracks(plane: "Plane", paths: "list[Path]") -> "list[Track]":
    from nbdl_cli.drawing.contour import Track

    found = []
    for path in paths:
        place = METHODS.index(path.method)
        count = path.updates[-1]
        steps = f"{path.method} ({figures.count(count)} update{'' if count == 1 else 's'})"
        spots = [(float(x), float(y)) for x, y in plane.coordinates(path.points)]
        found.append(Track(steps, spots, path.method[0], place, path.diverged is not None))
    return found


def _shown(plane: "Plane", share: float, data: "Data", experiment: Experiment) -> str:
    """What the picture leaves out."""
    of = len(experiment.dataset.train)
    costs = f"the mean over {len(data)}{'' if len(data) == of else f' of {of}'} examples"
    within = "all" if share > 0.9995 else figures.percent(share)
    return f"{costs}; {within} of the paths' movement lies in this plane"


def _path_data(path: "Path", plane: "Plane") -> dict[str, Any]:
    places = plane.coordinates(path.points)
    return {
        "method": path.method,
        "batch": path.batch,
        "updates": path.updates[-1],
        "examples": path.examples,
        "seconds": path.seconds,
        "cost": path.cost,
        "length": path.length,
        "distance": path.distance,
        "diverged": path.diverged,
        "points": [{"update": u, "x": x, "y": y} for u, (x, y) in zip(path.updates, places.tolist(), strict=True)],
    }


def lesson(paths: "Sequence[Path]", experiment: Experiment) -> str:
    """One sentence on what these paths show, and nothing that they do not."""
    rate = f"{experiment.optimizer.learning_rate:g}"
    lost = [path.method for path in paths if path.diverged]
    kept = [path for path in paths if not path.diverged]
    if not kept:
        return (
            f"At a learning rate of {rate} every path is thrown out of the valley: the rate is too high, try a tenth."
        )
    if lost:
        costs = _list([f"{path.cost:.3g}" for path in kept])
        return (
            f"At the same learning rate of {rate}, {_list(lost)} descent was thrown out of the valley and "
            f"{_list([path.method for path in kept])} ended at a cost of {costs}: a rate that is too high for one need not "
            "be for another."
        )
    clauses = [f"{path.method} descent took {_steps(path)}, {_manner(path)}" for path in kept]
    lowest, highest = (choose(kept, key=lambda path: path.cost) for choose in (min, max))
    head = ""
    if len(kept) == 1:
        end = f"it ended at a cost of {lowest.cost:.3g}"
    elif highest.cost <= EQUAL * lowest.cost:
        head, end = "All ways lead to the bottom: ", f"all ended at about the same cost, {lowest.cost:.3g}"
    else:
        end = f"{lowest.method} ended lowest, at {lowest.cost:.3g}, and {highest.method} highest, at {highest.cost:.3g}"
        if highest is min(kept, key=_winding):
            head = "The straightest way is not the quickest: "
        elif all(highest.updates[-1] > path.updates[-1] for path in kept if path is not highest):
            head = "More steps need not lead lower: "
    words = f"{head}at a learning rate of {rate} and in {_passes(kept, len(experiment.dataset.train))}, "
    return f"{words[0].upper()}{words[1:]}{'; '.join(clauses)}; {end}."


def _steps(path: "Path") -> str:
    count = path.updates[-1]
    return f"{figures.count(count)} step{'' if count == 1 else 's'}"


def _winding(path: "Path") -> float:
    """How many times longer the way is than the straight one."""
    return path.length / path.distance if path.distance else math.inf


def _manner(path: "Path") -> str:
    ratio = _winding(path)
    if ratio <= STRAIGHT:
        return "almost straight"
    if ratio < WINDING:
        return "in a bend"
    times = f"{ratio:.1f}" if ratio < 10 else f"{ratio:.0f}"
    return f"winding {times} times the straight way"


def _passes(paths: "Sequence[Path]", n: int) -> str:
    """How much data they saw."""
    seen = {path.examples for path in paths}
    if len(seen) > 1:
        return f"runs of {figures.count(min(seen))} to {figures.count(max(seen))} examples"
    count = seen.pop()
    if count % n:
        return f"{figures.count(count)} examples"
    return "one pass over the data" if count == n else f"{count // n} passes over the data"


def _list(words: Sequence[str], comma: str = ", ") -> str:
    return words[0] if len(words) == 1 else f"{comma.join(words[:-1])} and {words[-1]}"
