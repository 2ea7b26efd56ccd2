"""Spoken digits, read from pictures of their sound."""

from nbdl.zoo import Demo

DEMO = Demo(
    name="spoken-digits-cnn",
    summary="people saying 0 to 9: filters over a picture of the sound",
    lesson="A spectrogram draws sound: time runs to the right, pitch upwards. What reads digits on paper can "
    "read digits in the air.",
    dataset="spoken-digits",
    layers="conv:16:3:padding=same,relu,pool,conv:32:3:padding=same,relu,pool,conv:64:3:padding=same,relu,pool,"
    "dropout:0.3,flatten,64,relu,dropout:0.4",
    optimizer="adam",
    settings={"learning_rate": 0.002},
    batch=32,
    schedule="one-cycle",
    epochs=25,
)
