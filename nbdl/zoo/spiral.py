"""Spirals: the border that takes depth, width and patience."""

from nbdl.zoo import Demo

DEMO = Demo(
    name="spiral",
    summary="spiral arms in the plane: a border that winds",
    lesson="Watch the border wind itself along the arms: each hidden neuron adds one bend. Try --layers 4,relu and see "
    "how far four bends get.",
    dataset="spiral",
    layers="64,relu,64,relu",
    optimizer="adam",
    settings={"learning_rate": 0.01},
    batch=32,
    epochs=80,
)
