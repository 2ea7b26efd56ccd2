"""What is to be compared: from options, from a TOML file, or from the JSON of an experiment that is to be repeated."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nbdl.errors import NbdlError
from nbdl_cli.experiment import Experiment, Wishes, plan

if TYPE_CHECKING:
    from nbdl.comparison import Problem, Spec

EPOCHS, QUICK_EPOCHS = 10, 5
# What a result depends on besides the contenders, in the words of `nbdl train`.
ABOUT = ("demo", "dataset", "label", "test", "layers", "loss", "clip", "backend", "seed")
SCHEMA = "nbdl.compare/2"


NUMBER = (int, float)
# What may stand in a TOML file, besides [[contender]] and `budget`.
KINDS: dict[str, tuple[tuple[type, ...], str]] = {
    **dict.fromkeys(("demo", "dataset", "label", "test", "layers", "loss", "backend"), ((str,), "a text in quotes")),
    **dict.fromkeys(("clip", "timeout"), (NUMBER, "a number")),
    **dict.fromkeys(("seed", "seeds", "tuning_seeds"), ((int,), "a whole number")),
    "target": ((*NUMBER, str), 'a number, such as 0.95, or "auto"'),
    "rates": ((list,), "a list of numbers"),
}


@dataclass(frozen=True)
class Plan:
    """The spec with the problem built from it, and the document that it repeats, if any."""

    spec: "Spec"
    problem: "Problem"
    experiment: Experiment
    repeats: dict[str, Any] | None = None


def from_options(options: dict[str, Any], progress=None) -> Plan:
    """Each method with each optimizer and schedule, tuned unless `no_tune`."""
    from nbdl import Budget
    from nbdl.comparison import Spec, grid
    from nbdl.comparison.spec import QUICK_SEEDS, RATES, SEEDS, TUNING_SEEDS, read_budget, seeds_from
    from nbdl.optimizers import optimizer
    from nbdl.schedules import schedule

    o = options
    rates = numbers(o["rates"], float, "--rates") if o["rates"] else None
    if o["no_tune"] and rates is None:
        raise NbdlError("--no-tune compares the rates that you give: add, for example, --rates 0.01,0.1,1.")
    for name in o["schedule"]:
        schedule(name, 1)
    contenders = grid(
        [name.strip() for name in o["methods"].split(",") if name.strip()],
        numbers(o["batch_sizes"], int, "--batch-sizes"),
        [optimizer(name) for name in o["optimizer"] or ("sgd",)],
        o["schedule"] or ("constant",),
        rates if o["no_tune"] else None,
    )
    usual = QUICK_SEEDS if o["quick"] else SEEDS
    tuning, seeds = seeds_from(o["seed"], o["tuning_seeds"] or TUNING_SEEDS, o["seeds"] or usual)
    budget = read_budget(o["budget"]) if o["budget"] else {"epochs": QUICK_EPOCHS if o["quick"] else EPOCHS}
    about = {name: o[name] for name in ABOUT}
    about["demo"] = about["demo"] or (None if about["dataset"] else "digits")
    spec = Spec(
        tuple(contenders),
        Budget(**budget),
        tuple(rates or RATES),
        () if o["no_tune"] else tuning,
        seeds,
        o["timeout"],
        target(o["target"]),
        about,
    )
    return build(spec, progress)


def from_toml(path: str, progress=None) -> Plan:
    """One file with everything; see `nbdl compare-optimizers --example`."""
    from nbdl import Budget
    from nbdl.comparison import Spec
    from nbdl.comparison.spec import RATES, SEEDS, TUNING_SEEDS, contenders_from_table, seeds_from

    table = read_toml(path)
    try:
        given = table.pop("contender", None)
        if not given or not isinstance(given, list) or not all(isinstance(one, dict) for one in given):
            raise NbdlError("there is no [[contender]] in it; a comparison needs at least one.")
        contenders = [c for one in given for c in contenders_from_table(one)]
        budget = _budget(table.pop("budget", {"epochs": EPOCHS}))
        _check(table)
        seed = table.get("seed", 0)
        tuning, seeds = seeds_from(seed, table.pop("tuning_seeds", TUNING_SEEDS), table.pop("seeds", SEEDS))
        rates = tuple(float(rate) for rate in table.pop("rates", RATES))
        timeout, goal = table.pop("timeout", None), table.pop("target", "auto")
        about = {"backend": "auto", "seed": seed, **dict.fromkeys(ABOUT[:7]), **table}
        if about["demo"] is None and about["dataset"] is None:
            about["demo"] = "digits"
        tuning = tuning if any(c.tune for c in contenders) else ()
        spec = Spec(tuple(contenders), Budget(**budget), rates, tuning, seeds, timeout, goal, about)
        return build(spec, progress)
    except (TypeError, ValueError) as error:
        raise NbdlError(f"{path}: {error}") from None


def _check(table: dict[str, Any]) -> None:
    """Raises NbdlError for what is not known or of another kind than expected."""
    for name, value in table.items():
        if name not in KINDS:
            raise NbdlError(f"{name} is not known; expected {', '.join([*KINDS, 'budget', 'contender'])}.")
        kinds, words = KINDS[name]
        values = value if name == "rates" and isinstance(value, list) else [value]
        kinds = NUMBER if values is value else kinds
        if any(isinstance(one, bool) or not isinstance(one, kinds) for one in values):
            raise NbdlError(f"{name} is {value!r}; expected {words}.")
        if int in kinds and "seed" in name and value < 0:
            raise NbdlError(f"{name} is {value}; expected a whole number, at least 0.")


def _budget(value: Any) -> dict[str, Any]:
    from nbdl.comparison.spec import read_budget

    if isinstance(value, dict):
        value = ",".join(f"{name}={amount}" for name, amount in value.items())
    return read_budget(str(value))


def read_toml(path: str) -> dict[str, Any]:
    try:
        import tomllib
    except ImportError:  # Python 3.10
        import tomli as tomllib  # type: ignore[no-redef]

    try:
        return tomllib.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise NbdlError(f"cannot read {path} ({error.strerror}).") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise NbdlError(f"{path} is not TOML: {error}.") from None


def from_json(path: str, progress=None) -> Plan:
    """The experiment of a document that `--export FILE.json` or `--json` wrote."""
    from nbdl.comparison import Spec

    try:
        document = json.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise NbdlError(f"cannot read {path} ({error.strerror}).") from None
    except ValueError as error:
        raise NbdlError(f"{path} is not JSON: {error}.") from None
    if not isinstance(document, dict) or document.get("schema") != SCHEMA:
        raise NbdlError(f"{path} does not hold a comparison ({SCHEMA}); write one with --export FILE.json.")
    found = build(Spec.from_data(document["spec"]), progress)
    if found.problem.digest != document["problem"]:
        raise NbdlError(
            f"the data are not those of {path}: what is there now gives {found.problem.digest}, then it was "
            f"{document['problem']}. Bring back the old files to repeat it."
        )
    return Plan(found.spec, found.problem, found.experiment, document)


def build(spec: "Spec", progress=None) -> Plan:
    """Read the data and check what can be known before the first run."""
    from nbdl.comparison import Problem
    from nbdl.comparison.spec import check_batches

    experiment = plan(Wishes(**spec.about), progress)
    data = experiment.dataset
    problem = Problem(
        tuple(experiment.layers),
        data.input_shape,
        experiment.data(data.train),
        experiment.data(data.validation),
        experiment.data(data.test),
        experiment.loss.name,
        spec.budget,
        experiment.backend,
        experiment.clip,
        spec.timeout,
        recut=data.train is not data.validation,
    )
    for name in ("train", "validation", "test"):
        if not len(getattr(data, name)):
            raise NbdlError(f"{data.name} has no samples for {name}; a comparison needs all three parts.")
    if experiment.clip is not None and not experiment.clip > 0:
        raise NbdlError(f"the gradient is to be clipped at {experiment.clip}; expected a number above 0.")
    if problem.classifies and spec.target != "auto" and not 0 < float(spec.target) <= 1:
        raise NbdlError(f"the target is an accuracy of {spec.target:g}; expected a share such as 0.95, at most 1.")
    check_batches(spec.contenders, len(problem.split(spec.seeds[0])[0]))
    return Plan(spec, problem, experiment)


def numbers(text: str, kind: type, option: str) -> list:
    """A list of numbers typed with commas."""
    try:
        found = [kind(part) for part in text.split(",") if part.strip()]
    except ValueError:
        found = []
    if not found:
        what = "whole numbers" if kind is int else "numbers"
        raise NbdlError(f"{option} {text!r}: expected {what} with commas between them.")
    return found


def target(text: str) -> float | str:
    """A score to reach, or auto."""
    if text == "auto":
        return text
    try:
        return float(text)
    except ValueError:
        raise NbdlError(f"--target {text!r}: expected a number, such as 0.95, or auto.") from None
