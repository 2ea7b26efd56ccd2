"""The adding problem: can a network remember a number over a hundred steps?"""

from nbdl.zoo import Demo

DEMO = Demo(
    name="adding-problem",
    summary="two numbers of a row of 100 are marked: what is their sum? A test of memory",
    lesson="Who always answers 1 has a cost of 0.167. To do better, the first marked number must be kept while dozens of "
    "others go by. Watch the cost lie there for a while, and then fall; try --layers gru:64, and simplernn:64.",
    dataset="adding-problem",
    layers="lstm:64",
    optimizer="adam",
    settings={"learning_rate": 0.01},
    batch=64,
    schedule="cosine",
    epochs=8,
    clip=1.0,
)
