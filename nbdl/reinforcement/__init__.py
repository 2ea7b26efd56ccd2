"""Reinforcement learning: networks that learn from what their own actions bring, by policy gradients."""

from difflib import get_close_matches

from nbdl.errors import NbdlError
from nbdl.reinforcement.environment import Environment, Response

__all__ = ["Environment", "Response", "environment"]


def environment(name: str, copies: int = 1) -> Environment:
    """Copies of the world of that name: `tmaze`, `tmaze:LENGTH`, or one of Gymnasium's as nbdl.reinforcement.gymnasium
    reads it; raises NbdlError that says what is wrong with the name.
    """
    if copies < 1:
        raise NbdlError(f"{copies} copies of a world; expected 1 or more.")
    world, _, words = name.partition(":")
    if world.lower() == "tmaze":
        from nbdl.reinforcement.tmaze import LENGTH, TMaze

        if words and not words.isdigit():
            raise NbdlError(f"{name}: {words!r} is not the length of a corridor; expected tmaze:{LENGTH}, say.")
        return TMaze(copies, int(words) if words else LENGTH)
    if not world.strip() or get_close_matches(world.lower(), ["tmaze", "t-maze"], cutoff=0.8):
        raise NbdlError(f"there is no world {name!r}; did you mean tmaze?")
    from nbdl.reinforcement.gymnasium import Gymnasium

    return Gymnasium(copies, name)
