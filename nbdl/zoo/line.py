"""A straight line through noisy points: a model with two weights."""

from nbdl.zoo import Demo

DEMO = Demo(
    name="line",
    summary="a straight line through noisy points: two weights, a slope and a height",
    lesson="The smallest network there is: y = w x + b. Two weights can be drawn: `nbdl landscape` shows its cost as a "
    "bowl, and the paths that lead down into it.",
    dataset="linear",
    layers="",
    settings={"learning_rate": 0.1},
    batch=16,
    epochs=20,
)
