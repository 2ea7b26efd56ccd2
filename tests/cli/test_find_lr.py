"""`nbdl find-lr` as users meet it."""

import csv
import json
import re
import subprocess
import sys
from xml.etree import ElementTree

import pytest

NBDL = [sys.executable, "-m", "nbdl_cli.main"]


def nbdl(*arguments, **settings):
    return subprocess.run([*NBDL, *arguments], capture_output=True, text=True, timeout=300, **settings)


def test_curve_table_and_picture(tmp_path):
    arguments = ["find-lr", "moons", "--backend", "numpy", "--batch-size", "32"]
    done = nbdl(*arguments, "--json", "--csv", "a.csv", "--svg", "a.svg", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    assert document["schema"] == "nbdl.find-lr/1"
    rate = document["suggestion"]["rate"]
    assert 1e-3 < rate < 10
    with open(tmp_path / "a.csv") as file:
        rows = list(csv.DictReader(file))
    assert [float(row["learning_rate"]) for row in rows] == [p["rate"] for p in document["points"]]
    root = ElementTree.fromstring((tmp_path / "a.svg").read_text())
    assert f"suggested {rate:g}" in "".join(root.itertext())
    drawn = nbdl(*arguments).stdout
    assert f"suggested learning rate {rate:g}: midway" in drawn
    assert f"nbdl train moons --backend numpy --batch-size 32 --lr {rate:g}" in drawn


def test_a_curve_that_shows_none():
    done = nbdl("find-lr", "xor", "--from", "1e-9", "--to", "1e-7", "--backend", "numpy", "--updates", "300")
    assert done.returncode == 0, done.stderr
    assert re.search(r"no rate to suggest: .*hardly\s+falls", done.stdout)
    assert "try:" not in done.stdout


BAD = {
    "backwards": (["--from", "1", "--to", "0.1"], "lower one first"),
    "nought": (["--from", "0"], "above 0"),
    "short": (["--updates", "3"], "20 or more"),
    "folder": (["--svg", "no/such/a.svg"], "no folder"),
    "batch": (["--batch-size", "0"], "from 1 to"),
}


@pytest.mark.parametrize("case", BAD)
def test_mistakes(case, tmp_path):
    arguments, word = BAD[case]
    done = nbdl("find-lr", "moons", *arguments, cwd=tmp_path)
    assert (done.returncode, "Traceback" in done.stderr) == (1, False), done.stderr
    assert word in done.stderr.replace("\n", " ")
    assert done.stdout == ""
