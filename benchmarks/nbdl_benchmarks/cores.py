"""The cores of a shared machine: which are the least busy, and how much of them others take meanwhile (Linux only)."""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager

ALL = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else list(range(os.cpu_count() or 1))


def busy() -> dict[int, float]:
    """Seconds that each of this process's cores has worked since the machine started; empty where nobody counts them."""
    try:
        with open("/proc/stat") as lines:
            rows = [line.split() for line in lines if line.startswith("cpu") and not line.startswith("cpu ")]
    except OSError:
        return {}
    seconds = {}
    for name, user, nice, system, _idle, _waiting, *interrupts in rows:
        seconds[int(name[3:])] = sum(map(int, [user, nice, system, *interrupts[:3]])) / os.sysconf("SC_CLK_TCK")
    return {core: seconds[core] for core in os.sched_getaffinity(0)}


@contextmanager
def claimed(threads: int) -> Iterator[None]:
    """Hold this process, and all that it starts, to the least busy cores, one a thread, until the block ends."""
    if not hasattr(os, "sched_setaffinity"):
        yield
        return
    before = busy()
    time.sleep(0.2)
    after = busy()
    os.sched_setaffinity(0, sorted(ALL, key=lambda core: after.get(core, 0) - before.get(core, 0))[:threads])
    try:
        yield
    finally:
        os.sched_setaffinity(0, ALL)
