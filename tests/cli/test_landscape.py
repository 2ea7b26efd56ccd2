"""`nbdl landscape` as users meet it: numbers, pictures, one true sentence, and words for mistakes."""

import base64
import io
import json
import os
import re
import struct
import subprocess
import sys
import zlib
from xml.etree import ElementTree

import numpy as np
import pytest
from rich.console import Console

from nbdl_cli.drawing.contour import LEVELS, Surface, Track
from nbdl_cli.drawing.surface_map import SurfaceMap
from nbdl_cli.drawing.svg_map import PIXELS, SurfaceChart

NBDL = [sys.executable, "-m", "nbdl_cli.main"]
SVG = "{http://www.w3.org/2000/svg}"


def nbdl(*arguments, **settings):
    environment = {**os.environ, **settings.pop("env", {})}
    return subprocess.run([*NBDL, *arguments], capture_output=True, text=True, timeout=300, env=environment, **settings)


@pytest.fixture(scope="module")
def bowl(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bowl")
    done = nbdl("landscape", "--backend", "numpy", "--json", "--svg", "bowl.svg", cwd=folder)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout), (folder / "bowl.svg").read_text()


def test_the_bowl_and_its_three_paths(bowl):
    document, _ = bowl
    assert document["schema"] == "nbdl.landscape/1"
    assert document["plane"] == {"kind": "weights", "names": ["w", "b"], "share_of_movement": 1.0, "samples": 240}
    paths = {path["method"]: path for path in document["paths"]}
    assert {name: path["updates"] for name, path in paths.items()} == {
        "stochastic": 4800,
        "mini-batch": 300,
        "batch": 20,
    }
    assert {(path["points"][0]["x"], path["points"][0]["y"]) for path in paths.values()} == {(-1.0, 1.0)}
    end = paths["mini-batch"]["points"][-1]
    assert (end["x"], end["y"]) == pytest.approx((0.7, -0.2), abs=0.05)  # the line that the points were made from
    left, right, bottom, top = document["extent"]
    assert all(left < p["x"] < right and bottom < p["y"] < top for path in paths.values() for p in path["points"])
    assert np.isfinite(document["cost"]).all()
    assert paths["batch"]["cost"] > 5 * paths["stochastic"]["cost"]
    assert document["lesson"].startswith(
        "The straightest way is not the quickest: at a learning rate of 0.1 and in 20 "
    )
    assert "batch descent took 20 steps, almost straight" in document["lesson"]


def test_its_picture(bowl):
    document, drawn = bowl
    root = ElementTree.fromstring(drawn)
    assert document["lesson"] in root.find(f"{SVG}desc").text
    assert not re.search(r"<script|http(?!://www.w3.org/2000/svg)|url\(|id=|nan|inf", drawn.replace("&#10;", ""))
    (image,) = root.iter(f"{SVG}image")
    png = base64.b64decode(image.get("href").split(",")[1])
    assert struct.unpack(">II", png[16:24]) == (PIXELS, PIXELS)
    assert len(zlib.decompress(png[png.index(b"IDAT") + 4 : -16])) == PIXELS * (PIXELS + 1)
    titles = [element.text for element in root.iter(f"{SVG}title")]
    assert sum(title.startswith("cost ") for title in titles) >= LEVELS - 2
    assert "stochastic (4.80 k updates)" in titles


