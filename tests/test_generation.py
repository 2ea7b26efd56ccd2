"""Writing: how the next character is drawn, what is refused, and that a network continues what it has learnt."""

import numpy as np
import pytest

import nbdl
from nbdl.errors import NbdlError
from nbdl.generation import complete, distribution, encode, generate, written
from nbdl.layers import LSTM, Embedding, TimeDistributedDense

LETTERS = tuple("abc\n")


def test_temperature_sharpens_and_flattens():
    z = np.array([1.0, 2.0, 0.0], np.float32)
    e = np.exp(z.astype(float))
    np.testing.assert_allclose(distribution(z), e / e.sum(), rtol=1e-6)
    np.testing.assert_array_equal(distribution(z, 0), [0, 1, 0])
    cold, hot = distribution(z, 0.1), distribution(z, 100)
    assert cold[1] > 0.99
    np.testing.assert_allclose(hot, 1 / 3, atol=0.01)
    assert np.isfinite(distribution(np.array([0, 1e4, -1e4], np.float32), 1e-3)).all()


def test_top_k_leaves_the_others_out():
    z = np.array([1, 5, 3, 3, 2], np.float32)
    np.testing.assert_array_equal(distribution(z, 1.0, 2) > 0, [False, True, True, False, False])
    np.testing.assert_array_equal(distribution(z, 9.0, 1), [0, 1, 0, 0, 0])
    assert (distribution(z, 1.0, 99) > 0).all()
    assert distribution(z, 1.0, 3).sum() == pytest.approx(1)


def test_outputs_that_are_not_finite():
    with pytest.raises(NbdlError, match="diverge"):
        distribution(np.array([0, np.nan], np.float32))


def test_an_unknown_character_is_named_with_its_place():
    with pytest.raises(NbdlError, match=r"character 3 of the prompt is 'é' \(U\+00E9\)") as error:
        encode("abé", LETTERS)
    assert r"'\n'" in str(error.value)
    assert written(["a", " ", "\t", "ë"]) == r"a ' ' '\t' ë"


@pytest.fixture(scope="module")
def network():
    """One that has learnt a line by heart, in which what follows an a depends on what came before."""
    text = "abcacb\n" * 120
    numbers = encode(text, LETTERS)
    n = (len(numbers) - 1) // 16
    data = nbdl.Data(
        numbers[: 16 * n].reshape(n, 16), numbers[1 : 16 * n + 1].reshape(n, 16), continuous=True
    )  # fmt: skip
    layers = [Embedding(4, 6), LSTM(24, return_sequences=True), TimeDistributedDense(4)]
    model = nbdl.Sequential(layers, (16,))
    loss = nbdl.loss("softmax_cross_entropy")
    training = nbdl.Training(model, data, loss, nbdl.Adam(0.02), batch=4, budget=nbdl.Budget(epochs=60))
    *_, last = training.steps()
    assert last.loss < 0.02
    return model


def test_it_goes_on_with_what_it_has_learnt(network):
    assert "".join(generate(network, LETTERS, "\nab", 24, temperature=0)) == "cacb\n" + "abcacb\n" * 2 + "abcac"
    assert list(generate(network, LETTERS, "a", 0)) == []


def test_the_seed_decides(network):
    one, same, other = ("".join(generate(network, LETTERS, "a", 80, temperature=3.0, seed=s)) for s in (1, 1, 2))
    assert one == same != other


def test_many_prompts_side_by_side_are_as_one_by_one(network):
    prompts = ["\na", "\nabca", "\nabcacb\nabcac"]
    found = complete(network, LETTERS, prompts, "\n", 20)
    assert found == ["bcacb", "cb", "b"]
    assert found == [complete(network, LETTERS, [prompt], "\n", 20)[0] for prompt in prompts]


@pytest.mark.parametrize(
    ("settings", "word"),
    [
        ({"temperature": -1.0}, "temperature is -1"),
        ({"temperature": float("nan")}, "temperature"),
        ({"top_k": 0}, "0 likeliest"),
        ({"length": -1}, "-1 characters"),
        ({"prompt": ""}, "empty"),
        ({"prompt": "xyz"}, "'x'"),
    ],
)
def test_settings_that_do_not_fit_are_refused_at_once(settings, word):
    model = nbdl.Sequential([Embedding(4, 6), LSTM(4, return_sequences=True), TimeDistributedDense(4)], (16,))
    with pytest.raises(NbdlError, match=word):
        generate(model, LETTERS, **{"prompt": "a", "length": 5, **settings})
