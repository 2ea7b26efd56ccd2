"""Which instrument plays? Filters over time."""

from nbdl.zoo import Demo

DEMO = Demo(
    name="tones-cnn",
    summary="which of five instruments plays? Filters that slide over the sound itself",
    lesson="The same note sounds different on each instrument: its overtones differ, and how it swells and "
    "fades. Filters over time learn to listen for that.",
    dataset="tones",
    layers="conv1d:16:32:strides=4,relu,maxpool1d:4,conv1d:32:9,relu,maxpool1d:4,conv1d:32:5,relu,globalaveragepool",
    optimizer="adam",
    settings={"learning_rate": 0.004},
    batch=32,
    schedule="one-cycle",
    epochs=20,
)
