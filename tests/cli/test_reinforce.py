"""`nbdl reinforce` and `nbdl play` as users meet them: real processes, files, pipes and pseudo-terminals."""

import fcntl
import json
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time

import pytest

NBDL = [sys.executable, "-m", "nbdl_cli.main"]
QUICK = ["reinforce", "tmaze:3", "--policy", "8,tanh", "--episodes", "16"]


def nbdl(*arguments, **settings):
    return subprocess.run([*NBDL, *arguments], capture_output=True, text=True, timeout=300, **settings)


def on_terminal(columns, *arguments, press=None, **variables):
    """Exit code, what was drawn, and with `press` Ctrl-C as soon as that text is on the screen."""
    pid, master = pty.fork()
    if pid == 0:
        os.environ.update({"TERM": "xterm-256color", "COLORTERM": "truecolor", **variables})
        os.environ.pop("COLUMNS", None)
        fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
        os.execve(sys.executable, [*NBDL, *arguments], dict(os.environ))
    drawn, end = b"", time.time() + 120
    while time.time() < end:
        if select.select([master], [], [], 0.2)[0]:
            try:
                piece = os.read(master, 65536)
            except OSError:
                break
            if not piece:
                break
            drawn += piece
            if press and press in visible(drawn.decode(errors="replace")):
                os.kill(pid, signal.SIGINT)
                press = None
    os.close(master)
    _, status = os.waitpid(pid, 0)
    return os.waitstatus_to_exitcode(status), drawn.decode()


def visible(text):
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text)


@pytest.fixture(scope="module")
def maze(tmp_path_factory):
    path = tmp_path_factory.mktemp("policies") / "maze.safetensors"
    done = nbdl(*QUICK, "--updates", "20", "--save", str(path))
    assert done.returncode == 0, done.stderr
    return path, done.stdout


def test_a_run_in_a_pipe(maze):
    path, text = maze
    assert "cue north, cue south, corridor, junction" in text
    assert re.search(r"update +20 +return +-?\d+\.\d\d +right +\d+\.\d %", text)
    assert "not solved after 20 updates, 320 episodes" in text
    assert re.search(r"test +\d+\.\d % right +\(\d+ of 100 new episodes\)", text)
    assert f"nbdl play {path}" in text
    assert "\x1b" not in text


@pytest.mark.parametrize("columns", [40, 80, 120])
def test_a_run_on_a_terminal(columns):
    code, drawn = on_terminal(columns, *QUICK, "--updates", "3")
    text = visible(drawn)
    assert code == 0, text
    assert max(len(line) for line in re.split(r"[\r\n]+", text)) <= columns
    assert re.search(r" (update )? *3  return +-?\d+\.\d\d  right +\d+\.\d %", text.replace("\r", ""))
    assert "episodes" in text


def test_the_document_of_a_run():
    done = nbdl(*QUICK, "--updates", "5", "--json")
    document = json.loads(done.stdout)
    assert document["schema"] == "nbdl.reinforce/1"
    assert [update["update"] for update in document["updates"]] == [1, 2, 3, 4, 5]
    assert document["experiment"]["environment"] == "tmaze:3"
    assert document["test"]["episodes"] == 100
    assert 0 <= document["test"]["right"] <= 1
    assert done.stderr == ""


def test_a_resumed_run_ends_as_one_never_stopped(tmp_path):
    whole = nbdl(*QUICK, "--updates", "8", "--save", "whole", "--json", cwd=tmp_path)
    nbdl(*QUICK, "--updates", "4", "--save", "half", cwd=tmp_path)
    rest = nbdl("reinforce", "--resume", "half", "--updates", "8", "--save", "rest", "--json", cwd=tmp_path)
    assert rest.returncode == 0, rest.stderr
    known = ("update", "episodes", "steps", "mean_return", "loss", "right")
    told = [[{key: u[key] for key in known} for u in json.loads(run.stdout)["updates"]] for run in (whole, rest)]
    assert told[0] == told[1]
    from nbdl import load_checkpoint

    ends = [load_checkpoint(tmp_path / name).model.parameters.flat.tobytes() for name in ("whole", "rest")]
    assert ends[0] == ends[1]
    changed = nbdl("reinforce", "--resume", "half", "--discount", "0.5", cwd=tmp_path)
    assert changed.returncode == 1
    assert "leave out discount" in changed.stderr


