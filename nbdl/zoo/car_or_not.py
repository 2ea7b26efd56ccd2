"""Is there a car in the picture?"""

from nbdl.zoo import Demo

DEMO = Demo(
    name="car-or-not",
    summary="is there a car in the picture? No feature is made by hand",
    lesson="Nobody tells the network about wheels or windows. It is shown pictures with and without a car, and "
    "finds out by itself what tells them apart.",
    dataset="car-or-not",
    layers="conv:32:3:padding=same,relu,conv:32:3:padding=same,relu,pool,dropout:0.2,conv:64:3:padding=same,"
    "relu,conv:64:3:padding=same,relu,pool,dropout:0.3,flatten,64,relu,dropout:0.4",
    optimizer="adam",
    settings={"learning_rate": 0.001},
    batch=64,
    schedule="one-cycle",
    epochs=12,
)
