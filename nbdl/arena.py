"""Where memory lives: one flat vector, allocated once, with named views.

A flat vector makes zeroing, updating, saving and norm clipping single loops; names make it readable. Nothing is
allocated after `allocate`, so a training step cannot run out of memory half way.
"""

import os
from math import prod
from typing import Any

import numpy as np

from nbdl.errors import NbdlError

ALIGNMENT = 64  # bytes: a view never shares a cache line with its neighbour
DEFAULT_LIMIT = 8 * 2**30


def memory_limit() -> int:
    """Bytes that one network may ask for: `NBDL_MEMORY_LIMIT` (in GB), else 8 GB or 80 % of what is free now."""
    given = os.environ.get("NBDL_MEMORY_LIMIT")
    if given:
        try:
            return int(float(given) * 2**30)
        except ValueError:
            raise NbdlError(f"NBDL_MEMORY_LIMIT is {given!r}; expected a number of gigabytes, such as 16.") from None
    try:
        with open("/proc/meminfo") as lines:
            free = next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable"))
    except (OSError, StopIteration):
        return DEFAULT_LIMIT
    return min(DEFAULT_LIMIT, int(0.8 * free))


def check_memory(needed: int, what: str) -> None:
    """Refuse, before anything is allocated, what this machine should not be asked for."""
    limit = memory_limit()
    if needed > limit:
        raise NbdlError(
            f"{what} would need {needed / 2**30:,.1f} GB; the limit is {limit / 2**30:,.1f} GB. "
            "Use fewer or smaller layers or a smaller batch, or raise NBDL_MEMORY_LIMIT (in GB)."
        )


class Arena:
    """A flat vector of one type with named, aligned views: `reserve` them all, `allocate` once, then `arena[name]`."""

    def __init__(self, dtype: Any = np.float32, what: str = "This network"):
        self.dtype, self.what = np.dtype(dtype), what
        self.shapes: dict[str, tuple[int, ...]] = {}
        self.places: dict[str, slice] = {}
        self.size = 0
        self.flat: Any = None
        self.on_device = False
        self._views: dict[str, Any] = {}

    def reserve(self, name: str, shape: tuple[int, ...]) -> None:
        count = prod(shape)
        self.shapes[name], self.places[name] = tuple(shape), slice(self.size, self.size + count)
        grain = ALIGNMENT // self.dtype.itemsize
        self.size += -(-count // grain) * grain

    @property
    def nbytes(self) -> int:
        return self.size * self.dtype.itemsize

    def allocate(self, device: str = "cpu") -> "Arena":
        """Make the vector, filled with zeros, on the host or (device "cuda") on the GPU."""
        check_memory(self.nbytes, self.what)
        self.on_device = device == "cuda"
        if self.on_device:
            from nbdl.cuda import to_device

            self.flat = to_device(np.zeros(self.size, self.dtype))
        else:
            grain = ALIGNMENT // self.dtype.itemsize
            room = np.empty(self.size + grain, self.dtype)
            room.fill(0)  # np.zeros would leave the pages to be found by the first step, on its clock
            first = -(room.ctypes.data // self.dtype.itemsize) % grain
            self.flat = room[first : first + self.size]
        self._views = {name: self.flat[place].reshape(self.shapes[name]) for name, place in self.places.items()}
        return self

    def __getitem__(self, name: str):
        return self._views[name]

    def read(self, name: str) -> np.ndarray:
        """A copy of one view, on the host."""
        return self[name].copy_to_host() if self.on_device else self[name].copy()

    def write(self, name: str, values: np.ndarray) -> None:
        """Fill one view from the host."""
        if self.on_device:
            self[name].copy_to_device(np.ascontiguousarray(values, self.dtype))
        else:
            self[name][...] = values

    def __iter__(self):
        return iter(self._views)
