"""Numbers as people read them."""

import pytest

from nbdl_cli.drawing import figures

NAN, INF = float("nan"), float("inf")


@pytest.mark.parametrize(
    "function, value, text",
    [
        (figures.count, 0, "0"),
        (figures.count, 999, "999"),
        (figures.count, 999.6, "1.00 k"),
        (figures.count, 12345, "12.3 k"),
        (figures.count, 999_999, "1.00 M"),
        (figures.count, -5000, "-5.00 k"),
        (figures.count, NAN, "–"),
        (figures.size, 0, "0 B"),
        (figures.size, 1023, "1023 B"),
        (figures.size, 1024, "1.00 KiB"),
        (figures.size, 123_456, "121 KiB"),
        (figures.size, INF, "–"),
        (figures.seconds, 0, "0 ns"),
        (figures.seconds, 5e-7, "500 ns"),
        (figures.seconds, 0.00123, "1.23 ms"),
        (figures.seconds, 0.99996, "1.00 s"),
        (figures.seconds, 59.99, "1 min 0 s"),
        (figures.seconds, 75, "1 min 15 s"),
        (figures.seconds, 7500, "2 h 5 min"),
        (figures.seconds, NAN, "–"),
        (figures.percent, 0.973, "97.3 %"),
        (figures.percent, 0.9999, "99.9 %"),
        (figures.percent, 1, "100.0 %"),
        (figures.percent, -1e-5, "0.0 %"),
        (figures.percent, NAN, "–"),
        (figures.flops_rate, 0, "0 FLOP/s"),
        (figures.flops_rate, 3.4e9, "3.40 GFLOP/s"),
        (figures.flops_rate, 245e9, "245 GFLOP/s"),
        (figures.flops_rate, NAN, "–"),
    ],
)
def test_figures(function, value, text):
    assert function(value) == text


def test_names_are_broken_behind_underscores():
    assert figures.broken("convolve_weights_samples_last", 13) == "convolve_\nweights_\nsamples_last"
    assert figures.broken("convolve_weights_samples_last", 18) == "convolve_weights_\nsamples_last"
    assert figures.broken("gather", 3) == "gather"
