"""XOR: the four points that no single neuron can separate."""

from nbdl.zoo import Demo

DEMO = Demo(
    name="xor",
    summary="two inputs, true when exactly one is: the smallest problem that needs a hidden layer",
    lesson="One neuron draws one straight line, and no line puts (0,1) and (1,0) on one side and (0,0) and (1,1) on the "
    "other. Eight hidden neurons bend it.",
    dataset="xor",
    layers="8,tanh",
    settings={"learning_rate": 0.5},
    batch=1,
    epochs=500,
)
