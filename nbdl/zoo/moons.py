"""Two moons: classes that lie in each other's arms."""

from nbdl.zoo import Demo

DEMO = Demo(
    name="moons",
    summary="two half moons in the plane, told apart by a curve",
    lesson="Watch the border: it starts straight and bends where points on the wrong side pull at it.",
    dataset="moons",
    layers="16,tanh,16,tanh",
    settings={"learning_rate": 0.3},
    batch=16,
    epochs=60,
)
