"""Fashion-MNIST with dense layers only."""

from nbdl.zoo import Demo

DEMO = Demo(
    name="fashion-mlp",
    summary="70 000 pictures of clothes in the format of MNIST: as easy to load, harder to tell apart",
    lesson="A shirt, a coat and a pullover are nearly the same pixels: look at the confusion matrix to see which classes "
    "the network mixes up.",
    dataset="fashion-mnist",
    layers="256,relu,dropout:0.2,128,relu,dropout:0.2",
    optimizer="momentum",
    settings={"learning_rate": 0.05},
    batch=128,
    schedule="one-cycle",
    epochs=15,
)
