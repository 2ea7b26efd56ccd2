"""Text from a network: each character is drawn from what the network expects next, and fed back to it.

    p_k = exp(z_k / temperature) / sum_j exp(z_j / temperature)      over the top_k largest of the outputs z, 0 elsewhere

A low temperature plays safe (at 0 the likeliest always wins), 1 speaks as the network expects, more is bold.
"""

import math
from collections.abc import Iterator, Sequence

import numpy as np

from nbdl.errors import NbdlError
from nbdl.model import Sequential


def distribution(outputs: np.ndarray, temperature: float = 1.0, top_k: int | None = None) -> np.ndarray:
    """The probabilities that the next character is drawn from. Shape: outputs (classes) -> (classes), float64"""
    z = outputs.astype(np.float64)
    if not np.isfinite(z).all():
        raise NbdlError("the network's outputs are not finite: did its training diverge?")
    allowed = np.zeros(len(z), bool)
    allowed[np.argsort(-z, kind="stable")[: top_k or len(z)]] = True
    if temperature == 0:
        return (np.arange(len(z)) == z.argmax()).astype(np.float64)
    p = np.where(allowed, np.exp((z - z.max()) / temperature), 0.0)
    return p / p.sum()


def encode(text: str, characters: Sequence[str]) -> np.ndarray:
    """The numbers of a text's characters; raises NbdlError that names the first one that the network does not know."""
    numbers = {character: number for number, character in enumerate(characters)}
    for place, character in enumerate(text):
        if character not in numbers:
            raise NbdlError(
                f"character {place + 1} of the prompt is {character!r} (U+{ord(character):04X}), which is not in the text "
                f"that the network learnt from; it knows {len(characters)} characters: {written(characters)}"
            )
    return np.array([numbers[character] for character in text], np.int64)


def written(characters: Sequence[str], most: int = 120) -> str:
    """The characters in a row, those that cannot be seen by their names."""
    shown = "".join(c if c.isprintable() and c != " " else f" {c!a} " for c in characters[:most])
    return shown.replace("  ", " ").strip() + (" ..." if len(characters) > most else "")


def generate(
    model: Sequential,
    characters: Sequence[str],
    prompt: str,
    length: int,
    *,
    temperature: float = 1.0,
    top_k: int | None = None,
    seed: int = 0,
) -> Iterator[str]:
    """Read the prompt, then yield `length` characters one by one; the same seed gives the same text.

    Raises NbdlError, before anything is computed, where a setting or the prompt does not fit.
    """
    if not (temperature >= 0 and math.isfinite(temperature)):
        raise NbdlError(f"the temperature is {temperature}; expected 0 (always the likeliest) or more, such as 0.8.")
    if top_k is not None and top_k < 1:
        raise NbdlError(f"the {top_k} likeliest characters: expected 1 or more.")
    if length < 0:
        raise NbdlError(f"a text of {length} characters: expected 0 or more.")
    if not prompt:
        raise NbdlError("the prompt is empty; a network needs a character to go on from.")
    return _characters(model, characters, encode(prompt, characters), length, temperature, top_k, seed)


def _characters(model, characters, prompt, length, temperature, top_k, seed) -> Iterator[str]:
    from nbdl.stepper import Stepper

    stepper, random = Stepper(model), np.random.default_rng([seed, 3])
    for number in prompt:
        outputs = stepper.step(np.array([number]))
    for _ in range(length):
        number = random.choice(len(characters), p=distribution(np.asarray(outputs).reshape(-1), temperature, top_k))
        yield characters[number]
        outputs = stepper.step(np.array([number]))


def complete(model: Sequential, characters: Sequence[str], prompts: Sequence[str], until: str, most: int) -> list[str]:
    """What follows each prompt when the likeliest character always wins, up to `until` or `most` characters.

    All prompts are read side by side: where one is at its end while others are not, its answer begins.
    """
    from nbdl.stepper import Stepper

    stepper, texts = Stepper(model, len(prompts)), [encode(prompt, characters).tolist() for prompt in prompts]
    end, longest = encode(until, characters)[0], max(map(len, texts))
    for place in range(longest + most - 1):
        outputs = stepper.step(np.array([text[place] for text in texts]))
        for text, row in zip(texts, outputs, strict=True):
            if len(text) == place + 1:
                text.append(int(row.argmax()))
    answers = [text[len(prompt) :] for text, prompt in zip(texts, prompts, strict=True)]
    cut = [answer[: answer.index(end)] if end in answer else answer[:most] for answer in answers]
    return ["".join(characters[number] for number in answer) for answer in cut]
