"""MNIST with dense layers only."""

from nbdl.zoo import Demo

DEMO = Demo(
    name="mnist-mlp",
    summary="70 000 handwritten digits of 28 x 28 pixels, with dense layers only",
    lesson="The same idea as the small digits, with twelve times the pixels and ten times the examples: more data, a "
    "better network.",
    dataset="mnist",
    layers="256,relu,dropout:0.2,128,relu,dropout:0.2",
    optimizer="momentum",
    settings={"learning_rate": 0.1},
    batch=128,
    schedule="one-cycle",
    epochs=12,
)
