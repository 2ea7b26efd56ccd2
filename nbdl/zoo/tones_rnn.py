"""Which instrument plays? Heard moment by moment."""

from nbdl.zoo import Demo

DEMO = Demo(
    name="tones-rnn",
    summary="which of five instruments plays? Heard moment by moment",
    lesson="How a tone swells and fades tells a piano from a violin: no single moment does. The state of the network is what "
    "it remembers of the moments before.",
    dataset="tones-sequence",
    layers="lstm:48",
    optimizer="adam",
    settings={"learning_rate": 0.005},
    batch=32,
    schedule="one-cycle",
    epochs=12,
    clip=1.0,
)
