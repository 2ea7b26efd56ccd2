"""`nbdl compare-optimizers` as users meet it: real processes, real files, real kills."""

import csv
import json
import os
import random
import re
import signal
import subprocess
import sys
import time
from contextlib import suppress
from xml.etree import ElementTree

import pytest

from nbdl.comparison.runs import untimed
from nbdl.errors import NbdlError
from nbdl_cli.comparison.plan import from_toml
from tests.cli.test_commands import on_terminal, visible

NBDL = [sys.executable, "-m", "nbdl_cli.main", "compare-optimizers"]
SMALL = ["moons", "--backend", "numpy", "--budget", "epochs=2", "--rates", "0.01,0.1,1,100", "--seeds", "3"]
KILLS = 4  # moments; the whole experiment takes a few seconds


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return {**os.environ, "NBDL_CACHE_DIR": str(tmp_path_factory.mktemp("cache"))}


def nbdl(*arguments, env, **settings):
    return subprocess.run([*NBDL, *arguments], capture_output=True, text=True, env=env, timeout=300, **settings)


@pytest.fixture(scope="module")
def whole(tmp_path_factory, cache):
    """An undisturbed experiment, exported in every way."""
    folder = tmp_path_factory.mktemp("whole")
    exports = [f"--export={folder / f'r.{kind}'}" for kind in ("json", "csv", "md", "svg", "html")]
    done = nbdl(*SMALL, *exports, env=cache)
    assert done.returncode == 0, done.stderr
    return folder, json.loads((folder / "r.json").read_text()), done.stdout


def numbers(document):
    return [untimed(run) for run in document["runs"]]


def test_the_document(whole):
    _, document, drawn = whole
    assert document["schema"] == "nbdl.compare/2"
    a, b, c = document["contenders"]
    assert [one["method"] for one in (a, b, c)] == ["stochastic", "mini-batch", "batch"]
    assert [one["updates"]["median"] for one in (a, b, c)] == [2 * 360, 2 * 12, 2]
    assert {one["examples"]["median"] for one in (a, b, c)} == {720}
    for one in (a, b, c):
        rates = one["sensitivity"]["rates"]
        assert {0.01, 0.1, 1, 100} <= {rate["rate"] for rate in rates}
        assert rates[0]["rate"] < one["optimizer"]["learning_rate"] < rates[-1]["rate"]
    tested = [run for run in document["runs"] if run["tested"]]
    assert sorted({run["seed"] for run in tested}) == [3, 4, 5]
    assert {run["seed"] for run in document["runs"] if not run["tested"]} == {0, 1, 2}
    assert all(run["test_accuracy"] is None for run in document["runs"] if not run["tested"])
    assert len(document["verdict"]) == 2 and all(
        sentence in " ".join(drawn.split()) for sentence in document["verdict"]
    )
    assert {"python", "numba", "numpy", "simd", "threads", "jobs", "cores"} <= set(document["environment"])


def test_the_other_exports(whole):
    folder, document, _ = whole
    with open(folder / "r.csv") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == sum(max(1, len(run["epochs"])) for run in document["runs"])
    assert {row["phase"] for row in rows} == {"tuning", "report"}
    ElementTree.parse(folder / "r.svg")
    page = (folder / "r.html").read_text()
    assert page.count("<svg") >= 6 and "<script" not in page and "http" not in page.replace("http://www.w3.org", "")
    assert document["verdict"][0] in (folder / "r.md").read_text()


def test_from_repeats_exactly(whole, cache):
    done = nbdl("--from", str(whole[0] / "r.json"), env=cache)
    assert done.returncode == 0, done.stderr
    assert f"all {len(whole[1]['runs'])} runs gave the same numbers" in done.stdout


def test_jobs_give_the_same_document(whole, cache, tmp_path):
    done = nbdl(*SMALL, "--jobs", "2", "--ledger", str(tmp_path / "l"), "--json", env=cache)
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    assert numbers(document) == numbers(whole[1])
    assert document["environment"]["contended"] and not whole[1]["environment"]["contended"]
    assert document["verdict"][0] == whole[1]["verdict"][0]


def kept(ledger):
    """The keys of the runs that a ledger holds, without its head and without torn lines."""
    found = []
    for line in ledger.read_bytes().split(b"\n") if ledger.exists() else []:
        with suppress(ValueError):
            found += [entry["key"] for entry in [json.loads(line)] if "key" in entry]
    return found


