"""How does a wave go on? A network foretells the next 40 values."""

from nbdl.zoo import Demo

DEMO = Demo(
    name="sine-forecast",
    summary="how do two waves on top of each other go on? The next 40 values from the last 50",
    lesson="One value does not tell how a wave goes on: it may be rising or falling. The network's state gathers what it needs "
    "from the values before. For a series of your own: nbdl forecast --csv FILE.",
    dataset="sine-series",
    layers="gru:32",
    optimizer="adam",
    settings={"learning_rate": 0.005},
    batch=32,
    schedule="cosine",
    epochs=15,
    clip=1.0,
)
