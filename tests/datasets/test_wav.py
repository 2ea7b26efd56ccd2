"""Sound files of every kind that a microphone or a program writes, and what is wrong with the others."""

import struct
import wave

import numpy as np
import pytest

from nbdl.errors import NbdlError
from nbdl_datasets import wav
from nbdl_datasets.spectrogram import BANDS, HOP, WINDOW, bands, spectrogram

RATE = 8000
PCM_GUID = bytes.fromhex("0000 1000 8000 00aa00389b71")  # of WAVE_FORMAT_EXTENSIBLE, behind the kind itself


def tone(pitch=440, rate=RATE, seconds=0.25):
    return 0.7 * np.sin(2 * np.pi * pitch * np.arange(int(rate * seconds)) / rate)


def encoded(samples, bits, kind=1):
    if kind == 3:
        return samples.astype(f"<f{bits // 8}").tobytes()
    if bits == 8:
        return np.round(samples * 127 + 128).astype(np.uint8).tobytes()
    whole = np.round(samples * (2 ** (bits - 1) - 1)).astype("<i8")
    return whole.view(np.uint8).reshape(-1, 8)[:, : bits // 8].tobytes()


def chunk(name, body, length=None):
    return name + struct.pack("<I", len(body) if length is None else length) + body + b"\0" * (len(body) % 2)


def form(bits=16, kind=1, channels=1, rate=RATE, extensible=False):
    frame = channels * bits // 8
    body = struct.pack("<HHIIHH", 0xFFFE if extensible else kind, channels, rate, rate * frame, frame, bits)
    return body + (struct.pack("<HHIH", 22, bits, 0, kind) + PCM_GUID if extensible else b"")


def riff(*chunks):
    return b"RIFF" + struct.pack("<I", 4 + sum(map(len, chunks))) + b"WAVE" + b"".join(chunks)


def plain(samples=None, bits=16, **settings):
    samples = tone() if samples is None else samples
    return riff(chunk(b"fmt ", form(bits, **settings)), chunk(b"data", encoded(samples, bits, settings.get("kind", 1))))


@pytest.mark.parametrize("extensible", [False, True])
@pytest.mark.parametrize(("bits", "kind"), [(8, 1), (16, 1), (24, 1), (32, 1), (32, 3), (64, 3)])
def test_numbers_of_every_size(bits, kind, extensible):
    found = wav.read(plain(tone(), bits, kind=kind, extensible=extensible), "a.wav", RATE)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, tone(), atol=1.2 / 2 ** min(bits - 1, 20))


def test_the_ends_of_the_scale():
    raw = np.array([-(2**15), 0, 2**15 - 1], "<i2").tobytes()
    assert wav.read(riff(chunk(b"fmt ", form()), chunk(b"data", raw)), "a.wav", RATE).tolist() == [-1, 0, 1 - 2**-15]
    raw = bytes([0, 0, 0x80, 0, 0, 0, 0xFF, 0xFF, 0x7F])
    found = wav.read(riff(chunk(b"fmt ", form(24)), chunk(b"data", raw)), "a.wav", RATE)
    assert found.tolist() == pytest.approx([-1, 0, 1 - 2**-23])
    assert wav.read(riff(chunk(b"fmt ", form(8)), chunk(b"data", b"\x00\x80\xff")), "a.wav", RATE)[1] == 0


def test_what_pythons_own_wave_writes(tmp_path):
    with wave.open(str(tmp_path / "a.wav"), "wb") as file:
        file.setparams((2, 2, RATE, 0, "NONE", ""))
        file.writeframes(encoded(np.stack([tone(), np.zeros(2000)], axis=1).reshape(-1), 16))
    found = wav.read((tmp_path / "a.wav").read_bytes(), "a.wav", RATE)
    np.testing.assert_allclose(found, tone() / 2, atol=1e-4)  # the mean of both channels


def test_other_chunks_are_passed_over():
    odd = chunk(b"LIST", b"INFOabc")  # seven bytes and one that fills up
    content = riff(odd, chunk(b"fmt ", form()), odd, chunk(b"data", encoded(tone(), 16)), odd)
    np.testing.assert_allclose(wav.read(content, "a.wav", RATE), tone(), atol=1e-4)
    odd_data = riff(chunk(b"fmt ", form(8)), chunk(b"data", b"\x80\xff\x80"), chunk(b"id3 ", b"xy"))
    assert len(wav.read(odd_data, "a.wav", RATE)) == 3


def test_a_length_that_a_pipe_left_unknown():
    content = riff(chunk(b"fmt ", form()), chunk(b"data", encoded(tone(), 16), 0xFFFFFFFF))
    assert len(wav.read(content, "a.wav", RATE)) == 2000


