"""A curve through noisy points."""

from nbdl.zoo import Demo

DEMO = Demo(
    name="regression",
    summary="a sine wave through noisy points: a number to predict instead of a class",
    lesson="The cost is now the mean squared distance to the points. The noise cannot be learnt: the cost stops falling "
    "where only noise is left.",
    dataset="sine",
    layers="32,tanh,32,tanh",
    optimizer="adam",
    settings={"learning_rate": 0.01},
    batch=32,
    epochs=100,
)
