"""The same LeNet on pictures of clothes."""

from nbdl.zoo import Demo

DEMO = Demo(
    name="fashion-lenet",
    summary="the same LeNet on 70 000 pictures of clothes",
    lesson="Shirts, coats and pullovers are harder to tell apart than digits. The same network gets fewer right:"
    " how good a number is depends on the task.",
    dataset="fashion-mnist",
    layers="conv:6:5:padding=2,relu,pool,conv:16:5,relu,pool,flatten,120,relu,84,relu",
    optimizer="adam",
    settings={"learning_rate": 0.002},
    batch=64,
    schedule="one-cycle",
    epochs=8,
)