@pytest.mark.parametrize("columns", [40, 80, 120])
def test_playing_on_a_terminal(maze, columns):
    code, drawn = on_terminal(columns, "play", str(maze[0]), "--episodes", "1", "--delay", "0")
    text = visible(drawn)
    assert code == 0, text
    assert max(len(line) for line in re.split(r"[\r\n]+", text)) <= columns
    assert text.count("┌─┐") >= 3  # it moved
    assert "│●" in text or "│ ●" in text
    assert re.search(r"step 0 +return 0\b", text)
    assert re.search("at the junction now it would turn", text)
    assert "1 episode: mean return" in text
    assert drawn.count("\x1b[?25l") == drawn.count("\x1b[?25h"), "the cursor is back"


def test_every_frame_shows_where_the_walker_was_when_it_chose(maze):
    (episode,) = json.loads(nbdl("play", str(maze[0]), "--episodes", "1", "--seed", "2", "--json").stdout)["episodes"]
    _, drawn = on_terminal(80, "play", str(maze[0]), "--episodes", "1", "--seed", "2", "--delay", "0")
    frames = re.split(r" step \d+ ", visible(drawn))[1:]
    assert len(frames) > episode["steps"]
    place = 0
    for frame, action in zip(frames, episode["actions"], strict=False):
        corridor = next(line for line in frame.splitlines() if re.match(r" │[ ●]+│", line) and len(line.rstrip()) > 6)
        assert corridor.index("●") - 2 == place
        place = min(3, max(0, place + {2: 1, 3: -1}.get(action, 0)))


@pytest.mark.parametrize(
    "variables", [{"NO_COLOR": "1"}, {"TERM": "dumb"}, {"PYTHONIOENCODING": "ascii"}], ids=["plain", "dumb", "ascii"]
)
def test_playing_on_lesser_terminals(maze, variables):
    code, drawn = on_terminal(60, "play", str(maze[0]), "--episodes", "1", "--delay", "0", **variables)
    assert code == 0, drawn
    assert "38;2" not in drawn or "PYTHONIOENCODING" in variables
    if "PYTHONIOENCODING" in variables:
        assert visible(drawn).isascii()
        assert "@" in visible(drawn)
    if "TERM" in variables:
        assert "\x1b" not in drawn


def test_ctrl_c_while_playing(maze):
    code, drawn = on_terminal(80, "play", str(maze[0]), "--episodes", "50", "--delay", "0.2", press="step 0")
    assert code == 130
    assert visible(drawn).rstrip().endswith("interrupted")
    assert "Traceback" not in drawn
    assert drawn.count("\x1b[?25l") == drawn.count("\x1b[?25h")


def test_ctrl_c_while_learning(tmp_path):
    path = str(tmp_path / "kept")
    code, drawn = on_terminal(100, *QUICK, "--updates", "100000", "--save", path, press="update    1 ")
    assert code == 130
    assert "saved to" in visible(drawn)
    again = nbdl("reinforce", "--resume", path, "--updates", "1", "--quiet")
    assert again.returncode == 0, again.stderr


def test_playing_in_a_pipe_and_for_programs(maze):
    path = str(maze[0])
    text = nbdl("play", path, "--episodes", "2").stdout
    assert "\x1b" not in text
    assert text.count("┌─┐") == 2  # how both ended
    document = json.loads(nbdl("play", path, "--episodes", "4", "--seed", "3", "--by-chance", "--json").stdout)
    assert (document["schema"], document["world"], document["greedy"]) == ("nbdl.play/1", "tmaze:3", False)
    assert document["actions"] == ["north", "south", "east", "west"]
    for episode in document["episodes"]:
        assert len(episode["actions"]) == len(episode["probabilities"]) == episode["steps"]
        assert sum(episode["probabilities"][0]) == pytest.approx(1)
    again = json.loads(nbdl("play", path, "--episodes", "4", "--seed", "3", "--by-chance", "--json").stdout)
    assert again == document


