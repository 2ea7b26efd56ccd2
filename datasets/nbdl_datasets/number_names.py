"""Numbers spelled out in English and Dutch, one a line: `42 forty-two tweeënveertig`.

The lines come in an order drawn from the seed, so that the parts to check and to test on hold numbers that training has
never met: a network that spells those right has learnt how numbers are named, not the list of them.
"""

import numpy as np

from nbdl_datasets.base import Dataset
from nbdl_datasets.text import dataset

SUMMARY = "numbers spelled out in English and Dutch, a line each"
SHARES = (0.8, 0.1)
DRAWN = 4000  # numbers of four digits, beside all the shorter ones
CHARACTERS = 35  # distinct ones

ENGLISH = (
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve",
    "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen",
)  # fmt: skip
ENGLISH_TENS = ("twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
DUTCH = (
    "nul", "een", "twee", "drie", "vier", "vijf", "zes", "zeven", "acht", "negen", "tien", "elf", "twaalf",
    "dertien", "veertien", "vijftien", "zestien", "zeventien", "achttien", "negentien",
)  # fmt: skip
DUTCH_TENS = ("twintig", "dertig", "veertig", "vijftig", "zestig", "zeventig", "tachtig", "negentig")


def english(n: int) -> str:
    """The English name of a number from 0 to 999 999, with a hyphen in the tens and "and" before them."""
    if n < 20:
        return ENGLISH[n]
    if n < 100:
        return ENGLISH_TENS[n // 10 - 2] + (f"-{ENGLISH[n % 10]}" if n % 10 else "")
    size, name = (100, "hundred") if n < 1000 else (1000, "thousand")
    rest = n % size
    return f"{english(n // size)} {name}" + (f"{' and' * (rest < 100)} {english(rest)}" if rest else "")


def dutch(n: int) -> str:
    """The Dutch name of a number from 0 to 999 999: units before tens, one word up to and including `duizend`."""
    if n < 20:
        return DUTCH[n]
    if n < 100:
        unit, tens = DUTCH[n % 10], DUTCH_TENS[n // 10 - 2]
        # Two vowels that are not to be read as one are kept apart by a trema: twee + en, drie + en.
        return tens if not n % 10 else f"{unit}{'ën' if unit.endswith('e') else 'en'}{tens}"
    if n < 1000:
        return f"{dutch(n // 100) if n >= 200 else ''}honderd{dutch(n % 100) if n % 100 else ''}"
    return f"{dutch(n // 1000) if n >= 2000 else ''}duizend{f' {dutch(n % 1000)}' if n % 1000 else ''}"


def line(n: int) -> str:
    return f"{n} {english(n)} {dutch(n)}\n"


def load(seed: int, steps: int | None = None) -> Dataset:
    """All numbers below 1000 and 4000 of those with four digits, shuffled: 80 % to learn from, 10 %, 10 %."""
    random = np.random.default_rng([seed, 19])
    numbers = np.concatenate([np.arange(1000), 1000 + random.choice(9000, DRAWN, replace=False)])
    text = "".join(line(int(n)) for n in random.permutation(numbers))
    return dataset("number-names", text, steps, shares=SHARES, summary=SUMMARY, credit="generated")
