"""Text, character by character: the network learns to name numbers in two languages."""

from nbdl.zoo import Demo

DEMO = Demo(
    name="char-rnn",
    summary="a network that writes: what comes next, character by character (bundled: number names; --text FILE)",
    lesson="It sees one character at a time and says how likely each is to come next; its state remembers what came "
    "before. The numbers it is tested on it has never seen: whether it spells them right tells if it learnt a "
    "list or a rule. Few at first; give it more --epochs.",
    dataset="number-names",
    layers="lstm:256",
    optimizer="adam",
    settings={"learning_rate": 0.008},
    batch=16,
    schedule="cosine",
    epochs=15,
    clip=1.0,
    options={"steps": 128},  # lines have about 70 characters: most are seen as a whole
)
