"""The commands as users meet them: real processes, real pipes, real pseudo-terminals."""

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

import numpy as np
import pytest

NBDL = [sys.executable, "-m", "nbdl_cli.main"]
QUICK = ["train", "moons", "--epochs", "3", "--backend", "numpy"]


def nbdl(*arguments, **settings):
    environment = {**os.environ, **settings.pop("env", {})}
    environment.pop("NBDL_DATA_DIR", None)
    return subprocess.run([*NBDL, *arguments], capture_output=True, text=True, env=environment, timeout=300, **settings)


def on_terminal(columns, *arguments, **variables):
    """Run in a pseudo-terminal of this width and return all that was drawn."""
    pid, master = pty.fork()
    if pid == 0:
        os.environ.update({"TERM": "xterm-256color", "COLORTERM": "truecolor", **variables})
        os.environ.pop("COLUMNS", None)
        fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", 50, columns, 0, 0))
        os.execve(sys.executable, [*NBDL, *arguments], dict(os.environ))  # readline hides a COLUMNS of its own
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
    os.close(master)
    _, status = os.waitpid(pid, 0)
    return os.waitstatus_to_exitcode(status), drawn.decode()


def visible(text):
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text)


def test_help_imports_neither_numba_nor_numpy():
    code = """
import sys
sys.argv = ['nbdl', '--help']
from nbdl_cli.main import main
try:
    main()
except SystemExit as end:
    print(end.code, [m for m in ('numba', 'numpy', 'rich') if m in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.rstrip().endswith("0 []")
    assert "compare-optimizers" in done.stdout


@pytest.mark.parametrize(
    "command",
    [
        "train",
        "compare-optimizers",
        "predict",
        "generate",
        "forecast",
        "import",
        "models",
        "explain",
        "gradcheck",
        "datasets",
        "doctor",
        "bench",
    ],
)
def test_every_command_has_help_without_numba(command):
    done = nbdl(command, "--help")
    assert done.returncode == 0
    assert "Usage" in done.stdout


def test_train_learns_the_digits():
    done = nbdl("train", "--json")
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    assert document["schema"] == "nbdl.train/1"
    assert document["test"]["accuracy"] >= 0.97
    assert set(document["epochs"][0]) >= {
        "epoch",
        "updates",
        "examples",
        "seconds",
        "train_loss",
        "validation_accuracy",
    }
    assert document["parameters"] == sum(map(int, (64 * 256 + 256, 256 * 128 + 128, 128 * 10 + 10)))
    assert document["train_seconds"] > 0
    assert {"compile_seconds", "samples_per_second", "environment"} <= set(document)


@pytest.mark.parametrize("columns", [40, 80, 120])
@pytest.mark.parametrize("demo", ["digits", "moons", "regression"])
def test_train_fits_the_terminal(columns, demo):
    code, drawn = on_terminal(columns, "train", demo, "--epochs", "2", "--backend", "numpy")
    assert code == 0, drawn
    text = visible(drawn)
    assert "test" in text
    assert "Traceback" not in text
    assert max(len(line) for line in re.split(r"[\r\n]+", text)) <= columns


def test_calls_are_readable_on_forty_columns():
    for command in (["explain", "xor", "--backend", "numpy"], ["bench", "xor"]):
        code, drawn = on_terminal(40, *command)
        text = visible(drawn)
        assert code == 0, text
        assert max(len(line) for line in re.split(r"[\r\n]+", text)) <= 40
        assert "dense_backward_weights" in text, "names stay in one piece"


def test_colour_only_where_it_is_wanted():
    assert "\x1b[38" in on_terminal(80, *QUICK)[1]
    assert "\x1b[38" not in on_terminal(80, *QUICK, NO_COLOR="1")[1]
    assert "\x1b" not in nbdl(*QUICK).stdout
    plain = nbdl(*QUICK, env={"PYTHONIOENCODING": "ascii", "LANG": "C"})
    assert plain.returncode == 0
    assert plain.stdout.isascii()
    assert on_terminal(80, *QUICK, TERM="dumb")[0] == 0


CNN = ["train", "digits-cnn", "--layers"]
BAD = {
    "demo": (["train", "digit"], 1, "Did you mean digits"),
    "command": (["trian"], 2, "Did you mean train"),
    "option": (["train", "--epoks", "3"], 2, "epoks"),
    "layer": (["train", "--layers", "64,relo"], 1, "relo"),
    "kernel": ([*CNN, "conv:8:3,relu,conv:8:7"], 1, "layer 2, Conv2D: the filter reaches over 7x7 cells, .* only 6x6"),
    "padded": ([*CNN, "conv:4:12:padding=1"], 1, "layer 1, Conv2D: the filter reaches over 12x12 cells, .* only 10x10"),
    "groups": ([*CNN, "conv:6:3,conv:8:3:groups=4"], 1, "layer 2, Conv2D: 6 channels cannot be dealt to 4 groups"),
    "filters": ([*CNN, "conv:6:3,conv:8:3:groups=3"], 1, "layer 2, Conv2D: 8 filters cannot be dealt to 3 groups"),
    "pool": ([*CNN, "conv:8:3,pool,pool,pool"], 1, r"layer 4, MaxPool2D: a window of 2 .* \(8, 1, 1\).* nothing"),
    "conv behind dense": ([*CNN, "64,conv:8:3"], 1, r"layer 3, Conv2D takes .*\(channels, height, width\).*\(64,\)"),
    "huge misfit": ([*CNN, "conv:2000000:3,conv:2000000:9"], 1, "layer 2, Conv2D: .* 9x9"),  # not: not enough memory
    "films": (["train", "motion-cnn", "--layers", "conv:8:3"], 1, r"layer 1, Conv2D takes .*\(1, 8, 16, 16\)"),
    "setting": ([*CNN, "conv:8:3:stride=2"], 1, "strides"),
    "file": (["train", "--dataset", "nothing.csv"], 1, "nothing.csv"),
    "batch 0": (["train", "--batch-size", "0"], 1, "from 1 to 3935"),
    "batch -1": (["train", "--batch-size", "-1"], 1, "from 1 to 3935"),
    "batch too large": (["train", "--batch-size", "99999"], 1, "from 1 to 3935"),
    "batch word": (["train", "--batch-size", "some"], 1, "or full"),
    "rate 0": (["train", "--lr", "0"], 1, "above 0"),
    "rate -1": (["train", "--lr", "-1"], 1, "above 0"),
    "rate nan": (["train", "--lr", "nan"], 1, "finite"),
    "memory": (["train", "--layers", "50000,relu,50000"], 1, "GB"),
    "schedule": (["train", "--schedule", "sometimes"], 1, "one-cycle"),
    "threads": (["train", "--threads", "0"], 1, "threads"),
    "save folder": (["train", "--save", "no/such/folder/x.safetensors"], 1, "no folder"),
    "save refused": (["train", "--save", "/proc/x.safetensors"], 1, "no file can be made|no folder"),
    "log refused": (["train", "--log", "/proc/x.jsonl"], 1, "no file can be made|no folder"),
    "resume": (["train", "--resume", "nothing.safetensors"], 1, "nothing.safetensors"),
    "checkpoint": (["predict", "nothing.safetensors"], 1, "no checkpoint"),
    "dataset": (["datasets", "info", "moon"], 1, "Did you mean moons"),
    "cuda": (["train", "--backend", "cuda"], 1, "cuda"),
}


@pytest.mark.parametrize("case", BAD)
def test_mistakes_get_a_word_and_a_code(case, tmp_path):
    arguments, code, word = BAD[case]
    done = nbdl(*arguments, cwd=tmp_path)
    assert (done.returncode, "Traceback" in done.stderr) == (code, False), done.stderr
    assert re.search(word, done.stderr), done.stderr
    assert done.stdout == ""


def test_divergence_has_its_own_code():
    done = nbdl("train", "--lr", "1e9", "--backend", "numpy")
    assert done.returncode == 3
    assert "diverged" in done.stderr
    document = json.loads(nbdl("train", "--lr", "1e9", "--backend", "numpy", "--json").stdout)
    assert document["diverged"]["kind"] in ("blow-up", "nonfinite")
    assert document["diverged"]["update"] < 10


def test_a_pipe_closed_early_is_no_error():
    process = subprocess.run(
        f"{' '.join(NBDL)} {' '.join(QUICK)} | head -1", shell=True, capture_output=True, text=True, timeout=120
    )
    assert process.stderr.strip() in ("", "compiling kernels for this processor (once) ...")
    assert "moons" in process.stdout


def test_a_disk_that_is_full_when_saving_leaves_the_old_file(tmp_path):
    path = tmp_path / "net.safetensors"
    command = ["train", "digits", "--updates", "3", "--backend", "numpy", "--quiet", "--save", str(path)]
    assert nbdl(*command).returncode == 0
    before = path.read_bytes()
    full = ["bash", "-c", 'ulimit -f 20; exec "$@" --layers 2000', "full", *NBDL, *command]
    done = subprocess.run(full, capture_output=True, text=True, timeout=120)
    assert done.returncode == 1, done.stderr
    assert "The old file is untouched" in done.stderr
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == [path.name]


def test_labels_out_of_range_of_the_users_own_files(tmp_path):
    images = np.zeros((12, 4, 4), np.uint8)
    np.savez(tmp_path / "a.npz", x=images, y=np.arange(12) % 3 - 1)
    done = nbdl("train", "--dataset", str(tmp_path / "a.npz"), "--updates", "1")
    assert done.returncode == 1, done.stdout
    assert "Traceback" not in done.stderr
    assert "-1" in done.stderr


def test_ctrl_c_saves_and_says_so(tmp_path):
    path = tmp_path / "net.safetensors"
    command = [*NBDL, "train", "digits", "--epochs", "100000", "--backend", "numpy", "--save", str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        for line in process.stdout:
            if "epoch" in line and "loss" in line:
                break
        process.send_signal(signal.SIGINT)
        _, error = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "saved to" in error
    done = nbdl("train", "--resume", str(path), "--updates", "1", "--quiet")
    assert done.returncode == 0, done.stderr
    assert "test" in done.stdout


def test_saved_logged_resumed_and_asked(tmp_path):
    path, log = tmp_path / "net.safetensors", tmp_path / "log.jsonl"
    options = ["--backend", "numpy", "--schedule", "exponential:0.5"]
    whole = tmp_path / "whole.safetensors"
    assert nbdl("train", "moons", "--epochs", "6", *options, "--save", str(whole)).returncode == 0
    first = nbdl("train", "moons", "--updates", "40", *options, "--save", str(path), "--log", str(log))
    assert first.returncode == 0, first.stderr
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    assert lines[0]["schema"] == "nbdl.train/1"
    assert lines[1]["epoch"] == 1
    asked = json.loads(nbdl("predict", str(path), "--count", "3", "--json").stdout)
    assert [p["index"] for p in asked["predictions"]] == [0, 1, 2]
    assert sum(asked["predictions"][0]["probabilities"]) == pytest.approx(1)
    one = json.loads(nbdl("predict", str(path), "--values", "0.5,-0.2", "--json").stdout)
    assert one["predictions"][0]["class"] in "AB"
    assert nbdl("predict", str(path), "--values", "1,2,3").returncode == 1
    other = nbdl("train", "--resume", str(path), "--lr", "9")
    assert other.returncode == 1
    assert "keeps its settings" in other.stderr


def test_resumed_by_command_equals_never_stopped(tmp_path):
    options = ["--backend", "numpy", "--schedule", "constant", "--epochs", "4"]
    half, whole = tmp_path / "half.safetensors", tmp_path / "whole.safetensors"
    assert nbdl("train", "digits", *options, "--save", str(whole)).returncode == 0
    assert nbdl("train", "digits", *options, "--updates", "150", "--save", str(half)).returncode == 0
    resumed = nbdl("train", "--resume", str(half), "--epochs", "4", "--backend", "numpy", "--save", str(half))
    assert resumed.returncode == 0, resumed.stderr
    from safetensors.numpy import load_file

    a, b = load_file(half), load_file(whole)
    assert all(a[name].tobytes() == b[name].tobytes() for name in b)


def test_profile_explain_bench_models_datasets_doctor():
    assert "dense_forward" in nbdl("explain", "xor", "--json").stdout
    assert "of peak" in nbdl("train", "moons", "--epochs", "2", "--profile").stdout
    assert json.loads(nbdl("bench", "xor", "--json").stdout)["calls"]
    assert len(json.loads(nbdl("models", "--json").stdout)["models"]) >= 15
    assert json.loads(nbdl("datasets", "list", "--json").stdout)["datasets"][0]["name"] == "digits"
    assert nbdl("datasets", "show", "digits", "--count", "3").returncode == 0
    assert nbdl("datasets", "show", "spiral").returncode == 0
    found = json.loads(nbdl("doctor", "--json").stdout)
    assert found["peak_flops"]["one_core"] > 1e9
    assert json.loads(nbdl("gradcheck", "xor", "--json").stdout)["right"]


def test_own_table_end_to_end(tmp_path):
    random = np.random.default_rng(0)
    x = random.standard_normal((300, 3))
    y = 3 * x[:, 0] - 2 * x[:, 1] + 1
    lines = ["a,b,c,price", *(f"{r[0]},{r[1]},{r[2]},{v}" for r, v in zip(x, y, strict=True))]
    (tmp_path / "my.csv").write_text("\n".join(lines))
    done = nbdl("train", "--dataset", str(tmp_path / "my.csv"), "--label", "price", "--json", "--backend", "numpy")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["test"]["r2"] > 0.97


def test_two_processes_fill_one_empty_kernel_cache(tmp_path):
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path)}
    command = [*NBDL, "train", "xor", "--epochs", "5", "--quiet"]
    both = [
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment) for _ in range(2)
    ]
    for process in both:
        _, error = process.communicate(timeout=300)
        assert process.returncode == 0, error
    third = nbdl("train", "xor", "--epochs", "5", env={"NUMBA_CACHE_DIR": str(tmp_path)})
    assert "compil" not in third.stderr


def test_a_kernel_cache_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("")
    done = nbdl("train", "xor", "--epochs", "2", "--quiet", env={"NUMBA_CACHE_DIR": str(tmp_path / "file" / "below")})
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("simd", ["plain", "avx2", "sse"])
def test_other_processors(simd):
    import platform

    if simd != "plain" and platform.machine().lower() not in ("x86_64", "amd64"):
        pytest.skip("these vectors are of another processor")
    done = nbdl("train", "--epochs", "6", "--json", env={"NBDL_SIMD": simd})
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["test"]["accuracy"] > 0.95
