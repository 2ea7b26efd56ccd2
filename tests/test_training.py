"""Training: one code path for every batch size, the same bits for every thread count, resumable, and honest about failure."""

import json
import subprocess
import sys

import numpy as np
import pytest

import nbdl
from nbdl import SGD, Adam, Budget, Data, Dense, Dropout, Flatten, Momentum, Sequential, Training
from nbdl.errors import NbdlError
from nbdl.training import Diverged


def samples(n=50, features=12, classes=3, seed=0):
    random = np.random.default_rng(seed)
    inputs = random.integers(0, 256, (n, features)).astype(np.uint8)
    return Data(inputs, random.integers(0, classes, n), 0.0, 1 / 255)


def network(seed=0, features=12, dtype=np.float32, dropout=0.0):
    layers = [Flatten(), Dense(16, "relu"), *([Dropout(dropout)] if dropout else []), Dense(3)]
    return Sequential(layers, (features,), seed=seed, dtype=dtype)


def train(model, data, optimizer=None, **options):
    options.setdefault("budget", Budget(epochs=3))
    loss = nbdl.loss("softmax_cross_entropy")
    training = Training(model, data, loss, optimizer or SGD(0.1), **options)
    steps = list(training.steps())
    return training, steps


def test_counts_on_every_clock_with_a_short_last_batch():
    _, steps = train(network(), samples(50), batch=16)
    assert [s.update for s in steps] == list(range(1, 13))
    assert [s.examples for s in steps][:4] == [16, 32, 48, 50]
    assert [s.ends_epoch for s in steps][:4] == [False, False, False, True]
    assert [s.epoch for s in steps][3:5] == [1, 2]
    seconds = [s.seconds for s in steps]
    assert seconds == sorted(seconds)


@pytest.mark.parametrize("batch", [1, 7, "full"])
@pytest.mark.parametrize("optimizer", [SGD(0.1), SGD(0.1, weight_decay=0.01), Momentum(0.1), Adam(0.01)])
def test_compiled_step_follows_the_reference_step(batch, optimizer):
    ours, theirs = network(), network()
    _, a = train(ours, samples(), optimizer, batch=batch, backend="serial")
    _, b = train(theirs, samples(), optimizer, batch=batch, backend="numpy")
    np.testing.assert_allclose([s.loss for s in a], [s.loss for s in b], rtol=2e-4)
    np.testing.assert_allclose(ours.parameters.flat, theirs.parameters.flat, rtol=2e-3, atol=2e-5)


def test_full_batch_is_batch_descent_bit_for_bit():
    one, two = network(), network()
    train(one, samples(), batch="full")
    train(two, samples(), batch=50)
    assert one.parameters.flat.tobytes() == two.parameters.flat.tobytes()


def test_batch_gradient_is_the_mean_of_the_samples_gradients():
    def gradient(inputs, targets):
        model = network(dtype=np.float64)
        data = Data(inputs, targets, 0.0, 1 / 255)
        training, _ = train(model, data, batch="full", budget=Budget(updates=1), fuse=False, shuffle=False)
        return training.gradients.flat.copy()

    data = samples(9)
    whole = gradient(data.inputs, data.targets)
    parts = [gradient(data.inputs[i : i + 1], data.targets[i : i + 1]) for i in range(9)]
    np.testing.assert_allclose(whole, np.mean(parts, axis=0), atol=1e-14)


def test_fused_descent_is_plain_descent():
    one, two = network(dtype=np.float64), network(dtype=np.float64)
    train(one, samples(), SGD(0.3, weight_decay=0.02), batch=8, fuse=True)
    train(two, samples(), SGD(0.3, weight_decay=0.02), batch=8, fuse=False)
    np.testing.assert_allclose(one.parameters.flat, two.parameters.flat, atol=1e-13)


BITS = """
import sys, hashlib, numpy as np, nbdl
from nbdl.training import set_threads
set_threads(int(sys.argv[1]))
random = np.random.default_rng(0)
data = nbdl.Data(random.integers(0, 256, (300, 100)).astype(np.uint8), random.integers(0, 10, 300), 0.0, 1 / 255)
model = nbdl.Sequential([nbdl.Dense(130, "relu"), nbdl.Dropout(0.2), nbdl.Dense(70, "tanh"), nbdl.Dense(10)], (100,))
training = nbdl.Training(model, data, nbdl.loss("softmax_cross_entropy"), nbdl.Momentum(0.1), batch=64,
                         budget=nbdl.Budget(epochs=2), clip=1.0, backend=sys.argv[2])
losses = [step.loss for step in training.steps()]
print(hashlib.sha256(model.parameters.flat.tobytes() + np.array(losses).tobytes()).hexdigest())
"""


def test_same_seed_same_bits_for_any_number_of_threads():
    runs = [("1", "serial"), ("1", "parallel"), ("2", "parallel"), ("3", "parallel"), ("4", "auto")]
    prints = {
        (threads, backend): subprocess.run(
            [sys.executable, "-c", BITS, threads, backend], capture_output=True, text=True, check=True
        ).stdout
        for threads, backend in runs
    }
    assert len(set(prints.values())) == 1, prints


