"""Tones of five made-up instruments: the same notes, told apart by their overtones and by how they swell and fade.

    s(t) = envelope(t) * sum over h of a_h sin(2 pi h f t + phase_h) + noise

Shape: (1, 2048) samples of 8 kHz from -1 to 1, a quarter of a second; as a sequence (15, 32), what is loud in each moment.
"""

import numpy as np

from nbdl_datasets.base import Dataset, Split, cut
from nbdl_datasets.spectrogram import BANDS, HOP, SCALE, WINDOW, sequence

RATE, LENGTH, SAMPLES = 8000, 2048, 3000
INSTRUMENTS = {  # strength of the overtones, seconds to swell, seconds to fade
    "flute": ((1.0, 0.15, 0.05), 0.06, 1.0),
    "clarinet": ((1.0, 0.02, 0.6, 0.02, 0.35, 0.01, 0.2), 0.03, 1.0),
    "violin": ((1.0, 0.7, 0.55, 0.45, 0.35, 0.3, 0.2, 0.15), 0.09, 1.0),
    "piano": ((1.0, 0.5, 0.25, 0.15, 0.08), 0.002, 0.12),
    "bell": ((1.0, 0.0, 0.5, 0.0, 0.0, 0.6), 0.001, 0.25),
}
SUMMARIES = {
    "tones": "a quarter of a second of sound: which of five instruments plays?",
    "tones-sequence": "the same sounds moment by moment: which of five instruments plays?",
}
MOMENTS = (LENGTH - WINDOW) // HOP + 1
SHAPES = {"tones": (1, LENGTH), "tones-sequence": (MOMENTS, BANDS)}


def _tone(random, instrument: str) -> np.ndarray:
    strengths, swell, fade = INSTRUMENTS[instrument]
    t = np.arange(LENGTH) / RATE
    pitch = 110 * 2 ** random.uniform(0, 2)  # two octaves from A2
    stretch = 1.05 if instrument == "bell" else 1.0  # the overtones of a bell are out of tune
    wave = np.zeros(LENGTH)
    for h, strength in enumerate(strengths, 1):
        frequency = pitch * h ** (stretch if h > 1 else 1.0) * random.normal(1, 0.002)
        if frequency < RATE / 2:
            strength *= random.uniform(0.6, 1.4)
            wave += strength * np.sin(2 * np.pi * (frequency * t + random.uniform()))
    start = random.uniform(0, 0.03)
    since = np.maximum(0, t - start)
    wave *= (1 - np.exp(-since / swell)) * np.exp(-since / fade)
    wave *= random.uniform(0.2, 1) / max(1e-6, abs(wave).max())
    return np.clip(wave + random.normal(0, 0.02, LENGTH), -1, 1)


def load(name: str, seed: int) -> Dataset:
    """3000 tones, as many of each instrument, cut 70/10/20."""
    random, names = np.random.default_rng([seed, 17]), list(INSTRUMENTS)
    targets = np.arange(SAMPLES) % len(names)
    waves = np.stack([_tone(random, names[t]) for t in targets]).astype(np.float32)
    whole = name == "tones"
    inputs = waves[:, None] if whole else np.stack([sequence(wave, RATE, MOMENTS) for wave in waves])
    train, validation, test = cut(Split(inputs, targets.astype(np.int64)), (0.7, 0.1), seed, stratify=True)
    return Dataset(
        name, train, validation, test, "classification", tuple(names), kind="sound" if whole else "sequence",
        scale=1.0 if whole else SCALE, summary=SUMMARIES[name], credit="generated",
    )  # fmt: skip
