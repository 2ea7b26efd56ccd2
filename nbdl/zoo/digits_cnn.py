"""Handwritten digits with filters that slide over the picture."""

from nbdl.zoo import Demo

DEMO = Demo(
    name="digits-cnn",
    summary="handwritten digits (bundled), read by filters that slide over the picture",
    lesson="A dense layer learns each corner of the picture anew. A filter learns a stroke once and finds it "
    "everywhere: fewer weights, fewer mistakes.",
    dataset="digits",
    layers="conv:16:3:padding=same,relu,conv:32:3:padding=same,relu,pool,flatten,64,relu,dropout:0.3",
    optimizer="adam",
    settings={"learning_rate": 0.002},
    batch=32,
    schedule="cosine",
    epochs=12,
)