@pytest.mark.parametrize("rate", [11025, 16000, 44100, 6000])
def test_another_rate_gives_the_same_sound(rate):
    found = wav.read(plain(tone(440, rate), rate=rate), "a.wav", RATE)
    assert abs(len(found) - 2000) <= 1
    inner = slice(100, -100)
    np.testing.assert_allclose(found[inner], tone()[: len(found)][inner], atol=0.01)


def test_pitches_that_the_rate_cannot_hold_are_not_folded_down():
    found = wav.read(plain(tone(6000, 22050), rate=22050), "a.wav", RATE)
    assert abs(found[100:-100]).max() < 0.01


BAD = {
    "empty": (b"", ["is empty"]),
    "not a wav": (b"ID3\x03 some song", ["not a wav", "RIFF"]),
    "big-endian": (b"RIFX" + plain()[4:], ["not a wav", "RIFX"]),
    "only a beginning": (plain()[:10], ["not a wav"]),
    "cut in the header": (plain()[:20], ["cut off", "'fmt '"]),
    "cut before the sound": (plain()[:40], ["cut off"]),
    "cut in the sound": (plain()[:2000], ["cut off", "1,956", "4,000"]),
    "short format": (riff(chunk(b"fmt ", b"\1\0"), chunk(b"data", b"abcd")), ["2 bytes", "16 or more"]),
    "no format": (riff(chunk(b"data", b"abcd")), ["before its format"]),
    "no sound": (riff(chunk(b"fmt ", form()), chunk(b"data", b"")), ["holds no sound"]),
    "no channels": (plain(channels=0), ["0 channels"]),
    "no rate": (plain(rate=0), ["0 times a second"]),
    "absurd rate": (plain(rate=3_999_999_999 // 2), ["1999999999 times a second"]),
    "odd frame": (riff(chunk(b"fmt ", form()[:12] + b"\3\0\x10\0"), chunk(b"data", b"abcd")), ["in 3 bytes"]),
    "12 bits": (riff(chunk(b"fmt ", form(12)), chunk(b"data", b"abcd")), ["12 bits", "8, 16, 24 or 32"]),
    "compressed": (riff(chunk(b"fmt ", form(8, kind=7)), chunk(b"data", b"abcd")), ["kind 7", "kind 1"]),
    "nan": (plain(np.array([0.0, np.nan]), 32, kind=3), ["no numbers"]),
}


@pytest.mark.parametrize("case", BAD)
def test_what_is_wrong_is_said_with_the_name(case):
    content, words = BAD[case]
    with pytest.raises(NbdlError) as error:
        wav.read(content, "folder/7_a_1.wav", RATE)
    assert all(word in str(error.value) for word in ["folder/7_a_1.wav", *words]), str(error.value)


def test_the_spectrogram_is_the_plain_fourier_sum():
    sound = np.random.default_rng(0).standard_normal(WINDOW + 5 * HOP)
    n = np.arange(WINDOW)
    window = 0.5 - 0.5 * np.cos(2 * np.pi * n / WINDOW)
    waves = np.exp(-2j * np.pi * np.outer(np.arange(WINDOW // 2 + 1), n) / WINDOW)
    powers = np.stack([abs(waves @ (window * sound[HOP * k : HOP * k + WINDOW])) ** 2 for k in range(6)], axis=1)
    expected = np.log10(1e-6 + bands(RATE) @ powers)
    found = spectrogram(sound, RATE, 6)  # as many moments as there are frames: none is between two of them
    assert (found.dtype, found.shape) == (np.float32, (BANDS, 6))
    np.testing.assert_allclose(found, expected - expected.mean(), atol=1e-4)


@pytest.mark.parametrize("pitch", [200, 600, 1500, 3000])
def test_a_pure_tone_lights_up_its_band(pitch):
    picture = spectrogram(tone(pitch), RATE, 32)
    mel = 2595 * np.log10(1 + pitch / 700)
    corners = np.linspace(0, 2595 * np.log10(1 + RATE / 2 / 700), BANDS + 2)
    assert set(picture.argmax(axis=0)) == {abs(corners[1:-1] - mel).argmin()}


def test_bands_meet_without_gaps():
    triangles = bands(RATE)
    assert triangles.shape == (BANDS, WINDOW // 2 + 1)
    assert (triangles.max(axis=1) > 0).all()
    middle = np.fft.rfftfreq(WINDOW, 1 / RATE)
    inside = (middle > 100) & (middle < 3700)
    np.testing.assert_allclose(triangles.sum(axis=0)[inside], 1)


@pytest.mark.parametrize("length", [0, 1, WINDOW - 1, WINDOW, WINDOW + HOP])
def test_sounds_shorter_than_a_window(length):
    picture = spectrogram(np.ones(length), RATE, 32)
    assert picture.shape == (BANDS, 32)
    assert np.isfinite(picture).all()
