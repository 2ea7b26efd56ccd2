"""LeNet-5 on MNIST (LeCun et al. 1998), with ReLU and max pooling."""

from nbdl.zoo import Demo

DEMO = Demo(
    name="mnist-lenet",
    summary="LeNet-5, the network that read bank cheques, on 70 000 handwritten digits",
    lesson="Two rounds of filters and pooling turn 28 x 28 pixels into 16 maps of 5 x 5, and three dense layers "
    "read those. One digit in a hundred is still wrong: look at which.",
    dataset="mnist",
    layers="conv:6:5:padding=2,relu,pool,conv:16:5,relu,pool,flatten,120,relu,84,relu",
    optimizer="adam",
    settings={"learning_rate": 0.003},
    batch=64,
    schedule="one-cycle",
    epochs=5,
)