@pytest.mark.parametrize("jobs", ["1", "2"])
def test_killed_at_random_moments_it_ends_with_the_same_table(whole, cache, tmp_path, jobs):
    ledger, moments, total = tmp_path / "l.jsonl", random.Random(int(jobs)), len(whole[1]["runs"])
    command = [*SMALL, "--jobs", jobs, "--ledger", str(ledger), "--json"]
    kills, end = 0, time.time() + 120
    while kills < KILLS:
        assert time.time() < end, "it always ends before it can be killed"
        before = len(kept(ledger))
        with subprocess.Popen(
            [*NBDL, *command], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=cache
        ) as one:
            while one.poll() is None and len(kept(ledger)) == before:
                time.sleep(0.002)
            time.sleep(10 ** moments.uniform(-3, -1))
            one.kill()
        after = kept(ledger)
        assert before < len(after) <= total
        if len(after) < total:
            kills += 1
        else:  # quicker than the kill: back to where an earlier one would have left it
            ledger.write_bytes(b"".join(ledger.read_bytes().splitlines(keepends=True)[: 1 + total // 3]))
    with open(ledger, "r+b") as file:  # and the power fails in the middle of a line
        file.truncate(ledger.stat().st_size - 30)
    done = nbdl(*command, env=cache)
    assert done.returncode == 0, done.stderr
    assert numbers(json.loads(done.stdout)) == numbers(whole[1])
    assert len(kept(ledger)) == len(set(kept(ledger))) == total  # nothing was done twice


def test_ctrl_c_says_how_to_go_on(cache, tmp_path):
    ledger = tmp_path / "l.jsonl"
    command = [*NBDL, "moons", "--backend", "numpy", "--budget", "epochs=300", "--ledger", str(ledger), "--jobs", "2"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=cache) as process:
        while not ledger.exists() or ledger.read_bytes().count(b"\n") < 3:
            assert process.poll() is None
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        _, error = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "goes on from there" in error and "Traceback" not in error
    done, total = map(int, re.search(r"(\d+) of (\d+) runs are in", error).groups())
    assert 2 <= done == len(kept(ledger)) < total / 2  # not the rest of the runs


def test_a_changed_spec_is_refused(whole, cache, tmp_path):
    path = str(tmp_path / "l")
    assert nbdl(*SMALL, "--methods", "batch", "--ledger", path, env=cache).returncode == 0
    done = nbdl(*SMALL, "--methods", "batch", "--ledger", path, "--rates", "0.1,1", env=cache)
    assert done.returncode == 1
    assert "rates no longer has 0.01, 100.0" in done.stderr
    again = nbdl(*SMALL, "--methods", "batch", "--ledger", path, env=cache)
    assert "were in" in again.stdout


def test_a_file_says_what_to_compare(cache, tmp_path):
    example = nbdl("--example", env=cache).stdout
    (tmp_path / "e.toml").write_text(
        example.replace("digits", "moons").replace("epochs = 10", "epochs = 2").replace("seeds = 10", "seeds = 2")
        + "\n[[contender]]\nbatch = 32\nlearning_rate = 1e9\n"
    )
    done = nbdl("--spec", str(tmp_path / "e.toml"), "--json", env=cache)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)["contenders"]
    assert [one["batch"] for one in found] == [32, 32, 256, 256, "full", 32]
    assert found[4]["optimizer"]["momentum"] == 0.95 and found[4]["sensitivity"] is None
    assert sum(found[5]["failures"].values()) == 2 and found[5]["score"]["median"] is None


@pytest.mark.parametrize("columns", [40, 80, 120])
def test_it_fits_the_terminal(cache, columns):
    folder = {name: cache[name] for name in ("NBDL_CACHE_DIR",)}
    code, drawn = on_terminal(columns, "compare-optimizers", *SMALL, "--fresh", **folder)
    assert code == 0, drawn
    assert re.search(r"\d+/\d+ runs", visible(drawn))  # below the table that fills
    assert max(len(line) for line in re.split(r"[\r\n]+", visible(drawn))) <= columns
    assert re.search(r"^ A +stochastic,", visible(drawn), re.MULTILINE)  # words are not cut


TOML = {
    "contender": ("", "no [[contender]]"),
    "contenders": ("contender = [1]", "no [[contender]]"),
    "colour": ("[[contender]]\nmethod = 'batch'\ncolour = 'red'", "given: colour = 'red'"),
    "name": ("colour = 'red'\n[[contender]]\nmethod = 'batch'", "colour is not known"),
    "seeds": ("seeds = 'three'\n[[contender]]\nmethod = 'batch'", "seeds is 'three'; expected a whole number"),
    "less": ("tuning_seeds = -1\n[[contender]]\nmethod = 'batch'", "tuning_seeds is -1"),
    "yes": ("timeout = true\n[[contender]]\nmethod = 'batch'", "timeout is True; expected a number"),
    "rates": ("rates = 0.1\n[[contender]]\nmethod = 'batch'", "rates is 0.1; expected a list of numbers"),
    "twice": ("rates = [0.1, 0.1]\n[[contender]]\nmethod = 'batch'", "0.1 is there twice"),
    "budget": ("budget = {weeks = 1}\n[[contender]]\nmethod = 'batch'", "'weeks=1' cannot be read"),
    "layers": ("layers = 8\n[[contender]]\nmethod = 'batch'", "layers is 8; expected a text"),
    "clip": ("clip = -1\n[[contender]]\nmethod = 'batch'", "clipped at -1; expected a number above 0"),
    "rate": ("[[contender]]\nmethod = 'batch'\nlearning_rate = 'x'", "learning_rate is 'x'; expected a number"),
    "momentum": (
        "[[contender]]\nmethod = 'batch'\noptimizer = 'momentum'\nmomentum = 'x'",
        "all of them numbers; given: momentum = 'x'",
    ),
    "schedule": ("[[contender]]\nmethod = 'batch'\nschedule = 3", "schedule '3' is unknown"),
}


@pytest.mark.parametrize("case", TOML)
def test_mistakes_in_a_file(case, tmp_path):
    text, words = TOML[case]
    path = tmp_path / "e.toml"
    path.write_text(text)
    with pytest.raises(NbdlError) as error:
        from_toml(str(path))
    assert str(error.value).startswith(f"{path}: ")
    assert words in str(error.value)


def test_what_a_run_that_failed_said_is_shown(cache):
    unfit = [
        "moons",
        "--layers",
        "4,batchnorm,tanh",
        "--backend",
        "numpy",
        "--no-tune",
        "--rates",
        "0.1",
        "--seeds",
        "2",
    ]
    some = nbdl(*unfit, "--methods", "stochastic,batch", env=cache)
    assert some.returncode == 0, some.stderr
    assert "2/2 error" in some.stdout and "BatchNorm cannot train on 1 sample" in some.stdout
    none = nbdl(*unfit, "--methods", "stochastic", env=cache)
    assert (none.returncode, none.stdout) == (1, "")
    assert "every run ended in an error: BatchNorm" in none.stderr


def test_many_contenders_stay_readable(cache, tmp_path):
    arguments = [
        "--no-tune",
        "--rates",
        "0.001,0.01,0.1,1",
        "--methods",
        "mini-batch",
        "--batch-sizes",
        "8,16,24,32,40,48,56",
    ]
    done = nbdl(*SMALL[:5], *arguments, "--seeds", "1", f"--export={tmp_path / 'r.svg'}", env=cache)
    assert done.returncode == 0, done.stderr
    rows = re.findall(r"^ ([A-Z]+) +mini-batch", done.stdout, re.MULTILINE)
    assert (len(set(rows)), rows[25:]) == (28, ["Z", "AA", "AB"])
    assert done.stdout.count(", the best 7 of 28\n") == 4
    assert (tmp_path / "r.svg").read_text().count("the best 7 of 28") >= 4


BAD = {
    "rates": (["--rates", "fast"], 1, "--rates"),
    "rates twice": (["--rates", "0.1,1,0.1"], 1, "twice"),
    "clip": (["--clip", "0"], 1, "above 0"),
    "methods": (["--methods", "magic"], 1, "magic"),
    "no rates": (["--no-tune"], 1, "--rates"),
    "budget": (["--budget", "weeks=2"], 1, "epochs=N"),
    "budget of nothing": (["--budget", "epochs=0"], 1, "above 0"),
    "target": (["--target", "best"], 1, "auto"),
    "target in percent": (["--target", "95"], 1, "0.95"),
    "batch": (["--batch-sizes", "99999"], 1, "from 1 to"),
    "schedule": (["--schedule", "sometimes"], 1, "one-cycle"),
    "export": (["--export", "r.pdf"], 1, ".html"),
    "export folder": (["--export", "no/such/r.md"], 1, "no folder"),
    "executor": (["--executor", "ray://here"], 1, "dask://"),
    "both": (["--executor", "dask://here:1", "--jobs", "2"], 2, "leave one out"),
    "from": (["--from", "nothing.json"], 1, "nothing.json"),
    "spec": (["--spec", "nothing.toml"], 1, "nothing.toml"),
    "spec and more": (["--spec", "e.toml", "--seeds", "3"], 2, "--seeds"),
}


@pytest.mark.parametrize("case", BAD)
def test_mistakes_get_a_word_and_a_code(case, cache, tmp_path):
    arguments, code, word = BAD[case]
    done = nbdl(*arguments, env=cache, cwd=tmp_path)
    assert (done.returncode, "Traceback" in done.stderr) == (code, False), done.stderr
    assert word in " ".join(done.stderr.split())
    assert done.stdout == ""
