"""What came out, as files: a row per epoch as CSV, everything as JSON, the tables as Markdown, a report for a browser."""

import csv
import io
import json
from collections.abc import Callable
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nbdl.errors import NbdlError
from nbdl_cli.comparison.charts import charts
from nbdl_cli.comparison.plan import SCHEMA
from nbdl_cli.comparison.sheets import sheets
from nbdl_cli.console import plain

if TYPE_CHECKING:
    from nbdl.comparison import Comparison, Outcome

CLOCKS = ("epoch", "updates", "examples", "seconds")
VALUES = ("rate", "train_loss", "validation_loss", "validation_accuracy", "validation_r2")

STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; color: #222;
  background: #fff; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.1rem; margin: 2rem 0 .5rem; }
table { border-collapse: collapse; } th, td { padding: .2rem .8rem .2rem 0; text-align: left; vertical-align: top; }
th { border-bottom: 1px solid #999; } td.number, th.number { text-align: right; font-variant-numeric: tabular-nums; }
tr.best td { font-weight: bold; color: #006b4e; } .note { color: #595959; font-size: .85rem; margin: .2rem 0; }
.verdict { border-left: 4px solid #009e73; padding: .2rem 1rem; } .wide { overflow-x: auto; }
svg { max-width: 100%; height: auto; } pre { overflow-x: auto; background: #f4f4f4; padding: .8rem; font-size: .8rem; }
"""


def check(paths: tuple[str, ...]) -> None:
    """Find out before the runs that a file cannot be written, or is of a kind that is not known."""
    import os

    for path in paths:
        suffix, folder = Path(path).suffix.lower(), Path(path).resolve().parent
        if suffix not in WRITERS:
            raise NbdlError(
                f"--export {path}: the name says what to write; expected it to end in {', '.join(WRITERS)}."
            )
        if not folder.is_dir() or not os.access(folder, os.W_OK):
            raise NbdlError(f"--export {path}: there is no folder {folder} that you may write to.")


def write(path: str, comparison: "Comparison", document: dict[str, Any]) -> None:
    from nbdl.files import write_atomically

    write_atomically(path, WRITERS[Path(path).suffix.lower()](comparison, document).encode())


def document(comparison: "Comparison", experiment: dict[str, Any], environment: dict[str, Any]) -> dict[str, Any]:
    """Everything, for programs and for `--from`."""
    from nbdl.comparison import verdict
    from nbdl.comparison.experiment import version

    names = ("lower_quartile", "median", "upper_quartile")
    clocks = ("epochs", "updates", "examples", "seconds")
    contenders = []
    for number, s in enumerate(comparison.summaries):
        reach, tuned = comparison.reaches[number], comparison.sensitivities.get(comparison.spec.contenders[number])
        contenders.append(
            {
                "label": s.contender.label,
                **s.contender.as_data(),
                "runs": s.runs,
                "failures": s.failures,
                **{n: dict(zip(names, getattr(s, n), strict=True)) for n in (*clocks, "loss", "validation", "score")},
                "compile_seconds": s.compile_seconds,
                "contended": s.contended,
                "target": {"hits": reach.hits, "median": reach.median, "expected": reach.expected},
                "sensitivity": tuned
                and {
                    "best_rate": tuned.best.rate,
                    "good_rates": tuned.good,
                    "width_in_decades": tuned.width,
                    "best_is_at_an_edge": tuned.at_edge,
                    "rates": [
                        {
                            "rate": one.rate,
                            "validation": dict(zip(names, one.score, strict=True)),
                            "loss": dict(zip(names, one.loss, strict=True)),
                            "failures": one.failures,
                            "runs": one.runs,
                        }
                        for one in tuned.rates
                    ],
                },
            }
        )
    return {
        "schema": SCHEMA,
        "version": version(),
        "problem": comparison.problem.digest,
        "spec": comparison.spec.as_data(),
        "experiment": experiment,
        "environment": environment,
        "score": "accuracy" if comparison.problem.classifies else "r2",
        "target": comparison.target,
        "contenders": contenders,
        "best": comparison.best,
        "pairs": [
            {
                "first": pair.first.label,
                "second": pair.second.label,
                "difference": vars(pair.difference),
                "probability_of_being_better": vars(pair.better),
            }
            for pair in comparison.pairs
        ],
        "verdict": verdict(comparison),
        "runs": [outcome.as_data() for outcome in ordered(comparison)],
    }


def ordered(comparison: "Comparison") -> "list[Outcome]":
    """All runs in the order of the protocol, whatever the order in which they were done."""
    return [
        comparison.outcomes[run]
        for contender in comparison.spec.contenders
        for run in (*comparison.tuning_runs(contender), *comparison.reported_runs(contender))
    ]


def as_csv(comparison: "Comparison", document: dict[str, Any]) -> str:
    """A row for each epoch of each run; a run that failed before its first epoch has one row without numbers."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    settings = ("method", "batch", "optimizer", "learning_rate", "schedule", "seed", "phase", "contended")
    writer.writerow([*settings, "failure", "failure_update", "test_score", *CLOCKS, *VALUES])
    for one in ordered(comparison):
        c = one.run.contender
        row: list[Any] = [c.method, c.batch, c.optimizer.name, c.optimizer.learning_rate, c.schedule, one.run.seed]
        row += ["report" if one.run.tested else "tuning", int(one.contended), one.failure, one.failure_update]
        row.append(one.test_accuracy if one.test_accuracy is not None else one.test_r2)
        for epoch in one.epochs:
            writer.writerow([*row, *(getattr(epoch, name) for name in (*CLOCKS, *VALUES))])
        if not one.epochs:
            writer.writerow([*row, *[None] * (len(CLOCKS) + len(VALUES))])
    return text.getvalue()


def as_json(comparison: "Comparison", document: dict[str, Any]) -> str:
    return json.dumps(plain(document), indent=1, allow_nan=False) + "\n"


def _facts(comparison: "Comparison", document: dict[str, Any]) -> list[str]:
    """Where the numbers come from, in lines."""
    from nbdl.comparison.verdict import plural

    data, machine = document["experiment"]["dataset"], document["environment"]
    budget = ", ".join(plural(value, name) for name, value in document["spec"]["budget"].items())
    spec = comparison.spec
    tuned = f"rates tuned on {_range(spec.tuning_seeds)}, " if comparison.sensitivities else ""
    return [
        f"{data['name']}: {data['train']} examples to learn from, {data['validation']} to check on, {data['test']} to test",
        f"{budget} for each run; {tuned}reported on {_range(spec.seeds)}, tested once",
        f"nbdl {document['version']}, numba {machine['numba']}, numpy {machine['numpy']}, python {machine['python']}, "
        f"{machine['system']}, {machine['simd']}, {machine['threads']} threads, {machine['jobs']}",
    ]


def _range(seeds) -> str:
    return f"seeds {seeds[0]} to {seeds[-1]}" if len(seeds) > 1 else f"seed {seeds[0]}"


def as_markdown(comparison: "Comparison", document: dict[str, Any]) -> str:
    facts = "\n".join(f"- {fact}" for fact in _facts(comparison, document))
    tables = "\n".join(sheet.markdown() for sheet in sheets(comparison))
    return f"# {title(comparison)}\n\n{' '.join(document['verdict'])}\n\n{facts}\n\n{tables}"


def as_svg(comparison: "Comparison", document: dict[str, Any]) -> str:
    """All charts below each other in one picture."""
    import re

    parts, y = [], 0
    for chart in charts(comparison, all_clocks=True):
        drawn = chart.svg()
        size = re.search(r'width="(\d+)" height="(\d+)"', drawn)
        assert size
        parts.append(f'<g transform="translate(0 {y})">{drawn}</g>')
        y += int(size[2]) + 16
    attributes = f'xmlns="http://www.w3.org/2000/svg" viewBox="0 0 720 {y}" width="720" height="{y}"'
    return f"<svg {attributes}><title>{escape(title(comparison))}</title>\n{''.join(parts)}</svg>\n"


def as_html(comparison: "Comparison", document: dict[str, Any]) -> str:
    """One file without scripts and without anything to load."""
    name = escape(title(comparison))
    verdict = "".join(f"<p>{escape(sentence)}</p>" for sentence in document["verdict"])
    facts = "".join(f"<li>{escape(fact)}</li>" for fact in _facts(comparison, document))
    tables = "".join(sheet.html() for sheet in sheets(comparison))
    curves = "".join(f"<p>{chart.svg()}</p>" for chart in charts(comparison, all_clocks=True))
    spec = escape(json.dumps(plain(document["spec"]), indent=1))
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{name}</title>'
        f'<meta name="viewport" content="width=device-width, initial-scale=1"><style>{STYLE}</style></head><body>'
        f"<h1>{name}</h1><div class=verdict>{verdict}</div><ul>{facts}</ul>{tables}<h2>curves</h2>{curves}"
        f"<h2>spec</h2><details><summary>as JSON</summary><pre>{spec}</pre></details></body></html>\n"
    )


def title(comparison: "Comparison") -> str:
    about = comparison.spec.about
    return f"Gradient descent compared on {about.get('dataset') or about.get('demo')}"


WRITERS: dict[str, Callable[["Comparison", dict[str, Any]], str]] = {
    ".csv": as_csv,
    ".json": as_json,
    ".md": as_markdown,
    ".svg": as_svg,
    ".html": as_html,
}