def test_a_policy_in_a_longer_maze(maze):
    done = nbdl("play", str(maze[0]), "--world", "tmaze:300", "--episodes", "1", env={**os.environ, "COLUMNS": "50"})
    assert done.returncode == 0, done.stderr
    assert max(map(len, done.stdout.splitlines())) <= 50


def test_a_pole_and_numbers_are_drawn(tmp_path):
    pytest.importorskip("gymnasium")
    quick = ["--policy", "8,tanh", "--episodes", "2", "--updates", "1", "--quiet", "--save"]
    for world, sign in (("CartPole-v1:masked", "angle"), ("MountainCar-v0", "place")):
        path = str(tmp_path / world)
        done = nbdl("reinforce", world, *quick, path)
        assert done.returncode == 0, done.stderr
        code, drawn = on_terminal(60, "play", path, "--episodes", "1", "--delay", "0")
        assert code == 0, drawn
        assert sign in visible(drawn)
        assert ("⣀⣀⣀⣀" in visible(drawn)) == world.startswith("CartPole")


WRONG = {
    "world": (["reinforce", "tmaze:0"], 1, "expected 1 to 1000"),
    "policy": (["reinforce", "--policy", "8,what"], 1, "'what'"),
    "ahead": (["reinforce", "--policy", "gru:8:bidirectional=true"], 1, "step by step"),
    "discount": (["reinforce", "--discount", "2"], 1, "0 to 1"),
    "rate": (["reinforce", "--lr", "-1"], 1, "above 0"),
    "schedule": (["reinforce", "--schedule", "often"], 1, "often"),
    "place": (["reinforce", "--save", "no/such/folder"], 1, "no folder"),
    "method": (["reinforce", "--method", "luck"], 2, "reinforce"),
    "episodes": (["reinforce", "--episodes", "0"], 2, "--episodes"),
    "checkpoint": (["play", "nothing.safetensors"], 1, "no checkpoint"),
    "train": (["train", "tmaze"], 1, "nbdl reinforce tmaze"),
}


@pytest.mark.parametrize("what", WRONG)
def test_mistakes_get_a_word_and_a_code(what, tmp_path):
    arguments, code, words = WRONG[what]
    done = nbdl(*arguments, cwd=tmp_path)
    assert done.returncode == code, done.stderr
    assert words in " ".join(done.stderr.split())
    assert "Traceback" not in done.stderr


def test_what_does_not_fit_together(maze, tmp_path):
    path = str(tmp_path / "digits.safetensors")
    nbdl("train", "xor", "--epochs", "1", "--backend", "numpy", "--save", path)
    assert "holds no policy" in nbdl("play", path).stderr
    assert "not written by `nbdl reinforce" in nbdl("reinforce", "--resume", path).stderr
    for other in (["train", "--resume", str(maze[0])], ["predict", str(maze[0])], ["inspect", str(maze[0])]):
        done = nbdl(*other)
        assert done.returncode == 1
        assert "written by `nbdl train" in done.stderr, done.stderr
    pytest.importorskip("gymnasium")
    assert "knows 4 and 4" in nbdl("play", str(maze[0]), "--world", "CartPole-v1").stderr


def test_divergence_has_a_code_of_its_own():
    done = nbdl(*QUICK, "--lr", "1e30", "--updates", "20", "--quiet")
    assert done.returncode == 3
    assert "diverged" in done.stderr


def test_the_demos_are_listed():
    assert {"tmaze", "cartpole", "cartpole-masked"} <= {
        trial["name"] for trial in json.loads(nbdl("models", "--json").stdout)["trials"]
    }
