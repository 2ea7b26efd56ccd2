"""Spirals: the border that takes depth, width and patience."""

from nbdl.zoo import Demo

DEMO = Demo(
    name="spiral",
    summary="spiral arms in the plane: a border that winds",
    lesson="For a while nothing seems to happen; then the border starts to wind. Try fewer neurons, or a lower learning "
    "rate, and see when it never does.",
    dataset="spiral",
    layers="64,relu,64,relu",
    optimizer="adam",
    settings={"learning_rate": 0.01},
    batch=32,
    epochs=80,
)
