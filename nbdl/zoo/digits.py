"""Handwritten digits, 8 x 8 pixels: the bundled first run."""

from nbdl.zoo import Demo

DEMO = Demo(
    name="digits",
    summary="a network that reads handwritten digits (bundled, nothing to download)",
    lesson="The network sees only 64 numbers, the grey of each pixel. Nobody tells it what a 3 looks like: it finds out "
    "by lowering its cost, a small step downhill for every batch.",
    dataset="digits",
    layers="256,relu,dropout:0.3,128,relu,dropout:0.2",
    optimizer="momentum",
    settings={"learning_rate": 0.05},
    batch=32,
    schedule="cosine",
    epochs=25,
)
