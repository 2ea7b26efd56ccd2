"""Which way does it move? Filters over time, height and width."""

from nbdl.zoo import Demo

DEMO = Demo(
    name="motion-cnn",
    summary="short films: which way does the spot move? Filters over time as well",
    lesson="No single frame shows a direction. A filter that also reaches over time sees where a spot was and "
    "where it is next.",
    dataset="motion",
    layers="conv3d:8:3:padding=same,relu,maxpool3d:1x2x2,conv3d:16:3:padding=same,relu,maxpool3d:2,"
    "conv3d:32:3:padding=same,relu,globalaveragepool,32,relu",
    optimizer="adam",
    settings={"learning_rate": 0.004},
    batch=32,
    schedule="one-cycle",
    epochs=15,
)
