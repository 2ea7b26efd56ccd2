"""A small deep network on CIFAR-10."""

from nbdl.zoo import Demo

DEMO = Demo(
    name="cifar10-cnn",
    summary="photographs of ten kinds of things, with four layers of filters",
    lesson="Colour, backgrounds and poses make photographs much harder than digits. Each layer of filters sees "
    "more of the picture than the one before it.",
    dataset="cifar10",
    layers="conv:32:3:padding=same,relu,conv:32:3:padding=same,relu,pool,dropout:0.2,conv:64:3:padding=same,"
    "relu,conv:64:3:padding=same,relu,pool,dropout:0.3,flatten,128,relu,dropout:0.4",
    optimizer="adam",
    settings={"learning_rate": 0.001},
    batch=64,
    schedule="one-cycle",
    epochs=15,
)
