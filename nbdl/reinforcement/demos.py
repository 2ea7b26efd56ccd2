"""Demos of reinforcement learning: an environment, a policy, and settings that make a good first run."""

from dataclasses import dataclass, replace


@dataclass(frozen=True)
class Trial:
    """What is learnt and how; `layers` is a name or a list as `nbdl.reinforcement.policy` reads it."""

    name: str
    environment: str
    summary: str = "a world of your own choice"
    lesson: str = ""  # what a learner should look at, in a sentence or two
    layers: str = "dense"
    method: str = "actor-critic"  # it knows that a clock which runs out is no end
    learning_rate: float = 0.01
    copies: int = 16
    updates: int = 300
    discount: float = 0.99
    trace: float = 0.95
    entropy: float = 0.01
    target: float | None = None  # mean return at which learning stops; None: as the environment has it


TRIALS = {
    trial.name: trial
    for trial in (
        Trial(
            "tmaze",
            "tmaze:20",
            summary="a corridor, and a turn that only a network with memory can know (bundled)",
            lesson="A sign at the start says which way to turn at the end, 20 steps later, where it cannot be seen. Every "
            "network finds the junction; only one that remembers turns the right way. Try --policy dense.",
            layers="gru",
            method="reinforce",
            copies=64,
            updates=500,
            entropy=0.02,
        ),
        Trial(
            "cartpole",
            "CartPole-v1",
            summary="a pole on a cart that must not fall (Gymnasium)",
            lesson="Nobody says which push was right: there is only a point for every moment that the pole stands. What "
            "was done before a long life becomes more likely, and a few hundred falls are enough.",
            method="reinforce",
            target=490.0,
        ),
        Trial(
            "cartpole-masked",
            "CartPole-v1:masked",
            summary="the same with its speeds hidden: they have to be worked out from what was seen before (Gymnasium)",
            lesson="One glance shows where the pole is, but not where it is going: two glances do. A network that keeps "
            "the last one in mind balances the pole; without a memory it falls. Try --policy dense.",
            layers="gru",
            method="reinforce",
            updates=400,
            target=475.0,
        ),
    )
}


def trial(name: str) -> Trial:
    """The demo of that name; other mazes as the maze, and the usual settings for any other environment."""
    if name.startswith("tmaze:"):
        return replace(TRIALS["tmaze"], name=name, environment=name)
    return TRIALS.get(name) or Trial(name, name)
