"""Spoken digits, heard moment by moment, each as long as it takes."""

from nbdl.zoo import Demo

DEMO = Demo(
    name="spoken-digits-rnn",
    summary="people saying 0 to 9, heard moment by moment, each as long as it takes",
    lesson="Some say a digit in 100 milliseconds, some take 600. A recurrent network listens as long as the sound lasts, and "
    "says at its end what it has heard.",
    dataset="spoken-digits-sequence",
    layers="gru:96:bidirectional=true,dropout:0.3",
    optimizer="adam",
    settings={"learning_rate": 0.004},
    batch=32,
    schedule="one-cycle",
    epochs=30,
    clip=1.0,
)