@pytest.mark.parametrize("columns", [40, 80, 120])
@pytest.mark.parametrize("encoding", ["utf-8", "ascii"])
def test_it_fits_the_width(columns, encoding):
    done = nbdl(
        "landscape", "--backend", "numpy", "--updates", "30",
        env={"COLUMNS": str(columns), "PYTHONIOENCODING": encoding, "NO_COLOR": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert max(map(len, done.stdout.splitlines())) <= columns
    assert "\x1b" not in done.stdout
    assert encoding == "utf-8" or done.stdout.isascii()
    for letter in "smbSB":
        assert re.search(rf"^.*[│┤|+].*{letter}", done.stdout, re.MULTILINE)


def test_who_is_thrown_out_is_said():
    def lesson(*arguments):
        done = nbdl("landscape", "--backend", "numpy", "--grid", "5", "--json", *arguments)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    some = lesson("--rate", "0.3", "--optimizer", "momentum")
    assert [path["diverged"] for path in some["paths"]] == ["blow-up", None, None]
    assert "stochastic descent was thrown out of the valley and mini-batch and batch ended at" in some["lesson"]
    assert "every path is thrown out" in lesson("--rate", "5")["lesson"]
    restless = lesson("--rate", "0.5")
    assert [path["diverged"] for path in restless["paths"]] == [None] * 3
    assert restless["lesson"].startswith("More steps need not lead lower: ")
    even = lesson("--updates", "60")["lesson"]  # where all take as many steps, that is no lesson
    assert even.startswith("At a learning rate of 0.1 and in runs of 60 to 14.4 k examples, ")
    one = lesson("--method", "batch", "--rate", "0.5")
    assert [path["method"] for path in one["paths"]] == ["batch"]
    assert "batch descent took 20 steps" in one["lesson"]
    assert "stochastic" not in one["lesson"]


def test_larger_networks_are_shown_in_a_plane_of_theirs():
    arguments = ["landscape", "xor", "--backend", "numpy", "--grid", "7", "--epochs", "20", "--json"]
    principal = json.loads(nbdl(*arguments).stdout)
    assert principal["plane"]["kind"] == "principal"
    assert 0.5 < principal["plane"]["share_of_movement"] <= 1
    cut = json.loads(nbdl(*arguments, "--weights", "dense_1.w[0,0]", "dense_2.b", "--start", "2", "-1").stdout)
    assert cut["plane"]["names"] == ["dense_1.w[0,0]", "dense_2.b"]
    assert (cut["paths"][0]["points"][0]["x"], cut["paths"][0]["points"][0]["y"]) == (2, -1)
    drawn = json.loads(nbdl(*arguments, "--plane", "random").stdout)
    assert drawn["extent"] == [-1, 1, -1, 1]
    assert drawn["plane"]["share_of_movement"] < 0.9
    middle = drawn["cost"][len(drawn["cost"]) // 2][3]
    assert middle == pytest.approx(min(path["cost"] for path in drawn["paths"]), rel=1e-5)


BAD = {
    "range": (["--x", "1", "1"], "lower number first"),
    "nan": (["--y", "nan", "1"], "finite"),
    "weight": (["--weights", "dense_1.w", "dense_9.w"], "dense_9.w"),
    "same": (["--weights", "dense_1.w", "dense_1.w[0,0]"], "same weight"),
    "two planes": (["--weights", "dense_1.w", "dense_1.b", "--plane", "random"], "leave out --plane"),
    "start": (["--plane", "random", "--start", "1", "1"], "--start"),
    "large": (["digits", "--plane", "weights"], "room for two"),
    "batch": (["--batch-size", "241"], "from 1 to 240"),
    "rate": (["--rate", "-1"], "above 0"),
    "folder": (["--svg", "no/such/x.svg"], "no folder"),
    "batchnorm": (["moons", "--layers", "4,batchnorm,tanh"], "--method says which"),
    "epochs": (["--epochs", "0"], "above 0"),
}


@pytest.mark.parametrize("case", BAD)
def test_mistakes(case, tmp_path):
    arguments, word = BAD[case]
    done = nbdl("landscape", *arguments, "--backend", "numpy", cwd=tmp_path)
    assert (done.returncode, "Traceback" in done.stderr) == (1, False), done.stderr
    assert word in done.stderr.replace("\n", " ")
    assert done.stdout == ""


def plain_surface(function, columns=21, rows=11):
    ys, xs = np.mgrid[0 : 1 : rows * 1j, -1 : 1 : columns * 1j]
    return Surface(function(xs, ys), (-1.0, 1.0, 0.0, 1.0), "x", "y")


def test_lines_of_equal_height_lie_at_that_height():
    slope = plain_surface(lambda x, y: 2 * x + y)
    pieces = list(slope.line(0.3))
    assert [2 * x + y for piece in pieces for x, y in piece] == pytest.approx([0.3] * 2 * len(pieces))
    assert sum(np.hypot(a - c, b - d) for (a, b), (c, d) in pieces) == pytest.approx(np.sqrt(1.25))  # and end to end
    ring = plain_surface(lambda x, y: x**2 + (y - 0.5) ** 2, 81, 41)
    length = sum(np.hypot(a - c, b - d) for (a, b), (c, d) in ring.line(0.16))
    assert length == pytest.approx(2 * np.pi * 0.4, rel=0.01)
    heights = np.sqrt(np.array(ring.levels()) - ring.low)
    np.testing.assert_allclose(np.diff(heights), heights[0])


def test_shades_are_the_right_way_up_and_holes_are_high():
    surface = plain_surface(lambda x, y: np.where((x > 0.9) & (y < 0.05), np.nan, y + 0 * x))
    shades = surface.shades(8, 10)
    assert shades[0, 0] == 1
    assert shades[-1, 0] == 0
    assert shades[-1, -1] == 1
    assert plain_surface(lambda x, y: 0 * x + 3).levels() == []


def test_colours_show_paths_over_shades():
    surface = plain_surface(lambda x, y: x**2 + y)
    tracks = [Track("one", [(-0.9, 0.9), (0, 0.1)], "s"), Track("far", [(-0.9, 0.9), (1e30, 1)], "b", 2, True)]
    console = Console(width=60, force_terminal=True, color_system="truecolor", record=True, file=io.StringIO())
    console.print(SurfaceMap(surface, tracks, height=10))
    text = console.export_text(styles=False)
    assert text.count("○") == 2  # in the picture and in the legend
    assert "far (diverged)" in text
    assert max(map(len, text.splitlines())) <= 60
    assert "1e+30" not in SurfaceChart(surface, tracks, "t", "d").svg()