def test_another_seed_gives_other_bits():
    one, two = network(seed=0), network(seed=1)
    assert one.parameters.flat.tobytes() != two.parameters.flat.tobytes()
    train(one, samples(), seed=0, batch=8)
    same = network(seed=0)
    train(same, samples(), seed=5, batch=8)
    assert one.parameters.flat.tobytes() != same.parameters.flat.tobytes()


@pytest.mark.parametrize("optimizer", [SGD(0.1), Adam(0.01)])
@pytest.mark.parametrize("stop", [1, 4, 5, 11])
def test_a_resumed_run_equals_one_never_stopped(tmp_path, optimizer, stop):
    options = {"batch": 16, "schedule": "cosine", "budget": Budget(epochs=4), "seed": 3}
    whole = network(dropout=0.3)
    train(whole, samples(), optimizer, **options)

    first = network(dropout=0.3)
    training = Training(first, samples(), nbdl.loss("softmax_cross_entropy"), optimizer, **options)
    for step in training.steps():
        if step.update == stop:
            break
    nbdl.save_checkpoint(tmp_path / "half.safetensors", training, {"note": "half way"})

    second = network(seed=99, dropout=0.3)
    resumed = Training(second, samples(), nbdl.loss("softmax_cross_entropy"), optimizer, **options)
    checkpoint = nbdl.load_checkpoint(tmp_path / "half.safetensors")
    assert checkpoint.extra == {"note": "half way"}
    checkpoint.restore(resumed)
    steps = list(resumed.steps())
    assert steps[0].update == stop + 1
    assert second.parameters.flat.tobytes() == whole.parameters.flat.tobytes()


@pytest.mark.parametrize("rate", [1e9, 1e30])
def test_divergence_is_found_within_a_few_updates(rate):
    with pytest.raises(Diverged) as caught:
        train(network(), samples(), SGD(rate), batch=8, budget=Budget(epochs=50))
    assert caught.value.kind in ("blow-up", "nonfinite")
    assert caught.value.update <= 5


@pytest.mark.parametrize(
    ("budget", "updates"), [(Budget(updates=5), 5), (Budget(examples=40), 3), (Budget(epochs=2), 8)]
)
def test_budgets_stop_where_they_say(budget, updates):
    _, steps = train(network(), samples(50), batch=16, budget=budget)
    assert len(steps) == updates


def test_a_budget_in_seconds_ends():
    _, steps = train(network(), samples(50), batch=16, budget=Budget(seconds=0.01))
    assert steps[-2].seconds < 0.01 <= steps[-1].seconds


@pytest.mark.parametrize("batch", [0, -1, 51, "all", 2.5])
def test_impossible_batch_sizes_are_refused(batch):
    with pytest.raises(NbdlError, match=r"from 1 to 50"):
        train(network(), samples(50), batch=batch)


@pytest.mark.parametrize("rate", [0.0, -1.0, float("nan"), float("inf")])
def test_impossible_learning_rates_are_refused(rate):
    with pytest.raises(NbdlError, match="learning rate"):
        SGD(rate)


def test_labels_out_of_range_are_refused():
    data = samples()
    with pytest.raises(NbdlError, match=r"0 to 2"):
        train(network(), Data(data.inputs, data.targets + 1))


def test_ten_gigabytes_are_refused_before_they_are_taken():
    with pytest.raises(NbdlError, match=r"GB"):
        Sequential([Dense(50_000), Dense(50_000)], (50_000,))


def test_what_the_optimizer_keeps_counts_as_well(monkeypatch):
    model, data, cost = network(), samples(50), nbdl.loss("softmax_cross_entropy")
    monkeypatch.setenv("NBDL_MEMORY_LIMIT", str(2.5 * model.parameters.nbytes / 2**30))
    Training(model, data, cost, SGD(0.1), batch=1, fuse=False)
    with pytest.raises(NbdlError, match="by adam would need"):
        Training(model, data, cost, Adam(0.1), batch=1)


def test_no_array_is_allocated_inside_a_step():
    code = """
import tracemalloc, json, numpy as np, nbdl
random = np.random.default_rng(0)
data = nbdl.Data(random.integers(0, 256, (2000, 64)).astype(np.uint8), random.integers(0, 10, 2000), 0.0, 1 / 255)
model = nbdl.Sequential([nbdl.Dense(64, "relu"), nbdl.Dense(10)], (64,))
training = nbdl.Training(model, data, nbdl.loss("softmax_cross_entropy"), nbdl.SGD(0.01), batch=1, budget=nbdl.Budget(epochs=9))
steps = training.steps()
for _ in range(nbdl.linking.AFTER + 100): next(steps)  # it is linked by then
tracemalloc.start()
for _ in range(10): next(steps)
before = tracemalloc.take_snapshot()
for _ in range(1000): next(steps)
after = tracemalloc.take_snapshot()
domain = np.lib.tracemalloc_domain
arrays = [s for s in after.filter_traces([tracemalloc.DomainFilter(True, domain)]).statistics("lineno")]
grown = sum(d.size_diff for d in after.compare_to(before, "filename") if "tracemalloc" not in str(d.traceback))
print(json.dumps([sum(a.size for a in arrays), grown]))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    arrays, grown = json.loads(done.stdout)
    assert arrays == 0
    assert grown < 2000
