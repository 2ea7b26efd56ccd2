"""nbdl forecast on tables of a user's own: what it says, draws and refuses."""

import json
import math
import os
import re
import subprocess
import sys

import pytest

NBDL = [sys.executable, "-m", "nbdl_cli.main"]
QUICK = ["--epochs", "15", "--layers", "gru:8"]


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    """Eight years of months that grow and swing."""
    path = tmp_path_factory.mktemp("csv") / "sales.csv"
    lines = [
        f"{2010 + k // 12}-{k % 12 + 1:02},{k},{100 + k + 20 * math.sin(math.pi * k / 6) + 7 * ((k * k) % 5):.2f}"
        for k in range(96)
    ]
    path.write_text("\n".join(["month,other,sold", *lines]))
    return path


def nbdl(*arguments, **settings):
    done = subprocess.run(
        [*NBDL, "forecast", *map(str, arguments)], capture_output=True, text=True, timeout=300, **settings
    )
    assert "Traceback" not in done.stderr
    return done


def test_the_document_holds_all_that_was_found(table):
    done = nbdl("--csv", table, "--json", *QUICK)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["schema"] == "nbdl.forecast/1"
    assert found["series"]["column"] == "sold"
    assert (found["series"]["every"], found["season"], found["horizon"]) == ("a month", 12, 12)
    assert sum(found["parts"].values()) == 96
    assert set(found["scores"]) == {"network", "naive", "seasonal_naive"}
    for scores in found["scores"].values():
        assert all(
            0 < scores[part][measure] < 1000 for part in ("one_step", "many_steps") for measure in ("mae", "mase")
        )
    assert len(found["forecast"]) == 12
    assert found["test"]["dates"][-1] == "2017-12"
    truth, naive = found["test"]["truth"], found["test"]["one_step"]["naive"]
    assert naive[1:] == truth[:-1]
    again = json.loads(nbdl("--csv", table, "--json", *QUICK).stdout)
    assert again["forecast"] == found["forecast"]


@pytest.mark.parametrize("columns", [40, 80, 120])
def test_it_draws_within_its_columns(table, columns):

    done = nbdl("--csv", table, *QUICK, env={**os.environ, "COLUMNS": str(columns)})
    assert done.returncode == 0, done.stderr
    assert max(map(len, done.stdout.splitlines())) <= columns
    for word in ("one step ahead", "12 steps ahead", "values to come", "seasonal naive", "MASE"):
        assert word in re.sub(r"\s+", " ", done.stdout)


def test_without_a_season_and_one_step_ahead(table):
    found = json.loads(nbdl("--csv", table, "--season", 1, "--horizon", 1, "--json", *QUICK).stdout)
    assert set(found["scores"]) == {"network", "naive"}
    assert "many steps" not in nbdl("--csv", table, "--season", 1, "--horizon", 1, *QUICK).stdout


def test_what_was_mended_is_said(table, tmp_path):
    lines = table.read_text().splitlines()
    path = tmp_path / "b.csv"
    path.write_text("\n".join([lines[0], *lines[:9:-1], *lines[1:5], *lines[6:10]]))
    refused = nbdl("--csv", path, *QUICK)
    assert refused.returncode == 1
    assert "1 gap" in refused.stderr
    done = nbdl("--csv", path, "--gaps", "interpolate", *QUICK)
    assert done.returncode == 0, done.stderr
    assert "straight lines" in done.stdout
    assert "order of their dates" in done.stdout


BAD = {
    "column": (["--column", "price"], 1, "its columns are month, other, sold"),
    "date": (["--date", "day"], 1, "its columns are"),
    "season": (["--season", "80"], 1, "too few"),
    "horizon": (["--horizon", "0"], 1, "horizon is 0"),
    "layers": (["--layers", "gru"], 1, "gru"),
    "rate": (["--lr", "1e9"], 3, "--clip|smaller"),
    "gaps": (["--gaps", "guess"], 2, "guess"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_wishes_get_a_word(table, case):
    arguments, code, word = BAD[case]
    done = nbdl("--csv", table, *arguments)
    assert done.returncode == code, done.stderr
    assert re.search(word, done.stderr), done.stderr


def test_no_file():
    assert "no data file" in nbdl("--csv", "nothing.csv").stderr
