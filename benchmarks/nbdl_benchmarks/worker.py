"""The process of one contender: builds it, then runs as many steps as it is asked to, and says how long they took."""

import json
import os
import sys
import time
from importlib import import_module
from typing import Any

import numpy as np

BUILDERS = {
    "nbdl": ("nbdl_mlp", "build"),
    "torch": ("torch_mlp", "build"),
    "jax": ("jax_mlp", "build"),
    "jax-scan": ("jax_mlp", "build_scan"),
    "sklearn": ("sklearn_mlp", "build"),
}


def main() -> None:
    contender, net, batch, data, threads = sys.argv[1:]
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: int(threads)])
    import warnings

    warnings.simplefilter("ignore")
    from nbdl_benchmarks.work import make

    if contender == "torch":
        import torch

        torch.set_num_threads(int(threads))
    module, builder = BUILDERS[contender]
    built = getattr(import_module(f"nbdl_benchmarks.peers.{module}"), builder)(make(net, int(batch), data))
    answer = sys.stdout
    sys.stdout = sys.stderr
    print(json.dumps({"name": built.name, "version": built.version}), file=answer, flush=True)
    for line in sys.stdin:
        question = json.loads(line)
        if "run" in question:
            start = time.perf_counter()
            built.run(question["run"])
            found: dict[str, Any] = {"seconds": time.perf_counter() - start}
        else:
            found = {
                "weights": [
                    np.asarray(w, np.float64).ravel()[:: max(1, w.size // 2000)].tolist() for w in built.weights()
                ]
            }
        print(json.dumps(found), file=answer, flush=True)


if __name__ == "__main__":
    main()
